"""What a report is made of: sections of tables, figures and lines, as plain values. Knows nothing about HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Table:
    """Rows of texts; the page escapes them.

    Attributes:
        columns: their names.
        rows: one text a column.
        text: so many leading columns hold words, the others figures.
        strong: (row, column) of cells that stand out.
        caption: below it.
        title: above it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: int = 1
    strong: frozenset[tuple[int, int]] = frozenset()
    caption: str = ""
    title: str = ""
    kind: Literal["table"] = "table"


@dataclass(frozen=True)
class Figure:
    """An SVG element (``report.inline_charts``) under its title."""

    svg: str
    title: str
    caption: str = ""
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True)
class Figures:
    """Figures side by side where there is room."""

    figures: Sequence[Figure]
    kind: Literal["figures"] = "figures"


@dataclass(frozen=True)
class Line:
    """A paragraph."""

    text: str
    kind: Literal["line"] = "line"


@dataclass(frozen=True)
class Code:
    """Text as it was typed, or as it stands in a file."""

    text: str
    kind: Literal["code"] = "code"


@dataclass(frozen=True)
class Missing:
    """Something that is not there: what, and the command that makes it."""

    what: str
    command: str
    kind: Literal["missing"] = "missing"


@dataclass(frozen=True)
class Details:
    """What most readers need not see: opened by a click."""

    title: str
    parts: Sequence[Part]
    kind: Literal["details"] = "details"


Part = Table | Figure | Figures | Line | Code | Missing | Details


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        name: its anchor, unique in a page.
        title: its heading, and its entry in the contents.
        lead: what a reader sees here, a sentence or two.
        parts: never none; what is not there is a ``Missing``.
    """

    name: str
    title: str
    lead: str
    parts: Sequence[Part]
