"""Profile text as the carrier: a person is the sentence that was reasoned about them. Knows nothing of interactions."""

from __future__ import annotations

import numpy as np

from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.methods.preferences import Preferences
from isrf.methods.score_inputs import Reads


class ProfileText:
    """Score = cosine of the person's encoded preference and the item's encoded text; both tasks alike.

    Nothing is learned: what other people bought has no say beyond what the reasoner made of it.
    """

    name = "profile-text"
    reads = Reads(
        history=False,
        others=False,
        texts=True,
        preferences=True,
        carrier="profile text",
        consumer="nearest item texts to the preference text",
    )

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    def fit(self, training: TrainingData) -> None:
        """Learns nothing."""

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32 cosines; 0 for people without a preference."""
        return self._preferences.of(queries) @ self._preferences.items.T
