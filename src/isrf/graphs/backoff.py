"""Semantic back-off: what an item without interactions, or with few, borrows from the items whose texts are nearest.

An item that nobody chose has no transition, no companion and no vote, however good its text is. Its lenders, the nearest
items by semantics that somebody chose, have: what speaks for them speaks for it too, the less the more interactions it has of
its own (absolute discounting, as in language models that back off). Knows nothing about who reads the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from isrf.core.arrays import unit_rows
from isrf.core.config import GraphSettings
from isrf.semantics.index import exact_index

CLOSENESS_POWER = 8
"""Lenders share by cosine ** this: an item with one close relative is like it, and not like the mean of all."""


@dataclass(frozen=True)
class BackOff:
    """Who lends how much to whom among I items.

    Attributes:
        rare: (I, I) float32 CSR; row i sums to kappa / (kappa + n) for an item with n interactions, 1 <= n <= ``graphs.rare``,
            that has a lender; other rows are empty.
        new: (I, I) float32 CSR; rows of items without an interaction sum to one where they have a lender.
    """

    rare: sp.csr_matrix
    new: sp.csr_matrix

    @classmethod
    def of(cls, popularity: np.ndarray, semantics: np.ndarray, settings: GraphSettings) -> BackOff:
        """Lenders by exact search: the ``graphs.lenders`` nearest items with an interaction.

        Args:
            popularity: (I,) training interactions of each item.
            semantics: (I, k) float32 unit or zero; an item without text borrows and lends nothing.
            settings: lenders, rare and kappa.
        """
        text = np.any(semantics != 0, axis=1)
        lenders = np.flatnonzero((popularity > 0) & text)
        borrowers = np.flatnonzero((popularity <= settings.rare) & text)
        if not settings.lenders:
            borrowers = borrowers[:0]
        shares = lenders_of(semantics, lenders, borrowers, settings.lenders)
        known = popularity > 0
        discount = np.where(known, settings.kappa / (settings.kappa + popularity), 0.0)
        return cls(
            sp.csr_matrix(sp.diags(discount) @ shares, dtype=np.float32),
            sp.csr_matrix(sp.diags((~known).astype(np.float32)) @ shares, dtype=np.float32),
        )

    @classmethod
    def nothing(cls, items: int) -> BackOff:
        """Nobody lends anything to any of I items."""
        return cls(*(sp.csr_matrix((items, items), dtype=np.float32) for _ in range(2)))

    def with_items(self, semantics: np.ndarray, rows: np.ndarray, lenders: np.ndarray, count: int) -> BackOff:
        """The same with more items, which borrow what one without an interaction does; only they look for lenders.

        Args:
            semantics: (J, k) float32 unit or zero, of all items; J >= I.
            rows: (n,) int64 items whose texts are new; those that lend, or borrow as rare ones, go on as they are.
            lenders: (I,) bool.
            count: most lenders of an item.
        """
        text = np.any(semantics != 0, axis=1)
        lending = np.flatnonzero(np.pad(lenders, (0, len(semantics) - len(lenders))) & text)
        known = np.pad(lenders | (np.diff(self.rare.indptr) > 0), (0, len(semantics) - len(lenders)))
        borrowers = rows[text[rows] & ~known[rows]] if count else rows[:0]
        stay = np.ones(len(semantics), dtype=np.float32)
        stay[rows[~known[rows]]] = 0
        new = sp.diags(stay) @ grown(self.new, len(semantics)) + lenders_of(semantics, lending, borrowers, count)
        new = sp.csr_matrix(new, dtype=np.float32)
        new.eliminate_zeros()
        return BackOff(grown(self.rare, len(semantics)), new)

    @property
    def new_items(self) -> np.ndarray:
        """(I,) bool: items without an interaction that have somebody to borrow from."""
        return np.diff(self.new.indptr) > 0

    def lent(self, evidence: sp.csr_matrix, discount: float) -> sp.csr_matrix:
        """(B, I) float32 CSR: evidence for each item, its own and what it borrows.

        Args:
            evidence: (B, I) float32 >= 0, counts of any kind.
            discount: what evidence for a lender is worth for an item without any interaction, >= 0.
        """
        links = self.rare if not discount else self.rare + np.float32(discount) * self.new
        return evidence if not links.nnz else sp.csr_matrix(evidence + evidence @ links.T, dtype=np.float32)

    def embedded(self, embeddings: np.ndarray) -> np.ndarray:
        """(I, d) float32 unit: embeddings of the generator; rare items are drawn to their lenders, new ones are where these are.

        Args:
            embeddings: (I, d) float32 unit, as trained.
        """
        found = self.placed(embeddings)
        rows = np.flatnonzero(np.diff(self.rare.indptr))
        if not len(rows):
            return found
        own = 1 - np.asarray(self.rare[rows].sum(1), dtype=np.float32)
        found = found.copy() if found is embeddings else found
        found[rows] = unit_rows(own * embeddings[rows] + np.asarray(self.rare[rows] @ embeddings, dtype=np.float32))
        return found

    def placed(self, nodes: np.ndarray) -> np.ndarray:
        """(I, k) float32: nodes of the semantic interaction graph, those of new items where their lenders are."""
        rows = np.flatnonzero(self.new_items)
        if not len(rows):
            return nodes
        found = nodes.copy()
        found[rows] = unit_rows(np.asarray(self.new[rows] @ nodes, dtype=np.float32))
        return found


def grown(matrix: sp.csr_matrix, items: int, rows: bool = True) -> sp.csr_matrix:
    """The matrix with empty columns, and rows, behind those that it has, ``items`` of each; values are shared, not copied."""
    height = items if rows else matrix.shape[0]
    offsets = np.pad(matrix.indptr, (0, height - matrix.shape[0]), mode="edge")
    return sp.csr_matrix((matrix.data, matrix.indices, offsets), shape=(height, items))


def lenders_of(semantics: np.ndarray, lenders: np.ndarray, borrowers: np.ndarray, count: int) -> sp.csr_matrix:
    """(I, I) float32 CSR whose rows of borrowers hold shares of at most ``count`` lenders, summing to one; no item is its own.

    Args:
        semantics: (I, k) float32 unit or zero.
        lenders: (L,) int64 item rows.
        borrowers: (N,) int64 item rows.
        count: most lenders of an item.
    """
    items = len(semantics)
    most = min(count + 1, len(lenders))
    if not len(borrowers) or not most:
        return sp.csr_matrix((items, items), dtype=np.float32)
    cosine, places = exact_index(semantics[lenders]).search(np.ascontiguousarray(semantics[borrowers]), most)
    rows = lenders[places]
    usable = (cosine > 0) & (rows != borrowers[:, None])
    usable &= np.cumsum(usable, axis=1) <= count
    weights = np.where(usable, np.maximum(cosine, 0), 0.0) ** CLOSENESS_POWER
    total = weights.sum(1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    some = usable & (weights > 0)
    people = np.repeat(borrowers, some.sum(1))
    return sp.csr_matrix((weights[some].astype(np.float32), (people, rows[some])), shape=(items, items))
