"""From histories and groups to a generator's scores: padding, precision, group tensors, scoring. Nothing is trained here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from isrf.core.config import ModelSettings
from isrf.data.queries import Queries
from isrf.graphs.backoff import BackOff
from isrf.graphs.groups import GroupProfile
from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.interests import Group
from isrf.semantics.encode import fast_bfloat16

if TYPE_CHECKING:  # of transformers, which takes seconds to load and most generators need not
    from isrf.model.token_generator import TokenGenerator
    from isrf.model.trie import Trie


def padded(sequences: list[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """(B, width) int64 items and (B, width) float32 mask; longer sequences keep their newest items."""
    items = np.zeros((len(sequences), width), dtype=np.int64)
    mask = np.zeros((len(sequences), width), dtype=np.float32)
    for row, sequence in enumerate(sequences):
        kept = sequence[-width:]
        items[row, : len(kept)] = kept
        mask[row, : len(kept)] = 1
    return items, mask


def group_tensors(profile: GroupProfile, device: torch.device, keep: np.ndarray | None = None) -> Group:
    """Profiles as tensors; ``keep`` (B,) bool hides the group of some people (group dropout)."""
    present = profile.present if keep is None else profile.present & keep
    return Group(
        torch.from_numpy(profile.items).to(device),
        torch.from_numpy(profile.weights).to(device),
        torch.from_numpy(profile.semantics).to(device),
        torch.from_numpy(present).to(device),
    )


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 where the hardware multiplies it, else float32."""
    return torch.autocast(device.type, torch.bfloat16) if fast_bfloat16() else nullcontext()


NOT_FOUND = 1.0
"""An item that the beam search did not find scores this much, in nats, below the last one that it found."""


@dataclass(frozen=True)
class SearchedTokenGenerator:
    """A generator that writes identifiers of several tokens, and how it is searched.

    Attributes:
        writer: in eval mode.
        trie: of its identifiers, on the same device.
        beams: beams a person, and the most items found.
    """

    writer: TokenGenerator
    trie: Trie
    beams: int

    @property
    def settings(self) -> ModelSettings:
        """Those of the writer."""
        return self.writer.settings


@torch.no_grad()
def item_table(generator: AtomicGenerator | TokenGenerator | SearchedTokenGenerator, backoff: BackOff) -> torch.Tensor:
    """(I, d) embeddings of all items, rare and new ones with what they borrow from their lenders.

    The adapter has seen no item that nobody chose: what it makes of one is worse than what its lenders have become.

    Args:
        generator: in eval mode.
        backoff: who lends to whom.
    """
    writer = generator.writer if isinstance(generator, SearchedTokenGenerator) else generator
    items = writer.items()
    return torch.from_numpy(backoff.embedded(items.float().cpu().numpy())).to(items)


def with_bias_of(
    generator: AtomicGenerator | SearchedTokenGenerator, items: int, odds: float
) -> AtomicGenerator | SearchedTokenGenerator:
    """The generator with biases for so many items; all else is shared.

    Those behind the ones it has get ``odds`` of the least that was trained. Who borrows gets the bias of their lenders in its
    place (``ScoringComponents.new_item_offsets``); for who does not, an item without a text, nothing speaks.
    """
    if isinstance(generator, SearchedTokenGenerator):
        return generator
    found = copy(generator)
    found._parameters = dict(generator._parameters)
    bias = generator.bias.detach()
    least = bias[: len(generator.items.identifier.weight)].min() + math.log(odds)
    found.bias = torch.nn.Parameter(torch.cat([bias, least.expand(items - len(bias))]))
    return found


def generator_scores(
    generator: AtomicGenerator | SearchedTokenGenerator,
    items: torch.Tensor,
    queries: Queries,
    groups: GroupProfile,
    evidence: Mapping[str, np.ndarray],
    offsets: np.ndarray | None = None,
) -> np.ndarray:
    """(B, I) float32: the scores of ``scores_and_gates``."""
    return scores_and_gates(generator, items, queries, groups, evidence, offsets)[0]


