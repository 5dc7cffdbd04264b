"""Item kNN: items bought by the same people are similar. Knows nothing about order or text.

Its defaults were chosen on validation (Amazon Beauty and Toys).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from isrf.data.history_matrix import dense, history_matrix
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.methods.score_inputs import Reads


class ItemKNN:
    """Cosine similarity with shrinkage, c_ij / (sqrt(c_i c_j) + shrinkage), the best ``neighbours`` of each item kept.

    c_ij counts the users who have both items, c_i those who have item i. A person's score for an item is the sum of
    its similarities to their history.

    Args:
        neighbours: most similar items kept for each item.
        shrinkage: pseudo-count (users) that pulls similarities resting on few users towards 0.
    """

    name = "itemknn"
    reads = Reads()

    def __init__(self, neighbours: int = 1000, shrinkage: float = 30.0) -> None:
        self.neighbours, self.shrinkage = neighbours, shrinkage

    def fit(self, training: TrainingData) -> None:
        users = training.matrix
        both = (users.T @ users).tocsr()
        both.setdiag(0)
        both.eliminate_zeros()
        rows = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
        root = np.sqrt(training.popularity)
        both.data = (both.data / (root[rows] * root[both.indices] + self.shrinkage)).astype(np.float32)
        self._similarity = top_of_each_row(both, self.neighbours)

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32 summed similarity to the history; 0 for items that share no user with it."""
        return dense(history_matrix(queries, self._similarity.shape[0]) @ self._similarity)


def top_of_each_row(matrix: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """The k largest entries of each row; among equal entries the lower column is kept."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    place = np.arange(len(order)) - matrix.indptr[rows]  # lexsort keeps rows together: place within the row
    kept = order[place < k]
    return sp.csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)
