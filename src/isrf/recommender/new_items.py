"""Items that came after a workspace was made: read, reasoned about, encoded and placed in memory, at once.

Nothing is counted anew: statistics of attributes, the reduction of texts, graphs and generator are as the workspace has them. A
new item borrows what these know of the items that it is most like (``graphs.backoff``), as one does that nobody has bought.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue, TrainingData
from isrf.ranking.rankers import FusedRanker
from isrf.reasoning.sentences import Reasons
from isrf.recommender.item_rows import ItemBatch, ItemRows, fitted_columns, fitted_texts, placed, read_items
from isrf.recommender.new_rows import fitting_types
from isrf.recommender.open import OpenWorkspace
from isrf.semantics.features import item_texts

AT_ONCE = 64
"""Texts that are encoded while answers wait."""


@dataclass(frozen=True)
class ItemCounts:
    """How many items are ``new`` and how many were ``changed``."""

    new: int
    changed: int


def with_items(opened: OpenWorkspace, rows: Any) -> tuple[OpenWorkspace, ItemCounts]:
    """The workspace with more items, and how many. What was opened is left as it is.

    Args:
        opened: a workspace.
        rows: a frame or a list of dictionaries with columns of the workspace's catalogue.

    Raises:
        IsrfError: a row or a column cannot be read, an item stands there twice, or a column is of another type than in the
            workspace.
    """
    catalogue = opened.split.training.catalogue
    batch, place = placed(read_items(rows, opened.settings.data), catalogue)
    texts = fitted_texts(batch, place, catalogue, opened.columns)
    before = catalogue.table[np.where(place.known, place.rows, 0).tolist()]
    retold = ~place.known | np.array([old != new for old, new in zip(before.rows(), texts.rows(), strict=True)])
    fresh = ItemRows(place.rows[retold], place.before, place.after)
    found = with_texts(opened, texts.filter(retold), fresh) if len(fresh.rows) else opened
    columns = fitted_columns(batch, place, found.split.training.catalogue, opened.columns)
    new = place.after - place.before
    ids = batch.texts[Columns.ITEM].filter(pl.Series(~place.known))
    opened.tell([*batch.lines, *lines_on(opened, batch, new)])
    types = fitting_types(opened.id_types, Columns.ITEM, ids)
    return replace(found, item_columns=columns, id_types=types), ItemCounts(new, len(place.rows) - new)


def lines_on(opened: OpenWorkspace, batch: ItemBatch, new: int) -> Iterator[str]:
    """What a person should know of a batch."""
    texts = opened.split.training.catalogue.table.columns
    columns = () if opened.columns.table is None else opened.columns.table.columns
    unknown = [name for name in batch.texts.columns if name not in (*texts, *columns, *batch.typed.columns)]
    if unknown:
        yield f"items: the catalogue of this workspace has no texts {', '.join(unknown)}: they are left out"
    if opened.columns.table is None and len(batch.typed.columns) > 1:
        yield f"items: an older isrf made this workspace, so columns for filters are left out; {opened.columns.remedy}"
    generator, reduction = opened.ranker.parts.generator, opened.ranker.parts.people.semantics.reduction
    if new and generator is not None and not hasattr(generator, "bias"):
        yield "new items have no identifier that the generator could write or read: the interest graphs alone know them"
    if new and reduction is None:
        yield "items of this workspace have no texts (semantics.item_text=none), so new ones are like none of them"


def with_texts(opened: OpenWorkspace, texts: pl.DataFrame, place: ItemRows) -> OpenWorkspace:
    """The workspace with new texts of some items, reasoned about, encoded and placed.

    Args:
        opened: a workspace.
        texts: ITEM and the text columns of its catalogue, a row each of ``place``.
        place: of the texts.
    """
    split, parts = opened.split, opened.ranker.parts
    batch = Catalogue(texts)
    catalogue = Catalogue(pl.concat([split.training.catalogue.table, texts])[place.order.tolist()])
    training = TrainingData(split.training.user_ids, catalogue, split.training.histories)
    with opened.lock:  # counted once, and answers may be about to
        statistics = parts.people.statistics.with_items(batch, place.order, training)
    reasons = Reasons.joined(statistics.items_in_blocks(place.rows))
    kinds = opened.items.schema
    reasoned = pl.DataFrame(
        {
            Columns.ITEM: batch.ids,
            "likes": reasons.likes,
            "dislikes": reasons.dislikes,
            "feature": reasons.features,
            "supplier": ["attributes"] * len(batch),
        }
    ).cast({name: kinds[name] for name in (Columns.ITEM, "likes", "dislikes", "feature", "supplier") if name in kinds})
    items = pl.concat([opened.items, reasoned], how="diagonal")[place.order.tolist()]
    vectors = encoded(opened, batch, reasoned)
    people = parts.people.with_items(
        training,
        replace(parts.people.semantics, items=stacked(parts.people.semantics.items, vectors, place)),
        statistics,
    )
    graphs = parts.graphs.with_items(people.semantics.items, place.rows, people.settings.graphs)
    ranker = FusedRanker(opened.ranker.name, parts.with_items(people, graphs, place.rows), opened.ranker.fusions)
    return replace(opened, ranker=ranker, items=items, split=replace(split, training=training))


def encoded(opened: OpenWorkspace, batch: Catalogue, reasoned: pl.DataFrame) -> np.ndarray:
    """(n, k) float32 unit: texts of items in the workspace's space; zero without a text, or where items have none.

    Answers that encode a preference wait for AT_ONCE texts at most: a tokenizer serves one thread at a time.
    """
    people = opened.ranker.parts.people
    reduction, width = people.semantics.reduction, people.semantics.items.shape[1]
    if reduction is None:
        return np.zeros((len(batch), width), dtype=np.float32)
    alone = TrainingData([], batch, Histories.of([]))
    texts = item_texts(alone, reasoned, people.settings.semantics)
    parts = []
    for start in range(0, len(texts), AT_ONCE):
        with opened.lock:
            parts.append(people.encoder(texts[start : start + AT_ONCE], "encode new items"))
    vectors = np.concatenate(parts)
    reduced = reduction(vectors)
    reduced[~np.any(vectors != 0, axis=1)] = 0
    return np.asarray(reduced, dtype=np.float32)


def stacked(old: np.ndarray, new: np.ndarray, place: ItemRows) -> np.ndarray:
    """(after, k) rows of all items."""
    found = np.concatenate([old, np.zeros((place.after - place.before, old.shape[1]), dtype=old.dtype)])
    found[place.rows] = new
    return found
