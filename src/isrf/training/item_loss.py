"""Task loss of a generator that scores whole items: what a batch predicts, and a softmax over a part of the catalogue.

Knows nothing about the loop of training nor about workspaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from isrf.core.sampled_softmax import candidates_of
from isrf.data.training_data import TrainingData
from isrf.graphs.evidence import Examples, TrainingEvidence
from isrf.model.atomic_generator import AtomicGenerator, Candidates
from isrf.semantics.encode import fast_bfloat16
from isrf.training.batches import DirectBatch, SequentialBatch


def shapes() -> int:
    """Predictions of a batch, and candidates, are padded to a multiple of this.

    Kernels of bfloat16 are compiled for each shape, so shapes should be few; those of float32 are not, and padding is work.
    """
    return 256 if fast_bfloat16() else 16


def predictions_of(batch: SequentialBatch | DirectBatch) -> tuple[Examples, np.ndarray, np.ndarray, np.ndarray]:
    """What a batch predicts: N examples; (N,) their rows of the batch; (N,) which state of a row; (N,) float32 weights.

    In SR every target of a batch weighs the same, whatever the length of the windows it shares the batch with; in DR
    every person does. Weights sum to one.
    """
    if isinstance(batch, DirectBatch):
        rows, which = np.nonzero(batch.target_weights)
        weights = batch.target_weights[rows, which] / len(batch.users)
        return (
            Examples(
                batch.users[rows],
                batch.bags[rows],
                batch.places[rows],
                batch.mask[rows] > 0,
                batch.targets[rows, which],
                batch.target_places[rows, which],
                batch.with_group[rows],
                ordered=False,
            ),
            rows,
            np.zeros_like(rows),
            weights.astype(np.float32),
        )
    rows, at = np.nonzero(batch.is_target)
    index = np.arange(batch.items.shape[1])
    begins = batch.begins[rows]
    examples = Examples(
        batch.users[rows],
        batch.items[rows],
        begins[:, None] + index,
        index[None] < at[:, None],  # padding stands behind every target
        batch.items[rows, at],
        begins + at,
        batch.with_group[rows],
        ordered=True,
    )
    # state t has read the first t items: it predicts item t
    return examples, rows, at, np.full(len(rows), 1 / max(len(rows), 1), dtype=np.float32)


@dataclass(frozen=True)
class Drawn:
    """N predictions of a batch and what each is weighed against.

    Attributes:
        examples: N predictions.
        rows: (N,) int64 rows of the batch.
        at: (N,) int64 which state of a row.
        weights: (N,) float32 summing to one.
        candidates: of the softmax.
    """

    examples: Examples
    rows: np.ndarray
    at: np.ndarray
    weights: np.ndarray
    candidates: Candidates


class ScoringLoss:
    """Softmax cross-entropy over the targets of a step, as much as each counts, and drawn items.

    Args:
        training: histories.
        negatives: items drawn a step; 0 takes the whole catalogue.
        evidence: what the generator reads of the interest graphs; None where it reads none.
    """

    def __init__(self, training: TrainingData, negatives: int, evidence: TrainingEvidence | None) -> None:
        self.training, self.evidence = training, evidence
        self.negatives = negatives or training.n_items
        self.share = training.counts / max(len(training.histories.items), 1)

    def drawn(self, batch: SequentialBatch | DirectBatch, rng: np.random.Generator, device: torch.device) -> Drawn:
        """What a batch predicts and what its softmax is taken over; ``rng`` draws candidates."""
        examples, rows, at, weights = predictions_of(batch)
        if self.training.histories.weights is not None:
            places = self.training.histories.offsets[:-1][examples.users] + examples.target_places
            weights = weights * self.training.histories.weights[places]
            weights = weights / max(float(weights.sum()), 1e-12)
        return Drawn(examples, rows, at, weights, self.candidates(examples, rng, device))

    def __call__(
        self, generator: AtomicGenerator, items: torch.Tensor, states: torch.Tensor, drawn: Drawn
    ) -> torch.Tensor:
        """The loss of a batch, a mean over its predictions.

        Args:
            items: (I, d) item embeddings, at least those of the candidates.
            states: (B, T, d) states of the generator; T is 1 in DR.
            drawn: of the same batch.
        """
        examples = drawn.examples
        missing = -len(examples) % shapes()
        hidden = states[torch.from_numpy(drawn.rows), torch.from_numpy(drawn.at)]
        return generator.loss(
            items,
            F.pad(hidden, (0, 0, 0, missing)),
            torch.from_numpy(np.pad(examples.targets, (0, missing))).to(items.device),
            torch.from_numpy(np.pad(drawn.weights, (0, missing))).to(items.device),
            drawn.candidates,
            "sequential" if examples.ordered else "direct",
        )

    def candidates(self, examples: Examples, rng: np.random.Generator, device: torch.device) -> Candidates:
        """What the softmax of a step is taken over; examples and candidates padded to multiples of ``shapes``."""
        chosen, chance = candidates_of(examples.targets, self.negatives, self.share, rng)
        # the person's other items are no negatives: ranking leaves them out as seen
        own = self.training.matrix[examples.users][:, chosen].toarray() > 0
        own &= chosen[None] != examples.targets[:, None]
        rows, columns = -len(examples) % shapes(), -len(chosen) % shapes()
        kinds = 0 if self.evidence is None else self.evidence.kinds
        told = np.zeros((kinds, len(examples) + rows, len(chosen) + columns), dtype=np.float32)
        if self.evidence is not None:
            self.evidence.fill(told, examples, chosen)
        # what only fills up the shape has a logit far below all others
        correction = np.pad(np.log(chance), (0, columns), constant_values=1e4).astype(np.float32)
        return Candidates(
            torch.from_numpy(np.pad(chosen, (0, columns), mode="edge")).to(device),
            torch.from_numpy(correction).to(device),
            torch.from_numpy(told).to(device),
            torch.from_numpy(np.pad(own, ((0, rows), (0, columns)))).to(device),
        )
