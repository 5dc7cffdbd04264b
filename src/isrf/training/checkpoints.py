"""Checkpoints: tensors as safetensors, the rest as JSON, renamed into place together and proven whole when they are read.

Knows nothing about training.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from isrf.core.atomic_files import discard, leftovers, recover_folder, replacing_folder
from isrf.core.errors import IsrfError, out_of_memory
from isrf.core.sealed_documents import SEAL, digest_of, read_sealed, write_sealed

TENSORS, STATE = "tensors.safetensors", "state.json"
DIGEST = "tensors_sha256"
"""Key of STATE: SHA-256 (hex) of the file of tensors."""


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
    """Write model, best weights, optimizer and progress; a kill or a loss of power leaves the checkpoint before this one.

    ``STATE`` holds a digest of the tensors and of itself.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    for path in leftovers(folder.parent):  # of a kill: as large as the checkpoint
        discard(path)
    with replacing_folder(folder) as partial:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, partial / TENSORS)
        write_sealed(partial / STATE, asdict(progress) | {DIGEST: digest_of(partial / TENSORS)})


def load_checkpoint(
    folder: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, torch.Tensor], Progress] | None:
    """Restore model and optimizer in place; returns best weights and progress, None where there is no checkpoint.

    Raises:
        IsrfError: a checkpoint is there but cannot be read, or is not what was written.
    """
    recover_folder(folder)
    if not folder.exists():
        return None
    remedy = "delete it to train from the start"
    try:
        told = read_sealed(folder / STATE, remedy)
        if told.get(DIGEST) != digest_of(folder / TENSORS):
            raise ValueError(f"the bytes of {TENSORS} are not the ones that were written")
        tensors = load_file(folder / TENSORS)
        progress = Progress(**{name: value for name, value in told.items() if name not in (DIGEST, SEAL)})
        model.load_state_dict({k[len("model.") :]: v for k, v in tensors.items() if k.startswith("model.")})
        state = optimizer.state_dict()
        state["state"] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                state["state"].setdefault(int(index), {})[name] = value
        optimizer.load_state_dict(state)
    except (IsrfError, OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        if out_of_memory(error) is not None:  # no fault of the checkpoint
            raise
        first = (str(error).removesuffix(f"; {remedy}").splitlines() or [type(error).__name__])[0]
        raise IsrfError(f"{folder}: unreadable checkpoint ({first}); {remedy}") from None
    return {k[len("best.") :]: v for k, v in tensors.items() if k.startswith("best.")}, progress
