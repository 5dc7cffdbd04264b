"""What every reader hands to cleaning, and what becomes of rows that cannot be read.

Knows nothing about any file format, nor about what cleaning does with the tables.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from isrf.data.dataset import Columns
from isrf.data.text import text_lines
from isrf.errors import IsrfError

ROW = "__row__"
"""Column of every raw table: 1-based number of the line in a text file, or of the row in a Parquet file."""

REMEDY = "mend the row, or skip bad rows (--on-bad-row skip)"


@dataclass(frozen=True)
class Table:
    """Rows of one file as they stand in it.

    Attributes:
        file: where the rows come from; named in every error line.
        frame: the source's columns under the source's names, and ROW Int64.
        is_text: a row is a line of a text file (not of Parquet), which can be shown as it stands.
    """

    file: Path
    frame: pl.DataFrame
    is_text: bool = True

    def having(self, frame: pl.DataFrame) -> Table:
        """Other rows or columns of the same file."""
        return replace(self, frame=frame)


@dataclass(frozen=True)
class RawCatalogue:
    """A catalogue before duplicate ids are settled.

    Attributes:
        table: ITEM, TITLE and further text attributes, all str, "" where absent, and ROW.
        rows_read: rows of the file, rejected ones included.
        left_out: columns that hold no text -> number of rows in which they hold anything.
        item_column: what the file itself calls ITEM.
        user_column: a column that looks like the users of a log, which a catalogue has not; None where there is none.
        warnings: for the person who imports: what was not recognised, and the setting that names it.
    """

    table: Table
    rows_read: int
    left_out: dict[str, int] = field(default_factory=dict)
    item_column: str = Columns.ITEM
    user_column: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawExplanations:
    """Review explanations as read (``data.explanations``).

    Attributes:
        frame: USER, ITEM (original ids), EXPLANATION and FEATURE ("" where there is none), all str; one row a record.
        rows_read: records of the file, rejected ones included.
    """

    frame: pl.DataFrame
    rows_read: int


@dataclass(frozen=True)
class RawData:
    """A log and its catalogue as read, before cleaning.

    Attributes:
        name: stem of the folder or file.
        file: the log's file or folder, for error lines.
        log: USER str, ITEM str, TIME Int64 (milliseconds UTC; all null where the source has no time), ORDER Int64
            (position in the source); one row an interaction, ids never empty. PART (an Enum of PARTS) where the source
            brings a split that is wanted.
        rows_read: interactions in the source, rejected ones included.
        catalogue: None where the source has none.
        source_order: original item ids in the source's own numbering, where it has one.
        explanations: None where the source has none.
        warnings: for the person who imports: what of the log was not recognised, and the setting that names it.
        counts: what of the log was counted and is no loss of rows, by name.
    """

    name: str
    file: Path
    log: pl.DataFrame
    rows_read: int
    catalogue: RawCatalogue | None = None
    source_order: list[str] | None = None
    explanations: RawExplanations | None = None
    warnings: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


class BadRows:
    """Rows that cannot be read: under "fail" the first one is an IsrfError, under "skip" all are collected."""

    columns = ("file", "row", "column", "reason", "content")

    def __init__(self, policy: Literal["fail", "skip"]) -> None:
        self.policy = policy
        self._rows: list[tuple[Path, int, str, str, str | None]] = []
        self.told: list[str] = []
        """Lines for the person who imports: how values were read that could have been read otherwise."""

    def __len__(self) -> int:
        return len(self._rows)

    def tell(self, line: str) -> None:
        """Note a line for the person who imports, once."""
        if line not in self.told:
            self.told.append(line)

    def reject(
        self, file: Path, row: int, column: str, reason: str, content: str | None = None, remedy: str = REMEDY
    ) -> None:
        """Reject row ``row`` (1-based) of ``file``; ``content`` None = line ``row`` of the file, fetched on writing.

        Args:
            remedy: "" where ``reason`` says what to do, as with a fault of the whole file that no mended row cures.

        Raises:
            IsrfError: under "fail", naming file, row, column, reason and remedy.
        """
        if self.policy == "fail":
            where = f"row {row}, column {column}" if column else f"row {row}"
            raise IsrfError(f"{file}: {where}: {reason}" + (f"; {remedy}" if remedy else ""))
        self._rows.append((file, row, column, reason, content))

    def drop(
        self, table: Table, bad: pl.Series, column: str, reason: Callable[[Any], str], shown_as: str | None = None
    ) -> Table:
        """The table without the rows where ``bad`` (bool, one a row) holds; ``reason`` is given the column's value.

        ``shown_as`` is the file's own name of the column where the table has another.
        """
        if not bad.any():
            return table
        rows = table.frame.filter(bad)
        for record in rows.iter_rows(named=True):
            content = None
            if not table.is_text:
                content = ",".join("" if v is None else str(v) for k, v in record.items() if k != ROW)
            self.reject(table.file, record[ROW], shown_as or column, reason(record.get(column)), content)
        return table.having(table.frame.filter(~bad))

    def write(self, path: Path) -> None:
        """Write all rejected rows as CSV (file, row, column, reason, content), to a temporary name first."""
        wanted: dict[Path, set[int]] = {}
        for file, row, _, _, content in self._rows:
            if content is None:
                wanted.setdefault(file, set()).add(row)
        lines = {file: _lines_at(file, rows) for file, rows in wanted.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("w", newline="", encoding="utf-8") as out:
                writer = csv.writer(out)
                writer.writerow(self.columns)
                for file, row, column, reason, content in self._rows:
                    shown = lines[file].get(row, "") if content is None else content
                    writer.writerow((str(file), row, column, reason, shown))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _lines_at(file: Path, rows: set[int]) -> dict[int, str]:
    """The wanted lines (1-based) of a text file, undecodable bytes shown as \\xNN."""
    with text_lines(file, errors="backslashreplace") as lines:
        return {n: line.rstrip("\r\n") for n, line in enumerate(lines, start=1) if n in rows}
