"""Rows of a batch of items, fitted to a workspace's catalogue: where they go, in which columns, and of which types.

Knows nothing about features, graphs or models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.item_columns import ItemColumns
from isrf.data.training_data import Catalogue
from isrf.recommender.ids import as_imported
from isrf.recommender.new_rows import parquet_of, without_split


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

    @property
    def known(self) -> np.ndarray:
        """(n,) bool: items that the workspace has."""
        return self.rows < self.before


@dataclass(frozen=True)
class ItemBatch:
    """Items as they were read.

    Attributes:
        texts: ITEM and text columns.
        typed: ITEM and columns that are more than texts.
        columns: that were given, by their names here; what is not among them is not said, rather than said to be empty.
        lines: what was not read, or could be read otherwise.
    """

    texts: pl.DataFrame
    typed: pl.DataFrame
    columns: frozenset[str]
    lines: tuple[str, ...]


def read_items(rows: Any, settings: DataSettings) -> ItemBatch:
    """Items, each once, as an import reads a catalogue; of the columns that settings name none has to be there but the id.

    Raises:
        IsrfError: a row or a column cannot be read, or an item stands there twice.
    """
    from isrf.data.catalogue_join import one_row_an_item
    from isrf.data.readers.catalogue_columns import SETTINGS, named_columns, names_here
    from isrf.data.readers.parquet import parquet_columns
    from isrf.data.readers.raw import BadRows
    from isrf.data.readers.tabular import read_tabular_catalogue

    bad = BadRows("fail")
    with parquet_of(rows, "items") as path:
        names = parquet_columns(path)
        absent = [name for name, source in named_columns(settings).items() if name in SETTINGS and source not in names]
        unset = {SETTINGS[name].removeprefix("data."): None for name in absent if name != Columns.ITEM}
        chosen = without_split(settings).model_copy(update=unset)
        raw = read_tabular_catalogue(path, chosen, bad)
        named = {name: source for name, source in named_columns(chosen).items() if source in names}
        given = frozenset(names_here(names, raw.item_column, named, path).values())
        texts, typed = one_row_an_item(raw, bad, {})
    if Columns.TITLE not in given:  # a reader gives every catalogue one
        texts = texts.drop(Columns.TITLE)
    given |= frozenset([*texts.columns, *typed.columns])
    warnings = raw.warnings if Columns.TITLE in given else ()
    return ItemBatch(texts, typed, given, (*warnings, *bad.told))


def placed(batch: ItemBatch, catalogue: Catalogue) -> tuple[ItemBatch, ItemRows]:
    """The batch with ids as the workspace writes them, and where its rows go.

    Raises:
        IsrfError: two rows are of one item in another spelling.
    """
    ids = [as_imported(item, catalogue.row_of) for item in batch.texts[Columns.ITEM]]
    if len(set(ids)) < len(ids):
        twice = next(item for place, item in enumerate(ids) if item in ids[:place])
        raise IsrfError(f"items: item {twice!r} stands there twice; give one row an item")
    fresh = iter(range(len(catalogue), len(catalogue) + len(ids) + 1))
    rows = np.array([catalogue.row_of[i] if i in catalogue.row_of else next(fresh) for i in ids], dtype=np.int64)
    name = pl.Series(Columns.ITEM, ids, dtype=pl.String)
    order = batch.texts.select(Columns.ITEM)
    typed = order.join(batch.typed, on=Columns.ITEM, how="left", maintain_order="left").with_columns(name)
    found = ItemBatch(batch.texts.with_columns(name), typed, batch.columns, batch.lines)
    return found, ItemRows(rows, len(catalogue), next(fresh))


def fitted_texts(batch: ItemBatch, place: ItemRows, catalogue: Catalogue, columns: ItemColumns) -> pl.DataFrame:
    """ITEM and the catalogue's text columns for each row of the batch; what it does not say stays as it is."""
    lists = set() if columns.table is None else {n for n, k in columns.table.schema.items() if isinstance(k, pl.List)}
    found = [batch.texts[Columns.ITEM]]
    for name in catalogue.table.columns:
        if name == Columns.ITEM:
            continue
        if name in batch.texts.columns:
            said = batch.texts[name]
            if columns.table is not None and name not in lists:  # one text there, whatever separates its words here
                said = said.str.replace_all(LIST_SEPARATOR, ", ", literal=True)
        elif name in batch.typed.columns:
            said = as_text(batch.typed[name])
        elif name in batch.columns:
            said = pl.Series(name, [""] * len(place.rows))
        else:
            said = of_known(catalogue.table[name], place).fill_null("")
        found.append(said.alias(name))
    return pl.DataFrame(found)


