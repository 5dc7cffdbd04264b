"""The explainer of a generator in a workspace: its pieces and length. Its weights are among the generator's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from isrf.core.documents import read_json
from isrf.model.explainer import Explainer
from isrf.model.vocabulary import Vocabulary
from isrf.workspace.layout import EXPLAINER_FILE
from isrf.workspace.stage import Stage

if TYPE_CHECKING:
    from isrf.model.atomic_generator import AtomicGenerator
    from isrf.model.token_generator import TokenGenerator


def save_explainer(explainer: Explainer, folder: Path) -> None:
    """Write pieces and length; weights are written with the generator's."""
    about = {"length": explainer.length, "pieces": explainer.vocabulary.pieces}
    (folder / EXPLAINER_FILE).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def restore_explainer(stage: Stage, host: AtomicGenerator | TokenGenerator) -> None:
    """Give a generator the explainer that it was trained with, without its weights; nothing where there is none."""
    if stage.has(EXPLAINER_FILE):
        about = read_json(stage.file(EXPLAINER_FILE))
        host.explainer = Explainer(host, Vocabulary(tuple(about["pieces"])), about["length"])
