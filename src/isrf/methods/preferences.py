"""Reasoned preferences of people and features of items as vectors of one space: what the carriers are made from.

Knows nothing about who reasoned, or about files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isrf.data.queries import Queries
from isrf.data.splits.split import Histories


@dataclass(frozen=True)
class Preferences:
    """Semantics of one training set, made from training interactions and catalogue texts alone.

    Attributes:
        items: (I, k) float32 unit or zero: semantic item features.
        users: (U, k) float32 unit or zero: the reasoned preference of each user of the log, in the space of the items.
        of_histories: histories (B,) -> (B, k) float32, the same for people who are not in the log.
    """

    items: np.ndarray
    users: np.ndarray
    of_histories: Callable[[Histories], np.ndarray]

    def of(self, queries: Queries) -> np.ndarray:
        """(B, k) float32: everybody's preference; zero for somebody who is not in the log and has no history."""
        found = np.zeros((len(queries), self.items.shape[1]), dtype=np.float32)
        known = queries.users >= 0
        found[known] = self.users[queries.users[known]]
        strangers = np.flatnonzero(~known & (queries.histories.lengths > 0))
        if len(strangers):
            found[strangers] = self.of_histories(queries.histories.take(strangers))
        return found


def unit(vectors: np.ndarray) -> np.ndarray:
    """(N, k) float32 rows of norm 1; zero rows stay zero."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)
