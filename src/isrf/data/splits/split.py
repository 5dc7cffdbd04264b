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
REPEATS = "test, repeats"
"""Part of test that is reported apart with ``data.repeats=all``: targets that their user has had before. They are ranked with
everything a candidate, also what the user has had (the repeat protocol)."""


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
        target_weights: "valid" and "test" -> (P,) float32, how much a target counts once it is known; None = each 1, or
            ``later`` says it.
        repeats: whether users have items again (``data.repeats=all``): what they have had may then be a target.
    """

    training: TrainingData
    valid: np.ndarray
    test: np.ndarray
    later: HeldOut | None = None
    target_weights: dict[str, np.ndarray] | None = None
    repeats: bool = False

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
        return self._with(known, "valid") if self.later is None else known.joined(self.later.valid)

    def _with(self, known: Histories, part: str, rows: np.ndarray | slice = slice(None)) -> Histories:
        """Histories with the targets of a part behind them."""
        weights = None if self.target_weights is None else self.target_weights[part][rows]
        return known.appended(self.targets(part)[rows], weights)

    @cached_property
    def had_before(self) -> dict[str, np.ndarray]:
        """ "valid" and "test" -> (P,) bool: the target is an item that its user has had before."""
        found = {}
        for part in ("valid", "test"):
            known = self.histories(part)
            rows = known.rows()
            found[part] = np.zeros(len(self.test), dtype=bool)
            found[part][rows[known.items == self.targets(part)[rows]]] = True
        return found

    def users(self, part: str) -> np.ndarray:
        """Rows that have a target in ``part``; "test" is without what is reported apart (NEW_ITEMS, NEW_USERS, REPEATS).

        Validation is without targets that their user has had before, as those are no candidates of the usual protocol.
        """
        rows = np.flatnonzero(self.targets(part) >= 0)
        if self.repeats:
            again = self.had_before["valid" if part == "valid" else "test"][rows]
            rows = rows[again if part == REPEATS else ~again]
        if part == REPEATS:
            return rows if self.repeats else rows[:0]
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
            return self._with(self._with(self.training.histories.take(rows), "valid", rows), "test", rows)
        return self.histories("test").joined(self.later.test).take(rows)

    def asked(self, rows: np.ndarray) -> np.ndarray:
        """(B,) rows as a query names them: -1 for people whom training does not know."""
        return np.where(rows < self.training.n_users, rows, -1)
