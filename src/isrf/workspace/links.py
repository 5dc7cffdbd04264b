"""Links and special files in a workspace: none may lead a command to write, or to read unproven bytes, somewhere else.

A workspace may have been unpacked from somebody's archive. A stage folder that is a link to a folder of this person's
would be emptied with the stage, a partial file that is one would be written through. Knows nothing about what files hold.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from isrf.core.errors import IsrfError
from isrf.core.locks import LOCK
from isrf.core.shell import command_line
from isrf.core.terminal_text import visible
from isrf.workspace.layout import (
    BENCH_FOLDER,
    CURRENT_FILE,
    FINDINGS_FOLDER,
    LIVE_SUFFIXES,
    RULES_FILE,
    SETTINGS_FILE,
    STAGE_FILE,
    STAGES,
    TRACKING_FOLDER,
    VERSIONS_FOLDER,
)

FOLDERS = (*STAGES, BENCH_FOLDER, FINDINGS_FOLDER, TRACKING_FOLDER, VERSIONS_FOLDER)
"""What commands write below a workspace. Its folder of variants may lie on another disk: each variant is a workspace, and
is looked at when it is opened."""
FILES = (SETTINGS_FILE, RULES_FILE, CURRENT_FILE, LOCK)


def check_links(root: Path) -> None:
    """Look at everything that commands read or write below a workspace.

    What leads to another place within the workspace is fine. So is an artifact of a stage that is a link to a file, as
    git-annex makes: its bytes are proven when it is read, and a new one replaces the link. A variant's stores of answers
    and vectors are links to those of the workspace that it varies.

    Raises:
        IsrfError: names the first link that leads elsewhere, or what is neither file nor folder.
    """
    home = root.resolve()
    for path in _below(root):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            continue
        if not stat.S_ISLNK(mode):
            raise IsrfError(f"{visible(str(path))}: neither a file nor a folder; remove it: {_removed(path)}")
        target = _target(path)
        if target is None or not (target.is_relative_to(home) or _proven(path, root) or _shared(path, target, root)):
            raise IsrfError(
                f"{visible(str(path))}: a link that leads out of the workspace, to {visible(str(path.readlink()))}; what "
                f"commands write and delete there would be that. Put what belongs there in its place, or remove it: "
                f"{_removed(path)}"
            )


def _below(root: Path) -> Iterator[Path]:
    """Every file and folder that commands go by; links are not followed."""
    for name in (*FILES, *FOLDERS):
        path = root / name
        if path.is_symlink() or path.exists():
            yield path
        if path.is_dir() and not path.is_symlink():
            for folder, folders, files in os.walk(path):
                yield from (Path(folder, name) for name in (*folders, *files))


def _target(path: Path) -> Path | None:
    """Where a link leads, whether or not there is anything; None where it leads in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return None


def _proven(path: Path, root: Path) -> bool:
    """Whether a link stands for an artifact, a file that is read by its digest and replaced as a whole."""
    home = path.parent.parent
    of_a_version = home == root or home.parent == root / VERSIONS_FOLDER
    artifact = of_a_version and path.parent.name in STAGES and path.is_file()
    return artifact and path.name != STAGE_FILE and not path.name.startswith(".") and not _store(path.name)


def _shared(path: Path, target: Path, root: Path) -> bool:
    """Whether a link is a store that is shared with another workspace: the same store of its same stage."""
    same = (target.parent.name, target.name) == (path.parent.name, path.name) and path.parent.parent == root
    return same and path.name.endswith(".sqlite") and (target.parent.parent / STAGES[0]).is_dir()


def _store(name: str) -> bool:
    return ".sqlite" in name or name.endswith(LIVE_SUFFIXES)


def _removed(path: Path) -> str:
    return command_line("rm", path)
