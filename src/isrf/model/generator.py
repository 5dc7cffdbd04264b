"""The generator: a T5 encoder-decoder that writes item identifiers, one atomic token an item (paper, step 3).

The encoder reads the task, the group interest and, in direct recommendation, the person's items as a set. In
sequential recommendation the decoder reads the history and predicts the next item at every position at once, so that
one pass trains on all of it. Knows nothing about files, training or fusion.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from transformers import T5Config, T5Model
from transformers.models.t5.modeling_t5 import T5Attention, T5DenseActDense

from isrf.config import ModelSettings
from isrf.errors import IsrfError
from isrf.model.interests import GroupInterest, ItemEmbeddings, individual_interest

SEQUENTIAL, DIRECT, START, NO_GROUP = range(4)
"""Special tokens: the two tasks, the decoder's start, and what stands for a group that is not there."""

INITIAL_SCALE = 0.1
"""Of T5's initial weights: with its own, untrained layers add as much noise to a state as the items that were read."""


@dataclass(frozen=True)
class Group:
    """The group profiles of a batch as tensors (``graphs.group.GroupProfile``).

    Attributes:
        rows: (B, P) int64.
        weights: (B, P) float32.
        semantics: (B, d) float32.
        present: (B,) bool; False reads NO_GROUP instead.
    """

    rows: torch.Tensor
    weights: torch.Tensor
    semantics: torch.Tensor
    present: torch.Tensor


def sizes_of(settings: ModelSettings) -> T5Config:
    """A T5 of the sizes in the settings. Raises IsrfError where the width is no multiple of the heads."""
    d = settings.d_model
    if d % settings.heads:
        raise IsrfError(f"model.d_model={d} must be a multiple of model.heads={settings.heads}")
    return T5Config(
        vocab_size=1,  # tokens enter as embeddings: the T5's own table is never read
        d_model=d,
        d_kv=d // settings.heads,
        num_heads=settings.heads,
        d_ff=4 * d,
        num_layers=settings.encoder_layers,
        num_decoder_layers=settings.decoder_layers,
        dropout_rate=settings.dropout,
        use_cache=False,
        pad_token_id=0,
        eos_token_id=None,
        decoder_start_token_id=0,
    )


class Generator(nn.Module):
    """T5 over item tokens with both interests as input.

    Args:
        settings: sizes and dropout.
        item_features: (I, k) float32 for ``ItemEmbeddings``.
        user_dimensions: width of semantic user features.
    """

    def __init__(self, settings: ModelSettings, item_features: torch.Tensor, user_dimensions: int) -> None:
        super().__init__()
        d = settings.d_model
        self.settings = settings
        self.items = ItemEmbeddings(item_features, d, settings.adapter_width, dropout=0.1)
        self.group = GroupInterest(d, user_dimensions)
        self.special = nn.Embedding(4, d)
        self.norm_in = nn.LayerNorm(d)
        self.norm_out = nn.LayerNorm(d)
        self.dropout = nn.Dropout(settings.dropout)
        config = sizes_of(settings)
        config.initializer_factor = INITIAL_SCALE
        self.t5 = T5Model(config)
        # dropout strikes what is read and what each sub-layer adds: T5 would strike the input twice, the final states,
        # and attention weights of histories that have only a handful of items
        self.t5.encoder.dropout = self.t5.decoder.dropout = nn.Identity()
        for part in self.t5.modules():
            if isinstance(part, T5Attention):
                part.dropout = 0.0
            elif isinstance(part, T5DenseActDense):
                part.dropout = nn.Identity()
        # an item bias lets the model say "popular" without bending the embeddings towards it
        self.bias = nn.Parameter(torch.zeros(len(item_features)))

    def group_token(self, items: torch.Tensor, group: Group) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, d) what the encoder reads of the group, and (B, d) g_u itself (meaningless where absent)."""
        interest = self.group(items, group.rows, group.weights, group.semantics)
        token = torch.where(group.present[:, None], interest, self.special.weight[NO_GROUP])
        return token, interest

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
        out = self.t5(
            inputs_embeds=self.dropout(encoder_input),
            decoder_inputs_embeds=decoder_input,
            decoder_attention_mask=decoder_mask,
        )
        return self._direction(out.last_hidden_state)

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
        out = self.t5(
            inputs_embeds=encoder_input,
            attention_mask=encoder_mask,
            decoder_inputs_embeds=self.special.weight[START].expand(size, 1, -1),
        )
        return self._direction(out.last_hidden_state[:, 0])

    def logits(self, items: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """(N, I) float32: one decoding step scores the whole catalogue (atomic identifiers)."""
        return F.linear(hidden, items, self.bias.to(hidden.dtype)).float()

    def loss(
        self,
        items: torch.Tensor,
        hidden: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        candidates: torch.Tensor,
        correction: torch.Tensor,
    ) -> torch.Tensor:
        """Softmax cross-entropy of N targets over C candidates, summed with their weights; a scalar.

        Args:
            items: (I, d) item embeddings.
            hidden: (N, d) states.
            targets: (N,) int64 item rows, among the candidates where their weight is not zero.
            weights: (N,) float32, zero for padding.
            candidates: (C,) int64 item rows, ascending up to any that only fill up the shape.
            correction: (C,) float32 taken off each logit (``data.candidates``).
        """
        logits = (hidden @ items[candidates].T).float() + (self.bias[candidates] - correction)
        places = torch.searchsorted(candidates, targets).clamp(max=len(candidates) - 1)
        return (F.cross_entropy(logits, places, reduction="none") * weights).sum()

    def _direction(self, states: torch.Tensor) -> torch.Tensor:
        """States whose dot product with an item is their cosine over the temperature."""
        return F.normalize(self.norm_out(states), dim=-1) / self.settings.temperature
