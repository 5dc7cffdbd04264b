"""Charts: every figure of the log is in them, equal figures give equal bytes, and nothing is lost without the extra."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.commands import done, isrf, stage_info, with_charts

from isrf.report import charts
from isrf.report.charts import missing, training_chart

PANELS = {
    "SR: loss",
    "DR: loss",
    "alignment: loss",
    "SR: gradient of the parameters",
    "DR: gradient of the parameters",
    "SR: what alignment asks of interests",
    "DR: what alignment asks of interests",
    "validation, next item",
}


def log(epochs: int = 3, tasks: tuple[str, ...] = ("sr", "dr")) -> list[dict[str, float]]:
    made = []
    for epoch in range(1, epochs + 1):
        entry = {"epoch": epoch, "loss_alignment": 2.0 / epoch, "valid_ndcg10": 0.1 * epoch, "seconds": 3.25}
        for task in tasks:
            entry |= {f"loss_{task}": 5.0 / epoch, f"gradient_norm_{task}": 1.0}
            for side, norm in (("individual", 0.5), ("group", 0.25)):
                entry |= {f"gradient_norm_{task}_{side}": norm, f"alignment_norm_{task}_{side}": norm / 10}
        made.append(entry)
    return made


def words(path: Path) -> set[str]:
    return {element.text for element in ET.parse(path).iter() if element.text}


def marks(path: Path) -> int:
    """Points drawn."""
    return len(re.findall(r'aria-roledescription="point"', path.read_text()))


def test_a_panel_for_each_loss_and_gradient_and_for_validation(tmp_path: Path) -> None:
    training_chart(log(), 2, tmp_path / "a.svg")
    assert words(tmp_path / "a.svg") >= PANELS | {"individual", "group", "epoch", "NDCG@10", "norm"}
    # 3 losses and validation of one line, 2 gradients of three lines, 2 pulls of two lines; 3 epochs each
    assert marks(tmp_path / "a.svg") == 3 * (4 * 1 + 2 * 3 + 2 * 2)


def test_another_task_gets_panels_of_its_own(tmp_path: Path) -> None:
    training_chart(log(tasks=("sr", "dr", "xx")), 1, tmp_path / "a.svg")
    assert words(tmp_path / "a.svg") >= {"XX: loss", "XX: gradient of the parameters"}


def test_zero_is_left_out_where_the_scale_has_none(tmp_path: Path) -> None:
    figures = log()
    for entry in figures:
        entry["alignment_norm_dr_individual"] = 0.0
    training_chart(figures, 2, tmp_path / "a.svg")
    training_chart(log(), 2, tmp_path / "b.svg")
    assert marks(tmp_path / "a.svg") == marks(tmp_path / "b.svg") - 3


def test_equal_figures_give_equal_bytes_whatever_they_took(tmp_path: Path) -> None:
    training_chart(log(), 2, tmp_path / "a.svg")
    slower = [entry | {"seconds": 99.0} for entry in log()]
    training_chart(slower, 2, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    training_chart(log(), 1, tmp_path / "c.svg")
    assert (tmp_path / "c.svg").read_bytes() != (tmp_path / "a.svg").read_bytes()


def test_one_epoch_can_be_drawn(tmp_path: Path) -> None:
    training_chart(log(1), 1, tmp_path / "a.svg")
    assert words(tmp_path / "a.svg") >= PANELS


@pytest.mark.parametrize("absent", ["altair", "vl_convert"])
def test_what_is_missing_is_said(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing() is None
    monkeypatch.setattr(charts, "find_spec", lambda name: None if name == absent else object())
    assert "pip install 'isrf[report]'" in str(missing())


def test_training_draws_its_chart_or_says_why_not(untrained: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    outcome = done(isrf("train", ws, obstacles=[with_charts]))
    assert "training.svg" in stage_info(ws, "model")["files"] and "isrf[report]" not in outcome.err
    assert words(ws / "model" / "training.svg") >= PANELS
    (ws / "model" / "stage.json").unlink()
    outcome = done(isrf("train", ws))
    assert "training.svg" not in stage_info(ws, "model")["files"]
    assert [line for line in outcome.err.splitlines() if "no training.svg" in line and "isrf[report]" in line]
