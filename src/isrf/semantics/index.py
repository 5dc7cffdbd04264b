"""Nearest vectors and k-means: the one place that knows faiss. Knows nothing about items, users or graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import faiss
import numpy as np

MOST_SEED = 2**31
"""faiss takes seeds of 31 bits."""


class VectorIndex(Protocol):
    """Vectors that can be searched."""

    @property
    def ntotal(self) -> int:
        """How many vectors it holds."""
        ...

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(B, k) float32 inner products, descending, and (B, k) int64 rows, -1 where there are fewer, of (B, d) float32."""
        ...


def exact_index(vectors: np.ndarray) -> VectorIndex:
    """Exact inner products with (N, d) float32 vectors."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return index


def find_cells(vectors: np.ndarray, count: int, rounds: int, sample: int) -> tuple[np.ndarray, np.ndarray]:
    """Spherical k-means of (N, d) float32 vectors: (count, d) float32 centres and (N,) int64 cell of each vector.

    Args:
        vectors: to be divided.
        count: how many cells.
        rounds: of k-means.
        sample: vectors a cell that k-means looks at.
    """
    width = vectors.shape[1]
    whole = faiss.IndexFlatIP(width)
    index: Any = faiss.IndexIVFFlat(whole, width, count, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid = rounds, sample
    index.train(vectors)
    return whole.reconstruct_n(0, count), whole.search(vectors, 1)[1].ravel()


def cell_index(vectors: np.ndarray, centres: np.ndarray, cells: np.ndarray, searched: int) -> VectorIndex:
    """Inner products with (N, d) float32 vectors, looked for in the ``searched`` cells nearest to a question.

    Args:
        vectors: unit or zero.
        centres: (C, d) float32 of the cells.
        cells: (N,) int64 cell of each vector.
        searched: cells a question looks into.
    """
    width = vectors.shape[1]
    whole: Any = faiss.IndexFlatIP(width)
    whole.add(centres)
    index: Any = faiss.IndexIVFFlat(whole, width, len(centres), faiss.METRIC_INNER_PRODUCT)
    index.add_core(len(vectors), faiss.swig_ptr(vectors), None, faiss.swig_ptr(cells))
    index.nprobe = searched
    return index


def nearest_centroids(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(N,) int64: the centroid of least distance to each of (N, d) float32 vectors; the same whatever the threads."""
    index = faiss.IndexFlatL2(centroids.shape[1])
    index.add(centroids)
    with one_thread():
        return index.search(vectors, 1)[1][:, 0]


def kmeans(
    vectors: np.ndarray, k: int, seed: int, rounds: int, spherical: bool = False, sampled: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int64 cluster of each vector and (k, d) float32 centroids.

    Args:
        vectors: (N, d) float32.
        k: clusters.
        seed: of the first centroids.
        rounds: of k-means.
        spherical: whether cosines count instead of distances.
        sampled: whether faiss may draw a sample of many vectors.
    """
    most = {} if sampled else {"max_points_per_centroid": len(vectors)}
    means = faiss.Kmeans(
        vectors.shape[1],
        k,
        niter=rounds,
        seed=seed % MOST_SEED,
        spherical=spherical,
        min_points_per_centroid=1,
        **most,
    )
    means.train(vectors)
    return means.index.search(vectors, 1)[1][:, 0].astype(np.int64), np.asarray(means.centroids)


@contextmanager
def one_thread() -> Iterator[None]:
    """faiss on one thread meanwhile: sums in another order would be other floats."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
