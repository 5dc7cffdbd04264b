"""T5 for inputs that are embeddings already: an encoder, a decoder, positions as a bias by distance.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", JMLR 2020. Weights are
named as in every T5 checkpoint, a seed draws the weights that the class of transformers draws, and states equal its states
(``tests/model/test_t5.py``). It is written out here because loading that library takes three seconds, which was half of
opening a workspace. Dropout strikes what each sub-layer adds, and nothing else. Knows nothing about tokens, items or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from isrf.model.encoder_states import EncoderStates

BUCKETS, EXACT_TO, FARTHEST = 32, 16, 128
"""Distances share BUCKETS weights a head: the nearer half of them one each, the others on a log scale up to FARTHEST. The
encoder halves buckets and EXACT_TO between both directions."""
EPSILON = 1e-6
"""Added to a variance."""


@dataclass(frozen=True)
class Sizes:
    """Of a T5.

    Attributes:
        width: d, of every state; a multiple of ``heads``.
        heads: of each attention.
        encoder_layers, decoder_layers: blocks of each stack.
        dropout: share of what a sub-layer adds.
        scale: of the weights that are drawn at first, 1 as in the paper.
    """

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    dropout: float
    scale: float


class Attention(nn.Module):
    """Attention of T5: scores are not scaled, and positions are a bias that the first layer of a stack learns for all."""

    def __init__(self, sizes: Sizes, positions: bool, both_ways: bool) -> None:
        super().__init__()
        self.heads, self.both_ways = sizes.heads, both_ways
        self.q, self.k, self.v, self.o = (nn.Linear(sizes.width, sizes.width, bias=False) for _ in range(4))
        if positions:
            self.relative_attention_bias = nn.Embedding(BUCKETS, sizes.heads)

    def draw(self, scale: float) -> None:
        """Initial weights."""
        width = self.q.in_features
        nn.init.normal_(self.q.weight, std=scale * (width * (width // self.heads)) ** -0.5)
        for part in (self.k, self.v, self.o):
            nn.init.normal_(part.weight, std=scale * width**-0.5)
        if hasattr(self, "relative_attention_bias"):
            nn.init.normal_(self.relative_attention_bias.weight, std=scale * width**-0.5)

    def position_bias(self, queries: int, before: int) -> torch.Tensor:
        """(1, heads, queries, before + queries): what the distance adds to the score of each of the last positions."""
        places = torch.arange(before + queries, device=self.q.weight.device)
        distance = places[None] - places[before:, None]
        return self.relative_attention_bias(buckets(distance, self.both_ways)).permute(2, 0, 1)[None]

    def forward(
        self,
        states: torch.Tensor,
        bias: torch.Tensor | None,
        mask: torch.Tensor | None,
        encoded: torch.Tensor | None = None,
        cache: Cache | None = None,
    ) -> torch.Tensor:
        """(B, L, d) of (B, L, d) states, which read themselves, or the encoder's.

        Args:
            bias: (1, heads, L, S) added to scores; None adds zeros.
            mask: (B or 1, 1, L or 1, S) bool, what may be read; None reads all.
            encoded: (B, S, d) of the encoder.
            cache: of the steps before; this one is added to it.
        """
        query, known = self._heads(self.q(states)), None if cache is None else cache.get(self)
        if known is not None and encoded is not None:
            key, value = known
        else:
            source = states if encoded is None else encoded
            key, value = self._heads(self.k(source)), self._heads(self.v(source))
            if known is not None:
                key, value = torch.cat([known[0], key], 2), torch.cat([known[1], value], 2)
            if cache is not None:
                cache[self] = key, value
        if bias is None:
            bias = query.new_zeros(1, self.heads, query.shape[2], key.shape[2])
        if mask is not None:
            bias = torch.where(mask, bias, torch.finfo(key.dtype).min)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.contiguous(), scale=1.0)
        return self.o(mixed.transpose(1, 2).flatten(2))

    def _heads(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


Cache = dict[Attention, tuple[torch.Tensor, torch.Tensor]]
"""Keys and values, (B, heads, S, d / heads) each, of what a decoder has read already; empty where decoding begins."""


def buckets(distance: torch.Tensor, both_ways: bool) -> torch.Tensor:
    """int64 bucket of each int64 distance (place read - place that reads); ahead counts as 0 where one reads back only."""
    number, exact = (BUCKETS // 2, EXACT_TO // 2) if both_ways else (BUCKETS, EXACT_TO)
    far = distance.abs() if both_ways else (-distance).clamp(min=0)
    share = torch.log(far.float() / exact) / math.log(FARTHEST / exact)
    rough = (exact + (share * (number - exact)).long()).clamp(max=number - 1)
    found = torch.where(far < exact, far, rough)
    return found + number * (distance > 0) if both_ways else found


class FeedForward(nn.Module):
    """Two linear maps with a ReLU between."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.wi = nn.Linear(sizes.width, 4 * sizes.width, bias=False)
        self.wo = nn.Linear(4 * sizes.width, sizes.width, bias=False)

    def draw(self, scale: float) -> None:
        """Initial weights."""
        for part in (self.wi, self.wo):
            nn.init.normal_(part.weight, std=scale * part.in_features**-0.5)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(B, L, d) -> (B, L, d)."""
        return self.wo(F.relu(self.wi(states)))


class RootMeanSquareNorm(nn.Module):
    """States over the root of their mean square, times a learned weight a dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def draw(self, scale: float) -> None:
        """Initial weights: none is drawn."""
        nn.init.constant_(self.weight, scale)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(B, L, d) -> (B, L, d)."""
        variance = states.float().pow(2).mean(-1, keepdim=True)
        return self.weight * (states * torch.rsqrt(variance + EPSILON))


class SubLayer(nn.Module):
    """One part of a block behind a norm, whose result is added to its input. ``name`` is the part's in checkpoints."""

    def __init__(self, name: str, part: nn.Module, sizes: Sizes) -> None:
        super().__init__()
        self.name = name
        self.add_module(name, part)
        self.layer_norm = RootMeanSquareNorm(sizes.width)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, states: torch.Tensor, *read: torch.Tensor | Cache | None) -> torch.Tensor:
        """(B, L, d) -> (B, L, d); ``read`` is handed to the part."""
        return states + self.dropout(self.get_submodule(self.name)(self.layer_norm(states), *read))


