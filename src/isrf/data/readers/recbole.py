"""RecBole atomic files: NAME.inter and NAME.item, tab-separated, with typed headers ("user_id:token").

Knows the format alone; NAME.user is not read, as nothing here uses attributes of users.
"""

from __future__ import annotations

from pathlib import Path

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.files import shown
from isrf.data.dataset import LIST_SEPARATOR
from isrf.data.readers.catalogue_columns import named_columns, require_item_column, text_columns
from isrf.data.readers.catalogue_texts import raw_catalogue
from isrf.data.readers.column_hints import time_warning
from isrf.data.readers.delimited import read_delimited
from isrf.data.readers.first_line import Header
from isrf.data.readers.header import csv_header, first_rows
from isrf.data.readers.log_columns import find_roles, interactions
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, RawData
from isrf.data.readers.signals_of_log import tell_of_unread, unread_columns
from isrf.data.readers.tabular import asks_for_times
from isrf.data.readers.text_column import WHOLE_TEXT
from isrf.data.splits.predefined import of_part

LOG, ITEM = ".inter", ".item"
TYPES = ("token", "token_seq", "float", "float_seq")


def read_recbole(
    path: Path, items: RawCatalogue | None, settings: DataSettings, bad: BadRows, part: str | None = None
) -> RawData:
    """The log of a folder or .inter file, with the .item file beside it where ``items`` is None. Raises IsrfError.

    Args:
        part: of all its rows, as in NAME.train.inter, beside which NAME.item may lie; None = one file holds the log.
    """
    file = _log_file(path)
    header, types = _header(file)
    roles = find_roles(file, list(types), settings, settings.split == "given" and part is None)
    unread = unread_columns(list(types), roles.columns, settings)
    columns = [*roles.columns, *unread]
    wanted = [header.names[list(types).index(c)] for c in columns]
    table, rows_read = read_delimited(file, header.names, "\t", wanted, bad, header=header.lines, quoted=False)
    table = table.having(table.frame.rename(dict(zip(wanted, columns, strict=True))))
    counts = tell_of_unread(table.frame, unread, file.name, bad)
    beside = file.with_suffix(ITEM) if part is None else file.with_suffix("").with_suffix(ITEM)
    if items is None and beside.is_file():
        items = read_recbole_catalogue(beside, settings, bad)
    log = of_part(interactions(table, roles, settings, bad, items), part)
    warnings: tuple[str, ...] = ()
    if asks_for_times(roles, settings):
        sample = first_rows(file, header, quoted=False)
        warnings = (time_warning(roles, sample.rename(dict(zip(header.names, types, strict=True))), file.name),)
    return RawData(shown(file.stem), file, log, rows_read, items, warnings=warnings, counts=counts)


def read_recbole_catalogue(file: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """An .item file: token_seq fields are lists, except in titles and descriptions, where they are words."""
    header, types = _header(file)
    typed = header.names
    require_item_column(file, list(types), settings)
    table, rows_read = read_delimited(file, typed, "\t", typed, bad, header=header.lines, quoted=False)
    frame = table.frame.rename(dict(zip(typed, types, strict=True)))
    named = named_columns(settings)
    whole = {column for column, name in text_columns(list(types), named).items() if name in WHOLE_TEXT}
    lists = [name for name, kind in types.items() if kind == "token_seq" and name not in whole]
    split = [frame[c].str.extract_all(r"[^ |]+").list.join(LIST_SEPARATOR).alias(c) for c in lists]
    table = table.having(frame.with_columns(split)[[*types, ROW]])
    return raw_catalogue(table, rows_read, named, bad, lists, placeholders=settings.placeholders)


def _log_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    logs = sorted(path.glob(f"*{LOG}"))
    if len(logs) != 1:
        found = ", ".join(p.name for p in logs) or "none"
        raise IsrfError(f"{path}: one {LOG} file is needed, found {found}; give the path of the file itself")
    return logs[0]


def _header(file: Path) -> tuple[Header, dict[str, str]]:
    """Header fields as they stand, and column name -> type in the same order. Raises IsrfError."""
    header = csv_header(file, "\t")
    types: dict[str, str] = {}
    for field in header.names:
        name, _, kind = field.rpartition(":")
        if kind not in TYPES or not name:
            raise IsrfError(f"{file}: row 1: {field!r} has no type; write NAME:TYPE with one of {', '.join(TYPES)}")
        if name in types:
            raise IsrfError(f"{file}: row 1: two columns are called {name!r}; rename one")
        types[name] = kind
    return header, types
