"""What SASRec is trained on: windows of histories.

NumPy only, every draw from the generator that is passed in. Knows nothing about the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isrf.data.histories import Histories

WIDTH_STEP = 5
"""Windows are padded to a multiple of this: few shapes, little padding."""


@dataclass(frozen=True)
class Batch:
    """Windows of histories; each item is a target of the state that has read the items before it.

    Attributes:
        rows: (B, L) int64 item rows, oldest first, padded with 0 on the right.
        mask: (B, L) bool, where there is an item.
    """

    rows: np.ndarray
    mask: np.ndarray

    @property
    def targets(self) -> np.ndarray:
        """(N,) int64 item rows, window by window."""
        return self.rows[self.mask]


def batches(histories: Histories, width: int, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """One epoch of at most ``size`` windows a batch.

    Histories longer than ``width`` are cut into windows at a random phase; every interaction is in one window. Windows
    of like length share a batch, which spares most of the padding; batches come in random order.
    """
    phase = np.where(histories.lengths > width, rng.integers(0, width, len(histories)), 0)
    owner = histories.rows()
    window = (np.arange(len(owner)) - histories.offsets[:-1][owner] + phase[owner]) // width
    first = np.ones(len(owner), dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (window[1:] != window[:-1])
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(owner))
    order = np.lexsort((rng.random(len(starts)), ends - starts))
    cuts = [order[begin : begin + size] for begin in range(0, len(order), size)]
    for at in rng.permutation(len(cuts)):
        yield Batch(*padded(histories.items, starts[cuts[at]], ends[cuts[at]]))


def padded(items: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of ``items`` as (B, L) rows, padded with 0 on the right, and (B, L) bool where there is an item.

    L is the longest piece, rounded up to a multiple of WIDTH_STEP.
    """
    longest = int((ends - starts).max(initial=0))
    places = starts[:, None] + np.arange(-(-longest // WIDTH_STEP) * WIDTH_STEP)
    mask = places < ends[:, None]
    rows = np.zeros(mask.shape, dtype=np.int64)
    rows[mask] = items[places[mask]]
    return rows, mask
