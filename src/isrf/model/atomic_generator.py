"""The generator: a T5 encoder-decoder that writes item identifiers, one atomic token an item (paper, step 3).

The encoder reads the task, the group interest and, in direct recommendation, the person's items as a set. In
sequential recommendation the decoder reads the history and predicts the next item at every position at once, so that
one pass trains on all of it. What the interest graphs say about an item is added to its score through gates that the
state sets. Knows nothing about files, training or fusion, nor where evidence comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from isrf.core.config import ModelSettings
from isrf.core.errors import IsrfError
from isrf.data.queries import TASKS, Task
from isrf.graphs.evidence import EVIDENCE
from isrf.model.encoder_states import EncoderStates
from isrf.model.explainer import Explainer
from isrf.model.interests import Group, GroupInterest, ItemEmbeddings, individual_interest
from isrf.model.t5 import T5, Cache, Sizes

SEQUENTIAL, DIRECT, START, NO_GROUP = range(4)
"""Special tokens: the two tasks, the decoder's start, and what stands for a group that is not there."""

INITIAL_SCALE = 0.1
"""Of T5's initial weights: with its own, untrained layers add as much noise to a state as the items that were read."""

NEVER = -1e4
"""Logit of what is excluded."""

GATES_AT_FIRST = {"transitions": 4.0, "companions": 4.0, "group": 2.0}
"""What evidence counts before anything is learned, in nats a unit: about where gates end on the Amazon sets."""

GATE_SPEED = 10.0
"""Gates weigh whole nats, embeddings cosines: at the learning rate of the others they would hardly move."""


@dataclass(frozen=True)
class Candidates:
    """What the softmax of N training targets is taken over.

    Attributes:
        items: (C,) int64 item rows, ascending up to any that only fill up the shape.
        correction: (C,) float32 taken off each logit (``core.sampled_softmax``).
        evidence: (K, N, C) float32 what the interest graphs say about them (``graphs.evidence``).
        excluded: (N, C) bool, candidates that are no alternative to a target.
    """

    items: torch.Tensor
    correction: torch.Tensor
    evidence: torch.Tensor
    excluded: torch.Tensor


def evidence_read(settings: ModelSettings) -> tuple[str, ...]:
    """Kinds of evidence that a generator of these settings adds to its scores, the group's only where it is consumed."""
    if not settings.graph_evidence:
        return ()
    return tuple(name for name in EVIDENCE if name != "group" or settings.group == "consumed")


def sizes_of(settings: ModelSettings) -> Sizes:
    """Of a T5 as in the settings. Raises IsrfError where the width is no multiple of the heads."""
    if settings.d_model % settings.heads:
        raise IsrfError(f"model.d_model={settings.d_model} must be a multiple of model.heads={settings.heads}")
    return Sizes(
        width=settings.d_model,
        heads=settings.heads,
        encoder_layers=settings.encoder_layers,
        decoder_layers=settings.decoder_layers,
        dropout=settings.dropout,
        scale=INITIAL_SCALE,
    )


