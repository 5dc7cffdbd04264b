"""Sequence-aware item kNN: what follows an item in people's histories. Knows nothing about text or similar users.

The strongest simple baseline on Amazon Beauty and Toys; its defaults were chosen on their validation parts.
"""

from __future__ import annotations

import numpy as np

from isrf.data.history_matrix import dense, history_matrix
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.graphs.item_graphs import damped, transitions
from isrf.methods.score_inputs import Reads


class SeqItemKNN:
    """Transitions i -> j within ``window`` items, weighted by distance, normalised by degree, summed over the history.

    T_ij = sum over users of distance ** -distance_power for each j that comes at most ``window`` items after i;
    C = T + backward T^t; S_ij = C_ij / (out_i ** source_power * in_j ** target_power), out and in being C's row and
    column sums. The score of item j is the sum over the history of decay ** age * S_ij.

    Args:
        window: longest distance of a transition, items.
        distance_power: how fast a transition loses weight with distance; 1 = 1/distance.
        backward: weight of a transition read backwards, relative to forwards; 0 = directed, 1 = symmetric.
        source_power: exponent of the source's degree; tames items that are followed by everything.
        target_power: exponent of the target's degree; small, because popularity is half of the truth.
        decay: weight of a history item relative to the one after it; not used in the direct task.
    """

    name = "seq-itemknn"
    reads = Reads(order=True)

    def __init__(
        self,
        window: int = 7,
        distance_power: float = 0.5,
        backward: float = 0.3,
        source_power: float = 0.4,
        target_power: float = 0.1,
        decay: float = 0.6,
    ) -> None:
        self.window, self.distance_power, self.backward = window, distance_power, backward
        self.source_power, self.target_power, self.decay = source_power, target_power, decay

    def fit(self, training: TrainingData) -> None:
        forward = transitions(training.histories, training.n_items, self.window, self.distance_power)
        both = (forward + self.backward * forward.T).tocsr()
        self._similarity = damped(both, self.source_power, self.target_power)

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32; 0 for items that no history item leads to."""
        return dense(history_matrix(queries, self._similarity.shape[0], self.decay) @ self._similarity)
