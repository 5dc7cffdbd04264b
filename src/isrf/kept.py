"""What was found by looking into a workspace, an audit and bridges, kept with what it is about.

It lies beside the stages, in a folder of its own: a stage that is made anew empties its folder. Knows nothing about what
the documents say.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Mapping
from typing import Any

from isrf.core.atomic_files import write_atomic
from isrf.machine import command
from isrf.progress import note
from isrf.stage import alone
from isrf.workspace import Workspace

FOLDER = "inspection"
AUDIT, BRIDGES = "audit.json", "bridges.json"
OF = "of"
"""Key of a document: files of the workspace that it is about, with their digests."""
COMMAND = "command"
"""Key of a document: the command that made it (``machine.command``)."""


def keep(workspace: Workspace, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document that says under OF what it is about; what was written.

    Of a workspace that cannot be written to, which may be looked into all the same, a line says that it is not kept.

    Raises:
        IsrfError: another command is writing into the workspace.
    """
    path = workspace.root / FOLDER / name
    told = {**document, COMMAND: command()}
    try:
        with alone(workspace.root):
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, json.dumps(told, indent=2, ensure_ascii=False))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        note(f"{path}: not kept, as it cannot be written ({error.strerror}); a report will not have it")
    return told


def read(workspace: Workspace, name: str) -> Any:
    """A document that was kept, None where there is none."""
    path = workspace.root / FOLDER / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def made_of(workspace: Workspace, stages: Iterable[str]) -> dict[str, str]:
    """{"stage/file": digest} of every file of some stages, of those that are finished."""
    found: dict[str, str] = {}
    for stage in map(workspace.stage, stages):
        info = stage.info()
        found |= stage.digests(*info["files"]) if info is not None else {}
    return found


def still_about(workspace: Workspace, of: Mapping[str, str]) -> bool:
    """Whether a workspace still has the files that a document is about, up to date."""
    by_stage: dict[str, dict[str, str]] = {}
    for path, digest in of.items():
        by_stage.setdefault(path.partition("/")[0], {})[path] = digest
    for name, digests in by_stage.items():
        stage = workspace.stage(name)
        if not stage.ready():
            return False
        if any(not stage.has(path.partition("/")[2]) for path in digests):
            return False
        if stage.digests(*(path.partition("/")[2] for path in digests)) != digests:
            return False
    return True
