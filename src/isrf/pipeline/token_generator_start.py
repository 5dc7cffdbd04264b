"""What training of a token generator starts from: a checkpoint, or random weights, and what figures must say of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from isrf.core.atomic_files import write_atomic
from isrf.core.config import Settings
from isrf.core.documents import read_json
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.core.tables import read_table
from isrf.data.appearance_numbers import NUMBER, ORDER_WARNING
from isrf.data.storage import read_losses
from isrf.model.token_generator import TokenGenerator
from isrf.model.token_generator_parts import (
    find_backbone,
    identifiers_of,
    new_token_generator,
    out_of_reach,
    pieces_of,
    wording_of,
)
from isrf.workspace.layout import APPEARANCE_FILE
from isrf.workspace.stage import KEPT
from isrf.workspace.workspace import Workspace

BACKBONE = "backbone"
"""Note of the model stage: why a generator was not trained from the checkpoint that was asked for."""


PRETRAINED = "pretrained"
"""Key of BEGUN_FILE: whether a training began from the backbone that was asked for."""


def warnings_of(workspace: Workspace, trained: bool) -> list[str]:
    """What everybody who reads figures of this workspace has to know: each line belongs under every table.

    Args:
        trained: whether figures of its trained generator are among them.
    """
    found = read_losses(workspace)
    found += [ORDER_WARNING] if workspace.stage("dataset").has(APPEARANCE_FILE) else []
    notes = workspace.stage("model").require()["notes"] if trained else {}
    if KEPT in notes:
        found.append(
            f"the generator was trained on version {notes[KEPT]['version']} of the log, and updates since then have kept it"
        )
    return [*found, *([notes[BACKBONE]] if BACKBONE in notes else [])]


def start_token_generator(
    workspace: Workspace,
    settings: Settings,
    semantics: np.ndarray,
    item_features: np.ndarray,
    user_dimensions: int,
    notes: dict[str, Any],
    begun: Path,
    going_on: bool,
) -> tuple[TokenGenerator, Path | None]:
    """The writer that training starts from, and the folder of its checkpoint, if it has one.

    A backbone out of reach is told and goes into the stage's notes; a training that goes on keeps to how it began.

    Args:
        begun: file beside the training's checkpoint that says how it began; written where it begins now.
        going_on: whether it began before, in a run that was stopped or in the main process.
        semantics: (I, k) float32 semantic item features, for identifiers.
        item_features: (I, 2k) float32 that the writer reads of each item.
        user_dimensions: width of semantic user features.

    Raises:
        IsrfError: it began from a backbone that is out of reach now.
    """
    model, seed, dataset = settings.model, settings.training.seed, workspace.stage("dataset")
    folder = None if model.backbone is None else start_of(model.backbone, begun, going_on)
    if model.backbone is not None and folder is None:
        notes[BACKBONE] = out_of_reach(model.backbone)
        note(f"WARNING: {notes[BACKBONE]}")
    numbers = read_table(dataset.file(APPEARANCE_FILE))[NUMBER].to_numpy() if dataset.has(APPEARANCE_FILE) else None
    pieces = pieces_of(model, folder)
    identifiers, wording = identifiers_of(model, semantics, numbers, pieces, seed), wording_of(model, pieces)
    return new_token_generator(model, item_features, user_dimensions, identifiers, folder, seed, wording), folder


def start_of(backbone: str, begun: Path, going_on: bool) -> Path | None:
    """The folder of the backbone that a training starts from, None where it has to do without, or began without.

    Args:
        begun, going_on: as in ``begun_writer``.
    """
    folder = find_backbone(backbone)
    if not going_on or not begun.exists():
        write_atomic(begun, json.dumps({PRETRAINED: folder is not None}))
        return folder
    remedy = f"delete the folder {begun.parent} to begin anew"
    told = read_json(begun, remedy)
    if not isinstance(told, dict):
        raise IsrfError(f"{begun}: does not say how the training began; {remedy}")
    pretrained = bool(told.get(PRETRAINED))
    if pretrained and folder is None:
        raise IsrfError(
            f"model.backbone={backbone}: this training began from it, and now it is out of reach; go on where the hub can "
            f"be reached, or delete the folder {begun.parent} to begin anew without it"
        )
    if folder is not None and not pretrained:
        note(
            f"model.backbone={backbone} can be reached now, but this training began without it and goes on so; delete the "
            f"folder {begun.parent} before the same command to begin anew from it"
        )
        return None
    return folder
