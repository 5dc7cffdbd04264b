"""The notebook is made from its script, runs from top to bottom, and shows what it shows."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from notebook import NOTEBOOK, SCRIPT, notebook_of, run


def test_the_notebook_is_that_of_the_script() -> None:
    kept, made = nbformat.read(NOTEBOOK, 4), notebook_of(SCRIPT.read_text(encoding="utf-8"))
    nbformat.validate(kept)
    assert [(c["cell_type"], c["source"]) for c in kept.cells] == [(c["cell_type"], c["source"]) for c in made.cells], (
        "make it anew: python examples/notebook.py"
    )
    shown = [out["data"] for cell in kept.cells for out in cell.get("outputs", ())]
    assert any("<svg" in data.get("image/svg+xml", "") for data in shown), "there is no picture in it"
    assert not any(out["output_type"] == "error" for cell in kept.cells for out in cell.get("outputs", ()))


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    made = run(notebook_of(SCRIPT.read_text(encoding="utf-8")), tmp_path)
    last = made.cells[-1]["outputs"][0]["data"]["text/plain"]
    assert "similar_item_id" in last and "tea" in last
    assert sum(bool(cell["outputs"]) for cell in made.cells if cell["cell_type"] == "code") >= 7
