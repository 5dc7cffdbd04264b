"""Files in the folder of a stage: those that a build of it wrote, beside its record and its stores."""

from __future__ import annotations

from pathlib import Path

from isrf.workspace.layout import LIVE_SUFFIXES, STAGE_FILE


def artifacts_in(folder: Path) -> list[Path]:
    """Files in a folder that a stage wrote, without its record, its stores and what begins with a dot; in order of names."""
    if not folder.is_dir():
        return []
    named = (p for p in folder.iterdir() if not p.name.startswith(".") and p.name != STAGE_FILE)
    return sorted(p for p in named if p.is_file() and not p.is_symlink() and p.suffix not in LIVE_SUFFIXES)


def clear(folder: Path) -> None:
    """Delete the artifacts of a stage, stores that commands go on writing into aside."""
    for old in folder.iterdir():
        if (old.is_file() or old.is_symlink()) and old.suffix not in LIVE_SUFFIXES:
            old.unlink()
