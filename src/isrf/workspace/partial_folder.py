"""The folder that a stage is built in: for which attempt it is, what earlier attempts took, and when it may be deleted.

It survives a kill, so that what is in it can be taken up again. Knows nothing about what the stages write.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from isrf.core.atomic_files import discard, write_atomic
from isrf.core.progress import note

PARTIAL = ".partial"
CLAIM, RETRY, SPENT = "key", ".retry", ".seconds"
"""In a partial folder: the key of what is being built; the key of what a next attempt has to have in common with one that
could not be fitted, to go on from there; seconds that stopped runs spent on it."""


def take_up(partial: Path, key: str, common: str) -> float:
    """Make a folder ready for an attempt: one that was left by the same one is handed out again, else emptied.

    What is damaged in the bookkeeping counts as not there, and a line says so.

    Args:
        key: of the attempt.
        common: what an attempt that ended with CannotFit must have in common with this one to be taken up by it; "" none.

    Returns:
        Seconds that earlier attempts took.
    """
    if partial.is_symlink() or not partial.is_dir() or not _is_same(partial, key, common):
        discard(partial)
    partial.mkdir(parents=True, exist_ok=True)
    for path in partial.rglob("*"):  # nothing of ours is a link, and writing through one would reach another file
        if path.is_symlink():
            path.unlink()
    claim, retry = partial / CLAIM, partial / RETRY
    discard(retry)  # good for one attempt; another divergence writes it again
    if _told(claim) != key:
        discard(claim)
        write_atomic(claim, key)
    return _seconds(partial / SPENT)


def stop(partial: Path, seconds: float, common: str) -> None:
    """Keep for the next attempt what this one took, and that it may be taken up under other settings (``common``)."""
    with suppress(OSError):
        write_atomic(partial / SPENT, str(seconds))
        if common:
            write_atomic(partial / RETRY, common)


def is_spent(partial: Path, finished: str | None) -> bool:
    """Whether nothing in a partial folder can be taken up again.

    Args:
        finished: key of the finished stage beside it; None where there is none.
    """
    if partial.is_symlink() or not partial.is_dir():
        return partial.is_symlink() or partial.exists()
    claim = _told(partial / CLAIM)
    if not claim or claim == finished:
        return True
    return all(path.name in (CLAIM, SPENT, RETRY) for path in partial.iterdir())


def _is_same(partial: Path, key: str, common: str) -> bool:
    claim = _told(partial / CLAIM)
    if claim == key or (common and _told(partial / RETRY) == common):
        return True
    if not claim and any(path.name not in (CLAIM, SPENT, RETRY) for path in partial.iterdir()):
        note(f"{partial}: its file {CLAIM!r} is missing or damaged, so nobody knows what was begun there; begun anew")
    return False


def _told(file: Path) -> str:
    """A key that was written, "" where there is none or nothing that is one."""
    try:
        text = file.read_bytes().decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    return text if len(text) == 64 and set(text) <= set("0123456789abcdef") else ""


def _seconds(file: Path) -> float:
    """What was spent; a damaged figure counts as nothing, and a line says so."""
    if not file.exists() and not file.is_symlink():
        return 0.0
    seconds = math.nan
    with suppress(OSError, ValueError):
        seconds = float(file.read_bytes().decode("ascii"))
    if math.isfinite(seconds) and seconds >= 0:
        return seconds
    note(f"{file}: not readable as seconds; what a stopped run took is not counted")
    with suppress(OSError):
        discard(file)
    return 0.0
