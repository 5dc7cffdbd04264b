"""TensorBoard gets what the log has; a tracker that is not installed is one line; nothing learned depends on either."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.commands import artifacts, done, isrf, settings

from isrf.core.errors import IsrfError
from isrf.training import tracking
from isrf.training.tracking import named, tracked


def events(folder: Path) -> EventAccumulator:
    read = EventAccumulator(str(folder))
    read.Reload()
    return read


def test_tensorboard_has_every_figure_of_the_log(untrained: Path, finished: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    done(isrf("train", ws, *settings("training.tracking=tensorboard")))
    assert artifacts(ws) == artifacts(finished) and not (finished / "tracking").exists()
    (run,) = (ws / "tracking" / "tensorboard").iterdir()
    read = events(run)
    log = json.loads((ws / "model" / "training_log.json").read_text())["log"]
    assert set(read.Tags()["scalars"]) == {named(figure) for figure in log[0]}
    for figure in log[0]:
        found = read.Scalars(named(figure))
        assert [event.step for event in found] == [entry["epoch"] for entry in log]
        assert [event.value for event in found] == pytest.approx([entry[figure] for entry in log], rel=1e-6)
    (text,) = read.Tags()["tensors"]
    assert b"| training.learning_rate |" in read.Tensors(text)[0].tensor_proto.string_val[0]


def test_a_training_that_goes_on_goes_on_in_the_same_run(tmp_path: Path) -> None:
    for epoch in (1, 2):
        with tracked("tensorboard", tmp_path, "run", {}) as told:
            told({"epoch": epoch, "loss_sr": 1.0 / epoch})
    found = events(tmp_path / "tensorboard" / "run").Scalars("loss/sr")
    assert [(event.step, event.value) for event in found] == [(1, 1.0), (2, 0.5)]


def test_figures_are_grouped_by_what_they_measure() -> None:
    names = ["loss_sr", "gradient_norm_dr_group", "alignment_norm_sr_individual", "valid_ndcg10"]
    assert [named(n) for n in names] == [
        "loss/sr",
        "gradient_norm/dr_group",
        "alignment_norm/sr_individual",
        "valid_ndcg10",
    ]


@pytest.mark.parametrize(("tracker", "extra"), [("tensorboard", "tracking"), ("mlflow", "mlflow")])
def test_a_tracker_that_is_not_installed(
    tracker: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(
        IsrfError, match=rf"training\.tracking={tracker} needs .*pip install 'isrf\[{extra}\]'"
    ) as caught:
        tracked(tracker, tmp_path, "run", {}).__enter__()
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_without_a_tracker_nothing_is_written(tmp_path: Path) -> None:
    with tracked("none", tmp_path, "run", {}) as told:
        told({"epoch": 1})
    assert not list(tmp_path.iterdir())


FAULTS = {
    "refuses": (
        "import sys; sys.stdin.readline(); sys.exit('ConnectionError: no server at that address')",
        "no server",
    ),
    "is killed": ("import os; os.abort()", "ended with code -6"),
    "dies later": ("import sys\nfor n in range(3): sys.stdin.readline()\nsys.exit('database is locked')", "is locked"),
    "hangs": ("import time; time.sleep(60)", "did not take its figures within 0.5 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_becomes_of_a_tracker_is_a_warning(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, expected = FAULTS[fault]
    (tmp_path / "tracker_process.py").write_text(code)
    monkeypatch.setattr(tracking, "__file__", str(tmp_path / "tracking.py"))
    # one that hangs is waited for once, at the end
    monkeypatch.setattr(tracking, "LONGEST_S", 0.5 if fault == "hangs" else 20.0)
    with tracked("tensorboard", tmp_path, "run", {}) as told:
        for epoch in range(1, 1000):
            told({"epoch": epoch, "loss_sr": 0.123456789, "padding": 1.0})
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("WARNING: training.tracking=tensorboard: ")
    assert expected in lines[0] or "takes no more figures" in lines[0]


def test_a_tracker_that_cannot_write_does_not_stop_the_training(untrained: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    (ws / "tracking").write_text("a file in the way")
    outcome = done(isrf("train", ws, *settings("training.tracking=tensorboard")))
    assert "WARNING: training.tracking=tensorboard: " in outcome.err and (ws / "model" / "stage.json").exists()
