"""Several processes that train one model: each takes rows of every batch, and gradients are added up (accelerate).

Every process has the whole model and draws the same batches, so that the steps of one process and of several are the
same; only what is random inside a step differs (dropout, drawn negatives), a contrast within a batch is one within the
rows of a process, and a mean over tokens one over those of a process. One process by itself exchanges nothing. Knows
nothing about the model or its losses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, reduce

from isrf.training.batches import Batch
from isrf.training.explanation_loss import ExplanationBatch

B = TypeVar("B", bound=Batch | ExplanationBatch)

PATIENCE = timedelta(days=1)
"""How long processes wait for each other: the main one encodes and validates alone, which takes what it takes. When one
ends with an error, the launcher ends the others at once."""


class ProcessGroup:
    """The processes of one training, as this one sees them.

    Attributes:
        device: where this process computes: its own GPU where there is one (NCCL), else the CPU (gloo).
        count: of processes.
        rank: of this one.
        main: whether this one writes files, validates and tells.
    """

    def __init__(self) -> None:
        self._state = PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
        self.device = self._state.device
        self.count, self.rank = self._state.num_processes, self._state.process_index
        self.main = self._state.is_main_process

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The block runs in the main process first, then in the others: they find what it has written."""
        with self._state.main_process_first():
            yield

    def share_of(self, batch: B) -> tuple[B, float]:
        """The rows of a batch that this process works on, and what share of the batch they are; maybe none.

        Every field of a batch has a row a person, or is None.
        """
        rows = len(batch.users)
        if self.count == 1:
            return batch, 1.0
        mine = slice(self.rank, None, self.count)

        def dealt(column: Any) -> Any:
            return None if column is None else column[mine]

        part = type(batch)(*(dealt(getattr(batch, field.name)) for field in fields(batch)))
        return part, len(part.users) / rows

    def add_up(self, parameters: Sequence[torch.nn.Parameter], values: torch.Tensor) -> torch.Tensor:
        """Give every process the sum of all gradients, in place, and of ``values``, which it returns.

        Args:
            parameters: the same in every process; one that has no gradient in any keeps none.
            values: (N,) float32.
        """
        if self.count == 1:
            return values
        there = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        summed = reduce(torch.cat([*(g.reshape(-1) for g in grads), there, values]), "sum")
        at = sum(g.numel() for g in grads)
        reached = summed[at : at + len(there)].tolist()
        for parameter, part, anywhere in zip(
            parameters, summed[:at].split([g.numel() for g in grads]), reached, strict=True
        ):
            parameter.grad = part.view_as(parameter) if anywhere else None
        return summed[at + len(there) :]

    def same(self, model: torch.nn.Module) -> None:
        """Give every process the main one's weights."""
        if self.count > 1:
            for tensor in model.state_dict().values():
                tensor.copy_(broadcast(tensor))

    def agreed(self, value: float) -> float:
        """The main process's value, in every process; what the others give is not looked at."""
        if self.count == 1:
            return value
        told = torch.tensor([value if self.main else math.nan], dtype=torch.float64, device=self.device)
        return float(broadcast(told))

    def leave(self) -> None:
        """Say goodbye to the others; nothing can be exchanged after it."""
        if self.count > 1:
            self._state.destroy_process_group()
