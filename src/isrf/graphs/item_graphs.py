"""Item-to-item graphs of training histories: who is bought with what, and what after what (explicit interests).

Built from training interactions only. Knows nothing about texts or users' groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from isrf.core.config import GraphSettings
from isrf.data.histories import Histories
from isrf.data.training_data import TrainingData
from isrf.graphs.propagation import normalised


@dataclass(frozen=True)
class ItemGraphs:
    """Both graphs of one training set, and the damping by which an interaction's own part in them can be told.

    Attributes:
        transitions: (I, I) float32 CSR, damped transitions, mostly forward.
        cooccurrence: (I, I) float32 CSR, co-occurrence without direction.
        source: (I,) float32, what ``following`` multiplies the transitions from an item by.
        target: (I,) float32, and those to an item.
        settings: window, powers and decay that they were made with.
    """

    transitions: sp.csr_matrix
    cooccurrence: sp.csr_matrix
    source: np.ndarray
    target: np.ndarray
    settings: GraphSettings

    @classmethod
    def build(cls, training: TrainingData, settings: GraphSettings) -> ItemGraphs:
        """From training histories; seconds, so it is made at load and not stored."""
        counts = transitions(training.histories, training.n_items, settings.window, settings.distance_power)
        both = sp.csr_matrix(counts + settings.backward * counts.T)
        source = inverse_power(both.sum(axis=1), settings.source_power)
        target = inverse_power(both.sum(axis=0), settings.target_power)
        return cls(scaled(both, source, target), cooccurrence_graph(training.matrix), source, target, settings)


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
    """(I, I) float32 CSR: weight with which item j comes at most ``window`` items after item i, over all histories.

    A pair counts as much as both its interactions do, multiplied.
    """
    total = sp.csr_matrix((n_items, n_items), dtype=np.float32)
    age = histories.age()
    for distance in range(1, window + 1):
        first = np.flatnonzero(age >= distance)  # entries that have a successor at this distance in the same history
        if not len(first):
            break
        weight = np.full(len(first), distance**-distance_power, dtype=np.float32)
        if histories.weights is not None:
            weight *= histories.weights[first] * histories.weights[first + distance]
        pairs = (histories.items[first], histories.items[first + distance])
        total = total + sp.csr_matrix((weight, pairs), shape=(n_items, n_items))
    return total


def damped(matrix: sp.csr_matrix, row_power: float, column_power: float) -> sp.csr_matrix:
    """Each entry divided by row sum ** row_power and column sum ** column_power; float32 CSR."""
    return scaled(matrix, inverse_power(matrix.sum(axis=1), row_power), inverse_power(matrix.sum(axis=0), column_power))


def inverse_power(sums: np.ndarray, power: float) -> np.ndarray:
    """(N,) float64 ``sums`` ** -power, 0 where the sum is."""
    sums = np.asarray(sums).ravel()
    return np.where(sums > 0, np.maximum(sums, np.finfo(np.float32).tiny) ** -power, 0)


def scaled(matrix: sp.csr_matrix, rows: np.ndarray, columns: np.ndarray) -> sp.csr_matrix:
    """Each entry times its row's and its column's factor; float32 CSR."""
    return (sp.diags(rows) @ matrix @ sp.diags(columns)).tocsr().astype(np.float32)
