"""Ragged sequences of item rows: what people have had, oldest first, and how much each counts. Knows no splits or ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class Histories:
    """Ragged item sequences, oldest first.

    Attributes:
        offsets: (U + 1,) int64; history u is ``items[offsets[u]:offsets[u + 1]]``.
        items: (N,) int64 item rows; an item stands twice in a history only with ``data.repeats=all``.
        weights: (N,) float32 > 0, how much each interaction counts; None = each counts 1.
    """

    offsets: np.ndarray
    items: np.ndarray
    weights: np.ndarray | None = None

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

    @cached_property
    def repeated(self) -> bool:
        """Whether an item stands twice in a history."""
        if not len(self.items):
            return False
        keys = self.rows() * (int(self.items.max()) + 1) + self.items
        return len(np.unique(keys)) < len(keys)

    def given_weights(self) -> np.ndarray:
        """(N,) float32: ``weights``, written out where they are None."""
        return np.ones(len(self.items), dtype=np.float32) if self.weights is None else self.weights

    def totals(self) -> np.ndarray:
        """(U,) how much each history counts: int64 lengths, float64 sums of weights where there are any."""
        return self.lengths if self.weights is None else np.bincount(self.rows(), self.weights, len(self))

    def popularity(self, n_items: int) -> np.ndarray:
        """(n_items,) int64 interactions of each item, float64 sums of weights where there are any."""
        return np.bincount(self.items, self.weights, n_items)

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
        return Histories(offsets, self.items[source], None if self.weights is None else self.weights[source])

    def kept(self, keep: np.ndarray) -> Histories:
        """The same histories with the entries alone where ``keep`` (N,) bool holds."""
        lengths = np.bincount(self.rows()[keep], minlength=len(self))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Histories(offsets, self.items[keep], None if self.weights is None else self.weights[keep])

    def without(self, other: Histories) -> Histories:
        """The same histories without the items of the same row of ``other``."""
        size = 1 + max(int(self.items.max(initial=0)), int(other.items.max(initial=0)))
        return self.kept(~np.isin(self.rows() * size + self.items, other.rows() * size + other.items))

    def sorted(self) -> Histories:
        """The same histories with items by row, so that no order is left."""
        order = np.lexsort((self.items, self.rows()))
        return Histories(self.offsets, self.items[order], None if self.weights is None else self.weights[order])

    def plain(self) -> Histories:
        """The same histories with each item once, where it first stands, and every interaction counting 1."""
        if not self.repeated:
            return self if self.weights is None else Histories(self.offsets, self.items)
        first = np.zeros(len(self.items), dtype=bool)
        keys = self.rows() * (int(self.items.max()) + 1) + self.items
        first[np.unique(keys, return_index=True)[1]] = True
        return Histories(self.offsets, self.items).kept(first)

    def recent(self, k: int) -> Histories:
        """The newest k items of each history."""
        return self.kept(self.age() < k)

    def appended(self, targets: np.ndarray, weights: np.ndarray | None = None) -> Histories:
        """Each history with ``targets[u]`` behind it, which counts ``weights[u]`` (None = 1); -1 appends nothing."""
        if len(targets) != len(self):
            raise ValueError(f"{len(targets)} targets for {len(self)} histories")
        has = np.asarray(targets) >= 0
        offsets = self.offsets + np.concatenate([[0], np.cumsum(has)])
        items = np.empty(offsets[-1], dtype=np.int64)
        behind = np.zeros(len(items), dtype=bool)
        behind[offsets[1:][has] - 1] = True
        items[behind], items[~behind] = np.asarray(targets)[has], self.items
        if self.weights is None and weights is None:
            return Histories(offsets, items)
        counted = np.ones(len(items), dtype=np.float32)
        counted[~behind] = self.given_weights()
        if weights is not None:
            counted[behind] = weights[has]
        return Histories(offsets, items, counted)

    def joined(self, other: Histories) -> Histories:
        """Each history with that of the same row of ``other`` behind it."""
        order = np.argsort(np.concatenate([self.rows(), other.rows()]), kind="stable")
        items = np.concatenate([self.items, other.items])[order]
        weights = both_weights(self, other)
        return Histories(self.offsets + other.offsets, items, None if weights is None else weights[order])

    def followed_by(self, other: Histories) -> Histories:
        """All these histories, then all of ``other``."""
        offsets = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        return Histories(offsets, np.concatenate([self.items, other.items]), both_weights(self, other))

    def having(self, rows: np.ndarray, others: Histories) -> Histories:
        """The same histories with those of ``others`` in the place of ``rows``, (len(others),) int64."""
        order = np.arange(len(self))
        order[rows] = len(self) + np.arange(len(others))
        return self.followed_by(others).take(order)

    def alike(self, other: Histories, row: int) -> bool:
        """Whether one row of both is the same history."""
        own, theirs = self.take(np.array([row])), other.take(np.array([row]))
        return np.array_equal(own.items, theirs.items) and np.array_equal(own.given_weights(), theirs.given_weights())

    def padded(self, count: int) -> Histories:
        """The same histories and empty ones behind them, ``count`` in all."""
        return Histories(np.pad(self.offsets, (0, count - len(self)), mode="edge"), self.items, self.weights)

    def matrix(self, n_items: int, weights: np.ndarray | None = None) -> sp.csr_matrix:
        """(U, n_items) float32 CSR: how much an interaction counts where the user has the item; repeats are summed.

        ``weights``, one a history entry, multiply that.
        """
        data = np.ones(len(self.items), dtype=np.float32) if weights is None else weights.astype(np.float32)
        if self.weights is not None:
            data = data * self.weights
        matrix = sp.csr_matrix((data, self.items.astype(np.int32), self.offsets), shape=(len(self), n_items))
        if self.repeated:
            matrix = matrix.copy()  # the offsets are shared with this object, and summing changes them
            matrix.sum_duplicates()
        return matrix


def both_weights(first: Histories, second: Histories) -> np.ndarray | None:
    """(N + M,) float32 weights of both, None where neither has any."""
    if first.weights is None and second.weights is None:
        return None
    return np.concatenate([first.given_weights(), second.given_weights()])
