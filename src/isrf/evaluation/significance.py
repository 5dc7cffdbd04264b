"""Is a number, or a difference between two, more than luck? Knows nothing about methods or metrics.

Two things are drawn by chance: the people who were asked, and, where a method was trained several times, the seeds of
its trainings. Intervals resample both; with one training they are about people alone, and say nothing of what another
training would give. The null hypothesis of the permutation test is about people alone, so with several trainings
``paired_test`` asks the bootstrap over seeds and people too and believes the less certain of the two.

Per-user metrics take few distinct values (NDCG@10 of one target: eleven), so resampling people is done on the counts
of the distinct values: the same distribution as drawing people one by one, at a thousandth of the cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np


def bootstrap_means(values: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """(samples, S) float64: the mean of each run over people drawn with replacement, the same people for all runs.

    Drawing n people makes the counts of the distinct columns multinomial(n, observed shares).

    Args:
        values: (S, n) float, one row a run.
        samples: bootstrap samples.
        rng: draws the people.

    Raises:
        ValueError: there are no people.
    """
    n = values.shape[1]
    if not n:
        raise ValueError("no people to draw from")
    distinct, counts = np.unique(values, axis=1, return_counts=True)
    drawn = rng.multinomial(n, counts / n, size=samples)
    return np.asarray(drawn @ distinct.T / n)


def over_seeds(means: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(samples,) float64: the mean over runs drawn with replacement, of the (samples, S) means of ``bootstrap_means``.

    S - 1 of the S runs are drawn, not S: a mean of so many draws has the variance s^2 / S that a mean over S seeds has
    (Rao & Wu, JASA 1988), where S draws would have (S - 1) / S of it, half with two seeds. One run is itself.
    """
    runs = means.shape[1]
    if runs == 1:
        return means[:, 0]
    weights = rng.multinomial(runs - 1, np.full(runs, 1 / runs), size=len(means)) / (runs - 1)
    return np.asarray((means * weights).sum(1))


