"""Files that come with a log and say more of its users and items: splits, edges, reviews, negatives, prompts.

Read for the audit only, which asks what they hold of the validation and test items; nothing is ever trained on them
(explanations are read by ``explanations`` for that). Knows nothing about splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.documents import parse_json
from isrf.core.errors import IsrfError
from isrf.core.files import opened
from isrf.core.memory import reading_at_most
from isrf.core.shell import argument
from isrf.data import reviews
from isrf.data.dataset import Columns
from isrf.data.readers import p5, tabular
from isrf.data.readers.column_names import ITEM_NAMES, USER_NAMES, plain, usual
from isrf.data.readers.delimited import read_delimited
from isrf.data.readers.header import log_header
from isrf.data.readers.ids import id_of
from isrf.data.readers.log_columns import find_roles, interactions
from isrf.data.readers.parquet import parquet_columns, read_parquet
from isrf.data.readers.raw import BadRows
from isrf.data.readers.text_io import bare_suffix, text_lines, undecodable

Kind = Literal["train", "valid", "test", "negatives", "texts"]
TRAIN: Kind = "train"
VALID: Kind = "valid"
TEST: Kind = "test"
NEGATIVES: Kind = "negatives"
TEXTS: Kind = "texts"

TEXT = "text"
NEGATIVE_FILE = "negative.txt"
"""Of a P5 folder: ``user item item ...``, items that a user has not had, for ranking one item among a hundred."""
BESIDE = (reviews.REVIEWS_FILE, NEGATIVE_FILE)
"""What a P5 folder may have beside its log."""

PART_COLUMNS = ["split", "part", "fold", "subset", "set"]
PARTS: dict[str, Kind] = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALID,
    "val": VALID,
    "dev": VALID,
    "validation": VALID,
    "test": TEST,
    "testing": TEST,
}
LINES = (".jsonl", ".ndjson")
LIST_NAMES = ["items", "itemids", "history", "purchases", "sequence"]
"""Keys of a record whose value is a list of item ids, compared as in ``column_names.plain``."""


@dataclass(frozen=True)
class Supplied:
    """One part of one file.

    Attributes:
        file: its name, for people.
        kind: "train": pairs that one may train on (also edges, and reviews); "valid", "test": pairs that the file itself
            holds out; "negatives": items that a user has not had; "texts": texts about users.
        frame: USER and ITEM str, or USER and TEXT str for texts; ids of the log.
        part: the file's own name of the part; "" where it has none.
    """

    file: str
    kind: Kind
    frame: pl.DataFrame
    part: str = ""

    @property
    def label(self) -> str:
        return f"{self.file} {self.part}" if self.part else self.file


def read_supplied(file: Path, settings: DataSettings) -> list[Supplied]:
    """The parts of any such file, by its name.

    - CSV, TSV, Parquet (``.csv``, ``.tsv``, ``.txt``, ``.parquet``; ``.gz``, ``.zst``): a user and an item column, found
      or named as those of a log; a column "split" or "part" says train, valid or test, without one all rows are edges;
    - JSON lines (``.jsonl``): records with a user; an item or a list of items makes pairs, every other text is a prompt;
    - ``explanation.json`` and ``negative.txt`` of a P5 folder, with ``datamaps.json`` beside them.

    Raises:
        IsrfError: the file is none of these, or a row of it is bad.
    """
    opened(file, f"check {argument('against')}").close()
    with reading_at_most(settings.max_gigabytes):
        return _read(file, settings)


def _read(file: Path, settings: DataSettings) -> list[Supplied]:
    bad, suffix = BadRows("fail"), bare_suffix(file)
    if file.name == reviews.REVIEWS_FILE:
        return _explanations(file, bad)
    if file.name == NEGATIVE_FILE:
        return [_negatives(file)]
    if suffix in LINES:
        return _records(file)
    if suffix in (*tabular.CSV_SUFFIXES, *tabular.PARQUET_SUFFIXES):
        return _table(file, settings, bad)
    raise IsrfError(
        f"{file}: {argument('against')} takes a .csv, .tsv or .parquet of users and items, a .jsonl of prompts, or "
        f"{reviews.REVIEWS_FILE} and {NEGATIVE_FILE} of a P5 folder"
    )


def beside_p5(folder: Path, settings: DataSettings) -> list[Supplied]:
    """What a P5 folder has beside its log: reviews, and negatives. Raises IsrfError."""
    files = [folder / name for name in BESIDE]
    return [part for file in files if file.is_file() for part in read_supplied(file, settings)]


def in_ids_of(supplied: Supplied, folder: Path) -> Supplied:
    """The same with the integer ids of a P5 folder turned into original ones; other ids stay as they are."""
    users, items = p5.read_maps(folder / p5.MAPS)
    mapped = [pl.col(Columns.USER).replace(users)]
    mapped += [pl.col(Columns.ITEM).replace(items)] if Columns.ITEM in supplied.frame.columns else []
    return replace(supplied, frame=supplied.frame.with_columns(mapped))


def _table(file: Path, settings: DataSettings, bad: BadRows) -> list[Supplied]:
    if bare_suffix(file) in tabular.PARQUET_SUFFIXES:
        names = parquet_columns(file)
        roles = find_roles(file, names, settings)
        part = usual(names, PART_COLUMNS)
        wanted = [*roles.columns, *([part] if part else [])]
        table = read_parquet(file, wanted, ids=(roles.user, roles.item))
    else:
        header, roles = log_header(file, settings)
        part = usual(header.names, PART_COLUMNS)
        wanted = [*roles.columns, *([part] if part else [])]
        table, _ = read_delimited(file, header.names, header.separator, wanted, bad, header=header.lines)
    # ids are only compared with those of the log, which say themselves what is one
    as_written = settings.model_copy(update={"placeholders": "keep"})
    pairs = interactions(table, roles, as_written, bad).select(Columns.USER, Columns.ITEM)
    if part is None:
        return [Supplied(file.name, TRAIN, pairs)]
    said = table.frame[part].cast(pl.String).fill_null("").str.strip_chars().str.to_lowercase()
    unknown = said.filter(~said.is_in(list(PARTS)))
    if len(unknown):
        raise IsrfError(
            f"{file}: column {part}: {unknown[0]!r} is not a part of a split; write train, valid or test, or rename the column"
        )
    names_of_parts = said.unique(maintain_order=True).to_list()
    return [Supplied(file.name, PARTS[name], pairs.filter(said == name), name) for name in names_of_parts]


def _records(file: Path) -> list[Supplied]:
    """JSON lines: pairs of users and items, and texts about users."""
    pairs: list[tuple[str, str]] = []
    texts: list[tuple[str, str]] = []
    with text_lines(file) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            user, items, said = _record(file, number, line)
            pairs += [(user, item) for item in items]
            texts += [(user, text) for text in said]
    if not pairs and not texts:
        raise IsrfError(
            f"{file}: holds no items and no texts; each line is a record like {{'user': ..., 'prompt': ...}}"
        )
    found = []
    if pairs:
        found.append(Supplied(file.name, TRAIN, _frame(pairs, Columns.ITEM), "items"))
    if texts:
        found.append(Supplied(file.name, TEXTS, _frame(texts, TEXT), "texts"))
    return found


def _record(file: Path, number: int, line: str) -> tuple[str, list[str], list[str]]:
    """User, items and texts of one line. Raises IsrfError."""
    try:
        if (why := undecodable(line)) is not None:
            raise ValueError(why)
        record = parse_json(line)
        if not isinstance(record, dict):
            raise ValueError("is not a record")
    except ValueError as error:
        raise IsrfError(f"{file}: row {number}: not readable as a JSON record ({error}); fix the line") from None
    key = usual(list(record), USER_NAMES)
    user = id_of(record[key]) if key is not None else None
    if user is None:
        raise IsrfError(f"{file}: row {number}: no user; each record needs one, as 'user' or 'user_id'")
    items: list[str] = []
    texts: list[str] = []
    for name, value in record.items():
        if name == key:
            continue
        values = value if isinstance(value, list) else [value]
        ids = [id_of(v) for v in values]
        if plain(name) in (*ITEM_NAMES, *LIST_NAMES) and None not in ids:
            items += [item for item in ids if item is not None]
        else:
            texts += list(_texts(values))
    return user, items, texts


def _texts(value: Any) -> Iterator[str]:
    """Every text within a value: chat messages are lists of records."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _explanations(file: Path, bad: BadRows) -> list[Supplied]:
    users, items = p5.read_maps(file.parent / p5.MAPS)
    told, _ = reviews.read_parts(file, users, items, bad)
    pairs = {part: told.filter(pl.col(reviews.PART) == part) for part in reviews.PARTS}
    return [Supplied(file.name, PARTS[p], frame.select(Columns.USER, Columns.ITEM), p) for p, frame in pairs.items()]


def _negatives(file: Path) -> Supplied:
    users, items = p5.read_maps(file.parent / p5.MAPS)
    pairs: list[tuple[str, str]] = []
    with text_lines(file) as lines:
        for number, line in enumerate(lines, start=1):
            who, *numbers = line.split() or [""]
            unknown = next((n for n in numbers if n not in items), None)
            if numbers and (who not in users or unknown is not None):
                what = f"user {who!r} is not in id2user" if who not in users else f"item {unknown!r} is not in id2item"
                raise IsrfError(f"{file}: row {number}: {what[:60]} of {p5.MAPS}; fix the line or take the file away")
            pairs += [(users[who], items[n]) for n in numbers]
    return Supplied(file.name, NEGATIVES, _frame(pairs, Columns.ITEM))


def _frame(rows: list[tuple[str, str]], second: str) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={Columns.USER: pl.String, second: pl.String}, orient="row")
