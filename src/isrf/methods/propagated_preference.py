"""Propagated preference vectors as the carrier: people and items teach one another over who bought what.

Nothing is trained. Knows nothing about how preferences were reasoned.
"""

from __future__ import annotations

import numpy as np

from isrf.core.arrays import unit_rows
from isrf.data.history_matrix import history_matrix
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.graphs.propagation import normalised
from isrf.methods.preferences import Preferences
from isrf.methods.score_inputs import Reads


class PropagatedPreference:
    """Rounds of exchange over the interaction graph, each a mix of what a node is and what its neighbours told it.

    u <- keep u0 + (1 - keep) A i and i <- keep i0 + (1 - keep) A^t u at once, A = D_u^-1/2 X D_i^-1/2, u0 the reasoned
    preference and i0 the item's features. A person who asks is the node that their history makes in the last round, so
    later items count, and people who are not in the log have one. Score = cosine of person and item.

    Args:
        preferences: u0 and i0.
        rounds: of exchange, at least 1.
        keep: how much of itself a node keeps in every round, 0 to 1.
        decay: weight of a history item relative to the one after it; not used in the direct task.
    """

    name = "propagated-preference"
    reads = Reads(
        order=True,
        texts=True,
        preferences=True,
        alike="co-purchase",
        carrier="preference vectors on the interaction graph",
        bridge="rounds of exchange between people and items",
        coupling="once, when fitted",
        consumer="cosine of propagated vectors",
    )

    def __init__(self, preferences: Preferences, rounds: int = 2, keep: float = 0.3, decay: float = 0.6) -> None:
        self._preferences = preferences
        self.rounds, self.keep, self.decay = rounds, keep, decay

    def fit(self, training: TrainingData) -> None:
        links = normalised(training.matrix)
        first_users, first_items = self._preferences.users, self._preferences.items
        users, items = first_users, first_items
        keep, told = np.float32(self.keep), np.float32(1 - self.keep)
        for _ in range(self.rounds):
            before = items  # what people hear in this round
            users, items = (
                keep * first_users + told * unit_rows(links @ items),
                keep * first_items + told * unit_rows(links.T @ users),
            )
        self._told, self._items = before, unit_rows(items)

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32 cosines."""
        heard = unit_rows(history_matrix(queries, len(self._items), self.decay) @ self._told)
        keep = np.float32(self.keep)
        people = unit_rows(keep * self._preferences.of(queries) + (1 - keep) * heard)
        return np.asarray(people @ self._items.T, dtype=np.float32)
