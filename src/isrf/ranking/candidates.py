"""Candidates: what may be recommended to whom. Scores are taken through them, before the top is.

Knows neither where the eligible items come from (``ranking.filters``) nor how lists are put together (``ranking.rules``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isrf.data.histories import Histories
from isrf.graphs.signals import masked


@dataclass(frozen=True)
class Step:
    """One filter: ``name`` in words, how many items were ``left`` after it, and a ``hint`` where it found none."""

    name: str
    left: int
    hint: str = ""


@dataclass(frozen=True)
class Candidates:
    """What may be recommended.

    Attributes:
        eligible: (I,) bool; None = every item.
        filter_viewed: whether what a person has had is left out.
        steps: the filters in their order.
    """

    eligible: np.ndarray | None = None
    filter_viewed: bool = True
    steps: tuple[Step, ...] = ()

    @property
    def none_left(self) -> bool:
        """Whether nothing may be recommended to anybody."""
        return self.eligible is not None and not self.eligible.any()

    def of(self, scores: np.ndarray, histories: Histories, disliked: Histories | None = None) -> np.ndarray:
        """The (B, I) scores with -inf for what may not be recommended, in place; nobody gets what they dislike.

        Args:
            scores: (B, I) float32.
            histories: (B,) what each has had.
            disliked: (B,) what each dislikes; None = nothing.
        """
        if self.filter_viewed:
            masked(scores, histories)
        if disliked is not None:
            masked(scores, disliked)
        if self.eligible is not None:
            scores[:, ~self.eligible] = -np.inf
        return scores

    def why_none(self, n_items: int) -> str:
        """Which filter took the last items away, as a sentence."""
        before = n_items
        for step in self.steps:
            if not step.left:
                items = "item" if before == 1 else "items"
                if before == n_items:
                    return f"nothing to recommend: {step.name} leaves none of the {n_items:,} {items}{step.hint}"
                return f"nothing to recommend: {step.name} took away the last {before:,} {items}{step.hint}"
            before = step.left
        return "nothing to recommend"


EVERY_ITEM = Candidates()
"""All items that a person has not had."""
