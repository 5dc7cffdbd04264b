"""Ranks with ties against the target, HR and NDCG; cross-checked against ranx."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isrf.data.histories import Histories
from isrf.evaluation import metrics
from isrf.evaluation.audit import id_order
from isrf.evaluation.metrics import full_ranks, hit, ndcg, sampled_ranks


def rank(scores: list[float], target: int, seen: list[int]) -> int:
    return int(full_ranks(np.array([scores], dtype=np.float32), np.array([target]), Histories.of([seen]))[0])


@pytest.mark.parametrize("module", [metrics, id_order])
def test_worked_examples_in_the_documentation(module: object) -> None:
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert tried >= 2
    assert failed == 0


@pytest.mark.parametrize(
    ("scores", "target", "seen", "expected"),
    [
        ([3.0, 2.0, 1.0], 0, [], 0),
        ([3.0, 2.0, 1.0], 2, [], 2),
        ([3.0, 2.0, 1.0], 2, [0], 1),  # a seen item is no candidate
        ([3.0, 2.0, 1.0], 2, [0, 0], 1),  # an item seen twice is one item
        ([1.0, 1.0, 1.0], 1, [], 2),  # tied with everything: last
        ([1.0, 1.0, 1.0], 1, [2], 1),
        ([-np.inf, -np.inf, 0.0], 0, [], 2),  # a target that cannot be produced ties with whatever cannot be either
        ([np.inf, 5.0, np.inf], 0, [], 1),
    ],
)
def test_ranks_worked_by_hand(scores: list[float], target: int, seen: list[int], expected: int) -> None:
    assert rank(scores, target, seen) == expected


def test_nan_is_an_error_wherever_it_stands() -> None:
    with pytest.raises(ValueError, match="row 0, item 2 is NaN"):
        rank([1.0, 2.0, np.nan], 0, [])
    with pytest.raises(ValueError, match="NaN"):
        sampled_ranks(np.array([[1.0, 2.0, np.nan]]), np.array([0]), Histories.of([[1]]))


def test_a_target_among_the_seen_items_is_an_error() -> None:
    with pytest.raises(ValueError, match="target 1 is among the seen items"):
        rank([1.0, 2.0, 3.0], 1, [0, 1])


@st.composite
def tied_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Histories]:
    """Few distinct values, so that ties are the rule."""
    users, items = draw(st.integers(1, 5)), draw(st.integers(2, 9))
    values = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=items, max_size=items)
    scores = np.array([draw(values) for _ in range(users)], dtype=np.float32)
    targets = np.array([draw(st.integers(0, items - 1)) for _ in range(users)])
    seen = [draw(st.lists(st.sampled_from([i for i in range(items) if i != t]), max_size=6)) for t in targets]
    return scores, targets, Histories.of(seen)


@given(tied_scores())
def test_rank_is_the_definition_item_by_item(case: tuple[np.ndarray, np.ndarray, Histories]) -> None:
    scores, targets, seen = case
    for row, got in enumerate(full_ranks(scores, targets, seen)):
        others = set(range(scores.shape[1])) - {int(targets[row])} - set(seen[row].tolist())
        assert got == sum(scores[row, i] >= scores[row, targets[row]] for i in others)


@given(tied_scores())
def test_no_way_to_break_ties_is_worse_for_the_target(case: tuple[np.ndarray, np.ndarray, Histories]) -> None:
    scores, targets, seen = case
    rng = np.random.default_rng(0)
    pessimistic = full_ranks(scores, targets, seen)
    for _ in range(3):
        broken = scores + rng.uniform(0, 0.1, size=scores.shape).astype(np.float32)  # values are 0.5 apart
        assert (full_ranks(broken, targets, seen) <= pessimistic).all()


@given(tied_scores())
def test_sampling_every_candidate_is_full_ranking(case: tuple[np.ndarray, np.ndarray, Histories]) -> None:
    scores, targets, seen = case
    everything = [
        sorted(set(range(scores.shape[1])) - {int(t)} - set(h.tolist())) for t, h in zip(targets, seen, strict=True)
    ]
    assert np.array_equal(sampled_ranks(scores, targets, Histories.of(everything)), full_ranks(scores, targets, seen))


def test_scores_and_histories_are_left_alone() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    scores.flags.writeable = False
    full_ranks(scores, np.array([0, 1, 2]), Histories.of([[1], [2], []]))


def test_a_perfect_list_scores_one_and_an_eleventh_place_nothing() -> None:
    ranks = np.array([0, 9, 10, 10**6])
    assert hit(ranks, 10).tolist() == [1.0, 1.0, 0.0, 0.0]
    assert ndcg(ranks, 10).tolist() == pytest.approx([1.0, 1 / np.log2(11), 0.0, 0.0])
    assert ndcg(ranks, 5).tolist() == [1.0, 0.0, 0.0, 0.0]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), users=st.integers(1, 12), items=st.integers(7, 40))
def test_same_figures_as_ranx(seed: int, users: int, items: int) -> None:
    """Of each person and on the mean."""
    from ranx import Qrels, Run  # five seconds, which the processes that run other tests need not spend
    from ranx import evaluate as ranx_evaluate

    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(items, dtype=np.float64), (users, 1)), axis=1)  # no ties
    targets = rng.integers(0, items, size=users)
    seen = Histories.of([rng.choice(np.delete(np.arange(items), t), size=5, replace=False) for t in targets])
    ranks = full_ranks(scores, targets, seen)
    qrels = Qrels({f"u{u}": {f"i{t}": 1} for u, t in enumerate(targets)})
    run = Run({f"u{u}": {f"i{i}": float(scores[u, i]) for i in range(items) if i not in seen[u]} for u in range(users)})
    theirs = ranx_evaluate(qrels, run, ["hit_rate@5", "ndcg@5", "hit_rate@10", "ndcg@10"], return_mean=False)
    order = np.argsort([f"u{u}" for u in range(users)])  # ranx sorts people by name
    for k in (5, 10):
        assert hit(ranks, k)[order] == pytest.approx(theirs[f"hit_rate@{k}"], abs=1e-9)
        assert ndcg(ranks, k)[order] == pytest.approx(theirs[f"ndcg@{k}"], abs=1e-9)
        assert ndcg(ranks, k).mean() == pytest.approx(np.mean(theirs[f"ndcg@{k}"]), abs=1e-9)
