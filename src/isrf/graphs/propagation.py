"""LightGCN propagation: no weights, no non-linearity, D^-1/2 A D^-1/2, mean over layers. Knows nothing of meaning.

Source: LightGCN (He et al., 2020), as ISRF uses it over both of its graphs (paper, steps 1 and 2).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def normalised(adjacency: sp.csr_matrix) -> sp.csr_matrix:
    """D_r^-1/2 A D_c^-1/2 with row and column degrees; rows and columns without an edge stay zero.

    Args:
        adjacency: (M, N) non-negative; square and symmetric for a graph of one kind of node, a user x item block of
            the bipartite graph otherwise (its transpose is the other block).
    """
    rows = np.asarray(adjacency.sum(1)).ravel()
    columns = np.asarray(adjacency.sum(0)).ravel()

    def inverse_root(degree: np.ndarray) -> np.ndarray:
        return np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree, dtype=np.float64), where=degree > 0)

    scaled = sp.diags(inverse_root(rows)) @ adjacency @ sp.diags(inverse_root(columns))
    return sp.csr_matrix(scaled, dtype=np.float32)


def propagate_bipartite(
    links: sp.csr_matrix, users: np.ndarray, items: np.ndarray, layers: int
) -> tuple[np.ndarray, np.ndarray]:
    """LightGCN over a user-item graph.

    Args:
        links: (U, I) ``normalised`` interactions.
        users: (U, d) float32 features at layer 0.
        items: (I, d) float32 features at layer 0.
        layers: L; 0 returns the features unchanged.

    Returns:
        z_u (U, d) and z_i (I, d) float32: means over layers 0..L.
    """
    total_users, total_items = users.copy(), items.copy()
    for _ in range(layers):
        users, items = links @ items, links.T @ users
        total_users += users
        total_items += items
    return total_users / (layers + 1), total_items / (layers + 1)


def propagate(links: sp.csr_matrix, nodes: np.ndarray, layers: int) -> np.ndarray:
    """LightGCN over a graph of one kind of node: (N, N) ``normalised`` links, (N, d) float32 -> (N, d) float32."""
    total = nodes.copy()
    for _ in range(layers):
        nodes = links @ nodes
        total += nodes
    return total / (layers + 1)
