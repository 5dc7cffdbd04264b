"""What an audit says: one measured value, what it means for a published number, and who is meant by it.

Knows nothing about how anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from isrf.data.splits.split import NEW_ITEMS, NEW_USERS, Split

Verdict = Literal["leak", "order", "note", "clean", "reference", "unknown"]
"""leak: held-out interactions can be read off; order: a numbering carries more than chance, less than a leak; note: no
leak, but a figure must be read with it; clean: looked for and not there; reference: a yardstick; unknown: cannot be told."""

About = Literal["source", "supplied", "workspace", "protocol"]
"""The log and catalogue as published; a file that came with them; what a workspace made of them; the numbers themselves."""

NDCG, HIT = "NDCG@10", "HR@10"
OF_TEST, OF_VALID = "share of test users", "share of validation users"
HELD_OUT = (
    ("test", "test", OF_TEST),
    ("valid", "validation", OF_VALID),
    (NEW_ITEMS, "test, new items:", "share of test users with a new item"),
    (NEW_USERS, "test, new users:", "share of new test users"),
)
"""Parts of a split that are predicted, each with its word and its unit; the last two under a date or a given split."""


@dataclass(frozen=True)
class Finding:
    """One measured value and what it means.

    Attributes:
        name: what was measured.
        value: in ``unit``; NDCG and HR on test, full ranking, ties against the target. None where it cannot be told.
        verdict: see ``Verdict``.
        meaning: one sentence for people: what it means for a published number.
        unit: "NDCG@10", "share of ..." (0 to 1) or what was counted.
        protection: one sentence: how this project keeps its own numbers free of it; "" where there is nothing to do.
        about: whose property it is.
    """

    name: str
    value: float | None
    verdict: Verdict
    meaning: str
    unit: str = NDCG
    protection: str = ""
    about: About = "source"

    def told(self) -> str:
        """The value with its unit.

        >>> Finding("ids", 0.0497, "leak", "").told(), Finding("ties", 0.125, "note", "", OF_TEST).told()
        ('0.0497 NDCG@10', '12.50% of test users')
        >>> Finding("ties", None, "unknown", "", OF_TEST).told()
        '-'
        """
        if self.value is None:
            return "-"
        if self.unit.startswith("share of "):
            return f"{self.value:.2%} of {self.unit.removeprefix('share of ')}"
        whole = self.unit not in (NDCG, HIT) and self.value.is_integer()
        return f"{self.value:,.0f} {self.unit}" if whole else f"{self.value:.4f} {self.unit}"


def leaks(findings: Iterable[Finding], workspace: bool) -> list[Finding]:
    """The findings that are an alarm: of a workspace those that touch its own numbers, of a source every leak.

    A workspace made from a source whose numbering leaks is no alarm: it does not read that numbering.
    """
    return [f for f in findings if f.verdict == "leak" and not (workspace and f.about == "source")]


def pair_keys(users: np.ndarray, items: np.ndarray, split: Split) -> np.ndarray:
    """(N,) int64: one number for each pair of user row and item row."""
    return users.astype(np.int64) * split.training.n_items + items


def target_keys(split: Split, part: str) -> np.ndarray:
    """(n,) int64 ``pair_keys`` of the held-out pairs of a part, in the order of ``split.users(part)``."""
    users = split.users(part)
    return pair_keys(users, split.targets(part)[users], split)


def held_out(split: Split) -> list[tuple[str, str, str]]:
    """``HELD_OUT`` without the parts reported apart that a split does not have."""
    return [row for row in HELD_OUT if row[0] not in (NEW_ITEMS, NEW_USERS) or len(split.users(row[0]))]


def training_keys(split: Split) -> np.ndarray:
    """(N,) int64 ``pair_keys`` of all training interactions."""
    histories = split.training.histories
    return pair_keys(histories.rows(), histories.items, split)
