"""Raw Amazon reviews and metadata, a record a line: 2014 (Python literals or JSON), 2018 and 2023 (JSON).

Plain, gzip or zstd. Knows the fields of the three releases; of the metadata only text is taken. What other people
bought or viewed too ("related", "also_buy", ...) is left out: it was collected after the interactions that a method
has to predict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.shell import argument
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.readers.catalogue_columns import SETTINGS, named_columns
from isrf.data.readers.catalogue_texts import CLEANED, cleaned_line, raw_catalogue
from isrf.data.readers.column_names import ITEM_NAMES, TEXT_NAMES, usual
from isrf.data.readers.column_types import typed_columns
from isrf.data.readers.ids import id_of
from isrf.data.readers.jsonlines import SUFFIXES, first_record, records, unpaired
from isrf.data.readers.log_columns import interactions, missing_columns, rating_roles
from isrf.data.readers.markup import shown, shown_name
from isrf.data.readers.ratings import tell_of_ratings
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, RawData, Table
from isrf.data.readers.text_io import bare_stem, bare_suffix

USER_FIELDS = ("reviewerID", "user_id")
REVIEW_ITEM_FIELDS = ("parent_asin", "asin")  # the metadata of 2023 is keyed by parent_asin
TIME_FIELDS = ("unixReviewTime", "timestamp")
RATING_FIELDS, RATING = ("overall", "rating"), "rating"
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
# fmt: off
OTHER_FIELDS = frozenset((
    "asin", "parent_asin", "price", "imUrl", "imageURL", "imageURLHighRes", "image", "images", "videos",
    "related", "also_buy", "also_view", "bought_together", "also_bought", "also_viewed", "buy_after_viewing",
    "similar_item", "salesRank", "rank", "tech1", "tech2", "fit", "date", "details", "average_rating",
    "rating_number",
))
# fmt: on
"""Fields of the metadata that are no text (single values are for filters), so that a record of others is no Amazon metadata
but a catalogue of its own."""


def read_amazon(path: Path, items: RawCatalogue | None, settings: DataSettings, bad: BadRows) -> RawData:
    """The reviews of a folder or file, with the folder's metadata where ``items`` is None. Raises IsrfError."""
    file, metadata = _files(path) if path.is_dir() else (path, None)
    users: list[Any] = []
    asins: list[Any] = []
    times: list[Any] = []
    ratings: list[Any] = []
    rows: list[int] = []
    before = len(bad)
    for row, record in records(file, bad):
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
    roles = rating_roles(file, RATING, RATING_FIELDS, settings)
    texts = (Columns.USER, Columns.ITEM, Columns.TIME, RATING)
    schema = {**dict.fromkeys(texts, pl.String), ROW: pl.Int64}
    table = Table(file, pl.DataFrame([users, asins, times, ratings, rows], schema=schema))
    if items is None and metadata is not None:
        items = read_metadata(metadata, settings, bad)
    told = {} if roles.value else tell_of_ratings(table.frame[RATING], " or ".join(RATING_FIELDS), file.name, bad)
    log = interactions(table, roles, settings, bad, items)
    return RawData(bare_stem(file), file, log, rows_read, items, counts=told)


def is_reviews(path: Path, settings: DataSettings) -> bool:
    """Whether the first record is a review as Amazon's releases write it, and no setting names other columns of it."""
    chosen = settings.user_column, settings.item_column, settings.time_column, settings.position_column
    record = first_record(path)
    kinds = (USER_FIELDS, REVIEW_ITEM_FIELDS, TIME_FIELDS)
    return not any(chosen) and all(any(field in record for field in fields) for fields in kinds)


def is_metadata(path: Path) -> bool:
    """Whether the first record describes an item as Amazon's releases do, and has no field of another kind."""
    record = first_record(path)
    return any(f in record for f in REVIEW_ITEM_FIELDS) and record.keys() <= {*TEXT_FIELDS, *OTHER_FIELDS}


