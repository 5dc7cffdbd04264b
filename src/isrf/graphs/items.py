"""Item-to-item graphs of training histories: who is bought with what, and what after what (explicit interests).

Built from training interactions only. Knows nothing about texts or users' groups.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from isrf.data.split import Histories
from isrf.graphs.propagation import normalised


def transition_counts(histories: Histories, n_items: int, window: int) -> sp.csr_matrix:
    """(I, I) float32: sum of 1/distance over pairs where the column item follows the row item within ``window``.

    The distance weight lets a near successor count for more than a far one; window 1 gives plain bigrams.
    """
    rows, columns, weights = [], [], []
    owner = histories.rows()
    for distance in range(1, window + 1):
        same = owner[:-distance] == owner[distance:]
        rows.append(histories.items[:-distance][same])
        columns.append(histories.items[distance:][same])
        weights.append(np.full(int(same.sum()), 1.0 / distance, dtype=np.float32))
    pairs = (np.concatenate(rows), np.concatenate(columns))
    counts = sp.coo_matrix((np.concatenate(weights), pairs), shape=(n_items, n_items))
    return sp.csr_matrix(counts, dtype=np.float32)


def transition_graph(histories: Histories, n_items: int, window: int) -> sp.csr_matrix:
    """Degree-normalised directed transitions: entry (i, j) speaks for j after i."""
    return normalised(transition_counts(histories, n_items, window))


def companion_graph(histories: Histories, n_items: int, window: int) -> sp.csr_matrix:
    """Degree-normalised transitions with their direction forgotten: entry (i, j) speaks for j near i."""
    counts = transition_counts(histories, n_items, window)
    return normalised(sp.csr_matrix(counts + counts.T))


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
