"""Which items a softmax over a part of the catalogue is taken over. Knows popularity, and nothing about a model."""

from __future__ import annotations

import numpy as np


def candidates_of(
    targets: np.ndarray, count: int, share: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """All targets of a batch and ``count`` items drawn uniformly, or the whole catalogue where that is no larger.

    A logit minus the logarithm of its item's chance estimates the softmax over the catalogue: the targets, drawn by
    popularity, are hard negatives for each other, and the correction takes back that they come more often.

    Args:
        targets: (N,) int64 item rows.
        share: (I,) share of each item in all training interactions.

    Returns:
        (C,) int64 item rows, ascending, and (C,) float64 chance that a batch like this would have each of them.
    """
    if count >= len(share):
        return np.arange(len(share)), np.ones(len(share))
    chosen = np.union1d(targets, rng.choice(len(share), count, replace=False))
    missed = np.exp(-len(targets) * share[chosen]) * (1 - count / len(share))
    return chosen, 1 - missed
