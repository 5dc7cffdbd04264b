"""A split that the source brings along: a file for each part, or a column that names the part of every interaction.

Knows nothing about what is done with the parts (``protocols``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.files import shown
from isrf.data.dataset import PARTS, Columns
from isrf.data.readers.raw import BadRows, RawData, Table
from isrf.data.readers.text_io import bare_stem, bare_suffix

PART = pl.Enum(PARTS)
"""Type of the column PART: sorts as training, validation, test."""

NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
"""How a part is written, without case -> its name here."""


def with_parts(table: Table, column: str, bad: BadRows) -> Table:
    """The table with ``column`` as PART; rows that name no part are rejected. Raises IsrfError under "fail"."""
    values = table.frame[column]
    texts = values.cast(pl.String, strict=False) if not values.dtype.is_nested() else values.is_null().cast(pl.String)
    plain = texts.str.strip_chars().str.to_lowercase()
    parts = plain.replace_strict(NAMES, default=None, return_dtype=PART)
    table = table.having(table.frame.with_columns(parts.alias(Columns.PART)))
    table = bad.drop(
        table,
        parts.is_null(),
        column,
        lambda v: f"part {str(v)[:40]!r} is not one of {', '.join(PARTS)}",
    )
    return table.having(table.frame.with_columns(pl.col(Columns.PART).alias(column)))


def of_part(log: pl.DataFrame, part: str | None) -> pl.DataFrame:
    """The log, all of it in one part; as it is where None."""
    return log if part is None else log.with_columns(pl.lit(part, PART).alias(Columns.PART))


def part_files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Part -> its file, by names like train.csv or NAME.valid.csv.gz; empty where no file is named so.

    Raises:
        IsrfError: a part has several files, or some parts have one and others none.
    """
    found: dict[str, list[Path]] = {part: [] for part in PARTS}
    for file in sorted(p for p in folder.iterdir() if p.is_file() and bare_suffix(p) in suffixes):
        part = NAMES.get(re.split(r"[._-]", bare_stem(file))[-1].lower())
        if part is not None:
            found[part].append(file)
    if not any(found.values()):
        return {}
    for part, files in found.items():
        if len(files) != 1:
            names = ", ".join(f.name for f in files) or "none"
            raise IsrfError(
                f"{folder}: one file of each part is needed, {part} has {names}; name them train, valid and test, or give "
                "one log with a column of parts (data.split_column)"
            )
    return {part: files[0] for part, files in found.items()}


def joined(folder: Path, parts: Sequence[RawData]) -> RawData:
    """One log of the files of all parts, training first in the source's order. Raises IsrfError."""
    timeless = [raw.log[Columns.TIME].null_count() > 0 for raw in parts]
    if len(set(timeless)) > 1:
        without, having = parts[timeless.index(True)].file.name, parts[timeless.index(False)].file.name
        raise IsrfError(f"{folder}: {without} has no times and {having} has; give all files a column of times, or none")
    logs, start = [], 0
    for raw in parts:
        logs.append(raw.log.with_columns(pl.col(Columns.ORDER) + start))
        start += raw.rows_read
    rows = sum(raw.rows_read for raw in parts)
    counts: Counter[str] = Counter()
    for raw in parts:
        counts.update(raw.counts)
    name, log = shown(folder.resolve().name), pl.concat(logs)
    return replace(parts[0], name=name, file=folder, log=log, rows_read=rows, counts=dict(counts))
