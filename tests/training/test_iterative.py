"""Iterative batch optimisation on a log small enough to train in seconds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import torch

from isrf.core.config import GraphSettings, ModelSettings, TrainingSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue, TrainingData
from isrf.graphs.evidence import TrainingEvidence
from isrf.graphs.groups import GroupProfile
from isrf.graphs.item_graphs import ItemGraphs
from isrf.graphs.prefix_index import PrefixIndex
from isrf.model.atomic_generator import AtomicGenerator
from isrf.training.batches import DirectBatch, SequentialBatch
from isrf.training.inputs import TrainingInputs
from isrf.training.loop import Trainer
from isrf.training.schedule import Schedule

N_USERS, N_ITEMS, TEXT = 30, 16, 6
MODEL = ModelSettings(d_model=16, heads=2, adapter_width=8, history=8, decoder_layers=1)
TRAINING = TrainingSettings(epochs=3, batch_size=8, warmup_steps=4, learning_rate=3e-3, patience=10)


def inputs(seed: int = 0, groups: bool = True, heard: bool = True) -> TrainingInputs:
    """People who walk around a ring of items; their group has chosen items 8 to 15 and never an item of the ring."""
    rng = np.random.default_rng(seed)
    histories = Histories.of(
        [(start + np.arange(n)) % 8 for start, n in zip(range(N_USERS), rng.integers(2, 8, N_USERS), strict=False)]
    )
    table = pl.DataFrame({Columns.ITEM: [f"i{i}" for i in range(N_ITEMS)], Columns.TITLE: [""] * N_ITEMS})
    training = TrainingData([f"u{u}" for u in range(N_USERS)], Catalogue(table), histories)
    profile = GroupProfile.empty(N_USERS, TEXT)
    if groups:
        profile.items[:, :3] = rng.integers(8, N_ITEMS, (N_USERS, 3))
        profile.weights[:, :3] = [0.5, 0.3, 0.2]
        profile.semantics[:] = rng.normal(size=(N_USERS, TEXT)) / np.sqrt(TEXT)
    features = rng.normal(size=(N_ITEMS, 4)).astype(np.float32)
    links = sp.random(N_USERS, N_USERS, 0.2 if groups else 0.0, "csr", np.float32, random_state=seed)
    moments = PrefixIndex.of(histories, features, GraphSettings()) if heard else None
    evidence = TrainingEvidence(training, ItemGraphs.build(training, GraphSettings()), links, moments)
    return TrainingInputs(training, features, profile, evidence)


def never_better() -> Callable[[AtomicGenerator], float]:
    """A validation that every epoch improves a little: nothing stops training."""
    scores = itertools.count(1)
    return lambda generator: next(scores) / 100


def trainer(
    folder: Path | None = None, validate: Callable[[AtomicGenerator], float] | None = None, **changes: object
) -> Trainer:
    return Trainer(inputs(), MODEL, TRAINING.model_copy(update=changes), validate or never_better(), folder)


def trainer_of(group: str) -> Trainer:
    """Nobody's group is dropped by chance."""
    settings = MODEL.model_copy(update={"group": group, "group_dropout": 0.0})
    return Trainer(inputs(heard=group == "consumed"), settings, TRAINING, never_better())


def targets_of(batch: SequentialBatch | DirectBatch) -> np.ndarray:
    return batch.is_target if isinstance(batch, SequentialBatch) else batch.target_weights


def one_batch(made: Trainer, kind: type) -> SequentialBatch | DirectBatch:
    return next(b for b in made.schedule.batches(np.random.default_rng(0)) if isinstance(b, kind))


def weights(generator: AtomicGenerator) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in generator.state_dict().items()}


def test_training_learns_the_ring() -> None:
    made = trainer(epochs=12)
    made.run()
    log = made.progress.log
    assert [entry["epoch"] for entry in log] == list(range(1, 13))
    assert log[-1]["loss_sr"] < 0.8 * log[0]["loss_sr"]
    assert log[-1]["loss_dr"] < log[0]["loss_dr"]
    assert log[-1]["loss_alignment"] < log[0]["loss_alignment"]
    assert all(np.isfinite(list(entry.values())).all() for entry in log)


def test_both_tasks_alternate() -> None:
    made = trainer(sr_per_dr=2)
    kinds = [type(b) for b in made.schedule.batches(np.random.default_rng(0))]
    assert kinds[:6] == [SequentialBatch, SequentialBatch, DirectBatch] * 2
    assert len(kinds) <= made.schedule.steps_per_epoch()


@pytest.mark.parametrize(
    ("direction", "in_sr", "in_dr"),
    [("paper", True, False), ("swapped", False, True), ("open", True, True), ("detached", False, False)],
)
def test_the_direction_says_where_alignment_reaches_the_individual_side(
    direction: str, in_sr: bool, in_dr: bool
) -> None:
    """Items of the ring are in histories alone: what moves them comes through the individual side."""
    for kind, reached in ((SequentialBatch, in_sr), (DirectBatch, in_dr)):
        made = trainer(alignment_direction=direction)
        made.losses(one_batch(made, kind)).alignment.backward()
        gradient = made.generator.items.identifier.weight.grad
        assert gradient is not None
        assert (gradient[:8].abs().sum().item() > 0) == reached, kind
        assert gradient[8:].abs().sum() > 0, "the group side learns in both tasks"


