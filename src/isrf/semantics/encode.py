"""Text to unit vectors with a sentence encoder, each text encoded once. Knows nothing about items, users or graphs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isrf.core import assets
from isrf.core.config import SemanticsSettings
from isrf.core.errors import IsrfError
from isrf.core.model_folders import check_model_folder
from isrf.core.progress import note, task
from isrf.semantics.vector_store import VectorCache

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EMBEDDED = "minilm"
CHARACTERS_PER_TOKEN, MOST_CHARACTERS = 64, 1 << 20
"""More than a token of any text people write; and how much is read by an encoder that has no longest text."""
SAVE_EVERY = 2048
"""Texts encoded between two commits of the cache: what a kill can lose."""


class Encoder:
    """A sentence-transformers model, loaded when first needed.

    Args:
        settings: which encoder and how many texts at once.
        cache: SQLite file of vectors; None keeps them in memory only.

    Raises:
        IsrfError: the encoder cannot be loaded.
    """

    def __init__(self, settings: SemanticsSettings, cache: Path | None = None) -> None:
        self.settings = settings
        self._cache = VectorCache(cache) if cache else None
        self._model: SentenceTransformer | None = None

    @property
    def model(self) -> SentenceTransformer:
        if self._model is None:
            name = self.settings.encoder
            path = str(assets.fetch(EMBEDDED)) if name == EMBEDDED else name
            if Path(path).is_dir():
                check_model_folder(Path(path))
            try:
                self._model = loaded(path, identity_of(path))
            except Exception as error:  # whatever a damaged or foreign checkpoint makes its loaders raise
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise IsrfError(
                    f"semantics.encoder={name!r} cannot be loaded ({first}); give a folder, a model of the hub, or {EMBEDDED!r}"
                ) from None
        return self._model

    def __call__(self, texts: Sequence[str], what: str = "encode texts") -> np.ndarray:
        """(N,) texts -> (N, d) float32 of unit norm; an empty text gives the zero vector."""
        keys = self._keys(texts)
        found = self._cache.get(list(dict.fromkeys(keys))) if self._cache else {}
        made = self._made(what, keys, texts, found)
        if made and len({len(vector) for vector in (*found.values(), *made.values())}) > 1:
            # what the cache has is not of this encoder, whatever its keys say
            note(f"{self._cache.path if self._cache else what}: has vectors of another width, which are made anew")
            found = {}
            made |= self._made(what, keys, texts, made)
        found |= made
        width = len(next(iter(found.values()))) if found else self.model.encode(["."]).shape[1]
        empty = np.zeros(width, dtype=np.float32)
        return np.stack([found.get(k, empty) for k in keys]) if keys else np.zeros((0, width), dtype=np.float32)

    def _made(
        self, what: str, keys: Sequence[bytes], texts: Sequence[str], found: Mapping[bytes, np.ndarray]
    ) -> dict[bytes, np.ndarray]:
        """Vectors of all texts that have words and are not among those found; kept in the cache."""
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in found and t.strip()}
        # by length, so that a batch holds texts of like length and little padding
        todo = sorted(missing.items(), key=lambda kt: (-len(kt[1]), kt[0]))
        made: dict[bytes, np.ndarray] = {}
        most = self._most_characters() if todo and len(todo[0][1]) > CHARACTERS_PER_TOKEN else MOST_CHARACTERS
        long = sum(len(text) > most for _, text in todo)
        if long:
            note(
                f"{what}: {long:,} texts are longer than the encoder reads and are cut to {most:,} characters; "
                f"the longest has {len(todo[0][1]):,}"
            )
        with task(what, len(todo)) as running:
            for start in range(0, len(todo), SAVE_EVERY):
                part = todo[start : start + SAVE_EVERY]
                # half a surrogate pair, as cut JSON escapes leave behind, is not text to a tokenizer
                readable = [t[:most].encode("utf-8", "replace").decode("utf-8") for _, t in part]
                vectors = self._encode(readable, running.advance)
                rows = [(k, v) for (k, _), v in zip(part, vectors, strict=True)]
                if self._cache:
                    self._cache.put(rows)
                made.update(rows)
        return made

    def known(self, texts: Sequence[str]) -> np.ndarray | None:
        """The same from the cache alone, nothing encoded; None where a text is not in it, or no text has words."""
        keys = self._keys(texts)
        found = self._cache.get(list(dict.fromkeys(keys))) if self._cache else {}
        if not found or any(k not in found and t.strip() for k, t in zip(keys, texts, strict=True)):
            return None
        empty = np.zeros(len(next(iter(found.values()))), dtype=np.float32)
        return np.stack([found.get(k, empty) for k in keys])

    def keep_only(self, texts: Sequence[str]) -> int:
        """Delete all vectors from the cache but those of some texts; how many went."""
        return self._cache.keep_only(set(self._keys(texts))) if self._cache else 0

    def _most_characters(self) -> int:
        """How much of a text is given to the tokenizer, which would walk over megabytes for the sake of some hundred tokens."""
        tokens = getattr(self.model, "max_seq_length", None)
        return MOST_CHARACTERS if tokens is None else min(MOST_CHARACTERS, int(tokens) * CHARACTERS_PER_TOKEN)

    def _keys(self, texts: Sequence[str]) -> list[bytes]:
        identity = f"{identity_of(self.settings.encoder)}\0{'bf16' if fast_bfloat16() else 'fp32'}\0"
        return [hashlib.sha256((identity + t).encode("utf-8", "surrogatepass")).digest() for t in texts]

    def _encode(self, texts: list[str], advance: Callable[[float], None]) -> np.ndarray:
        import torch

        size = self.settings.batch_size
        parts = []
        for start in range(0, len(texts), size):
            batch = texts[start : start + size]
            vectors = self.model.encode(batch, batch_size=size, convert_to_tensor=True, show_progress_bar=False)
            parts.append(torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy())
            advance(len(batch))
        return np.concatenate(parts)


@lru_cache(maxsize=1)
def loaded(path: str, identity: str) -> SentenceTransformer:
    """A checkpoint's model, kept for later stages of the process; ``identity`` differs for a folder that was changed."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SentenceTransformer(path, device=device, trust_remote_code=False)
    return model.to(torch.bfloat16) if fast_bfloat16() else model


def identity_of(encoder: str) -> str:
    """A checkpoint's name; for a folder or a file also sizes and times, so that one trained anew is another one."""
    place = Path(encoder)
    if not place.exists():
        return encoder
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    return " ".join([encoder, *(f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files)])


def fast_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 in hardware (AMX or AVX512-BF16, or a GPU): about 3 times as fast."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capability.get("amx_bf16") or capability.get("avx512_bf16"))
