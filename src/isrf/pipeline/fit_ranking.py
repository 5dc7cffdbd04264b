"""The ranking stage: weights of `isrf-graph`, fitted on validation; nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isrf.core.config import Settings
from isrf.core.progress import note
from isrf.data.storage import can_hold_out, read_split
from isrf.graphs import build
from isrf.pipeline.stage_runner import run_stage, scored_with
from isrf.ranking.fit_fusion import default_fusions, fit_fusions, stopping_users
from isrf.ranking.fit_new_items import fit_new_items
from isrf.ranking.storage import load_graph_components, save_fusions
from isrf.workspace.layout import TRAIN_FILE, VALID_FILE
from isrf.workspace.workspace import Workspace


def fit_ranking(workspace: Workspace, settings: Settings) -> None:
    """The weights of ``isrf-graph``, on validation: from here on the workspace recommends, nothing trained."""
    dataset, graphs = workspace.stage("dataset"), workspace.stage("graphs")

    def work(folder: Path, notes: dict[str, Any]) -> None:
        split, parts = read_split(workspace), load_graph_components(workspace, settings)
        if can_hold_out(workspace):
            users = stopping_users(split, settings.training.seed)[1][: settings.ranking.fit_users]
            fusions = fit_fusions(parts, split, users, settings.ranking.block, "weigh isrf-graph")
            fusions = fit_new_items(parts, split, users, fusions, settings.training.seed, "new items, isrf-graph")
        else:
            note("fewer than two users have a validation item: isrf-graph gets weights fitted elsewhere")
            fusions = default_fusions(parts, split.training.histories, settings.ranking.block)
        save_fusions(fusions, folder)
        notes["weights"] = {name: fusion.weights for name, fusion in fusions.items()}

    inputs = graphs.digests(build.GRAPHS_FILE) | dataset.digests(TRAIN_FILE, VALID_FILE)
    chosen = {
        "graphs": scored_with(workspace),
        "ranking": settings.ranking.model_dump(exclude={"beams", "fusion"}),  # of the generator
        "seed": settings.training.seed,
    }
    run_stage(workspace.stage("ranking"), inputs, chosen, work)
