"""Generated explanations: what a trained explainer writes for people and items. Nothing is trained here.

A sentence is written from the person's items, their group and the item alone, never from a review of that pair. Knows
nothing about files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from isrf.data.queries import Queries
from isrf.ranking.rankers import ScoringComponents

if TYPE_CHECKING:  # loading networks takes seconds
    from isrf.model.atomic_generator import AtomicGenerator
    from isrf.model.explainer import Explainer
    from isrf.model.token_generator import TokenGenerator

PAIRS = 512
"""Pairs whose sentences are written at once."""


def host_of(parts: ScoringComponents) -> AtomicGenerator | TokenGenerator | None:
    """The model that explains; None where there is no generator, or one that was not taught to."""
    if parts.generator is None:
        return None
    from isrf.model.inference import SearchedTokenGenerator

    generator = parts.generator.writer if isinstance(parts.generator, SearchedTokenGenerator) else parts.generator
    return generator if generator.explainer is not None else None


def explain(parts: ScoringComponents, queries: Queries, lists: Sequence[np.ndarray]) -> list[list[str]]:
    """For each of B people a sentence an item, in the order of the items.

    Args:
        parts: with a generator that explains (``host_of``).
        queries: B people; what of an item to explain they have had already is left out of what is read of them.
        lists: for each person the (n,) int64 item rows to explain.
    """
    import torch

    from isrf.model.inference import autocast, group_tensors, padded

    host = host_of(parts)
    assert host is not None and host.explainer is not None and parts.items is not None
    people = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
    explained = np.concatenate([np.zeros(0, dtype=np.int64), *lists]).astype(np.int64)
    width, device = host.settings.history, parts.items.device
    groups = parts.people.profiles(queries)
    sentences: list[str] = []
    for start in range(0, len(people), PAIRS):
        who, what = people[start : start + PAIRS], explained[start : start + PAIRS]
        bags = [(own := queries.histories[person])[own != item] for person, item in zip(who, what, strict=True)]
        rows, mask = (torch.from_numpy(array).to(device) for array in padded(bags, width))
        group = group_tensors(groups.take(who), device, np.full(len(who), host.settings.group == "consumed"))
        with torch.no_grad(), autocast(device):
            token, _ = host.group_token(parts.items, group)
            told = torch.from_numpy(what).to(device)
            explainer: Explainer = host.explainer
            sentences += explainer.write(host, explainer.encode(host, parts.items, rows, mask, token, told))
    ends = np.cumsum([len(rows) for rows in lists])
    return [sentences[end - len(rows) : end] for end, rows in zip(ends, lists, strict=True)]
