"""The bootstrap covers what it says, and the paired test agrees with scipy's."""

from __future__ import annotations

import doctest
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, permutation_test, ttest_rel

from isrf.evaluation import significance
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.significance import (
    bootstrap_interval,
    bootstrap_means,
    difference_draws,
    effect_size,
    holm,
    paired_permutation,
    paired_test,
    percentiles,
)


def gains(seed: int, people: int, success: float) -> np.ndarray:
    """NDCG@10 of people of whom a share ``success`` finds the target within the list."""
    rng = np.random.default_rng(seed)
    return ndcg(np.where(rng.random(people) < success, rng.integers(0, 10, people), 100), 10)


def test_the_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    truth = 0.3 * ndcg(np.arange(10), 10).mean()
    covered = 0
    for seed in range(300):
        low, high = bootstrap_interval(gains(seed, 400, 0.3), samples=400, seed=seed)
        covered += low <= truth <= high
    assert 0.90 <= covered / 300 <= 0.985  # 95 %, give or take four standard errors


def test_the_interval_is_that_of_drawing_people_one_by_one() -> None:
    values = gains(1, 500, 0.2)
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, 500, size=(20_000, 500))].mean(axis=1)
    ours = bootstrap_interval(values, samples=20_000, seed=1)
    assert ours == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=0.001)


def test_the_interval_is_deterministic_by_seed() -> None:
    values = gains(2, 200, 0.3)
    assert bootstrap_interval(values, 500, seed=4) == bootstrap_interval(values, 500, seed=4)
    assert bootstrap_interval(values, 500, seed=4) != bootstrap_interval(values, 500, seed=5)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 100))
def test_the_interval_lies_within_the_values(values: list[float], seed: int) -> None:
    low, high = bootstrap_interval(np.array(values), 200, seed)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_a_wider_level_gives_a_wider_interval() -> None:
    values = gains(3, 300, 0.3)
    narrow, wide = bootstrap_interval(values, 2000, 0, level=0.5), bootstrap_interval(values, 2000, 0, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_nobody_has_no_interval() -> None:
    with pytest.raises(ValueError, match="no people"):
        bootstrap_interval(np.zeros(0), 100, 0)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.15])
def test_same_p_as_scipy(shift: float) -> None:
    a, b = gains(5, 150, 0.3 + shift), gains(6, 150, 0.3)
    theirs = permutation_test(
        (a, b), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", n_resamples=20_000, rng=1
    )
    difference, p = paired_permutation(a, b, samples=20_000, seed=2)
    assert difference == pytest.approx(theirs.statistic)
    assert p == pytest.approx(theirs.pvalue, abs=0.02)  # scipy doubles the smaller tail: equal up to chance


@settings(max_examples=25)
@given(data=st.data(), n=st.integers(2, 8))
def test_few_people_get_the_exact_p_of_scipy(data: st.DataObject, n: int) -> None:
    """scipy goes through every assignment of signs too, and doubles the smaller tail."""
    places = st.lists(st.integers(0, 12), min_size=n, max_size=n)
    a, b = (ndcg(np.array(data.draw(places)), 10) for _ in range(2))
    theirs = permutation_test((a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=2**n)
    difference, p = paired_permutation(a, b, samples=2**n, seed=0)
    assert difference == pytest.approx(theirs.statistic, abs=1e-9)
    assert p == pytest.approx(1.0 if difference == 0 else theirs.pvalue, abs=1e-9)


def test_drawn_signs_come_near_to_all_of_them() -> None:
    a, b = gains(8, 12, 0.6), gains(9, 12, 0.4)
    assert 2 ** np.count_nonzero(a - b) > 100
    exact = paired_permutation(a, b, samples=2**12, seed=0)[1]
    drawn = [paired_permutation(a, b, samples=100, seed=s)[1] for s in range(200)]
    assert exact not in drawn
    assert np.mean(drawn) == pytest.approx(exact, abs=0.02)


@settings(max_examples=25)
@given(places=st.lists(st.integers(0, 12), min_size=2, max_size=40), seed=st.integers(0, 1000))
def test_the_interval_is_that_of_scipy_for_the_same_resamples(places: list[int], seed: int) -> None:
    """Our counts written out as people, who are drawn; scipy's percentile interval of their means."""
    values = ndcg(np.array(places), 10)
    distinct, counts = np.unique(values, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(values), counts / len(values), size=100)
    means = np.array([np.repeat(distinct, times).mean() for times in drawn])
    assume(np.ptp(means) > 0)  # scipy refuses a distribution of one value
    given_ = SimpleNamespace(bootstrap_distribution=means)
    theirs = bootstrap((values,), np.mean, n_resamples=0, method="percentile", bootstrap_result=given_)
    ours = bootstrap_interval(values, samples=100, seed=seed)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=1e-9)


def test_worked_examples_in_the_documentation() -> None:
    failed, tried = doctest.testmod(significance)
    assert (failed, tried >= 4) == (0, True)


def test_no_difference_is_never_significant() -> None:
    a = gains(7, 100, 0.3)
    assert paired_permutation(a, a, samples=1000, seed=0) == (0.0, 1.0)


def test_p_is_uniform_where_there_is_no_difference() -> None:
    ps = [paired_permutation(gains(s, 300, 0.3), gains(s + 10_000, 300, 0.3), 300, seed=s)[1] for s in range(300)]
    assert np.mean(np.array(ps) < 0.05) < 0.11  # 5 %, four standard errors above
    assert np.mean(np.array(ps) < 0.5) == pytest.approx(0.5, abs=0.12)


