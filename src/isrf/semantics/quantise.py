"""Residual quantisation: a vector as a short list of codes, coarse ones first. Knows nothing about items or users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isrf.semantics.index import kmeans, nearest_centroids, one_thread

ITERATIONS = 25
"""Rounds of k-means a level; the codes of Amazon Beauty hardly change after 15."""


@dataclass(frozen=True)
class Quantiser:
    """Fitted centroids.

    Attributes:
        levels: for each level (k, d) float32 centroids of what the levels before it left over.
    """

    levels: list[np.ndarray]

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(N, d) float32 -> (N, L) int64: the nearest centroid of each level."""
        residual = np.array(vectors, dtype=np.float32, order="C")
        codes = np.empty((len(residual), len(self.levels)), dtype=np.int64)
        for level, centroids in enumerate(self.levels):
            codes[:, level] = nearest_centroids(residual, centroids)
            residual -= centroids[codes[:, level]]
        return codes


def fit_quantiser(vectors: np.ndarray, levels: int, codes: int, seed: int) -> tuple[Quantiser, np.ndarray]:
    """k-means over what the levels before left of (N, d) float32 vectors, ``codes`` centroids a level.

    Returns:
        The quantiser, and (N, L) int64 codes of the vectors themselves; the same bytes for the same seed.
    """
    residual = np.array(vectors, dtype=np.float32, order="C")
    found, table = np.empty((len(residual), levels), dtype=np.int64), []
    for level in range(levels):
        found[:, level], centroids = clusters(residual, codes, seed + level)
        residual -= centroids[found[:, level]]
        table.append(centroids)
    return Quantiser(table), found


def clusters(vectors: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int64 cluster of each vector and (k, d) float32 centroids; the same bytes for the same seed."""
    with one_thread():
        return kmeans(vectors, k, seed, ITERATIONS)
