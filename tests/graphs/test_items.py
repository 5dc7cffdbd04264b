"""Item graphs against loops that say in words what they count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.data.histories import Histories
from isrf.graphs.item_graphs import cooccurrence_graph, damped, transitions

N_ITEMS = 7


def logs() -> st.SearchStrategy[list[list[int]]]:
    """Histories without repeated items, empty ones among them."""
    return st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=N_ITEMS, unique=True), max_size=6)


@given(logs(), st.integers(1, 8), st.floats(0, 2))
def test_transitions_count_every_later_item_within_the_window(log: list[list[int]], window: int, power: float) -> None:
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for history in log:
        for at, item in enumerate(history):
            for distance, later in enumerate(history[at + 1 : at + 1 + window], 1):
                expected[item, later] += distance**-power
    found = transitions(Histories.of(log), N_ITEMS, window, power)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)


def test_transitions_never_cross_from_one_person_to_the_next() -> None:
    found = transitions(Histories.of([[0, 1], [2, 3]]), 4, 3, 0.0).toarray()
    assert sorted(zip(*found.nonzero(), strict=True)) == [(0, 1), (2, 3)]


@given(logs())
def test_companions_are_joined_by_each_person_who_has_both(log: list[list[int]]) -> None:
    choices = Histories.of(log)
    bought_by = [sum(item in history for history in log) for item in range(N_ITEMS)]
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for history in log:
        for a in history:
            for b in history:
                if a != b:
                    expected[a, b] += 1 / len(history) / np.sqrt(bought_by[a] * bought_by[b])
    graph = cooccurrence_graph(choices.matrix(N_ITEMS))
    np.testing.assert_allclose(graph.toarray(), expected, atol=1e-6)
    assert not graph.diagonal().any() and (graph.data != 0).all()


@given(logs(), st.floats(0, 1), st.floats(0, 1))
def test_damping_divides_by_powers_of_both_sums(log: list[list[int]], row_power: float, column_power: float) -> None:
    counts = transitions(Histories.of(log), N_ITEMS, 3, 0.5)
    plain = counts.toarray().astype(np.float64)
    rows, columns = plain.sum(1), plain.sum(0)
    expected = np.zeros_like(plain)
    for i, j in zip(*plain.nonzero(), strict=True):
        expected[i, j] = plain[i, j] / rows[i] ** row_power / columns[j] ** column_power
    found = damped(counts, row_power, column_power)
    assert found.dtype == np.float32 and np.isfinite(found.data).all()
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-4)


def test_damping_by_the_power_one_makes_rows_shares() -> None:
    found = damped(transitions(Histories.of([[0, 1, 2], [0, 2]]), 3, 2, 0.0), 1.0, 0.0)
    assert found.sum(1).ravel().tolist()[0] == pytest.approx([1, 1, 0])
