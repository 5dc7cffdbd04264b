"""What a person sees while something runs: a table or a bar on a terminal, lines elsewhere, nothing from helpers."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from isrf.core import progress
from isrf.core.progress import ROWS_SHOWN, note, table, task


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 100 columns is sent."""
    written = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=written, force_terminal=True, width=100, highlight=False))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    return written


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a file is sent, a line at every step."""
    written = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=written, width=100, highlight=False))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    return written


def test_a_table_on_a_terminal(screen: io.StringIO) -> None:
    with table("train", 4) as shown:
        for epoch in (1, 2):
            shown.row({"epoch": str(epoch), "SR": "9.999", "users/s": ""})
            shown.advance(2)
            shown.row({"epoch": str(epoch), "SR": f"{epoch}.125", "users/s": "812"})
            shown.end_row()
    last = screen.getvalue()
    for word in ("epoch", "SR", "users/s", "1.125", "2.125", "812", "train", "ETA", "100%"):
        assert word in last
    assert "9.999" not in last.split("epoch")[-1], "a row is replaced, not added"


def test_only_the_newest_rows_stay_in_sight(screen: io.StringIO) -> None:
    with table("train", 100) as shown:
        for epoch in range(1, ROWS_SHOWN + 3):
            shown.row({"epoch": f"E{epoch}."})
            shown.end_row()
    last = screen.getvalue().split("epoch")[-1]
    assert "E2." not in last and "E3." in last and f"E{ROWS_SHOWN + 2}." in last


def test_lines_elsewhere_have_the_figures_and_what_is_left(lines: io.StringIO) -> None:
    with table("train", 4) as shown:
        shown.row({"epoch": "1", "SR": "5.125", "best": "", "users/s": "812"})
        shown.advance(3)
    (line,) = lines.getvalue().splitlines()
    assert line.startswith("train: 75%, ") and line.endswith(" s left epoch 1, SR 5.125, users/s 812")


def test_a_process_that_helps_says_nothing(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, told in (("1", 0), ("0", 3)):
        monkeypatch.setenv("RANK", rank)
        note("a note")
        with task("task", 2) as one, table("table", 2) as other:
            one.advance()
            other.advance()
        assert len(lines.getvalue().splitlines()) == told
