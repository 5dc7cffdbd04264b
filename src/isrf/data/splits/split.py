"""A split: what may be fitted on, and the targets that are predicted. Knows nothing about files, nor how it is made.

Everything fitted before evaluation takes its ``TrainingData``, which does not hold a held-out interaction
(docs/protocol.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isrf.data.histories import Histories
from isrf.data.training_data import TrainingData

TO_HOLD_OUT = (
    "leave-one-out needs users with 3 interactions, a split at a date interactions after it, a split as given rows marked "
    "valid and test"
)
"""What a log needs that can be evaluated, under every split."""
NEW_ITEMS, NEW_USERS = "test, new items", "test, new users"
"""Parts of test that are reported apart where a date or the source splits: targets that nobody had before test, and people
of whom nothing is known before it."""


@dataclass(frozen=True)
class HeldOut:
    """What a split other than leave-one-out holds out, beside the targets; P people in all.

    Attributes:
        user_ids: original ids of people without a training interaction; their rows follow those of training.
        valid: (P,) interactions of validation, oldest first, targets among them.
        test: (P,) those of test.
    """

    user_ids: list[str]
    valid: Histories
    test: Histories


@dataclass(frozen=True)
class Split:
    """What is fitted on, and what is predicted; P is U but where ``later`` has people whom training does not know.

    Leave-one-out: the last item of a user is the test target, the one before the validation target.

    Attributes:
        training: what may be fitted on.
        valid: (P,) int64 item row of the validation target; -1 = none, as for users with fewer than 3 interactions.
        test: (P,) int64 item row of the test target, -1 likewise.
        later: None = leave-one-out (``protocols`` makes the others).
    """

    training: TrainingData
    valid: np.ndarray
    test: np.ndarray
    later: HeldOut | None = None

    @property
    def user_ids(self) -> list[str]:
        """(P,) original ids."""
        return self.training.user_ids if self.later is None else self.training.user_ids + self.later.user_ids

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Original user id -> row, people whom training does not know included."""
        return {user: row for row, user in enumerate(self.user_ids)}

    def targets(self, part: str) -> np.ndarray:
        """(P,) int64 targets of "valid" or "test", or of a part of test."""
        return self.valid if part == "valid" else self.test

    def histories(self, part: str) -> Histories:
        """(P,) what is known when predicting ``part``: the training history, and for "test" that of validation too."""
        known = self.training.histories.padded(len(self.test))
        if part == "valid":
            return known
        return known.appended(self.valid) if self.later is None else known.joined(self.later.valid)

    def users(self, part: str) -> np.ndarray:
        """Rows that have a target in ``part``; "test" is without what is reported apart (NEW_ITEMS, NEW_USERS)."""
        rows = np.flatnonzero(self.targets(part) >= 0)
        if part == "valid":
            return rows
        if self.later is None:
            return rows if part == "test" else rows[:0]
        known = self.histories("test")
        met = known.lengths[rows] > 0
        had = np.bincount(known.items, minlength=self.training.n_items)[self.test[rows]] > 0
        return rows[{"test": met & had, NEW_ITEMS: met & ~had, NEW_USERS: ~met}[part]]

    def known(self, rows: np.ndarray) -> Histories:
        """Everything known of some people, held-out items included: for use, not for evaluation."""
        if self.later is None:
            return self.training.histories.take(rows).appended(self.valid[rows]).appended(self.test[rows])
        return self.histories("test").joined(self.later.test).take(rows)

    def asked(self, rows: np.ndarray) -> np.ndarray:
        """(B,) rows as a query names them: -1 for people whom training does not know."""
        return np.where(rows < self.training.n_users, rows, -1)
