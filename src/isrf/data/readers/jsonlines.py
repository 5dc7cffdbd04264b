"""JSON Lines, a record a line, and files of one JSON array: logs and catalogues of anybody's own, read like any table.

Records within records become columns named "record.field", so that settings and the usual names find them; other nested
values become lists of texts (``nested``). Knows nothing about the fields of Amazon.
"""

from __future__ import annotations

import ast
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.memory import most_bytes
from isrf.core.progress import task
from isrf.data.readers.catalogue_columns import named_columns, require_item_column
from isrf.data.readers.catalogue_texts import raw_catalogue
from isrf.data.readers.column_hints import SAMPLED, time_warning
from isrf.data.readers.column_names import ITEM_NAMES, USER_NAMES, usual
from isrf.data.readers.log_columns import find_roles, interactions
from isrf.data.readers.nested import is_nested, listed, with_fields_as_columns
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, RawData, Table
from isrf.data.readers.signals_of_log import tell_of_unread, unread_columns
from isrf.data.readers.tabular import asks_for_times
from isrf.data.readers.text_io import bare_stem, read_bytes, reading, text_lines, undecodable
from isrf.data.splits.predefined import of_part

CELL_BYTES = 8
"""Of a cell of a table in lists, whatever it holds."""
SUFFIXES = (".json", ".jsonl", ".ndjson")
TYPED = ("$oid", "$date", "$numberlong", "$numberint", "$numberdouble", "$numberdecimal", "$uuid", "$symbol")
"""The only field of a record that stands for one value, as MongoDB exports it."""
WRAPPED = "holds one JSON object and not a record a line"


def read_json(
    path: Path, items: RawCatalogue | None, settings: DataSettings, bad: BadRows, part: str | None = None
) -> RawData:
    """A log of records; ``part`` is that of all its rows. Raises IsrfError."""
    columns, rows, rows_read = _columns(path, bad)
    columns = with_fields_as_columns(columns)
    roles = find_roles(path, list(columns), settings, settings.split == "given" and part is None)
    guessed = unread_columns(list(columns), roles.columns, settings)
    unread = [name for name in guessed if not any(map(is_nested, columns[name]))]
    wanted = [*roles.columns, *unread]
    read = {name: _scalars(columns[name], name, path) for name in wanted}
    table = Table(
        path, pl.DataFrame([*read.values(), pl.Series(ROW, rows, dtype=pl.Int64)]), is_text=not _is_array(path)
    )
    counts = tell_of_unread(table.frame, unread, path.name, bad)
    log = of_part(interactions(table, roles, settings, bad, items), part)
    told: tuple[str, ...] = ()
    if asks_for_times(roles, settings):
        flat = {
            n: [_text(v) for v in values[:SAMPLED]] for n, values in columns.items() if not any(map(is_nested, values))
        }
        told = (time_warning(roles, pl.DataFrame(flat, schema=dict.fromkeys(flat, pl.String)), path.name),)
    return RawData(bare_stem(path), path, log, rows_read, items, warnings=told, counts=counts)


