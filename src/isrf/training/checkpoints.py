"""Checkpoints: tensors as safetensors, the rest as JSON, renamed into place together. Knows nothing about training."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from isrf.errors import IsrfError

TENSORS, STATE = "tensors.safetensors", "state.json"


@dataclass
class Progress:
    """Where training stands after ``epoch`` whole epochs.

    Attributes:
        epoch: epochs finished.
        best_epoch: the epoch (1-based) whose weights are kept, 0 before the first.
        best_score: its validation NDCG@10.
        log: one record an epoch: losses by task, gradient norms, validation NDCG@10, seconds.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -1.0
    log: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    folder: Path,
    model: torch.nn.Module,
    best: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write model, best weights, optimizer and progress; a kill leaves the checkpoint before this one."""
    partial = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, partial / TENSORS)
    (partial / STATE).write_text(json.dumps(asdict(progress)))
    if folder.exists():
        # the old checkpoint steps aside only when the new one is whole
        old = folder.with_name(folder.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old)
    else:
        partial.rename(folder)


def load_checkpoint(
    folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, torch.Tensor], Progress] | None:
    """Restore model and optimizer in place; returns best weights and progress, None where there is no checkpoint.

    Raises:
        IsrfError: a checkpoint is there but cannot be read.
    """
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and old.exists():
        old.rename(folder)  # killed between the two renames of ``save_checkpoint``
    if not folder.exists():
        return None
    try:
        tensors = load_file(folder / TENSORS)
        progress = Progress(**json.loads((folder / STATE).read_text()))
        model.load_state_dict({k[len("model.") :]: v for k, v in tensors.items() if k.startswith("model.")})
        state = optimizer.state_dict()
        state["state"] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                state["state"].setdefault(int(index), {})[name] = value
        optimizer.load_state_dict(state)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise IsrfError(f"{folder}: unreadable checkpoint ({first}); delete it to train from the start") from None
    return {k[len("best.") :]: v for k, v in tensors.items() if k.startswith("best.")}, progress
