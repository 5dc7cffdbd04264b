"""Semantic identifiers as the carrier: deep interests and items become codes, and codes are counted. No graph.

Knows nothing about how preferences were reasoned.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from isrf.data.history_matrix import dense, history_matrix
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.graphs.item_graphs import damped, transitions
from isrf.methods.preferences import Preferences
from isrf.methods.score_inputs import Reads
from isrf.semantics.quantise import fit_quantiser

ITEMS_PER_CODE = 4
"""A level has no more codes than a quarter of the items."""


class SemanticId:
    """What follows an identifier in people's histories, counted at every depth from the first code to the whole item.

    Item features are quantised level by level (residual k-means); an item's identifier of depth l is its first l codes,
    and the item itself at the last depth. A person's deep interest is their reasoned preference, quantised by the same
    centroids. An item scores, at each depth, by how often its identifier came after those of the history, and by how
    often people with the same deep interest bought it; both shared out among the items that have the identifier.

    Args:
        preferences: features of items and people.
        levels: codes of an identifier.
        codes: most codes a level; a small catalogue has fewer.
        depth: weight of a depth relative to the next deeper one.
        interest: weight of the deep interest relative to the history.
        window: longest distance of a transition, items.
        decay: weight of a history item relative to the one after it; not used in the direct task.
        seed: of k-means.
    """

    name = "semantic-id"
    reads = Reads(
        order=True,
        texts=True,
        preferences=True,
        alike="reasoned preferences",
        carrier="semantic id",
        bridge="people with the same identifier are counted together",
        coupling="once, when fitted",
        consumer="counted successors of identifiers",
    )

    def __init__(
        self,
        preferences: Preferences,
        levels: int = 3,
        codes: int = 256,
        depth: float = 0.5,
        interest: float = 0.5,
        window: int = 7,
        decay: float = 0.6,
        seed: int = 0,
    ) -> None:
        self._preferences = preferences
        self.levels, self.codes, self.depth, self.interest = levels, codes, depth, interest
        self.window, self.decay, self.seed = window, decay, seed

    def fit(self, training: TrainingData) -> None:
        n = training.n_items
        codes = min(self.codes, max(1, n // ITEMS_PER_CODE))
        self._quantiser, item_codes = fit_quantiser(self._preferences.items, self.levels, codes, self.seed)
        user_codes = self._quantiser(self._preferences.users)
        self._follows: list[tuple[np.ndarray, sp.csr_matrix]] = []
        self._bought: list[tuple[np.ndarray, sp.csr_matrix]] = []
        for depth in range(1, self.levels + 2):
            last = depth > self.levels
            place = np.arange(n) if last else np.unique(numbers(item_codes[:, :depth], codes), return_inverse=True)[1]
            sizes = np.bincount(place)
            walked = replace(training.histories, items=place[training.histories.items])
            after = transitions(walked, len(sizes), self.window, 0.5)
            shared_out = damped(after + 0.3 * after.T, 0.4, 0.1) @ sp.diags(1 / sizes.astype(np.float32))
            self._follows.append((place, sp.csr_matrix(shared_out)))
            if not last:
                known, who = np.unique(numbers(user_codes[:, :depth], codes), return_inverse=True)
                alike = sp.csr_matrix((np.ones(len(who)), (who, np.arange(len(who)))), shape=(len(known), len(who)))
                self._bought.append((known, damped(alike @ training.matrix, 0.4, 0.1)))
        self._n_codes = codes

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32; 0 where nothing was counted."""
        n = len(self._follows[-1][0])
        history = history_matrix(queries, n, self.decay)
        total = np.zeros((len(queries), n), dtype=np.float32)
        for at, (place, follows) in enumerate(self._follows):
            grouped = sp.csr_matrix(
                (history.data, place[history.indices], history.indptr), (len(queries), follows.shape[0])
            )
            total += np.float32(self.depth ** (self.levels - at)) * dense(grouped @ follows)[:, place]
        preferences = self._preferences.of(queries)
        codes = self._quantiser(preferences)
        nobody = ~np.any(preferences != 0, axis=1)
        for at, (known, bought) in enumerate(self._bought):
            wanted = numbers(codes[:, : at + 1], self._n_codes)
            row = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            found = (known[row] == wanted) & ~nobody
            weight = np.float32(self.interest * self.depth ** (self.levels - 1 - at))
            total[found] += weight * dense(bought[row[found]])
        return total


def numbers(codes: np.ndarray, base: int) -> np.ndarray:
    """(N,) int64: one number for each row of (N, l) codes below ``base``.

    >>> numbers(np.array([[1, 2], [0, 3]]), 10).tolist()
    [12, 3]
    """
    return np.asarray(codes @ base ** np.arange(codes.shape[1] - 1, -1, -1, dtype=np.int64))
