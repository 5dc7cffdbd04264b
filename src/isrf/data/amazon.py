"""Raw Amazon reviews and metadata, a record a line: 2014 (Python literals or JSON), 2018 and 2023 (JSON).

Plain, gzip or zstd. Knows the fields of the three releases; of the metadata only text is taken. What other people
bought or viewed too ("related", "also_buy", ...) is left out: it was collected after the interactions that a method
has to predict.
"""

from __future__ import annotations

import ast
import html
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from isrf.config import DataSettings
from isrf.data.catalogue import raw_catalogue
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.ids import id_of
from isrf.data.names import ITEM_NAMES, usual
from isrf.data.ratings import tell_of_ratings
from isrf.data.raw import ROW, BadRows, RawCatalogue, RawData, Table
from isrf.data.roles import Roles, interactions
from isrf.data.text import bare_stem, bare_suffix, reading, text_lines, undecodable
from isrf.errors import IsrfError
from isrf.progress import task

SUFFIXES = (".json", ".jsonl", ".ndjson")
USER_FIELDS = ("reviewerID", "user_id")
REVIEW_ITEM_FIELDS = ("parent_asin", "asin")  # the metadata of 2023 is keyed by parent_asin
TIME_FIELDS = ("unixReviewTime", "timestamp")
RATING_FIELDS = ("overall", "rating")
TEXT_FIELDS = {
    "title": Columns.TITLE,
    "brand": Columns.BRAND,
    "store": Columns.BRAND,
    "categories": Columns.CATEGORIES,
    "category": Columns.CATEGORIES,
    "description": Columns.DESCRIPTION,
    "main_category": "main_category",
    "main_cat": "main_category",
    "feature": "features",
    "features": "features",
    "subtitle": "subtitle",
    "author": "author",
}
LISTS = (Columns.CATEGORIES, "features")


def read_amazon(path: Path, items: RawCatalogue | None, settings: DataSettings, bad: BadRows) -> RawData:
    """The reviews of a folder or file, with the folder's metadata where ``items`` is None. Raises IsrfError."""
    file, metadata = _files(path) if path.is_dir() else (path, None)
    users: list[Any] = []
    asins: list[Any] = []
    times: list[Any] = []
    ratings: list[Any] = []
    rows: list[int] = []
    before = len(bad)
    for row, record in _records(file, bad):
        users.append(_id(record, USER_FIELDS))
        asins.append(_id(record, REVIEW_ITEM_FIELDS))
        ratings.append(_scalar(record, RATING_FIELDS))
        times.append(_scalar(record, TIME_FIELDS))
        rows.append(row)
    rows_read = len(rows) + len(bad) - before
    if not rows_read:
        raise IsrfError(f"{file}: the file is empty; each line must be one review")
    for wanted, values in ((USER_FIELDS, users), (REVIEW_ITEM_FIELDS, asins), (TIME_FIELDS, times)):
        if rows and not any(values):
            raise IsrfError(f"{file}: no review has a field {' or '.join(wanted)}; is this the reviews file?")
    schema = {Columns.USER: pl.String, Columns.ITEM: pl.String, Columns.TIME: pl.String, ROW: pl.Int64}
    table = Table(file, pl.DataFrame([users, asins, times, rows], schema=schema))
    if items is None and metadata is not None:
        items = read_metadata(metadata, settings, bad)
    told = tell_of_ratings(pl.Series(ratings, dtype=pl.String), " or ".join(RATING_FIELDS), file.name, bad)
    log = interactions(table, Roles(Columns.USER, Columns.ITEM, Columns.TIME), settings, bad, items)
    return RawData(bare_stem(file), file, log, rows_read, items, counts=told)


