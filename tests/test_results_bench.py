"""Charts of the sweeps in ``bench/results.py``: which rows of a bench are points of which sweep."""

from __future__ import annotations

import importlib.util
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
        "images/sweep-graphs-tau.svg",
        "images/sweep-graphs-top_k.svg",
    ]
    for file in (tmp_path / "images").iterdir():
        words = {element.text for element in ET.parse(file).iter() if element.text}
        assert {"beauty", "toys", "NDCG@10", "sequential recommendation", "direct recommendation"} <= words
    assert results.draw_sweeps([], tmp_path / "images") == []
