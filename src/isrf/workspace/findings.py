"""What was found by looking into a workspace, an audit and bridges, kept with what it is about.

It lies beside the stages, in a folder of its own: a stage that is made anew empties its folder. Knows nothing about what
the documents say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from isrf.core.errors import NO_PERMISSION
from isrf.core.locks import NotWritable, alone
from isrf.core.progress import note
from isrf.core.provenance import command
from isrf.core.sealed_documents import Unsealed, read_sealed, write_sealed
from isrf.core.shell import command_line
from isrf.workspace.layout import AUDIT_FILE, FINDINGS_FOLDER, GROUP_EFFECT_FILE
from isrf.workspace.workspace import Workspace

MADE_BY: dict[str, Callable[[Path], tuple[str | Path, ...]]] = {
    AUDIT_FILE: lambda root: ("isrf", "audit", root),
    GROUP_EFFECT_FILE: lambda root: ("isrf", "inspect", root, "--find", "bridges"),
}
"""The command that makes each document."""
SOURCE_DIGESTS = "of"
"""Key of a document: files of the workspace that it is about, with their digests."""
COMMAND = "command"
"""Key of a document: the command that made it (``core.provenance.command``)."""


def save_findings(workspace: Workspace, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document that says under OF what it is about; what was written, the digest of it last (``core.sealed_documents``).

    Of a workspace that cannot be written to, which may be looked into all the same, a line says that it is not kept.

    Raises:
        IsrfError: another command is writing into the workspace.
    """
    path = workspace.root / FINDINGS_FOLDER / name
    told = {**document, COMMAND: command()}
    try:
        with alone(workspace.root):
            path.parent.mkdir(exist_ok=True)
            return write_sealed(path, told)
    except (NotWritable, OSError) as error:
        if isinstance(error, OSError) and error.errno not in NO_PERMISSION:
            raise
        note(f"{path}: not kept, as the workspace cannot be written to; a report will not have it")
    return told


def read_findings(workspace: Workspace, name: str) -> dict[str, Any] | None:
    """A document that was kept, None where there is none; one that an older isrf wrote is left out, and a line says so.

    Raises:
        IsrfError: it is damaged, or was changed by hand.
    """
    path = workspace.root / FINDINGS_FOLDER / name
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return read_sealed(path, f"delete it, or make it anew with `{command_line(*MADE_BY[name](workspace.root))}`")
    except Unsealed as error:
        note(f"left out: {error}")
        return None


def digests_of_stages(workspace: Workspace, stages: Iterable[str]) -> dict[str, str]:
    """{"stage/file": digest} of every file of some stages, of those that are finished."""
    found: dict[str, str] = {}
    for stage in map(workspace.stage, stages):
        info = stage.info()
        found |= stage.digests(*info["files"]) if info is not None else {}
    return found


def is_current(workspace: Workspace, of: Mapping[str, str]) -> bool:
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
