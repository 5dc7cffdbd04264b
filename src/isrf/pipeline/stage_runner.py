"""One stage of a workspace: skipped where nothing that it reads has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from isrf.core.files import is_there
from isrf.core.progress import note
from isrf.semantics.encode import identity_of
from isrf.workspace.stage import Stage
from isrf.workspace.stage_key import key_of, scored_by
from isrf.workspace.workspace import Workspace


def run_stage(
    stage: Stage,
    inputs: dict[str, str],
    settings: dict[str, Any],
    work: Callable[[Path, dict[str, Any]], None],
    anew: bool = False,
    retried: dict[str, Any] | None = None,
) -> bool:
    """Do ``work(folder, notes)`` unless the stage is finished from the same inputs and settings, or ``anew``.

    ``retried`` as in ``Stage.building``. Returns whether it was done.
    """
    stage.prepare()
    if not anew and stage.is_current(key_of(stage.name, inputs, settings)):
        note(f"{stage.name}: nothing changed, kept")
        return False
    notes: dict[str, Any] = {}
    with stage.building(inputs, settings, notes, retried) as folder:
        work(folder, notes)
    info = stage.require()
    note(f"{stage.name}: {info['seconds']:.1f} s, peak memory of the run so far {info['peak_memory_mb']} MB")
    return True


def contents_of(what: str, named: str | Path | None) -> dict[str, str]:
    """What a file or folder that a setting names held; nothing for a name of the hub, or where there is none."""
    if named is None or not is_there(Path(named)):
        return {}
    return {f"{what}/contents": identity_of(str(named))}


def scored_with(workspace: Workspace) -> dict[str, Any]:
    """``stage.scored_by`` of a workspace's graphs."""
    return scored_by(workspace.stage("graphs").require())
