"""The network of SASRec: item rows to states, without targets, loss or data."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

INITIAL_STD = 0.02
"""Spread of initial embeddings."""


class Network(nn.Module):
    """Item rows to states; sizes as in ``SASRec``, ``positions`` the longest history that can be read."""

    def __init__(
        self, n_items: int, dimensions: int, layers: int, heads: int, dropout: float, temperature: float, positions: int
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.items = nn.Embedding(n_items, dimensions)
        self.positions = nn.Embedding(positions + 1, dimensions)
        self.start = nn.Parameter(torch.zeros(dimensions))
        for weights in (self.items.weight, self.positions.weight):
            nn.init.normal_(weights, std=INITIAL_STD)
        self.blocks = nn.ModuleList(Block(dimensions, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dimensions)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: torch.Tensor, half: bool = False) -> torch.Tensor:
        """(B, L + 1, d) states of norm 1 / temperature: state t has read the start token and the first t items.

        Args:
            rows: (B, L) int64 item rows, oldest first, padded on the right with anything: no state reads ahead.
            half: keep what goes from block to block in bfloat16.
        """
        start = self.start.expand(len(rows), 1, -1)
        items = F.normalize(self.items(rows), dim=-1) * self.items.embedding_dim**0.5
        states = self.dropout(torch.cat([start, items], 1) + self.positions.weight[: rows.shape[1] + 1])
        if half:
            states = states.bfloat16()
        for block in self.blocks:
            states = block(states)
        return F.normalize(self.norm(states), dim=-1) / self.temperature


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each behind a layer norm and added to its input."""

    def __init__(self, dimensions: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_forward = nn.LayerNorm(dimensions), nn.LayerNorm(dimensions)
        self.project, self.merge = nn.Linear(dimensions, 3 * dimensions), nn.Linear(dimensions, dimensions)
        self.widen, self.narrow = nn.Linear(dimensions, 4 * dimensions), nn.Linear(4 * dimensions, dimensions)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(B, L, d) -> (B, L, d)."""
        size, length, width = states.shape
        parts = self.project(self.norm_attention(states)).view(size, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        # written out: on histories this short it is faster than torch's fused kernel
        ahead = torch.full((length, length), -1e4, dtype=query.dtype, device=query.device).triu(1)
        weights = (query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5 + ahead).softmax(-1)
        read = (weights.to(value.dtype) @ value).transpose(1, 2).reshape(size, length, width)
        states = states + self.dropout(self.merge(read))
        return states + self.dropout(self.narrow(F.gelu(self.widen(self.norm_forward(states)))))
