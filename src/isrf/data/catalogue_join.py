"""The catalogue of a log: one row an item that is kept, its texts and its typed columns; what is left out is counted.

Knows nothing about interactions but the ids of their items.
"""

from __future__ import annotations

import polars as pl
import polars.selectors as cs

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, TypedColumns
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, RawData
from isrf.data.similar_ids import alike_by_chance

NEVER_BOUGHT = "catalogue items never bought (left out)"


def catalogue_of(
    raw: RawData, logged: pl.Series, bought: pl.Series, settings: DataSettings, bad: BadRows, counts: dict[str, int]
) -> tuple[pl.DataFrame, TypedColumns]:
    """ITEM, TITLE and texts of every item kept, sorted by id, and its typed columns.

    ``logged`` are the log's items before the k-core.
    """
    ids = pl.DataFrame({Columns.ITEM: bought})
    if raw.catalogue is None:
        counts["catalogue rows read"] = 0
        counts["items of the log missing from the catalogue (kept, no text)"] = len(bought)
        return ids.with_columns(pl.lit("").alias(Columns.TITLE)), TypedColumns(ids)
    table, columns = one_row_an_item(raw.catalogue, bad, counts)
    if not table[Columns.ITEM].is_in(logged.implode()).any():
        example = repr(table[Columns.ITEM][0]) if table.height else "none"
        raise IsrfError(
            f"{raw.catalogue.table.file}: shares no item id with the log {raw.file} (catalogue: {example}, log:"
            f" {logged[0]!r}){alike_by_chance(table[Columns.ITEM], logged)}; give the catalogue that uses the log's ids, or its "
            "column with data.catalogue_item_column"
        )
    counts["items of the log missing from the catalogue (kept, no text)"] = ids.join(
        table, on=Columns.ITEM, how="anti"
    ).height
    unsold = table.join(ids, on=Columns.ITEM, how="anti")
    # nothing is under k = 0, and what was only disliked, or weighs nothing, is a candidate too
    core = settings.min_interactions > 0
    never = unsold.filter(~pl.col(Columns.ITEM).is_in(logged.implode())) if core else unsold
    if core:
        counts[NEVER_BOUGHT] = never.height
    else:
        counts["catalogue items never bought (kept as candidates)"] = never.height
        ids = pl.concat([ids, never.select(Columns.ITEM)])
    # every column but the ids: a name of the source may be a pattern to polars
    joined = ids.join(table, on=Columns.ITEM, how="left").with_columns(pl.exclude(Columns.ITEM).fill_null(""))
    kept = joined.sort(Columns.ITEM)
    typed = kept.select(Columns.ITEM).join(columns, on=Columns.ITEM, how="left", maintain_order="left")
    return kept, TypedColumns(typed, raw.catalogue.sources)


def refuse_a_log(catalogue: RawCatalogue) -> None:
    """Raise IsrfError where a file given as the catalogue has users, and most of its rows repeat an item."""
    ids = catalogue.table.frame[Columns.ITEM]
    repeats = len(ids) - ids.n_unique()
    if catalogue.user_column is not None and repeats * 2 >= len(ids) > 0:
        raise IsrfError(
            f"{catalogue.table.file}: column {catalogue.item_column}: {repeats:,} of {len(ids):,} rows repeat an item id, "
            f"and column {catalogue.user_column} looks like users: this is a log of interactions, not a catalogue; give "
            "the file that has one row an item"
        )


def one_row_an_item(catalogue: RawCatalogue, bad: BadRows, counts: dict[str, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The catalogue without ROW, unique by ITEM, and its typed columns: equal rows merged, conflicting later ones rejected."""
    table = catalogue.table
    refuse_a_log(catalogue)
    rejected = catalogue.rows_read - table.frame.height
    merged = table.having(table.frame.unique(cs.exclude(ROW), keep="first", maintain_order=True))
    later = ~merged.frame[Columns.ITEM].is_first_distinct()
    first: dict[str, int] = {}
    if later.any():
        twice = merged.frame.filter(pl.col(Columns.ITEM).is_duplicated()).unique(
            Columns.ITEM, keep="first", maintain_order=True
        )
        first = dict(twice.select(Columns.ITEM, ROW).iter_rows())
    single = bad.drop(
        merged,
        later,
        Columns.ITEM,
        lambda v: f"item id {v!r} stands on row {first[v]} already with other texts",
        shown_as=catalogue.item_column,
    )
    counts["catalogue rows read"] = catalogue.rows_read
    counts["catalogue rows rejected"] = rejected + merged.frame.height - single.frame.height
    counts["catalogue duplicate rows merged"] = table.frame.height - merged.frame.height
    for column, rows in catalogue.left_out.items():
        counts[f"catalogue column left out: {column}, rows"] = rows
    for column, rows in catalogue.for_filters.items():
        counts[f"catalogue column for filters, no text: {column}, rows"] = rows
    counts |= catalogue.counts
    return single.frame.drop(ROW), _typed(catalogue, single.frame, bad)


def _typed(catalogue: RawCatalogue, single: pl.DataFrame, bad: BadRows) -> pl.DataFrame:
    """ITEM and typed columns of the catalogue's rows that are kept; rows of equal texts that differ here are told of."""
    if catalogue.columns is None:
        return single.select(Columns.ITEM)
    rows = catalogue.table.frame.select(Columns.ITEM, ROW).join(
        catalogue.columns, on=ROW, how="left", maintain_order="left"
    )
    others = rows.filter(rows[Columns.ITEM].is_duplicated()).join(single.select(Columns.ITEM, ROW), on=Columns.ITEM)
    for column in catalogue.columns.columns if others.height else ():
        if column == ROW:
            continue
        values = others[Columns.ITEM].to_frame().with_columns(others[column].alias("value")).unique()
        differing = values[Columns.ITEM].is_duplicated()
        if differing.any():
            twice = values.filter(differing)[Columns.ITEM].unique().sort()
            bad.tell(
                f"warning: {catalogue.table.file.name}: column {column} says different things about {len(twice):,} items "
                f"that stand there twice, e.g. {twice[0]!r}: the first row counts"
            )
    return single.select(Columns.ITEM, ROW).join(rows.drop(Columns.ITEM), on=ROW, how="left").drop(ROW)
