"""Rankers of a workspace, read back: interest graphs, trained generator, and the weights of both."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isrf.core.config import ModelSettings, Settings
from isrf.core.documents import read_json
from isrf.core.progress import note
from isrf.data.queries import Task
from isrf.data.storage import read_training
from isrf.data.training_data import TrainingData
from isrf.graphs.backoff import BackOff
from isrf.graphs.build import load_graphs
from isrf.graphs.neighbours import Neighbours
from isrf.graphs.prefix_index import IVFCells, PrefixIndex
from isrf.graphs.signals import InterestGraphs
from isrf.ranking.adapter_inputs import load_adapter_inputs, with_rows
from isrf.ranking.fusion import Fusion
from isrf.ranking.rankers import ScoringComponents
from isrf.semantics.features import load_semantics
from isrf.workspace.layout import (
    ABOUT_GENERATOR_FILE,
    ADAPTER_INPUTS_FILE,
    FUSION_FILE,
    GENERATOR_FILE,
    GRAPHS_FILE,
    PREFIX_CELLS_FILE,
    SEMANTICS_FILE,
    VECTORS_FILE,
)
from isrf.workspace.saved_settings import as_made
from isrf.workspace.workspace import Workspace

if TYPE_CHECKING:  # loading networks takes seconds, and the interest graphs rank without one
    from isrf.model.atomic_generator import AtomicGenerator
    from isrf.model.token_generator import TokenGenerator


def has_model(workspace: Workspace) -> bool:
    """Whether there is a generator that was trained on the graphs as they are; one of other graphs is told of."""
    model = workspace.stage("model")
    if model.info() is None:
        return False
    if model.outdated() is None:
        return True
    note(
        f"the trained generator is ignored: it was trained on different graphs; train it again with `{model.command('model')}`"
    )
    return False


FITTED = {"ranking": ("fit_users",), "model": ("beams", "fit_users", "fusion")}
"""Stage that has weights -> settings of the room "ranking" that these were fitted with."""


def as_fitted(workspace: Workspace, settings: Settings, stage: str) -> Settings:
    """The settings, with those that a stage's weights were fitted with in place of later ones, which a line tells.

    Weights of a beam search say how much what other beams found is worth; with others they belong to no ranking.
    """
    made = workspace.stage(stage).require()["settings"]
    names = [name for name in FITTED[stage] if name in made["ranking"]]
    if stage == "model" and made["model"]["identifiers"] == "atomic":  # is not searched
        names.remove("beams")
    now = settings.ranking
    changed = {name: made["ranking"][name] for name in names if made["ranking"][name] != getattr(now, name)}
    if changed:
        before = ", ".join(f"ranking.{name}={value}" for name, value in changed.items())
        after = ", ".join(f"{name}={getattr(now, name)}" for name in changed)
        note(
            f"WARNING: the weights of {'isrf' if stage == 'model' else 'isrf-graph'} were fitted with {before} and are used so, "
            f"while the workspace keeps {after}; fit them anew with `{workspace.stage(stage).command(stage)}`"
        )
    return settings.model_copy(update={"ranking": now.model_copy(update=changed)})


def load_graph_components(
    workspace: Workspace, settings: Settings, cached: bool = False, training: TrainingData | None = None
) -> ScoringComponents:
    """The two interest graphs without a generator.

    Args:
        cached: whether newly encoded preferences are kept in the workspace.
        training: of the same workspace; None reads it.
    """
    settings = as_made(workspace, settings)
    training = read_training(workspace) if training is None else training
    semantics = load_semantics(workspace.stage("semantics").file(SEMANTICS_FILE))
    graphs = load_graphs(workspace.stage("graphs").file(GRAPHS_FILE))
    vectors = workspace.stage("semantics").store(VECTORS_FILE) if cached else None
    stage = workspace.stage("graphs")
    cells = (
        IVFCells.load(stage.file(PREFIX_CELLS_FILE)) if stage.has(PREFIX_CELLS_FILE) else None
    )  # older workspaces have none
    moments = PrefixIndex.of(training.histories, semantics.items, settings.graphs, cells)
    people = Neighbours(training, semantics, graphs.users, graphs.groups, moments, settings, vectors)
    has_text = settings.semantics.item_text != "none"
    scorer = InterestGraphs.build(training, semantics.items, graphs.item_nodes, settings.graphs, has_text)
    return ScoringComponents(people, scorer)


def generator_inputs(parts: ScoringComponents) -> np.ndarray:
    """(I, 2k) float32: what the generator's adapter reads of each item."""
    from isrf.model.interests import item_features

    return item_features(parts.graphs.semantics, parts.graphs.propagated)


def with_generator(
    parts: ScoringComponents, generator: AtomicGenerator | TokenGenerator, untrained: BackOff | None = None
) -> ScoringComponents:
    """The same parts with a generator in eval mode; its item table, and a writer's trie, are made once.

    Args:
        untrained: as of ``ScoringComponents``.
    """
    from isrf.model.atomic_generator import AtomicGenerator
    from isrf.model.inference import SearchedTokenGenerator, item_table

    items = item_table(generator.eval(), parts.graphs.backoff if untrained is None else untrained)
    if isinstance(generator, AtomicGenerator):
        return ScoringComponents(parts.people, parts.graphs, generator, items, untrained)
    from isrf.model.trie import Trie

    trie = Trie.build(generator.identifiers).to(items.device)
    searched = SearchedTokenGenerator(generator, trie, parts.people.settings.ranking.beams)
    return ScoringComponents(parts.people, parts.graphs, searched, items, untrained)


def load_components(
    workspace: Workspace, settings: Settings, training: TrainingData | None = None
) -> ScoringComponents:
    """The interest graphs and the trained generator, which is searched as when its weights were fitted.

    Args:
        training: of the same workspace; None reads it.
    """
    import torch
    from safetensors.torch import load_file

    from isrf.model.atomic_generator import new_atomic_generator
    from isrf.model.explainer_storage import restore_explainer

    stage = workspace.stage("model")
    parts = load_graph_components(workspace, as_fitted(workspace, settings, "model"), training=training)
    sizes = ModelSettings(**read_json(stage.file(ABOUT_GENERATOR_FILE)))
    inputs = load_adapter_inputs(stage.file(ADAPTER_INPUTS_FILE)) if stage.has(ADAPTER_INPUTS_FILE) else None
    features = generator_inputs(parts) if inputs is None else inputs.features
    dimensions = parts.people.semantics.users.shape[1]
    generator: AtomicGenerator | TokenGenerator
    if sizes.identifiers == "atomic":
        generator = new_atomic_generator(sizes, features, dimensions)
    else:
        from isrf.model.token_generator_storage import load_token_generator

        generator = load_token_generator(stage, sizes, features, dimensions)
    restore_explainer(stage, generator)
    weights = load_file(stage.file(GENERATOR_FILE))
    generator.load_state_dict(weights if inputs is None else with_rows(weights, len(features)))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return with_generator(parts, generator.to(device), None if inputs is None else inputs.untrained(parts))


def save_fusions(fusions: dict[Task, Fusion], folder: Path) -> None:
    """Write the weights of both tasks."""
    (folder / FUSION_FILE).write_text(json.dumps({task: asdict(fusion) for task, fusion in fusions.items()}, indent=2))


def load_fusions(path: Path) -> dict[Task, Fusion]:
    """Read the weights of both tasks."""
    return {task: Fusion(**fields) for task, fields in read_json(path).items()}
