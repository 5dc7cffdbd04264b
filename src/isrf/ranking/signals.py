"""What each interest says about each item: the signals that ranking fuses. Nothing here is trained.

Individual signals read a person's own history through the item graphs and the reasoned semantics; the group signal
reads what the people like them chose. Each is one (B, I) array in its own unit; ``fusion`` makes them comparable.
Knows nothing about targets or weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from isrf.baselines.method import dense, history_matrix
from isrf.config import GraphSettings
from isrf.data.queries import Queries
from isrf.data.split import Histories, TrainingData
from isrf.graphs.group import voices, votes
from isrf.graphs.items import cooccurrence_graph, damped, transitions

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

Links = Callable[[Queries], sp.csr_matrix]
"""(B, U) float32 cosine of each queried person to the users linked to them."""


@dataclass(frozen=True)
class InterestGraphs:
    """Both interest graphs of one training set, ready to score.

    Attributes:
        following: (I, I) damped transitions, mostly forward.
        together: (I, I) co-occurrence without direction.
        semantics: (I, k) float32 unit or zero, semantic item features.
        propagated: (I, k) float32 unit or zero, the same after LightGCN over the semantic interaction graph.
        choices: (U, I) what each user says to those like them (``graphs.group.voices``).
        popularity: (I,) float32 log(1 + training interactions).
        settings: decay of the history.
    """

    following: sp.csr_matrix
    together: sp.csr_matrix
    semantics: np.ndarray
    propagated: np.ndarray
    choices: sp.csr_matrix
    popularity: np.ndarray
    settings: GraphSettings

    @classmethod
    def build(
        cls, training: TrainingData, semantics: np.ndarray, propagated: np.ndarray, settings: GraphSettings
    ) -> InterestGraphs:
        """From training histories and features; takes seconds, so it is made at load and not stored."""
        counts = transitions(training.histories, training.n_items, settings.window, settings.distance_power)
        both = sp.csr_matrix(counts + settings.backward * counts.T)
        following = damped(both, settings.source_power, settings.target_power)
        together = cooccurrence_graph(training.matrix)
        return cls(
            following,
            together,
            semantics,
            propagated,
            voices(training.histories, training.n_items, settings.decay),
            np.log1p(training.popularity),
            settings,
        )

    def score(self, queries: Queries, links: Links | None, has_text: bool = True) -> dict[str, np.ndarray]:
        """Name -> (B, I) float32. In the direct task no signal uses order or recency, and "latest" is absent.

        Args:
            queries: the people.
            links: their neighbours; None leaves "group" out.
            has_text: whether ``semantics`` come from texts; False leaves "semantics" and "latest" out.
        """
        n_items = self.choices.shape[1]
        weighted = history_matrix(queries, n_items, self.settings.decay)
        even = unit_rows(weighted)
        # counts pile up on a few items: the root keeps their order and lets weaker evidence be heard
        signals = {
            "transitions": np.sqrt(dense(weighted @ self.following)),
            "companions": np.sqrt(dense(weighted @ self.together)),
        }
        if has_text:
            signals["semantics"] = unit(even @ self.semantics) @ self.semantics.T
        signals["neighbourhood"] = unit(even @ self.propagated) @ self.propagated.T
        if links is not None:
            signals["group"] = np.sqrt(dense(votes(links(queries), self.choices)))
        signals["popularity"] = np.broadcast_to(self.popularity, (len(queries), n_items)).astype(np.float32)
        if has_text and queries.ordered:
            newest = queries.histories.recent(1)
            signals["latest"] = np.asarray(newest.matrix(n_items) @ self.semantics) @ self.semantics.T
        return {name: np.ascontiguousarray(signal, dtype=np.float32) for name, signal in signals.items()}


def unit_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Rows scaled to sum to one; empty rows stay empty."""
    total = np.asarray(matrix.sum(1)).ravel()
    scale = np.divide(1.0, total, out=np.zeros_like(total, dtype=np.float64), where=total > 0)
    return sp.csr_matrix(sp.diags(scale) @ matrix, dtype=np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """(N, d) float32 rows of unit norm; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(norms, 1e-12)).astype(np.float32)


def masked(scores: np.ndarray, histories: Histories) -> np.ndarray:
    """The (B, I) scores with seen items at -inf, in place."""
    scores[histories.rows(), histories.items] = -np.inf
    return scores
