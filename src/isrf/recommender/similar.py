"""Items like given ones, as a frame in the user's own ids, with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.core.threads import threads_for
from isrf.data.dataset import Columns
from isrf.ranking.candidates import Candidates
from isrf.ranking.similar_items import WAYS, By, likeness, nearest, reasons_of
from isrf.recommender.ids import Id
from isrf.recommender.open import OpenWorkspace
from isrf.recommender.request import item_rows

ITEMS_AT_ONCE = 256


def similar_rows(
    opened: OpenWorkspace, items: Sequence[Id], k: int, by: By, candidates: Candidates
) -> list[dict[str, Any]]:
    """For each item its ``k`` most similar others as rows: item_id, similar_item_id, title, rank, score and reasons.

    Args:
        opened: the workspace.
        items: original ids.
        k: how many.
        by: what likeness means (``ranking.similar_items``).
        candidates: what may be named.

    Raises:
        UnknownId: an item is not in the catalogue.
        IsrfError: ``k`` is not positive, or there is no such likeness.
    """
    if k < 1:
        raise IsrfError(f"k must be at least 1, not {k}")
    if by not in WAYS:
        raise IsrfError(f"by must be one of {', '.join(WAYS)}, not {by!r}")
    catalogue = opened.split.training.catalogue
    asked = item_rows(catalogue, items)
    if candidates.none_left:
        note(candidates.why_none(len(catalogue)))
        return []
    parts = opened.ranker.parts
    found: list[dict[str, Any]] = []
    lonely: list[str] = []
    for start in range(0, len(asked), ITEMS_AT_ONCE):
        rows = asked[start : start + ITEMS_AT_ONCE]
        with opened.lock, threads_for(len(rows)):
            sources = likeness(parts, rows, by)
            lists, scores = nearest(sources, candidates.eligible, k)
            for place, (row, others) in enumerate(zip(rows.tolist(), lists, strict=True)):
                if not len(others):
                    lonely.append(catalogue.ids[row])
                for rank, other in enumerate(others.tolist(), 1):
                    strengths = {name: float(source[place, other]) for name, source in sources.items()}
                    found.append(
                        {
                            "item_id": catalogue.ids[row],
                            "similar_item_id": catalogue.ids[other],
                            "title": catalogue.name_of(other),
                            "rank": rank,
                            "score": float(scores[place, other]),
                            "reasons": reasons_of(parts, row, other, strengths, by),
                        }
                    )
    if lonely:
        what = "no other item was chosen by the same people" if by != "semantics" else "no other item may be named"
        note(f"nothing like {', '.join(lonely[:5])}{', ...' if len(lonely) > 5 else ''}: {what}")
    return found


def similar_frame(opened: OpenWorkspace, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows of ``similar_rows`` as a frame; ids have the type that they have in the source."""
    kinds: dict[str, Any] = {
        "item_id": pl.String,
        "similar_item_id": pl.String,
        "title": pl.String,
        "rank": pl.UInt32,
        "score": pl.Float64,
        "reasons": pl.List(pl.String),
    }
    frame = pl.DataFrame({name: [row[name] for row in rows] for name in kinds}, schema=kinds)
    kind = opened.id_types.get(Columns.ITEM)
    return frame if kind is None else frame.with_columns(pl.col("item_id", "similar_item_id").cast(kind))
