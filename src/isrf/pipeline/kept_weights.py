"""Weights that an update keeps: those of fusion, and the generator, which were fitted on an earlier version of the log.

Their stages say so, and what they were fitted on; the commands that fit them see that they are not what they would make,
and make them anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from isrf.core.atomic_files import link_or_copy
from isrf.core.config import Settings
from isrf.data.storage import read_training
from isrf.pipeline.stage_runner import run_stage
from isrf.ranking.adapter_inputs import AdapterInputs, adapter_inputs, load_adapter_inputs, save_adapter_inputs
from isrf.ranking.storage import has_model
from isrf.reasoning.storage import read_reasoned
from isrf.semantics.encode import Encoder
from isrf.semantics.features import item_texts, load_semantics
from isrf.workspace.layout import (
    ADAPTER_INPUTS_FILE,
    GRAPHS_FILE,
    SEMANTICS_FILE,
    TRAIN_FILE,
    TRAINING_CHART_FILE,
    VALID_FILE,
    VECTORS_FILE,
)
from isrf.workspace.stage import KEPT
from isrf.workspace.workspace import Workspace


def keep_weights(workspace: Workspace, following: Workspace, settings: Settings) -> None:
    """Give the following version the generator, where there is one, and the weights of fusion, as they are."""
    if has_model(workspace):
        model = workspace.stage("model")
        files = [name for name in model.require()["files"] if name not in (ADAPTER_INPUTS_FILE, TRAINING_CHART_FILE)]

        def inputs_of_items(folder: Path) -> None:
            save_adapter_inputs(following_inputs(workspace, following, settings), folder)

        keep_stage(workspace, following, "model", files, inputs_of_items)
    ranking = workspace.stage("ranking")
    keep_stage(workspace, following, "ranking", ranking.require()["files"])


def keep_stage(
    workspace: Workspace, following: Workspace, name: str, files: Iterable[str], more: Any = lambda folder: None
) -> None:
    """A stage of the following version with files of this one's."""
    before, graphs, dataset = workspace.stage(name), following.stage("graphs"), following.stage("dataset")
    info = before.require()

    def work(folder: Path, notes: dict[str, Any]) -> None:
        for file in files:
            target = folder / file
            target.unlink(missing_ok=True)  # of a kill
            link_or_copy(before.file(file), target)
        more(folder)
        notes |= info["notes"]
        first = {"version": workspace.version, "inputs": info["inputs"], "seconds": info["seconds"]}
        notes[KEPT] = info["notes"].get(KEPT, first)

    inputs = graphs.digests(GRAPHS_FILE) | dataset.digests(TRAIN_FILE, VALID_FILE) | {f"{KEPT}/{name}": info["key"]}
    run_stage(following.stage(name), inputs, info["settings"], work)


def following_inputs(workspace: Workspace, following: Workspace, settings: Settings) -> AdapterInputs:
    """What the kept generator reads of the items of the following version."""
    stage = workspace.stage("model")
    training, texts = read_training(following), settings.semantics
    if stage.has(ADAPTER_INPUTS_FILE):
        before = load_adapter_inputs(stage.file(ADAPTER_INPUTS_FILE))
        reduction, trained = before.reduction, before.trained
    else:
        reduction = load_semantics(workspace.stage("semantics").file(SEMANTICS_FILE)).reduction
        trained = np.asarray(read_training(workspace).popularity > 0)
    if reduction is None:
        vectors = load_semantics(following.stage("semantics").file(SEMANTICS_FILE)).items
    else:
        encoder = Encoder(texts, following.stage("semantics").store(VECTORS_FILE))
        vectors = encoder(item_texts(training, read_reasoned(following)[0], texts), "encode items")
    return adapter_inputs(training, vectors, reduction, trained, settings.graphs)
