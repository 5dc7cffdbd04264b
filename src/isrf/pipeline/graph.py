"""The graphs stage: the semantic interaction graph and the similar-user graph, with LightGCN over both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isrf.core.config import Settings
from isrf.core.progress import note
from isrf.data.storage import read_training
from isrf.graphs import build
from isrf.graphs.prefix_index import PrefixIndex
from isrf.pipeline.stage_runner import run_stage
from isrf.semantics import features
from isrf.workspace.layout import ITEMS_FILE, TRAIN_FILE, USERS_FILE
from isrf.workspace.workspace import Workspace


def graph(workspace: Workspace, settings: Settings) -> None:
    """The semantic interaction graph and the similar-user graph, with LightGCN over both."""
    dataset, semantics, stage = (workspace.stage(s) for s in ("dataset", "semantics", "graphs"))

    def work(folder: Path, notes: dict[str, Any]) -> None:
        training, vectors = read_training(workspace), features.load_semantics(semantics.file(features.SEMANTICS_FILE))
        graphs = build.build_graphs(training, vectors, settings.graphs)
        build.save_graphs(graphs, folder)
        PrefixIndex.of(training.histories, vectors.items, settings.graphs).cells.save(folder)
        notes["similar_users"] = graphs.users.summary()
        note(graphs.users.described())

    inputs = dataset.digests(USERS_FILE, ITEMS_FILE, TRAIN_FILE) | semantics.digests(features.SEMANTICS_FILE)
    run_stage(stage, inputs, settings.graphs.model_dump(), work)
