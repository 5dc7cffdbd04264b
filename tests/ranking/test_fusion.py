"""Fusion on signals drawn at random, where the right answer can be computed by looking at everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from isrf.data.histories import Histories
from isrf.evaluation.metrics import full_ranks, ndcg
from isrf.ranking.fit_fusion import CANDIDATES, collect, fit_fusion
from isrf.ranking.fusion import Fusion, spread

Block = tuple[dict[str, np.ndarray], Histories, np.ndarray]


def blocks(seed: int, n_items: int = 40, n_blocks: int = 2, size: int = 9, coarse: bool = False) -> list[Block]:
    """Signals of which "good" knows the target best, "fair" a little and "noise" not at all; ``coarse`` ties a lot."""
    rng = np.random.default_rng(seed)
    made: list[Block] = []
    for _ in range(n_blocks):
        targets = rng.integers(0, n_items, size)
        seen = [rng.permutation(np.setdiff1d(np.arange(n_items), [t]))[: rng.integers(0, 6)] for t in targets]
        signals = {name: rng.normal(size=(size, n_items)) for name in ("noise", "fair", "good")}
        for name, lift in (("fair", 0.8), ("good", 1.6)):
            signals[name][np.arange(size), targets] += lift
        signals["fair"] *= 100  # another unit
        if coarse:
            signals = {name: np.round(signal) for name, signal in signals.items()}
        made.append(({n: s.astype(np.float32) for n, s in signals.items()}, Histories.of(seen), targets))
    return made


def fully_ranked(made: list[Block], fusion: Fusion) -> float:
    """Mean NDCG@10 over all items, computed as evaluation does."""
    gains = [ndcg(full_ranks(fusion.score(signals), targets, seen), 10) for signals, seen, targets in made]
    return float(np.concatenate(gains).mean())


@given(st.integers(0, 10_000), st.booleans())
@examples(max_examples=25)
def test_in_a_small_catalogue_candidates_rank_as_everything_does(seed: int, coarse: bool) -> None:
    made = blocks(seed, coarse=coarse)
    assert made[0][0]["good"].shape[1] <= CANDIDATES
    evidence = collect(made)
    for weights in (np.array([0, 0, 1.0]), np.array([1.0, 0, 0])):
        fusion = Fusion(
            dict(zip(evidence.names, evidence.scales, strict=True)),
            dict(zip(evidence.names, weights, strict=True)),
            0,
            0,
        )
        assert evidence.ndcg10(weights) == pytest.approx(fully_ranked(made, fusion), abs=1e-6)


@given(st.integers(0, 10_000), st.booleans())
@examples(max_examples=25)
def test_weights_never_lose_against_the_best_signal_alone(seed: int, coarse: bool) -> None:
    evidence = collect(blocks(seed, coarse=coarse))
    fusion = fit_fusion(evidence)
    stored = np.array([fusion.weights[name] for name in evidence.names])
    alone = [evidence.ndcg10(row) for row in np.eye(len(evidence.names))]
    assert evidence.ndcg10(stored) == fusion.valid_ndcg10 >= max(alone)
    assert stored.max() == 1 and stored.min() >= 0
    assert fusion.users == 18


def test_two_signals_that_know_different_things_beat_each_alone() -> None:
    made = blocks(3, n_items=200, n_blocks=4, size=60)
    evidence = collect(made)
    fusion = fit_fusion(evidence)
    assert fusion.valid_ndcg10 > evidence.ndcg10(np.array([0, 0, 1.0])) + 0.01
    assert fusion.weights["good"] == 1 > fusion.weights["noise"] and fusion.weights["fair"] > 0
    # among 200 items the candidates are a sample, and what is fitted on them holds for all
    assert fully_ranked(made, fusion) == pytest.approx(fusion.valid_ndcg10, abs=0.01)


def test_ties_count_against_us() -> None:
    flat = {"flat": np.zeros((1, 30), np.float32)}
    evidence = collect([(flat, Histories.of([[]]), np.array([4]))])
    assert evidence.ndcg10(np.ones(1)) == 0
    few = {"flat": np.zeros((1, 5), np.float32)}
    evidence = collect([(few, Histories.of([[0, 1]]), np.array([4]))])
    assert evidence.ndcg10(np.ones(1)) == pytest.approx(1 / np.log2(4))  # behind the two other unseen items


def test_seen_items_are_no_rivals() -> None:
    signal = {"one": np.array([[9, 8, 7, 1, 0]], np.float32)}
    unseen = collect([(signal, Histories.of([[]]), np.array([3]))])
    seen = collect([(signal, Histories.of([[0, 1, 2]]), np.array([3]))])
    assert unseen.ndcg10(np.ones(1)) == pytest.approx(1 / np.log2(5)) and seen.ndcg10(np.ones(1)) == 1


@given(st.integers(0, 10_000))
@examples(max_examples=20)
def test_contributions_sum_to_the_score(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signals = {name: rng.normal(size=(3, 7)).astype(np.float32) for name in "abc"}
    before = {name: signal.copy() for name, signal in signals.items()}
    fusion = Fusion({"a": 2.0, "b": 0.5, "c": 1.0}, {"a": 1.0, "b": float(rng.random()), "c": 0.0}, 0.1, 3)
    parts = fusion.contributions(signals, "a", {})
    assert set(parts) == {"a", "b"} and all(part.dtype == np.float32 for part in parts.values())
    np.testing.assert_allclose(sum(parts.values()), fusion.score(signals), rtol=1e-5, atol=1e-5)
    moved = fusion.contributions(signals, "a", {"c": rng.random(3).astype(np.float32)})
    assert set(moved) == {"a", "b", "c"}, "what a holds of c counts for c, though c has no weight of its own"
    np.testing.assert_allclose(sum(moved.values()), fusion.score(signals), rtol=1e-5, atol=1e-5)
    assert fusion.contributions(signals, "c", {"a": np.ones(3, np.float32)}).keys() == {"a", "b"}
    assert fusion.score(signals).dtype == np.float32
    assert all(np.array_equal(signals[name], before[name]) for name in signals), "signals are left as they were"


def test_scaling_makes_units_irrelevant() -> None:
    made = blocks(5)
    other = [({n: s * (1024 if n == "noise" else 1) for n, s in signals.items()}, *rest) for signals, *rest in made]
    one, two = fit_fusion(collect(made)), fit_fusion(collect(other))  # type: ignore[arg-type]
    assert one.weights == two.weights and one.valid_ndcg10 == two.valid_ndcg10


def test_a_signal_that_is_silent_in_the_first_block_does_not_shout_in_the_second() -> None:
    made = blocks(6)
    made[0][0]["noise"][:] = 0
    evidence = collect(made)
    assert evidence.scales[evidence.names.index("noise")] == 1
    assert np.abs(evidence.others).max() < 1000


@given(st.floats(0.0009765625, 1024, width=32), st.integers(1, 2000))
def test_a_constant_signal_is_silent_however_it_is_rounded(value: float, width: int) -> None:
    """Every item as popular as the next: a standard deviation in float32 is rounding, and made scores of millions."""
    assert spread({"popularity": np.full((3, width), value, np.float32)}).tolist() == [1.0]


def test_fitting_is_deterministic() -> None:
    assert fit_fusion(collect(blocks(7))) == fit_fusion(collect(blocks(7)))