def as_text(values: pl.Series) -> pl.Series:
    """Values of any type of a catalogue as its texts are written."""
    if isinstance(values.dtype, pl.List):
        values = values.cast(pl.List(pl.String)).list.join(LIST_SEPARATOR)
    return values.cast(pl.String).fill_null("")


def of_known(values: pl.Series, place: ItemRows) -> pl.Series:
    """(n,) what is known of each item of the batch; null of new ones."""
    old = values.gather(np.where(place.known, place.rows, 0))
    return pl.select(pl.when(pl.Series(place.known)).then(old)).to_series().alias(values.name)


def fitted_columns(batch: ItemBatch, place: ItemRows, catalogue: Catalogue, columns: ItemColumns) -> ItemColumns:
    """Typed columns of all items of a catalogue; a new column is empty for those that had none.

    Args:
        batch: with ``place``.
        catalogue: of all items.
        columns: of the workspace.

    Raises:
        IsrfError: a column is of another type than in the workspace, and does not go into it without loss.
    """
    if columns.table is None:
        return ItemColumns(catalogue, None, columns.sources, columns.remedy)
    table, found = columns.table, [batch.texts[Columns.ITEM]]
    for name, kind in columns.table.schema.items():
        if name == Columns.ITEM:
            continue
        if name in batch.typed.columns:
            values = batch.typed[name]
        elif name in batch.texts.columns:
            said = batch.texts[name]
            values = pl.select(pl.when(said != "").then(said)).to_series()
            if isinstance(kind, pl.List) and kind.inner == pl.String:
                values = values.str.split(LIST_SEPARATOR)
        elif name in batch.columns:
            values = pl.Series([None] * len(place.rows), dtype=kind)
        else:
            values = of_known(table[name], place)
        values = as_kind(values.alias(name), kind)
        if values.dtype != kind:  # whole numbers until now
            table = table.with_columns(table[name].cast(values.dtype))
        found.append(values)
    # of a column that is a text in this catalogue, values of another type would hide the texts of all other items
    known = (*table.columns, *catalogue.table.columns)
    found += [batch.typed[name] for name in batch.typed.columns if name not in known]
    whole = pl.concat([table, pl.DataFrame(found)], how="diagonal")[place.order.tolist()]
    return ItemColumns(catalogue, whole, columns.sources, columns.remedy)


def as_kind(values: pl.Series, kind: pl.DataType) -> pl.Series:
    """Values in the type of a column, or as Float64 in one of whole numbers. Raises IsrfError where something would be lost."""
    if values.dtype == kind:
        return values
    try:
        if isinstance(kind, pl.List) and not isinstance(values.dtype, pl.List):
            lists = values.reshape((-1, 1)).arr.to_list()
            return pl.select(pl.when(values.is_not_null()).then(lists)).to_series().cast(kind).alias(values.name)
        cast = values.cast(kind)
        if values.dtype == pl.String or cast.cast(values.dtype).equals(values):
            return cast
        if kind == pl.Int64 and values.dtype == pl.Float64:
            return values
    except pl.exceptions.PolarsError:
        pass
    raise IsrfError(
        f"items: column {values.name} holds {values.dtype}, and {kind} in the catalogue of this workspace; write it alike"
    )
