"""Two parts of one source, an earlier log and what came since, as the source that both would have been read from together.

So that an update counts what a run from nothing on both would count. Knows nothing about workspaces or files.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.data.catalogue_join import one_row_an_item
from isrf.data.clean import clean
from isrf.data.dataset import Columns, Dataset, TypedColumns
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, RawData
from isrf.data.similar_ids import settled_ids

OF_CATALOGUE = ("catalogue rows read", "catalogue rows rejected", "catalogue duplicate rows merged")
"""Counts of a catalogue's rows, which add up over its parts."""


def combined_source(old: RawData, new: RawData, settings: DataSettings, bad: BadRows) -> tuple[RawData, dict[str, int]]:
    """One source of both, and counts of the rows of the newer catalogue.

    The newer rows of the log follow the older ones where no time says otherwise. An item that both catalogues have gets
    the texts of the newer one. Ids are settled over both (``data.similar_ids``).

    Args:
        old: with a catalogue whose rows have negative numbers, each id once (``data.source_log``).
        new: a part without rows is fine.

    Raises:
        IsrfError: one has times and the other has none, a column is of kinds that do not go together, or a row is bad
            under "fail".
    """
    log = _log(old, new)
    id_types = {
        name: kind for name, kind in old.id_types.items() if not new.log.height or new.id_types.get(name) == kind
    }
    both = replace(
        old,
        file=new.file,
        log=log,
        rows_read=old.rows_read + new.rows_read,
        counts=dict(Counter(old.counts) + Counter(new.counts)),
        warnings=new.warnings,
        id_types=id_types,
        source_order=_order(old, new),
    )
    counts: dict[str, int] = {}
    if new.catalogue is None:
        return settled_ids(both, settings, bad), counts
    rows = [new.catalogue.table.frame]
    if old.catalogue is not None:
        rows.insert(0, old.catalogue.table.frame)
    told = replace(new.catalogue, table=new.catalogue.table.having(pl.concat(rows, how="diagonal")))
    both = settled_ids(replace(both, catalogue=told), settings, bad)
    assert both.catalogue is not None
    frame = both.catalogue.table.frame
    own = replace(new.catalogue, table=new.catalogue.table.having(frame.filter(pl.col(ROW) >= 0)))
    own = replace(own, table=own.table.having(own.table.frame.select(new.catalogue.table.frame.columns)))
    texts, typed = one_row_an_item(own, bad, counts)
    before = None
    if old.catalogue is not None:
        settled = frame.filter(pl.col(ROW) < 0).select(old.catalogue.table.frame.columns)
        before = replace(old.catalogue, table=old.catalogue.table.having(settled))
    return replace(both, catalogue=_catalogue(before, own, texts, typed)), counts


def combined_dataset(
    old: RawData, new: RawData, settings: DataSettings, bad: BadRows, before: Dataset
) -> tuple[RawData, Dataset]:
    """Both as a cleaned dataset, and the source that it was made from.

    Args:
        old, new, settings, bad: as in ``combined_source``.
        before: the dataset of the older part: its items keep their place in the catalogue, whatever happens to their
            interactions; its cold items stay cold; its counts of catalogue rows are added to.

    Raises:
        IsrfError: as ``combined_source`` and ``data.clean.clean``.
    """
    raw, counted = combined_source(old, new, settings, bad)
    cold = before.cold_items or None
    made = clean(raw, settings, bad, cold)
    counts = dict(made.counts)
    for name in OF_CATALOGUE:
        if name in counts and (name in before.counts or name in counted):
            counts[name] = before.counts.get(name, 0) + counted.get(name, 0)
    made = replace(made, counts=counts)
    lost = before.catalogue.join(made.catalogue, on=Columns.ITEM, how="anti")
    return raw, made if not lost.height else _with_items(made, lost)


def _order(old: RawData, new: RawData) -> list[str] | None:
    """The numbering of the older source, where it has one, and what is new behind it."""
    if old.source_order is None:
        return None
    items = new.source_order or new.log[Columns.ITEM].unique(maintain_order=True).to_list()
    listed = [] if new.catalogue is None else new.catalogue.table.frame[Columns.ITEM].to_list()
    return list(dict.fromkeys([*old.source_order, *items, *listed]))


