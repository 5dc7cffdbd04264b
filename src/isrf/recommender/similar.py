"""Items like given ones, by reasoned semantics smoothed over who bought what (paper, step 1: the interaction graph)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.recommender.open import OpenWorkspace
from isrf.recommender.request import Id, item_rows

ITEMS_AT_ONCE = 256


def similar_items(opened: OpenWorkspace, items: Sequence[Id], k: int, allowed: np.ndarray | None) -> pl.DataFrame:
    """For each item its ``k`` most similar others: item_id, similar_item_id, title, rank and score (cosine).

    The vectors are those of LightGCN over the semantic interaction graph: an item that nobody bought has its own
    reasoned semantics, and is compared like any other.

    Args:
        opened: the workspace.
        items: original ids.
        k: how many.
        allowed: (I,) bool, items that may be named; None = all.

    Raises:
        UnknownId: an item is not in the catalogue.
        IsrfError: ``k`` is not positive.
    """
    if k < 1:
        raise IsrfError(f"k must be at least 1, not {k}")
    catalogue = opened.split.training.catalogue
    asked = item_rows(catalogue, items)
    vectors = opened.ranker.parts.graphs.propagated
    found: list[tuple[str, str, str, int, float]] = []
    for start in range(0, len(asked), ITEMS_AT_ONCE):
        rows = asked[start : start + ITEMS_AT_ONCE]
        scores = vectors[rows] @ vectors.T
        scores[np.arange(len(rows)), rows] = -np.inf
        if allowed is not None:
            scores[:, ~allowed] = -np.inf
        for row, own in zip(rows, scores, strict=True):
            best = np.argsort(-own, kind="stable")[:k]
            found += [
                (catalogue.ids[row], catalogue.ids[other], catalogue.name_of(int(other)), place, float(own[other]))
                for place, other in enumerate(best, 1)
                if np.isfinite(own[other])
            ]
    kinds = {
        "item_id": pl.String,
        "similar_item_id": pl.String,
        "title": pl.String,
        "rank": pl.UInt32,
        "score": pl.Float64,
    }
    frame = pl.DataFrame(found, schema=kinds, orient="row")
    kind = opened.id_types.get(Columns.ITEM)
    return frame if kind is None else frame.with_columns(pl.col("item_id", "similar_item_id").cast(kind))
