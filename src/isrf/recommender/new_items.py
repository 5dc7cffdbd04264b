"""Items that came after a workspace was made: read, reasoned about, encoded and placed in memory, at once.

Nothing is counted anew: statistics of attributes, the reduction of texts, graphs and generator are as the workspace has them. A
new item borrows what these know of the items that it is most like (``graphs.backoff``), as one does that nobody has bought.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.histories import Histories
from isrf.data.item_columns import ItemColumns
from isrf.data.training_data import Catalogue, TrainingData
from isrf.ranking.rankers import FusedRanker, ScoringComponents
from isrf.reasoning.sentences import Reasons
from isrf.recommender.new_rows import parquet_of, without_split
from isrf.recommender.open import OpenWorkspace
from isrf.semantics.features import item_texts


@dataclass(frozen=True)
class ItemRows:
    """Where rows of a batch of items go.

    Attributes:
        rows: (n,) int64 item row of each; those of items that the workspace has are changed, the others are new.
        before: I, items that there were.
        after: I and what is new.
    """

    rows: np.ndarray
    before: int
    after: int

    @property
    def order(self) -> np.ndarray:
        """(after,) int64: for each item row its place among the I old rows and, from I on, those of the batch."""
        order = np.zeros(self.after, dtype=np.int64)
        order[: self.before] = np.arange(self.before)
        order[self.rows] = self.before + np.arange(len(self.rows))
        return order


def with_items(opened: OpenWorkspace, rows: Any, settings: DataSettings) -> tuple[OpenWorkspace, ItemRows]:
    """The workspace with more items, and where they are. What was opened is left as it is.

    Args:
        opened: a workspace.
        rows: a frame or a list of dictionaries with the columns of the workspace's catalogue.
        settings: by which the catalogue was read.

    Raises:
        IsrfError: a row or a column cannot be read, an item stands there twice, or a column is of another type than in the
            workspace.
    """
    texts, typed = read_items(rows, settings)
    split, parts = opened.split, opened.ranker.parts
    catalogue, place = placed(split.training.catalogue, texts)
    columns = extended_columns(opened.columns, catalogue, texts, typed, place)
    batch = catalogue.table[place.rows.tolist()]
    training = TrainingData(split.training.user_ids, catalogue, split.training.histories)
    statistics = parts.people.statistics.with_items(Catalogue(batch), place.order, training)
    reasons = Reasons.joined(statistics.items_in_blocks(place.rows))
    kinds = opened.items.schema
    reasoned = pl.DataFrame(
        {
            Columns.ITEM: batch[Columns.ITEM],
            "likes": reasons.likes,
            "dislikes": reasons.dislikes,
            "feature": reasons.features,
            "supplier": ["attributes"] * batch.height,
        }
    ).cast({name: kinds[name] for name in (Columns.ITEM, "likes", "dislikes", "feature", "supplier") if name in kinds})
    items = pl.concat([opened.items, reasoned], how="diagonal")[place.order.tolist()]
    vectors = encoded(parts, Catalogue(batch), reasoned)
    people = parts.people.with_items(
        training,
        replace(parts.people.semantics, items=stacked(parts.people.semantics.items, vectors, place)),
        statistics,
    )
    graphs = parts.graphs.with_items(people.semantics.items, place.rows, people.settings.graphs)
    extended = parts.with_items(people, graphs, place.rows)
    if extended.generator is not None and not hasattr(extended.generator, "bias") and place.after > place.before:
        note("new items have no identifier that the generator could write: the interest graphs alone recommend them")
    ranker = FusedRanker(opened.ranker.name, extended, opened.ranker.fusions)
    return replace(
        opened, ranker=ranker, items=items, split=replace(split, training=training), item_columns=columns
    ), place


def read_items(rows: Any, settings: DataSettings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Texts and typed columns of items, each once, both with ITEM; as an import reads a catalogue. Raises IsrfError."""
    from isrf.data.catalogue_join import one_row_an_item
    from isrf.data.readers.raw import BadRows
    from isrf.data.readers.tabular import read_tabular_catalogue

    with parquet_of(rows, "items") as path:
        bad = BadRows("fail")
        return one_row_an_item(read_tabular_catalogue(path, without_split(settings), bad), bad, {})