def _log(old: RawData, new: RawData) -> pl.DataFrame:
    if not new.log.height:
        return old.log
    timeless, without = (bool(raw.log[Columns.TIME].null_count()) for raw in (old, new))
    if timeless != without:
        told = "no times, and this one has" if timeless else "times, and this one has none that were recognised"
        raise IsrfError(
            f"{new.file}: the workspace's log has {told}, so nobody could say what came first; give it as the log was"
        )
    rows = new.log.with_columns(pl.col(Columns.ORDER) + first_order(old))
    wanted, given = set(old.log.columns), set(rows.columns)
    if wanted != given:
        raise IsrfError(
            f"{new.file}: its rows say {', '.join(sorted(given))}, those of the workspace {', '.join(sorted(wanted))}; give "
            "it as the log was"
        )
    return pl.concat([old.log, rows.select(old.log.columns)])


def first_order(old: RawData) -> int:
    """ORDER of the first row behind a log."""
    return int(old.log[Columns.ORDER].max() or 0) + 1  # type: ignore[arg-type]


def _catalogue(old: RawCatalogue | None, new: RawCatalogue, texts: pl.DataFrame, typed: pl.DataFrame) -> RawCatalogue:
    """The older rows whose items the newer part has not, then the newer ones, each item once."""
    numbered = texts.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW))
    columns = numbered.select(Columns.ITEM, ROW).join(typed, on=Columns.ITEM, how="left", maintain_order="left")
    columns = columns.drop(Columns.ITEM)
    left_out, counts, for_filters = dict(new.left_out), dict(new.counts), dict(new.for_filters)
    sources = dict(new.sources)
    if old is not None:
        frame = old.table.frame
        changed = frame[Columns.ITEM].is_in(numbered[Columns.ITEM].implode())
        if changed.any():
            note(
                f"{int(changed.sum()):,} items of the workspace have other texts or columns now, or the same once more"
            )
        kept = frame.filter(~changed)
        numbered = pl.concat([kept, numbered], how="diagonal").with_columns(pl.exclude(ROW).fill_null(""))
        if old.columns is not None:
            rows = old.columns.filter(~changed)
            columns = pl.concat(_alike(rows, columns, new), how="diagonal")
        left_out = dict(Counter(old.left_out) + Counter(left_out))
        counts = dict(Counter(old.counts) + Counter(counts))
        for_filters = dict(Counter(old.for_filters) + Counter(for_filters))
        sources = old.sources | sources
    table = new.table.having(numbered)
    return replace(
        new,
        table=table,
        rows_read=numbered.height,
        left_out=left_out,
        counts=counts,
        columns=columns,
        sources=sources,
        for_filters=for_filters,
    )


def _alike(old: pl.DataFrame, new: pl.DataFrame, catalogue: RawCatalogue) -> list[pl.DataFrame]:
    """Both with the types that their columns have in common. Raises IsrfError where one has none."""
    for name in set(old.columns) & set(new.columns):
        first, second = old[name], new[name]
        if first.dtype == second.dtype:
            continue
        if first.null_count() == len(first) or second.null_count() == len(second):
            kind = second.dtype if first.null_count() == len(first) else first.dtype
        elif isinstance(first.dtype, pl.List) and first.dtype.inner == second.dtype:
            kind, new = first.dtype, new.with_columns(second.reshape((-1, 1)).arr.to_list().alias(name))
        elif isinstance(second.dtype, pl.List) and second.dtype.inner == first.dtype:
            kind, old = second.dtype, old.with_columns(first.reshape((-1, 1)).arr.to_list().alias(name))
        elif first.dtype.is_numeric() and second.dtype.is_numeric():
            kind = pl.Float64()
        elif first.dtype.is_temporal() and second.dtype.is_temporal():
            kind = pl.Datetime("us", "UTC")
        else:
            raise IsrfError(
                f"{catalogue.table.file}: column {name}: holds {second.dtype}, and {first.dtype} in the catalogue of the "
                "workspace; write it alike"
            )
        old, new = (part.with_columns(pl.lit(part[name].cast(kind)).alias(name)) for part in (old, new))
    return [old, new]


def _with_items(dataset: Dataset, lost: pl.DataFrame) -> Dataset:
    """The dataset with items that an earlier version had and that this one has lost: rows are for ever."""
    catalogue = pl.concat([dataset.catalogue, lost], how="diagonal").with_columns(pl.all().fill_null(""))
    columns = dataset.columns
    if columns is not None:
        table = pl.concat([columns.table, lost.select(Columns.ITEM)], how="diagonal")
        columns = TypedColumns(table, columns.sources)
    return replace(dataset, catalogue=catalogue.select(dataset.catalogue.columns), columns=columns)
