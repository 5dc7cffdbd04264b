"""Ranks and what is computed from them. Knows nothing about methods, splits or files.

A rank is 0-based: the number of candidates that stand above the target. Ties count against the target
(docs/protocol.md): every other candidate with a score equal to the target's stands above it.
"""

from __future__ import annotations

import numpy as np

from isrf.data.histories import Histories


class NotANumber(ValueError):
    """A method gave a score that is no number."""


def full_ranks(scores: np.ndarray, targets: np.ndarray, seen: Histories) -> np.ndarray:
    """Rank of each target among all items but those seen.

    rank(b) = |{i not in seen(b), i != target(b) : score(b, i) >= score(b, target(b))}|

    >>> scores = np.array([[0.9, 0.5, 0.5, 0.1]])      # item 0 was seen, item 1 is the target, item 2 ties with it
    >>> full_ranks(scores, np.array([1]), Histories.of([[0]])).tolist()
    [1]

    Args:
        scores: (B, I) float, higher is better; -inf and +inf are allowed.
        targets: (B,) int64 item rows.
        seen: (B,) item rows that are no candidates.

    Returns:
        (B,) int64; 0 = first.

    Raises:
        ValueError: a score is NaN, or a target stands in its own seen items.
    """
    target_scores = _target_scores(scores, targets)
    at_least = np.count_nonzero(scores >= target_scores[:, None], axis=1) - 1  # the target itself
    # a repeated item of a history is one item: count each (row, item) once
    rows, items = np.divmod(np.unique(seen.rows() * scores.shape[1] + seen.items), scores.shape[1])
    again = items == targets[rows]
    if again.any():
        raise ValueError(f"row {rows[again][0]}: target {items[again][0]} is among the seen items")
    excluded = scores[rows, items] >= target_scores[rows]
    return (at_least - np.bincount(rows[excluded], minlength=len(targets))).astype(np.int64)


def sampled_ranks(scores: np.ndarray, targets: np.ndarray, negatives: Histories) -> np.ndarray:
    """Rank of each target among the given negatives: cheap, and biased towards popular items.

    rank(b) = |{i in negatives(b) : score(b, i) >= score(b, target(b))}|

    >>> scores = np.array([[0.9, 0.5, 0.5, 0.1]])
    >>> sampled_ranks(scores, np.array([1]), Histories.of([[2, 3]])).tolist()
    [1]

    Args:
        scores: (B, I) float, higher is better.
        targets: (B,) int64 item rows.
        negatives: (B,) item rows, each once, without the target.

    Returns:
        (B,) int64; 0 = first. Raises ValueError where a score is NaN.
    """
    target_scores = _target_scores(scores, targets)
    rows = negatives.rows()
    above = scores[rows, negatives.items] >= target_scores[rows]
    return np.bincount(rows[above], minlength=len(targets)).astype(np.int64)


def hit(ranks: np.ndarray, k: int) -> np.ndarray:
    """HR@k of each person: [rank < k]. The mean over people is the hit rate, here equal to recall.

    >>> hit(np.array([0, 9, 10]), 10).tolist()
    [1.0, 1.0, 0.0]

    Args:
        ranks: (n,) int64, 0 = first.
        k: length of the list, items.

    Returns:
        (n,) float64.
    """
    return (ranks < k).astype(np.float64)


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each person with one relevant item: [rank < k] / log2(rank + 2); the ideal gain is 1.

    >>> ndcg(np.array([0, 1, 2, 10]), 10).round(4).tolist()      # 1/log2(2), 1/log2(3), 1/log2(4), beyond the list
    [1.0, 0.6309, 0.5, 0.0]

    Args:
        ranks: (n,) int64, 0 = first.
        k: length of the list, items.

    Returns:
        (n,) float64.
    """
    return np.where(ranks < k, 1.0 / np.log2(ranks + 2.0), 0.0)


def _target_scores(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(B,) the score of each target; raises NotANumber at a NaN anywhere, which would compare as a good rank."""
    bad = np.isnan(scores)
    if bad.any():
        row, item = np.argwhere(bad)[0]
        raise NotANumber(f"the score of row {row}, item {item} is NaN")
    return scores[np.arange(len(targets)), targets]
