"""Constrained beam search: the best identifiers that a writer can write, within the catalogue and outside a history.

All people of a block and all their beams are one tensor; the only loop is over the tokens of an identifier. Knows
nothing about files or training, and about the writer only that it gives the next token's log-probabilities.
"""

from __future__ import annotations

import torch

from isrf.data.histories import Histories
from isrf.model.encoder_states import EncoderStates
from isrf.model.token_generator import TokenGenerator
from isrf.model.trie import Trie

NOTHING = torch.iinfo(torch.int64).min
"""Key of a place that holds no candidate."""

LOW_BITS = 32
"""The score is the upper half of a candidate's key, its node the lower."""


@torch.no_grad()
def beam_search(
    writer: TokenGenerator, encoded: EncoderStates, trie: Trie, beams: int, exclude: Histories | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The items whose identifiers a beam search finds most probable.

    A token is a candidate only if an item stands below it in the trie that the person has not seen. So every beam that
    is kept leads to an item, beams never grow fewer, and the result has exactly min(beams, unseen items) items. With
    ``beams`` >= I the search is exact. Of equal scores the identifier that sorts first wins.

    Args:
        writer: in eval mode.
        encoded: B people.
        trie: of the writer's identifiers, on the same device.
        beams: beams a person, and the most items found.
        exclude: B histories whose items are not to be found; None excludes nothing.

    Returns:
        (B, k) int64 item rows, best first, and (B, k) float32 log-probabilities of their whole identifiers, with k =
        min(beams, I). Where a person has fewer unseen items the rest is -1 and -inf.
    """
    device, people, size = encoded.states.device, len(encoded.states), len(trie)
    if exclude is not None and len(exclude) != people:
        raise ValueError(f"{len(exclude)} histories to exclude for {people} people")
    closed = _exhausted(trie, exclude, device)
    nodes = torch.zeros(people, 1, dtype=torch.int64, device=device)
    scores = torch.zeros(people, 1, device=device)
    held = torch.ones(people, 1, dtype=torch.bool, device=device)  # False: no beam in this place
    last, cache = None, writer.new_cache()
    for level in range(trie.depth):
        log_probs = writer.step(encoded, last, cache)
        width = nodes.shape[1]
        beam, child = trie.allowed(nodes.flatten())  # (C,) beam of each candidate, counted over all people; its node
        person = beam // width
        alive = held.flatten()[beam] & ~_among(person * size + child, closed)
        beam, person, child = beam[alive], person[alive], child[alive]
        gain = log_probs.flatten(0, 1)[beam, trie.token[child]]
        score = scores.flatten()[beam] + torch.where(trie.free[child], 0.0, gain)
        chosen, held = _best(person, _keys(score, child, size), people, min(beams, len(trie.path)))
        if not len(child):  # everybody has seen everything
            break
        parents = torch.where(held, beam[chosen], 0)
        nodes = torch.where(held, child[chosen], 0)
        scores = torch.where(held, score[chosen], -torch.inf)
        if level + 1 < trie.depth:
            last = trie.token[nodes].clamp(min=0)  # the root, in an empty place, has no token
            cache.self_attention_cache.batch_select_indices(parents.flatten())
    return _filled(nodes, scores, held, trie, min(beams, len(trie.path)))


def _exhausted(trie: Trie, exclude: Histories | None, device: torch.device) -> torch.Tensor:
    if exclude is None:
        return torch.empty(0, dtype=torch.int64, device=device)
    rows, items = torch.from_numpy(exclude.rows()), torch.from_numpy(exclude.items)
    return trie.exhausted(rows.to(device), items.to(device))


def _among(keys: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Whether each key is in the sorted ``known``."""
    if not len(known):
        return torch.zeros_like(keys, dtype=torch.bool)
    return known[torch.searchsorted(known, keys).clamp(max=len(known) - 1)] == keys


def _keys(scores: torch.Tensor, nodes: torch.Tensor, size: int) -> torch.Tensor:
    """(C,) int64, one a candidate and no two the same: greater is a higher score, among equals a lower node.

    Sorting by them is deterministic on every device, which sorting floats with ties is not.
    """
    bits = (scores.float() + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal 0.0
    ordered = torch.where(bits < 0, bits ^ torch.iinfo(torch.int32).max, bits)  # floats below zero sort backwards
    return (ordered.long() << LOW_BITS) + (size - nodes)


def _best(person: torch.Tensor, keys: torch.Tensor, people: int, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The greatest keys of each person.

    Args:
        person: (C,) int64 ascending.
        keys: (C,) int64.
        people: B.
        most: keys a person at most.

    Returns:
        (B, k) int64 index into ``keys``, greatest first, and (B, k) bool whether there is one.
    """
    count = torch.bincount(person, minlength=people)
    begin = torch.cumsum(count, 0) - count
    table = keys.new_full((people, max(1, int(count.max()))), NOTHING)
    table[person, torch.arange(len(person), device=person.device) - begin[person]] = keys
    top = table.topk(min(most, table.shape[1]), dim=1)
    held = top.values != NOTHING
    return torch.where(held, top.indices + begin[:, None], 0), held


def _filled(
    nodes: torch.Tensor, scores: torch.Tensor, held: torch.Tensor, trie: Trie, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Leaves as (B, k) item rows and log-probabilities, -1 and -inf where there is none."""
    items = nodes.new_full((len(nodes), k), -1)
    log_probs = scores.new_full((len(nodes), k), -torch.inf)
    width = nodes.shape[1]
    items[:, :width] = torch.where(held, trie.item[nodes], -1)
    log_probs[:, :width] = torch.where(held, scores, -torch.inf)
    return items, log_probs
