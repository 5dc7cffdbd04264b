"""A token generator in a workspace: its identifiers, templates and sizes. Its weights are stored as any generator's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import T5Config

from isrf.core.config import ModelSettings
from isrf.core.documents import read_json
from isrf.core.model_folders import check_configuration
from isrf.model.identifiers import load_identifiers, save_identifiers
from isrf.model.input_templates import load_wording, save_wording
from isrf.model.token_generator import TokenGenerator
from isrf.workspace.layout import ABOUT_IDENTIFIERS_FILE, IDENTIFIERS_FILE, T5_SIZES_FILE, TEMPLATES_FILE
from isrf.workspace.stage import Stage


def save_token_generator(writer: TokenGenerator, folder: Path) -> None:
    """Write identifiers, templates and sizes of the T5; weights and settings are written as for any generator."""
    save_identifiers(writer.identifiers, folder)
    if writer.wording is not None:
        save_wording(writer.wording, folder)
    (folder / T5_SIZES_FILE).write_text(writer.config.to_json_string(), encoding="utf-8")


def load_token_generator(
    stage: Stage, settings: ModelSettings, item_features: np.ndarray, user_dimensions: int
) -> TokenGenerator:
    """A writer of the same identifiers, templates and sizes, without its weights.

    Raises:
        IsrfError: a file is missing or has other bytes than it was made with.
    """
    for name in (IDENTIFIERS_FILE, ABOUT_IDENTIFIERS_FILE):
        stage.file(name)
    document = read_json(stage.file(T5_SIZES_FILE))
    check_configuration(document, stage.folder / T5_SIZES_FILE)
    sizes = T5Config.from_dict(document)
    wording = None if settings.templates == "none" else load_wording(stage.file(TEMPLATES_FILE))
    identifiers = load_identifiers(stage.folder)
    return TokenGenerator(settings, torch.from_numpy(item_features), user_dimensions, identifiers, sizes, wording)
