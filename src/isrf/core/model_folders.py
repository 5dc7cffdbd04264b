"""Folders of models that may come from somebody else: what in them could run, whatever the libraries of today refuse.

Weights are safetensors, and what makes vectors of text are classes that the libraries bring. Reads configurations only;
knows no architecture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isrf.core.errors import IsrfError

LIBRARIES = ("sentence_transformers.", "torch.nn.", "transformers.")
"""Where classes may come from that a configuration names with dots."""
CLASSES = ("type", "types", "tokenizer_class", "activation_function")
"""Fields of sentence-transformers' configurations that name classes to import."""
ATTENTION = (None, "eager", "sdpa")
"""What a configuration may say of attention: anything else can be a repository of compiled code."""
ATTENTION_FIELDS = ("attn_implementation", "_attn_implementation")
PICKLED = ("pytorch_model*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
LARGEST = 1 << 22
"""Bytes of a configuration; none that libraries write comes near."""


def check_model_folder(folder: Path) -> None:
    """IsrfError where a model's folder names code that is not the libraries', or has weights in pickles alone."""
    linked = next((path for path in sorted(folder.rglob("*")) if path.is_symlink() and path.is_dir()), None)
    if linked is not None:
        raise IsrfError(f"{linked}: a link to another folder, which is not looked into; copy what it leads to")
    for path in sorted(folder.rglob("*.json")):
        named = path.name == "modules.json" or "config" in path.name
        if not named or not path.is_file():
            continue
        if path.stat().st_size > LARGEST:
            raise IsrfError(
                f"{path}: a configuration of more than {LARGEST >> 20} MiB, which is not read; use another model"
            )
        try:
            document = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # whoever loads it says so
        check_configuration(document, path)
    for pattern in PICKLED:
        for path in sorted(folder.rglob(pattern)):
            # a folder that was saved twice has both, and of those the libraries take the safe one
            if path.is_file() and _weights(path) and not any(path.parent.glob("*.safetensors")):
                raise IsrfError(f"{path}: a pickle, which can run code when it is read; save the model as safetensors")


def check_configuration(document: Any, path: Path) -> None:
    """IsrfError where a configuration, as it was read from the file ``path``, names code that is not the libraries'."""
    for name, value in _fields(document):
        if name in CLASSES and "." in value and not value.startswith(LIBRARIES):
            raise IsrfError(f"{path}: {name} is {value}, code of its own, which is not run; use another model")
        if name in ATTENTION_FIELDS and value not in ATTENTION:
            raise IsrfError(f"{path}: {name} is {value}, code of the hub, which is not run; remove it from the file")


def _weights(path: Path) -> bool:
    """Whether a file can be a model's weights; what training leaves beside them is not read."""
    return not path.name.startswith(("training_args", "optimizer", "scheduler", "rng_state", "scaler"))


def _fields(value: Any) -> Iterator[tuple[str, str]]:
    """Every (name, text) of a document at any depth; texts in a list or record have the name of the field that holds it."""
    parts = [("", value)]
    while parts:
        name, part = parts.pop()
        if isinstance(part, dict):
            parts += [(name if name in CLASSES else str(key), inner) for key, inner in part.items()]
        elif isinstance(part, list):
            parts += [(name, inner) for inner in part]
        elif isinstance(part, str):
            yield name, part
