"""A change of what a stage computes changes its key: a small run is held against recorded figures.

Where a figure is another than recorded, either the change was not meant, or the stage's version in
``workspace/formulas.py`` has to be raised; ``pytest tests/test_formulas.py --record-formulas`` then writes the new figures
down, and refuses to for a stage whose version is the recorded one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isrf.data.queries import TASKS, Queries
from isrf.data.storage import read_split, read_training, read_typed_columns
from isrf.graphs.build import load_graphs
from isrf.ranking.storage import load_components, load_graph_components
from isrf.reasoning.storage import read_reasoned
from isrf.semantics.features import load_semantics
from isrf.workspace.formulas import FORMULAS
from isrf.workspace.layout import GRAPHS_FILE, METRICS_FILE, SEMANTICS_FILE
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

RECORDED = Path(__file__).with_name("formulas.json")
FIGURES = 24
"""Of each array so many entries are kept, spread over it."""
CLOSE = 0.02
"""Relative difference that processors may make: some compute in bfloat16."""


def spread(values: np.ndarray) -> list[float]:
    """Entries from all over an array, and its mean size."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    places = np.linspace(0, len(flat) - 1, FIGURES).astype(int)
    return [float(np.abs(flat).mean()), *flat[places].round(5).tolist()]


def text_digest(*texts: object) -> str:
    return hashlib.sha256(json.dumps(texts, default=str).encode()).hexdigest()[:16]


def dataset(workspace: Workspace) -> dict[str, Any]:
    split, columns = read_split(workspace), read_typed_columns(workspace)
    assert columns is not None
    return {
        "ids": text_digest(split.user_ids, split.training.catalogue.ids, split.training.catalogue.texts),
        "columns": text_digest(columns.table.schema, columns.table.rows(), columns.sources),
        "split": text_digest(split.training.histories.items.tolist(), split.valid.tolist(), split.test.tolist()),
    }


def reasoning(workspace: Workspace) -> dict[str, Any]:
    items, users = read_reasoned(workspace)
    return {"items": text_digest(items.rows()), "users": text_digest(users.rows())}


def semantics(workspace: Workspace) -> dict[str, Any]:
    made = load_semantics(workspace.stage("semantics").file(SEMANTICS_FILE))
    # cosines: the sign of a principal component is anybody's
    return {"items": spread(made.items @ made.items.T), "users": spread(made.users @ made.users.T)}


def graphs(workspace: Workspace) -> dict[str, Any]:
    made = load_graphs(workspace.stage("graphs").file(GRAPHS_FILE))
    return {
        "links": spread(made.users.links.toarray()),
        "items": spread(made.item_nodes @ made.item_nodes.T),
        "groups": spread(made.groups.weights),
    }


def ranking(workspace: Workspace) -> dict[str, Any]:
    components = load_graph_components(workspace, saved_settings(workspace))
    histories = read_training(workspace).histories
    users = np.arange(8)
    found: dict[str, Any] = {}
    for task in TASKS:
        signals = components.signals(Queries(users, histories.take(users), task))
        found |= {f"{task} {name}": spread(signal) for name, signal in signals.items()}
    return found


def model(workspace: Workspace) -> dict[str, Any]:
    components = load_components(workspace, saved_settings(workspace))
    histories = read_training(workspace).histories
    users = np.arange(8)
    queries = Queries(users, histories.take(users), "sequential")
    log = json.loads((workspace.stage("model").folder / "training_log.json").read_text())["log"]
    losses = [value for entry in log for name, value in sorted(entry.items()) if "loss" in name]
    return {"scores": spread(components.signals(queries)["generator"]), "losses": losses}


def evaluation(workspace: Workspace) -> dict[str, Any]:
    document = json.loads(workspace.stage("evaluation").file(METRICS_FILE).read_text())
    rows = [row for row in document["results"] if row["method"] in ("popularity", "itemknn", "ease", "seq-itemknn")]
    return {f"{row['method']} {row['task']} {row['split']} {row['candidates']}": row["NDCG@10"] for row in rows}


STAGES: dict[str, Callable[[Workspace], dict[str, Any]]] = {
    "dataset": dataset,
    "reasoning": reasoning,
    "semantics": semantics,
    "graphs": graphs,
    "ranking": ranking,
    "model": model,
    "evaluation": evaluation,
}


def test_every_stage_has_a_version_and_figures() -> None:
    assert set(STAGES) == set(FORMULAS) == set(json.loads(RECORDED.read_text(encoding="utf-8")))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_computes_what_its_version_says(stage: str, finished: Path, request: pytest.FixtureRequest) -> None:
    now = STAGES[stage](Workspace(finished))
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    before = recorded.get(stage, {"version": 0, "figures": {}})
    alike = same(before["figures"], now)
    if request.config.getoption("--record-formulas"):
        assert alike or before["version"] != FORMULAS[stage], (
            f"raise the version of {stage} in workspace/formulas.py first"
        )
        recorded[stage] = {"version": FORMULAS[stage], "figures": now}
        RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
        return
    assert before["version"] == FORMULAS[stage], "its version was raised: record the new figures with --record-formulas"
    assert alike, (
        f"{stage} computes something else than version {FORMULAS[stage]} did: raise its version in workspace/formulas.py, and "
        "record the new figures with --record-formulas"
    )


def same(before: Any, now: Any) -> bool:
    """Equal, but for what processors make of numbers."""
    if isinstance(before, dict) and isinstance(now, dict):
        return before.keys() == now.keys() and all(same(before[name], now[name]) for name in now)
    if isinstance(before, list) and isinstance(now, list):
        size = max((abs(value) for value in before), default=0.0)
        return len(before) == len(now) and bool(np.allclose(before, now, rtol=CLOSE, atol=CLOSE * size))
    if isinstance(before, float) and isinstance(now, float):
        return bool(np.isclose(before, now, rtol=CLOSE))
    return bool(before == now)


def test_another_version_is_another_key(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made by an older formula is made anew by the next run, and refused until then."""
    from isrf.workspace.stage_key import key_of

    before = key_of("graphs", {"a": "b"}, {"c": 1})
    assert before == key_of("semantics", {"a": "b"}, {"c": 1})
    monkeypatch.setitem(FORMULAS, "graphs", 2)
    assert key_of("graphs", {"a": "b"}, {"c": 1}) != before == key_of("semantics", {"a": "b"}, {"c": 1})


def test_a_changed_formula_is_told_from_noise() -> None:
    figures = {"x": [1.0, -0.5, 0.0], "y": "digest", "z": 0.25}
    assert same(figures, {"x": [1.001, -0.501, 0.001], "y": "digest", "z": 0.2501})
    for other in ({"x": [1.0, -0.4, 0.0]}, {"y": "other"}, {"z": 0.3}, {"x": [1.0, -0.5]}):
        assert not same(figures, figures | other)
