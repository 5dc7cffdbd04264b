"""A batch of people to rank items for: what every method scores. Knows nothing about methods or targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from isrf.data.histories import Histories

Task = Literal["sequential", "direct"]
"""Sequential recommendation (SR): the next item of a history. Direct recommendation (DR): an item, no order given."""

TASKS: tuple[Task, ...] = ("sequential", "direct")


@dataclass(frozen=True)
class Queries:
    """B people and what is known of each.

    Attributes:
        users: (B,) int64 user rows; -1 for a person who is not in the log.
        histories: (B,) item rows, oldest first; in the direct task sorted by item row, so that no order is left.
        task: "sequential" or "direct".
        disliked: (B,) item rows that are never recommended to each, whatever they have had; None = none. Scores know
            nothing of them.
        changed: (B,) bool, users of the log of whom more is known than the log says, so that what was computed of their row
            no longer holds; None = nobody.
    """

    users: np.ndarray
    histories: Histories
    task: Task = "sequential"
    disliked: Histories | None = None
    changed: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.users) != len(self.histories):
            raise ValueError(f"{len(self.users)} users but {len(self.histories)} histories")
        if self.task == "direct":
            object.__setattr__(self, "histories", self.histories.sorted())

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: np.ndarray) -> Queries:
        """The people at the given rows."""
        disliked = None if self.disliked is None else self.disliked.take(rows)
        changed = None if self.changed is None else self.changed[rows]
        return Queries(self.users[rows], self.histories.take(rows), self.task, disliked, changed)

    @property
    def stored(self) -> np.ndarray:
        """(B,) int64 user rows of whom what was computed before holds; -1 for those who are read by their history alone."""
        return self.users if self.changed is None else np.where(self.changed, -1, self.users)

    @property
    def ordered(self) -> bool:
        return self.task == "sequential"
