"""The ISRF methods as rankers: the interest graphs alone, the generator alone, and the whole. Nothing is trained here.

Knows nothing about files; ``ranking.storage`` puts the components together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from isrf.core.arrays import unit_rows
from isrf.data.queries import Queries, Task
from isrf.graphs.backoff import BackOff
from isrf.graphs.neighbours import Neighbours
from isrf.graphs.signals import InterestGraphs, Votes
from isrf.methods.names import GENERATOR_ONLY
from isrf.ranking.fusion import Fusion

if TYPE_CHECKING:  # loading networks takes seconds, and the interest graphs rank without one
    import torch

    from isrf.model.atomic_generator import AtomicGenerator
    from isrf.model.inference import SearchedTokenGenerator

GENERATOR_SIGNAL = "generator"

LEAST_ODDS = 1e-3
"""Of a new item against its lenders, in the generator; of one without any against the least item. Nothing at all would be minus
infinity."""


@dataclass(frozen=True)
class ScoringComponents:
    """What the methods are made of.

    Attributes:
        people: neighbours and groups.
        graphs: both interest graphs.
        generator: None in a workspace without a trained model.
        items: (I, d) the generator's item embeddings, None without one.
        untrained: what items borrow in the generator that it was not trained on; None = those without interactions alone.
    """

    people: Neighbours
    graphs: InterestGraphs
    generator: AtomicGenerator | SearchedTokenGenerator | None = None
    items: torch.Tensor | None = None
    untrained: BackOff | None = None

    @property
    def borrowed(self) -> BackOff:
        """What items borrow in the generator."""
        return self.graphs.backoff if self.untrained is None else self.untrained

    def signals(self, queries: Queries, new_items: float = 0.0) -> dict[str, np.ndarray]:
        """Every signal there is, name -> (B, I) float32: the first of ``signals_and_gates``."""
        return self.signals_and_gates(queries, new_items)[0]

    def signals_and_gates(
        self, queries: Queries, new_items: float = 0.0
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Every signal there is, name -> (B, I) float32, and how the generator's holds others: name -> (B,) float32.

        ``new_items`` is what an item without interactions has of what its lenders have (``graphs.backoff``).
        Without "group" beside a generator that was trained not to consume it (``model.group``), and without "semantics"
        and "latest" where items have no text (``semantics.item_text``): random vectors say nothing by themselves.
        """
        has_text = self.people.settings.semantics.item_text != "none"
        signals = self.graphs.score(queries, self.votes, has_text, new_items)
        gates: dict[str, np.ndarray] = {}
        if self.generator is not None and self.items is not None:
            from isrf.model.inference import scores_and_gates

            profiles = self.people.profiles(queries)
            offsets = self.new_item_offsets(new_items)
            signals[GENERATOR_SIGNAL], gates = scores_and_gates(
                self.generator, self.items, queries, profiles, signals, offsets
            )
        return signals, gates

    def new_item_offsets(self, new_items: float) -> np.ndarray | None:
        """(I,) float32 nats that logits of items are moved by that the generator knows nothing of; None where there are none.

        Their bias is that of their lenders, and their odds are ``new_items`` of what the borrowed embedding says.
        """
        backoff = self.borrowed
        rows = np.flatnonzero(backoff.new_items)
        if not len(rows):
            return None
        offsets = np.zeros(len(backoff.new_items), dtype=np.float32)
        offsets[rows] = np.log(max(new_items, LEAST_ODDS))
        bias = getattr(self.generator, "bias", None)
        if bias is not None:
            own = bias.detach().float().cpu().numpy()
            offsets[rows] += backoff.new[rows] @ own - own[rows]
        return offsets

    def with_items(self, people: Neighbours, graphs: InterestGraphs, rows: np.ndarray) -> ScoringComponents:
        """The same generator with more items in the catalogue, which it does not know: they borrow from those that it does.

        Args:
            people, graphs: with all J items.
            rows: (n,) int64 items whose texts are new.
        """
        if self.generator is None or self.items is None:
            return ScoringComponents(people, graphs)
        import torch

        from isrf.model.inference import with_bias_of

        count, untrained = len(graphs.popularity), self.untrained
        if untrained is not None:
            lenders = (self.graphs.popularity > 0) & ~untrained.new_items
            lends = people.settings.graphs.lenders
            untrained = untrained.with_items(graphs.semantics, rows, lenders, lends)
        borrowed = graphs.backoff if untrained is None else untrained
        items = np.pad(self.items.float().cpu().numpy(), ((0, count - len(self.items)), (0, 0)))
        fresh = rows[borrowed.new_items[rows]]
        items[fresh] = unit_rows(np.asarray(borrowed.new[fresh] @ items, dtype=np.float32))
        table = torch.from_numpy(items).to(self.items)
        return ScoringComponents(people, graphs, with_bias_of(self.generator, count, LEAST_ODDS), table, untrained)

    @property
    def votes(self) -> Votes | None:
        """What the people like somebody speak for; None beside a generator that does not consume the group."""
        consumed = self.generator is None or self.generator.settings.group == "consumed"
        return self.people.votes if consumed else None


def without_borrowing(parts: ScoringComponents) -> ScoringComponents:
    """The same where no item has anything of any other: what a system is that knows no back-off."""
    return borrowing_by(parts, replace(parts.graphs, backoff=BackOff.nothing(len(parts.graphs.semantics))))


def borrowing_by(parts: ScoringComponents, graphs: InterestGraphs) -> ScoringComponents:
    """The same people and generator with other graphs, whose back-off the generator's item embeddings follow too."""
    if parts.generator is None:
        return replace(parts, graphs=graphs)
    from isrf.model.inference import item_table

    return replace(parts, graphs=graphs, items=item_table(parts.generator, graphs.backoff), untrained=None)


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
        fusion = self.fusions[queries.task]
        return fusion.score(self.parts.signals(queries, fusion.new_items))


@dataclass(frozen=True)
class GeneratorRanker:
    """The generator alone, without fusion.

    Attributes:
        parts: with a generator.
        name: in tables.
        new_items: as of ``Fusion``.
    """

    parts: ScoringComponents
    name: str = GENERATOR_ONLY
    new_items: float = 0.0

    def score(self, queries: Queries) -> np.ndarray:
        from isrf.model.atomic_generator import AtomicGenerator
        from isrf.model.inference import generator_scores

        parts = self.parts
        assert parts.generator is not None and parts.items is not None
        atomic = isinstance(parts.generator, AtomicGenerator)
        evidence = parts.graphs.evidence(queries, parts.votes, self.new_items) if atomic else {}
        profiles, offsets = parts.people.profiles(queries), parts.new_item_offsets(self.new_items)
        return generator_scores(parts.generator, parts.items, queries, profiles, evidence, offsets)
