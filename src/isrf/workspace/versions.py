"""Versions of a workspace: which one counts, and where its stages stand. Knows nothing about what stages hold.

Version 1 stands at the top of the workspace, as it always did; an update builds the next one in a folder of its own, and
names it in CURRENT_FILE when it is whole. That rename is the swap. The version before it is kept, to roll back to.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from isrf.core.errors import IsrfError
from isrf.core.sealed_documents import SEAL, read_sealed, write_sealed
from isrf.workspace.layout import CURRENT_FILE, STAGE_FILE, STAGES, VERSIONS_FOLDER

FIRST = 1
NAME = re.compile(r"[0-9]{4,9}")
"""Names of folders of versions."""


@dataclass(frozen=True)
class Current:
    """Which versions a workspace keeps.

    Attributes:
        version: the one that answers.
        previous: the one that can be rolled back to; None where there is none.
    """

    version: int = FIRST
    previous: int | None = None

    @property
    def kept(self) -> set[int]:
        return {self.version} if self.previous is None else {self.version, self.previous}


def home_of(root: Path, version: int) -> Path:
    """Folder that the stages of a version stand in."""
    return root if version == FIRST else root / VERSIONS_FOLDER / f"{version:04d}"


def versions_there(root: Path) -> list[int]:
    """Numbers of the versions that are there, finished or not, ascending; version 1 where its dataset is there."""
    folder = root / VERSIONS_FOLDER
    later = [int(p.name) for p in folder.iterdir() if NAME.fullmatch(p.name)] if folder.is_dir() else []
    first = [FIRST] if (root / STAGES[0] / STAGE_FILE).exists() else []
    return sorted({*first, *(number for number in later if number > FIRST)})


def read_current(root: Path) -> Current:
    """What CURRENT_FILE says; without that file the oldest version that is there.

    Raises:
        IsrfError: the file is damaged, or names a version that is not there.
    """
    path = root / CURRENT_FILE
    if not path.exists() and not path.is_symlink():
        return Current(min(versions_there(root), default=FIRST))
    remedy = "delete it, and the oldest version that is there counts"
    document = read_sealed(path, remedy)
    version, previous = document.get("version"), document.get("previous")
    if set(document) - {SEAL} != {"version", "previous"} or not isinstance(version, int):
        raise IsrfError(f"{path}: does not say which version counts; {remedy}")
    if not isinstance(previous, int | None) or version not in versions_there(root):
        raise IsrfError(f"{path}: names version {version}, which is not there; {remedy}")
    return Current(version, previous)


def write_current(root: Path, current: Current) -> None:
    """Let another version count from now on: one rename."""
    write_sealed(root / CURRENT_FILE, asdict(current))
