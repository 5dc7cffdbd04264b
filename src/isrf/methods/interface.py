"""What a recommendation method is, for evaluation and for whoever adds one. Knows nothing about targets or metrics."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp

from isrf.data.queries import Queries
from isrf.data.splits.split import TrainingData
from isrf.methods.score_inputs import Reads


class Ranker(Protocol):
    """Scores the whole catalogue for anybody."""

    @property
    def name(self) -> str:
        """Name in tables, e.g. "seq-itemknn"."""
        ...

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32, higher is better, no NaN; seen items are scored like any other (evaluation excludes them).

        Where ``queries.ordered`` is False neither order nor recency of the history may be used.
        """
        ...


class Method(Ranker, Protocol):
    """A ranker that is fitted once on training data.

    ``fit`` gets ``TrainingData``, which holds no held-out interaction: a method cannot leak what it cannot reach.
    """

    @property
    def reads(self) -> Reads:
        """What its scores depend on."""
        ...

    def fit(self, training: TrainingData) -> None:
        """Learn from training interactions only; called before ``score``."""
        ...


def history_matrix(queries: Queries, n_items: int, decay: float = 1.0) -> sp.csr_matrix:
    """(B, I) float32 CSR of the histories; an item ``a`` steps before the newest weighs ``decay ** a``.

    In the direct task every item weighs 1: its histories carry no order that could be decayed.
    """
    if not queries.ordered or decay == 1.0:
        return queries.histories.matrix(n_items)
    return queries.histories.matrix(n_items, decay ** queries.histories.age().astype(np.float32))


def dense(scores: sp.spmatrix) -> np.ndarray:
    """(B, I) float32 array of sparse scores; 0 where a method knows nothing."""
    return np.asarray(scores.toarray(), dtype=np.float32)
