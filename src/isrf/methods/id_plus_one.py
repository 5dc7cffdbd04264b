"""The predictor without parameters that reads nothing but item numbers: a leak detector, not a recommender.

Where a numbering was made in order of first appearance over whole sequences, held-out items included, the next item is
often the next number (docs/leaks.md). Knows nothing about where the numbering comes from.
"""

from __future__ import annotations

import numpy as np

from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.methods.score_inputs import Reads


class IdPlusOne:
    """Ranks largest + 1, last + 1, largest + 2, last + 2, ... where largest and last are numbers in the history.

    "largest" is the history's largest number and "last" that of its newest item; in the direct task, which has no
    newest item, it is largest + 1, largest + 2, ... alone. Numbers below both tie at the bottom.

    Args:
        numbering: (I,) int64, the number of each item row, a permutation of 0..I-1; None = the item rows themselves.
    """

    name = "id-plus-one"
    reads = Reads(order=True, others=False, consumer="item numbers")

    def __init__(self, numbering: np.ndarray | None = None) -> None:
        self._given = numbering

    def fit(self, training: TrainingData) -> None:
        """Learns nothing; takes the item rows as numbering where none was given.

        Raises ValueError where the numbering is not a permutation of the item rows.
        """
        rows = np.arange(training.n_items, dtype=np.int32)
        self._number = rows if self._given is None else np.asarray(self._given, dtype=np.int32)
        if not np.array_equal(np.sort(self._number), rows):
            raise ValueError(f"numbering is not a permutation of 0..{training.n_items - 1}")

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32: minus the place in the list above; equal for all items below it and for empty histories."""
        n = len(self._number)
        bottom = 2 * n
        place = np.full((len(queries), n), bottom, dtype=np.int32)
        for row, history in enumerate(queries.histories):
            if not len(history):
                continue
            numbers = self._number[history]
            above = self._number - numbers.max()
            np.minimum(place[row], np.where(above > 0, 2 * above - 2, bottom), out=place[row])
            if queries.ordered:
                above = self._number - numbers[-1]
                np.minimum(place[row], np.where(above > 0, 2 * above - 1, bottom), out=place[row])
        return -place.astype(np.float32)
