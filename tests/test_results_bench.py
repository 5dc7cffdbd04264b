"""Pages and charts of ``bench/results.py``: what stands on which page, and which rows of a bench are points of a chart."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from isrf.core.config import Settings


@pytest.fixture(scope="module")
def results() -> ModuleType:
    path = Path(__file__).parent.parent / "bench" / "results.py"
    spec = importlib.util.spec_from_file_location("results", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(method: str, score: float, task: str = "sequential", candidates: str = "all") -> dict[str, Any]:
    interval = [score - 0.01, score + 0.01]
    return {"method": method, "task": task, "candidates": candidates, "NDCG@10": score, "ndcg10_ci95": interval}


BENCH = {
    "results": [
        row("isrf", 0.5),
        row("isrf", 0.4, "direct"),
        row("isrf", 0.9, candidates="sampled-100"),
        row("ease", 0.1),
        row("isrf@graphs.tau=0.5", 0.45),
        row("isrf@graphs.tau=0.9", 0.35, "direct"),
        row("isrf@graphs.top_k=10", 0.48),
        row("isrf@graphs.top_k=10@graphs.tau=0.6", 0.2),
        row("isrf@model.group=none", 0.3),
    ]
}


def test_each_sweep_has_its_own_rows_and_the_usual_value(results: ModuleType) -> None:
    usual = Settings().graphs
    points = results.sweep_points("toys", BENCH, Settings())
    found = {(p["setting"], p["task"], p["value"], p["ndcg10"], p["default"]) for p in points}
    assert found == {
        ("graphs.tau", "sequential", usual.tau, 0.5, True),
        ("graphs.tau", "sequential", 0.5, 0.45, False),
        ("graphs.tau", "direct", usual.tau, 0.4, True),
        ("graphs.tau", "direct", 0.9, 0.35, False),
        ("graphs.top_k", "sequential", usual.top_k, 0.5, True),
        ("graphs.top_k", "sequential", 10, 0.48, False),
        ("graphs.top_k", "direct", usual.top_k, 0.4, True),
    }
    assert len(points) == len(found)
    assert {(p["low"], p["high"]) for p in points if p["value"] == 10} == {(0.48 - 0.01, 0.48 + 0.01)}


def test_the_page_shows_one_chart_a_setting_with_all_sources(results: ModuleType, tmp_path: Path) -> None:
    points = [p for name in ("beauty", "toys") for p in results.sweep_points(name, BENCH, Settings())]
    lines = results.draw_sweeps(points, tmp_path / "images")
    shown = [line for line in lines if line.startswith("![")]
    assert [line.split("(")[1].rstrip(")") for line in shown] == [
        "../images/sweep-graphs-tau.svg",
        "../images/sweep-graphs-top_k.svg",
    ]
    for file in (tmp_path / "images").iterdir():
        words = {element.text for element in ET.parse(file).iter() if element.text}
        assert {"beauty", "toys", "NDCG@10", "sequential recommendation", "direct recommendation"} <= words
    assert results.draw_sweeps([], tmp_path / "images") == []


SCORES = {"popularity": 0.1, "ease": 0.3, "sasrec": 0.2, "semantic-id": 0.35, "isrf-graph": 0.4, "isrf": 0.5}


def whole_row(method: str, score: float, task: str, candidates: str) -> dict[str, Any]:
    metrics = {"HR@5": score, "NDCG@5": score, "HR@10": score + 0.1}
    return row(method, score, task, candidates) | metrics | {"split": "test", "fit_seconds": 2.0, "rank_seconds": 1.0}


def whole_bench(**scores: float) -> dict[str, Any]:
    """A bench of both tasks, both kinds of candidates; isrf is tested against every other method."""
    found = SCORES | {name.replace("_", "-"): score for name, score in scores.items()}
    kinds = [(task, candidates) for candidates in ("all", "sampled-9") for task in ("sequential", "direct")]
    rows = [whole_row(method, score, *kind) for kind in kinds for method, score in found.items()]
    paired = [
        {
            "methods": ["isrf", method],
            "task": task,
            "split": "test",
            "ndcg10_difference": found["isrf"] - score,
            "ci95": [0.0, 0.2],
            "effect_size": 0.1,
            "p_value": 0.01,
            "p_holm": 0.02 if task == "sequential" else 0.2,
        }
        for task in ("sequential", "direct")
        for method, score in found.items()
        if method != "isrf"
    ]
    about = {"users": 3000, "items": 20, "interactions": 9000, "digest": "d" * 64}
    return {"results": rows, "paired": paired, "dataset": about, "notes": ["a note"]}


def test_the_first_page_has_a_verdict_and_five_rows_a_source_then_a_chart_then_limits(
    results: ModuleType, tmp_path: Path
) -> None:
    documents = {"beauty": whole_bench(isrf_nogroup=0.45), "toys": whole_bench()}
    times = [point for name, one in documents.items() for point in results.time_points(name, one)]
    about = {name: results.about_of(one) for name, one in documents.items()}
    page = results.front(["head"], documents, about, results.draw_times(times, tmp_path / "images"))
    assert re.findall("^## (.*)$", page, re.MULTILINE) == ["beauty", "toys", results.TIMES, results.LIMITS]
    for name in documents:
        section = page.split(f"## {name}\n")[1].split("\n## ")[0]
        assert re.findall("^\\| `(.*?)`", section, re.MULTILINE) == [
            "popularity",
            "ease",
            "semantic-id",
            "isrf-graph",
            "isrf",
        ]
        assert section.count("\n**") == 1 and f"](results/{name}.md)" in section
        assert (
            "**Next item: `isrf` is ahead of `ease`, the best baseline, by 0.2000 NDCG@10 (p = 0.0200) and ahead of "
            "`isrf-graph`, which needs no training, by 0.1000 NDCG@10 (p = 0.0200); any order: "
        ) in section
        assert "by 0.1000 NDCG@10 (not significant, p = 0.2000).**" in section
    assert (
        "| `ease` | the best baseline | 0.3000 (0.2900 to 0.3100) | 0.4000 | 0.3000 ≈ (0.2900 to 0.3100) | 0.4000 | 2.0 |"
        in page
    )
    assert "| `isrf` | the whole system | **0.5000** (0.4900 to 0.5100) |" in page
    assert "sampled-9" not in page
    assert (
        "`isrf` minus `isrf-nogroup`: beauty, next item, +0.0500 (+0.0000 to +0.2000, p = 0.0200); beauty, any" in page
    )
    assert page.count("toys, next item") == 0, "a source without that row has no figure of it"
    words = {element.text for element in ET.parse(tmp_path / "images" / "accuracy-time.svg").iter() if element.text}
    assert {"beauty", "toys", "NDCG@10", "isrf-nogroup", *SCORES} <= words


def test_a_method_that_is_behind_is_said_to_be_behind(results: ModuleType) -> None:
    assert "`isrf` is behind `sasrec`, the best baseline, by 0.1000 NDCG@10" in results.verdict(whole_bench(sasrec=0.6))
    assert results.verdict({"results": [], "paired": []}) == ""
    assert results.draw_times([], Path("nowhere")) == []


def test_the_page_of_a_source_has_sampled_ranking_last(results: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "emptied", lambda _: ["the graph emptied"])
    monkeypatch.setattr(results, "made", lambda _: ["seconds"])
    document = whole_bench()
    more = {results.SWEEPS_HEADING: results.full_ranking(document)}
    parts = results.parts_of(None, document, more, ["![chart](../images/a.svg)"])
    page = results.details("beauty", results.about_of(document), parts)
    sections = dict(zip(re.findall("^## (.*)$", page, re.MULTILINE), page.split("\n## ")[1:], strict=True))
    assert list(sections) == [
        results.ALL_METHODS,
        results.GROUP_HEADING,
        results.SWEEPS_HEADING,
        results.MADE,
        results.SAMPLED,
    ], "what was not made has no heading"
    assert "sampled-9" not in page.split(f"## {results.SAMPLED}")[0]
    assert sections[results.SAMPLED].count("sampled-9 (biased)") == 2 * len(SCORES)
    assert "compare methods by full ranking" in sections[results.SAMPLED]
    assert "Kendall's tau" in sections[results.SAMPLED] and "a note" not in sections[results.SAMPLED]
    assert "a note" in sections[results.ALL_METHODS] and "isrf - ease" in sections[results.ALL_METHODS]
    assert "![chart](../images/a.svg)" in sections[results.SWEEPS_HEADING]


def test_the_pages_in_docs_have_the_structure_that_is_written(results: ModuleType) -> None:
    page = results.PAGE.read_text(encoding="utf-8")
    *sources, times, limits = re.findall("^## (.*)$", page, re.MULTILINE)
    assert (times, limits) == (results.TIMES, results.LIMITS)
    assert sorted(f"{name}.md" for name in sources) == sorted(file.name for file in results.FOLDER.iterdir())
    for name in sources:
        section = page.split(f"## {name}\n")[1].split("\n## ")[0]
        details = (results.FOLDER / f"{name}.md").read_text(encoding="utf-8")
        assert tuple(re.findall("^## (.*)$", details, re.MULTILINE)) == results.HEADINGS
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        assert len(rows) == 5
        for method, _, *cells in rows:
            for task, (cell, hits) in zip(("sequential", "direct"), (cells[:2], cells[2:4]), strict=True):
                start = f"| {method.strip('| `')} | {task} | test | all |"
                score, interval = cell.removesuffix(")").split(" (")
                (own,) = [line for line in details.split("## ")[1].splitlines() if line.startswith(start)]
                assert own.split(" | ")[6:9] == [hits, score, interval], start
