"""What a step says of itself, against gradients worked out apart."""

from __future__ import annotations

import math

import pytest
import torch
from tests.training.test_iterative import one_batch, trainer

from isrf.training.batches import Batch, DirectBatch, SequentialBatch
from isrf.training.loop import Trainer
from isrf.training.optimizer_step import Means, Taken, gradients

KINDS = pytest.mark.parametrize("kind", [SequentialBatch, DirectBatch])
LAMBDA = 0.3


def still(direction: str = "paper") -> Trainer:
    """Nothing is random: the same losses each time that they are asked for."""
    made = trainer(alignment_direction=direction, alignment=LAMBDA, negatives=0)
    for part in made.generator.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    return made


def norm(tensors: list[torch.Tensor | None]) -> float:
    return math.sqrt(sum(float(t.square().sum()) for t in tensors if t is not None))


def taken(made: Trainer, batch: Batch) -> Taken:
    return gradients(made.generator, made.losses(batch), LAMBDA, 1.0, made.together)


@KINDS
def test_norms_are_those_of_the_gradient_before_it_is_clipped(kind: type) -> None:
    made, other = still(), still()
    batch = one_batch(made, kind)
    step = taken(made, batch)
    losses = other.losses(batch)
    (losses.weight * losses.task + LAMBDA * losses.alignment).backward()
    whole = norm([p.grad for p in other.generator.parameters()])
    assert (step.task, step.alignment) == (losses.task.item(), losses.alignment.item())
    assert step.norm == pytest.approx(whole, rel=1e-5)
    for side, module in (("individual", other.generator.items), ("group", other.generator.group)):
        assert step.sides[side] == pytest.approx(norm([p.grad for p in module.parameters()]), rel=1e-5)
        assert 0 < step.sides[side] < whole
    clipped = norm([p.grad for p in made.generator.parameters()])
    assert clipped == pytest.approx(min(whole, 5.0), rel=1e-4)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients to five digits take float32, also where the machine is faster with bfloat16."""
    monkeypatch.setattr("isrf.model.inference.fast_bfloat16", lambda: False)


@KINDS
@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("direction", ["paper", "swapped", "open", "detached"])
def test_the_pull_of_the_alignment_is_told_by_side(kind: type, direction: str) -> None:
    """As a backward pass of the alignment alone finds it, though the step makes one for all losses."""
    made, other = still(direction), still(direction)
    batch = one_batch(made, kind)
    step = taken(made, batch)
    losses = other.losses(batch)
    (LAMBDA * losses.alignment).backward()
    for side in ("individual", "group"):
        assert step.aligned[side] == pytest.approx(norm([losses.aligned[side].grad]), rel=1e-5)
    detached = {"paper": [DirectBatch], "swapped": [SequentialBatch], "open": [], "detached": [kind]}[direction]
    assert (step.aligned["individual"] == 0) == (kind in detached)
    assert step.aligned["group"] > 0


def test_a_process_without_rows_adds_nothing() -> None:
    made = still()
    step = gradients(made.generator, None, LAMBDA, 0.0, made.together)
    assert (step.task, step.norm, step.sides["group"]) == (0, 0, 0)
    assert all(p.grad is None for p in made.generator.parameters())


def step_of(task: float = 1.0, alignment: float = 2.0, norm: float = 3.0, group: float = 0.5) -> Taken:
    return Taken(task, alignment, norm, {"individual": 1.0, "group": group}, {"individual": 0.0, "group": 0.1})


def test_what_is_no_number_is_named() -> None:
    nan, inf = math.nan, math.inf
    assert step_of().fault("SR") is None
    assert step_of(task=nan, norm=nan).fault("SR") == "SR loss is nan"
    assert step_of(alignment=inf, norm=nan).fault("DR") == "alignment loss is inf"
    assert step_of(task=nan, alignment=nan, norm=nan).fault("DR") == "DR loss is nan and alignment loss is nan"
    told = step_of(norm=inf, group=inf).fault("SR")
    assert told == "the gradient of the SR batch, in the group interest, is inf (SR loss 1, alignment loss 2)"
    assert step_of(norm=nan).fault("SR") == "the gradient of the SR batch is nan (SR loss 1, alignment loss 2)"


def test_means_are_over_the_steps_of_each_task() -> None:
    means = Means(("sr", "dr", "xx"))
    means.add("sr", step_of(task=1.0, norm=2.0), users=8)
    means.add("sr", step_of(task=3.0, norm=4.0), users=4)
    means.add("dr", step_of(task=7.0, alignment=5.0), users=8)
    values = means.values()
    assert means.users == 20
    assert (values["loss_sr"], values["loss_dr"], values["loss_xx"]) == (2.0, 7.0, 0.0)
    assert values["loss_alignment"] == 3.0
    assert (values["gradient_norm_sr"], values["gradient_norm_dr_group"]) == (3.0, 0.5)
    assert values["alignment_norm_sr_group"] == pytest.approx(0.1) and values["alignment_norm_xx_group"] == 0
