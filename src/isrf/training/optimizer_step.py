"""One step of the optimiser, and what an epoch's steps were like: losses and gradient norms by task and by interest.

Norms are read off the gradients that the step has made anyway. Knows nothing about batches, epochs or checkpoints.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.utils import clip_grad_norm_, get_total_norm

from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.token_generator import TokenGenerator
from isrf.training.process_group import ProcessGroup

GRADIENT_NORM = 5.0
"""Gradients are clipped to this norm."""

SIDES = ("individual", "group")
"""The two interests: ``generator.items`` makes the individual one, ``generator.group`` the group's."""


class Losses(NamedTuple):
    """What one batch is trained on.

    Attributes:
        task: scalar.
        alignment: scalar, zero where there is nothing to align.
        weight: of the task loss in the step.
        aligned: side -> (N, d) interests that the alignment compares; empty where there is nothing to align.
    """

    task: torch.Tensor
    alignment: torch.Tensor
    weight: float
    aligned: Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Taken:
    """What one step was like, in all processes together.

    Attributes:
        task: loss, before its weight.
        alignment: loss, before its weight.
        norm: of the whole gradient, before clipping.
        sides: side -> norm of the gradient of the parameters that make this interest, before clipping.
        aligned: side -> norm of what the alignment alone asks of the interests of the batch; 0 where it is detached.
    """

    task: float
    alignment: float
    norm: float
    sides: Mapping[str, float]
    aligned: Mapping[str, float]

    def fault(self, name: str) -> str | None:
        """What is not a finite number, in words; None where all is well. ``name`` is the task's."""
        losses = {f"{name} loss": self.task, "alignment loss": self.alignment}
        wrong = [f"{which} is {value}" for which, value in losses.items() if not math.isfinite(value)]
        if wrong:
            return " and ".join(wrong)
        if math.isfinite(self.norm):
            return None
        reached = [f"{side} interest" for side, norm in self.sides.items() if not math.isfinite(norm)]
        where = f", in the {' and the '.join(reached)}," if reached else ""
        told = f"{name} loss {self.task:.3g}, alignment loss {self.alignment:.3g}"
        return f"the gradient of the {name} batch{where} is {self.norm} ({told})"


def gradients(
    generator: AtomicGenerator | TokenGenerator,
    losses: Losses | None,
    alignment: float,
    share: float,
    together: ProcessGroup,
) -> Taken:
    """Make the gradients of one step, those of all processes added up, and clip them.

    Args:
        generator: its gradients are replaced.
        losses: of this process's rows; None where it has none.
        alignment: weight of the alignment loss (lambda).
        share: of the step's batch that these rows are.
        together: the processes.
    """
    parameters = list(generator.parameters())
    for parameter in parameters:
        parameter.grad = None
    if losses is None:
        seen = torch.zeros(5, device=together.device)
    else:
        (losses.weight * losses.task + alignment * share * losses.alignment).backward()
        asked = [losses.aligned[side].grad if side in losses.aligned else None for side in SIDES]
        squares = [losses.task.new_zeros(()) if g is None else g.float().square().sum() for g in asked]
        weight = losses.task.new_tensor(losses.weight)
        seen = torch.stack([losses.task.detach(), weight, losses.alignment.detach(), *squares])
        if together.count > 1:
            seen = seen * torch.stack([weight, *seen.new_tensor([1.0, share, 1.0, 1.0])])
    seen = together.add_up(parameters, seen)
    if together.count > 1:
        seen[0] /= seen[1].clamp(min=1e-12)  # a batch may have no target
    sides = [norm_of(module).to(together.device) for module in (generator.items, generator.group)]
    norm = clip_grad_norm_(parameters, GRADIENT_NORM)
    norms = torch.stack([norm.to(together.device), *sides])
    # waits for the device, once a step
    task, _, aligned, individual, group, whole, *by_side = torch.cat([seen, norms]).tolist()
    return Taken(
        task,
        aligned,
        whole,
        dict(zip(SIDES, by_side, strict=True)),
        dict(zip(SIDES, (math.sqrt(individual), math.sqrt(group)), strict=True)),
    )


def norm_of(module: torch.nn.Module) -> torch.Tensor:
    """Scalar: norm of the gradient of a module's parameters, 0 where it has none."""
    return get_total_norm([p.grad for p in module.parameters() if p.grad is not None])


class Means:
    """What the steps of an epoch were like so far: means over its steps.

    Args:
        tasks: names; those without a step are zero.
    """

    def __init__(self, tasks: tuple[str, ...]) -> None:
        self.tasks, self.users = tasks, 0
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._steps: defaultdict[str, int] = defaultdict(int)

    def add(self, task: str, step: Taken, users: int) -> None:
        """One more step of a task, on that many rows in all processes."""
        self.users += users
        self._note("loss_alignment", step.alignment)
        self._note(f"loss_{task}", step.task)
        self._note(f"gradient_norm_{task}", step.norm)
        for side in SIDES:
            self._note(f"gradient_norm_{task}_{side}", step.sides[side])
            self._note(f"alignment_norm_{task}_{side}", step.aligned[side])

    def _note(self, name: str, value: float) -> None:
        self._sums[name] += value
        self._steps[name] += 1

    def values(self) -> dict[str, float]:
        """Name -> mean, every name of every task."""
        names = [f"loss_{name}" for name in (*self.tasks, "alignment")]
        for task in self.tasks:
            names += [f"gradient_norm_{task}", *(f"gradient_norm_{task}_{side}" for side in SIDES)]
            names += [f"alignment_norm_{task}_{side}" for side in SIDES]
        return {name: self._sums[name] / max(self._steps[name], 1) for name in names}