class AtomicGenerator(nn.Module):
    """T5 over item tokens with both interests as input.

    Args:
        settings: sizes and dropout.
        item_features: (I, k) float32 for ``ItemEmbeddings``.
        user_dimensions: width of semantic user features.
    """

    scale, t5_drops_input = 1.0, False  # as ``explainer.Host`` says

    def __init__(self, settings: ModelSettings, item_features: torch.Tensor, user_dimensions: int) -> None:
        super().__init__()
        d = settings.d_model
        self.settings = settings
        self.explainer: Explainer | None = None  # of a source with review explanations (``model.explainer``)
        self.items = ItemEmbeddings(item_features, d, settings.adapter_width, dropout=0.1)
        self.group = GroupInterest(d, user_dimensions)
        self.special = nn.Embedding(4, d)
        self.norm_in = nn.LayerNorm(d)
        self.norm_out = nn.LayerNorm(d)
        self.dropout = nn.Dropout(settings.dropout)
        self.t5 = T5(sizes_of(settings))
        # an item bias lets the model say "popular" without bending the embeddings towards it
        self.bias = nn.Parameter(torch.zeros(len(item_features)))
        self.evidence = evidence_read(settings)
        if self.evidence:
            # a gate is softplus(GATE_SPEED * (weight @ state + bias)), the same for every state at first
            first = torch.tensor([GATES_AT_FIRST[name] for name in self.evidence] * len(TASKS))
            self.gate = nn.Linear(d, len(first))
            nn.init.zeros_(self.gate.weight)
            with torch.no_grad():
                self.gate.bias.copy_(torch.expm1(first).log() / GATE_SPEED)

    def group_token(self, items: torch.Tensor, group: Group) -> tuple[torch.Tensor, torch.Tensor]:
        """As ``GroupInterest.token``."""
        return self.group.token(items, group, self.special.weight[NO_GROUP])

    def encoder_states(self, inputs: torch.Tensor) -> torch.Tensor:
        """As ``explainer.Host`` says."""
        return self.t5.encoder(inputs)

    def decoder_states(self, inputs: torch.Tensor, encoded: EncoderStates, cache: Cache | None) -> torch.Tensor:
        """As ``explainer.Host`` says."""
        return self.t5.decoder(inputs, encoded=encoded, cache=cache)

    def new_cache(self) -> Cache:
        """As ``explainer.Host`` says."""
        return {}

    def sequential(
        self, items: torch.Tensor, histories: torch.Tensor, mask: torch.Tensor, token: torch.Tensor
    ) -> torch.Tensor:
        """Hidden states (B, L + 1, d): state t has read the group and the first t items of the history.

        Args:
            items: (I, d) item embeddings.
            histories: (B, L) int64 item rows, oldest first, padded on the right.
            mask: (B, L) float32, 1 where there is an item.
            token: (B, d) group token.
        """
        size = len(histories)
        encoder_input = torch.stack([self.special.weight[SEQUENTIAL].expand(size, -1), token], 1)
        start = self.special.weight[START].expand(size, 1, -1)
        decoder_input = torch.cat([start, self.dropout(self.norm_in(items[histories]))], 1)
        decoder_mask = torch.cat([torch.ones_like(mask[:, :1]), mask], 1)
        read = self.t5.encoder(self.dropout(encoder_input))
        encoded = EncoderStates(read, torch.ones_like(mask[:, :1]).expand(-1, 2))
        return self._direction(self.t5.decoder(decoder_input, decoder_mask, encoded))

    def direct(self, items: torch.Tensor, bags: torch.Tensor, mask: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """Hidden states (B, d) of the one item to write for people whose items are known without an order.

        Args:
            items: (I, d) item embeddings.
            bags: (B, L) int64 item rows in an order that says nothing, padded on the right.
            mask: (B, L) float32.
            token: (B, d) group token.
        """
        size = len(bags)
        person = self.norm_in(individual_interest(items, bags, mask))
        lead = torch.stack([self.special.weight[DIRECT].expand(size, -1), token, person], 1)
        encoder_input = torch.cat([self.dropout(lead), self.dropout(self.norm_in(items[bags]))], 1)
        encoder_mask = torch.cat([torch.ones_like(mask[:, :1]).expand(-1, 3), mask], 1)
        encoded = EncoderStates(self.t5.encoder(encoder_input, encoder_mask), encoder_mask)
        start = self.special.weight[START].expand(size, 1, -1)
        return self._direction(self.t5.decoder(start, encoded=encoded)[:, 0])

    def gates(self, hidden: torch.Tensor, task: Task) -> torch.Tensor:
        """(N, K) float32 > 0: how much each kind of evidence counts for each of N states, in nats a unit."""
        if not self.evidence:
            return hidden.new_zeros(len(hidden), 0)
        with torch.autocast(hidden.device.type, enabled=False):
            unit = hidden.float() * self.settings.temperature
            found = F.softplus(GATE_SPEED * self.gate(unit)).view(len(hidden), len(TASKS), len(self.evidence))
        return found[:, TASKS.index(task)]

    def logits(self, items: torch.Tensor, hidden: torch.Tensor, evidence: torch.Tensor, task: Task) -> torch.Tensor:
        """(N, I) float32: one decoding step scores the whole catalogue (atomic identifiers).

        Args:
            items: (I, d) item embeddings.
            hidden: (N, d) states.
            evidence: (K, N, I) float32 what the interest graphs say (``evidence_read``).
            task: whose gates weigh it.
        """
        logits = F.linear(hidden, items, self.bias.to(hidden.dtype)).float()
        return self._with_evidence(logits, hidden, evidence, task)

    def loss(
        self,
        items: torch.Tensor,
        hidden: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        candidates: Candidates,
        task: Task,
    ) -> torch.Tensor:
        """Softmax cross-entropy of N targets over C candidates, summed with their weights; a scalar.

        Args:
            items: (I, d) item embeddings.
            hidden: (N, d) states.
            targets: (N,) int64 item rows, among the candidates where their weight is not zero.
            weights: (N,) float32, zero for padding.
            candidates: what the softmax is taken over.
            task: whose gates weigh the evidence.
        """
        rows = candidates.items
        logits = (hidden @ items[rows].T).float()
        logits += self.bias[rows] - candidates.correction
        logits = self._with_evidence(logits, hidden, candidates.evidence, task).masked_fill_(candidates.excluded, NEVER)
        places = torch.searchsorted(rows, targets).clamp(max=len(rows) - 1)
        return (F.cross_entropy(logits, places, reduction="none") * weights).sum()

    def _with_evidence(
        self, logits: torch.Tensor, hidden: torch.Tensor, evidence: torch.Tensor, task: Task
    ) -> torch.Tensor:
        if len(evidence) != len(self.evidence):
            raise ValueError(f"{len(evidence)} kinds of evidence for a generator that reads {len(self.evidence)}")
        for gate, said in zip(self.gates(hidden, task).T, evidence, strict=True):
            logits.addcmul_(gate[:, None], said)  # in place: a new array of that size costs as much as the sum
        return logits

    def _direction(self, states: torch.Tensor) -> torch.Tensor:
        """States whose dot product with an item is their cosine over the temperature."""
        return F.normalize(self.norm_out(states), dim=-1) / self.settings.temperature


def new_atomic_generator(
    settings: ModelSettings, item_features: np.ndarray, user_dimensions: int, seed: int = 0
) -> AtomicGenerator:
    """A generator with random weights drawn by the seed; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AtomicGenerator(
            settings, torch.from_numpy(np.ascontiguousarray(item_features, dtype=np.float32)), user_dimensions
        )
