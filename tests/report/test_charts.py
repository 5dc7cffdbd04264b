"""Charts: every figure of the log is in them, equal figures give equal bytes, and nothing is lost without the extra."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.commands import done, isrf, stage_info, with_charts

from isrf.report import chart_process
from isrf.report.chart_process import CannotDraw, Renderer, missing
from isrf.report.charts import training_chart
from isrf.report.plots import lines

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
    monkeypatch.setattr(chart_process, "find_spec", lambda name: None if name == absent else object())
    assert "pip install 'isrf[report]'" in str(missing())


def test_training_draws_its_chart_or_says_why_not(untrained: Path, tmp_path: Path) -> None:
    """After the stage is published: the picture is none of its files, and cannot unmake it."""
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    outcome = done(isrf("train", ws, "--set", "training.epochs=1", obstacles=[with_charts, few_addresses]))
    assert (ws / "model" / "stage.json").exists() and not (ws / "model" / "training.svg").exists()
    (line,) = [line for line in outcome.err.splitlines() if "training.svg" in line]
    assert "WARNING" in line and "left out: the renderer ended with SIG" in line and "ulimit -v" in line
    done(isrf("train", ws, obstacles=[with_charts]))
    assert "training.svg" not in stage_info(ws, "model")["files"]
    assert words(ws / "model" / "training.svg") >= PANELS
    (ws / "model" / "stage.json").unlink()
    outcome = done(isrf("train", ws))
    assert [line for line in outcome.err.splitlines() if "no training.svg" in line and "isrf[report]" in line]


def few_addresses(more: int = 4 << 30) -> None:
    """So much more address space than is in use, as under ``ulimit -v``: the JavaScript engine wants many times that."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.getrlimit(resource.RLIMIT_AS)[1]))


@pytest.fixture
def limited() -> Iterator[Renderer]:
    """A renderer that is started where addresses are few."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    few_addresses(2 << 30)
    renderer = Renderer()
    yield renderer
    resource.setrlimit(resource.RLIMIT_AS, before)
    renderer.close()


SPEC = {"mark": "point", "data": {"values": [{"a": 1}]}, "encoding": {"x": {"field": "a", "type": "quantitative"}}}


def test_a_renderer_that_the_system_ends_takes_nothing_with_it(limited: Renderer) -> None:
    for _ in range(2):
        with pytest.raises(CannotDraw, match=r"ended with SIG.*reserves tens of GB.*\(ulimit -v\)"):
            limited.svg(SPEC)


def test_one_chart_that_cannot_be_drawn_does_not_stop_the_others() -> None:
    renderer = Renderer()
    try:
        with pytest.raises(CannotDraw):
            renderer.svg({"mark": 5, "data": "nothing of the kind"})
        assert renderer.svg(SPEC) == renderer.svg(SPEC) and "<svg" in renderer.svg(SPEC)
    finally:
        renderer.close()


def test_a_renderer_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_process, "LONGEST_S", 0.2)
    renderer = Renderer()
    monkeypatch.setattr(renderer, "_started", lambda: subprocess.Popen(["sleep", "60"], stdin=-1, stdout=-1))
    with pytest.raises(CannotDraw, match="took longer than"):
        renderer.svg(SPEC)
    with pytest.raises(CannotDraw, match="took longer than"):
        renderer.svg(SPEC)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["sleep", "60"], "took longer than"),
        (["sh", "-c", "exec >&-; sleep 60"], "stopped answering"),
        (["sh", "-c", "echo nothing; sleep 60"], "something else than a chart"),
    ],
    ids=["reads nothing", "closes its output", "answers nonsense"],
)
def test_a_renderer_is_waited_for_no_longer_whatever_it_does(
    command: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A specification that no pipe holds is written under the same limit as the answer is read."""
    monkeypatch.setattr(chart_process, "LONGEST_S", 0.3)
    started = subprocess.Popen
    monkeypatch.setattr(chart_process.subprocess, "Popen", lambda _, **more: started(command, **more))
    large = {**SPEC, "data": {"values": [{"a": n} for n in range(60_000)]}}
    renderer = Renderer()
    with pytest.raises(CannotDraw, match=told):
        renderer.svg(large)


def test_a_report_whose_charts_cannot_be_drawn_says_so_in_their_place(
    limited: Renderer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chart_process, "RENDERER", limited)
    monkeypatch.setattr(chart_process, "_TOLD", set())
    rows = [{"x": n, "y": n, "series": "a"} for n in range(3)]
    found = [lines(rows, name, "label & more", "x", "y") for name in ("one", "two")]
    assert all(element.startswith("<p>label &amp; more: this chart could not be drawn") for element in found)
    assert capsys.readouterr().err.count("WARNING") == 1
