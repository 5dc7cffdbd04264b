"""Ragged sequences of item rows: what people have had, oldest first. Knows nothing about splits or ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class Histories:
    """Ragged item sequences, oldest first.

    Attributes:
        offsets: (U + 1,) int64; history u is ``items[offsets[u]:offsets[u + 1]]``.
        items: (N,) int64 item rows.
    """

    offsets: np.ndarray
    items: np.ndarray

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray] | Sequence[Sequence[int]]) -> Histories:
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        parts = [np.asarray(s, dtype=np.int64) for s in sequences]
        items = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        return cls(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), items.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> np.ndarray:
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[u] for u in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """(U,) int64."""
        return np.diff(self.offsets)

    def rows(self) -> np.ndarray:
        """(N,) int64: the history that each entry of ``items`` belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def age(self) -> np.ndarray:
        """(N,) int64: steps back from the newest item of the same history; 0 = newest."""
        return np.repeat(self.offsets[1:], self.lengths) - 1 - np.arange(len(self.items))

    def take(self, users: np.ndarray) -> Histories:
        """The histories at the given rows, in that order."""
        users = np.asarray(users, dtype=np.int64)
        starts = self.offsets[:-1][users]
        lengths = self.offsets[1:][users] - starts  # self.lengths would walk over all users for each block
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Histories(offsets, self.items[source])

    def recent(self, k: int) -> Histories:
        """The newest k items of each history."""
        keep = self.age() < k
        offsets = np.concatenate([[0], np.cumsum(np.minimum(self.lengths, k))]).astype(np.int64)
        return Histories(offsets, self.items[keep])

    def appended(self, targets: np.ndarray) -> Histories:
        """Each history with ``targets[u]`` behind it; -1 appends nothing."""
        if len(targets) != len(self):
            raise ValueError(f"{len(targets)} targets for {len(self)} histories")
        has = np.asarray(targets) >= 0
        offsets = self.offsets + np.concatenate([[0], np.cumsum(has)])
        items = np.empty(offsets[-1], dtype=np.int64)
        behind = np.zeros(len(items), dtype=bool)
        behind[offsets[1:][has] - 1] = True
        items[behind], items[~behind] = np.asarray(targets)[has], self.items
        return Histories(offsets, items)

    def joined(self, other: Histories) -> Histories:
        """Each history with that of the same row of ``other`` behind it."""
        rows = np.concatenate([self.rows(), other.rows()])
        items = np.concatenate([self.items, other.items])[np.argsort(rows, kind="stable")]
        return Histories(self.offsets + other.offsets, items)

    def padded(self, count: int) -> Histories:
        """The same histories and empty ones behind them, ``count`` in all."""
        return Histories(np.pad(self.offsets, (0, count - len(self)), mode="edge"), self.items)

    def matrix(self, n_items: int, weights: np.ndarray | None = None) -> sp.csr_matrix:
        """(U, n_items) float32 CSR: 1 (or ``weights``, one a history entry) where the user has the item."""
        data = np.ones(len(self.items), dtype=np.float32) if weights is None else weights.astype(np.float32)
        return sp.csr_matrix((data, self.items.astype(np.int32), self.offsets), shape=(len(self), n_items))
