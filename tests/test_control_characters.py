"""No character of other people's text reaches a terminal, a pipe or a drawn table as anything but a visible escape.

They are planted in every text that somebody can bring: ids, titles, brands, categories, names of columns, of files and
folders, values of settings and options.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from tests.commands import Outcome, done, isrf, refused, settings, small_log

from isrf.cli import main as cli
from isrf.core import progress
from isrf.core.consoles import PlainConsole
from isrf.core.terminal_text import HIDDEN, json_text, visible
from isrf.report.page import page
from isrf.report.section import Code, Figure, Line, Missing, Section
from isrf.report.section import Table as Shown

EVIL = "\x1b[2J\x1b]0;pwned\x07\x1b]8;;http://x\x1b\\\x9b31m\u202eabc\u2066\u061c\u200f\x7f\r\b\ufeff\U000e0041"

NAMED = EVIL.replace("/", "").replace("[", "").replace("]", "")
"""The same as the name of a file; brackets are patterns to some readers of paths, which is no matter of this test."""


def clean(text: str) -> None:
    found = HIDDEN.search(text.replace("\n", ""))
    assert found is None, f"{found!r} in {text[max(0, found.start() - 60) : found.start() + 60]!r}"


def told(outcome: Outcome) -> Outcome:
    clean(outcome.out)
    clean(outcome.err)
    return outcome


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose every text holds EVIL, in a folder of such a name; not to be changed."""
    folder = tmp_path_factory.mktemp("hostile") / NAMED
    folder.mkdir()
    # line ends within ids are refused, so they carry none
    id_evil = EVIL.replace("\r", "")
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        rows = [(u, i, at) for u, items in small_log().items() for at, i in enumerate(items)]
        writer.writerows((u + id_evil, i + id_evil, at) for u, i, at in sorted(rows, key=lambda row: row[2]))
    items = sorted({i for items in small_log().values() for i in items})
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "title", "brand", "categories", f"extra{id_evil}"])
        for item in items:
            world = item.partition("-")[0]
            writer.writerow(
                [item + id_evil, *(f"{part} {world}{id_evil}" for part in ("title", "house", "kind", "more"))]
            )
    source = ("--data", folder / "log.csv", "--items", folder / "items.csv")
    done(told(isrf("run", *source, "--out", folder / "ws", "--no-train", *settings())))
    return folder / "ws"


USER = "u1" + EVIL.replace("\r", "")


def test_answers(hostile: Path, tmp_path: Path) -> None:
    asked = ("recommend", hostile, "--user", USER, "--top", 3)
    for format in ("table", "markdown", "json", "jsonl"):
        outcome = done(told(isrf(*asked, "--format", format)))
        done(told(isrf(*asked, "--format", format, "--output", tmp_path / "r")))
        clean((tmp_path / "r").read_text(encoding="utf-8"))
        assert "\\x1b" in outcome.out or "\\u001b" in outcome.out
    rows = json.loads(done(isrf(*asked, "--format", "json")).out)
    assert {row["user_id"] for row in rows} == {USER} and "\x1b[2J" in rows[0]["item_id"], "JSON keeps the value"
    done(isrf(*asked, "--output", tmp_path / "r.csv"))
    done(isrf(*asked, "--output", tmp_path / "r.parquet"))
    kept = csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text(encoding="utf-8"), newline=""))
    items = [row["item_id"] for row in rows]
    assert [row["item_id"] for row in kept] == items == pl.read_parquet(tmp_path / "r.parquet")["item_id"].to_list()


def test_looking_at_a_workspace(hostile: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(hostile, tmp_path / f"ws{NAMED}"))
    for command in (
        ("inspect", ws, "--user", USER),
        ("inspect", ws, "--card"),
        ("inspect", ws, "--find", "bridges", "--top", 2),
        ("inspect", ws, "--find", "bridges", "--top", 2, "--format", "json"),
        ("data", "describe", ws),
        ("audit", ws),
        ("audit", ws, "--format", "json"),
        ("reason", ws, "--report"),
        ("evaluate", ws),
    ):
        done(told(isrf(*command)))
    for file in ws.glob("*/table*.md"):
        clean(file.read_text(encoding="utf-8"))