@pytest.mark.parametrize("kind", [SequentialBatch, DirectBatch])
def test_a_group_that_is_aligned_but_not_consumed_learns_from_the_alignment_alone(kind: type) -> None:
    """As in the official code: g_u has parameters that learn, and no task reads what they say."""
    made = trainer_of("aligned")
    batch = one_batch(made, kind)
    assert not batch.with_group.any() and np.array_equal(
        targets_of(batch), targets_of(one_batch(trainer_of("none"), kind))
    )
    loss, alignment, *_ = made.losses(batch)
    loss.backward(retain_graph=True)
    assert made.generator.group.chosen.weight.grad is None or not made.generator.group.chosen.weight.grad.any()
    alignment.backward()
    for layer in (made.generator.group.chosen, made.generator.group.shared):
        assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [SequentialBatch, DirectBatch])
def test_without_the_group_nothing_is_aligned_and_the_group_learns_nothing(kind: type) -> None:
    made = trainer_of("none")
    loss, alignment, *_ = made.losses(one_batch(made, kind))
    (loss + alignment).backward()
    assert alignment.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in made.generator.group.parameters())


def test_without_the_group_its_profiles_make_no_difference() -> None:
    """Trained to the end: the same weights whoever is in the group, and whether there is one."""
    model = MODEL.model_copy(update={"group": "none"})
    given = inputs(heard=False)
    nobody = replace(given, groups=GroupProfile.empty(N_USERS, TEXT))
    one, other = (weights(Trainer(each, model, TRAINING, never_better()).run()) for each in (given, nobody))
    assert one == other
    assert one != weights(Trainer(inputs(), MODEL, TRAINING, never_better()).run())


def test_the_task_losses_teach_the_group_interest() -> None:
    """The coupling is real: what the group encoder makes is read by the task, not by the alignment alone."""
    for kind in (SequentialBatch, DirectBatch):
        made = trainer()
        made.model_settings = MODEL.model_copy(update={"group_dropout": 0.0})
        made.losses(one_batch(made, kind)).task.backward()
        assert made.generator.group.chosen.weight.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_without_groups_there_is_nothing_to_align() -> None:
    made = Trainer(inputs(groups=False), MODEL, TRAINING, never_better())
    loss, alignment, *_ = made.losses(one_batch(made, SequentialBatch))
    assert loss.item() > 0 and alignment.item() == 0
    made.run()


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    one = weights(trainer().run())
    torch.manual_seed(2)
    assert weights(trainer().run()) == one
    assert weights(trainer(seed=5).run()) != one


class Killed(Exception):
    """Stands for whatever ends a process between two epochs."""


@pytest.mark.parametrize("finished", [1, 2])
def test_kill_and_resume_gives_bitwise_the_weights_of_an_unbroken_run(tmp_path: Path, finished: int) -> None:
    def score(made: list[int]) -> Callable[[AtomicGenerator], float]:
        def validate(generator: AtomicGenerator) -> float:
            made.append(1)
            return float(generator.bias.detach().std())  # depends on the weights alone, as validation does

        return validate

    unbroken = trainer(tmp_path / "a", score([]))
    expected = weights(unbroken.run())

    calls: list[int] = []
    inner = score(calls)

    def killed(generator: AtomicGenerator) -> float:
        if len(calls) == finished:
            raise Killed
        return inner(generator)

    with pytest.raises(Killed):
        trainer(tmp_path / "b", killed).run()
    resumed = trainer(tmp_path / "b", score([]))
    assert weights(resumed.run()) == expected
    told, again = (
        [{k: v for k, v in e.items() if k not in ("seconds", "users_per_second")} for e in t.progress.log]
        for t in (unbroken, resumed)
    )
    assert told == again


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    done = weights(trainer(tmp_path / "c").run())

    def never(generator: AtomicGenerator) -> float:
        raise AssertionError("validated again")

    assert weights(trainer(tmp_path / "c", never).run()) == done


def test_early_stopping_keeps_the_best_weights() -> None:
    scores = iter([0.1, 0.5, 0.2, 0.3, 0.9])
    kept: list[dict[str, bytes]] = []

    def validate(generator: AtomicGenerator) -> float:
        kept.append(weights(generator))
        return next(scores)

    made = trainer(validate=validate, epochs=5, patience=2)
    best = made.run()
    assert (made.progress.epoch, made.progress.best_epoch) == (4, 2)
    assert weights(best) == kept[1] != kept[3]
    assert not best.training


@pytest.mark.parametrize("kind", ["SR", "DR"])
def test_a_loss_that_is_not_a_number_stops_training_and_is_named(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    made = trainer()
    batch = one_batch(made, SequentialBatch if kind == "SR" else DirectBatch)
    monkeypatch.setattr(Schedule, "all_batches", lambda _, epoch: iter([batch]))
    with torch.no_grad():
        made.generator.bias.fill_(float("nan"))
    before = made.generator.items.identifier.weight.detach().clone()
    with pytest.raises(IsrfError, match=rf"diverged in epoch 1, step 1: {kind} loss is nan.*training\.learning_rate"):
        made.run()
    assert torch.equal(made.generator.items.identifier.weight.detach(), before)


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    made = trainer()
    rates = [made.learning_rate(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(TRAINING.learning_rate / 4, rel=1e-3)
    assert max(rates) <= TRAINING.learning_rate and int(np.argmax(rates)) <= 4
    assert (np.diff(rates[4:]) < 0).all() and rates[-1] == pytest.approx(0)


def test_weight_decay_is_on_matrices_only() -> None:
    made = trainer(weight_decay=0.1)
    decayed, others = made.optimizer.param_groups
    assert decayed["weight_decay"] == 0.1 and all(p.ndim >= 2 for p in decayed["params"])
    assert others["weight_decay"] == 0 and all(p.ndim < 2 for p in others["params"])
    n = sum(p.numel() for p in made.generator.parameters())
    assert sum(p.numel() for g in made.optimizer.param_groups for p in g["params"]) == n
