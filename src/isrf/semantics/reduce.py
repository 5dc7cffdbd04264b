"""Principal components of sentence vectors (paper, step 1: reduced by PCA). Knows nothing about texts or encoders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isrf.core.arrays import unit_rows


@dataclass(frozen=True)
class Reduction:
    """A fitted PCA.

    Attributes:
        mean: (d,) float32.
        components: (k, d) float32, orthonormal rows, largest variance first.
        variance_kept: share of the variance that the k components carry, 0 to 1.
    """

    mean: np.ndarray
    components: np.ndarray
    variance_kept: float

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(N, d) -> (N, k) float32 of unit norm; what lies exactly at the mean stays zero."""
        return unit_rows((vectors - self.mean) @ self.components.T)


def fit_reduction(vectors: np.ndarray, dimensions: int) -> Reduction:
    """PCA of (N, d) float32 to at most ``dimensions``; zero vectors (items without text) are left out of the fit."""
    present = vectors[np.any(vectors != 0, axis=1)].astype(np.float64)
    if not len(present):
        present = vectors.astype(np.float64)
    mean = present.mean(0)
    centred = present - mean
    values, axes = np.linalg.eigh(centred.T @ centred / max(len(present) - 1, 1))
    kept = min(dimensions, vectors.shape[1])
    components = axes[:, ::-1][:, :kept].T
    # an eigenvector's sign is arbitrary: fix it, so that two runs agree
    signs = np.sign(components[np.arange(kept), np.abs(components).argmax(1)])
    components = components * np.where(signs == 0, 1, signs)[:, None]
    total = float(values.clip(0).sum())
    share = float(values[::-1][:kept].clip(0).sum() / total) if total > 0 else 1.0
    return Reduction(mean.astype(np.float32), components.astype(np.float32), share)
