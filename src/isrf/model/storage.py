"""A generator's files: weights and sizes; of a token generator its identifiers, of an explainer its pieces."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.explainer_storage import save_explainer
from isrf.model.token_generator import TokenGenerator
from isrf.model.token_generator_storage import save_token_generator
from isrf.workspace.layout import ABOUT_GENERATOR_FILE, GENERATOR_FILE


def save_generator(generator: AtomicGenerator | TokenGenerator, folder: Path) -> None:
    """Write weights and sizes; of a writer its identifiers too, and of an explainer its pieces."""
    weights = {k: v.detach().cpu().contiguous().clone() for k, v in generator.state_dict().items()}
    save_file(weights, folder / GENERATOR_FILE)
    (folder / ABOUT_GENERATOR_FILE).write_text(json.dumps(generator.settings.model_dump(), indent=2))
    if isinstance(generator, TokenGenerator):
        save_token_generator(generator, folder)
    if generator.explainer is not None:
        save_explainer(generator.explainer, folder)
