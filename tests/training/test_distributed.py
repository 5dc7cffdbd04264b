"""Two real processes train what one does, agree on everything, and write every file once."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.commands import Obstacle, Running, done, isrf, refused, stage_info
from tests.training import two_processes
from tests.training.two_processes import deterministic, in_float32

from isrf.training.batches import Batch, DirectBatch, SequentialBatch
from isrf.training.process_group import ProcessGroup

ROOT = Path(__file__).parent.parent.parent
SCRIPT = Path(__file__).parent / "two_processes.py"


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared with other processes is computed in float32 as they do (``in_float32``)."""
    monkeypatch.setattr("isrf.model.inference.fast_bfloat16", lambda: False)


def launched(rank: int, processes: int, port: int) -> dict[str, str]:
    """Variables with which a launcher starts each of several processes."""
    together = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return together | {"RANK": str(rank), "LOCAL_RANK": str(rank)}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def forked(folder: Path, ws: Path) -> str:
    """``two_processes`` in two forks of a process that has imported the libraries; what they said."""
    port = free_port()
    work = partial(two_processes.work, folder)
    running = [Running(["train", ws], launched(rank, 2, port), [work]) for rank in (0, 1)]
    try:
        return "".join(done(process.end()).err for process in running)
    finally:
        for process in running:  # one that waits for another that failed
            process.process.kill()


def torchrun(folder: Path, ws: Path) -> str:
    """The same started by torchrun, each from nothing."""
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
    return ended.stderr


@pytest.fixture(scope="module", params=[forked, pytest.param(torchrun, marks=pytest.mark.slow)])
def both(
    request: pytest.FixtureRequest, untrained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, str]:
    """Two processes after their work: folder of ``two_processes``, workspace, and what they said.

    The launcher itself, whose processes each import the libraries anew, is in the slow tier.
    """
    folder = tmp_path_factory.mktemp("both")
    ws = Path(shutil.copytree(untrained, folder / "ws"))
    return folder, ws, request.param(folder, ws)


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


def test_the_command_writes_once(both: tuple[Path, Path, str], finished: Path) -> None:
    _, ws, err = both
    info, one = stage_info(ws, "model"), stage_info(finished, "model")
    assert info["key"] == one["key"] and info["notes"]["processes"] == 2 and "processes" not in one["notes"]
    assert set(info["files"]) == set(one["files"])
    assert {p.name for p in (ws / "model").iterdir()} - {"training.svg"} == {*info["files"], "stage.json"}
    for once in ("model: ", "next: "):
        assert len([line for line in err.splitlines() if line.startswith(once)]) == 1
    assert "nothing changed, kept" in done(isrf("train", ws)).err


WITHOUT_CHANCE = {"ISRF_TRAINING__NEGATIVES": "0", "ISRF_TRAINING__ALIGNMENT": "0", "ISRF_MODEL__DROPOUT": "0"}
"""Settings with which nothing is drawn in a step, and nothing compares the people of a batch; see ``no_dropout``."""


def no_dropout() -> None:
    """Of any part, that of the item embeddings, which no setting turns off, too."""
    torch.nn.Dropout.forward = lambda self, values: values  # type: ignore[method-assign]


def not_added_up() -> None:
    """Every process goes by its own gradient."""
    ProcessGroup.add_up = lambda self, parameters, values: values  # type: ignore[method-assign]


def the_same_half() -> None:
    """Every process works on the rows of the main one."""
    original = ProcessGroup.share_of

    def share_of(self: ProcessGroup, batch: Batch) -> tuple[Batch, float]:
        main = ProcessGroup()
        main.count, main.rank = self.count, 0
        return original(main, batch)

    ProcessGroup.share_of = share_of  # type: ignore[method-assign, assignment]


Trained = tuple[list[dict[str, float]], dict[str, torch.Tensor]]
"""The record of every epoch, and the weights that are kept."""


