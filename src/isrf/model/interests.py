"""Individual and group interests as embeddings, and the loss that lets them refine each other (paper, steps 1 to 3).

Everything here is built from what a new person has too: item features and neighbours, never a vector learned per
user. Knows nothing about the generator that consumes the interests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Group:
    """The group profiles of a batch as tensors (``graphs.groups.GroupProfile``).

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


def item_features(semantics: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """(I, 2k) float32: own semantic features beside their propagation, unit variance (input of ``ItemEmbeddings``).

    Args:
        semantics: (I, k) unit rows s_i.
        nodes: (I, k) unit rows z_i.
    """
    return np.concatenate([semantics, nodes], 1).astype(np.float32) * np.float32(math.sqrt(semantics.shape[1]))


class ItemEmbeddings(nn.Module):
    """Graph-aware item embeddings: a learned part by identifier plus an adapter over reasoned semantics.

    The adapter (two layers) reads an item's own semantic feature beside the same feature after LightGCN propagation
    over the semantic interaction graph, so that it can tell what an item is from whom it is bought with.

    Args:
        features: (I, k) float32, semantic features and their propagation side by side.
        d_model: width of the embeddings.
        adapter_width: hidden width of the adapter.
        dropout: on the adapter's hidden layer.
    """

    features: torch.Tensor

    def __init__(self, features: torch.Tensor, d_model: int, adapter_width: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("features", features, persistent=False)
        self.identifier = nn.Embedding(len(features), d_model)
        nn.init.normal_(self.identifier.weight, std=0.05)
        self.adapter = nn.Sequential(
            nn.Linear(features.shape[1], adapter_width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(adapter_width, d_model),
        )

    def forward(self, rows: torch.Tensor | None = None) -> torch.Tensor:
        """(I, d_model) of unit norm: every item of the catalogue.

        A rare item keeps as long a vector as a popular one, so it can be found by its direction alone; without that the
        training of few interactions an item hardly moves it from its start.

        Args:
            rows: (M,) int64, items that a training step reads; the others stay zero, which spares most of the adapter's
                work. None gives all.
        """
        if rows is None:
            return F.normalize(self.identifier.weight + self.adapter(self.features), dim=-1)
        found = F.normalize(self.identifier.weight[rows] + self.adapter(self.features[rows]), dim=-1)
        return found.new_zeros(len(self.features), found.shape[1]).index_copy(0, rows, found)


class GroupInterest(nn.Module):
    """g_u: what the people like u chose, and what they have in common, as one vector.

    Args:
        d_model: width of item embeddings and of g_u.
        dimensions: width of semantic user features.
    """

    def __init__(self, d_model: int, dimensions: int) -> None:
        super().__init__()
        self.chosen = nn.Linear(d_model, d_model)
        self.shared = nn.Linear(dimensions, d_model)
        self.norm = nn.LayerNorm(d_model)

    def forward(
        self, items: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor, semantics: torch.Tensor
    ) -> torch.Tensor:
        """(B, d_model) group interests.

        Args:
            items: (I, d_model) item embeddings.
            rows: (B, P) int64 items of the group profile.
            weights: (B, P) float32, zero where a profile has fewer items.
            semantics: (B, dimensions) float32 neighbours' semantics.
        """
        chosen = F.embedding_bag(rows, items.float(), mode="sum", per_sample_weights=weights)
        # sentence vectors have unit norm: scaled to unit variance like everything a LayerNorm made
        scaled = semantics * math.sqrt(semantics.shape[1])
        return self.norm(self.chosen(chosen) + self.shared(scaled))

    def token(self, items: torch.Tensor, group: Group, absent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, d) what an encoder reads of the group, and (B, d) g_u itself (meaningless where absent).

        Args:
            items: (I, d) item embeddings.
            group: profiles of B people.
            absent: (d,) what is read of people without a group.
        """
        interest = self(items, group.rows, group.weights, group.semantics)
        return torch.where(group.present[:, None], interest, absent), interest


def individual_interest(items: torch.Tensor, rows: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, d_model): mean embedding of a person's items, LightGCN's user node after one layer.

    Args:
        items: (I, d_model) item embeddings.
        rows: (B, L) int64 item rows.
        mask: (B, L) float32, 1 where there is an item.
    """
    weights = mask / mask.sum(1, keepdim=True).clamp(min=1)
    return F.embedding_bag(rows, items.float(), mode="sum", per_sample_weights=weights)


def alignment_loss(group: torch.Tensor, individual: torch.Tensor, temperature: float) -> torch.Tensor:
    """Symmetric soft-target contrastive loss between the two interests of the same people (paper, step 3).

    The targets are not the identity: two people of one batch who are alike within each side are partly each other's
    match, so like-minded people are not pushed apart.

    Args:
        group: (B, d) group interests.
        individual: (B, d) individual interests; detach them to let only the group learn (DR).
        temperature: divides every cosine.
    """
    g, h = F.normalize(group.float(), dim=-1), F.normalize(individual.float(), dim=-1)
    logits = g @ h.T / temperature
    with torch.no_grad():
        targets = ((g @ g.T + h @ h.T) / (2 * temperature)).softmax(-1)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
