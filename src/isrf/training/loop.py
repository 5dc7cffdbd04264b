"""Iterative batch optimisation: SR and DR batches alternate, individual and group interests refine each other.

Paper, step 3. In DR batches the individual side of the alignment is detached: the group learns from the individual
directly. In SR batches it is open: what the group knows flows back into individual modelling. ``DETACHED`` has the other
directions, for ablations. Where the data has review explanations, batches of these are a third task. Knows nothing about
workspaces or the command line.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from isrf.core.config import ModelSettings, TrainingSettings
from isrf.core.progress import Table, note, table
from isrf.model.atomic_generator import AtomicGenerator, new_atomic_generator
from isrf.model.inference import autocast, group_tensors
from isrf.model.interests import alignment_loss, individual_interest
from isrf.model.token_generator import TokenGenerator
from isrf.training.batches import (
    Batch,
    DirectBatch,
    NextItemBatch,
    SequentialBatch,
)
from isrf.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from isrf.training.explanation_loss import (
    TASK_OF,
    ExplanationBatch,
    explain_with,
    explanation_loss,
)
from isrf.training.inputs import TrainingInputs
from isrf.training.item_loss import ScoringLoss
from isrf.training.optimizer_step import Losses, Means, gradients
from isrf.training.process_group import ProcessGroup
from isrf.training.progress_rows import Diverged, lower_rate, remedy, row_of
from isrf.training.schedule import Schedule
from isrf.training.sequence_loss import sequence_loss

DETACHED: dict[str, tuple[type, ...]] = {
    "paper": (DirectBatch, ExplanationBatch),
    "swapped": (SequentialBatch, NextItemBatch),
    "open": (),
    "detached": (DirectBatch, SequentialBatch, NextItemBatch, ExplanationBatch),
}
"""``training.alignment_direction`` -> batches whose individual interest the alignment does not change.

