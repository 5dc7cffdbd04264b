"""``bench/baselines.py``: what becomes of RecTools' lists, and that who cannot run is left out with the reason."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isrf.data.histories import Histories
from isrf.data.queries import Queries


@pytest.fixture(scope="module")
def baselines() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
    try:
        return importlib.import_module("baselines")
    finally:
        sys.path.pop(0)


def test_a_list_becomes_scores_that_rank_as_it_does(baselines: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people, of whom the second gets a shorter list; what is not listed ties behind all that is."""
    asked: dict[str, Any] = {}

    def recommend(people: np.ndarray, dataset: object, **how: object) -> dict[str, np.ndarray]:
        asked.update(how, people=people.tolist(), dataset=dataset)
        return {
            "user_id": np.array([0, 0, 0, 1]),
            "item_id": np.array([4, 2, 5, 0]),
            "rank": np.array([1, 2, 3, 1]),
        }

    method = baselines.RecTools(epochs=1)
    method._n_items, method._model = 6, SimpleNamespace(recommend=recommend)
    monkeypatch.setattr(baselines.RecTools, "dataset", staticmethod(lambda people, histories: histories.items.tolist()))
    queries = Queries(np.array([7, 9]), Histories.of([[1, 3], [2]]), "sequential")
    scores = method.score(queries)
    assert asked["people"] == [0, 1] and asked["dataset"] == [1, 3, 2] and asked["filter_viewed"] is True
    assert scores.shape == (2, 6) and scores.dtype == np.float32
    assert np.argsort(-scores[0], kind="stable")[:3].tolist() == [4, 2, 5] and int(scores[1].argmax()) == 0
    assert (scores[0, [0, 1, 3]] == 0).all() and scores[0, 5] > 0 and np.count_nonzero(scores[1]) == 1


def test_without_rectools_the_table_says_how_to_get_it(
    baselines: ModuleType, untrained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)  # type: ignore[arg-type]
    baselines.main([str(untrained), "--methods", "rectools-esasrec"])
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| rectools-esasrec"))
    assert "left out: RecTools: " in row and "top of bench/baselines.py" in row