def trained_by(processes: int, untrained: Path, folder: Path, obstacles: Sequence[Obstacle] = ()) -> Trained:
    """What ``isrf train`` leaves without chance, started as a launcher starts each of several processes."""
    ws = Path(shutil.copytree(untrained, folder / "ws"))
    port = free_port()
    own = [WITHOUT_CHANCE | (launched(rank, processes, port) if processes > 1 else {}) for rank in range(processes)]
    running = [Running(["train", ws], env, [in_float32, no_dropout, *obstacles]) for env in own]
    try:
        for process in running:
            done(process.end())
    finally:
        for process in running:  # one that waits for another that failed
            process.process.kill()
    assert stage_info(ws, "model")["notes"].get("processes", 1) == processes
    log = json.loads((ws / "model" / "training_log.json").read_text())["log"]
    return log, load_file(ws / "model" / "generator.safetensors")


@pytest.fixture(scope="module")
def alone(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """What one process trains without chance."""
    return trained_by(1, untrained, tmp_path_factory.mktemp("alone"))


def assert_alike(one: Trained, other: Trained) -> None:
    """Losses, gradients, validation and weights of two trainings agree but for the order of sums."""
    assert len(one[0]) == len(other[0]) == 2
    for here, there in zip(one[0], other[0], strict=True):
        figures = [
            f for f in here if f.startswith(("loss_sr", "loss_dr")) or f in ("gradient_norm_sr", "gradient_norm_dr")
        ]
        assert len(figures) == 4
        assert [here[f] for f in figures] == pytest.approx([there[f] for f in figures], rel=1e-3)
        assert here["valid_ndcg10"] == pytest.approx(there["valid_ndcg10"], abs=5e-3), "a near tie may fall otherwise"
    for name, value in one[1].items():
        torch.testing.assert_close(value, other[1][name], rtol=0, atol=0.02 * float(value.abs().max()) + 1e-6)


def test_the_command_trains_in_two_processes_what_it_does_in_one(
    alone: Trained, untrained: Path, tmp_path: Path
) -> None:
    """Compared without chance, for with it nothing fine can be said.

    On this log six seeds of one process have validation NDCG@10 from 0.53 to 0.57, test NDCG@10 from 0.61 to 0.68, SR
    losses from 3.04 to 3.25. Of seed 0, two processes that do not add up their gradients have 0.58, 0.62 and 2.86, two
    that work on the same half of the data 0.59 validation and 2.84; of seeds 1 and 2 both have losses of 3.04 to 3.25 too.
    So a bound from that spread would let them pass.
    """
    assert_alike(trained_by(2, untrained, tmp_path), alone)


@pytest.mark.parametrize("broken", [not_added_up, pytest.param(the_same_half, marks=pytest.mark.slow)])
def test_processes_that_do_not_share_their_work_are_caught(
    broken: Callable[[], None], alone: Trained, untrained: Path, tmp_path: Path
) -> None:
    """By the losses and by the gradients of every epoch, whatever the seed; and by the weights."""
    two = trained_by(2, untrained, tmp_path, [broken])
    with pytest.raises(AssertionError):
        assert_alike(two, alone)
    for here, there in zip(two[0], alone[0], strict=True):
        for figure in ("loss_dr", "gradient_norm_sr"):
            assert abs(here[figure] / there[figure] - 1) > 0.01, "ten times what the comparison allows"


def test_rows_are_dealt_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = deterministic(None)
    for kind in (SequentialBatch, DirectBatch):  # of a log whose interactions weigh alike: their counts are None
        batch = next(b for b in made.schedule.batches(np.random.default_rng(0)) if isinstance(b, kind))
        parts = []
        for rank in range(3):
            together = ProcessGroup()
            together.count, together.rank = 3, rank
            parts.append(together.share_of(batch))
        assert sum(share for _, share in parts) == pytest.approx(1.0)
        users = np.concatenate([part.users for part, _ in parts])
        assert sorted(users) == sorted(batch.users)
        assert all(part.mask.shape == (len(part.users), batch.mask.shape[1]) for part, _ in parts)
        one = type(batch)(*(None if value is None else value[:1] for value in vars(batch).values()))
        together = ProcessGroup()
        together.count, together.rank = 2, 1
        assert together.share_of(one)[1] == 0


def test_other_commands_run_in_one_process(untrained: Path) -> None:
    several = {"WORLD_SIZE": "2", "RANK": "0"}
    refused(isrf("evaluate", untrained, env=several), "isrf evaluate", "one process", "isrf train")