Explanation batches go with DR: both read a person as a set, so the group learns from the individual directly there, and
how often the group flows back into individual modelling does not depend on whether the data has reviews.
"""


class Trainer:
    """One training run; ``run`` returns the generator with its best weights.

    Args:
        inputs: data and graphs.
        model: sizes of the generator.
        settings: optimisation.
        validate: gives validation NDCG@10 of a generator in eval mode; decides early stopping.
        checkpoint: folder of the checkpoint; None keeps none.
        start: what is trained, a writer on one target an example; None trains a new ``AtomicGenerator``.
        together: the processes that train; None asks which there are.
        told: called with every finished epoch's record.
    """

    def __init__(
        self,
        inputs: TrainingInputs,
        model: ModelSettings,
        settings: TrainingSettings,
        validate: Callable[[AtomicGenerator | TokenGenerator], float],
        checkpoint: Path | None = None,
        start: AtomicGenerator | TokenGenerator | None = None,
        together: ProcessGroup | None = None,
        told: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        self.inputs, self.model_settings, self.settings = inputs, model, settings
        self.validate, self.checkpoint, self.told = validate, checkpoint, told
        self.together = together or ProcessGroup()
        self.device = self.together.device
        self.generator: AtomicGenerator | TokenGenerator = start or new_atomic_generator(
            model, inputs.item_features, inputs.groups.semantics.shape[1], settings.seed
        )
        if inputs.explanations is not None:
            explain_with(self.generator, inputs.explanations, settings.seed)
        self.generator.to(self.device)
        matrices = [p for p in self.generator.parameters() if p.ndim >= 2]
        others = [p for p in self.generator.parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
        )
        self.schedule = Schedule(inputs, model, settings, isinstance(self.generator, TokenGenerator))
        self.scoring = ScoringLoss(inputs.training, settings.negatives, inputs.evidence)
        self.rng = np.random.default_rng(settings.seed)
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] = {}

    def run(self) -> AtomicGenerator | TokenGenerator:
        """Train until the last epoch or until validation stops improving; resumes from the checkpoint if there is one."""
        self.together.same(self.generator)
        with self.together.main_first():  # which may have to put right what a kill left
            restored = load_checkpoint(self.checkpoint, self.generator, self.optimizer) if self.checkpoint else None
        if restored:
            self.best, self.progress = restored
            note(f"training resumes after epoch {self.progress.epoch}")
        steps = self.schedule.steps_per_epoch()
        with table("train", self.settings.epochs * steps) as shown:
            shown.advance(self.progress.epoch * steps)
            while self.progress.epoch < self.settings.epochs and not self.finished():
                self.epoch(steps, shown)
                if self.checkpoint and self.together.main:
                    save_checkpoint(self.checkpoint, self.generator, self.best, self.optimizer, self.progress)
        self.generator.load_state_dict(self.best)
        return self.generator.eval()

    def finished(self) -> bool:
        return self.progress.epoch - self.progress.best_epoch >= self.settings.patience

    def learning_rate(self, step: int, total: int) -> float:
        warm = min(1.0, (step + 1) / max(1, min(self.settings.warmup_steps, total // 5)))
        return self.settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))

    def epoch(self, steps: int, shown: Table) -> None:
        """One pass over all training interactions; every random draw comes from (seed, epoch) and the process's rank.

        Raises:
            Diverged: a loss, a gradient or the validation is not a finite number; the checkpoint is the one before.
        """
        begin = time.perf_counter()
        number, rank = self.progress.epoch, self.together.rank
        torch.manual_seed(self.settings.seed * 100_003 + number + rank * 1_000_003)
        self.rng = np.random.default_rng([self.settings.seed, number, 1, *([rank] if rank else [])])  # of candidates
        means = Means(("sr", "dr") if self.inputs.explanations is None else ("sr", "dr", "explanation"))
        self.generator.train()
        done = 0
        for batch in self.schedule.all_batches(number):
            rate = self.learning_rate(number * steps + done, self.settings.epochs * steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            task = TASK_OF[type(batch)]
            mine, share = self.together.share_of(batch)
            losses = self.losses(mine, share) if share else None
            step = gradients(self.generator, losses, self.settings.alignment, share, self.together)
            done += 1
            if fault := step.fault(task.upper()):
                raise self.diverged(f"step {done}: {fault}")
            self.optimizer.step()
            means.add(task, step, len(batch.users))
            shown.advance(1)
            shown.row(row_of(means, self.progress, time.perf_counter() - begin))
        shown.advance(steps - done)
        trained = time.perf_counter() - begin
        self.generator.eval()
        score = self.together.agreed(self.validate(self.generator) if self.together.main else 0.0)
        if not math.isfinite(score):
            raise self.diverged(f"at its end: validation NDCG@10 is {score}")
        self.progress.epoch += 1
        entry = {"epoch": self.progress.epoch, **means.values(), "valid_ndcg10": score}
        entry |= {"learning_rate": self.settings.learning_rate, "users_per_second": round(means.users / trained, 1)}
        entry["seconds"] = round(time.perf_counter() - begin, 2)
        self.progress.log.append(entry)
        if score > self.progress.best_score:
            self.progress.best_epoch, self.progress.best_score = self.progress.epoch, score
            self.best = {k: v.detach().cpu().clone() for k, v in self.generator.state_dict().items()}
        if self.told:
            self.told(entry)
        shown.row(row_of(means, self.progress, trained, score))
        shown.end_row()

    def diverged(self, what: str) -> Diverged:
        """The error that ends a training: what is wrong where in this epoch, and what is left."""
        kept = remedy(self.settings, self.progress, self.checkpoint)
        told = f"training diverged in epoch {self.progress.epoch + 1}, {what}"
        return Diverged(told, lower_rate(self.settings), kept)

    def losses(self, batch: Batch | ExplanationBatch, share: float = 1.0) -> Losses:
        """The losses of one batch, or of the rows of it that a process works on: ``share`` of them."""
        profile = self.inputs.groups.take(batch.users)
        group = group_tensors(profile, self.device, batch.with_group)
        own = batch.items if isinstance(batch, SequentialBatch | NextItemBatch) else batch.bags
        rows = torch.from_numpy(own).to(self.device)
        mask = torch.from_numpy(batch.mask).to(self.device)
        generator, drawn, read = self.generator, None, [rows.flatten(), group.rows.flatten()]
        if isinstance(batch, ExplanationBatch):
            read.append(torch.from_numpy(batch.explained).to(self.device))
        elif not isinstance(generator, TokenGenerator):
            assert not isinstance(batch, NextItemBatch)
            drawn = self.scoring.drawn(batch, self.rng, self.device)
            read.append(drawn.candidates.items)
        with autocast(self.device):
            items = generator.items(torch.unique(torch.cat(read)))
            token, interest = generator.group_token(items, group)
            if isinstance(batch, ExplanationBatch):
                loss, weight = explanation_loss(generator, items, rows, mask, token, batch), share
            elif isinstance(generator, TokenGenerator):
                assert not isinstance(batch, SequentialBatch)
                loss, weight = sequence_loss(generator, items, rows, mask, token, batch), share
            elif isinstance(batch, SequentialBatch):
                assert drawn is not None
                # the last item of a window is read for nothing
                states = generator.sequential(items, rows[:, :-1], mask[:, :-1], token)
                loss = self.scoring(generator, items, states, drawn)
                # every target of an epoch weighs the same
                weight = len(drawn.examples) / self.schedule.targets_per_batch()
            else:
                assert drawn is not None and isinstance(batch, DirectBatch)
                states = generator.direct(items, rows, mask, token)[:, None]
                loss, weight = self.scoring(generator, items, states, drawn), share
        with_group = torch.from_numpy(profile.present).to(self.device)
        if self.model_settings.group == "none" or int(with_group.sum()) < 2:
            return Losses(loss, loss.new_zeros(()), weight, {})
        individual = individual_interest(items, rows, mask)
        if isinstance(batch, DETACHED[self.settings.alignment_direction]):
            individual = individual.detach()
        compared = {"individual": individual[with_group], "group": interest[with_group]}
        for side in compared.values():
            if side.requires_grad:
                side.retain_grad()  # what the alignment asks of it is in the log
        aligned = alignment_loss(compared["group"], compared["individual"], self.settings.alignment_temperature)
        return Losses(loss, aligned, weight, compared)
