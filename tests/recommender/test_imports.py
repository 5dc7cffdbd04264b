"""Serving is light: what is loaded to answer a question, and what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

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
    assert method == "isrf" and "isrf.model.inference" in after and not of_rooms(after, NEVER)
