"""The ISRF methods as rankers: the interest graphs alone, the generator alone, and the whole. Nothing is fitted here.

Knows nothing about files; ``pipeline`` puts the parts together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from isrf.data.queries import TASKS, Queries, Task
from isrf.data.split import Histories, Split
from isrf.errors import IsrfError
from isrf.graphs.group import GroupProfile
from isrf.model.generator import Generator
from isrf.progress import track
from isrf.ranking.fusion import Fusion, collect, fit_fusion, given_fusion
from isrf.ranking.people import People
from isrf.ranking.signals import InterestGraphs
from isrf.training.batches import padded
from isrf.training.iterative import autocast, group_tensors

GENERATOR = "generator"


@torch.no_grad()
def generator_scores(generator: Generator, items: torch.Tensor, queries: Queries, groups: GroupProfile) -> np.ndarray:
    """(B, I) float32 log-probabilities of the next item under the generator alone.

    A generator that was not trained to read the group (``model.group``) is not shown any.

    Args:
        generator: in eval mode.
        items: (I, d) its item embeddings, ``generator.items()``.
        queries: whose next item.
        groups: (B,) their group profiles.
    """
    device = items.device
    width = generator.settings.history
    rows, mask = padded([h[-width:] for h in queries.histories], width)
    row_tensor, mask_tensor = torch.from_numpy(rows).to(device), torch.from_numpy(mask).to(device)
    reads = np.full(len(queries), generator.settings.group == "consumed")
    with autocast(device):
        token, _ = generator.group_token(items, group_tensors(groups, device, reads))
        if queries.ordered:
            states = generator.sequential(items, row_tensor, mask_tensor, token)
            hidden = states[torch.arange(len(queries), device=device), mask_tensor.sum(1).long()]
        else:
            hidden = generator.direct(items, row_tensor, mask_tensor, token)
    # in float32: bfloat16 has so few digits that dozens of items would tie
    logits = generator.logits(items, hidden.float())
    return torch.log_softmax(logits, -1).cpu().numpy()


@dataclass(frozen=True)
class Parts:
    """What the methods are made of.

    Attributes:
        people: neighbours and groups.
        graphs: both interest graphs.
        generator: None in a workspace without a trained model.
        items: (I, d) the generator's item embeddings, None without one.
    """

    people: People
    graphs: InterestGraphs
    generator: Generator | None = None
    items: torch.Tensor | None = None

    def signals(self, queries: Queries) -> dict[str, np.ndarray]:
        """Every signal there is, name -> (B, I) float32.

        Without "group" beside a generator that was trained not to consume it (``model.group``), and without "semantics"
        and "latest" where items have no text (``semantics.item_text``): random vectors say nothing by themselves.
        """
        consumed = self.generator is None or self.generator.settings.group == "consumed"
        has_text = self.people.settings.semantics.item_text != "none"
        signals = self.graphs.score(queries, self.people.links if consumed else None, has_text)
        if self.generator is not None and self.items is not None:
            profiles = self.people.profiles(queries)
            signals[GENERATOR] = generator_scores(self.generator, self.items, queries, profiles)
        return signals


@dataclass(frozen=True)
class FusedRanker:
    """Signals fused by weights that were fitted on validation: ``isrf`` with a generator, ``isrf-graph`` without.

    Attributes:
        name: in tables.
        parts: where signals come from.
        fusions: the weights of each task.
    """

    name: str
    parts: Parts
    fusions: dict[Task, Fusion]

    def score(self, queries: Queries) -> np.ndarray:
        return self.fusions[queries.task].score(self.parts.signals(queries))


@dataclass(frozen=True)
class GeneratorRanker:
    """The generator alone, without fusion."""

    parts: Parts
    name: str = "isrf-generator"

    def score(self, queries: Queries) -> np.ndarray:
        assert self.parts.generator is not None and self.parts.items is not None
        return generator_scores(self.parts.generator, self.parts.items, queries, self.parts.people.profiles(queries))


def stopping_users(split: Split, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Validation users in two halves that share nobody: for early stopping, and for the weights of fusion.

    Weights fitted on the users that chose the epoch would trust the generator too much.

    Raises:
        IsrfError: fewer than two users have a validation item.
    """
    if len(split.users("valid")) < 2:
        raise IsrfError("fewer than two users have 3 interactions: nothing can be held out to fit weights on")
    users = np.random.default_rng(seed).permutation(split.users("valid"))
    return users[: len(users) // 2], users[len(users) // 2 :]


def fit_fusions(parts: Parts, split: Split, users: np.ndarray, block: int, what: str) -> dict[Task, Fusion]:
    """Fit the weights of both tasks on the validation items of ``users``."""
    known = split.histories("valid")
    fusions: dict[Task, Fusion] = {}
    for task in TASKS:

        def blocks(task: Task = task) -> Iterator[tuple[dict[str, np.ndarray], Histories, np.ndarray]]:
            for start in track(range(0, len(users), block), f"{what}, {task}"):
                chosen = users[start : start + block]
                queries = Queries(chosen, known.take(chosen), task)
                yield parts.signals(queries), queries.histories, split.valid[chosen]

        fusions[task] = fit_fusion(collect(blocks()))
    return fusions


def given_fusions(parts: Parts, known: Histories, block: int) -> dict[Task, Fusion]:
    """Unfitted weights of both tasks (``fusion.GIVEN``), scaled by the signals of the first ``block`` users."""
    users = np.arange(min(len(known), block))
    return {task: given_fusion(parts.signals(Queries(users, known.take(users), task))) for task in TASKS}