def placed(catalogue: Catalogue, texts: pl.DataFrame) -> tuple[Catalogue, ItemRows]:
    """The catalogue with more or changed items, behind those that it has, and where they are."""
    known = catalogue.row_of
    unknown = [name for name in texts.columns if name not in catalogue.table.columns]
    if unknown:
        note(
            f"items: the catalogue of this workspace has no texts {', '.join(unknown)}: features are made without them"
        )
    table = pl.concat([catalogue.table, texts.drop(unknown)], how="diagonal").with_columns(pl.all().fill_null(""))
    ids = texts[Columns.ITEM].to_list()
    fresh = iter(range(len(catalogue), len(catalogue) + len(ids)))
    rows = np.array([known[name] if name in known else next(fresh) for name in ids], dtype=np.int64)
    place = ItemRows(rows, len(catalogue), next(fresh, len(catalogue) + len(ids)))
    return Catalogue(table[place.order.tolist()]), place


def extended_columns(
    columns: ItemColumns, catalogue: Catalogue, texts: pl.DataFrame, typed: pl.DataFrame, place: ItemRows
) -> ItemColumns:
    """Typed columns of all items; a new column is empty for those that had none. Raises IsrfError where types differ.

    Args:
        columns: of the workspace.
        catalogue: of all items.
        texts, typed: of the batch; a column of which no value is more than a text is in the former alone.
        place: of the batch.
    """
    if columns.table is None:
        return ItemColumns(catalogue, None, columns.sources, columns.remedy)
    for name, kind in columns.table.schema.items():
        if name == Columns.ITEM or (name not in typed.columns and name not in texts.columns):
            continue
        if name not in typed.columns:
            said = texts[name]
            values = pl.select(pl.when(said != "").then(said)).to_series()
            split = isinstance(kind, pl.List) and kind.inner == pl.String
            typed = typed.with_columns((values.str.split(LIST_SEPARATOR) if split else values).alias(name))
        if typed[name].dtype == kind:
            continue
        try:
            values = typed[name]
            if isinstance(kind, pl.List) and not isinstance(values.dtype, pl.List):
                values = values.reshape((-1, 1)).arr.to_list()
            typed = typed.with_columns(values.cast(kind).alias(name))
        except pl.exceptions.PolarsError:
            raise IsrfError(
                f"items: column {name} holds {typed[name].dtype}, and {kind} in the catalogue of this workspace; write it alike"
            ) from None
    table = pl.concat([columns.table, typed], how="diagonal")[place.order.tolist()]
    return ItemColumns(catalogue, table, columns.sources, columns.remedy)


def encoded(parts: ScoringComponents, batch: Catalogue, reasoned: pl.DataFrame) -> np.ndarray:
    """(n, k) float32 unit: texts of items in the workspace's space; zero without a text, or where items have none."""
    people = parts.people
    reduction, width = people.semantics.reduction, people.semantics.items.shape[1]
    if reduction is None:
        note("items of this workspace have no texts (semantics.item_text=none), so new ones are like none of them")
        return np.zeros((len(batch), width), dtype=np.float32)
    alone = TrainingData([], batch, Histories.of([]))
    vectors = people.encoder(item_texts(alone, reasoned, people.settings.semantics), "encode new items")
    reduced = reduction(vectors)
    reduced[~np.any(vectors != 0, axis=1)] = 0
    return np.asarray(reduced, dtype=np.float32)


def stacked(old: np.ndarray, new: np.ndarray, place: ItemRows) -> np.ndarray:
    """(after, k) rows of all items."""
    found = np.concatenate([old, np.zeros((place.after - place.before, old.shape[1]), dtype=old.dtype)])
    found[place.rows] = new
    return found
