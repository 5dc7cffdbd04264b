"""CSV, TSV and Parquet files as logs and catalogues: their header, and which of the readers takes them.

Knows columns and rows; what a column means is settled in ``roles`` and ``catalogue``.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from isrf.config import DataSettings
from isrf.core.data_settings import SPELLED
from isrf.core.shell import setting
from isrf.data.catalogue import named_columns, raw_catalogue
from isrf.data.delimited import first_rows, read_delimited
from isrf.data.given import of_part
from isrf.data.guess import SAMPLED, time_warning
from isrf.data.names import ITEM_NAMES, usual
from isrf.data.parquet import parquet_columns, read_parquet
from isrf.data.raw import ROW, BadRows, RawCatalogue, RawData
from isrf.data.roles import Roles, find_roles, interactions
from isrf.data.text import bare_stem, first_line, undecodable
from isrf.errors import IsrfError

PARQUET_SUFFIXES = (".parquet", ".pq")
CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".tab")
SEPARATORS = (",", ";", "\t", "|")


def read_tabular(
    path: Path, format: str, items: RawCatalogue | None, settings: DataSettings, bad: BadRows, part: str | None = None
) -> RawData:
    """A log from one file of format "csv" (any separator) or "parquet"; ``part`` is that of all its rows. Raises IsrfError."""
    parted = settings.split == "given" and part is None
    if format == "parquet":
        names = parquet_columns(path)
        roles = find_roles(path, names, settings, parted)
        table = read_parquet(path, roles.columns, ids=(roles.user, roles.item))
        rows_read = table.frame.height
    else:
        separator, names = csv_header(path, settings.separator)
        roles = find_roles(path, names, settings, parted)
        table, rows_read = read_delimited(path, names, separator, roles.columns, bad)
    log = of_part(interactions(table, roles, bad), part)
    warnings: tuple[str, ...] = ()
    if asks_for_times(roles, settings):
        sample = (
            read_parquet(path, names, SAMPLED).frame
            if format == "parquet"
            else first_rows(path, names, separator, SAMPLED)
        )
        warnings = (time_warning(roles, sample.drop(ROW, strict=False), path.name),)
    return RawData(bare_stem(path), path, log, rows_read, items, warnings=warnings)


def asks_for_times(roles: Roles, settings: DataSettings) -> bool:
    """Whether a log is read without times though nobody chose to order it by a position."""
    return roles.time is None and settings.position_column is None


def read_tabular_catalogue(path: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """A catalogue from one CSV, TSV or Parquet file, all columns. Raises IsrfError."""
    if path.suffix.lower() in PARQUET_SUFFIXES:
        names = parquet_columns(path)
        item = settings.item_column if settings.item_column in names else usual(names, ITEM_NAMES)
        table = read_parquet(path, names, ids=[item])
        rows_read = table.frame.height
    else:
        separator, names = csv_header(path, settings.separator)
        named = [n for n in names if n]
        table, rows_read = read_delimited(path, names, separator, named, bad)
    return raw_catalogue(table, rows_read, named_columns(settings), bad)


def csv_header(path: Path, separator: str | None) -> tuple[str, list[str]]:
    """Separator (found in the header line where None) and column names. Raises IsrfError."""
    first = first_line(path)
    if not first.strip():
        raise IsrfError(f"{path}: the file is empty or its first line is; it must start with a line of column names")
    if (why := undecodable(first)) is not None:
        raise IsrfError(f"{path}: row 1: {why}")
    found = Counter({s: len(_fields(first, s)) for s in SEPARATORS})
    if separator is not None and len(separator.encode()) != 1:
        raise IsrfError(f"data.separator is {separator!r}; it must be one ASCII character, e.g. ';'")
    best = separator or found.most_common(1)[0][0]
    names = [n.strip() for n in _fields(first, best)]
    if len(names) == 1:
        raise IsrfError(f"{path}: one column found with separator {best!r} ({first[:60]!r}); {_advice(first, best)}")
    twice = [n for n, k in Counter(names).items() if n and k > 1]
    if twice:
        raise IsrfError(f"{path}: row 1: two columns are called {twice[0]!r}; rename one")
    return best, names


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [""])
    except (csv.Error, TypeError, ValueError):  # e.g. a NUL byte, or a separator that csv refuses
        return [line]


def _advice(line: str, tried: str) -> str:
    """What separator seems right for a header that ``tried`` does not divide."""
    signs = Counter(
        c for c in line if (not c.isalnum() and c not in "_\"'" and c != tried and c.isprintable()) or c == "\t"
    )
    if not signs:
        return f"name the right one with {setting('data.separator', ';')}"
    sign, times = signs.most_common(1)[0]
    if sign * 2 in line and sign not in SEPARATORS:
        return f"{sign * 2!r} seems to separate columns, which must be one character: replace it by ',' in the file"
    if not sign.isascii():
        return f"{sign!r} seems to separate columns, which must be one ASCII character: replace it by ',' in the file"
    spelled = {character: name for name, character in SPELLED.items()}.get(sign, sign)
    return f"{sign!r} seems right (it occurs {times} times): {setting('data.separator', spelled)}"
