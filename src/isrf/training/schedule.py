"""What an epoch consists of: how many batches of each task, how large they are, and in which order they come.

SR batches alternate with DR batches and, where the data has review explanations, with batches of these (paper, step 3).
Knows nothing about losses and weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isrf.core.config import ModelSettings, TrainingSettings
from isrf.training.batches import WIDTH_STEP, Batch, direct_batches, next_item_batches, sequential_batches
from isrf.training.explanation_loss import ExplanationBatch, explanation_batches, interleaved
from isrf.training.inputs import TrainingInputs

BATCHES_PER_EPOCH, SMALLEST_BATCH = 64, 16
"""A log too small for this many SR batches an epoch gets smaller batches, down to SMALLEST_BATCH: with full batches it
would be over after too few steps to learn anything."""


@dataclass(frozen=True)
class Schedule:
    """The epochs of one training run.

    Attributes:
        inputs: data and graphs.
        model: sizes of the generator.
        settings: optimisation.
        writes: whether items are written, one target an example (``model.token_generator``), or scored at every position.
    """

    inputs: TrainingInputs
    model: ModelSettings
    settings: TrainingSettings
    writes: bool

    def steps_per_epoch(self) -> int:
        """SR batches and the batches of other tasks between them."""
        sequential = self.sequential_batches_per_epoch()
        explained = 0 if self.inputs.explanations is None else sequential // self.sr_per_explanation()
        return sequential + sequential // self.sr_per_dr() + explained

    def sequential_batches_per_epoch(self) -> int:
        """Upper bound, the same for every epoch: the cosine schedule must not depend on random window cuts."""
        # every width class may end on a batch that is not full
        return math.ceil(self.pieces() / self.batch_size()) + math.ceil(self.model.history / WIDTH_STEP)

    def pieces(self) -> int:
        """Most windows that an epoch can have."""
        lengths, width = self.inputs.training.histories.lengths, self.model.history
        return int(np.where(lengths > width, lengths // width + 2, lengths > 0).sum())

    def batch_size(self) -> int:
        """``training.batch_size``, less where the log is small (BATCHES_PER_EPOCH)."""
        return min(self.settings.batch_size, max(self.pieces() // BATCHES_PER_EPOCH, SMALLEST_BATCH))

    def sr_per_dr(self) -> int:
        """SR batches between two DR batches; a tiny log has one in every epoch too."""
        return min(self.settings.sr_per_dr, self.fewest_sequential_batches())

    def sr_per_explanation(self) -> int:
        """SR batches between two explanation batches; a tiny log has one in every epoch too."""
        return min(self.settings.sr_per_explanation, self.fewest_sequential_batches())

    def fewest_sequential_batches(self) -> int:
        """Lower bound of SR batches in an epoch."""
        return max(1, int((self.inputs.training.histories.lengths > 0).sum()) // self.batch_size())

    def targets_per_batch(self) -> float:
        """Targets of an SR batch, on average."""
        return max(len(self.inputs.training.histories.items) / max(self.sequential_batches_per_epoch(), 1), 1.0)

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """All SR batches of an epoch, one DR batch after every ``sr_per_dr`` of them, at least one an epoch."""
        histories, width, size = self.inputs.training.histories, self.model.history, self.batch_size()
        reads_group, dropout = self.reads_group(), self.model.group_dropout
        direct = direct_batches(histories, width, size, rng, reads_group, dropout)
        sequential: Iterator[Batch] = sequential_batches(histories, width, size, rng, reads_group, dropout)
        if self.writes:
            sequential = next_item_batches(histories, width, size, rng, reads_group, dropout)
        for index, batch in enumerate(sequential):
            yield batch
            if (index + 1) % self.sr_per_dr() == 0:
                following = next(direct, None)  # None where no user has two training items
                if following is not None:
                    yield following

    def all_batches(self, epoch: int) -> Iterator[Batch | ExplanationBatch]:
        """Of epoch ``epoch`` (from 0): ``batches`` and, where there are explanations, theirs between them.

        The others are the same either way; all depends on the seed and the epoch alone.
        """
        explanations, seed = self.inputs.explanations, self.settings.seed
        others = self.batches(np.random.default_rng([seed, epoch]))
        if explanations is None:
            return others
        own = np.random.default_rng([seed, epoch, 2])
        histories, width, size = self.inputs.training.histories, self.model.history, self.batch_size()
        dropout = self.model.group_dropout
        told = explanation_batches(explanations, histories, width, size, own, self.reads_group(), dropout)
        return interleaved(others, told, self.sr_per_explanation())

    def reads_group(self) -> np.ndarray:
        """(U,) bool: whose group the generator reads."""
        return self.inputs.groups.present & (self.model.group == "consumed")
