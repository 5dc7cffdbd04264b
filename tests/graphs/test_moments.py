"""Moments against loops: where people stood, what they chose next, and nothing of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from isrf.core.arrays import unit_rows
from isrf.core.config import GraphSettings
from isrf.data.histories import Histories
from isrf.graphs import prefix_index as module
from isrf.graphs.prefix_index import TEMPERATURE, IVFCells, PrefixIndex, interests, present_interests
from isrf.workspace.layout import PREFIX_CELLS_FILE

N_ITEMS = 8
TASTES = unit_rows(np.random.default_rng(2).normal(size=(N_ITEMS, 5)))
logs = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=6), max_size=8)


def by_hand(history: list[int], decay: float) -> np.ndarray:
    found = sum(
        (decay ** (len(history) - 1 - at) * TASTES[item] for at, item in enumerate(history)), np.zeros(TASTES.shape[1])
    )
    return found / max(np.linalg.norm(found), 1e-12)


@given(logs, st.sampled_from([0.3, 0.6, 1.0]))
def test_interests_are_decayed_means_of_what_was_chosen(log: list[list[int]], decay: float) -> None:
    histories = Histories.of(log)
    found, expected = interests(histories, TASTES, decay), []
    for history in log:
        expected += [by_hand(history[: at + 1], decay) for at in range(len(history))]
    np.testing.assert_allclose(found, np.array(expected).reshape(found.shape), atol=1e-5)
    now = present_interests(histories, TASTES, decay)
    np.testing.assert_allclose(now, np.array([by_hand(h, decay) for h in log]).reshape(now.shape), atol=1e-5)


@given(logs, st.integers(1, 5), st.integers(-1, 8))
@examples(deadline=None)
def test_the_nearest_moments_of_others_vote_for_what_came_next(log: list[list[int]], top_k: int, user: int) -> None:
    settings = GraphSettings(top_k=top_k)
    moments = PrefixIndex.of(Histories.of(log), TASTES, settings)
    asked = by_hand([1, 3], settings.decay).astype(np.float32)
    pairs = [
        (float(asked @ by_hand(history[:at], settings.decay)), history[at])
        for other, history in enumerate(log)
        for at in range(1, len(history))
        if other != user
    ]
    nearest = sorted((p for p in pairs if p[0] > 1e-6), reverse=True)[:top_k]
    expected = np.zeros(N_ITEMS)
    for cosine, item in nearest:
        expected[item] += np.exp((cosine - 1) / TEMPERATURE)
    links = moments.links(asked[None], np.array([user]))
    assert links.shape == (1, len(moments)) and links.nnz <= top_k and user not in moments.users[links.indices]
    if len({round(c, 5) for c, _ in pairs}) == len(pairs):  # which of two equally near moments counts is left open
        np.testing.assert_allclose(moments.votes(links, N_ITEMS).toarray()[0], expected, rtol=1e-3, atol=1e-6)


def test_whoever_has_no_interests_hears_nobody() -> None:
    moments = PrefixIndex.of(Histories.of([[0, 1, 2], [3, 4]]), TASTES, GraphSettings())
    assert moments.links(np.zeros((2, 5), np.float32), np.array([-1, 0])).nnz == 0
    empty = PrefixIndex.of(Histories.of([[1], []]), TASTES, GraphSettings())
    assert len(empty) == 0 and empty.links(TASTES[:3], np.array([-1, -1, -1])).shape == (3, 0)


def test_many_moments_are_searched_by_cells_which_finds_nearly_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    tastes = unit_rows(np.repeat(centres, 20, 0) + 0.3 * rng.normal(size=(800, 16)))
    log = [rng.permutation(20)[:8] + 20 * rng.integers(0, 40) for _ in range(400)]
    settings = GraphSettings(top_k=20)
    asked, nobody = tastes[::5], np.full(160, -1)
    exact = PrefixIndex.of(Histories.of(log), tastes, settings).links(asked, nobody)
    monkeypatch.setattr(module, "SEARCHED_WHOLE", 100)
    monkeypatch.setattr(module, "LOOKED_AT", 1)
    monkeypatch.setattr(module, "CELLS_SEARCHED", 0.05)
    by_cells = PrefixIndex.of(Histories.of(log), tastes, settings)
    found = by_cells.links(asked, nobody)
    assert by_cells.index.nprobe < by_cells.index.nlist / 10
    assert found.minimum(exact).sum() > 0.95 * exact.sum()
    by_cells.cells.save(tmp_path)
    kept = PrefixIndex.of(Histories.of(log), tastes, settings, IVFCells.load(tmp_path / PREFIX_CELLS_FILE))
    assert (kept.links(asked, nobody) != found).nnz == 0, "cells that were kept are searched as those just found"


def test_a_long_history_of_ones_own_does_not_crowd_out_others() -> None:
    """Hundreds of one's own moments are nearer than anybody else's: the others are heard all the same."""
    log = [[0, 1] * 150, [2, 0, 3], [2, 1, 4]]
    moments = PrefixIndex.of(Histories.of(log), TASTES, GraphSettings(top_k=2, decay=1.0))
    asked = present_interests(Histories.of(log[:1]), TASTES, 1.0)
    found = moments.links(asked, np.array([0]))
    near = asked[0] @ moments.vectors[-4:].T
    assert found.nnz == min(2, int((near > 0).sum())) > 0 and 0 not in moments.users[found.indices]
