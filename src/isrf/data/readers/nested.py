"""Lists, records and maps as the texts they hold: values of JSON and Parquet, and literals of them in CSV cells.

What is a list or a record is settled by column, never by a single cell, so that a title "[REC]" or "(500) Days" stays a
title. Nothing here recurses, however deep a value is. Knows nothing about files, nor about what a column is for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import time, timedelta
from typing import Any

import polars as pl

from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.readers.column_names import TEXT_NAMES, plain, usual

NAME_FIELDS = [*TEXT_NAMES[Columns.TITLE], "label", "displayname", "caption", "term", "value", "text"]
"""Field of a record that says what the record is, best first, as column names are compared (``column_names.plain``)."""
KEY_FIELDS, VALUE_FIELDS = ("name", "key", "attribute", "property"), ("value", "values")
"""Fields of a record that is one entry of a map."""
_REFERENCES = ("id", "url", "uri", "href", "link", "slug", "image", "img", "uuid", "guid", "path", "sku", "asin")
"""Ends of the names of fields that point to something else and say nothing."""
# fmt: off
LANGUAGES = frozenset((
    "ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "gl", "he", "hi", "hr",
    "hu", "it", "ja", "ko", "lt", "lv", "nb", "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv",
    "th", "tr", "uk", "vi", "zh",
))
# fmt: on
MOST_FIELDS, DEEPEST = 32, 3
"""Fields of records that become columns of their own; with more of them it is a map, and its values are a list."""
MOST_VALUES = 10_000
"""Values of one cell that are walked over."""


def is_number(value: Any) -> bool:
    """Whether a value is a number, or the text of one."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple | set | frozenset)


def texts_of(value: Any) -> list[str]:
    """The texts of a value in reading order, each once: of records with a name their name alone, of others what they hold.

    >>> texts_of([{"id": 28, "name": "Action"}, ["War", None]]), texts_of({"Colour": "red", "url": "x.org/1"})
    (['Action', 'War'], ['red'])
    """
    return list(dict.fromkeys(text.strip() for text in _walk(value) if text.strip()))


def _walk(value: Any) -> Iterator[str]:
    stack, steps = [value], 0
    while stack and (steps := steps + 1) <= MOST_VALUES:
        top = stack.pop()
        if isinstance(top, Mapping):
            stack.extend(reversed(_told(top)))
        elif isinstance(top, list | tuple):
            stack.extend(reversed(top[:MOST_VALUES]))
        elif isinstance(top, set | frozenset):
            stack.extend(sorted(top, key=str, reverse=True))
        elif isinstance(top, bytes):
            text = top.decode("utf-8", "replace")
            if text.isprintable() and "\ufffd" not in text:
                yield text
        elif isinstance(top, timedelta | time | bool) or top is None:
            continue
        elif not (isinstance(top, float) and not math.isfinite(top)):
            yield str(top)


def _told(record: Mapping[Any, Any]) -> list[Any]:
    """What of a record says what it is: its name, or the text in one language of several, or all but references."""
    fields = {str(key): value for key, value in record.items()}
    said = usual(list(fields), VALUE_FIELDS) if usual(list(fields), KEY_FIELDS) is not None else None
    if said is not None and not is_number(fields[said]):  # {"name": "Action", "value": 0.93} is named by its name
        return [fields[said]]  # an attribute and its value: {"name": "Colour", "value": "red"}
    if (named := usual(list(fields), NAME_FIELDS)) is not None and fields[named] not in (None, ""):
        return [fields[named]]
    if spoken := spoken_in(fields):
        best = "en" if "en" in spoken else next(iter(spoken))
        return [value for key, value in fields.items() if _language(key) == best][:1]
    return [value for key, value in fields.items() if not is_reference(key)]


def spoken_in(fields: Mapping[str, Any]) -> dict[str, None]:
    """Languages of a record that holds a text in each of several ("en", "de-AT"); none where it is another record."""
    spoken = {code: None for key in fields if (code := _language(key)) is not None}
    return spoken if len(fields) > 1 and all(_language(key) is not None for key in fields) else {}


