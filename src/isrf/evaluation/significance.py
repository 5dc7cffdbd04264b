"""Is a number, or a difference between two, more than luck? Knows nothing about methods or metrics.

Per-user metrics take few distinct values (NDCG@10 of one target: eleven), so resampling people is done on the counts
of the distinct values: the same distribution as drawing people one by one, at a thousandth of the cost.
"""

from __future__ import annotations

import numpy as np


def bootstrap_interval(values: np.ndarray, samples: int, seed: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over people.

    Drawing n people with replacement makes the counts of the distinct values multinomial(n, observed shares).

    >>> bootstrap_interval(np.array([0.5, 0.5, 0.5]), 100, seed=0)  # whoever is drawn, the mean is the same
    (0.5, 0.5)
    >>> bootstrap_interval(np.array([0.0, 1.0]), 1000, seed=0)  # of two people both may be the one, or the other
    (0.0, 1.0)

    Args:
        values: (n,) float, one a person.
        samples: bootstrap samples.
        seed: the same seed and values give the same interval.
        level: coverage.

    Returns:
        (low, high). Raises ValueError where there are no people.
    """
    if not len(values):
        raise ValueError("no people to draw from")
    distinct, counts = np.unique(values, return_counts=True)
    n = len(values)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=samples)
    low, high = np.quantile(drawn @ distinct / n, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_permutation(a: np.ndarray, b: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """Difference of two methods on the same people, and how often chance alone makes one as large.

    Under the null hypothesis each person's difference could as well have the other sign. The sum over people who share
    an absolute difference v is then v (2 Binomial(m, 1/2) - m), m being how many they are. Where few enough people
    differ that all assignments of signs are no more than ``samples``, every one is looked at and p is exact.

    >>> paired_permutation(np.array([1.0, 1.0, 1.0]), np.array([0.0, 0.5, 0.0]), 100, seed=0)[1]  # 2 of 2 ** 3: all +, all -
    0.25
    >>> paired_permutation(np.array([1.0, 0.0, 1.0]), np.array([0.0, 0.5, 0.0]), 100, seed=0)[1]  # +1 -0.5 +1, and two larger
    0.5

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
    sizes, counts = np.unique(np.abs(difference[difference != 0]), return_counts=True)
    observed = np.abs(difference.sum())
    slack = 1e-9 * max(observed, 1.0)  # sums of the same terms in another order differ by rounding: count them as equal
    if 2.0 ** counts.sum() <= samples:
        sums = np.zeros(1)
        for size in np.repeat(sizes, counts):
            sums = np.concatenate([sums + size, sums - size])
        return float(difference.mean()), float(np.mean(np.abs(sums) >= observed - slack))
    flips = 2 * np.random.default_rng(seed).binomial(counts, 0.5, size=(samples, len(counts))) - counts
    extreme = int(np.count_nonzero(np.abs(flips @ sizes) >= observed - slack))
    return float(difference.mean()), (1 + extreme) / (1 + samples)
