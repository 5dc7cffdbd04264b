"""Popularity: the same ranking for everybody, by training interactions. Knows nothing about the person."""

from __future__ import annotations

import numpy as np

from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.methods.score_inputs import Reads


class Popularity:
    """Score of an item = how often it occurs in the training histories."""

    name = "popularity"
    reads = Reads(history=False, consumer="counts")

    def fit(self, training: TrainingData) -> None:
        self._counts = training.popularity

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32 training interactions of each item, equal in every row."""
        return np.tile(self._counts, (len(queries), 1))
