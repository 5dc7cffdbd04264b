"""Every baseline passes the shared contract; what each one computes is checked on cases worked by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from tests.methods.contract import Fitted, contract_cases, someone, tiny_split

from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.history_matrix import history_matrix
from isrf.data.queries import Queries, Task
from isrf.data.training_data import Catalogue, TrainingData
from isrf.graphs.item_graphs import damped, transitions
from isrf.methods.ease import EASE, mirror_upper
from isrf.methods.id_plus_one import IdPlusOne
from isrf.methods.interface import Method
from isrf.methods.itemknn import ItemKNN, top_of_each_row
from isrf.methods.popularity import Popularity
from isrf.methods.registry import BASELINES, TRAINED
from isrf.methods.seq_itemknn import SeqItemKNN


def made(make: Callable[[], Method]) -> Fitted:
    def fitted(training: TrainingData) -> Method:
        method = make()
        method.fit(training)
        return method

    return fitted


def log(*histories: list[int], n_items: int) -> TrainingData:
    """Training data of the given item rows."""
    table = pl.DataFrame({Columns.ITEM: [f"i{i}" for i in range(n_items)], Columns.TITLE: [""] * n_items})
    return TrainingData([f"u{u}" for u in range(len(histories))], Catalogue(table), Histories.of(list(histories)))


def ask(history: list[int], task: Task = "sequential") -> Queries:
    return Queries(np.array([-1]), Histories.of([history]), task)


CASES = contract_cases(
    {name: made(make) for name, make in (BASELINES | TRAINED).items()},
    # sasrec is asked what comes next, and tea-0 never comes soon after tea-3: test_sasrec.py has its known answer
    impersonal={"popularity", "id-plus-one", "sasrec"},
    trained=TRAINED,
)


@pytest.mark.parametrize(("check", "fitted"), CASES)
def test_contract(check: Callable[[Fitted], None], fitted: Fitted) -> None:
    check(fitted)


def test_baselines_are_listed_under_their_own_names() -> None:
    listed = BASELINES | TRAINED
    assert {name: make().name for name, make in listed.items()} == {name: name for name in listed}
    assert not set(BASELINES) & set(TRAINED)


def test_popularity_counts_training_interactions() -> None:
    method = made(Popularity)(log([0, 1], [1, 2], [1], n_items=4))
    assert method.score(ask([0])).tolist() == [[1.0, 3.0, 1.0, 0.0]]


def test_itemknn_is_the_shrunk_cosine() -> None:
    # item 0: 2 users, item 1: 3 users, both: 2 users
    method = made(lambda: ItemKNN(neighbours=5, shrinkage=1.0))(log([0, 1], [0, 1], [1, 2], n_items=3))
    assert method.score(ask([0]))[0].tolist() == pytest.approx([0.0, 2 / (6**0.5 + 1), 0.0])
    assert method.score(ask([0, 2]))[0, 1] == pytest.approx(2 / (6**0.5 + 1) + 1 / (3**0.5 + 1))


def test_itemknn_keeps_the_most_similar_neighbours_only() -> None:
    training = log([0, 1], [0, 1], [0, 2], n_items=3)
    scores = made(lambda: ItemKNN(neighbours=1, shrinkage=0.0))(training).score(ask([0]))
    assert scores[0, 1] > 0
    assert scores[0, 2] == 0


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_top_of_each_row_keeps_the_largest(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    full = rng.integers(0, 5, size=(5, 8)).astype(np.float32)
    kept = top_of_each_row(sp.csr_matrix(full), k).toarray()
    for before, after in zip(full, kept, strict=True):
        assert sorted(after[after > 0], reverse=True) == sorted(before[before > 0], reverse=True)[:k]


def test_transitions_weigh_by_distance_and_stay_within_a_history() -> None:
    counted = transitions(Histories.of([[0, 1, 2], [3, 0]]), n_items=4, window=2, distance_power=1.0).toarray()
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 2] = expected[3, 0] = 1.0
    expected[0, 2] = 0.5  # two steps
    assert counted == pytest.approx(expected)


def test_transitions_stop_at_the_window() -> None:
    counted = transitions(Histories.of([[0, 1, 2]]), n_items=3, window=1, distance_power=1.0)
    assert counted[0, 2] == 0


def test_damped_divides_by_powers_of_row_and_column_sums() -> None:
    matrix = sp.csr_matrix(np.array([[1.0, 3.0], [0.0, 0.0]]))
    assert damped(matrix, 0.5, 1.0).toarray() == pytest.approx(np.array([[1 / 2, 3 / (2 * 3)], [0, 0]]))


def test_seq_itemknn_knows_the_next_item_around_the_ring() -> None:
    split = tiny_split()
    scores = made(SeqItemKNN)(split.training).score(someone(split, "tea-1", "tea-2", "tea-3"))[0]
    scores[split.training.catalogue.rows_of(["tea-1", "tea-2", "tea-3"])] = -np.inf
    assert split.training.catalogue.ids[int(scores.argmax())] == "tea-4"


def test_seq_itemknn_sums_decayed_similarities_of_the_history() -> None:
    training = log([0, 2], [1, 3], n_items=4)
    method = made(lambda: SeqItemKNN(backward=0.0, source_power=0.0, target_power=0.0, decay=0.5))(training)
    assert method.score(ask([0, 1]))[0].tolist() == [0.0, 0.0, 0.5, 1.0]  # item 1 is the newest
    assert method.score(ask([1, 0], "direct"))[0].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_history_matrix_decays_only_where_there_is_an_order() -> None:
    assert history_matrix(ask([2, 0]), 3, 0.5).toarray().tolist() == [[1.0, 0.0, 0.5]]
    assert history_matrix(ask([2, 0], "direct"), 3, 0.5).toarray().tolist() == [[1.0, 0.0, 1.0]]


def test_ease_is_the_published_closed_form() -> None:
    rng = np.random.default_rng(1)
    histories = [rng.permutation(30)[:6].tolist() for _ in range(50)]
    training = log(*histories, n_items=30)
    dense = training.matrix.toarray().astype(np.float64)
    inverse = np.linalg.inv(dense.T @ dense + 7.0 * np.eye(30))
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    scores = made(lambda: EASE(regularisation=7.0, decay=0.5))(training).score(ask([3, 4]))
    assert scores[0] == pytest.approx(0.5 * weights[3] + weights[4], abs=1e-5)


def test_ease_works_in_one_array() -> None:
    n = 1200
    training = log(*[[i, (i + 1) % n] for i in range(n)], n_items=n)
    assert training.matrix.nnz == 2 * n
    tracemalloc.start()
    made(EASE)(training)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.7 * 4 * n * n  # the array, and blocks of it while it is mirrored: never a second whole copy


def test_ease_refuses_a_catalogue_that_memory_cannot_hold() -> None:
    with pytest.raises(IsrfError, match="leave ease out"):
        made(lambda: EASE(max_items=3))(log([0, 1], n_items=4))


@pytest.mark.parametrize("n", [1, 5, 256, 700])
def test_mirror_upper_makes_a_square_symmetric(n: int) -> None:
    square = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
    expected = np.triu(square) + np.triu(square, 1).T
    mirror_upper(square)
    assert np.array_equal(square, expected)


def best_first(method: Method, queries: Queries, history: list[int]) -> list[int]:
    scores = method.score(queries)[0]
    listed = np.argsort(-scores, kind="stable")
    return [int(i) for i in listed if i not in history and scores[i] > scores.min()]


def test_id_plus_one_interleaves_largest_and_last() -> None:
    method = made(IdPlusOne)(log([0], n_items=9))
    # largest 5: 6, 7, 8; last 1: 2, 3, 4
    assert best_first(method, ask([0, 5, 1]), [0, 5, 1]) == [6, 2, 7, 3, 8, 4]


def test_id_plus_one_knows_no_last_item_in_the_direct_task() -> None:
    method = made(IdPlusOne)(log([0], n_items=9))
    assert best_first(method, ask([0, 5, 1], "direct"), [0, 5, 1]) == [6, 7, 8]
    # under a numbering against the rows, the history's last row (5, number 3) is not its largest number (1, number 7)
    backwards = made(lambda: IdPlusOne(np.arange(9)[::-1]))(log([0], n_items=9))
    assert best_first(backwards, ask([1, 5], "direct"), [1, 5]) == [0]


def test_id_plus_one_reads_the_given_numbering() -> None:
    numbering = np.array([3, 2, 1, 0])  # row 3 has number 0, row 0 has number 3
    method = made(lambda: IdPlusOne(numbering))(log([0], n_items=4))
    assert best_first(method, ask([3]), [3]) == [2, 1, 0]


def test_id_plus_one_refuses_what_is_not_a_numbering() -> None:
    with pytest.raises(ValueError, match="permutation"):
        made(lambda: IdPlusOne(np.array([1, 1, 2])))(log([0], n_items=3))
