"""The similar-user graph: who is like whom by semantic user features (paper, step 2: implicit group interests).

Exact cosine top-k above tau through faiss, a block of users at a time: memory grows with U * top_k, never with U * U.
Knows nothing about items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from isrf.core.config import GraphSettings
from isrf.core.progress import note, track
from isrf.core.shell import setting
from isrf.semantics.index import VectorIndex, exact_index

SATURATED = 0.95
"""Where this share of users finds ``top_k`` others above tau, or all there are, likeness decides nothing: warn."""

LINKED_SHARE = 0.5
"""The tau that the warning suggests links about this share of users."""


@dataclass(frozen=True)
class UserGraph:
    """Who is similar to whom.

    Attributes:
        links: (U, U) float32 CSR, cosine of each linked pair; symmetric, zero diagonal, at most top_k in a row.
        best: (U,) float32 cosine of each user's most similar other user, linked or not; -1 where nobody else is.
    """

    links: sp.csr_matrix
    best: np.ndarray

    def summary(self) -> dict[str, float | int | list[float]]:
        """Edges, share of users with no neighbour, and quantiles (5, 25, 50, 75, 95%) of degree and similarity."""
        degree = np.diff(self.links.indptr)
        points = [0.05, 0.25, 0.5, 0.75, 0.95]
        similarity = self.links.data if self.links.nnz else np.zeros(1)
        return {
            "edges": int(self.links.nnz // 2),
            "share_without_neighbour": float((degree == 0).mean()),
            "degree_quantiles": [float(q) for q in np.quantile(degree, points)],
            "similarity_quantiles": [round(float(q), 4) for q in np.quantile(similarity, points)],
            "best_similarity_quantiles": [round(float(q), 4) for q in np.quantile(self.best, points)],
        }

    def described(self) -> str:
        """``summary`` in one line for people."""
        s = self.summary()
        degree, near = s["degree_quantiles"], s["similarity_quantiles"]
        assert isinstance(degree, list) and isinstance(near, list)
        return (
            f"similar-user graph: {s['edges']:,} edges, {s['share_without_neighbour']:.1%} of users without a neighbour; "
            f"5/50/95% of users have {degree[0]:.0f}/{degree[2]:.0f}/{degree[4]:.0f} neighbours, "
            f"5/50/95% of links a similarity of {near[0]:.2f}/{near[2]:.2f}/{near[4]:.2f}"
        )


def nearest(
    index: VectorIndex, vectors: np.ndarray, k: int, own: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k users nearest to each vector: similarities (B, k) float32 descending and user rows (B, k) int64, -1 = none.

    ``own`` (B,) are the rows of the vectors themselves, which are left out.
    """
    extra = 0 if own is None else 1
    similarity, rows = index.search(np.ascontiguousarray(vectors), min(k + extra, index.ntotal))
    if own is not None:
        # copies of one vector can push a user out of its own list: then the last place goes instead
        is_own = rows == own[:, None]
        is_own[~is_own.any(1), -1] = True
        keep = ~is_own
        similarity = similarity[keep].reshape(len(own), -1)
        rows = rows[keep].reshape(len(own), -1)
    return similarity, rows


def build_user_graph(vectors: np.ndarray, settings: GraphSettings) -> UserGraph:
    """Link users u, v where cos(s_u, s_v) >= tau and each is among the other's top_k nearest.

    Mutual choice keeps the graph symmetric and every degree at most top_k. Users without a feature (zero vector) get
    no neighbour. Prints a warning with a suggested tau when the graph comes out empty or saturated.

    Args:
        vectors: (U, d) float32 unit norm or zero.
    """
    n = len(vectors)
    # only users with a feature are searched: at a tau below 0 the others would take places in everybody's top_k
    present = np.flatnonzero(np.any(vectors != 0, axis=1))
    index = exact_index(vectors[present])
    best = np.full(n, -1.0, dtype=np.float32)
    found = np.zeros(n, dtype=np.int64)
    sources, targets, weights = [], [], []
    for start in track(range(0, len(present), settings.block), "similar-user graph"):
        places = np.arange(start, min(start + settings.block, len(present)))
        own = present[places]
        similarity, near = nearest(index, vectors[own], settings.top_k, places)
        if not similarity.shape[1]:
            continue
        best[own] = similarity.max(1)
        linked = similarity >= settings.tau
        found[own] = linked.sum(1)
        sources.append(np.repeat(own, found[own]))
        targets.append(present[near[linked]])
        # a cosine above 1 by rounding would be refused as a similarity later
        weights.append(np.clip(similarity[linked], -1, 1))
    row = np.concatenate(sources) if sources else np.zeros(0, dtype=np.int64)
    column = np.concatenate(targets) if targets else np.zeros(0, dtype=np.int64)
    weight = np.concatenate(weights) if weights else np.zeros(0, dtype=np.float32)
    forward = set_of_pairs(row, column, n)
    mutual = np.isin(forward, set_of_pairs(column, row, n), assume_unique=True)
    row, column, weight = row[mutual], column[mutual], weight[mutual]
    low, high = np.minimum(row, column), np.maximum(row, column)
    # the two directions come from different matrix products and can differ in the last bit: keep one value
    upper = row < column
    order = np.lexsort((high[upper], low[upper]))
    a, b, w = low[upper][order], high[upper][order], weight[upper][order]
    half = sp.coo_matrix((w, (a, b)), shape=(n, n))
    links = sp.csr_matrix(half + half.T, dtype=np.float32)
    links.sort_indices()
    graph = UserGraph(links, best)
    warn_if_useless(graph, found, settings)
    return graph


def set_of_pairs(row: np.ndarray, column: np.ndarray, n: int) -> np.ndarray:
    """(E,) int64: one number for each ordered pair."""
    return row.astype(np.int64) * n + column.astype(np.int64)


def suggested_tau(best: np.ndarray) -> float:
    """The tau, to two decimals, at which about half of the users who have anybody to be compared with are linked."""
    return round(float(np.floor(np.quantile(best[best > -1], 1 - LINKED_SHARE) * 100)) / 100, 2)


def warn_if_useless(graph: UserGraph, found: np.ndarray, settings: GraphSettings) -> str | None:
    """Print and return a line when the graph is empty or saturated; None when it is neither.

    Args:
        found: (U,) int64 others above tau of each user, at most ``top_k``. Degrees do not tell: mutual choice
            leaves most of them far under ``top_k`` even where tau cuts nothing.
    """
    line = None
    compared = graph.best > -1
    # in a small log nobody can find top_k others: everybody is everybody's neighbour long before
    limit = min(settings.top_k, int(compared.sum()) - 1)
    if graph.links.nnz == 0 and not compared.any():
        line = "warning: the similar-user graph is empty: no two users have a feature to compare"
    elif graph.links.nnz == 0:
        line = (
            f"warning: the similar-user graph is empty at graphs.tau={settings.tau}; "
            f"{setting('graphs.tau', suggested_tau(graph.best))} would link about half of the users"
        )
    elif limit >= 2 and (found[compared] >= limit).mean() >= SATURATED:
        floor = max(np.floor(np.quantile(graph.links.data, 0.9) * 100) / 100, min(settings.tau + 0.01, 1.0))
        line = (
            f"warning: the similar-user graph is saturated at graphs.tau={settings.tau}: nearly every user finds "
            f"{limit} others above it; {setting('graphs.tau', float(round(floor, 2)))} would tell them apart"
        )
    if line:
        note(line)
    return line
