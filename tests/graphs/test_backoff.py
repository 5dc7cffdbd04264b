"""What items without interactions, or with few, borrow from those whose texts are nearest."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.arrays import unit_rows
from isrf.core.config import GraphSettings
from isrf.graphs.backoff import BackOff, lenders_of

TEXTS = unit_rows(np.array([[1, 0], [1, 0.2], [0, 1], [0.9, 0.1], [0, 0]], dtype=np.float32))
"""Items 0, 1 and 3 are alike, 2 is not, and 4 has no text."""


def test_a_new_item_has_the_evidence_of_its_nearest_item() -> None:
    backoff = BackOff.of(np.array([9, 9, 9, 0, 0]), TEXTS, GraphSettings(lenders=1, rare=5))
    told = sp.csr_matrix(np.array([[4.0, 1.0, 2.0, 0.0, 0.0]], dtype=np.float32))
    nearest = int(np.argmax(TEXTS[3] @ TEXTS[:3].T))
    assert backoff.new_items.tolist() == [False, False, False, True, False]
    for discount in (0.5, 1.0):
        found = backoff.lent(told, discount).toarray()[0]
        assert found.tolist() == pytest.approx([4, 1, 2, discount * told[0, nearest], 0])
    assert backoff.lent(told, 0.0).toarray()[0].tolist() == [4, 1, 2, 0, 0]


def test_a_rare_item_borrows_the_less_the_more_it_has_of_its_own() -> None:
    told = sp.csr_matrix(np.array([[0.0, 8.0, 0.0, 1.0, 0.0]], dtype=np.float32))
    for own, share in ((1, 3 / 4), (3, 3 / 6)):
        backoff = BackOff.of(np.array([0, 9, 0, own, 0]), TEXTS, GraphSettings(lenders=1, rare=5, kappa=3.0))
        assert backoff.lent(told, 0.0)[0, 3] == pytest.approx(1 + 8 * share)
    common = BackOff.of(np.array([0, 9, 0, 6, 0]), TEXTS, GraphSettings(lenders=1, rare=5))
    assert common.lent(told, 0.0)[0, 3] == 1


def test_nobody_borrows_where_no_lender_is_allowed_or_none_has_text() -> None:
    popularity = np.array([9, 1, 0, 0, 0])
    for texts, lenders in ((TEXTS, 0), (np.zeros_like(TEXTS), 5)):
        backoff = BackOff.of(popularity, texts, GraphSettings(lenders=lenders))
        assert not backoff.rare.nnz and not backoff.new.nnz and not backoff.new_items.any()
        assert backoff.placed(TEXTS) is TEXTS
    assert not BackOff.nothing(5).new.nnz


def test_a_new_node_stands_where_its_lenders_do() -> None:
    backoff = BackOff.of(np.array([9, 9, 9, 0, 0]), TEXTS, GraphSettings(lenders=1))
    nodes = unit_rows(np.array([[0, 1], [0.6, 0.8], [1, 0], [1, 0], [0, 0]], dtype=np.float32))
    placed, nearest = backoff.placed(nodes), int(np.argmax(TEXTS[3] @ TEXTS[:3].T))
    assert placed[3] == pytest.approx(nodes[nearest])
    assert np.array_equal(placed[[0, 1, 2, 4]], nodes[[0, 1, 2, 4]])


def test_a_rare_embedding_is_drawn_to_its_lender_the_more_the_rarer_it_is() -> None:
    nodes = unit_rows(np.array([[0, 1], [0.6, 0.8], [1, 0], [1, 0], [0, 0]], dtype=np.float32))
    lender, towards = int(np.argmax(TEXTS[3] @ TEXTS[:3].T)), []
    for own in (0, 1, 4, 9):
        backoff = BackOff.of(np.array([9, 9, 9, own, 0]), TEXTS, GraphSettings(lenders=1, rare=5))
        found = backoff.embedded(nodes)
        towards.append(float(found[3] @ nodes[lender]))
        assert np.array_equal(found[[0, 1, 2, 4]], nodes[[0, 1, 2, 4]]) and np.linalg.norm(found[3]) == pytest.approx(1)
    assert towards[0] == pytest.approx(1) and towards == sorted(towards, reverse=True)
    assert towards[3] == pytest.approx(float(nodes[3] @ nodes[lender])), "nine are not rare"
    assert nodes[3] == pytest.approx([1, 0]), "the given ones stay"


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 8), st.integers(0, 6))
def test_shares_sum_to_one_and_come_from_the_nearest(seed: int, items: int, lenders: int, rare: int) -> None:
    rng = np.random.default_rng(seed)
    texts = unit_rows(np.abs(rng.normal(size=(items, 4))).astype(np.float32))
    texts[rng.random(items) < 0.2] = 0
    popularity = rng.integers(0, 12, items)
    backoff = BackOff.of(popularity, texts, GraphSettings(lenders=lenders, rare=rare, kappa=2.0))
    usable = (popularity > 0) & texts.any(1)
    for item in range(items):
        others = np.flatnonzero(usable & (np.arange(items) != item))
        borrows = texts[item].any() and len(others) > 0
        known = 1 <= popularity[item] <= rare
        new = float(borrows and popularity[item] == 0)
        assert backoff.new[item].sum() == pytest.approx(new, abs=1e-5)
        assert backoff.rare[item].sum() == pytest.approx(2 / (2 + popularity[item]) * (borrows and known), abs=1e-5)
        named = (backoff.rare + backoff.new)[item].indices
        assert len(named) <= lenders and item not in named and set(named) <= set(others)
        if len(named):
            near = texts[others] @ texts[item]
            assert (texts[named] @ texts[item]).min() >= np.sort(near)[-len(named)] - 1e-5


def test_an_item_is_not_its_own_lender_where_texts_are_the_same() -> None:
    same = unit_rows(np.ones((4, 3), dtype=np.float32))
    shares = lenders_of(same, np.arange(4), np.arange(4), 2).toarray()
    assert not shares.diagonal().any() and shares.sum(1) == pytest.approx(np.ones(4))
