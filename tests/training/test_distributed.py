"""Two real processes train what one does, agree on everything, and write every file once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.commands import done, isrf, refused, stage_info
from tests.training.two_processes import deterministic

from isrf.training.batches import DirectBatch, SequentialBatch
from isrf.training.together import Together

ROOT = Path(__file__).parent.parent.parent
SCRIPT = Path(__file__).parent / "two_processes.py"


@pytest.fixture(scope="module")
def both(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Two processes after their work: folder of ``two_processes``, workspace, and what they said."""
    folder = tmp_path_factory.mktemp("both")
    ws = Path(shutil.copytree(untrained, folder / "ws"))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    ended = subprocess.run(
        [*launcher, str(SCRIPT), str(folder), str(ws)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return folder, ws, ended.stderr


def told(both: tuple[Path, Path, str], rank: int) -> dict[str, Any]:
    return json.loads((both[0] / f"told-{rank}.json").read_text())


def test_both_end_with_the_same_weights_those_of_one_process(both: tuple[Path, Path, str]) -> None:
    ranks = [load_file(both[0] / f"weights-{rank}.safetensors") for rank in (0, 1)]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])
    made = deterministic(None)
    one, begun = made.run().state_dict(), deterministic(None).generator.state_dict()
    for name, value in one.items():
        moved = (value - begun[name]).abs().max()
        assert (ranks[0][name] - value).abs().max() <= 0.02 * moved + 1e-6, name


def test_both_tell_the_losses_and_gradients_of_one_process(both: tuple[Path, Path, str]) -> None:
    made = deterministic(None)
    made.run()
    for rank in (0, 1):
        assert told(both, rank)["best"] == made.progress.best_epoch == 2
        log = told(both, rank)["log"]
        assert len(log) == len(made.progress.log) == 3, "early stopping is agreed on"
        for here, there in zip(log, made.progress.log, strict=True):
            figures = [f for f in here if f.startswith(("loss_sr", "loss_dr", "gradient_norm")) or f == "valid_ndcg10"]
            assert len(figures) == 9
            assert [here[f] for f in figures] == pytest.approx([there[f] for f in figures], rel=1e-3)


def test_what_one_process_meets_stops_both(both: tuple[Path, Path, str]) -> None:
    one, other = told(both, 0)["diverged"], told(both, 1)["diverged"]
    assert one == other and "DR loss is nan" in one


def test_the_command_trains_as_one_process_does_and_writes_once(both: tuple[Path, Path, str], finished: Path) -> None:
    _, ws, err = both
    info, one = stage_info(ws, "model"), stage_info(finished, "model")
    assert info["key"] == one["key"] and info["notes"]["processes"] == 2 and "processes" not in one["notes"]
    assert info["notes"]["valid_ndcg10"] == pytest.approx(one["notes"]["valid_ndcg10"], abs=0.1)
    assert set(info["files"]) - {"training.svg"} == set(one["files"])
    assert {p.name for p in (ws / "model").iterdir()} == {*info["files"], "stage.json"}
    for once in ("model: ", "next: "):
        assert len([line for line in err.splitlines() if line.startswith(once)]) == 1
    assert "nothing changed, kept" in done(isrf("train", ws)).err


def test_rows_are_dealt_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = deterministic(None)
    for kind in (SequentialBatch, DirectBatch):
        batch = next(b for b in made.schedule.batches(np.random.default_rng(0)) if isinstance(b, kind))
        parts = []
        for rank in range(3):
            together = Together()
            together.count, together.rank = 3, rank
            parts.append(together.share_of(batch))
        assert sum(share for _, share in parts) == pytest.approx(1.0)
        users = np.concatenate([part.users for part, _ in parts])
        assert sorted(users) == sorted(batch.users)
        assert all(part.mask.shape == (len(part.users), batch.mask.shape[1]) for part, _ in parts)
        one = type(batch)(*(value[:1] for value in vars(batch).values()))
        together = Together()
        together.count, together.rank = 2, 1
        assert together.share_of(one)[1] == 0


def test_other_commands_run_in_one_process(untrained: Path) -> None:
    several = {"WORLD_SIZE": "2", "RANK": "0"}
    refused(isrf("evaluate", untrained, env=several), "isrf evaluate", "one process", "isrf train")
