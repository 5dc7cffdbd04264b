"""How a text table begins: its separator, its names of columns, and whether its first line is a row of data after all.

Reads the first lines of a file, and decides nothing about what columns mean (``first_line`` judges them).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.data_settings import SPELLED
from isrf.core.errors import IsrfError
from isrf.core.shell import setting, together
from isrf.data.dataset import Columns
from isrf.data.readers.catalogue_columns import named_columns, require_item_column
from isrf.data.readers.column_hints import SAMPLED
from isrf.data.readers.column_names import ITEM_NAMES, USER_NAMES, usual
from isrf.data.readers.delimited import sample_rows
from isrf.data.readers.first_line import (
    Header,
    Mode,
    by_position,
    counts_columns,
    has_shape_of_data,
    likely_roles,
    looks_like_data,
    positions,
    preamble,
)
from isrf.data.readers.log_columns import Roles, find_roles
from isrf.data.readers.text_io import reading, text_lines, undecodable

SEPARATORS = (",", ";", "\t", "|")


def csv_header(path: Path, separator: str | None, mode: Mode = "first") -> Header:
    """Separator (found in the first line where None) and names of the columns.

    Args:
        mode: "none" = the first line is data, and columns are counted.

    Raises:
        IsrfError: there is no such line, it cannot be read, has one column, or two columns of one name.
    """
    with text_lines(path) as lines, reading(path):
        first, above, declared = preamble(lines, lambda line: max(len(_fields(line, s)) for s in SEPARATORS))
    separator = separator or declared
    if not first.strip():
        raise IsrfError(f"{path}: the file is empty or its first line is; it must start with a line of column names")
    if (why := undecodable(first)) is not None:
        raise IsrfError(f"{path}: row {above + 1}: {why}")
    found = Counter({s: len(_fields(first, s)) for s in SEPARATORS})
    if separator is not None and len(separator.encode()) != 1:
        raise IsrfError(f"data.separator is {separator!r}; it must be one ASCII character, e.g. ';'")
    best = separator or found.most_common(1)[0][0]
    names = [n.strip() for n in _fields(first, best)]
    if len(names) == 1:
        raise IsrfError(f"{path}: one column found with separator {best!r} ({first[:60]!r}); {_advice(first, best)}")
    notes = (
        (f"{path.name}: {above} line(s) of comment at its beginning were passed over",)
        if above and not declared
        else ()
    )
    if mode == "none":
        return Header(best, positions(len(names)), above, named=False, notes=notes)
    header = Header(best, names, above + 1, notes=notes)
    twice = [n for n, k in Counter(names).items() if n and k > 1]
    if twice:
        if mode == "auto":
            checked(path, header, mode, "data.header or data.catalogue_header", False, (), "log")
        raise IsrfError(f"{path}: row {above + 1}: two columns are called {twice[0]!r}; rename one")
    return header


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


def log_header(path: Path, settings: DataSettings, parted: bool = False) -> tuple[Header, Roles]:
    """How a text log begins, and which of its columns make an interaction.

    Raises:
        IsrfError: as ``csv_header`` and ``find_roles``; or the first line looks like data.
    """
    header = csv_header(path, settings.separator, settings.header)
    settings = by_position(settings, header)
    given = [settings.user_column, settings.item_column, settings.time_column, settings.position_column]
    usual_names = usual(header.names, USER_NAMES) is not None and usual(header.names, ITEM_NAMES) is not None
    header = checked(path, header, settings.header, "data.header", usual_names, [c for c in given if c], "log")
    doubtful = header.named and not any(given)
    doubt = f"; if these are data, {setting('data.header', 'none')} says so" if doubtful else ""
    return header, find_roles(path, header.names, settings, parted, doubt)


def checked(
    path: Path, header: Header, mode: Mode, name: str, usual_names: bool, given: Sequence[str], role: str
) -> Header:
    """The header, unless its line looks like data and neither its names nor settings speak against that.

    Args:
        name: of the setting that is ``mode``.
        usual_names: the line has names that are known.
        given: columns that settings name.
        role: "log" or "catalogue", for the settings that are proposed.

    Where settings name columns by the line's own fields, it is one of names, and a warning says so if it may be data.

    Raises:
        IsrfError: the first line looks like data.
    """
    if mode != "auto" or usual_names:
        return header
    line = ",".join(header.names)[:60]
    rows = sample_rows(path, len(header.names), header.separator, SAMPLED, header.lines)
    meant = set(given) & set(header.names)
    if meant and (role != "log" or meant == set(given)):  # settings know the line's names, so they are names
        places = [header.names.index(column) for column in meant]
        if not (
            counts_columns(header.names)
            or looks_like_data(header.names, rows)
            or has_shape_of_data(header.names, rows, places)
        ):
            return header
        told = (
            f"warning: {path.name}: line {header.lines} ({line}) was taken for the names of columns; if it is data, its row is "
            f"lost: {setting(name, 'none')}"
        )
        return replace(header, notes=(*header.notes, told))
    if not looks_like_data(header.names, rows):
        return header
    proposed = together(
        filter(None, [setting(name, "none"), likely_roles([header.names, *rows], len(header.names), role)])
    )
    raise IsrfError(
        f"{path}: row {header.lines} ({line}) looks like data, so the file has no header; name its columns by position, "
        f"probably: {proposed}; or, where it does hold names: {setting(name, 'first')}"
    )


def catalogue_header(path: Path, settings: DataSettings) -> tuple[Header, dict[str, str]]:
    """How a text catalogue begins, and the columns that settings name (``named_columns``).

    Raises:
        IsrfError: as ``csv_header``; or the first line looks like data.
    """
    header = csv_header(path, settings.separator, settings.catalogue_header)
    settings = by_position(settings, header)
    require_item_column(path, header.names, settings)
    named = named_columns(settings)
    if not header.named:  # user_column and item_column are positions in the log
        first = f"{path.name} has no names of columns, so its first column was taken for the item ids"
        item = settings.catalogue_item_column
        notes = () if item else (f"{first}; another: {setting('data.catalogue_item_column', 2)}",)
        others = {name: column for name, column in named.items() if name not in (Columns.USER, Columns.ITEM)}
        return replace(header, notes=(*header.notes, *notes)), {
            **others,
            Columns.ITEM: named[Columns.ITEM] if item else header.names[0],
        }
    known = usual(header.names, ITEM_NAMES) is not None
    header = checked(
        path, header, settings.catalogue_header, "data.catalogue_header", known, list(named.values()), "catalogue"
    )
    return header, named


def first_rows(path: Path, header: Header, *, quoted: bool = True) -> pl.DataFrame:
    """At most SAMPLED rows under the header, all columns, str; rows of another number of fields are passed over."""
    rows = sample_rows(path, len(header.names), header.separator, SAMPLED, header.lines, quoted=quoted)
    return pl.DataFrame({name: [row[at] for row in rows] for at, name in enumerate(header.names) if name})
