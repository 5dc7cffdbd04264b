"""Progress with an ETA on anything that takes over two seconds: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")

LINE_EVERY_S = 10.0
"""Seconds between progress lines where the output is not a terminal."""

console = Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """One line to the person who watches; standard error, so that output stays machine-readable."""
    console.print(text, markup=False, soft_wrap=True)


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


@contextmanager
def task(what: str, total: float | None = None) -> Iterator[Task]:
    """Show ``what`` while the block runs; ``total`` in units (None = unknown)."""
    if not sys.stderr.isatty():
        yield Task(what, total, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=console, transient=False) as bar:
        yield Task(what, total, bar)


def track(units: Iterable[T], what: str, total: float | None = None) -> Iterator[T]:
    """Iterate over ``units`` with progress; ``total`` defaults to ``len(units)`` where there is one."""
    if total is None and hasattr(units, "__len__"):
        total = len(units)  # type: ignore[arg-type]
    with task(what, total) as running:
        for unit in units:
            yield unit
            running.advance()
