"""Progress with an ETA on anything that takes over two seconds: a bar on a terminal, a line now and then elsewhere.

Of processes that work together the main one alone tells.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from rich import box
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table as Grid
from rich.text import Text

from isrf.core import distributed
from isrf.core.consoles import PlainConsole
from isrf.core.terminal_text import visible

T = TypeVar("T")

LINE_EVERY_S = 10.0
"""Seconds between progress lines where the output is not a terminal."""

ROWS_SHOWN = 12
"""Most rows of a ``Table``, the newest ones."""

console = PlainConsole(stderr=True)


def note(text: str) -> None:
    """One line to the person who watches; standard error, so that output stays machine-readable."""
    if distributed.rank():
        return
    console.print(visible(text), markup=False, soft_wrap=True)


class Task:
    """A running task; ``advance`` after each finished unit, ``say`` replaces the words beside the bar."""

    def __init__(self, what: str, total: float | None, bar: Progress | None) -> None:
        self.what, self.total, self.done = what, total, 0.0
        self._bar = bar
        self._id = bar.add_task(what, total=total, detail="") if bar else None
        self._start = self._last = time.monotonic()
        self._detail = ""

    def advance(self, units: float = 1) -> None:
        self.done += units
        self._show()

    def say(self, detail: str) -> None:
        self._detail = detail
        self._show()

    def _show(self) -> None:
        if self._bar is not None and self._id is not None:
            self._bar.update(self._id, completed=self.done, detail=self._detail)
            return
        now = time.monotonic()
        if now - self._last < LINE_EVERY_S:
            return
        self._last = now
        if self.total and self.done:
            left = (now - self._start) * (self.total - self.done) / self.done
            note(f"{self.what}: {100 * self.done / self.total:.0f}%, {left:.0f} s left {self._detail}".rstrip())
        else:
            note(f"{self.what}: {self.done:.0f} done {self._detail}".rstrip())


class Table(Task):
    """A running task with a row of figures for each of its parts; on a terminal all of them are in sight.

    ``say`` is not for it: ``row`` replaces the cells of the part that is under way, ``end_row`` begins a new one.
    """

    def __init__(self, what: str, total: float | None, bar: Progress | None) -> None:
        super().__init__(what, total, bar)
        self._rows: list[dict[str, str]] = [{}]

    def row(self, cells: Mapping[str, str]) -> None:
        """Heading -> cell; the same headings in every row."""
        self._rows[-1] = dict(cells)
        self._detail = ", ".join(f"{heading} {cell}" for heading, cell in cells.items() if cell)

    def end_row(self) -> None:
        self._rows.append({})

    def __rich__(self) -> Group:
        shown = [row for row in self._rows if row][-ROWS_SHOWN:]
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in shown[-1] if shown else ():
            grid.add_column(Text(heading), justify="right")
        for row in shown:
            grid.add_row(*map(Text, row.values()))
        assert self._bar is not None
        return Group(grid, self._bar) if shown else Group(self._bar)


def bar_of(detail: bool) -> Progress:
    """A bar with its ETA, and with words beside it where ``detail`` says so."""
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    ]
    return Progress(*columns, *([TextColumn("{task.fields[detail]}", markup=False)] if detail else []), console=console)


@contextmanager
def task(what: str, total: float | None = None) -> Iterator[Task]:
    """Show ``what`` while the block runs; ``total`` in units (None = unknown)."""
    if not sys.stderr.isatty() or distributed.rank():
        yield Task(what, total, None)
        return
    with bar_of(detail=True) as bar:
        yield Task(what, total, bar)


@contextmanager
def table(what: str, total: float | None = None) -> Iterator[Table]:
    """Show ``what`` with a row of figures for each of its parts while the block runs; elsewhere than on a terminal a line
    now and then has the figures of the part that is under way."""
    if not sys.stderr.isatty() or distributed.rank():
        yield Table(what, total, None)
        return
    running = Table(what, total, bar_of(detail=False))
    with Live(running, console=console, refresh_per_second=4):
        yield running


def track(units: Iterable[T], what: str, total: float | None = None) -> Iterator[T]:
    """Iterate over ``units`` with progress; ``total`` defaults to ``len(units)`` where there is one."""
    if total is None and hasattr(units, "__len__"):
        total = len(units)  # type: ignore[arg-type]
    with task(what, total) as running:
        for unit in units:
            yield unit
            running.advance()
