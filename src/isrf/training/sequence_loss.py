"""How a writer comes to be, and its task loss: identifiers, templates, the T5 that it starts from, one target an example.

Knows nothing about the loop of training, about workspaces or about beams.
"""

from __future__ import annotations

import torch

from isrf.data.queries import Task
from isrf.model.token_generator import TokenGenerator
from isrf.training.batches import DirectBatch, NextItemBatch


def sequence_loss(
    writer: TokenGenerator,
    items: torch.Tensor,
    rows: torch.Tensor,
    mask: torch.Tensor,
    token: torch.Tensor,
    batch: NextItemBatch | DirectBatch,
) -> torch.Tensor:
    """Scalar cross-entropy over the identifier tokens of one target a person, as much as it counts (``TokenGenerator.loss``).

    Args:
        items: (I, d) item embeddings.
        rows: (B, L) int64 item rows of the batch.
        mask: (B, L) float32.
        token: (B, d) group token.
        batch: where the targets come from; a DR example has several in random order, the first is taken.
    """
    direct = isinstance(batch, DirectBatch)
    task: Task = "direct" if direct else "sequential"
    targets = batch.targets[:, 0] if direct else batch.targets
    counts = None if batch.counts is None else torch.from_numpy(batch.counts).to(rows.device)
    return writer.loss(writer.encode(items, rows, mask, token, task), torch.from_numpy(targets).to(rows.device), counts)
