"""What every reader hands to cleaning, and what becomes of rows that cannot be read.

Knows nothing about any file format, nor about what cleaning does with the tables.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from isrf.core.atomic_files import replacing_text
from isrf.core.errors import IsrfError
from isrf.core.files import shown
from isrf.core.shell import setting
from isrf.data.dataset import Columns
from isrf.data.readers.text_io import text_lines

ROW = "__row__"
"""Column of every raw table: 1-based number of the line in a text file, or of the row in a Parquet file."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What spreadsheets take for the beginning of a formula, or skip before one; some take the full-width signs too."""


def remedy_of_rows() -> str:
    """What to do about a bad row."""
    return f"fix the row, or skip bad rows ({setting('data.on_bad_row', 'skip')})"


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
        left_out: columns that nothing can be read of -> number of rows in which they hold anything.
        counts: what was done to its texts, by name, e.g. cells that held markup.
        item_column: what the file itself calls ITEM.
        user_column: a column that looks like the users of a log, which a catalogue has not; None where there is none.
        warnings: for the person who imports: what was not recognised, and the setting that names it.
        columns: values with their types (``data.readers.column_types``) and ROW, a row each of ``table`` and of rows that
            were rejected meanwhile; None where the format has none.
        sources: source column -> its name here, where it is another.
        for_filters: columns that hold no text, and which filters know -> number of rows in which they hold anything.
    """

    table: Table
    rows_read: int
    left_out: dict[str, int] = field(default_factory=dict)
    item_column: str = Columns.ITEM
    user_column: str | None = None
    warnings: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    columns: pl.DataFrame | None = None
    sources: dict[str, str] = field(default_factory=dict)
    for_filters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RawExplanations:
    """Review explanations as read (``data.reviews``).

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
            brings a split that is wanted; DISLIKED (bool) and WEIGHT (Float32 >= 0) where settings read them.
        rows_read: interactions in the source, rejected ones included.
        catalogue: None where the source has none.
        source_order: original item ids in the source's own numbering, where it has one.
        explanations: None where the source has none.
        warnings: for the person who imports: what of the log was not recognised, and the setting that names it.
        counts: what of the log was counted and is no loss of rows, by name.
        id_types: USER and ITEM -> one of ``dataset.ID_TYPES``, where the source holds its ids so.
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
    id_types: dict[str, str] = field(default_factory=dict)


class BadRows:
    """Rows that cannot be read: under "fail" the first one is an IsrfError, under "skip" all are collected."""

    columns = ("file", "row", "column", "reason", "content")

    def __init__(self, policy: Literal["fail", "skip"]) -> None:
        self.policy = policy
        self._rows: list[tuple[Path, int, str, str, str | None]] = []
        self._spans: dict[Path, tuple[array[int], array[int]]] = {}
        self.told: list[str] = []
        """Lines for the person who imports: how values were read that could have been read otherwise."""

    def __len__(self) -> int:
        return len(self._rows)

    def tell(self, line: str) -> None:
        """Note a line for the person who imports, once."""
        if line not in self.told:
            self.told.append(line)

    def reject(
        self, file: Path, row: int, column: str, reason: str, content: str | None = None, remedy: str | None = None
    ) -> None:
        """Reject row ``row`` (1-based) of ``file``; ``content`` None = line ``row`` of the file, fetched on writing.

        Args:
            remedy: None = that of any bad row; "" where ``reason`` says what to do, as with a fault of the whole file that no
                mended row cures.

        Raises:
            IsrfError: under "fail", naming file, row, column, reason and remedy.
        """
        if self.policy == "fail":
            remedy = remedy_of_rows() if remedy is None else remedy
            where = f"row {row}, column {column}" if column else f"row {row}"
            raise IsrfError(f"{shown(file)}: {where}: {reason}" + (f"; {remedy}" if remedy else ""))
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

    def spans(self, file: Path, row: int, lines: int) -> None:
        """Remember that the row that begins on line ``row`` has several lines, so that all of them are written."""
        if self.policy == "skip":
            firsts, counts = self._spans.setdefault(file, (array("q"), array("q")))
            firsts.append(row)
            counts.append(lines)

    def write(self, path: Path) -> None:
        """Write all rejected rows as CSV (file, row, column, reason, content), whole or not at all.

        Cells that a spreadsheet would take for a formula are defused (``spreadsheet_cell``).
        """
        wanted: dict[Path, dict[int, int]] = {}
        for file, row, _, _, content in self._rows:
            if content is None:
                wanted.setdefault(file, {})[row] = 1
        for file, rows in wanted.items():
            rows.update(
                (first, count) for first, count in zip(*self._spans.get(file, ((), ())), strict=True) if first in rows
            )
        texts = {file: _rows_at(file, rows) for file, rows in wanted.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_text(path, newline="") as out:
            writer = csv.writer(out)
            writer.writerow(self.columns)
            for file, row, column, reason, content in self._rows:
                whole = texts[file].get(row, "") if content is None else content
                writer.writerow(
                    (spreadsheet_cell(shown(file)), row, *(spreadsheet_cell(text) for text in (column, reason, whole)))
                )


def spreadsheet_cell(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would take it for a formula: data of other people may be one.

    >>> spreadsheet_cell("=HYPERLINK(A1)"), spreadsheet_cell("a=b")
    ("'=HYPERLINK(A1)", 'a=b')
    """
    return f"'{text}" if text.startswith(FORMULA) else text


def _rows_at(file: Path, rows: dict[int, int]) -> dict[int, str]:
    r"""The text of the wanted rows, first line (from 1) -> lines, undecodable bytes shown as \xNN."""
    found: dict[int, str] = {}
    pending, last = 0, max(first + count for first, count in rows.items())
    with text_lines(file, errors="backslashreplace") as lines:
        for number, line in enumerate(lines, start=1):
            if number in rows:
                begun, pending = number, rows[number]
                found[begun] = ""
            if pending:
                found[begun] += line
                pending -= 1
            if number == last:
                break
    return {number: text.rstrip("\r\n") for number, text in found.items()}
