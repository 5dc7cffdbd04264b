"""The last passes over explanations, behind all epochs: the explainer's own weights learn, the model that ranks stays.

Epochs are chosen by how well they rank, and the one that ranks best may come before sentences are learned. Knows nothing
about workspaces.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from isrf.core.config import TrainingSettings
from isrf.core.progress import task
from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.inference import autocast, group_tensors
from isrf.model.token_generator import TokenGenerator
from isrf.training.explanation_loss import MOST_SENTENCES, explanation_batches, explanation_loss
from isrf.training.inputs import TrainingInputs
from isrf.training.optimizer_step import GRADIENT_NORM
from isrf.training.progress_rows import Diverged, lower_rate

FEWEST_STEPS = 200
"""A few hundred sentences would be over before a word is learned."""


def finish(host: AtomicGenerator | TokenGenerator, inputs: TrainingInputs, settings: TrainingSettings) -> None:
    """Train the explainer of ``host`` in place, and nothing else of it; everything drawn comes from the seed.

    Args:
        host: trained, in eval mode, as it is when this returns; without an explainer nothing is done.
        inputs: what it was trained on.
        settings: ``explanation_epochs`` passes, at least FEWEST_STEPS; learning rate as in training, without warm-up.
    """
    told, explainer = inputs.explanations, host.explainer
    if told is None or explainer is None or not settings.explanation_epochs:
        return
    size = min(settings.batch_size, MOST_SENTENCES)
    steps = max(settings.explanation_epochs * math.ceil(len(told.users) / size), FEWEST_STEPS)
    device = explainer.prompts.device
    optimizer = torch.optim.AdamW(explainer.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    reads_group = inputs.groups.present & (host.settings.group == "consumed")
    rng = np.random.default_rng([settings.seed, settings.epochs, 3])
    batches = explanation_batches(
        told, inputs.training.histories, host.settings.history, size, rng, reads_group, host.settings.group_dropout
    )
    host.requires_grad_(False)
    explainer.requires_grad_(True).train()
    with torch.no_grad():
        items = host.items()
    with torch.random.fork_rng(devices=[]), task("train explanations", steps) as running:
        torch.manual_seed(settings.seed)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            batch = next(batches)
            rows, mask = torch.from_numpy(batch.bags).to(device), torch.from_numpy(batch.mask).to(device)
            with autocast(device):
                token, _ = host.group_token(
                    items, group_tensors(inputs.groups.take(batch.users), device, batch.with_group)
                )
                loss = explanation_loss(host, items, rows, mask, token, batch)
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(explainer.parameters(), GRADIENT_NORM)
            if not torch.isfinite(norm):
                what = f"training of explanations diverged (loss {loss.item():.3g})"
                raise Diverged(what, lower_rate(settings), "lower training.learning_rate and run again")
            optimizer.step()
            running.advance()
    host.requires_grad_(True).eval()