def read_metadata(file: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """Texts of the items: title, brand, categories, description, features, or what settings name. Raises IsrfError."""
    chosen = {column: name for name, column in named_columns(settings).items() if name in TEXT_NAMES}
    free = {field: name for field, name in TEXT_FIELDS.items() if name not in chosen.values()}
    fields = free | chosen
    names = [Columns.ITEM, *dict.fromkeys(fields.values())]
    columns: dict[str, list[str]] = {name: [] for name in names}
    rows: list[int] = []
    other: dict[str, int] = {}
    values: dict[str, dict[int, str]] = {}
    cleaned: Counter[str] = Counter()
    before = len(bad)
    for row, record in records(file, bad):
        item = settings.item_column if settings.item_column in record else usual(list(record), ITEM_NAMES)
        texts = dict.fromkeys(names, "")
        for key, value in record.items():
            name = fields.get(key)
            if key == item:
                texts[Columns.ITEM] = unpaired(id_of(value) or "")
            elif name is None:
                if isinstance(value, str | int | float):  # a price, a date: filters know it
                    values.setdefault(unpaired(key), {})[len(rows)] = unpaired(str(value))
                elif value not in (None, [], {}):
                    other[key] = other.get(key, 0) + 1
            elif not texts[name]:
                texts[name], marked = _clean(value, name)
                cleaned[name] += marked
        for name, text in texts.items():
            columns[name].append(text)
        rows.append(row)
    rows_read = len(rows) + len(bad) - before
    if not rows_read:
        raise IsrfError(f"{file}: the file is empty; each line must describe one item")
    seen = {*other, *values, *(field for field, name in fields.items() if any(columns[name]))}
    lacking = [f"{SETTINGS[name]}={column}" for column, name in chosen.items() if column not in seen]
    if lacking:
        raise missing_columns(file, sorted(seen), lacking, [])
    used = [n for n in names if n in (Columns.ITEM, Columns.TITLE) or any(columns[n])]
    schema = {**dict.fromkeys(used, pl.String), ROW: pl.Int64}
    frame = pl.DataFrame([*(columns[n] for n in used), rows], schema=schema)
    named = {Columns.ITEM: Columns.ITEM}
    catalogue = raw_catalogue(Table(file, frame), rows_read, named, bad, LISTS, placeholders=settings.placeholders)
    left_out = {f"{key} (not used)": count for key, count in sorted(other.items())}
    names_of = {key: key.strip().lower() for key in sorted(values) if key.strip().lower() not in (*used, ROW)}
    told_apart = pl.DataFrame(
        {key: [values[key].get(place) for place in range(len(rows))] for key in names_of},
        schema=dict.fromkeys(names_of, pl.String),
    )
    more = typed_columns(told_apart, names_of, {}, ())
    for_filters = {f"{key} (not used)": len(values[key]) for key, name in names_of.items() if name in more}
    told = {} if not cleaned.total() else {CLEANED: cleaned.total()}
    lines = (cleaned_line(file.name, cleaned),) if told else ()
    own = pl.DataFrame({ROW: rows}, schema={ROW: pl.Int64}).with_columns(more.values())
    kept = own if catalogue.columns is None else catalogue.columns.join(own, on=ROW, how="left", maintain_order="left")
    return replace(
        catalogue,
        left_out={**left_out, **catalogue.left_out},
        columns=kept,
        sources={source: name for source, name in (fields | names_of).items() if source != name},
        for_filters=for_filters | catalogue.for_filters,
        counts=told | catalogue.counts,
        warnings=(*catalogue.warnings, *lines),
    )


def _files(folder: Path) -> tuple[Path, Path | None]:
    """The reviews and the metadata file of a folder, told apart by the fields of their first record."""
    reviews: list[Path] = []
    metadata: list[Path] = []
    for file in sorted(p for p in folder.iterdir() if p.is_file() and bare_suffix(p) in SUFFIXES):
        _, record = next(records(file, BadRows("fail")), (0, {}))
        (reviews if any(f in record for f in USER_FIELDS) else metadata).append(file)
    if len(reviews) != 1 or len(metadata) > 1:
        found = f"{len(reviews)} of reviews and {len(metadata)} of metadata"
        raise IsrfError(
            f"{folder}: one file of reviews and at most one of metadata are needed, found {found};"
            f" give the reviews file itself, and the metadata with {argument('items')}"
        )
    return reviews[0], metadata[0] if metadata else None


def _id(record: dict[str, Any], fields: tuple[str, ...]) -> str | None:
    """The first of the fields that holds an id."""
    return next((unpaired(found) for field in fields if (found := id_of(record.get(field))) is not None), None)


def _scalar(record: dict[str, Any], fields: tuple[str, ...]) -> str | None:
    for field in fields:
        value = record.get(field)
        if isinstance(value, str | int | float) and value != "":
            return unpaired(str(value))
    return None


def _clean(value: Any, name: str) -> tuple[str, bool]:
    """Text of a field, nested lists flattened in order, each value once; and whether it held markup."""
    given = [" ".join(unpaired(text).split()) for text in _flat(value)]
    read_as = shown_name if name in (Columns.TITLE, Columns.BRAND) else shown
    read = [read_as(text) for text in given]
    texts = list(dict.fromkeys(filter(None, read)))
    joined = LIST_SEPARATOR.join(t.replace(LIST_SEPARATOR, "/") for t in texts) if name in LISTS else " ".join(texts)
    return joined, read != given


def _flat(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, list | tuple):
            stack.extend(reversed(top))
        elif isinstance(top, str | int | float) and not isinstance(top, bool):
            yield str(top)
