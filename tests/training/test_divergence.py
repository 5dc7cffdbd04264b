"""Training that diverges: it stops before the step, says which loss, keeps the last good checkpoint and goes on from it."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.commands import Obstacle, done, isrf, refused, settings, stage_info
from tests.training.test_iterative import one_batch, trainer, weights

from isrf.core.errors import CannotFit
from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.token_generator import TokenGenerator
from isrf.training.batches import Batch, SequentialBatch
from isrf.training.checkpoints import load_checkpoint
from isrf.training.loop import Trainer
from isrf.training.optimizer_step import Losses
from isrf.training.schedule import Schedule

LOW = "training.learning_rate=0.001"


def planted(made: Trainer, losses: Callable[[Losses], Losses], at: int) -> Trainer:
    """The trainer, whose losses are others at its ``at``-th step (from 1)."""
    original, steps = made.losses, itertools.count(1)

    def replacement(batch: Batch, share: float = 1.0) -> Losses:
        found = original(batch, share)
        return losses(found) if next(steps) == at else found

    made.losses = replacement  # type: ignore[method-assign]
    return made


def with_nan(which: str, losses: Losses) -> Losses:
    return losses._replace(**{which: getattr(losses, which) * math.nan})


def steps_of(made: Trainer, epochs: int = 1) -> int:
    """Steps of the first epochs: batches are the same in every run."""
    import numpy as np

    seed = made.settings.seed
    return sum(len(list(made.schedule.batches(np.random.default_rng([seed, epoch])))) for epoch in range(epochs))


@pytest.mark.parametrize(("which", "named"), [("task", "SR loss is nan"), ("alignment", "alignment loss is nan")])
def test_a_planted_nan_is_named_with_epoch_step_and_what_is_kept(tmp_path: Path, which: str, named: str) -> None:
    folder = tmp_path / "checkpoint"
    at = steps_of(trainer()) + 1  # epochs begin with SR
    made = planted(trainer(folder), partial(with_nan, which), at + 1)
    with pytest.raises(CannotFit) as caught:
        made.run()
    told = str(caught.value)
    assert told.startswith(f"training diverged in epoch 2, step 2: {named}; ")
    assert f"the checkpoint of epoch 1 and the best weights, of epoch 1, are kept in {folder}; " in told
    assert "the same command with training.learning_rate=0.0015 or less goes on from there" in told


def test_the_checkpoint_is_that_of_the_last_whole_epoch_and_a_lower_rate_goes_on_from_it(tmp_path: Path) -> None:
    reference = trainer(tmp_path / "a", epochs=1)
    expected = weights(reference.run())
    made = planted(trainer(tmp_path / "b"), partial(with_nan, "task"), steps_of(trainer(), 2) + 3)
    with pytest.raises(CannotFit, match="diverged in epoch 3, step 3"):
        made.run()
    again = trainer(tmp_path / "b")
    restored = load_checkpoint(tmp_path / "b", again.generator, again.optimizer)
    assert restored is not None and restored[1].epoch == 2
    assert all(torch.isfinite(p).all() for p in again.generator.parameters())
    assert weights(again.generator) != expected
    lower = trainer(tmp_path / "b", learning_rate=1e-4)
    lower.run()
    assert [(e["epoch"], e["learning_rate"]) for e in lower.progress.log] == [(1, 3e-3), (2, 3e-3), (3, 1e-4)]


def test_no_step_is_taken_on_a_gradient_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every loss is finite and only their gradient is not."""
    made = trainer()
    batch = one_batch(made, SequentialBatch)
    monkeypatch.setattr(Schedule, "all_batches", lambda _, epoch: iter([batch]))
    before = weights(made.generator)

    def steep(losses: Losses) -> Losses:
        parameter = made.generator.group.chosen.weight
        return losses._replace(task=losses.task + torch.sqrt((parameter * 0).sum()))  # slope of a root at 0

    with pytest.raises(
        CannotFit, match=r"step 1: the gradient of the SR batch, in the group interest, is nan \(SR loss"
    ):
        planted(made, steep, 1).run()
    assert weights(made.generator) == before


def test_a_validation_that_is_no_number_stops_too(tmp_path: Path) -> None:
    scores = iter([0.5, math.nan])
    with pytest.raises(
        CannotFit, match=r"in epoch 2, at its end: validation NDCG@10 is nan; the checkpoint of epoch 1"
    ):
        trainer(tmp_path / "c", lambda generator: next(scores)).run()


