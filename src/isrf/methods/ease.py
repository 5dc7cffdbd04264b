"""EASE: the closed-form linear autoencoder over items (Steck, WWW 2019). Knows nothing about text.

One (I, I) float32 array is all the memory it takes: LAPACK factors, inverts and rescales it in place. Defaults were
chosen on validation (Amazon Beauty and Toys).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from isrf.core.errors import CannotFit
from isrf.core.progress import task
from isrf.data.history_matrix import history_matrix
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.methods.score_inputs import Reads

MIRROR_BLOCK = 256
"""Rows copied at once from the lower to the upper triangle."""


class EASE:
    """B = I - P diag(P)^-1 with P = (X^t X + regularisation I)^-1; a score is the weighted history times B.

    Args:
        regularisation: ridge penalty lambda, in interactions.
        decay: weight of a history item relative to the one after it when scoring; not used in the direct task.
        max_items: largest catalogue accepted; I items take 4 I^2 bytes and time cubic in I.
    """

    name = "ease"
    reads = Reads(order=True, consumer="dense item-to-item weights")

    def __init__(self, regularisation: float = 200.0, decay: float = 0.6, max_items: int = 30_000) -> None:
        self.regularisation, self.decay, self.max_items = regularisation, decay, max_items

    def fit(self, training: TrainingData) -> None:
        """Raises CannotFit where the catalogue is larger than ``max_items``."""
        n = training.n_items
        if n > self.max_items:
            raise CannotFit(
                f"ease: {n:,} items would take {4 * n * n / 1e9:.0f} GB and hours; leave ease out for this catalogue"
            )
        with task(f"ease: inverting {n:,} x {n:,}", total=3) as running:
            users = training.matrix
            # Fortran order: LAPACK then works in the array itself instead of in a copy
            gram = (users.T @ users).toarray(order="F").astype(np.float32, copy=False)
            gram[np.diag_indices(n)] += np.float32(self.regularisation)
            running.advance()
            factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1, clean=0)
            running.advance()
            inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
            if failed or failed_too:
                raise CannotFit(f"ease: the item matrix is not positive definite at lambda {self.regularisation}")
            running.advance()
        del gram, factor
        weights = inverse.T  # C order; the lower triangle of the Fortran array is the upper one here
        mirror_upper(weights)
        diagonal = weights.diagonal().copy()
        weights /= -diagonal[None, :]
        weights[np.diag_indices(n)] = 0
        self._weights = weights

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32."""
        history = history_matrix(queries, self._weights.shape[0], self.decay)
        return np.asarray(history @ self._weights, dtype=np.float32)


def mirror_upper(square: np.ndarray) -> None:
    """Make a square array symmetric in place from its upper triangle, in blocks so that no second copy is needed."""
    n = len(square)
    for start in range(0, n, MIRROR_BLOCK):
        stop = min(start + MIRROR_BLOCK, n)
        square[stop:, start:stop] = square[start:stop, stop:].T
        corner = square[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
