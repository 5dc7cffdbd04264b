"""Nearest texts: an item is recommended for its likeness to what the person had. Knows nothing of other people."""

from __future__ import annotations

import numpy as np

from isrf.data.history_matrix import history_matrix
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.methods.preferences import Preferences
from isrf.methods.score_inputs import Reads


class SemanticKNN:
    """Score = sum of the cosines of an item's text and the texts of the history; nothing is learned.

    What a new item is worth by its content alone: the baseline of the item-cold protocol (docs/protocol.md).

    Args:
        preferences: features of items.
        decay: weight of a history item relative to the one after it; not used in the direct task.
    """

    name = "semantic-knn"
    reads = Reads(
        order=True,
        others=False,
        texts=True,
        carrier="item texts",
        consumer="nearest item texts to those of the history",
    )

    def __init__(self, preferences: Preferences, decay: float = 0.6) -> None:
        self._preferences = preferences
        self.decay = decay

    def fit(self, training: TrainingData) -> None:
        """Learns nothing."""

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32; 0 for people without a history."""
        items = self._preferences.items
        heard = np.asarray(history_matrix(queries, len(items), self.decay) @ items, dtype=np.float32)
        return heard @ items.T
