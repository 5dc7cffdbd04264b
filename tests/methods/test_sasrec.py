"""SASRec: what its states may read, what they are trained on, and a loss whose gradient is the true one."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.methods.contract import everyone, someone, tiny_split
from torch.nn import functional as F

from isrf.core.errors import IsrfError
from isrf.core.sampled_softmax import candidates_of
from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries
from isrf.methods.sasrec import CrossEntropy, SASRec
from isrf.methods.sasrec_batches import WIDTH_STEP, Batch, batches, padded
from isrf.methods.sasrec_network import Network

quick = partial(SASRec, dimensions=16, heads=2, epochs=2)

lengths = st.lists(st.integers(0, 12), min_size=1, max_size=12).filter(any)


def numbered(counts: list[int]) -> Histories:
    """Histories whose items are all different: 0, 1, 2, ... in order."""
    ends = np.cumsum(counts)
    return Histories.of([np.arange(end - count, end) for count, end in zip(counts, ends, strict=True)])


def network(dropout: float = 0.0) -> Network:
    torch.manual_seed(0)
    return Network(9, 16, 2, 2, dropout, temperature=0.1, positions=6)


def test_it_knows_the_next_item_around_the_ring() -> None:
    split = tiny_split()
    method = SASRec(dimensions=32, heads=2)
    method.fit(split.training)
    scores = method.score(someone(split, "tea-1", "tea-2", "tea-3"))[0]
    scores[split.training.catalogue.rows_of(["tea-1", "tea-2", "tea-3"])] = -np.inf
    assert split.training.catalogue.ids[int(scores.argmax())] == "tea-4"


def test_a_state_reads_no_later_item() -> None:
    model = network().eval()
    rows = torch.tensor([[1, 2, 3, 4]])
    states = model(rows)
    rows[0, 2:] = 8
    torch.testing.assert_close(model(rows)[:, :3], states[:, :3])
    assert not torch.allclose(model(rows)[:, 3], states[:, 3])


def test_states_have_the_norm_of_the_inverse_temperature() -> None:
    states = network()(torch.tensor([[1, 2], [3, 0]]))
    torch.testing.assert_close(states.norm(dim=-1), torch.full((2, 3), 10.0))


def test_order_matters_in_the_sequential_task_only() -> None:
    split = tiny_split()
    method = quick()
    method.fit(split.training)
    one, other = ("tea-1", "tea-2", "tea-5"), ("tea-2", "tea-1", "tea-5")
    sequential, direct = ([method.score(someone(split, *items, task=task)) for items in (one, other)] for task in TASKS)
    assert not np.allclose(*sequential)
    assert np.array_equal(*direct)


def test_the_direct_state_of_one_item_is_the_sequential_one() -> None:
    split = tiny_split()
    method = quick()
    method.fit(split.training)
    sequential, direct = (method.score(someone(split, "tea-1", task=task)) for task in TASKS)
    np.testing.assert_allclose(sequential, direct, rtol=1e-4, atol=1e-5)


def test_only_the_most_recent_items_are_read() -> None:
    split = tiny_split()
    method = quick(history=2)
    method.fit(split.training)
    whole, recent = (
        method.score(someone(split, *items)) for items in (("bread-1", "tea-1", "tea-2"), ("tea-1", "tea-2"))
    )
    np.testing.assert_allclose(whole, recent, rtol=1e-5, atol=1e-6)


@given(lengths, st.integers(1, 5), st.integers(1, 4), st.integers(0, 100))
def test_every_interaction_is_in_one_window_of_its_own_history(
    counts: list[int], width: int, size: int, seed: int
) -> None:
    histories = numbered(counts)
    owner = histories.rows()
    found = []
    for batch in batches(histories, width, size, np.random.default_rng(seed)):
        assert len(batch.rows) <= size
        assert batch.rows.shape[1] % WIDTH_STEP == 0
        for row, here in zip(batch.rows, batch.mask, strict=True):
            window = row[here]
            assert 1 <= len(window) <= width
            assert np.array_equal(window, np.arange(window[0], window[0] + len(window)))  # in order, nothing left out
            assert len(set(owner[window])) == 1
            found += window.tolist()
    assert sorted(found) == list(range(sum(counts)))


def test_windows_of_a_long_history_are_cut_elsewhere_each_epoch() -> None:
    histories = numbered([40])
    cuts = {
        tuple(batch.rows[:, 0].tolist())
        for seed in range(8)
        for batch in batches(histories, 10, 99, np.random.default_rng(seed))
    }
    assert len(cuts) > 1


def test_padded_keeps_pieces_apart() -> None:
    rows, mask = padded(np.array([7, 8, 9, 4]), np.array([0, 3]), np.array([3, 4]))
    assert rows.tolist() == [[7, 8, 9, 0, 0], [4, 0, 0, 0, 0]]
    assert mask.sum(1).tolist() == [3, 1]


def test_the_loss_is_the_cross_entropy_and_so_is_its_gradient() -> None:
    draw = torch.Generator().manual_seed(1)
    hidden, table = (torch.randn(n, 4, generator=draw, requires_grad=True) for n in (6, 5))
    correction, targets = torch.randn(5, generator=draw), torch.randint(0, 5, (6,), generator=draw)
    ours = CrossEntropy.apply(hidden, table, correction, targets, 4)  # the last two rows only fill up the shape
    theirs = F.cross_entropy((hidden @ table.T - correction)[:4], targets[:4])
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(
        torch.autograd.grad(3 * ours, (hidden, table)), torch.autograd.grad(3 * theirs, (hidden, table)), strict=True
    ):
        torch.testing.assert_close(mine, other)


def test_candidates_are_all_targets_and_some_more() -> None:
    batch = Batch(np.array([[3, 9, 0]]), np.array([[True, True, False]]))
    chosen, chance = candidates_of(batch.targets, 10, np.full(50, 1 / 50), np.random.default_rng(0))
    assert {3, 9} <= set(chosen)
    assert 10 <= len(chosen) <= 12
    assert np.array_equal(chosen, np.unique(chosen))
    # two targets a batch, each this item with chance 1/50, or among 10 of 50
    np.testing.assert_allclose(chance, 1 - np.exp(-2 / 50) * 0.8)


def test_enough_candidates_are_the_whole_catalogue() -> None:
    batch = Batch(np.array([[3]]), np.ones((1, 1), dtype=bool))
    chosen, chance = candidates_of(batch.targets, 50, np.full(50, 1 / 50), np.random.default_rng(0))
    assert chosen.tolist() == list(range(50))
    assert chance.tolist() == [1.0] * 50


def test_a_sampled_softmax_learns_the_ring_too() -> None:
    split = tiny_split()
    method = SASRec(dimensions=32, heads=2, candidates=4)
    method.fit(split.training)
    scores = method.score(someone(split, "bread-5", "bread-6"))[0]
    best = np.argsort(-scores)[:3]
    assert "bread-7" in {split.training.catalogue.ids[i] for i in best}


def test_seeds_differ_and_the_global_random_state_is_left_alone() -> None:
    split = tiny_split()
    before = torch.get_rng_state()
    scores = []
    for seed in (0, 1):
        method = quick(seed=seed)
        method.fit(split.training)
        scores.append(method.score(everyone(split)))
    assert not np.array_equal(*scores)
    assert torch.equal(before, torch.get_rng_state())


def test_nobody_in_particular_gets_the_state_of_the_start_token() -> None:
    split = tiny_split()
    method = quick()
    method.fit(split.training)
    nobody = Queries(np.array([-1, -1]), Histories.of([[], [2, 3]]))
    with torch.no_grad():
        start = method._network(torch.zeros(1, 0, dtype=torch.int64))[:, 0]
        expected = start @ F.normalize(method._network.items.weight, dim=-1).T
    np.testing.assert_allclose(method.score(nobody)[:1], expected.numpy(), rtol=1e-4, atol=1e-5)


def test_heads_must_share_the_width() -> None:
    with pytest.raises(ValueError, match="10 dimensions cannot be shared by 4 heads"):
        SASRec(dimensions=10)


def test_a_catalogue_that_memory_cannot_hold_is_refused() -> None:
    with pytest.raises(IsrfError, match=r"sasrec: 16 items .* leave sasrec out"):
        SASRec(max_items=15).fit(tiny_split().training)


def test_divergence_is_told() -> None:
    with pytest.raises(IsrfError, match=r"sasrec diverged in epoch \d; lower its learning_rate"):
        quick(learning_rate=float("inf")).fit(tiny_split().training)