def _language(key: str) -> str | None:
    code, _, region = key.replace("-", "_").partition("_")
    return code.lower() if code.lower() in LANGUAGES and len(region) <= 4 else None


def is_reference(field: str) -> bool:
    """Whether a field points to something else, by its name: "id", "parent_id", "imageUrl"."""
    name = plain(field)
    return (
        name in _REFERENCES
        or field.lower().endswith(tuple(f"_{end}" for end in _REFERENCES))
        or field.endswith(tuple(end.capitalize() for end in _REFERENCES))
    )


def listed(name: str, values: Iterable[Any]) -> pl.Series:
    """Values of a column as lists of texts, List(String), null where a value is None.

    A LIST_SEPARATOR within a text becomes a slash.
    """
    lists = [None if value is None else [t.replace(LIST_SEPARATOR, "/") for t in texts_of(value)] for value in values]
    return pl.Series(name, lists, dtype=pl.List(pl.String))


def is_record_of_fields(values: Iterable[Any]) -> bool:
    """Whether all values that are there are records of few fields in all, which can be columns of their own."""
    fields: Counter[str] = Counter()
    for value in values:
        if value is None:
            continue
        if not isinstance(value, Mapping) or not value:
            return False
        fields.update(map(str, value))
        if len(fields) > MOST_FIELDS or spoken_in(dict.fromkeys(fields)):
            return False
    return bool(fields)


def _stays(name: str, fields: list[str], kept: Iterable[str]) -> bool:
    """Whether a column of records is a text of its own: a setting asks for it, or it is a "brand" that has a name."""
    texts = {usual_name for names in TEXT_NAMES.values() for usual_name in names}
    return name in kept or (plain(name.rpartition(".")[2]) in texts and usual(fields, NAME_FIELDS) is not None)


def with_fields_as_columns(columns: dict[str, list[Any]], kept: Iterable[str] = ()) -> dict[str, list[Any]]:
    """Columns of records as a column for each of their fields, named "record.field".

    A record with a name that stands where a text is expected ("brand", "category") stays: its name is the text.

    Args:
        columns: name -> a value for each row.
        kept: names of columns that a setting asks for as they are.
    """
    for _ in range(DEEPEST):
        result: dict[str, list[Any]] = {}
        taken = set(columns)
        for name, values in columns.items():
            fields = []
            if any(isinstance(v, Mapping) for v in values) and is_record_of_fields(values):
                fields = list(dict.fromkeys(str(key) for value in values if value is not None for key in value))
            if not fields or _stays(name, fields, set(kept)):
                result[name] = values
                continue
            for field in fields:
                told = [None if value is None else value.get(field) for value in values]
                free = _free(f"{name}.{field}", taken)
                taken.add(free)
                result[free] = told
        if list(result) == list(columns):
            break
        columns = result
    return columns


def structs_as_columns(frame: pl.DataFrame, kept: Iterable[str] = ()) -> pl.DataFrame:
    """The same for a table with columns of type Struct."""
    for _ in range(DEEPEST):
        result: dict[str, pl.Series] = {}
        taken = set(frame.columns)
        for column in frame.iter_columns():
            fields = [f.name for f in column.dtype.fields] if isinstance(column.dtype, pl.Struct) else []
            spoken = spoken_in(dict.fromkeys(fields))
            if not fields or len(fields) > MOST_FIELDS or spoken or _stays(column.name, fields, set(kept)):
                result[column.name] = column
                continue
            for field in fields:
                name = _free(f"{column.name}.{field}", taken)
                taken.add(name)
                result[name] = column.struct.field(field).alias(name)
        if list(result) == frame.columns:
            break
        frame = pl.DataFrame(list(result.values()))
    return frame


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else _free(f"{name}.", taken)
