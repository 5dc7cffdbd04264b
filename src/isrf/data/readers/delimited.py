"""Rows of delimited text: a vectorised reader for files in order, a row-by-row one that finds what is not.

Knows columns by place and name alone; what they mean is settled in ``log_columns`` and ``catalogue_texts``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from isrf.core.errors import IsrfError
from isrf.core.files import shown
from isrf.core.progress import note
from isrf.data.readers.quoting import Quoting, Record, quoting_of, records
from isrf.data.readers.raw import ROW, BadRows, Table
from isrf.data.readers.text_io import reading, stream_of, text_lines, undecodable

CHUNK = 100_000
"""Rows held as Python lists at once by the row-by-row reader."""
SCANNED = 1 << 24
"""Bytes looked at together before reading."""
LONGEST_FAST = 1 << 20
"""Bytes of the longest row that the vectorised reader takes; longer ones are read row by row."""


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
        header: so many lines stand above the first row, the last of them the names of columns, if any.
        quoted: fields may stand in double quotes.
        content: what to read instead of the file's own bytes, line by line the same (another encoding, say).

    Raises:
        IsrfError: nothing to read, or a bad row under "fail".
    """
    file = Delimited(path, names, separator, header, quoted, content)
    with reading(path):
        scan = file.scan()
        frame = file.read_fast(columns, scan)
    rejected = len(bad)
    if frame is None:
        frame = file.read_by_row(columns, scan, bad)
    rows_read = frame.height + len(bad) - rejected
    if not rows_read:
        raise IsrfError(f"{shown(path)}: holds no rows" + (" under its header" if header else "") + "; check the file")
    return Table(path, frame), rows_read


def sample_rows(
    path: Path, columns: int, separator: str, most: int, header: int = 1, *, quoted: bool = True
) -> list[list[str]]:
    """Fields of the rows among the first ``most`` lines under ``header`` lines that have so many fields."""
    quoting = Quoting.doubled if quoted else Quoting.none
    with text_lines(path, errors="replace") as lines, reading(path):
        found = records(islice(lines, header, header + most), separator, quoting)
        return [record.fields for record in found if len(record.fields) == columns]


@dataclass(frozen=True)
class Scan:
    r"""What a first look at the bytes says.

    Attributes:
        lines: how many; None where some end in \r alone.
        odd_quotes: a quotation mark stands between two other characters, or behind a backslash.
        backslashes: one stands behind a backslash.
    """

    lines: int | None
    odd_quotes: bool
    backslashes: bool


