"""What each interest says about each item: the signals that ranking fuses. Nothing here is trained.

Individual signals read a person's own history through the item graphs and the reasoned semantics; the group signal
reads what the people like them chose. Each is one (B, I) array in its own unit; ``fusion`` makes them comparable.
Knows nothing about targets or weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from isrf.core.arrays import unit_rows
from isrf.core.config import GraphSettings
from isrf.data.histories import Histories
from isrf.data.history_matrix import dense, history_matrix
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.graphs.backoff import BackOff, grown
from isrf.graphs.item_graphs import ItemGraphs

OWNERS = {
    "generator": "generator",
    "transitions": "individual",
    "companions": "individual",
    "semantics": "individual",
    "latest": "individual",
    "neighbourhood": "individual",
    "group": "group",
    "popularity": "popularity",
}
"""Which interest a signal speaks for; ``isrf inspect`` sums contributions by it."""

Votes = Callable[[Queries], sp.csr_matrix]
"""(B, I) float32: how strongly the people like each queried person speak for each item (``graphs.neighbours``)."""


@dataclass(frozen=True)
class InterestGraphs:
    """Both interest graphs of one training set, ready to score.

    Attributes:
        items: transitions and co-occurrence of items.
        semantics: (I, k) float32 unit or zero, semantic item features.
        propagated: (I, k) float32 unit or zero, the same after LightGCN over the semantic interaction graph.
        popularity: (I,) float32 log(1 + training interactions).
        backoff: what rare and new items borrow.
    """

    items: ItemGraphs
    semantics: np.ndarray
    propagated: np.ndarray
    popularity: np.ndarray
    backoff: BackOff

    @classmethod
    def build(
        cls,
        training: TrainingData,
        semantics: np.ndarray,
        propagated: np.ndarray,
        settings: GraphSettings,
        has_text: bool = True,
    ) -> InterestGraphs:
        """From training histories and features; takes seconds, so it is made at load and not stored.

        Args:
            has_text: whether ``semantics`` come from texts; else no item is like another, and none borrows.
        """
        texts = semantics if has_text else np.zeros_like(semantics)
        return cls(
            ItemGraphs.build(training, settings),
            semantics,
            propagated,
            np.log1p(training.popularity),
            BackOff.of(training.popularity, texts, settings),
        )

    def with_items(self, semantics: np.ndarray, rows: np.ndarray, settings: GraphSettings) -> InterestGraphs:
        """The same counts with more items, which nobody has chosen.

        Args:
            semantics: (J, k) float32 unit or zero, of all items; J >= I.
            rows: (n,) int64 items whose texts are new; of those that somebody has chosen the nodes stay as they were counted.
            settings: of these graphs.
        """
        count, more = len(semantics), len(semantics) - len(self.popularity)
        items = replace(
            self.items,
            transitions=grown(self.items.transitions, count),
            cooccurrence=grown(self.items.cooccurrence, count),
            source=np.pad(self.items.source, (0, more)),
            target=np.pad(self.items.target, (0, more)),
        )
        backoff = self.backoff.with_items(semantics, rows, self.popularity > 0, settings.lenders)
        propagated = np.pad(self.propagated, ((0, more), (0, 0)))
        alone = np.ones(count, dtype=bool)
        alone[: len(self.popularity)] = self.popularity == 0
        alone = rows[alone[rows]]
        propagated[alone] = semantics[alone]  # nothing reaches an item that nobody chose
        return InterestGraphs(items, semantics, propagated, np.pad(self.popularity, (0, more)), backoff)

    @cached_property
    def nodes(self) -> np.ndarray:
        """(I, k) float32 unit or zero: ``propagated``, where items that nobody chose stand where their lenders do."""
        return self.backoff.placed(self.propagated)

    def evidence(self, queries: Queries, votes: Votes | None, new_items: float = 0.0) -> dict[str, np.ndarray]:
        """Name -> (B, I) float32 of what the graphs alone say (``graphs.evidence.EVIDENCE``); arguments as in ``score``."""
        weighted = history_matrix(queries, len(self.popularity), self.items.settings.decay)
        counts = {"transitions": weighted @ self.items.transitions, "companions": weighted @ self.items.cooccurrence}
        if votes is not None:
            counts["group"] = votes(queries)
        # counts pile up on a few items: the root keeps their order and lets weaker evidence be heard
        return {name: np.sqrt(dense(self.backoff.lent(found, new_items))) for name, found in counts.items()}

    def score(
        self, queries: Queries, votes: Votes | None, has_text: bool = True, new_items: float = 0.0
    ) -> dict[str, np.ndarray]:
        """Name -> (B, I) float32. In the direct task no signal uses order or recency, and "latest" is absent.

        Args:
            queries: the people.
            votes: of the people like them; None leaves "group" out.
            has_text: whether ``semantics`` come from texts; False leaves "semantics" and "latest" out.
            new_items: what evidence for its lenders is worth for an item without interactions (``backoff``).
        """
        n_items = len(self.popularity)
        even = shared_out(history_matrix(queries, n_items, self.items.settings.decay))
        evidence = self.evidence(queries, votes, new_items)
        signals = {name: evidence[name] for name in ("transitions", "companions")}
        if has_text:
            signals["semantics"] = unit_rows(even @ self.semantics) @ self.semantics.T
        signals["neighbourhood"] = unit_rows(even @ self.nodes) @ self.nodes.T
        if votes is not None:
            signals["group"] = evidence["group"]
        signals["popularity"] = np.broadcast_to(self.popularity, (len(queries), n_items)).astype(np.float32)
        if has_text and queries.ordered:
            newest = queries.histories.recent(1).plain()
            signals["latest"] = np.asarray(newest.matrix(n_items) @ self.semantics) @ self.semantics.T
        return {name: np.ascontiguousarray(signal, dtype=np.float32) for name, signal in signals.items()}


def shared_out(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Rows scaled to sum to one; empty rows stay empty."""
    total = np.asarray(matrix.sum(1)).ravel()
    scale = np.divide(1.0, total, out=np.zeros_like(total, dtype=np.float64), where=total > 0)
    return sp.csr_matrix(sp.diags(scale) @ matrix, dtype=np.float32)


def masked(scores: np.ndarray, histories: Histories) -> np.ndarray:
    """The (B, I) scores with seen items at -inf, in place."""
    scores[histories.rows(), histories.items] = -np.inf
    return scores
