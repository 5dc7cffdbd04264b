"""Serving is light: what is loaded to answer a question, and what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import isrf

NEVER = ("isrf.training", "isrf.data.readers", "isrf.reasoning.llm", "isrf.pipeline", "isrf.report", "isrf.evaluation")
"""Rooms that no question needs."""

ASKS = """
import json, sys
import isrf
light = sorted(sys.modules)
recommender = isrf.open(sys.argv[1])
recommender.recommend(["u1"], k=3, explain=True)
recommender.similar_items(["tea-1"], k=3)
print(json.dumps([light, sorted(sys.modules), recommender.method]))
"""
TYPES = """
import json, sys
from isrf.cli import main
try:
    sys.argv = ["isrf", "recommend", sys.argv[1], "--user", "u1"]
    main.main()
except SystemExit as end:
    print(json.dumps([[], sorted(sys.modules), end.code]), file=sys.stderr)
"""


@cache
def loaded(program: str, workspace: Path) -> tuple[list[str], list[str], object]:
    done = subprocess.run([sys.executable, "-c", program, str(workspace)], capture_output=True, text=True, check=True)
    light, after, told = json.loads((done.stderr if "stderr" in program else done.stdout).splitlines()[-1])
    return light, after, told


def of_rooms(modules: list[str], rooms: tuple[str, ...]) -> list[str]:
    return [name for name in modules if any(name == room or name.startswith(f"{room}.") for room in rooms)]


def test_import_isrf_loads_nothing_heavy(untrained: Path) -> None:
    light, _, _ = loaded(ASKS, untrained)
    assert [name for name in light if name.startswith("isrf")] == ["isrf"]
    assert not of_rooms(light, ("numpy", "polars", "torch", "pydantic", "typer"))


@pytest.mark.parametrize("program", [ASKS, TYPES], ids=["isrf.open", "isrf recommend"])
def test_a_question_loads_no_trainer_reader_or_client(program: str, untrained: Path) -> None:
    _, after, _ = loaded(program, untrained)
    assert "isrf.recommender.open" in after
    assert not of_rooms(after, (*NEVER, "accelerate", "sentence_transformers", "httpx2", "aiohttp"))


def test_interest_graphs_answer_without_a_network(untrained: Path) -> None:
    _, after, method = loaded(ASKS, untrained)
    assert method == "isrf-graph" and not of_rooms(after, ("torch", "transformers", "isrf.model"))


def test_a_generator_is_loaded_without_its_trainer(finished: Path) -> None:
    _, after, method = loaded(ASKS, finished)
    assert method == "isrf" and "isrf.model.inference" in after and not of_rooms(after, (*NEVER, "transformers"))


def test_opening_reads_every_record_and_proves_every_file_once(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for again is known: nothing of a workspace that is being read may change."""
    from isrf.core import tables
    from isrf.workspace import stage

    read: Counter[Path] = Counter()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *args: Any, **more: Any) -> Any:
            read[Path(path)] += 1
            return function(path, *args, **more)

        return call

    monkeypatch.setattr(stage, "read_record", counted(stage.read_record))
    monkeypatch.setattr(stage, "digest_of", counted(stage.digest_of))
    isrf.open(finished)
    assert len(read) > 12 and set(read.values()) == {1}, read.most_common(3)
    read.clear()
    monkeypatch.setattr("isrf.data.splits.storage.read_table", counted(tables.read_table))
    isrf.open(finished)
    tables_read = [finished / "dataset" / name for name in ("users.parquet", "items.parquet", "train.parquet")]
    assert all(read[path] == 2 for path in tables_read), "proven once, and read once"