def read_json_catalogue(path: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """A catalogue of records, all fields. Raises IsrfError."""
    named = named_columns(settings)
    columns, rows, rows_read = _columns(path, bad)
    columns = with_fields_as_columns(columns, named.values())
    require_item_column(path, list(columns), settings)
    read = [_texts(name, values) for name, values in columns.items()]
    table = Table(path, pl.DataFrame([*read, pl.Series(ROW, rows, dtype=pl.Int64)]), is_text=not _is_array(path))
    return raw_catalogue(table, rows_read, named, bad, placeholders=settings.placeholders)


def is_log(path: Path, settings: DataSettings) -> bool:
    """Whether the first record of a file has a user, which a catalogue has not. Raises IsrfError."""
    first = first_record(path)
    fields = with_fields_as_columns({key: [value] for key, value in first.items()})
    return settings.user_column in fields if settings.user_column else usual(list(fields), USER_NAMES) is not None


def first_record(path: Path) -> dict[str, Any]:
    """The first record of a file; an empty one where it holds none. Raises IsrfError."""
    return next((record for _, record in records(path, BadRows("skip"))), {})


def records(file: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, record) of each line that is not empty; of an array (place from 1, record). A malformed one is rejected."""
    if _is_array(file):
        yield from _elements(file, bad)
        return
    with text_lines(file) as lines, task(f"read {file.name}") as running, reading(file):
        for row, line in enumerate(lines, start=1):
            running.advance()
            text = line.strip()
            if not text:
                continue
            if (why := undecodable(text)) is not None:
                bad.reject(file, row, "", why, remedy="")
                continue
            record = parsed(text)
            if isinstance(record, dict):
                yield row, record
            elif text.endswith(",") and isinstance(parsed(text[:-1]), dict):
                why = "a comma at the end of the line, behind the record; remove it"
                remedy = "from every line, or write all as one array [{...}, {...}]"
                bad.reject(file, row, "", f"{why} {remedy}", remedy="")
            elif row == 1 and text.startswith("{") and not text.endswith(("}", "},")):
                raise IsrfError(
                    f"{file}: row 1: a record that goes on over several lines; write each on a line of its own "
                    "(in pandas: to_json(NAME, orient='records', lines=True)) or all as one array [{...}, {...}]"
                )
            else:
                bad.reject(file, row, "", "neither a JSON object nor a Python literal of one")


def _is_array(file: Path) -> bool:
    """Whether a file holds one JSON array and not a record a line: its first sign is a bracket."""
    with text_lines(file) as lines, reading(file):
        return next((text.startswith("[") for line in lines if (text := line.strip())), False)


def _elements(file: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        content = read_bytes(file).decode("utf-8-sig")
        array = json.loads(content, parse_float=str)
    except UnicodeDecodeError as error:
        raise IsrfError(
            f"{file}: byte 0x{error.object[error.start]:02X} is not UTF-8; save the file as UTF-8"
        ) from None
    except ValueError as error:
        raise IsrfError(
            f"{file}: not readable as a JSON array ({error}); write it again, or one record a line"
        ) from None
    except RecursionError:
        raise IsrfError(f"{file}: nested too deep to be read as JSON; write one record a line") from None
    for place, record in enumerate(array, start=1):
        if isinstance(record, dict):
            yield place, record
        else:
            bad.reject(file, place, "", "no JSON object", json.dumps(record, default=str)[:500])


def parsed(text: str) -> Any:
    """The line as JSON, else as a Python literal (Amazon 2014); None where it is neither."""
    try:
        return json.loads(text, parse_float=str)  # as a float a number would lose digits
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence" in the literals of 2014
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def unpaired(text: str) -> str:
    r"""The text without lone surrogates (a JSON "\ud800"), which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _columns(file: Path, bad: BadRows) -> tuple[dict[str, list[Any]], list[int], int]:
    """Field -> its value in each record (None where it has none), the records' rows, and how many were read."""
    held: dict[str, tuple[list[int], list[Any]]] = {}
    rows: list[int] = []
    before = len(bad)
    for row, record in records(file, bad):
        for key, value in record.items():
            places, values = held.setdefault(unpaired(key), ([], []))
            if not places or places[-1] != len(rows):  # else two names that differ in a surrogate alone
                places.append(len(rows))
                values.append(_untyped(value))
        rows.append(row)
    if len(held) * len(rows) * CELL_BYTES > most_bytes():
        raise IsrfError(
            f"{file}: {len(rows):,} records have {len(held):,} different fields, which is too large as a table; write what "
            "differs from record to record as a list under one name"
        )
    columns: dict[str, list[Any]] = {}
    for name, (places, values) in held.items():
        columns[name] = values if len(values) == len(rows) else [None] * len(rows)
        if len(values) < len(rows):
            for place, value in zip(places, values, strict=True):
                columns[name][place] = value
    rows_read = len(rows) + len(bad) - before
    if not rows_read:
        raise IsrfError(f"{file}: holds no records; each line must be one JSON object")
    if len(rows) == 1 and holds_records({name: values[0] for name, values in columns.items()}):
        fields = ", ".join(list(columns)[:5])
        raise IsrfError(
            f"{file}: {WRAPPED}: its fields are {fields}; write the records themselves, one a line "
            "(in pandas: to_json(NAME, orient='records', lines=True)) or as one array [{...}, {...}]"
        )
    return columns, rows, rows_read


def holds_records(record: Mapping[str, Any]) -> bool:
    """Whether the only record of a file is not a record of a log or catalogue but an object around them.

    >>> holds_records({"products": [{"id": 1}], "total": 12}), holds_records({"item": 1, "offers": [{"price": 2}]})
    (True, False)
    """
    if all(map(is_nested, record.values())):
        return True
    names = list(record)
    listing = any(isinstance(v, list) and v and all(isinstance(r, Mapping) for r in v) for v in record.values())
    return listing and usual(names, ITEM_NAMES) is None and usual(names, USER_NAMES) is None


def _untyped(value: Any) -> Any:
    """The value itself of one that MongoDB wrote with its type: {"$oid": "5f..."}."""
    for _ in range(2):  # {"$date": {"$numberLong": "..."}}
        if isinstance(value, Mapping) and len(value) == 1 and str(next(iter(value))).lower() in TYPED:
            value = next(iter(value.values()))
    return value


def _scalars(values: list[Any], name: str, file: Path) -> pl.Series:
    """Values of a column of the log as str, "" for none. Raises IsrfError where they are lists or records."""
    if any(map(is_nested, values)):
        raise IsrfError(f"{file}: column {name} holds lists or records, not one value a row; name another column")
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _texts(name: str, values: list[Any]) -> pl.Series:
    """A column of the catalogue: lists of texts where any value is nested, truth values, else str, "" for none."""
    if any(map(is_nested, values)):
        return listed(name, [value if value is None or is_nested(value) else [_text(value)] for value in values])
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known):
        return pl.Series(name, values, dtype=pl.Boolean)
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return unpaired(str(value))
