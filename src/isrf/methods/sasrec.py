"""SASRec: a causal transformer over item identifiers. Knows nothing about text, graphs or who the person is.

Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018: item embeddings shared between input and output,
learned positions, causal self-attention, every position trained. What differs makes it strong: layer norm before each
sub-layer, a softmax over many items, and cosines over a temperature as scores. Defaults: validation of Amazon Beauty.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from isrf.core.errors import CannotFit
from isrf.core.progress import task
from isrf.core.sampled_softmax import candidates_of
from isrf.core.shell import argument
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.methods.sasrec_batches import WIDTH_STEP, Batch, batches, padded
from isrf.methods.sasrec_network import Network
from isrf.methods.score_inputs import Reads
from isrf.semantics.encode import fast_bfloat16

BATCHES_PER_EPOCH, SMALLEST_BATCH = 64, 16
"""A log too small for this many batches an epoch gets smaller batches, down to SMALLEST_BATCH."""

ROWS_STEP = 256
"""Numbers of targets and candidates are padded to a multiple: kernels are compiled for each new shape."""

WARMUP_STEPS, GRADIENT_NORM = 200, 5.0
"""Steps of linear warm-up, fewer where training is short; gradients' largest norm."""

SCORED_AT_ONCE, BLOCK = 128, 4096
"""People of like history length, and items as histories of their own, that pass through the network together."""


