"""The ISRF methods as rankers: the interest graphs alone, the generator alone, and the whole. Nothing is trained here.

Knows nothing about files; ``ranking.storage`` puts the components together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isrf.data.queries import Queries, Task
from isrf.graphs.neighbours import Neighbours
from isrf.graphs.signals import InterestGraphs, Votes
from isrf.methods.names import GENERATOR_ONLY
from isrf.ranking.fusion import Fusion

if TYPE_CHECKING:  # loading networks takes seconds, and the interest graphs rank without one
    import torch

    from isrf.model.atomic_generator import AtomicGenerator
    from isrf.model.inference import SearchedTokenGenerator

GENERATOR_SIGNAL = "generator"


@dataclass(frozen=True)
class ScoringComponents:
    """What the methods are made of.

    Attributes:
        people: neighbours and groups.
        graphs: both interest graphs.
        generator: None in a workspace without a trained model.
        items: (I, d) the generator's item embeddings, None without one.
    """

    people: Neighbours
    graphs: InterestGraphs
    generator: AtomicGenerator | SearchedTokenGenerator | None = None
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
            from isrf.model.inference import scores_and_gates

            profiles = self.people.profiles(queries)
            signals[GENERATOR_SIGNAL], gates = scores_and_gates(self.generator, self.items, queries, profiles, signals)
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
    parts: ScoringComponents
    fusions: dict[Task, Fusion]

    def score(self, queries: Queries) -> np.ndarray:
        return self.fusions[queries.task].score(self.parts.signals(queries))


@dataclass(frozen=True)
class GeneratorRanker:
    """The generator alone, without fusion."""

    parts: ScoringComponents
    name: str = GENERATOR_ONLY

    def score(self, queries: Queries) -> np.ndarray:
        from isrf.model.atomic_generator import AtomicGenerator
        from isrf.model.inference import generator_scores

        parts = self.parts
        assert parts.generator is not None and parts.items is not None
        evidence = parts.graphs.evidence(queries, parts.votes) if isinstance(parts.generator, AtomicGenerator) else {}
        return generator_scores(parts.generator, parts.items, queries, parts.people.profiles(queries), evidence)
