"""Sequence-aware item kNN: what follows an item in people's histories. Knows nothing about text or similar users.

The strongest simple baseline on Amazon Beauty and Toys; its defaults were chosen on their validation parts.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from isrf.baselines.method import dense, history_matrix
from isrf.data.queries import Queries
from isrf.data.split import Histories, TrainingData


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
        self._similarity = normalised(both, self.source_power, self.target_power)

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32; 0 for items that no history item leads to."""
        return dense(history_matrix(queries, self._similarity.shape[0], self.decay) @ self._similarity)


def transitions(histories: Histories, n_items: int, window: int, distance_power: float) -> sp.csr_matrix:
    """(I, I) float32 CSR: weight with which item j comes at most ``window`` items after item i, over all histories."""
    total = sp.csr_matrix((n_items, n_items), dtype=np.float32)
    age = histories.age()
    for distance in range(1, window + 1):
        first = np.flatnonzero(age >= distance)  # entries that have a successor at this distance in the same history
        if not len(first):
            break
        weight = np.full(len(first), distance**-distance_power, dtype=np.float32)
        pairs = (histories.items[first], histories.items[first + distance])
        total = total + sp.csr_matrix((weight, pairs), shape=(n_items, n_items))
    return total


def normalised(matrix: sp.csr_matrix, row_power: float, column_power: float) -> sp.csr_matrix:
    """Each entry divided by row sum ** row_power and column sum ** column_power; float32 CSR."""

    def inverse(sums: np.ndarray, power: float) -> sp.dia_matrix:
        sums = np.asarray(sums).ravel()
        return sp.diags(np.where(sums > 0, np.maximum(sums, np.finfo(np.float32).tiny) ** -power, 0))

    scaled = inverse(matrix.sum(axis=1), row_power) @ matrix @ inverse(matrix.sum(axis=0), column_power)
    return scaled.tocsr().astype(np.float32)