def bootstrap_interval(values: np.ndarray, samples: int, seed: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over people, and over seeds where there are several runs.

    People and seeds are drawn independently of each other, since every run ranked for the same people. The noise of a
    single training on a single person is then counted in both, so the interval is rather too wide than too narrow; with
    two or three seeds the spread between trainings is itself a guess from two or three numbers.

    >>> bootstrap_interval(np.array([0.5, 0.5, 0.5]), 100, seed=0)  # whoever is drawn, the mean is the same
    (0.5, 0.5)
    >>> bootstrap_interval(np.array([0.0, 1.0]), 1000, seed=0)  # of two people both may be the one, or the other
    (0.0, 1.0)

    Args:
        values: (n,) float, one a person, or (S, n), one row a seed.
        samples: bootstrap samples.
        seed: the same seed and values give the same interval.
        level: coverage.

    Returns:
        (low, high). Raises ValueError where there are no people.
    """
    rng = np.random.default_rng(seed)
    return percentiles(over_seeds(bootstrap_means(np.atleast_2d(values), samples, rng), rng), level)


def percentiles(drawn: np.ndarray, level: float) -> tuple[float, float]:
    """The middle part of (samples,) bootstrap draws that holds a share ``level`` of them."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_permutation(a: np.ndarray, b: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """Difference of two methods on the same people, and how often chance alone makes one as large.

    Under the null hypothesis each person's difference could as well have the other sign. The sum over people who share
    an absolute difference v is then v (2 Binomial(m, 1/2) - m), m being how many they are. Where there are no more than
    ``samples`` assignments of signs all of them are tried, and p is exact.

    >>> paired_permutation(np.array([1.0, 0.5, 0.5]), np.array([0.0, 0.0, 0.0]), samples=100, seed=0)
    (0.6666666666666666, 0.25)

    Of the eight assignments two, all as they are and all turned, give a sum as far from 0 as the observed one.

    Args:
        a: (n,) float, metric of the first method, one a person.
        b: (n,) float, metric of the second method, the same people in the same order.
        samples: random sign assignments.
        seed: the same seed and values give the same p.

    Returns:
        (mean of a - b, two-sided p = (1 + samples at least as extreme) / (1 + samples), or the share of all
        assignments that are).

    Raises:
        ValueError: a and b differ in length, or are empty.
    """
    if len(a) != len(b) or not len(a):
        raise ValueError(f"{len(a)} people on one side, {len(b)} on the other")
    difference = a - b
    observed = np.abs(difference.sum())
    slack = 1e-9 * max(observed, 1.0)  # sums of the same terms in another order differ by rounding: count them as equal
    moved = difference[difference != 0]  # whose sign matters
    if len(moved) <= math.log2(samples):
        sums = np.array(list(product((-1.0, 1.0), repeat=len(moved)))) @ moved
        return float(difference.mean()), float(np.mean(np.abs(sums) >= observed - slack))
    sizes, counts = np.unique(np.abs(moved), return_counts=True)
    flips = 2 * np.random.default_rng(seed).binomial(counts, 0.5, size=(samples, len(counts))) - counts
    extreme = int(np.count_nonzero(np.abs(flips @ sizes) >= observed - slack))
    return float(difference.mean()), (1 + extreme) / (1 + samples)


@dataclass(frozen=True)
class Comparison:
    """Two methods on the same people.

    Attributes:
        difference: mean of the first minus mean of the second, over people and seeds.
        interval: 95% bootstrap interval of it, over people, and over seeds where there are several.
        p: two-sided, before any correction for how many comparisons were made.
        p_models: the same over people alone, the trained models taken as given; p where each method has one run.
        effect: the mean difference of a person divided by its standard deviation over people (d_z); None where all
            people differ by the same, so that there is none.
    """

    difference: float
    interval: tuple[float, float]
    p: float
    p_models: float
    effect: float | None


def paired_test(a: np.ndarray, b: np.ndarray, samples: int, permutations: int, seed: int) -> Comparison:
    """Compare two methods that ranked for the same people, each trained with one seed or with several.

    With one run each, p is that of ``paired_permutation``. That test takes the trained models as given. So with several
    runs p is the larger of it, on each person's mean over seeds, and of the bootstrap over seeds and people: twice the
    share of draws on the other side of 0. Seeds of the two methods are drawn independently: equal numbers of two methods
    are no pair, as they start from different weights. For two that rank with the same trainings give their difference and
    one run of zeros.

    Args:
        a: (S, n) float, one row a run of the first method.
        b: (T, n) float, likewise of the second, the same people in the same order.
        samples: bootstrap samples of the interval.
        permutations: random sign assignments, and bootstrap samples of p.
        seed: the same seed and values give the same answer.

    Raises:
        ValueError: a and b are not about as many people, or about none.
    """
    mean_a, mean_b = a.mean(0), b.mean(0)
    difference, p_models = paired_permutation(mean_a, mean_b, permutations, seed)
    p, draws = p_models, difference_draws(a, b, samples, seed)
    if len(a) > 1 or len(b) > 1:
        many = difference_draws(a, b, permutations, seed)
        other_side = min(np.count_nonzero(many <= 0), np.count_nonzero(many >= 0))
        p = max(p, min(1.0, 2 * (1 + int(other_side)) / (1 + permutations)))
    return Comparison(difference, percentiles(draws, 0.95), p, p_models, effect_size(mean_a - mean_b))


def difference_draws(a: np.ndarray, b: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """(samples,) float64 bootstrap draws of the difference of two methods; arguments as in ``paired_test``."""
    rng = np.random.default_rng(seed)
    means = bootstrap_means(np.concatenate([a, b]), samples, rng)
    return over_seeds(means[:, : len(a)], rng) - over_seeds(means[:, len(a) :], rng)


def effect_size(difference: np.ndarray) -> float | None:
    """Paired standardised mean difference d_z = mean / standard deviation (n - 1); None where nothing varies.

    >>> effect_size(np.array([2.0, 0.0, 1.0]))
    1.0
    """
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    return float(difference.mean() / spread) if spread > 1e-12 and math.isfinite(spread) else None


def holm(ps: Sequence[float]) -> list[float]:
    """p values of one family of comparisons, corrected by Holm's step-down method (1979), in the given order.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none becomes smaller than one before it, or
    larger than 1. The chance that any true null hypothesis of the family gets a p below 0.05 is then at most 0.05.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(ps, kind="stable")
    grown = np.array(ps)[order] * np.arange(len(ps), 0, -1)
    corrected = np.empty(len(ps))
    corrected[order] = np.minimum(np.maximum.accumulate(grown), 1.0)
    return [float(p) for p in corrected]
