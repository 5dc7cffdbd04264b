"""CSV, TSV and Parquet files as logs and catalogues: their header, and which of the readers takes them.

Knows columns and rows; what a column means is settled in ``log_columns`` and ``catalogue_texts``.
"""

from __future__ import annotations

from pathlib import Path

from isrf.core.config import DataSettings
from isrf.data.dataset import ID_TYPES, Columns
from isrf.data.readers.catalogue_columns import named_columns, require_item_column
from isrf.data.readers.catalogue_texts import raw_catalogue
from isrf.data.readers.column_hints import SAMPLED, time_warning
from isrf.data.readers.column_names import ITEM_NAMES, usual
from isrf.data.readers.delimited import read_delimited
from isrf.data.readers.header import catalogue_header, first_rows, log_header
from isrf.data.readers.log_columns import Roles, find_roles, interactions
from isrf.data.readers.parquet import parquet_columns, parquet_fields, read_fields, read_parquet
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, RawData
from isrf.data.readers.signals_of_log import tell_of_unread, unread_columns
from isrf.data.readers.text_io import bare_stem
from isrf.data.splits.predefined import of_part

PARQUET_SUFFIXES = (".parquet", ".pq")
CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".tab")


def read_tabular(
    path: Path, format: str, items: RawCatalogue | None, settings: DataSettings, bad: BadRows, part: str | None = None
) -> RawData:
    """A log from one file of format "csv" (any separator) or "parquet"; ``part`` is that of all its rows. Raises IsrfError."""
    parted = settings.split == "given" and part is None
    if format == "parquet":
        fields = parquet_fields(path)
        names = list(fields)
        roles = find_roles(path, names, settings, parted)
        unread = unread_columns(names, roles.columns, settings)
        wanted = [*roles.columns, *unread]
        table = read_fields(path, fields, wanted, ids=(roles.user, roles.item))
        rows_read = table.frame.height
    else:
        header, roles = log_header(path, settings, parted)
        names = header.names
        unread = unread_columns(names, roles.columns, settings) if header.named else []
        wanted = [*roles.columns, *unread]
        table, rows_read = read_delimited(path, names, header.separator, wanted, bad, header=header.lines)
        for line in header.notes:
            bad.tell(line)
    counts = tell_of_unread(table.frame, unread, path.name, bad)
    id_types = {
        name: str(table.frame.schema[column])
        for name, column in ((Columns.USER, roles.user), (Columns.ITEM, roles.item))
        if str(table.frame.schema[column]) in ID_TYPES
    }
    log = of_part(interactions(table, roles, settings, bad, items), part)
    warnings: tuple[str, ...] = ()
    if asks_for_times(roles, settings):
        sample = (
            first_rows(path, header) if format == "csv" else read_parquet(path, parquet_columns(path), SAMPLED).frame
        )
        warnings = (time_warning(roles, sample.drop(ROW, strict=False), path.name),)
    return RawData(bare_stem(path), path, log, rows_read, items, warnings=warnings, counts=counts, id_types=id_types)


def asks_for_times(roles: Roles, settings: DataSettings) -> bool:
    """Whether a log is read without times though nobody chose to order it by a position."""
    return roles.time is None and settings.position_column is None


def read_tabular_catalogue(path: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """A catalogue from one CSV, TSV or Parquet file, all columns. Raises IsrfError."""
    if path.suffix.lower() in PARQUET_SUFFIXES:
        names = parquet_columns(path)
        require_item_column(path, names, settings)
        named_item = named_columns(settings).get(Columns.ITEM)
        table = read_parquet(path, names, ids=[named_item if named_item in names else usual(names, ITEM_NAMES)])
        rows_read = table.frame.height
    else:
        header, named = catalogue_header(path, settings)
        wanted = [n for n in header.names if n]
        table, rows_read = read_delimited(path, header.names, header.separator, wanted, bad, header=header.lines)
        for line in header.notes:
            bad.tell(line)
        return raw_catalogue(table, rows_read, named, bad, placeholders=settings.placeholders)
    return raw_catalogue(table, rows_read, named_columns(settings), bad, placeholders=settings.placeholders)
