"""What each of the processes does that ``test_distributed`` starts; not a test by itself.

torchrun --standalone --nproc_per_node 2 tests/training/two_processes.py FOLDER WORKSPACE
"""

from __future__ import annotations

import json
import math
import runpy
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tests.training.test_iterative import MODEL, TRAINING, inputs

from isrf.core import distributed
from isrf.core.errors import CannotFit
from isrf.model import inference
from isrf.model.atomic_generator import AtomicGenerator
from isrf.training.batches import Batch, DirectBatch
from isrf.training.loop import Trainer
from isrf.training.optimizer_step import Losses


def in_float32() -> None:
    """Whatever the machine is fast with: sums in bfloat16 depend on how they are divided by a tenth of a percent."""
    inference.fast_bfloat16 = lambda: False  # type: ignore[assignment]


def deterministic(folder: Path | None) -> Trainer:
    """Nothing is drawn in a step, and nothing compares the people of a batch: processes add up to one exactly."""
    settings = TRAINING.model_copy(update={"negatives": 0, "alignment": 0.0, "epochs": 4, "patience": 1})
    scores = iter([0.1, 0.3, 0.2])

    def validate(generator: AtomicGenerator) -> float:
        assert distributed.rank() == 0, "a process that helps validates nothing"
        return next(scores)

    made = Trainer(inputs(), MODEL, settings, validate, folder)
    for part in made.generator.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    return made


def diverging() -> str:
    """What a training says whose last process, and no other, meets a loss that is no number, in DR."""
    made = deterministic(None)
    original = made.losses

    def replacement(batch: Batch, share: float = 1.0) -> Losses:
        losses = original(batch, share)
        bad = isinstance(batch, DirectBatch) and distributed.rank() == distributed.count() - 1
        return losses._replace(task=losses.task * math.nan) if bad else losses

    made.losses = replacement  # type: ignore[method-assign]
    try:
        made.run()
    except CannotFit as error:
        return str(error)
    return "went on"


def work(folder: Path) -> None:
    """What a process does before the command."""
    in_float32()
    rank = distributed.rank()
    made = deterministic(folder / "checkpoint")
    with torch.no_grad():  # whatever a process begins with, it trains what the main one has
        made.generator.bias += rank
    weights = {name: value.clone() for name, value in made.run().state_dict().items()}
    save_file(weights, folder / f"weights-{rank}.safetensors")
    told = {"log": made.progress.log, "best": made.progress.best_epoch, "diverged": diverging()}
    (folder / f"told-{rank}.json").write_text(json.dumps(told))


def main(folder: Path, workspace: str) -> None:
    work(folder)
    sys.argv = ["isrf", "train", workspace]
    runpy.run_module("isrf", run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