class Block(nn.Module):
    """Self-attention, in a decoder attention to the encoder's states, and a feed-forward layer."""

    def __init__(self, sizes: Sizes, decoder: bool, first: bool) -> None:
        super().__init__()
        parts: list[tuple[str, nn.Module]] = [("SelfAttention", Attention(sizes, first, both_ways=not decoder))]
        if decoder:
            parts.append(("EncDecAttention", Attention(sizes, False, both_ways=True)))
        parts.append(("DenseReluDense", FeedForward(sizes)))
        self.layer = nn.ModuleList(SubLayer(name, part, sizes) for name, part in parts)

    def forward(
        self,
        states: torch.Tensor,
        bias: torch.Tensor,
        mask: torch.Tensor | None,
        encoded: torch.Tensor | None,
        encoded_mask: torch.Tensor | None,
        cache: Cache | None,
    ) -> torch.Tensor:
        """(B, L, d) -> (B, L, d); of ``encoded`` None nothing is read, the others are as in ``Attention``."""
        read_self, *read_encoder, feed_forward = self.layer
        states = read_self(states, bias, mask, None, cache)
        if encoded is not None:
            states = read_encoder[0](states, None, encoded_mask, encoded, cache)
        return feed_forward(states)


class Stack(nn.Module):
    """The encoder, or the decoder, of a T5."""

    def __init__(self, sizes: Sizes, decoder: bool) -> None:
        super().__init__()
        self.decoder = decoder
        self.embed_tokens = nn.Embedding(1, sizes.width)  # of checkpoints; never read
        layers = sizes.decoder_layers if decoder else sizes.encoder_layers
        self.block = nn.ModuleList(Block(sizes, decoder, number == 0) for number in range(layers))
        self.final_layer_norm = RootMeanSquareNorm(sizes.width)
        _draw(self, sizes.scale)

    def forward(
        self,
        inputs: torch.Tensor,
        mask: torch.Tensor | None = None,
        encoded: EncoderStates | None = None,
        cache: Cache | None = None,
    ) -> torch.Tensor:
        """(B, L, d) states of (B, L, d) embeddings.

        Args:
            mask: (B, L) 1 where there is something to read; None = everywhere. Not to be given with a cache.
            encoded: what a decoder reads of the encoder.
            cache: of a decoder, of the inputs before these, which are added to it.
        """
        attention = next(part for part in self.modules() if isinstance(part, Attention))
        before = cache[attention][0].shape[2] if cache else 0
        bias = attention.position_bias(inputs.shape[1], before)
        there = None if mask is None else _readable(mask)
        if self.decoder:
            ahead = bias.new_ones(bias.shape[2:], dtype=torch.bool).tril(before)
            there = ahead[None, None] if there is None else ahead & there
        states = inputs
        read = (None, None) if encoded is None else (encoded.states, _readable(encoded.mask))
        for block in self.block:
            states = block(states, bias, there, *read, cache)
        return self.final_layer_norm(states)


def _readable(mask: torch.Tensor) -> torch.Tensor | None:
    """(B, 1, 1, S) bool of a (B, S) mask; None where everything may be read: one bias then serves all people."""
    return None if bool(mask.all()) else mask.bool()[:, None, None]


class T5(nn.Module):
    """Both stacks; an encoder's states are read by the decoder as ``EncoderStates``."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.shared = nn.Embedding(1, sizes.width)  # of checkpoints; never read
        self.encoder, self.decoder = Stack(sizes, decoder=False), Stack(sizes, decoder=True)
        self.encoder.embed_tokens = self.decoder.embed_tokens = self.shared


def _draw(module: nn.Module, scale: float) -> None:
    """Initial weights of all parts, children first.

    Weights are drawn twice, as transformers does: so a seed gives the weights that it gave when the T5 was of that library.
    """
    for child in module.children():
        _draw(child, scale)
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight)
    elif isinstance(module, Attention | FeedForward | RootMeanSquareNorm):
        module.draw(scale)
