"""Writers in a workspace: what one begins from, how it is kept and comes back, and what its figures must say of it.

``assemble`` and ``pipeline`` use this where ``model.identifiers`` is not atomic. Knows nothing about training or ranking.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import T5Config

from isrf.core.atomic_files import write_atomic
from isrf.core.config import ModelSettings, Settings
from isrf.core.documents import read_json
from isrf.core.errors import IsrfError
from isrf.core.model_folders import check_configuration
from isrf.core.progress import note
from isrf.core.tables import read_table, write_table
from isrf.data.dataset import Dataset
from isrf.data.splits.split import Catalogue, appearance_numbers
from isrf.model.identifiers import ABOUT as ABOUT_IDENTIFIERS
from isrf.model.identifiers import ARRAYS as IDENTIFIERS
from isrf.model.identifiers import load_identifiers, save_identifiers
from isrf.model.input_templates import FILE as TEMPLATES
from isrf.model.input_templates import load_wording, save_wording
from isrf.model.token_generator import Writer
from isrf.training.sequence_loss import find_backbone, identifiers_of, new_writer, out_of_reach, pieces_of, wording_of
from isrf.workspace.stage import Stage
from isrf.workspace.workspace import Workspace

T5_SIZES = "t5.json"

APPEARANCE, NUMBER = "appearance.parquet", "number"
"""Numbers of items that hold the order of held-out items, and their column; row i is item row i. In the dataset stage,
and only where ``data.id_order`` asks for them."""

BACKBONE = "backbone"
"""Note of the model stage: why a generator was not trained from the checkpoint that was asked for."""

BEGUN, PRETRAINED = ".begun.json", "pretrained"
"""Beside the checkpoint of a training: whether it began from the backbone that was asked for."""

ORDER_WARNING = (
    "data.id_order=appearance: digit identifiers are numbered in order of first appearance, held-out items included, so "
    "figures of generators that write digits hold a leak; they show how large it is and compare with nothing"
)


def save_numbers(dataset: Dataset, catalogue: Catalogue, folder: Path) -> None:
    """Write the numbers that leak, and say so."""
    note(f"WARNING: {ORDER_WARNING}")
    write_table(pl.DataFrame({NUMBER: appearance_numbers(dataset, catalogue)}), folder / APPEARANCE)


def numbers_digests(dataset: Stage, settings: Settings) -> dict[str, str]:
    """What of the numbers that leak a model depends on: nothing, unless it writes digits and they were asked for."""
    leaks = settings.model.identifiers == "digits" and dataset.has(APPEARANCE)
    return dataset.digests(APPEARANCE) if leaks else {}


def warnings_of(workspace: Workspace, trained: bool) -> list[str]:
    """What everybody who reads figures of this workspace has to know: each line belongs under every table.

    Args:
        trained: whether figures of its trained generator are among them.
    """
    found = [ORDER_WARNING] if workspace.stage("dataset").has(APPEARANCE) else []
    notes = workspace.stage("model").require()["notes"] if trained else {}
    return [*found, *([notes[BACKBONE]] if BACKBONE in notes else [])]


def begun_writer(
    workspace: Workspace,
    settings: Settings,
    semantics: np.ndarray,
    item_features: np.ndarray,
    user_dimensions: int,
    notes: dict[str, Any],
    begun: Path,
    going_on: bool,
) -> tuple[Writer, Path | None]:
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
    numbers = read_table(dataset.file(APPEARANCE))[NUMBER].to_numpy() if dataset.has(APPEARANCE) else None
    pieces = pieces_of(model, folder)
    identifiers, wording = identifiers_of(model, semantics, numbers, pieces, seed), wording_of(model, pieces)
    return new_writer(model, item_features, user_dimensions, identifiers, folder, seed, wording), folder


def start_of(backbone: str, begun: Path, going_on: bool) -> Path | None:
    """The folder of the backbone that a training starts from, None where it has to do without, or began without.

    Args:
        begun, going_on: as in ``begun_writer``.
    """
    folder = find_backbone(backbone)
    if not going_on or not begun.exists():
        write_atomic(begun, json.dumps({PRETRAINED: folder is not None}))
        return folder
    pretrained = bool(json.loads(begun.read_text(encoding="utf-8")).get(PRETRAINED))
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


def save_writer(writer: Writer, folder: Path) -> None:
    """Write identifiers, templates and sizes of the T5; weights and settings are written as for any generator."""
    save_identifiers(writer.identifiers, folder)
    if writer.wording is not None:
        save_wording(writer.wording, folder)
    (folder / T5_SIZES).write_text(writer.config.to_json_string(), encoding="utf-8")


def load_writer(stage: Stage, settings: ModelSettings, item_features: np.ndarray, user_dimensions: int) -> Writer:
    """A writer of the same identifiers, templates and sizes, without its weights.

    Raises:
        IsrfError: a file is missing or has other bytes than it was made with.
    """
    for name in (IDENTIFIERS, ABOUT_IDENTIFIERS):
        stage.file(name)
    document = read_json(stage.file(T5_SIZES))
    check_configuration(document, stage.folder / T5_SIZES)
    sizes = T5Config.from_dict(document)
    wording = None if settings.templates == "none" else load_wording(stage.file(TEMPLATES))
    identifiers = load_identifiers(stage.folder)
    return Writer(settings, torch.from_numpy(item_features), user_dimensions, identifiers, sizes, wording)
