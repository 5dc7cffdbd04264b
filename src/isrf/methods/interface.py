"""What a recommendation method is, for evaluation and for whoever adds one. Knows nothing about targets or metrics."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.methods.score_inputs import Reads


class Ranker(Protocol):
    """Scores the whole catalogue for anybody."""

    @property
    def name(self) -> str:
        """Name in tables, e.g. "seq-itemknn"."""
        ...

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32, higher is better, no NaN; seen items are scored like any other (evaluation excludes them).

        Where ``queries.ordered`` is False neither order nor recency of the history may be used.
        """
        ...


class Method(Ranker, Protocol):
    """A ranker that is fitted once on training data.

    ``fit`` gets ``TrainingData``, which holds no held-out interaction: a method cannot leak what it cannot reach.
    """

    @property
    def reads(self) -> Reads:
        """What its scores depend on."""
        ...

    def fit(self, training: TrainingData) -> None:
        """Learn from training interactions only; called before ``score``."""
        ...
