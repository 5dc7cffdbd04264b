"""The semantics stage: reasoned sentences become semantic features of items and users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isrf.core.config import Settings
from isrf.data.storage import read_training
from isrf.pipeline.stage_runner import contents_of, run_stage
from isrf.reasoning.storage import read_reasoned
from isrf.semantics import features
from isrf.workspace.layout import ITEMS_FILE, REASONED_ITEMS_FILE, REASONED_USERS_FILE, VECTORS_FILE
from isrf.workspace.workspace import Workspace


def embed(workspace: Workspace, settings: Settings) -> None:
    """Reasoned sentences become semantic features of items and users."""
    dataset, reasoning, stage = (workspace.stage(s) for s in ("dataset", "reasoning", "semantics"))

    def work(folder: Path, notes: dict[str, Any]) -> None:
        items, users = read_reasoned(workspace)
        training, seed = read_training(workspace), settings.training.seed
        semantics = features.embed(training, items, users, settings.semantics, stage.store(VECTORS_FILE), seed)
        features.save_semantics(semantics, folder)
        if semantics.reduction is not None:
            notes["variance_kept"] = round(semantics.reduction.variance_kept, 4)

    inputs = dataset.digests(ITEMS_FILE) | reasoning.digests(REASONED_ITEMS_FILE, REASONED_USERS_FILE)
    if settings.semantics.item_text == "none":  # vectors are drawn, not encoded
        inputs["seed/training"] = str(settings.training.seed)
    inputs |= contents_of("encoder", settings.semantics.encoder)
    run_stage(stage, inputs, settings.semantics.model_dump(), work)
