"""The record of a finished stage, ``stage.json``: read only where it is whole. Knows nothing about what stages do."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from isrf.core.documents import MOST_JSON_BYTES, read_content
from isrf.core.errors import IsrfError
from isrf.core.sealed_documents import SEAL, is_whole, read_document, write_sealed
from isrf.core.shell import run_call
from isrf.workspace.layout import STAGE_FILE

FORMAT = 3
"""Raised when a file's meaning changes; a workspace of another format is refused, never guessed at."""


NEEDED: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "key": str,
    "inputs": dict,
    "settings": dict,
    "seconds": (int, float),
    "files": dict,
    "notes": dict,
}
FURTHER: dict[str, type | tuple[type, ...]] = {
    "stage": str,
    "command": (str, type(None)),
    "versions": dict,
    "resumed": bool,
    "peak_memory_mb": (int, float),
}
"""Fields of a record and what they hold; the first are read without asking whether they are there."""


def read_record(path: Path, remedy: str) -> dict[str, Any]:
    """What a ``stage.json`` says.

    One that an older isrf wrote has no digest of itself, and is taken for what it says (``seal_record`` gives it one).

    Args:
        remedy: what to do where it cannot be used.

    Raises:
        IsrfError: the file is unreadable, damaged, changed by hand, or was written by another format of workspace.
    """
    content = read_content(path, MOST_JSON_BYTES, remedy)
    fault = _fault(content)
    if fault is not None:
        raise IsrfError(f"{path}: {fault.replace('REMEDY', remedy)}")
    return dict(json.loads(content))


def seal_record(path: Path) -> bool:
    """Give a record of an older isrf, which can be read, the digest of itself; whether it had none."""
    record = read_document(path, "")
    if SEAL in record or _fault(read_content(path, MOST_JSON_BYTES)) is not None:
        return False
    write_sealed(path, record)
    return True


@lru_cache(maxsize=64)
def _fault(content: bytes) -> str | None:
    """What is wrong with a record of these bytes; the same bytes are looked at many times in a command."""
    try:
        record = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or "format" not in record:
        return f"not a readable {STAGE_FILE}; REMEDY"
    if record["format"] != FORMAT:
        versions = record.get("versions")
        by = versions.get("isrf", "?") if isinstance(versions, dict) else "?"
        return (
            f"written by isrf {by} as workspace format {record['format']}, this isrf reads format {FORMAT}; run again into "
            f"a new folder with `{run_call('NEW')}`"
        )
    if isinstance(record.get("files"), dict) and not all(map(is_plain, record["files"])):
        return "names files outside of its folder, which isrf never does; where you trust this workspace all the same, REMEDY"
    wrong = next((name for name, kind in NEEDED.items() if not isinstance(record.get(name), kind)), None)
    wrong = wrong or next((n for n, kind in FURTHER.items() if n in record and not isinstance(record[n], kind)), None)
    wrong = wrong or next((n for n in record if n not in (*NEEDED, *FURTHER, SEAL)), None)
    wrong = wrong or ("files" if not all(map(_is_file, record["files"].values())) else None)
    wrong = wrong or ("inputs" if not all(isinstance(digest, str) for digest in record["inputs"].values()) else None)
    if wrong is not None:
        return f"not a readable {STAGE_FILE} (its field {wrong!r} is missing, or not what isrf writes); REMEDY"
    if SEAL in record and not is_whole(record):
        return "damaged or changed by hand (its content is not what was written); REMEDY"
    return None


def _is_file(about: Any) -> bool:
    return isinstance(about, dict) and isinstance(about.get("bytes"), int) and isinstance(about.get("sha256"), str)


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in the folder itself, on any system."""
    return name not in ("", ".", "..") and not any(character in "/\\\0:" for character in name)
