"""The whole method on the tiny log of the contract, put together from plain objects as in a notebook: no workspace."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from tests.methods.contract import tiny_split

from isrf.core.config import Settings
from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries
from isrf.data.training_data import TrainingData
from isrf.graphs.build import build_graphs
from isrf.graphs.neighbours import Neighbours
from isrf.graphs.prefix_index import PrefixIndex
from isrf.graphs.signals import OWNERS, InterestGraphs
from isrf.model.token_generator_parts import identifiers_of, new_token_generator
from isrf.pipeline.train import training_inputs
from isrf.ranking.fusion import Fusion
from isrf.ranking.rankers import FusedRanker, GeneratorRanker, ScoringComponents
from isrf.ranking.storage import with_generator
from isrf.reasoning.reason import reason_items, reason_users
from isrf.semantics.features import embed
from isrf.training.loop import Trainer

SETTINGS = Settings(
    graphs={"tau": 0.6, "top_k": 8},  # type: ignore[arg-type]
    model={"d_model": 16, "heads": 2, "adapter_width": 16, "history": 6, "decoder_layers": 1, "dropout": 0.1},  # type: ignore[arg-type]
    training={"epochs": 25, "batch_size": 32, "learning_rate": 2e-2, "warmup_steps": 5, "patience": 25, "sr_per_dr": 1},  # type: ignore[arg-type]
)

BRIEFLY = SETTINGS.model_copy(update={"training": SETTINGS.training.model_copy(update={"epochs": 4})})
"""For tests of what holds of a generator however little it has learned: a sixth of the time."""

EQUAL = dict.fromkeys(OWNERS, 1.0)
"""Every signal with the same weight: the contract is about scores, not about how weights are found."""


@dataclass(frozen=True)
class World:
    """Parts and the reasoned sentences that ``recommend`` quotes."""

    parts: ScoringComponents
    items: pl.DataFrame
    users: pl.DataFrame

    @property
    def features(self) -> list[str]:
        return self.items["feature"].to_list()


@cache
def known_vectors() -> Path:
    """Texts that any world of this process has encoded, most of which the next world has too."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "vectors.sqlite"


def build(
    training: TrainingData, trained: bool = False, settings: Settings = SETTINGS, vectors: Path | None = None
) -> World:
    """Reasoning, semantics, both graphs and, if asked for, a trained generator."""
    unused, vectors = Path("no-store-is-touched"), vectors or known_vectors()
    items = reason_items(training, settings.reasoning, unused)
    users = reason_users(training, items, settings.reasoning, unused)
    semantics = embed(training, items, users, settings.semantics, vectors)
    graphs = build_graphs(training, semantics, settings.graphs)
    moments = PrefixIndex.of(training.histories, semantics.items, settings.graphs)
    people = Neighbours(training, semantics, graphs.users, graphs.groups, moments, settings)
    parts = ScoringComponents(
        people, InterestGraphs.build(training, semantics.items, graphs.item_nodes, settings.graphs)
    )
    if trained:
        inputs = training_inputs(parts, settings.model)
        # every epoch counts as better: what is learned is judged by the tests
        scores = iter(range(1, settings.training.epochs + 1))
        writer = None
        if settings.model.identifiers != "atomic":
            identifiers = identifiers_of(settings.model, semantics.items, None, None, 0)
            writer = new_token_generator(
                settings.model, inputs.item_features, semantics.users.shape[1], identifiers, None, 0
            )
        trainer = Trainer(
            inputs, settings.model, settings.training, lambda generator: float(next(scores)), start=writer
        )
        parts = with_generator(parts, trainer.run())
    return World(parts, items, users)


@cache
def whole_world() -> World:
    """The tiny log with its trained generator, for all modules of a process; not to be changed."""
    return build(tiny_split().training, trained=True)


def writing(kind: str, **ranking: object) -> Settings:
    """A generator that writes items in several tokens, trained briefly."""
    return BRIEFLY.model_copy(
        update={
            "model": SETTINGS.model.model_copy(update={"identifiers": kind}),
            "ranking": SETTINGS.ranking.model_copy(update=ranking),
        }
    )


def fused(world: World, weights: dict[str, float] | None = None) -> FusedRanker:
    """A ranker with hand-set weights, each signal divided by its spread over the users of the log."""
    training = world.parts.people.training
    fusions = {}
    for task in TASKS:
        queries = Queries(np.arange(training.n_users), training.histories, task)
        signals = world.parts.signals(queries)
        scales = {name: float(signal.std()) or 1.0 for name, signal in signals.items()}
        chosen = {name: (EQUAL if weights is None else weights).get(name, 0.0) for name in signals}
        fusions[task] = Fusion(scales, chosen, 0.0, training.n_users)
    return FusedRanker("isrf" if world.parts.generator else "isrf-graph", world.parts, fusions)


def generator_alone(world: World) -> GeneratorRanker:
    return GeneratorRanker(world.parts)


def ask(training: TrainingData, *histories: Sequence[str], task: str = "sequential") -> Queries:
    """People who are not in the log."""
    rows = [training.catalogue.rows_of(h) if h else np.zeros(0, dtype=np.int64) for h in histories]
    return Queries(np.full(len(rows), -1), Histories.of(rows), task)  # type: ignore[arg-type]