def _nan_weight_behind_the_last_step_of_epoch_2() -> None:
    original = Trainer.__init__

    def replacement(self: Trainer, *given: Any, **named: Any) -> None:
        original(self, *given, **named)
        judge = self.validate

        def validate(generator: AtomicGenerator | TokenGenerator) -> float:
            if self.progress.epoch + 1 == 2:
                with torch.no_grad():
                    generator.bias[0] = math.nan
            return judge(generator)

        self.validate = validate

    Trainer.__init__ = replacement  # type: ignore[method-assign]


def test_a_weight_that_is_no_number_at_validation_stops_too_and_a_lower_rate_goes_on(
    untrained: Path, tmp_path: Path
) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    longer = ["train", ws, *settings("training.epochs=3", "training.patience=3")]
    stopped = isrf(*longer, obstacles=[_nan_weight_behind_the_last_step_of_epoch_2])
    refused(stopped, "epoch 2, at its end", "validation NDCG@10 is nan", "the checkpoint of epoch 1")
    assert "training resumes after epoch 1" in done(isrf(*longer, "--set", LOW)).err


def test_without_a_finished_epoch_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(CannotFit, match="no epoch was finished before; start again with a lower rate"):
        planted(trainer(tmp_path / "d"), partial(with_nan, "task"), 2).run()
    assert not (tmp_path / "d").exists()


def nan_in_epoch(epoch: int) -> Obstacle:
    return partial(_nan_in_epoch, epoch)


def _nan_in_epoch(epoch: int) -> None:
    original = Trainer.losses

    def replacement(self: Trainer, batch: Batch, share: float = 1.0) -> Losses:
        losses = original(self, batch, share)
        return with_nan("task", losses) if self.progress.epoch + 1 == epoch else losses

    Trainer.losses = replacement  # type: ignore[method-assign]


def rate_of(workspace: Path) -> float:
    found = re.search(r"learning_rate: (\S+)", (workspace / "settings.yaml").read_text())
    assert found is not None
    return float(found[1])


def test_the_same_command_with_a_lower_rate_goes_on(untrained: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    longer = ["train", ws, *settings("training.epochs=4", "training.patience=4")]
    state = ws / "model" / ".partial" / "checkpoint" / "state.json"
    refused(isrf(*longer, obstacles=[nan_in_epoch(3)]), "epoch 3", "SR loss is nan", "epoch 2", str(state.parent))
    assert json.loads(state.read_text())["epoch"] == 2
    before = rate_of(ws)
    # refused once more before the checkpoint of epoch 3: what may go on from there still may
    refused(isrf(*longer, "--set", "training.learning_rate=0.002", obstacles=[nan_in_epoch(3)]), "epoch 3")
    assert rate_of(ws) == before, "a command that was refused is not remembered"
    outcome = done(isrf(*longer, "--set", LOW))
    assert "training resumes after epoch 2" in outcome.err and rate_of(ws) == 0.001
    info = stage_info(ws, "model")
    assert info["notes"]["learning_rates"] == [
        {"from_epoch": 1, "learning_rate": before},
        {"from_epoch": 3, "learning_rate": 0.001},
    ]
    assert info["resumed"] and info["settings"]["training"]["learning_rate"] == 0.001
    assert "nothing changed" in done(isrf(*longer, "--set", LOW)).err


def test_only_a_training_that_diverged_goes_on_with_another_rate(untrained: Path, tmp_path: Path) -> None:
    """A killed one starts anew, as does one with another setting changed besides."""
    for name, end, changed in (("killed", KeyboardInterrupt, LOW), ("diverged", None, "training.seed=5")):
        ws = Path(shutil.copytree(untrained, tmp_path / name))
        obstacle = nan_in_epoch(2) if end is None else partial(_interrupted_in_epoch, 2)
        assert isrf("train", ws, obstacles=[obstacle]).code in (2, 130)
        assert (ws / "model" / ".partial" / "checkpoint" / "state.json").exists()
        assert "resumes" not in done(isrf("train", ws, "--set", changed)).err, name
        assert "learning_rates" not in stage_info(ws, "model")["notes"]


def _interrupted_in_epoch(epoch: int) -> None:
    original = Trainer.losses

    def replacement(self: Trainer, batch: Batch, share: float = 1.0) -> Losses:
        if self.progress.epoch + 1 == epoch:
            raise KeyboardInterrupt
        return original(self, batch, share)

    Trainer.losses = replacement  # type: ignore[method-assign]
