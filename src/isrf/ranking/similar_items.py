"""Items like a given one, and why: by reasoned semantics, by who buys them, by what follows, and fused. Knows no files.

- *semantics*: cosine of the propagated nodes (LightGCN over the semantic interaction graph): an item that nobody bought has
  its own reasoned semantics, and is compared like any other.
- *buyers*: companions, the weight of the co-occurrence graph.
- *next*: damped transitions, mostly forward.
- *fused*: the sum of the three, each divided by its largest value over all other items; a source without any evidence for
  an item adds nothing.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from isrf.ranking.rankers import ScoringComponents
from isrf.ranking.recommend import SIMILAR_TEXT

By = Literal["fused", "semantics", "buyers", "next"]
WAYS: tuple[By, ...] = get_args(By)
SOURCES: tuple[By, ...] = ("semantics", "buyers", "next")


def likeness(parts: ScoringComponents, rows: np.ndarray, by: By) -> dict[str, np.ndarray]:
    """Source -> (R, I) float32 of some item rows, under "fused" scaled and all of them; -inf for the item itself.

    Evidence that is counted, that of "buyers" and "next", is 0 where there is none.
    """
    found: dict[str, np.ndarray] = {}
    for source in SOURCES if by == "fused" else (by,):
        if source == "semantics":
            scores = np.asarray(parts.graphs.nodes[rows] @ parts.graphs.nodes.T, dtype=np.float32)
        else:
            graph = parts.graphs.items.cooccurrence if source == "buyers" else parts.graphs.items.transitions
            scores = np.asarray(graph[rows].todense(), dtype=np.float32)
        if by == "fused":
            others = scores.copy()
            others[np.arange(len(rows)), rows] = 0
            largest = others.max(axis=1, keepdims=True, initial=0)
            scores = np.divide(scores, largest, out=np.zeros_like(scores), where=largest > 0)
        scores[np.arange(len(rows)), rows] = -np.inf
        found[source] = scores
    return found


def nearest(sources: dict[str, np.ndarray], eligible: np.ndarray | None, k: int) -> tuple[list[np.ndarray], np.ndarray]:
    """For each of R items at most ``k`` others, best first, ties by row; and (R, I) float32 scores.

    Args:
        sources: of ``likeness``.
        eligible: (I,) bool, what may be named; None = all.
        k: >= 1.
    """
    scores = np.asarray(np.sum(list(sources.values()), axis=0, dtype=np.float32))
    counted = "semantics" not in sources  # what has no evidence is not like it
    lists = []
    for own in scores:
        can = np.isfinite(own) & (own > 0) if counted else np.isfinite(own)
        others = np.flatnonzero(can if eligible is None else can & eligible)
        lists.append(others[np.argsort(-own[others], kind="stable")[:k]])
    return lists, scores


def reasons_of(parts: ScoringComponents, row: int, other: int, strengths: dict[str, float], by: By) -> list[str]:
    """Sentences on why ``other`` is like the item ``row``, the strongest source first.

    Args:
        strengths: source -> what it gave.
    """
    people = parts.people
    sentences = []
    both = np.intersect1d(people.buyers(row), people.buyers(other))
    for source in sorted(strengths, key=lambda name: -strengths[name]):
        if source == "semantics":
            cosine = float(parts.graphs.nodes[row] @ parts.graphs.nodes[other])
            if cosine >= SIMILAR_TEXT or by == "semantics":
                sentences.append(
                    f"is much like it (cosine {cosine:.2f})" if cosine >= SIMILAR_TEXT else "nearest of the rest"
                )
        elif source == "buyers" and len(both):
            sentences.append(f"{counted_people(len(both))} chose both")
        elif source == "next" and strengths[source] > 0 and len(both):
            histories = [people.training.histories[int(user)] for user in both]
            onward = sum(
                int(np.flatnonzero(own == other).max() > np.flatnonzero(own == row).min()) for own in histories
            )
            if onward:
                sentences.append(f"{counted_people(onward)} went on to it")
            elif by == "next":
                sentences.append(f"{counted_people(len(both))} came from it")
    return sentences or ["best remaining match"]


def counted_people(count: int) -> str:
    """ "1 person", "12 people"."""
    return "1 person" if count == 1 else f"{count:,} people"
