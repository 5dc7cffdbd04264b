"""The tables of the terminal: readable at the width that there is, and honest in what they mark and advise."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
import pytest
from rich.console import Console

from isrf.cli.printing import screen
from isrf.core.config import EvaluationSettings
from isrf.evaluation.protocol import Result
from isrf.evaluation.results_document import metrics_document
from isrf.evaluation.terminal import BREAK, folded, rich_table
from isrf.evaluation.verdict import verdicts

SETTINGS = EvaluationSettings(sampled_negatives=4)
USUAL = ("isrf", "isrf-graph", "isrf-generator", "popularity", "itemknn", "seq-itemknn", "propagated-preference")
VARIANT = "isrf-nogroup@model.dropout=0.25@training.epochs=5@graphs.top_k=50"


def result(method: str, ranks: list[int], candidates: str = "all", task: str = "sequential") -> Result:
    users = np.arange(len(ranks))
    return Result(method, task, "test", candidates, users, np.array(ranks), 1234.5, 12.5)  # type: ignore[arg-type]


def document_of(*methods: str) -> dict:
    """Every method in both tasks and both rankings, the first one best; as wide as a real table."""
    results = [
        result(method, [0] * (40 - 2 * place) + [place + 1] * 2 * place, candidates, task)
        for task in ("sequential", "direct")
        for candidates in ("all", "sampled-101")
        for place, method in enumerate(methods)
    ]
    return metrics_document({}, results, SETTINGS)


def printed(document: dict, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(rich_table(document))
    return out.getvalue()


def rows_of(text: str) -> Iterator[list[str]]:
    """Cells of each line of a table."""
    for line in text.splitlines():
        if line.startswith(("│", "┃")):
            yield [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]


@pytest.mark.parametrize(
    ("width", "gone"),
    [(160, []), (100, []), (97, ["rank s"]), (89, ["fit s", "rank s"]), (80, ["HR@5", "NDCG@5", "fit s", "rank s"])],
)
def test_no_name_or_figure_is_broken(width: int, gone: list[str]) -> None:
    document = document_of(*USUAL)
    text = printed(document, width)
    assert "…" not in text and max(map(len, text.splitlines())) <= width
    columns = ["method", "HR@5", "NDCG@5", "HR@10", "NDCG@10", "95% interval", "fit s", "rank s"]
    expected = [name for name in columns if name not in gone]
    rows = list(rows_of(text))
    assert [row for row in rows if row[0] == "method"] == [expected] * 4
    assert [row[0] for row in rows if row[0] != "method"] == list(USUAL) * 4, "each in one line"
    told = f"left out, as the terminal is narrow: {', '.join(gone)}; the Markdown table"
    assert (told in " ".join(text.split())) == bool(gone)


def test_what_is_compared_stands_above_each_table() -> None:
    lines = [line.strip() for line in printed(document_of("isrf", "itemknn"), 80).splitlines()]
    assert [line for line in lines if "candidates:" in line] == [
        "sequential (next item), test, candidates: all",
        "direct (any order), test, candidates: all",
        "sequential (next item), test, candidates: sampled-101 (biased)",
        "direct (any order), test, candidates: sampled-101 (biased)",
    ]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_variant_is_broken_where_a_setting_begins(width: int) -> None:
    text = printed(metrics_document({}, [result(VARIANT, [0, 20]), result("isrf", [0, 1])], SETTINGS), width)
    parts = [row[0] for row in rows_of(text) if row[0] not in ("method", "isrf")]
    assert "".join(parts) == VARIANT
    assert all(part.startswith(("isrf-nogroup", "@", "=")) for part in parts)
    assert len(parts) == (1 if width == 200 else len(parts)) < 8


def test_folding_loses_no_letter() -> None:
    for name in (VARIANT, "isrf", "a==b", "@x=", ""):
        for width in (1, 8, 30, 100):
            lines = folded(name, width).split("\n")
            assert "".join(lines) == name
            assert all(len(line) <= max(width, *map(len, BREAK.split(name)), 0) for line in lines)


def styled(document: dict) -> str:
    """As a terminal gets it, with escape codes."""
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=True, color_system="standard").print(rich_table(document))
    return out.getvalue()


def test_only_full_ranking_marks_a_best() -> None:
    """Two equals are the best both, and neither is tied with a better one; sampled rankings have no best."""
    results = [result(m, r, c) for m, r in (("a", [0] * 9), ("b", [0] * 9), ("c", [0] * 8 + [1])) for c in ("all", "s")]
    document = metrics_document({}, results, SETTINGS)
    full, sampled = styled(document).split("candidates: s")
    bold = [line for line in full.splitlines() if line.startswith("│") and "\x1b[1m" in line]
    assert [re.sub(r"\x1b\[\d*m", "", line)[2] for line in bold] == ["a", "b"]
    assert not any("≈" in line for line in bold) and full.count("≈") == 1, "c alone is tied"
    rows = [line for line in sampled.splitlines() if line.startswith("│")]
    assert len(rows) == 3 and not any("≈" in line or "\x1b[1m" in line for line in rows)


def test_columns_of_a_pipe_are_those_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    assert screen.screen().width == 90
    for nothing in ("", "wide", "0"):
        monkeypatch.setenv("COLUMNS", nothing)
        assert screen.screen().width == screen.PIPED


def race(**ranks: list[int]) -> dict:
    """Full ranking of the named methods in one task."""
    return metrics_document({}, [result(name.replace("_", "-"), own) for name, own in ranks.items()], SETTINGS)


WELL, BADLY = [0] * 40, [9] * 40


@pytest.mark.parametrize(
    ("ranks", "starts", "ends"),
    [
        (
            {"isrf": BADLY, "isrf_graph": [5] * 40, "itemknn": WELL},
            "next item: itemknn is ahead of isrf by 0.7109 NDCG@10 (p = 0.0",
            "so a baseline wins on this log; `isrf recommend --method isrf-graph` uses isrf-graph, the higher of the two "
            "that it can use (0.3562, isrf 0.2891)",
        ),
        (
            {"isrf": WELL, "popularity": BADLY},
            "next item: isrf is ahead of popularity by 0.7109",
            "; `isrf recommend` uses it",
        ),
        (
            {"isrf": BADLY, "isrf_graph": WELL},
            "next item: isrf-graph is ahead of isrf by 0.7109",
            "; `isrf recommend --method isrf-graph` uses it",
        ),
        (
            {"isrf": [0] * 39 + [1], "itemknn": WELL},
            "next item: itemknn, a baseline, is ahead of isrf by 0.0092 NDCG@10, but the paired test does not tell the two "
            "apart (p = 1.0000)",
            "; `isrf recommend` uses isrf",
        ),
        (
            {"isrf_graph": WELL, "popularity": BADLY},
            "next item: isrf-graph is ahead of popularity by 0.7109",
            "; `isrf recommend --method isrf-graph` uses it",
        ),
        ({"ease": WELL, "itemknn": BADLY}, "next item: ease is ahead of itemknn by 0.7109", ")"),
    ],
)
def test_a_sentence_says_which_method_to_use(ranks: dict[str, list[int]], starts: str, ends: str) -> None:
    (line,) = verdicts(race(**ranks), 0.05)
    assert line.startswith(starts) and line.endswith(ends), line
    assert " ".join(line.split()) in " ".join(printed(race(**ranks), 100).split())


def test_one_method_has_nothing_to_be_told_from() -> None:
    assert verdicts(race(isrf=WELL), 0.05) == []


def test_what_was_not_tested_is_not_said_to_be_sure() -> None:
    (line,) = verdicts(race(isrf=BADLY, itemknn=WELL) | {"paired": []}, 0.05)
    assert "which no paired test was made of" in line and "wins" not in line


def test_the_other_task_is_asked_for_by_its_option() -> None:
    results = [result(m, r, task="direct") for m, r in (("isrf", WELL), ("isrf-graph", BADLY))]
    (line,) = verdicts(metrics_document({}, results, SETTINGS), 0.05)
    assert line.startswith("any order: isrf is") and line.endswith("; `isrf recommend --task dr` uses it")
