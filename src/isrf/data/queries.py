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
    """

    users: np.ndarray
    histories: Histories
    task: Task = "sequential"
    disliked: Histories | None = None

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
        return Queries(self.users[rows], self.histories.take(rows), self.task, disliked)

    @property
    def ordered(self) -> bool:
        return self.task == "sequential"