def read_metadata(file: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """Texts of the items: title, brand, categories, description, features. Raises IsrfError."""
    names = [Columns.ITEM, *dict.fromkeys(TEXT_FIELDS.values())]
    columns: dict[str, list[str]] = {name: [] for name in names}
    rows: list[int] = []
    other: dict[str, int] = {}
    before = len(bad)
    for row, record in _records(file, bad):
        item = settings.item_column if settings.item_column in record else usual(list(record), ITEM_NAMES)
        texts = dict.fromkeys(names, "")
        for key, value in record.items():
            name = TEXT_FIELDS.get(key)
            if key == item:
                texts[Columns.ITEM] = _unpaired(id_of(value) or "")
            elif name is None:
                if value not in (None, "", [], {}):
                    other[key] = other.get(key, 0) + 1
            elif not texts[name]:
                texts[name] = _clean(value, name in LISTS)
        for name, text in texts.items():
            columns[name].append(text)
        rows.append(row)
    rows_read = len(rows) + len(bad) - before
    if not rows_read:
        raise IsrfError(f"{file}: the file is empty; each line must describe one item")
    used = [n for n in names if n in (Columns.ITEM, Columns.TITLE) or any(columns[n])]
    schema = {**dict.fromkeys(used, pl.String), ROW: pl.Int64}
    frame = pl.DataFrame([*(columns[n] for n in used), rows], schema=schema)
    named = {Columns.ITEM: Columns.ITEM}
    catalogue = raw_catalogue(Table(file, frame), rows_read, named, bad, LISTS, placeholders=settings.placeholders)
    left_out = {f"{key} (not used)": count for key, count in sorted(other.items())}
    return replace(catalogue, left_out={**left_out, **catalogue.left_out})


def _files(folder: Path) -> tuple[Path, Path | None]:
    """The reviews and the metadata file of a folder, told apart by the fields of their first record."""
    reviews: list[Path] = []
    metadata: list[Path] = []
    for file in sorted(p for p in folder.iterdir() if p.is_file() and bare_suffix(p) in SUFFIXES):
        _, record = next(_records(file, BadRows("fail")), (0, {}))
        (reviews if any(f in record for f in USER_FIELDS) else metadata).append(file)
    if len(reviews) != 1 or len(metadata) > 1:
        found = f"{len(reviews)} of reviews and {len(metadata)} of metadata"
        raise IsrfError(
            f"{folder}: one file of reviews and at most one of metadata are needed, found {found};"
            " give the reviews file itself, and the metadata with --items"
        )
    return reviews[0], metadata[0] if metadata else None


def _records(file: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, record) of each line that is not empty; a malformed one is rejected."""
    with text_lines(file) as lines, task(f"read {file.name}") as running, reading(file):
        for row, line in enumerate(lines, start=1):
            running.advance()
            text = line.strip()
            if not text:
                continue
            if (why := undecodable(text)) is not None:
                bad.reject(file, row, "", why, remedy="")
                continue
            record = _parse(text)
            if isinstance(record, dict):
                yield row, record
            else:
                bad.reject(file, row, "", "neither a JSON object nor a Python literal of one")


def _parse(text: str) -> Any:
    """The line as JSON, else as a Python literal (2014); None where it is neither."""
    try:
        return json.loads(text, parse_float=str)  # a float would change the digits of a long id
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence" in the literals of 2014
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _id(record: dict[str, Any], fields: tuple[str, ...]) -> str | None:
    """The first of the fields that holds an id."""
    return next((_unpaired(found) for field in fields if (found := id_of(record.get(field))) is not None), None)


def _scalar(record: dict[str, Any], fields: tuple[str, ...]) -> str | None:
    for field in fields:
        value = record.get(field)
        if isinstance(value, str | int | float) and value != "":
            return _unpaired(str(value))
    return None


def _clean(value: Any, several: bool) -> str:
    """Text of a field: nested lists flattened in order, each value once, markup and entities resolved."""
    texts = list(dict.fromkeys(t for v in _flat(value) if (t := _plain_text(v))))
    return LIST_SEPARATOR.join(t.replace(LIST_SEPARATOR, "/") for t in texts) if several else " ".join(texts)


def _flat(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, list | tuple):
            stack.extend(reversed(top))
        elif isinstance(top, str | int | float) and not isinstance(top, bool):
            yield str(top)


def _plain_text(text: str) -> str:
    if "<" in text:
        text = re.sub(r"<[^<>]{1,2000}>", " ", text)
    if "&" in text:
        text = html.unescape(text)
    return " ".join(_unpaired(text).split())


def _unpaired(text: str) -> str:
    r"""The text without lone surrogates (a JSON "\ud800"), which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
