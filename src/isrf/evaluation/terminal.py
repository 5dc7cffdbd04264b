"""The table of results in a terminal: as wide as there is room, what may be compared in one table.

Reads the structure of ``metrics.json`` alone, like ``table``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from isrf.evaluation.protocol import ALL
from isrf.evaluation.results_document import LEVEL, NOTES
from isrf.evaluation.table import (
    BIASED,
    BY_SEED,
    HEADER,
    METRICS,
    best_of,
    cells_of,
    group_of,
    header,
    legend,
    ordered,
    seeded,
    tied,
    warned,
)
from isrf.evaluation.text_scores import ABOUT, COLUMNS, EXPLANATIONS, cells
from isrf.evaluation.verdict import TASKS, verdicts

SHORTER = {HEADER[8]: "95% interval"}
"""Column -> its name in the terminal, where it stands beside the value that it is about."""
DROPPED = (HEADER[10:11], HEADER[9:10], METRICS[:2], (BY_SEED,), METRICS[2:3])
"""What a narrow terminal leaves out, one after the other: seconds first, the headline NDCG@10 never."""
BREAK = re.compile("(?=[@=])")
"""Where a variant's name may be broken: into "isrf", "@model.dropout" and "=0.25"; other names are one part."""


@dataclass(frozen=True)
class ResultsView:
    """The results for the terminal: a table for each task, split and kind of candidates, then what has to be told.

    The best NDCG@10 of each full ranking is bold, and methods that are not told apart from it are marked as tied; rankings
    among sampled candidates are not tested, so nothing in them is marked. Where the console is too narrow, the names of
    variants are folded, then columns are left out, and a line says which.

    Attributes:
        document: what ``metrics.json`` holds.
        title: stands above the tables.
        caption: the lines below them.
    """

    document: dict[str, Any]
    title: str | None
    caption: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, width = fitting(self._widths(), self._names(), options.max_width)
        if self.title:
            yield Text(self.title, style="bold")
        best, marked = best_of(self.document), tied(self.document)
        for group, rows in groupby(ordered(self.document), group_of):
            task, split, candidates = group
            among = candidates if candidates == ALL else f"{candidates} (biased)"
            table = Table(title=Text(f"{told_task(task)}, {split}, candidates: {among}"), title_justify="left")
            for name in columns:
                table.add_column(name, justify="left" if name == "method" else "right", overflow="fold")
            for row in rows:
                leads = candidates == ALL and row["NDCG@10"] == best[group]
                cells = self._cells(row, set() if leads else marked)
                cells["method"] = folded(row["method"], width)
                table.add_row(*(Text(cells[name]) for name in columns), style="bold" if leads else "")
            yield table
        if gone := [name for name in self._widths() if name not in columns]:
            told = (
                f"left out, as the terminal is narrow: {', '.join(gone)}; the Markdown table (table.md) has all columns"
            )
            yield Text(told, style="italic")
        yield Text(self.caption, style="italic")
        for line in verdicts(self.document, LEVEL):
            yield Text(line, style="bold")

    def _cells(self, row: dict[str, Any], marked: set[tuple[str, str, str]]) -> dict[str, str]:
        """Column -> cell, but for what the title says."""
        cells = zip(header(self.document), cells_of(row, seeded(self.document), marked), strict=True)
        return {SHORTER.get(name, name): cell for name, cell in cells if name not in HEADER[1:4]}

    def _widths(self) -> dict[str, int]:
        """Column -> characters that it takes, but for the names of methods."""
        rows = [self._cells(row, tied(self.document)) for row in self.document["results"]]
        names = [SHORTER.get(name, name) for name in header(self.document) if name not in HEADER[1:4]]
        return {name: max([len(name), *(len(row[name]) for row in rows if name != "method")]) for name in names}

    def _names(self) -> list[str]:
        return [row["method"] for row in self.document["results"]]


def fitting(widths: Mapping[str, int], names: Sequence[str], room: int) -> tuple[list[str], int]:
    """The columns that ``room`` characters hold, and how wide the names of methods may be.

    Args:
        widths: column -> characters of its widest cell; that of the methods is taken from ``names``.
        names: of methods. A name that has to be folded takes at least the longest of its parts.
        room: characters of the console.
    """
    least = max([len(part) for name in names for part in BREAK.split(name)], default=0)
    kept = dict(widths)
    left = 0
    for gone in ((), *DROPPED):
        kept = {name: width for name, width in kept.items() if name not in gone}
        # a border and two blanks a column, and the last border
        left = room - 1 - sum(width + 3 for name, width in kept.items() if name != "method") - 3
        if left >= max(least, len("method")):
            break
    return list(kept), max(min(left, max(map(len, names), default=0)), least)


def folded(name: str, width: int) -> str:
    """A method's name in lines of at most ``width`` characters, broken before @ and = only."""
    lines = [""]
    for part in BREAK.split(name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def rich_table(document: dict[str, Any], title: str | None = None) -> ResultsView:
    """The results for the terminal."""
    biased = any(row["candidates"] != ALL for row in document["results"])
    told = [*legend(document), *([BIASED] if biased else []), *warned(document), *document.get(NOTES, [])]
    return ResultsView(document, title, "\n".join(told))


def told_task(task: str) -> str:
    """A task by its name in the document and by what it asks for."""
    return f"{task} ({TASKS[task]})" if task in TASKS else task


def explanation_table(document: dict[str, Any]) -> Table | None:
    """The scores of explanations for the terminal; None where there are none."""
    rows = document.get(EXPLANATIONS, {}).get("results", [])
    if not rows:
        return None
    table = Table(title="explanations", caption=ABOUT)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in COLUMNS[:2] else "right", overflow="fold")
    for row in rows:
        table.add_row(*cells(row))
    return table