@dataclass(frozen=True)
class Delimited:
    """One file to read; the attributes are the arguments of ``read_delimited``."""

    path: Path
    names: list[str]
    separator: str
    header: int
    quoted: bool
    content: bytes | None

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        if self.content is not None:
            yield io.BytesIO(self.content)
            return
        with stream_of(self.path, lines=True) as stream:
            yield stream

    def scan(self) -> Scan:
        sign = re.escape(self.separator.encode())
        within = re.compile(rb'[^"\r\n' + sign + rb']"[^"\r\n' + sign + rb"]")
        feeds = returns = 0
        last, odd, backslashes = b"\n", False, False
        with self.stream() as stream:
            while chunk := stream.read(SCANNED):
                feeds, returns = feeds + chunk.count(b"\n"), returns + chunk.count(b"\r")
                if self.quoted and not backslashes and (b'"' in chunk or last[-1:] == b'"'):
                    joined = (last + chunk).removeprefix(b"\n\xef\xbb\xbf")
                    backslashes = backslashes or b'\\"' in joined
                    odd = odd or backslashes or within.search(joined) is not None
                last = chunk[-2:]
        lines = feeds + (last[-1:] != b"\n") if returns in (0, feeds) else None
        return Scan(lines, odd, backslashes)

    def read_fast(self, columns: list[str], scan: Scan) -> pl.DataFrame | None:
        """All rows at once; None where any row is not one line of ``len(names)`` valid fields."""
        if scan.lines is None or scan.odd_quotes:
            return None
        places = {name: str(at) for at, name in reversed(list(enumerate(self.names)))}
        keys = [places[c] for c in columns]
        try:
            with self.stream() as stream:
                table = pc.read_csv(
                    pa.PythonFile(stream, mode="r"),
                    pc.ReadOptions(
                        skip_rows=self.header,
                        column_names=[str(i) for i in range(len(self.names))],
                        block_size=LONGEST_FAST,
                    ),
                    pc.ParseOptions(
                        delimiter=self.separator, quote_char='"' if self.quoted else False, ignore_empty_lines=True
                    ),
                    pc.ConvertOptions(
                        include_columns=keys,
                        column_types={k: pa.large_string() for k in keys},
                        strings_can_be_null=False,
                    ),
                )
        except pa.ArrowMemoryError:
            raise
        except (pa.ArrowException, ValueError):
            return None
        if table.num_rows != scan.lines - self.header:  # empty lines, or line breaks within quotes
            return None
        frame = cast(pl.DataFrame, pl.from_arrow(table)).rename(dict(zip(keys, columns, strict=True)))
        first = 1 + self.header
        return frame.with_columns(pl.int_range(first, pl.len() + first, dtype=pl.Int64).alias(ROW))

    def read_by_row(self, columns: list[str], scan: Scan, bad: BadRows) -> pl.DataFrame:
        """Row by row, so that every bad row is named; only reached where the fast reader met something unusual."""
        places = {name: at for at, name in reversed(list(enumerate(self.names)))}
        wanted = [places[c] for c in columns]
        schema = {**dict.fromkeys(columns, pl.String), ROW: pl.Int64}
        parts: list[pl.DataFrame] = [pl.DataFrame(schema=schema)]
        rows: list[list[str | int]] = []
        for record in self.records(self.quoting(scan)):
            if record.number <= self.header or not record.fields:
                continue
            if (fault := self.fault(record)) is not None:
                bad.reject(self.path, record.number, "", fault, _shown(record.raw))
                continue
            if record.lines > 1:
                bad.spans(self.path, record.number, record.lines)
            picked: list[str | int] = [record.fields[i] for i in wanted]
            wrong = next(((c, w) for c, f in zip(columns, picked, strict=True) if (w := undecodable(str(f)))), None)
            if wrong is not None:
                bad.reject(self.path, record.number, wrong[0], wrong[1], _shown(record.raw), remedy="")
                continue
            rows.append([*picked, record.number])
            if len(rows) == CHUNK:
                parts.append(pl.DataFrame(rows, schema=schema, orient="row"))
                rows = []
        parts.append(pl.DataFrame(rows, schema=schema, orient="row"))
        return pl.concat(parts)

    def fault(self, record: Record) -> str | None:
        """What is wrong with a record's fields. Raises IsrfError where nothing behind it can be told apart."""
        if not record.closed and record.lines > 1:  # even under "skip"
            raise IsrfError(
                f"{shown(self.path)}: row {record.number}: a quotation mark opens and is never closed; close the quotation "
                "mark or double it"
            )
        if not record.closed:
            return "a quotation mark opens and is never closed"
        spans = f"; it spans {record.lines} lines: is a quotation mark left open on it?" if record.lines > 1 else ""
        if record.fault is not None:
            return record.fault + spans
        if len(record.fields) != len(self.names):
            return f"{len(record.fields)} field(s) where the table has {len(self.names)} columns{spans}"
        return None

    def quoting(self, scan: Scan) -> Quoting:
        """How quotes within quotes are written here; said where it is not the usual way."""
        if not self.quoted:
            return Quoting.none
        if not scan.backslashes:
            return Quoting.doubled
        doubled, escaped = self.records(Quoting.doubled), self.records(Quoting.escaped)
        found = quoting_of(doubled, escaped, self.separator, len(self.names))
        if found is Quoting.escaped:
            note(f"{shown(self.path.name)}: quotation marks within fields are escaped by backslashes, and read so")
        return found

    def records(self, quoting: Quoting) -> Iterator[Record]:
        with self.stream() as stream, reading(self.path):
            lines = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
            try:
                above = max(self.header - 1, 0)  # comments, in which a quotation mark means nothing
                for record in records(islice(lines, above, None), self.separator, quoting):
                    yield record if not above else record._replace(number=record.number + above)
            finally:
                lines.detach()


def _shown(raw: str) -> str:
    return re.sub(r"[\r\n]+$", "", raw).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
