"""What a token generator is made of: checkpoint, identifiers, input templates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from isrf.core.config import ModelSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.core.shell import setting
from isrf.model.identifiers import Identifiers, digit_identifiers, seeded_numbers, semantic_identifiers
from isrf.model.input_templates import Wording, cut_templates, paper_templates
from isrf.model.token_generator import TokenGenerator

PIECES = "spiece.model"
"""The SentencePiece model in the folder of a T5."""


NEEDED = ("config.json", "*.safetensors", PIECES)
"""Files of a hub repository that a writer starts from."""


def find_backbone(name: str) -> Path | None:
    """The folder of a T5 checkpoint; None where it is on the hub, the hub is out of reach and nothing is in its cache.

    Raises:
        IsrfError: the hub can be asked and has no such model, or the name is neither a folder nor that of a model.
    """
    if Path(name).is_dir():
        return Path(name)
    try:
        return Path(snapshot_download(name, allow_patterns=list(NEEDED)))
    except LocalEntryNotFoundError:  # offline, no connection, a proxy that refuses
        return None
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise IsrfError(
            f"model.backbone={name}: neither a folder nor a model on the hub ({first}); "
            f"{setting('model.backbone', None)} starts from random weights"
        ) from None


def out_of_reach(name: str) -> str:
    """What everybody who reads a figure of such a run has to know."""
    return (
        f"model.backbone={name} was out of reach: the generator was trained from random weights of the sizes in "
        "settings, so its figures are not those of the pretrained checkpoint"
    )


def pieces_of(settings: ModelSettings, folder: Path | None) -> Path | None:
    """The SentencePiece model that digits and templates are cut by: the checkpoint's own, else ``model.pieces``.

    None where there is no checkpoint and no setting. Of a checkpoint without one, the place where it should lie: who
    needs it tells so.
    """
    own = folder / PIECES if folder else None
    if settings.pieces is None or (own is not None and own.exists()):
        return own
    return Path(settings.pieces)


def wording_of(settings: ModelSettings, pieces: Path | None) -> Wording | None:
    """The templates that the settings ask for, cut into tokens; None where they ask for none.

    Raises:
        IsrfError: ``pieces`` is no SentencePiece model, or cannot spell a word.
    """
    return None if settings.templates == "none" else cut_templates(paper_templates(), pieces)


def identifiers_of(
    settings: ModelSettings, semantics: np.ndarray, numbers: np.ndarray | None, pieces: Path | None, seed: int
) -> Identifiers:
    """The code of every item, made from semantic features or from numbers, and from no interaction.

    Args:
        settings: which kind ("semantic" or "digits").
        semantics: (I, k) float32 semantic item features.
        numbers: (I,) int64 that digits print; None draws them by the seed. Others may hold a leak
            (``data.appearance_numbers``).
        pieces: SentencePiece model that digits are cut by; None writes decimal digits.
        seed: of k-means, of numbers, and of what tells equal codes apart.

    Raises:
        IsrfError: ``pieces`` is no SentencePiece model.
    """
    if settings.identifiers == "semantic":
        return semantic_identifiers(semantics, seed=seed)
    numbers = seeded_numbers(len(semantics), seed) if numbers is None else numbers
    return digit_identifiers(numbers, pieces)


def new_token_generator(
    settings: ModelSettings,
    item_features: np.ndarray,
    user_dimensions: int,
    identifiers: Identifiers,
    folder: Path | None,
    seed: int,
    wording: Wording | None = None,
) -> TokenGenerator:
    """A writer from a checkpoint's folder, or with random weights; what is drawn comes from the seed.

    The global random state is left as it was.
    """
    features = torch.from_numpy(np.ascontiguousarray(item_features, dtype=np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        writer = TokenGenerator(settings, features, user_dimensions, identifiers, folder, wording)
    config = writer.config
    note(
        f"generator: {identifiers.kind} identifiers of {identifiers.length} tokens out of {identifiers.size}; T5 of "
        f"{config.num_layers} + {config.num_decoder_layers} layers, width {config.d_model}, "
        + (f"from {folder}" if folder else "random weights")
        + (f"; templates of {len(wording.words)} different tokens" if wording else "")
    )
    return writer
