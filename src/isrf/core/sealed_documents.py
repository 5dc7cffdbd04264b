"""Documents that prove themselves: JSON with a digest of its own content in it, and text with one in its first line.

A byte that flips, a cut end, or a figure changed by hand is noticed by whoever reads. This is no signature: who writes a
file with a new digest is believed. Knows nothing about what documents say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from isrf.core.atomic_files import write_atomic
from isrf.core.documents import MOST_JSON_BYTES, MOST_YAML_BYTES, Unreadable, parse_json, read_content
from isrf.core.errors import IsrfError
from isrf.core.files import opened
from isrf.core.progress import note

SEAL = "sha256"
"""Key of a document: SHA-256 (hex) of the rest, written canonically."""
FIRST_LINE = "# SHA-256 of the lines below, by isrf: "
_FIRST = re.compile(rb"# SHA-256\b[^\n]*?([^ \n]*)\r?\n")


class Unsealed(IsrfError):
    """A document without a digest, as older versions wrote them: nobody can say whether it is whole."""


def digest_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as JSON will give it back, with its digest as the last key; one that it has is replaced."""
    plain = json.loads(json.dumps({k: v for k, v in document.items() if k != SEAL}, default=str))
    return {**plain, SEAL: _digest(plain)}


def is_whole(document: Mapping[str, Any]) -> bool:
    """Whether the digest in a document is that of the rest."""
    return document.get(SEAL) == _digest({k: v for k, v in document.items() if k != SEAL})


def write_sealed(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Replace a JSON file; what was written, the digest in it.

    Raises:
        OSError: as ``write_atomic``.
    """
    whole = sealed(document)
    write_atomic(path, json.dumps(whole, indent=2, ensure_ascii=False))
    return whole


def read_document(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file, its digest not looked at.

    Args:
        remedy: what to do where there is none, the end of an error's line.

    Raises:
        IsrfError: the file cannot be read, or holds no JSON object.
    """
    try:
        document = parse_json(read_content(path, MOST_JSON_BYTES, remedy))
    except Unreadable:
        document = None
    if not isinstance(document, dict):
        raise IsrfError(f"{path}: damaged (not the JSON that was written); {remedy}")
    return document


def read_sealed(path: Path, remedy: str) -> dict[str, Any]:
    """The document that ``write_sealed`` wrote, its digest among it.

    Raises:
        Unsealed: it has no digest.
        IsrfError: as ``read_document``, or its content is not what was written.
    """
    document = read_document(path, remedy)
    if SEAL not in document:
        raise Unsealed(f"{path}: holds no digest of itself, so an older isrf wrote it or somebody else; {remedy}")
    if not is_whole(document):
        raise IsrfError(f"{path}: damaged or changed by hand (its content is not what was written); {remedy}")
    return document


def sealed_text(text: str) -> str:
    """Text for a format with ``#`` comments, the digest of it in a first line."""
    return f"{FIRST_LINE}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def tell_if_changed(path: Path) -> None:
    """Say, once a process, that a file is not what ``sealed_text`` gave; one without such a first line is somebody's own."""
    content = read_content(path, MOST_YAML_BYTES)
    found = _FIRST.match(content)
    if found is not None and hashlib.sha256(content[found.end() :]).hexdigest().encode() != found[1]:
        _tell_changed(path)


@cache
def _tell_changed(path: Path) -> None:
    note(f"{path}: is not as isrf wrote it (changed by hand, or damaged); its settings are taken as they stand now")


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
