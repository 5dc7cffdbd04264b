"""Weights go with what they were fitted with, trainings with how they began, and remedies with the command that fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.commands import SMALL, done, isrf, refused, stage_info
from tests.training.test_divergence import nan_in_epoch

from isrf.core.errors import IsrfError
from isrf.pipeline import token_generator_start, variants
from isrf.pipeline.token_generator_start import start_of
from isrf.pipeline.variants import slower, variant_settings
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

pytestmark = pytest.mark.usefixtures("shell")

WRITER = ("model.identifiers=semantic", "training.epochs=1", "ranking.beams=12")


@pytest.fixture(scope="module")
def searched(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a generator that is searched with 12 beams; not to be changed."""
    workspace = Path(shutil.copytree(untrained, tmp_path_factory.mktemp("searched") / "ws"))
    done(isrf("train", workspace, *(part for change in WRITER for part in ("--set", change))))
    return workspace


def test_weights_are_used_with_the_beams_that_they_were_fitted_with(searched: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(searched, tmp_path / "ws"))
    ask = ("--user", "u1", "--top", "5", "--format", "json")
    before = json.loads(done(isrf("recommend", workspace, *ask)).out)
    done(isrf("graph", workspace, "--set", "ranking.beams=2", "--set", "ranking.fit_users=5"))
    outcome = done(isrf("recommend", workspace, *ask))
    assert json.loads(outcome.out) == before
    told = " ".join(outcome.err.split())
    assert "WARNING: the weights of isrf were fitted with ranking.beams=12, ranking.fit_users=8000" in told
    assert "keeps beams=2, fit_users=5" in told and f"`isrf train {workspace}`" in told
    done(isrf("train", workspace))
    assert stage_info(workspace, "model")["settings"]["ranking"]["beams"] == 2
    assert "WARNING" not in done(isrf("recommend", workspace, *ask)).err


def test_beams_are_nothing_to_a_generator_that_is_not_searched(workspace: Path) -> None:
    done(isrf("graph", workspace, "--set", "ranking.beams=2"))
    assert "WARNING" not in done(isrf("recommend", workspace, "--user", "u1")).err


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path | None]]:
    """A hub that is in reach where "folder" names one."""
    found: dict[str, Path | None] = {"folder": None}
    monkeypatch.setattr(token_generator_start, "find_backbone", lambda name: found["folder"])
    yield found


def test_a_training_goes_on_as_it_began(
    hub: dict[str, Path | None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun, folder = tmp_path / ".begun.json", tmp_path / "t5"
    assert start_of("some/t5", begun, going_on=False) is None
    hub["folder"] = folder
    assert start_of("some/t5", begun, going_on=True) is None, "its weights are random, whatever can be reached now"
    told = " ".join(capsys.readouterr().err.split())
    assert "can be reached now, but this training began without it" in told and "delete the folder" in told
    assert start_of("some/t5", begun, going_on=False) == folder, "one that begins now begins from it"
    hub["folder"] = None
    with pytest.raises(IsrfError, match="began from it, and now it is out of reach"):
        start_of("some/t5", begun, going_on=True)


@pytest.mark.parametrize("content", ["", "{", "[]", '"yes"'])
def test_a_damaged_note_of_how_a_training_began_is_one_line(
    content: str, hub: dict[str, Path | None], tmp_path: Path
) -> None:
    begun = tmp_path / ".begun.json"
    begun.write_text(content)
    with pytest.raises(IsrfError, match="to begin anew"):
        start_of("some/t5", begun, going_on=True)


def test_a_resumed_training_says_in_every_table_that_it_began_without_its_backbone(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Path(shutil.copytree(untrained, tmp_path / "ws"))
    far = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    chosen = ("model.identifiers=semantic", "model.backbone=some/t5", "training.epochs=2", "training.patience=2")
    command = ["train", workspace, *(part for change in chosen for part in ("--set", change))]
    stopped = isrf(*command, env=far, obstacles=[nan_in_epoch(2)])
    refused(stopped, "epoch 2")
    # now the hub answers, with a checkpoint of other sizes than the random weights have
    reached = partial(_reached, str(tmp_path / "t5"))
    outcome = done(isrf(*command, "--set", "training.learning_rate=0.001", obstacles=[reached]))
    assert "training resumes after epoch 1" in outcome.err and "began without it" in outcome.err
    assert "some/t5 was out of reach" in stage_info(workspace, "model")["notes"]["backbone"]
    assert "WARNING: model.backbone=some/t5 was out of reach" in done(isrf("train", workspace)).err


def _reached(folder: str) -> None:
    token_generator_start.find_backbone = lambda name: Path(folder)  # type: ignore[assignment]


def test_a_bench_tells_how_a_variant_that_diverged_is_trained_in_a_bench(untrained: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(untrained, tmp_path / "ws"))
    methods = "popularity,isrf-nogroup@training.epochs=1"
    outcome = done(isrf("bench", workspace, "--methods", methods, "--seeds", "3", obstacles=[nan_in_epoch(1)]))
    (line,) = [line for line in outcome.err.splitlines() if "is left out of the table" in line]
    assert "the same command" not in line and "--set" not in line
    assert "name isrf-nogroup@training.epochs=1@training.learning_rate=0.0015 among --methods" in line
    again = done(
        isrf(
            "bench",
            workspace,
            "--methods",
            "isrf-nogroup@training.epochs=1@training.learning_rate=0.0015",
            "--seeds",
            "3",
        )
    )
    assert "left out" not in again.err


def test_the_remedy_of_a_method_is_one_of_its_own(untrained: Path) -> None:
    workspace = Workspace(untrained)

    def told(method: str, seed: int | None = None) -> str:
        return slower(workspace, method, variant_settings(workspace, method, seed), 0.001)

    for seed in (None, 5):
        assert told("isrf", seed).startswith(f"`isrf train {untrained} --set training.learning_rate=0.001`")
    assert "name tiger@training.learning_rate=0.001 among" in told("tiger")
    changed = "isrf@training.learning_rate=0.1@graphs.tau=0.5"
    assert "name isrf@graphs.tau=0.5@training.learning_rate=0.001 among" in told(changed)
    assert saved_settings(workspace).training.seed == 0 and variants.RATE == "training.learning_rate" and SMALL