def test_messages(hostile: Path, tmp_path: Path) -> None:
    log, evil = hostile.parent / "log.csv", NAMED
    for command in (
        ("recommend", hostile, "--user", f"nobody{EVIL}"),
        ("recommend", hostile, "--history", f"nothing{EVIL}"),
        ("recommend", hostile, "--method", EVIL),
        ("recommend", hostile, "--output", tmp_path / evil / "r.csv"),
        ("recommend", hostile, "--output", tmp_path / f"r.{evil}"),
        ("recommend", tmp_path / evil, "--user", "u1"),
        ("recommend", hostile, "--format", EVIL),
        ("recommend", hostile, f"--{EVIL}"),
        ("bench", hostile, "--methods", EVIL),
        ("bench", hostile, "--methods", f"isrf@{EVIL}=1"),
        ("graph", hostile, "--set", f"graphs.tau={EVIL}"),
        ("graph", hostile, "--set", f"{EVIL}=1"),
        ("graph", hostile, "--set", f"graphs.{EVIL}=1"),
        ("data", "describe", log, "--set", f"data.user_column={EVIL}"),
        ("data", "describe", log, "--set", f"data.separator={EVIL}"),
        ("data", "describe", tmp_path / f"{evil}.csv"),
        ("data", "describe", hostile.parent / "items.csv"),
        ("run", "--data", log, "--preset", EVIL, "--out", tmp_path / "ws"),
        ("reason", hostile, "--budget", EVIL),
    ):
        refused(told(isrf(*command)))
    told(isrf("--debug", "recommend", hostile, "--user", f"nobody{EVIL}"))


@given(st.text(max_size=30))
def test_a_console_shows_no_control_character(text: str) -> None:
    out = PlainConsole(file=io.StringIO(), width=80)
    table = Table("a", title=Text(text), caption=Text(text))
    table.add_row(Text(text))
    for thing in (table, Text(text)):
        out.print(thing)
    out.print(text, markup=False)
    clean(out.file.getvalue())  # type: ignore[attr-defined]


@given(st.text(max_size=30))
def test_json_keeps_the_value_in_visible_characters(text: str) -> None:
    for ascii_only in (False, True):
        made = json_text({"a": [text]}, ascii_only=ascii_only)
        clean(made)
        assert json.loads(made) == {"a": [text]} or any("\ud800" <= c <= "\udfff" for c in text)


def test_notes_bars_and_failures(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    progress.note(EVIL)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with progress.task(EVIL, 2) as running:
        running.say(EVIL)
        running.advance()
    screen = io.StringIO()
    monkeypatch.setattr(progress, "console", PlainConsole(file=screen, width=200))
    with progress.bar_of(detail=True) as bar:
        progress.Task(f"{EVIL}[/red]", 1, bar).say(f"{EVIL}[/]")
    clean(screen.getvalue())
    cli.tell(f"  {EVIL}\n a  b \r\n")
    line = capsys.readouterr().err
    clean(line)
    assert line.endswith(f"{visible(EVIL.replace(chr(13), ' '))} a  b\n"), "blanks of a name stay"


def test_a_report(tmp_path: Path) -> None:
    """Text, code, cells, titles, and what a chart has drawn."""
    chart = Figure(title=EVIL, svg=f"<svg>{EVIL}</svg>")
    parts = [Line(EVIL), Code(EVIL), Shown(columns=[EVIL], rows=[[EVIL]]), Missing(EVIL, EVIL), chart]
    clean(page(EVIL, EVIL, [(EVIL, EVIL, EVIL)], [Section("a", EVIL, EVIL, parts)]))


def test_the_only_consoles_and_the_only_printing_are_those_that_escape() -> None:
    """Anything else in the package would have to think of it again."""
    source = Path(cli.__file__).parent.parent
    for module in source.rglob("*.py"):
        text = module.read_text(encoding="utf-8")
        if module.name != "consoles.py":
            assert " Console(" not in text and "=Console(" not in text, f"{module}: use core.consoles.PlainConsole"
        printing = [
            line.strip() for line in text.splitlines() if line.strip().startswith(("print(", "sys.stdout.write("))
        ]
        for line in printing:
            safe = any(
                word in line for word in ("visible", "json_text", "__version__", "READY", "type(error)", "(told)")
            )
            assert safe, f"{module}: {line}"
