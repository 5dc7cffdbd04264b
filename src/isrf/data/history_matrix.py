"""Histories as matrices that methods and signals multiply: (B, I), decayed by recency where order counts."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from isrf.data.queries import Queries


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