@torch.no_grad()
def scores_and_gates(
    generator: AtomicGenerator | SearchedTokenGenerator,
    items: torch.Tensor,
    queries: Queries,
    groups: GroupProfile,
    evidence: Mapping[str, np.ndarray],
    offsets: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(B, I) float32 log-probabilities of the next item under the generator alone, and what evidence is worth in them.

    The second is name -> (B,) float32, the gate that multiplies a kind of evidence for each person; a writer has none.

    Of a writer those of the unseen items that its beam search found; all others are equal and NOT_FOUND below.

    A generator that was not trained to read the group (``model.group``) is not shown any.

    Args:
        generator: in eval mode.
        items: (I, d) its item embeddings (``items()``); items behind those that a writer has identifiers for are not read by
            it in histories, and not found.
        queries: whose next item.
        groups: (B,) their group profiles.
        evidence: name -> (B, I) float32, at least what a generator adds to its scores (``model.atomic_generator.evidence_read``).
        offsets: (I,) float32 added to the logits of a generator of whole items; None adds nothing.
    """
    device = items.device
    width, histories = generator.settings.history, queries.histories
    if isinstance(generator, SearchedTokenGenerator) and len(items) > len(generator.trie.path):
        histories = histories.kept(histories.items < len(generator.trie.path))  # it has no words for the others
    rows, mask = padded([h[-width:] for h in histories], width)
    row_tensor, mask_tensor = torch.from_numpy(rows).to(device), torch.from_numpy(mask).to(device)
    reads = np.full(len(queries), generator.settings.group == "consumed")
    with autocast(device):
        group = group_tensors(groups, device, reads)
        if isinstance(generator, SearchedTokenGenerator):
            from isrf.model.beam_search import beam_search

            token, _ = generator.writer.group_token(items, group)
            encoded = generator.writer.encode(items, row_tensor, mask_tensor, token, queries.task)
            rows_found, found = beam_search(generator.writer, encoded, generator.trie, generator.beams, histories)
            return scores_of_found(rows_found.cpu().numpy(), found.cpu().numpy(), len(items)), {}
        token, _ = generator.group_token(items, group)
        if queries.ordered:
            states = generator.sequential(items, row_tensor, mask_tensor, token)
            hidden = states[torch.arange(len(queries), device=device), mask_tensor.sum(1).long()]
        else:
            hidden = generator.direct(items, row_tensor, mask_tensor, token)
    # in float32: bfloat16 has so few digits that dozens of items would tie
    read = [torch.from_numpy(evidence[name]).to(device) for name in generator.evidence]
    told = torch.stack(read) if read else torch.zeros(0, len(queries), len(items), device=device)
    hidden = hidden.float()
    gates = generator.gates(hidden, queries.task).cpu().numpy()
    logits = generator.logits(items, hidden, told, queries.task)
    if offsets is not None:
        logits += torch.from_numpy(offsets).to(device)
    named = dict(zip(generator.evidence, gates.T, strict=True))
    return torch.log_softmax(logits, -1).cpu().numpy(), named


def scores_of_found(rows: np.ndarray, log_probs: np.ndarray, n_items: int) -> np.ndarray:
    """(B, I) float32 log-probabilities where an item was found, NOT_FOUND below the least of a person elsewhere.

    Args:
        rows: (B, k) int64 item rows, -1 where a person has fewer.
        log_probs: (B, k) float32, -inf likewise.
        n_items: I.
    """
    there = rows >= 0
    least = np.where(there, log_probs, 0.0).min(1, initial=0.0)  # 0 for a person who has had everything
    scores = np.repeat((least - NOT_FOUND).astype(np.float32)[:, None], n_items, 1)
    people, places = np.nonzero(there)
    scores[people, rows[people, places]] = log_probs[people, places]
    return scores
