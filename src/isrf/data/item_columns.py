"""Columns of a catalogue with their types, by item row: what filters read. Knows no filter, nor how types are found."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.files import shown
from isrf.core.tables import read_table, table_metadata, write_table
from isrf.data.dataset import LIST_SEPARATOR, Columns, TypedColumns
from isrf.data.training_data import Catalogue

Kind = Literal["text", "number", "date", "boolean"]
WHOLE = (Columns.TITLE, Columns.BRAND, Columns.DESCRIPTION)
"""Texts that are never lists."""
MOST_NAMED = 30
"""So many columns are named in a message, the rest is counted."""


@dataclass(frozen=True)
class ItemColumn:
    """One column; a list column holds several values an item.

    Attributes:
        name: as the workspace calls it.
        values: (V,) one value after the other, none of them null.
        rows: (V,) int64 item row of each.
        n_items: I.
    """

    name: str
    values: pl.Series
    rows: np.ndarray
    n_items: int
    is_list: bool = False

    @property
    def kind(self) -> Kind:
        """What its values are."""
        dtype = self.values.dtype
        if dtype == pl.Boolean:
            return "boolean"
        return "number" if dtype.is_numeric() else "date" if dtype.is_temporal() else "text"

    @cached_property
    def present(self) -> np.ndarray:
        """(I,) bool: the items that have a value."""
        return self.of_items(np.ones(len(self.values), dtype=bool))

    def of_items(self, held: np.ndarray) -> np.ndarray:
        """(I,) bool: the items of which some value is one of those that ``held``, (V,) bool, marks."""
        found = np.zeros(self.n_items, dtype=bool)
        found[self.rows[held]] = True
        return found

    @cached_property
    def lowered(self) -> pl.Series:
        """(V,) its texts in lower case."""
        return self.values.str.to_lowercase()

    @cached_property
    def codes(self) -> np.ndarray:
        """(V,) int64: a number for each distinct value."""
        return self.values.rank("dense").cast(pl.Int64).to_numpy() - 1

    @cached_property
    def codes_of_items(self) -> list[tuple[int, ...]]:
        """Item row -> the numbers of its values, each once; () where it has none."""
        found: list[tuple[int, ...]] = [()] * self.n_items
        for row, code in zip(self.rows.tolist(), self.codes.tolist(), strict=True):
            if code not in found[row]:
                found[row] = (*found[row], code)
        return found


@dataclass
class ItemColumns:
    """Every column of a catalogue that a filter may name: those with a type, and the texts.

    Attributes:
        catalogue: ids and texts.
        table: ITEM and columns that are more than a text, in item-row order; None in a workspace by an older isrf.
        sources: name in the source -> name here, where it is another.
        remedy: how a workspace without ``table`` gets it.
    """

    catalogue: Catalogue
    table: pl.DataFrame | None = None
    sources: dict[str, str] = field(default_factory=dict)
    remedy: str = "import the source again"

    def __post_init__(self) -> None:
        self._known: dict[str, ItemColumn] = {}

    @cached_property
    def names(self) -> list[str]:
        """Columns that filters may name, texts first."""
        texts = [name for name in self.catalogue.table.columns if name != Columns.ITEM]
        typed = [] if self.table is None else [name for name in self.table.columns if name != Columns.ITEM]
        return list(dict.fromkeys([*texts, *typed]))

    def named(self, name: str) -> str | None:
        """The column that a name means: its own, that in the source, or either in another spelling; None where there is none."""
        for alike in (str, str.lower, spelled):
            for known in (dict(zip(self.names, self.names, strict=True)), self.sources):
                found = next((own for other, own in known.items() if alike(other) == alike(name)), None)
                if found in self.names:
                    return found
        return None

    def column(self, name: str) -> ItemColumn:
        """A column by any of its names. Raises IsrfError, which names those that there are."""
        own = self.named(name)
        if own is None:
            told = ", ".join(self.names[:MOST_NAMED])
            more = len(self.names) - MOST_NAMED
            old = (
                f"; numbers, dates and lists are not among them, as an older isrf made this workspace: {self.remedy}"
                if self.table is None
                else ""
            )
            raise IsrfError(
                f"no column {name!r}; the columns are {told}{f' and {more:,} more' if more > 0 else ''}{old}"
            )
        if own not in self._known:
            self._known[own] = self._read(own)
        return self._known[own]

    def _read(self, name: str) -> ItemColumn:
        rows = pl.Series("rows", np.arange(len(self.catalogue), dtype=np.int64))
        if self.table is not None and name in self.table.columns:
            values = self.table[name].alias("values")
        else:
            texts = self.catalogue.table[name].alias("values")
            values = pl.select(pl.when(texts != "").then(texts)).to_series()
            if self.table is None and name not in WHOLE and texts.str.contains(LIST_SEPARATOR, literal=True).any():
                values = values.str.split(LIST_SEPARATOR)  # as an import of today tells lists from texts
        frame = pl.DataFrame([values.alias("values"), rows])
        is_list = isinstance(values.dtype, pl.List)
        frame = (frame.explode("values") if is_list else frame).drop_nulls()
        return ItemColumn(name, frame["values"], frame["rows"].to_numpy(), len(self.catalogue), is_list)


def spelled(name: str) -> str:
    """A column name without case, blanks and punctuation: "In Stock" is ``in_stock``."""
    return re.sub(r"[\W_]", "", name.lower())


def save_item_columns(typed: TypedColumns, catalogue: Catalogue, path: Path) -> None:
    """Write typed columns in item-row order; what the source calls them goes into the metadata of the file."""
    ids = pl.DataFrame({Columns.ITEM: catalogue.ids}, schema={Columns.ITEM: pl.String})
    ordered = ids.join(typed.table, on=Columns.ITEM, how="left", maintain_order="left")
    write_table(ordered, path, typed.sources)


def load_typed_columns(path: Path) -> TypedColumns:
    """What ``save_item_columns`` wrote."""
    return TypedColumns(read_table(path), table_metadata(path))


def item_columns(catalogue: Catalogue, typed: TypedColumns | None, path: Path, remedy: str) -> ItemColumns:
    """Columns for filters; ``typed`` None = a workspace by an older isrf. Raises IsrfError where they are of other items."""
    if typed is None:
        return ItemColumns(catalogue, remedy=remedy)
    if typed.table[Columns.ITEM].to_list() != catalogue.ids:
        raise IsrfError(f"{shown(path)}: is of other items than the catalogue beside it; {remedy}")
    return ItemColumns(catalogue, typed.table, typed.sources, remedy)
