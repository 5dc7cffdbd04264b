"""LightGCN: one node for everybody, order read nowhere, and a gradient that is the true one."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.methods.contract import everyone, someone, tiny_split

from isrf.core.errors import CannotFit, IsrfError
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.queries import Queries
from isrf.data.training_data import Catalogue, TrainingData
from isrf.graphs.propagation import normalised, propagate_bipartite
from isrf.methods.lightgcn import LightGCN, Nodes, Propagation, bpr, draw_negatives, symmetric

quick = partial(LightGCN, dimensions=8, epochs=3)


def log(*histories: list[int], n_items: int) -> TrainingData:
    """Training data of the given item rows."""
    table = pl.DataFrame({Columns.ITEM: [f"i{i}" for i in range(n_items)], Columns.TITLE: [""] * n_items})
    return TrainingData([f"u{u}" for u in range(len(histories))], Catalogue(table), Histories.of(list(histories)))


def fitted(method: LightGCN, training: TrainingData) -> LightGCN:
    method.fit(training)
    return method


def random_links(seed: int, users: int = 7, items: int = 5) -> sp.csr_matrix:
    return sp.csr_matrix((np.random.default_rng(seed).random((users, items)) < 0.4).astype(np.float32))


def test_the_gradient_through_the_graph_is_the_true_one() -> None:
    graph = symmetric(normalised(random_links(4))).astype(np.float64)
    table = torch.randn(12, 3, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda nodes: Propagation.apply(graph, nodes, 3), (table,))


@given(st.integers(0, 1000), st.integers(1, 4))
def test_somebody_of_the_log_with_the_history_that_was_trained_on_is_the_propagated_node(
    seed: int, layers: int
) -> None:
    links = random_links(seed)
    table = np.random.default_rng(seed).normal(size=(12, 3)).astype(np.float32)
    people, items = propagate_bipartite(normalised(links), table[:7], table[7:], layers)
    histories = Histories(links.indptr.astype(np.int64), links.indices.astype(np.int64))
    scores = Nodes.of(links, table, layers).scores(Queries(np.arange(7), histories))
    np.testing.assert_allclose(scores, people @ items.T, rtol=1e-4, atol=1e-5)


def test_an_item_bought_since_moves_the_person() -> None:
    split = tiny_split(test_step=1)
    method = fitted(quick(), split.training)
    users = np.array([0])
    before = Queries(users, split.training.histories.take(users))
    assert not np.array_equal(method.score(before), method.score(Queries(users, split.histories("test").take(users))))


def test_a_stranger_is_scored_from_items_alone() -> None:
    split = tiny_split()
    method = fitted(quick(), split.training)
    stranger = method.score(someone(split, "tea-1", "tea-2"))
    rows = split.training.catalogue.rows_of(["tea-1", "tea-2"])
    in_log = method.score(Queries(np.array([0]), Histories.of([rows])))
    assert not np.array_equal(stranger, in_log)
    assert method.score(someone(split)).tolist() == [[0.0] * split.training.n_items]


def test_order_is_read_in_no_task() -> None:
    split = tiny_split()
    method = fitted(quick(), split.training)
    one = method.score(someone(split, "tea-1", "tea-2", "tea-5"))
    other = method.score(someone(split, "tea-5", "tea-1", "tea-2", task="direct"))
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_items_and_purchases_that_the_graph_cannot_hold_do_no_harm() -> None:
    training = log([0, 1, 1], [1, 2], [0, 2], n_items=4)  # item 3 was never bought, item 1 twice by the same person
    method = fitted(quick(), training)
    scores = method.score(Queries(np.array([-1, -1]), Histories.of([[3], [1, 1]])))
    assert scores[0].tolist() == [0.0] * 4
    once = method.score(Queries(np.array([-1]), Histories.of([[1]])))[0]
    np.testing.assert_allclose(scores[1], once, rtol=1e-5, atol=1e-7)


def test_negatives_that_the_person_has_do_not_count() -> None:
    links = sp.csr_matrix(np.array([[1, 1, 1], [0, 0, 0]], dtype=np.float32))
    drawn, counts = draw_negatives(links, np.array([0, 1, 0]), 40, np.random.default_rng(0))
    assert set(drawn.ravel()) == {0, 1, 2}
    assert counts.all(axis=1).tolist() == [False, True, False]
    assert not counts[[0, 2]].any()


def test_bpr_ranks_against_the_best_of_the_items_drawn() -> None:
    nodes = torch.tensor([[1.0, 0.0], [0.5, 1.0], [0.2, 0.0], [0.9, 0.0], [3.0, 0.0]])  # person 0, items 1 to 4
    drawn, counts = np.array([[2, 3, 4]]), np.array([[True, True, False]])  # item 4 is theirs already
    ranked = bpr(nodes, nodes, np.array([0]), np.array([1]), drawn, counts, regularisation=0.0)
    assert ranked.item() == pytest.approx(np.log1p(np.exp(0.9 - 0.5)))
    punished = bpr(nodes, nodes, np.array([0]), np.array([1]), drawn, counts, regularisation=2.0)
    assert punished.item() - ranked.item() == pytest.approx(1.0 + 1.25 + 0.81)


def test_somebody_who_has_everything_trains_without_a_nan() -> None:
    method = fitted(quick(), log([0, 1], [1, 0], n_items=2))
    assert np.isfinite(method.score(Queries(np.array([0]), Histories.of([[0]])))).all()


def test_seeds_differ_and_the_global_random_state_is_left_alone() -> None:
    split = tiny_split()
    before = torch.get_rng_state()
    one, other = (fitted(quick(seed=seed), split.training).score(everyone(split)) for seed in (0, 1))
    assert not np.array_equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_a_log_that_memory_cannot_hold_is_refused() -> None:
    with pytest.raises(IsrfError, match=r"5 people and items .* leave lightgcn out"):
        LightGCN(max_nodes=4).fit(log([0, 1], [1, 2], n_items=3))


def test_divergence_is_told() -> None:
    with pytest.raises(IsrfError, match=r"lightgcn diverged in epoch \d; lower its learning_rate"):
        LightGCN(dimensions=4, epochs=2, learning_rate=1e30).fit(log([0, 1], [1, 2], n_items=3))


def test_a_log_without_an_interaction_is_refused_in_one_line() -> None:
    with pytest.raises(CannotFit, match=r"^lightgcn: no interaction is left to train on; .*$"):
        quick().fit(log([], [], n_items=3))