def test_a_certain_difference_has_the_smallest_p_that_can_be_said() -> None:
    a, b = np.ones(50), np.zeros(50)
    assert paired_permutation(a, b, samples=999, seed=0) == (1.0, 1 / 1000)
    assert paired_permutation(b, a, samples=999, seed=0) == (-1.0, 1 / 1000)


def test_different_people_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="3 people on one side, 2 on the other"):
        paired_permutation(np.zeros(3), np.zeros(2), 100, 0)


@pytest.mark.parametrize("seed", range(5))
def test_small_samples_have_the_p_of_scipys_exact_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.random(12), rng.random(12)
    theirs = permutation_test(
        (a, b), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", n_resamples=np.inf
    )
    difference, p = paired_permutation(a, b, samples=2**12, seed=0)
    assert difference == pytest.approx(theirs.statistic, abs=1e-9)
    assert p == pytest.approx(theirs.pvalue, abs=1e-9)


def test_the_interval_is_scipys_of_the_same_resamples() -> None:
    values = gains(8, 300, 0.3)
    drawn = bootstrap_means(values[None], 1000, np.random.default_rng(3))[:, 0]
    theirs = bootstrap((values,), np.mean, n_resamples=10, method="percentile", rng=0)
    theirs.bootstrap_distribution = drawn
    again = bootstrap((values,), np.mean, n_resamples=0, method="percentile", bootstrap_result=theirs)
    ours = bootstrap_interval(values, 1000, seed=3)
    assert ours == pytest.approx(tuple(again.confidence_interval), abs=1e-9)
    assert drawn.std(ddof=1) == pytest.approx(values.std() / 300**0.5, rel=0.1)


def test_the_effect_size_is_that_of_the_paired_t_test() -> None:
    a, b = gains(9, 200, 0.35), gains(10, 200, 0.3)
    assert effect_size(a - b) == pytest.approx(ttest_rel(a, b).statistic / 200**0.5, abs=1e-9)
    assert effect_size(np.full(5, 0.1)) is None and effect_size(np.array([0.3])) is None


def runs(seed: int, seeds: int, mean: float, between: float, people: int = 400) -> np.ndarray:
    """(seeds, people): trainings that differ by ``between`` on the whole, people who differ by far more."""
    rng = np.random.default_rng(seed)
    found = rng.normal(mean, 0.2, people) + rng.normal(0, between, (seeds, 1)) + rng.normal(0, 0.05, (seeds, people))
    return found.round(1)  # few distinct values, as of metrics


def test_one_run_is_the_bootstrap_over_people() -> None:
    values = gains(11, 300, 0.3)
    assert bootstrap_interval(values[None], 500, 1) == bootstrap_interval(values, 500, 1)
    a, b = gains(12, 300, 0.4), gains(13, 300, 0.3)
    found = paired_test(a[None], b[None], 500, 2000, seed=0)
    assert (found.difference, found.p) == paired_permutation(a, b, 2000, seed=0) and found.p_models == found.p
    low, high = found.interval
    assert low < found.difference < high


def test_the_variance_of_the_draws_is_that_of_seeds_and_people() -> None:
    """Without noise of single people in single runs: s^2 / S of the seeds and the variance of people, added."""
    people = np.random.default_rng(0).normal(0, 0.2, 500).round(1)
    for shifts in ((0.0, 0.1), (0.0, 0.04, 0.1)):
        values = people[None] + np.array(shifts)[:, None]
        wanted = np.var(shifts, ddof=1) / len(shifts) + people.var() / 500
        drawn = difference_draws(values, np.zeros((1, 500)), 5000, 0)
        assert drawn.var() == pytest.approx(wanted, rel=0.08)
        assert bootstrap_interval(values, 5000, 0) == pytest.approx(percentiles(drawn, 0.95), abs=0.01)


def test_a_difference_between_trainings_is_not_taken_for_one_between_methods() -> None:
    """The same method twice, three seeds each, with large differences between trainings: the permutation test alone
    sounds the alarm again and again."""
    alone, folded = 0, 0
    for seed in range(20):
        a, b = runs(2 * seed, 3, 0.3, 0.1), runs(2 * seed + 1, 3, 0.3, 0.1)
        alone += paired_permutation(a.mean(0), b.mean(0), 300, seed)[1] < 0.05
        found = paired_test(a, b, 200, 300, seed)
        folded += found.p < 0.05
        assert found.p_models == paired_permutation(a.mean(0), b.mean(0), 300, seed)[1] <= found.p
    assert alone > 10 and folded < 7


def test_a_large_difference_is_seen_in_spite_of_seeds() -> None:
    found = paired_test(runs(1, 3, 0.5, 0.02), runs(2, 3, 0.3, 0.02), 500, 1000, seed=0)
    assert found.p < 0.01 and found.interval[0] > 0.1


def test_a_method_with_seeds_against_one_without() -> None:
    a, b = runs(3, 3, 0.4, 0.05), runs(4, 1, 0.3, 0.0)
    wide, narrow = (paired_test(x, b, 2000, 500, seed=0).interval for x in (a, a.mean(0, keepdims=True)))
    assert wide[1] - wide[0] > 1.2 * (narrow[1] - narrow[0])


def test_holm_by_hand() -> None:
    # 4 * 0.01, 3 * 0.02, 2 * 0.02 raised to what came before, 1 * 0.5
    assert holm([0.02, 0.5, 0.01, 0.02]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_between_the_p_and_bonferroni(ps: list[float]) -> None:
    corrected = holm(ps)
    for before, after in zip(ps, corrected, strict=True):
        assert before <= after <= min(1.0, len(ps) * before) + max(ps) and after <= 1
    assert min(corrected) == pytest.approx(min(1.0, len(ps) * min(ps)))
    order = np.argsort(ps, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
