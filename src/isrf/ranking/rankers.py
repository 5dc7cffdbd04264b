"""The ISRF methods as rankers: the interest graphs alone, the generator alone, and the whole. Nothing is trained here.

Knows nothing about files; ``pipeline`` puts the parts together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from isrf.core.config import ModelSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import track
from isrf.data.queries import TASKS, Queries, Task
from isrf.data.splits.split import TO_HOLD_OUT, Histories, Split
from isrf.graphs.groups import GroupProfile
from isrf.graphs.neighbours import People
from isrf.graphs.signals import InterestGraphs, Votes
from isrf.model.atomic_generator import Generator
from isrf.model.beam_search import beam_search
from isrf.model.token_generator import Writer
from isrf.model.trie import Trie
from isrf.ranking.fit_fusion import collect, fit_fusion
from isrf.ranking.fusion import Fusion, given_fusion
from isrf.training.batches import padded
from isrf.training.loop import autocast, group_tensors

GENERATOR = "generator"

NOT_FOUND = 1.0
"""An item that the beam search did not find scores this much, in nats, below the last one that it found."""


@dataclass(frozen=True)
class SearchedWriter:
    """A generator that writes identifiers of several tokens, and how it is searched.

    Attributes:
        writer: in eval mode.
        trie: of its identifiers, on the same device.
        beams: beams a person, and the most items found.
    """

    writer: Writer
    trie: Trie
    beams: int

    @property
    def settings(self) -> ModelSettings:
        """Those of the writer."""
        return self.writer.settings


def generator_scores(
    generator: Generator | SearchedWriter,
    items: torch.Tensor,
    queries: Queries,
    groups: GroupProfile,
    evidence: Mapping[str, np.ndarray],
) -> np.ndarray:
    """(B, I) float32: the scores of ``scores_and_gates``."""
    return scores_and_gates(generator, items, queries, groups, evidence)[0]


@torch.no_grad()
def scores_and_gates(
    generator: Generator | SearchedWriter,
    items: torch.Tensor,
    queries: Queries,
    groups: GroupProfile,
    evidence: Mapping[str, np.ndarray],
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(B, I) float32 log-probabilities of the next item under the generator alone, and what evidence is worth in them.

    The second is name -> (B,) float32, the gate that multiplies a kind of evidence for each person; a writer has none.

    Of a writer those of the unseen items that its beam search found; all others are equal and NOT_FOUND below.

    A generator that was not trained to read the group (``model.group``) is not shown any.

    Args:
        generator: in eval mode.
        items: (I, d) its item embeddings (``items()``).
        queries: whose next item.
        groups: (B,) their group profiles.
        evidence: name -> (B, I) float32, at least what a generator adds to its scores (``model.atomic_generator.evidence_read``).
    """
    device = items.device
    width = generator.settings.history
    rows, mask = padded([h[-width:] for h in queries.histories], width)
    row_tensor, mask_tensor = torch.from_numpy(rows).to(device), torch.from_numpy(mask).to(device)
    reads = np.full(len(queries), generator.settings.group == "consumed")
    with autocast(device):
        group = group_tensors(groups, device, reads)
        if isinstance(generator, SearchedWriter):
            token, _ = generator.writer.group_token(items, group)
            encoded = generator.writer.encode(items, row_tensor, mask_tensor, token, queries.task)
            rows_found, found = beam_search(
                generator.writer, encoded, generator.trie, generator.beams, queries.histories
            )
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
    generator: Generator | SearchedWriter | None = None
    items: torch.Tensor | None = None

    def signals(self, queries: Queries) -> dict[str, np.ndarray]:
        """Every signal there is, name -> (B, I) float32: the first of ``signals_and_gates``."""
        return self.signals_and_gates(queries)[0]

    def signals_and_gates(self, queries: Queries) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Every signal there is, name -> (B, I) float32, and how the generator's holds others: name -> (B,) float32.

        Without "group" beside a generator that was trained not to consume it (``model.group``), and without "semantics"
        and "latest" where items have no text (``semantics.item_text``): random vectors say nothing by themselves.
        """
        has_text = self.people.settings.semantics.item_text != "none"
        signals = self.graphs.score(queries, self.votes, has_text)
        gates: dict[str, np.ndarray] = {}
        if self.generator is not None and self.items is not None:
            profiles = self.people.profiles(queries)
            signals[GENERATOR], gates = scores_and_gates(self.generator, self.items, queries, profiles, signals)
        return signals, gates

    @property
    def votes(self) -> Votes | None:
        """What the people like somebody speak for; None beside a generator that does not consume the group."""
        consumed = self.generator is None or self.generator.settings.group == "consumed"
        return self.people.votes if consumed else None


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
        parts = self.parts
        assert parts.generator is not None and parts.items is not None
        evidence = parts.graphs.evidence(queries, parts.votes) if isinstance(parts.generator, Generator) else {}
        return generator_scores(parts.generator, parts.items, queries, parts.people.profiles(queries), evidence)


def stopping_users(split: Split, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Validation users in two halves that share nobody: for early stopping, and for the weights of fusion.

    Weights fitted on the users that chose the epoch would trust the generator too much.

    Raises:
        IsrfError: fewer than two users have a validation item.
    """
    if len(split.users("valid")) < 2:
        raise IsrfError(f"fewer than two users have a validation item to fit weights on: {TO_HOLD_OUT}")
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


def generator_alone(parts: Parts, known: Histories, block: int) -> dict[Task, Fusion]:
    """Weights of both tasks by which the generator alone ranks (``ranking.fusion``); ``users`` 0: nothing is fitted."""
    users = np.arange(min(len(known), block))
    fusions: dict[Task, Fusion] = {}
    for task in TASKS:
        made = given_fusion(parts.signals(Queries(users, known.take(users), task)))
        fusions[task] = replace(made, weights=dict.fromkeys(made.weights, 0.0) | {GENERATOR: 1.0})
    return fusions


def given_fusions(parts: Parts, known: Histories, block: int) -> dict[Task, Fusion]:
    """Unfitted weights of both tasks (``fusion.GIVEN``), scaled by the signals of the first ``block`` users."""
    users = np.arange(min(len(known), block))
    return {task: given_fusion(parts.signals(Queries(users, known.take(users), task))) for task in TASKS}
