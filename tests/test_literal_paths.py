"""Workspaces, logs and models of any name, from the command to the answer: never those of a name alike."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pytest
from tests.commands import Outcome, isrf

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.describe import MOST_COLUMNS, describe, told_of
from isrf.data.readers.registry import parse_source, read_dataset
from isrf.workspace.workspace import Workspace

KEEP_ALL = DataSettings(min_interactions=0)


def write_log(file: Path, prefix: str) -> None:
    """Users ``prefix0`` to ``prefix11``, six items each."""
    rows = [(f"{prefix}{u}", f"i{(u + 5 * k) % 14}", 1_500_000_000 + 1000 * k + u) for u in range(12) for k in range(6)]
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").write_parquet(file.open("wb"))


def one_line(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2 and len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert "unforeseen" not in outcome.err and all(word in outcome.err for word in words), outcome.err


def test_a_workspace_and_a_log_beside_those_that_their_names_match(tmp_path: Path) -> None:
    """``[1]`` matches ``1``: people of the other log must not be imported, nor files of the other workspace read."""
    for name, prefix in (("log1.parquet", "other"), ("log[1].parquet", "mine")):
        write_log(tmp_path / name, prefix)
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(14)], "title": [f"Tea {n}" for n in range(14)]})
    items.write_parquet((tmp_path / "items.parquet").open("wb"))
    sources = ("--items", tmp_path / "items.parquet", "--set", "data.min_interactions=0", "--out")
    assert isrf("data", "import", tmp_path / "log1.parquet", *sources, tmp_path / "ws1").code == 0
    made = isrf("run", "--data", tmp_path / "log[1].parquet", "--no-train", *sources, tmp_path / "ws[1]")
    assert made.code == 0, made.err
    answer = isrf("recommend", tmp_path / "ws[1]", "--format", "json", "--top", 2)
    assert {row["user_id"] for row in json.loads(answer.out)} == {f"mine{n}" for n in range(12)}
    one_line(isrf("recommend", tmp_path / "ws[1]", "--user", "other1"), "'other1' is not in this workspace")


@pytest.mark.parametrize(
    "name", ["a*b", "a?", "{a,b}", "**", "[!x]", "~", "$HOME", "%20", "s3:x", "file:x", "x::y", "a\nb", " "]
)
def test_sources_of_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for other in ("axb", "ab", "a", "b", "x"):
        write_log(Path(f"{other}.parquet"), "other")
    write_log(Path(f"{name}.parquet"), "mine")
    assert read_dataset(f"{name}.parquet", None, KEEP_ALL).interactions[Columns.USER].str.starts_with("mine").all()
    Path("folder[1]" + name).mkdir()
    write_log(Path("folder[1]" + name) / "log.parquet", "mine")
    assert read_dataset(f"folder[1]{name}", None, KEEP_ALL).n_users == 12


def test_names_that_begin_with_a_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.txt").write_text("user,item\na,b\n")
    assert parse_source("csv:log.txt") == ("csv", Path("log.txt"))
    Path("csv:log.txt").write_text("user,item\nc,d\n")
    with pytest.raises(IsrfError, match=r"write \./csv:log\.txt for the file, or csv:\./log\.txt"):
        parse_source("csv:log.txt")
    assert parse_source("./csv:log.txt") == ("csv", Path("csv:log.txt"))
    assert parse_source("csv:./log.txt") == ("csv", Path("log.txt"))
    Path("log.txt").unlink()
    assert parse_source("csv:log.txt") == ("csv", Path("csv:log.txt")), "nothing else can be meant"
    Path("movielens:100k").mkdir()
    with pytest.raises(IsrfError, match=r"\./movielens:100k"):
        parse_source("movielens:100k")
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("home.csv").write_text("user,item\na,b\n")
    assert parse_source("csv:~/home.csv")[1] == tmp_path / "home.csv"
    with pytest.raises(IsrfError, match=r"~nobody-of-that-name/x\.csv: no such file"):
        parse_source("~nobody-of-that-name/x.csv")


def test_names_that_are_no_text_are_read_and_shown(tmp_path: Path) -> None:
    """Logs, catalogues and settings may have them; a workspace may not, as its name is written into files."""
    log, items, config = (
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + n)) for n in (b"l\xff.csv", b"i\xff.csv", b"c\xff.yaml")
    )
    rows = [f"u{u},i{(u + 5 * k) % 14},{1_500_000_000 + k}" for u in range(12) for k in range(6)]
    log.write_text("user_id,item_id,timestamp\n" + "\n".join(rows))
    items.write_text("item_id,title\n" + "\n".join(f"i{n},T{n}" for n in range(14)))
    config.write_text("data: {min_interactions: 0}\n")
    made = isrf("data", "import", log, "--items", items, "--config", config, "--out", tmp_path / "ws")
    assert made.code == 0 and "l\\xff" in made.out, made.err
    for command in (("data", "import", log, "--out"), ("recommend",), ("report",)):
        one_line(
            isrf(*command, Path(os.fsdecode(os.fsencode(tmp_path) + b"/w\xff"))), "w\\xff: the name is not UTF-8 text"
        )


def test_names_that_are_too_long(tmp_path: Path) -> None:
    log, long = tmp_path / "log.csv", tmp_path / ("n" * 300)
    log.write_text("user,item\na,b\n")
    for command in (
        ("data", "import", f"{long}.csv", "--out", tmp_path / "ws"),
        ("data", "import", log, "--items", f"{long}.csv", "--out", tmp_path / "ws"),
        ("data", "import", log, "--config", long, "--out", tmp_path / "ws"),
        ("data", "import", log, "--out", long),
        ("data", "describe", long),
        ("audit", log, "--against", long, "--set", "data.min_interactions=0"),
    ):
        one_line(isrf(*command), "name", "too long")
    for src in (f"csv:{long}", str(long)):
        with pytest.raises(IsrfError, match="the name is too long"):
            parse_source(src)
    with pytest.raises((IsrfError, OSError)):
        Workspace.create(long)


def test_a_catalogue_of_thousands_of_columns(tmp_path: Path) -> None:
    """Counted in one go and told of in a bounded table; columns that hold most come first."""
    log, items, count = tmp_path / "log.csv", tmp_path / "items.csv", 1000
    log.write_text("user,item\na,b\na,c\n")
    names = [f"text {n}" for n in range(count)] + [f"number {n}" for n in range(count)]
    for cells in (["x y"] * count + ["5"] * count,):
        items.write_text(
            "\n".join(",".join(row) for row in (["item", "title", *names], ["b", "B", *cells], ["c", "C", *cells]))
        )
    dataset: Dataset = read_dataset(str(log), items, KEEP_ALL)
    rows = dict(describe(dataset))
    assert len(rows) < MOST_COLUMNS + 40
    assert rows["catalogue columns"].endswith(f" and {2 * count + 1 - MOST_COLUMNS:,} more")
    assert rows["catalogue columns for filters, no text, beside these"] == f"{count - MOST_COLUMNS:,}"
    assert max(map(len, told_of(dataset))) < 4000
