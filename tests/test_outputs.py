"""Files of recommendations: the ending is the format, each holds exactly what it should, and devices are not replaced."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.commands import done, isrf, refused

from isrf.cli.options import Format
from isrf.cli.output_files import ENDINGS, check_output, format_of
from isrf.cli.printing import recommendation_files
from isrf.core.errors import IsrfError
from isrf.core.terminal_text import visible

WRITTEN = tuple(format.value for format in Format)
ROWS: list[dict[str, Any]] = [
    {
        "user_id": "-5",
        "rank": 1,
        "item_id": 'a,"b"\nc',
        "title": '=1+1 <b>|\x1b[2J\u202e茶"',
        "score": 0.1 + 0.2,
        "shares": {"group": 1.0},
        "feature": "@x",
        "reasons": ["one, two", 'three "four"'],
        "method": "isrf",
    }
]


@pytest.mark.parametrize(
    ("name", "asked", "meant"),
    [
        ("r.json", None, "json"),
        ("r.JSON", None, "json"),
        ("r.jsonl", None, "jsonl"),
        ("r.ndjson", None, "jsonl"),
        ("r.csv", None, "csv"),
        ("r.parquet", None, "parquet"),
        ("r.pq", "parquet", "parquet"),
        ("r.txt", None, "table"),
        ("r.md", None, "markdown"),
        ("r", None, "table"),
        ("r", "csv", "csv"),
        ("r.data", "csv", "csv"),
        ("a.b/r", None, "table"),
        (None, None, "table"),
        (None, "csv", "csv"),
    ],
)
def test_the_ending_chooses_the_format(name: str | None, asked: str | None, meant: str) -> None:
    assert format_of(Path(name) if name else None, asked, WRITTEN, "table") == meant


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("r.parquet", "json", "contradict"),
        ("r.csv", "table", "contradict"),
        ("r.txt", "json", "contradict"),
        ("r.csv.gz", None, "compress"),
        ("r.json.zst", "json", "compress"),
        ("r.xlsx", None, "no .xlsx"),
        ("r.tsv", "csv", "no .tsv"),
        ("r.html", None, "no .html"),
        ("r.foo", None, "no format"),
    ],
)
def test_what_an_ending_contradicts_is_refused(name: str, asked: str | None, words: str) -> None:
    with pytest.raises(IsrfError, match=words):
        format_of(Path(name), asked, WRITTEN, "table")


def test_a_report_is_html() -> None:
    for name in ("r.html", "r.htm", "r", "r.page"):
        assert format_of(Path(name), None, ("html",), "html") == "html"
    for name in ("r.json", "r.csv", "r.pdf", "r.html.gz", "r.txt"):
        with pytest.raises(IsrfError, match="--output"):
            format_of(Path(name), None, ("html",), "html")


def made(format: str, rows: list[dict[str, Any]] = ROWS, **how: Any) -> bytes:
    file = io.BytesIO()
    recommendation_files.write(rows, format, file, **how)
    return file.getvalue()


def test_values_are_exact_in_every_format_for_programs_but_for_what_a_terminal_would_obey() -> None:
    assert json.loads(made("json")) == ROWS and json.loads(made("jsonl")) == ROWS[0]
    (row,) = csv.DictReader(io.StringIO(made("csv").decode(), newline=""))
    assert row == {k: str(v) for k, v in ROWS[0].items()} | {
        "shares": json.dumps(ROWS[0]["shares"]),
        "reasons": json.dumps(ROWS[0]["reasons"]),
        "title": visible(ROWS[0]["title"]),
    }
    table = pl.read_csv(io.BytesIO(made("csv")), infer_schema=False)
    assert table["item_id"][0] == ROWS[0]["item_id"] and json.loads(table["reasons"][0]) == ROWS[0]["reasons"]
    (record,) = pl.read_parquet(io.BytesIO(made("parquet"))).to_dicts()
    assert {**record, "shares": json.loads(record["shares"])} == ROWS[0]


def test_texts_hold_no_control_characters() -> None:
    for text in (made("json"), made("jsonl"), made("markdown"), made("csv"), made("json", ascii_only=True)):
        assert not set(text.decode()) & {"\x1b", "\u202e"}
    assert made("json", ascii_only=True).isascii()
    lines = made("markdown").decode().splitlines()
    assert lines[0] == "### -5, by isrf" and len(lines) == 5 and "<b>" not in lines[4], (
        "an id with a line break is one line"
    )


def test_no_rows_are_a_table_without_rows() -> None:
    assert json.loads(made("json", [])) == [] and made("jsonl", []) == b"" and made("markdown", []) == b""
    assert made("csv", []).decode() == ",".join(recommendation_files.RECOMMENDED.columns) + "\n"
    assert pl.read_parquet(io.BytesIO(made("parquet", []))).columns == list(recommendation_files.RECOMMENDED.columns)


def test_a_name_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    for output, words in ((tmp_path, "folder"), (tmp_path / "no" / "r.csv", "make it first"), (Path("-"), "standard")):
        with pytest.raises(IsrfError, match=words):
            check_output(output)


def test_recommendations_by_the_ending(untrained: Path, tmp_path: Path) -> None:
    """Each file as its reader reads it, and the same rows in all."""
    asked = ("recommend", untrained, "--user", "u1", "--user", "u2", "--top", 3)
    shown = json.loads(done(isrf(*asked, "--format", "json")).out)
    for ending in (".json", ".csv"):
        done(isrf(*asked, "--output", tmp_path / f"r{ending}"))
    assert json.loads((tmp_path / "r.json").read_text()) == shown
    assert pl.read_csv(tmp_path / "r.csv")["item_id"].to_list() == [row["item_id"] for row in shown]
    out = done(isrf(*asked, "--format", "csv")).out
    assert out == (tmp_path / "r.csv").read_text()
    line = refused(isrf(*asked, "--format", "json", "--output", tmp_path / "r.parquet"), "contradict")
    assert "r.parquet" in line and not (tmp_path / "r.parquet").exists()
    refused(isrf("report", untrained, "--output", tmp_path / "r.json"), ".html")
    refused(isrf("recommend", untrained, "--format", "parquet"), "--output")
    assert set(ENDINGS.values()) == {*WRITTEN, "html"}