class SASRec:
    """The state after a history, from a learned start token on, scores every item by its dot product with it.

    In the direct task there is no order to read. The state is then the mean over the history's items of the state after
    that one item alone, so that the same network answers without being told what came first.

    Args:
        dimensions: d, width of embeddings and states.
        layers: transformer blocks.
        heads: attention heads; dimensions must be a multiple.
        dropout: on embeddings and on what each sub-layer adds.
        temperature: cosines are divided by it before the softmax.
        history: most recent items that are read; longer training histories are cut into windows.
        epochs: passes over the training interactions; nothing stops earlier, as fitting sees no held-out item.
        batch_size: most windows in a step; a small log gets smaller ones.
        learning_rate: AdamW, peak after warm-up, cosine decay to zero.
        weight_decay: AdamW, on matrices.
        candidates: items drawn uniformly for a step's softmax, beside all targets of the step; logits are corrected for
            how likely each item was to be there. From the catalogue's size on the softmax is over all items.
        seed: of initial weights, batches, dropout and candidates.
        max_items: largest catalogue accepted; an item takes about 20 d bytes while training.

    Raises:
        ValueError: ``dimensions`` is no multiple of ``heads``.
    """

    name = "sasrec"
    reads = Reads(order=True, consumer="a trained transformer over item identifiers")
    _alone: np.ndarray | None

    def __init__(
        self,
        dimensions: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.3,
        temperature: float = 0.1,
        history: int = 50,
        epochs: int = 16,
        batch_size: int = 256,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        candidates: int = 1024,
        seed: int = 0,
        max_items: int = 2_000_000,
    ) -> None:
        if dimensions % heads:
            raise ValueError(f"{dimensions} dimensions cannot be shared by {heads} heads")
        self.dimensions, self.layers, self.heads = dimensions, layers, heads
        self.dropout, self.temperature = dropout, temperature
        self.history, self.epochs, self.batch_size = history, epochs, batch_size
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.candidates, self.seed, self.max_items = candidates, seed, max_items

    def fit(self, training: TrainingData) -> None:
        """Raises CannotFit where the catalogue is larger than ``max_items``, or training diverges."""
        if training.n_items > self.max_items:
            raise CannotFit(
                f"sasrec: {training.n_items:,} items would take {20 * self.dimensions * training.n_items / 1e9:.0f} GB "
                "and hours; leave sasrec out for this catalogue"
            )
        for _ in self.training_epochs(training):
            pass

    def training_epochs(self, training: TrainingData) -> Iterator[float]:
        """Train epoch by epoch; after each the method can score. Yields the epoch's mean loss."""
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with self.seeded(0):
            positions = -(-self.history // WIDTH_STEP) * WIDTH_STEP  # windows are padded to that
            sizes = self.dimensions, self.layers, self.heads, self.dropout, self.temperature, positions
            network = Network(training.n_items, *sizes)
        network.to(self._device)
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in network.parameters() if p.ndim >= 2], "weight_decay": self.weight_decay},
                {"params": [p for p in network.parameters() if p.ndim < 2], "weight_decay": 0.0},
            ],
            lr=self.learning_rate,
            betas=(0.9, 0.98),
        )
        histories = training.histories
        pieces = int((-(-histories.lengths // self.history)).sum())
        size = min(self.batch_size, max(pieces // BATCHES_PER_EPOCH, SMALLEST_BATCH))
        steps = math.ceil((pieces + int((histories.lengths > self.history).sum())) / size)
        share = training.counts / max(training.counts.sum(), 1)
        with task("sasrec: training", total=self.epochs * steps) as running:
            for epoch in range(self.epochs):
                rng = np.random.default_rng([self.seed, epoch])
                losses = []
                network.train()
                with self.seeded(epoch + 1):
                    for step, batch in enumerate(batches(histories, self.history, size, rng)):
                        for group in optimizer.param_groups:
                            group["lr"] = self.learning_rate * schedule(epoch * steps + step, self.epochs * steps)
                        loss = self.loss(network, batch, share, rng)
                        optimizer.zero_grad()
                        loss.backward()
                        norm = nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
                        if not torch.isfinite(norm):
                            raise CannotFit(
                                f"sasrec diverged in epoch {epoch + 1}; lower its learning_rate where it is made in "
                                f"code; in a bench give it other seeds ({argument('seeds')}) or leave it out"
                            )
                        optimizer.step()
                        losses.append(loss.item())
                        running.advance()
                running.advance(steps - len(losses))  # windows of long histories are cut anew each epoch
                running.say(f"epoch {epoch + 1} loss {np.mean(losses):.3f}")
                self._network, self._alone = network.eval(), None
                yield float(np.mean(losses))

    def loss(self, network: Network, batch: Batch, share: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """Softmax cross-entropy of one batch, mean over states, scalar.

        Args:
            network: in training mode.
            batch: windows; each state predicts the item after it.
            share: (I,) share of each item in all training interactions.
            rng: draws the candidates.
        """
        chosen, chance = candidates_of(batch.targets, self.candidates, share, rng)
        missing = -len(batch.targets) % ROWS_STEP
        targets = np.pad(np.searchsorted(chosen, batch.targets), (0, missing))
        # candidates that only fill up the shape have no chance to be there: their corrected logit is far below all
        filling = -len(chosen) % ROWS_STEP
        rows = torch.from_numpy(np.pad(chosen, (0, filling))).to(self._device)
        correction = torch.from_numpy(np.pad(np.log(chance), (0, filling), constant_values=1e4).astype(np.float32))
        inputs, mask = torch.from_numpy(batch.rows[:, :-1]).to(self._device), torch.from_numpy(batch.mask)
        half = fast_bfloat16()
        precision: AbstractContextManager = torch.autocast(self._device.type, torch.bfloat16) if half else nullcontext()
        with precision:
            hidden = F.pad(network(inputs, half)[mask.to(self._device)], (0, 0, 0, missing))
        kind = torch.bfloat16 if half else torch.float32
        table = F.normalize(network.items(rows), dim=-1).to(kind)
        known = correction.to(self._device), torch.from_numpy(targets).to(self._device), len(batch.targets)
        return CrossEntropy.apply(hidden.to(kind), table, *known)

    @torch.no_grad()
    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32."""
        table = F.normalize(self._network.items.weight, dim=-1)
        if not queries.ordered:
            links = queries.histories.matrix(len(table))
            counts = np.maximum(queries.histories.lengths, 1)[:, None]
            return np.asarray((links @ self.alone() / counts) @ table.cpu().numpy().T, dtype=np.float32)
        recent = queries.histories.recent(self.history)
        scores = np.empty((len(queries), len(table)), dtype=np.float32)
        order = np.argsort(recent.lengths, kind="stable")  # people of like length together: little padding
        for begin in range(0, len(order), SCORED_AT_ONCE):
            chosen = order[begin : begin + SCORED_AT_ONCE]
            histories = recent.take(chosen)
            rows, _ = padded(histories.items, histories.offsets[:-1], histories.offsets[1:])
            states = self._network(torch.from_numpy(rows).to(self._device))
            last = states[torch.arange(len(chosen)), torch.from_numpy(histories.lengths)]
            scores[chosen] = (last @ table.T).cpu().numpy()
        return scores

    def alone(self) -> np.ndarray:
        """(I, d) float32: the state after each item as a whole history; worked out once after training."""
        if self._alone is None:
            rows = torch.arange(len(self._network.items.weight), device=self._device)[:, None]
            self._alone = np.concatenate([self._network(block)[:, 1].cpu().numpy() for block in rows.split(BLOCK)])
        return self._alone

    @contextmanager
    def seeded(self, number: int) -> Iterator[None]:
        """Torch draws by (seed, number) inside; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(self.seed * 100_003 + number)
            yield


class CrossEntropy(torch.autograd.Function):
    """Cross-entropy of softmax(hidden table^t - correction), mean over the rows that count.

    The gradient is worked out on the way forward in the logits' own memory: half the time of autograd's own chain.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, table: torch.Tensor, correction: torch.Tensor, targets: torch.Tensor, count: int
    ) -> torch.Tensor:
        """Scalar from (N, d), (C, d), (C,) float32 and (N,) int64 rows of the table; only the first ``count`` count."""
        logits = (hidden @ table.T).float().sub_(correction)
        rows = targets[:, None]
        wanted = logits.gather(1, rows)
        highest = logits.amax(1, keepdim=True)
        sums = logits.sub_(highest).exp_().sum(1, keepdim=True)
        loss = (sums.log() + highest - wanted)[:count].mean()
        gradient = logits.div_(sums).scatter_add_(1, rows, torch.full_like(sums, -1)).div_(count)
        gradient[count:] = 0
        narrow = gradient.to(hidden.dtype)
        ctx.save_for_backward(narrow @ table, narrow.T @ hidden)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None, None]:
        hidden, table = ctx.saved_tensors
        return hidden * gradients[0], table * gradients[0], None, None, None


def schedule(step: int, total: int) -> float:
    """Share of the peak learning rate: linear warm-up, then a cosine to zero."""
    return min(1.0, (step + 1) / max(1, min(WARMUP_STEPS, total // 5))) * 0.5 * (1 + math.cos(math.pi * step / total))
