"""CSV, TSV and Parquet tables: a vectorised reader for files in order, a row-by-row one that finds what is not.

Knows columns and rows; what a column means is settled in ``roles`` and ``catalogue``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from isrf.config import DataSettings
from isrf.data.catalogue import named_columns, raw_catalogue, require_item_column
from isrf.data.given import of_part
from isrf.data.guess import SAMPLED, time_warning
from isrf.data.header import catalogue_header, first_rows, log_header
from isrf.data.ratings import rating_column, tell_of_ratings
from isrf.data.raw import ROW, BadRows, RawCatalogue, RawData, Table
from isrf.data.roles import Roles, find_roles, interactions
from isrf.data.text import bare_stem, is_compressed, read_bytes, reading, undecodable
from isrf.errors import IsrfError

PARQUET_SUFFIXES = (".parquet", ".pq")
CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".tab")
CHUNK = 100_000
"""Rows held as Python lists at once by the row-by-row reader."""


def read_tabular(
    path: Path, format: str, items: RawCatalogue | None, settings: DataSettings, bad: BadRows, part: str | None = None
) -> RawData:
    """A log from one file of format "csv" (any separator) or "parquet"; ``part`` is that of all its rows. Raises IsrfError."""
    parted = settings.split == "given" and part is None
    if format == "parquet":
        names = parquet_columns(path)
        roles = find_roles(path, names, settings, parted)
        rating = rating_column(names, roles.columns)
        table = read_parquet(path, [*roles.columns, *([rating] if rating else [])])
        rows_read = table.frame.height
    else:
        header, roles = log_header(path, settings, parted)
        names = header.names
        rating = rating_column(names, roles.columns) if header.named else None
        wanted = [*roles.columns, *([rating] if rating else [])]
        table, rows_read = read_delimited(path, names, header.separator, wanted, bad, header=header.lines)
        for line in header.notes:
            bad.tell(line)
    counts = tell_of_ratings(table.frame[rating], rating, path.name, bad) if rating else {}
    log = of_part(interactions(table, roles, settings, bad, items), part)
    warnings: tuple[str, ...] = ()
    if asks_for_times(roles, settings):
        sample = read_parquet(path, names, SAMPLED).frame if format == "parquet" else first_rows(path, header)
        warnings = (time_warning(roles, sample.drop(ROW, strict=False), path.name),)
    return RawData(bare_stem(path), path, log, rows_read, items, warnings=warnings, counts=counts)


def asks_for_times(roles: Roles, settings: DataSettings) -> bool:
    """Whether a log is read without times though nobody chose to order it by a position."""
    return roles.time is None and settings.position_column is None


def read_tabular_catalogue(path: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """A catalogue from one CSV, TSV or Parquet file, all columns. Raises IsrfError."""
    if path.suffix.lower() in PARQUET_SUFFIXES:
        names = parquet_columns(path)
        require_item_column(path, names, settings)
        table = read_parquet(path, names)
        rows_read = table.frame.height
    else:
        header, named = catalogue_header(path, settings)
        wanted = [n for n in header.names if n]
        table, rows_read = read_delimited(path, header.names, header.separator, wanted, bad, header=header.lines)
        for line in header.notes:
            bad.tell(line)
        return raw_catalogue(table, rows_read, named, bad, placeholders=settings.placeholders)
    return raw_catalogue(table, rows_read, named_columns(settings), bad, placeholders=settings.placeholders)


def parquet_columns(path: Path) -> list[str]:
    """Column names of a Parquet file. Raises IsrfError where it is none."""
    with reading(path):
        try:
            return list(pl.read_parquet_schema(path))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise IsrfError(f"{path}: not a readable Parquet file ({_first_line(error)}); write it again") from None


def read_parquet(path: Path, columns: list[str], rows: int | None = None) -> Table:
    """The named columns of a Parquet file, and ROW; of at most so many rows. Raises IsrfError."""
    with reading(path):
        try:
            frame = pl.read_parquet(path, columns=columns, n_rows=rows)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise IsrfError(f"{path}: not a readable Parquet file ({_first_line(error)}); write it again") from None
    if not frame.height:
        raise IsrfError(f"{path}: holds no rows; check the file")
    return Table(path, frame.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW)), is_text=False)


def read_delimited(
    path: Path,
    names: list[str],
    separator: str,
    columns: list[str],
    bad: BadRows,
    *,
    header: int = 1,
    quoted: bool = True,
    content: bytes | None = None,
) -> tuple[Table, int]:
    """The named columns of a delimited file, all str ("" = empty), and ROW; also the number of rows read.

    Args:
        names: names of all columns in file order.
        columns: those wanted.
        header: so many lines stand above the first row.
        quoted: fields may stand in double quotes.
        content: what to read instead of the file's own bytes, line by line the same (another encoding, say).

    Raises:
        IsrfError: nothing to read, or a bad row under "fail".
    """
    if content is None and is_compressed(path):
        content = read_bytes(path)
    with reading(path):
        frame = _read_fast(path, names, separator, columns, header, quoted, content)
    rejected = len(bad)
    if frame is None:
        frame = _read_by_row(path, names, separator, columns, header, quoted, content, bad)
    rows_read = frame.height + len(bad) - rejected
    if not rows_read:
        raise IsrfError(f"{path}: holds no rows" + (" under its header" if header else "") + "; check the file")
    return Table(path, frame), rows_read


def _read_fast(
    path: Path, names: list[str], separator: str, columns: list[str], header: int, quoted: bool, content: bytes | None
) -> pl.DataFrame | None:
    """All rows at once; None where any row is not one line of ``len(names)`` valid fields."""
    keys = [str(names.index(c)) for c in columns]
    lines = _count_lines(path, content)
    if lines is None:
        return None
    try:
        table = pc.read_csv(
            path if content is None else io.BytesIO(content),
            pc.ReadOptions(skip_rows=header, column_names=[str(i) for i in range(len(names))]),
            pc.ParseOptions(delimiter=separator, quote_char='"' if quoted else False, ignore_empty_lines=True),
            pc.ConvertOptions(
                include_columns=keys,
                column_types={k: pa.large_string() for k in keys},
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, ValueError):
        return None
    if table.num_rows != lines - header:  # empty lines, or line breaks within quotes
        return None
    frame = pl.DataFrame(pl.from_arrow(table)).rename(dict(zip(keys, columns, strict=True)))
    first = 1 + header
    return frame.with_columns(pl.int_range(first, pl.len() + first, dtype=pl.Int64).alias(ROW))


def _count_lines(path: Path, content: bytes | None) -> int | None:
    r"""Lines of the file; None where some end in \r alone."""
    feeds = returns = 0
    last = b"\n"
    with io.BytesIO(content) if content is not None else path.open("rb") as stream:
        while chunk := stream.read(1 << 24):
            feeds, returns, last = feeds + chunk.count(b"\n"), returns + chunk.count(b"\r"), chunk[-1:]
    if returns not in (0, feeds):
        return None
    return feeds + (last != b"\n")


def _read_by_row(
    path: Path,
    names: list[str],
    separator: str,
    columns: list[str],
    header: int,
    quoted: bool,
    content: bytes | None,
    bad: BadRows,
) -> pl.DataFrame:
    """Row by row, so that every bad row is named; only reached where the fast reader met something unusual."""
    wanted = [names.index(c) for c in columns]
    schema = {**dict.fromkeys(columns, pl.String), ROW: pl.Int64}
    parts: list[pl.DataFrame] = [pl.DataFrame(schema=schema)]
    rows: list[list[str | int]] = []
    for number, raw, fields in _records(path, separator, quoted, content, max(header - 1, 0)):
        if number <= header or not fields:
            continue
        if len(fields) != len(names):
            reason = f"{len(fields)} field(s) where the table has {len(names)} columns"
            bad.reject(path, number, "", reason, _shown(raw))
            continue
        picked: list[str | int] = [fields[i] for i in wanted]
        wrong = next(((c, w) for c, f in zip(columns, picked, strict=True) if (w := undecodable(str(f)))), None)
        if wrong is not None:
            bad.reject(path, number, wrong[0], wrong[1], _shown(raw), remedy="")
            continue
        rows.append([*picked, number])
        if len(rows) == CHUNK:
            parts.append(pl.DataFrame(rows, schema=schema, orient="row"))
            rows = []
    parts.append(pl.DataFrame(rows, schema=schema, orient="row"))
    return pl.concat(parts)


def _records(
    path: Path, separator: str, quoted: bool, content: bytes | None, skipped: int = 0
) -> Iterator[tuple[int, str, list[str]]]:
    """(first line, raw text, fields) of each record below ``skipped`` lines; an empty line has no fields."""
    raw: list[str] = []

    def feed(lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            raw.append(line)
            yield line

    with _lines(path, content) as lines, reading(path):
        quoting: int = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        reader = csv.reader(feed(islice(lines, skipped, None)), delimiter=separator, quoting=quoting)  # type: ignore[arg-type]
        number = 1 + skipped
        try:
            for fields in reader:
                text = "".join(raw)
                if quoted and len(raw) > 1 and text.count('"') % 2:
                    raise csv.Error("a quotation mark opens and is never closed")
                yield number, text, fields
                number += len(raw)
                raw.clear()
        except csv.Error as error:  # from here on nothing can be told apart, so this ends even under "skip"
            raise IsrfError(f"{path}: row {number}: {error}; close the quotation mark or double it") from None


def _lines(path: Path, content: bytes | None) -> io.TextIOWrapper:
    stream = io.BytesIO(read_bytes(path) if content is None else content)
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _shown(raw: str) -> str:
    return re.sub(r"[\r\n]+$", "", raw).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
