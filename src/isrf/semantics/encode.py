"""Text to unit vectors with a sentence encoder, each text encoded once. Knows nothing about items, users or graphs."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isrf import assets
from isrf.config import SemanticsSettings
from isrf.core.sqlite_reading import can_write, reading
from isrf.errors import IsrfError, out_of_room
from isrf.progress import note, task

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EMBEDDED = "minilm"
SAVE_EVERY = 2048
"""Texts encoded between two commits of the cache: what a kill can lose."""


class VectorCache:
    """Vectors by digest of (encoder, text) in one SQLite file; a killed run loses at most one batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = ExitStack()
        self.keeps = can_write(path)  # else vectors that are there are read, and new ones are used and not kept
        try:
            if self.keeps:
                self._db = sqlite3.connect(path)
                self._db.execute("PRAGMA journal_mode=WAL")
            else:
                self._db = self._opened.enter_context(reading(path)) if path.exists() else sqlite3.connect(":memory:")
            if self.keeps or not path.exists():
                self._db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
        except sqlite3.DatabaseError as error:
            if out_of_room(error):  # the first write of a new file
                raise
            raise IsrfError(f"{path}: not a readable vector cache ({error}); delete it and run again") from None

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        found: dict[bytes, np.ndarray] = {}
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            try:
                rows = self._db.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part).fetchall()
            except sqlite3.DatabaseError as error:
                raise IsrfError(
                    f"{self.path}: not a readable vector cache ({error}); delete it and run again"
                ) from None
            found.update((key, np.frombuffer(blob, dtype=np.float32)) for key, blob in rows)
        return found

    def put(self, rows: Sequence[tuple[bytes, np.ndarray]]) -> None:
        if not self.keeps:
            note(f"{self.path}: cannot be written to, so the vectors of {len(rows):,} texts are not kept")
            return
        blobs = [(k, v.astype(np.float32).tobytes()) for k, v in rows]
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", blobs)
        except sqlite3.DatabaseError as error:
            raise IsrfError(f"{self.path}: cannot be written ({error}); free some space and run again") from None

    def close(self) -> None:
        self._db.close()
        self._opened.close()


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
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in found and t.strip()}
        # by length, so that a batch holds texts of like length and little padding
        todo = sorted(missing.items(), key=lambda kt: (-len(kt[1]), kt[0]))
        with task(what, len(todo)) as running:
            for start in range(0, len(todo), SAVE_EVERY):
                part = todo[start : start + SAVE_EVERY]
                # half a surrogate pair, as cut JSON escapes leave behind, is no text to a tokenizer
                readable = [t.encode("utf-8", "replace").decode("utf-8") for _, t in part]
                vectors = self._encode(readable, running.advance)
                rows = [(k, v) for (k, _), v in zip(part, vectors, strict=True)]
                if self._cache:
                    self._cache.put(rows)
                found.update(rows)
        width = len(next(iter(found.values()))) if found else self.model.encode(["."]).shape[1]
        empty = np.zeros(width, dtype=np.float32)
        return np.stack([found.get(k, empty) for k in keys]) if keys else np.zeros((0, width), dtype=np.float32)

    def known(self, texts: Sequence[str]) -> np.ndarray | None:
        """The same from the cache alone, nothing encoded; None where a text is not in it, or no text has words."""
        keys = self._keys(texts)
        found = self._cache.get(list(dict.fromkeys(keys))) if self._cache else {}
        if not found or any(k not in found and t.strip() for k, t in zip(keys, texts, strict=True)):
            return None
        empty = np.zeros(len(next(iter(found.values()))), dtype=np.float32)
        return np.stack([found.get(k, empty) for k in keys])

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
    model = SentenceTransformer(path, device="cuda" if torch.cuda.is_available() else "cpu")
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
