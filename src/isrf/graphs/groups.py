"""What the people like a user chose: the implicit group interest that generator and ranking consume.

Built from a user's neighbours alone, never from the user's own interactions, so that it can be made for a person who
was not in the log. Knows nothing about how neighbours were found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from isrf.data.histories import Histories

SHARPNESS = 20
"""Votes count with cosine ** SHARPNESS: the nearest of a hundred neighbours should not drown among the rest."""

PROFILE_ITEMS = 50
"""Items kept of what a group chose: what the generator reads of it."""


def user_item_votes(histories: Histories, n_items: int, decay: float) -> sp.csr_matrix:
    """(U, I) float32: what each user says to those who are like them.

    Recent items speak louder (``decay`` a step, as in a person's own history); a long history is damped by the root of
    its length and a popular item by the fourth root of its popularity, so that neither fills every ballot. Each interaction
    speaks as loudly as it counts.
    """
    matrix = histories.matrix(n_items, decay ** histories.age().astype(np.float32))
    lengths, popularity = positive(histories.totals()), positive(histories.popularity(n_items))
    return sp.csr_matrix(sp.diags(lengths**-0.5) @ matrix @ sp.diags(popularity**-0.25), dtype=np.float32)


def positive(totals: np.ndarray) -> np.ndarray:
    """(N,) float64 totals, 1 in place of 0."""
    return np.where(totals > 0, totals, 1).astype(np.float64)


def item_votes(links: sp.csr_matrix, choices: sp.csr_matrix) -> sp.csr_matrix:
    """(B, I) float32: how strongly each person's neighbours speak for each item; rows without a neighbour are empty.

    Neighbours vote with cosine ** SHARPNESS. The votes are not shared out to sum to one: many close neighbours are
    better evidence than one distant one.

    Args:
        links: (B, U) cosine to each linked user.
        choices: (U, I) ``voices``.
    """
    sharp = links.copy()
    sharp.data = np.maximum(sharp.data, 0) ** SHARPNESS
    return sp.csr_matrix(sharp @ choices, dtype=np.float32)


@dataclass(frozen=True)
class GroupProfile:
    """What each person's group chose, strongest first.

    Attributes:
        items: (B, P) int64 item rows, 0 where ``weights`` is 0.
        weights: (B, P) float32 >= 0, summing to one for a person with a group, all zero for one without.
        semantics: (B, d) float32, mean of the neighbours' semantic features after propagation; zero without a group.
    """

    items: np.ndarray
    weights: np.ndarray
    semantics: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """(B,) bool: whether the person has a group at all."""
        return self.weights[:, 0] > 0

    def take(self, rows: np.ndarray) -> GroupProfile:
        """The profiles at the given rows; row -1 gives an empty one."""
        known = (rows >= 0)[:, None]
        safe = np.maximum(rows, 0)
        return GroupProfile(
            np.where(known, self.items[safe], 0),
            np.where(known, self.weights[safe], 0).astype(np.float32),
            np.where(known, self.semantics[safe], 0).astype(np.float32),
        )

    @classmethod
    def empty(cls, size: int, dimensions: int) -> GroupProfile:
        """Nobody has a group."""
        return cls(
            np.zeros((size, PROFILE_ITEMS), dtype=np.int64),
            np.zeros((size, PROFILE_ITEMS), dtype=np.float32),
            np.zeros((size, dimensions), dtype=np.float32),
        )


def group_profile(links: sp.csr_matrix, choices: sp.csr_matrix, node_semantics: np.ndarray) -> GroupProfile:
    """Condense votes and neighbours' semantics into what the generator reads.

    Args:
        links: (B, U) cosine to each linked user.
        choices: (U, I) ``voices``.
        node_semantics: (U, d) float32, user features propagated over the similar-user graph (``propagate``).
    """
    ballot = item_votes(links, choices)
    size = links.shape[0]
    items = np.zeros((size, PROFILE_ITEMS), dtype=np.int64)
    weights = np.zeros((size, PROFILE_ITEMS), dtype=np.float32)
    for row in range(size):
        start, end = ballot.indptr[row], ballot.indptr[row + 1]
        entries, strength = ballot.indices[start:end], ballot.data[start:end]
        # strongest first, ties by item row: the same profile whatever order scipy kept the entries in
        best = np.lexsort((entries, -strength))[:PROFILE_ITEMS]
        items[row, : len(best)] = entries[best]
        weights[row, : len(best)] = strength[best]
    total = weights.sum(1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    mean = sp.csr_matrix(links, copy=True)
    mean.data = np.maximum(mean.data, 0)
    norm = np.asarray(mean.sum(1)).ravel()
    mean = sp.csr_matrix(
        sp.diags(np.divide(1.0, norm, out=np.zeros_like(norm, dtype=np.float64), where=norm > 0)) @ mean
    )
    # neighbours only: SciPy would turn the features of all users into float64 for a handful of them
    rows, place = np.unique(mean.indices, return_inverse=True)
    few = sp.csr_matrix((mean.data, place, mean.indptr), shape=(size, len(rows)))
    return GroupProfile(items, weights, np.asarray(few @ node_semantics[rows], dtype=np.float32))
