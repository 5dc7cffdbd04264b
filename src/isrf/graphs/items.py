"""Item-to-item graphs of training histories: who is bought with what, and what after what (explicit interests).

Built from training interactions only. Knows nothing about texts or users' groups.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from isrf.data.split import Histories
from isrf.graphs.propagation import normalised


def cooccurrence_graph(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Items joined by shared users, the two-hop walk of LightGCN: D_i^-1/2 X^T D_u^-1 X D_i^-1/2 without its diagonal.

    Args:
        matrix: (U, I) training interactions.
    """
    links = normalised(matrix)
    graph = sp.csr_matrix(links.T @ links)
    graph.setdiag(0)
    graph.eliminate_zeros()
    return sp.csr_matrix(graph, dtype=np.float32)


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


def damped(matrix: sp.csr_matrix, row_power: float, column_power: float) -> sp.csr_matrix:
    """Each entry divided by row sum ** row_power and column sum ** column_power; float32 CSR."""

    def inverse(sums: np.ndarray, power: float) -> sp.dia_matrix:
        sums = np.asarray(sums).ravel()
        return sp.diags(np.where(sums > 0, np.maximum(sums, np.finfo(np.float32).tiny) ** -power, 0))

    scaled = inverse(matrix.sum(axis=1), row_power) @ matrix @ inverse(matrix.sum(axis=0), column_power)
    return scaled.tocsr().astype(np.float32)
