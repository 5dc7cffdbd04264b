r"""Records of a delimited text: where one ends, and how quotation marks within quotes are written.

Quotes are doubled ("12"" name", RFC 4180), or escaped by a backslash ("12\" name", as databases and some libraries write
them): a file is of one kind, and ``quoting_of`` finds which. Fields are of any length. Knows nothing about files.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import NamedTuple

csv.field_size_limit(2**31 - 1)  # what fits everywhere; how much is read is bounded where a file is opened

INNER_QUOTE = "a quotation mark inside quotes is neither doubled nor escaped"


class Quoting(Enum):
    none = "a quotation mark is a character like any other"
    doubled = "doubled"
    escaped = "escaped by backslashes"


class Record(NamedTuple):
    """One record.

    Attributes:
        number: its first line, from 1.
        lines: how many it spans.
        raw: its text, line ends included.
        fields: none of an empty line.
        closed: False of a record that ends with the file because a quotation mark is never closed.
        fault: what is wrong with its quotation marks; None where nothing is.
    """

    number: int
    lines: int
    raw: str
    fields: list[str]
    closed: bool = True
    fault: str | None = None


@dataclass
class _Feed:
    """Lines for csv's reader, those of the record under way at hand; csv asks for more than there is if a quote is open."""

    lines: Iterator[str]
    quoting: Quoting

    def __post_init__(self) -> None:
        self.pending: list[str] = []
        self.ended_within = False

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.pending.append(line)
            yield other_backslashes_kept(line) if self.quoting is Quoting.escaped and "\\" in line else line
        self.ended_within = bool(self.pending)


def records(lines: Iterable[str], separator: str, quoting: Quoting) -> Iterator[Record]:
    """Every record of a text in lines with their ends."""
    feed, number = _Feed(iter(lines), quoting), 1
    escape = "\\" if quoting is Quoting.escaped else None
    style: int = csv.QUOTE_NONE if quoting is Quoting.none else csv.QUOTE_MINIMAL
    strict = quoting is Quoting.escaped
    reader = csv.reader(feed, delimiter=separator, quoting=style, escapechar=escape, strict=strict)  # type: ignore[arg-type]
    while True:
        fault = None
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fields, fault = [""], INNER_QUOTE if "expected after" in str(error) else str(error)
        raw, count = "".join(feed.pending), len(feed.pending)
        feed.pending.clear()
        if quoting is Quoting.doubled and '"' in raw and not _well_quoted(separator).fullmatch(raw):
            fault = INNER_QUOTE
        yield Record(number, count, raw, fields, not feed.ended_within, fault)
        number += count


def quoting_of(doubled: Iterable[Record], escaped: Iterable[Record], separator: str, columns: int) -> Quoting:
    r"""How quotes within quotes are written, given both readings of the same lines; to ask where \" occurs.

    The reading with fewer faults counts; where both have as many, a \" in the midst of an unquoted field is an escape, as
    nobody writes a title with that.
    """
    loose = re.compile(rf'\\"(?!["\r\n{re.escape(separator)}]|$)')
    faults = midst = 0
    for record in doubled:
        faulty = _faulty(record, columns)
        faults += faulty
        midst += not faulty and bool(loose.search(record.raw))
    others = sum(_faulty(record, columns) for record in escaped)
    return Quoting.escaped if others < faults or (others == faults and midst) else Quoting.doubled


def other_backslashes_kept(line: str) -> str:
    r"""The line with each backslash doubled that stands before something else than a quotation mark or a backslash.

    >>> print(other_backslashes_kept(r'"12\" C:\new \\"'))
    "12\" C:\\new \\"
    """
    return re.sub(r'\\(["\\])|\\', lambda found: found[0] if found[1] else "\\\\", line)


def _faulty(record: Record, columns: int) -> bool:
    return bool(record.fields) and (record.fault is not None or not record.closed or len(record.fields) != columns)


@cache
def _well_quoted(separator: str) -> re.Pattern[str]:
    """Matches a record in which every quoted field ends where its quote is closed; blanks behind that are let pass."""
    sign, blanks = re.escape(separator), "".join({" ", "\t"} - {separator})
    quoted = rf'"[^"]*+(?:""[^"]*+)*+(?:"[{blanks}]*+|$)'
    field = rf'(?:{quoted}|[^"{sign}\r\n][^{sign}\r\n]*+|)'
    return re.compile(rf"{field}(?:{sign}{field})*+(?:\r\n|\r|\n)?")
