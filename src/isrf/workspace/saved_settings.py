"""Settings that a workspace remembers from one command to the next. Runs nothing."""

from __future__ import annotations

from pathlib import Path

from isrf.core.config import Settings, load_settings
from isrf.workspace.layout import SETTINGS_FILE
from isrf.workspace.workspace import Workspace


def saved_settings(workspace: Workspace) -> Settings:
    """Settings that a workspace was made with."""
    return load_settings(base=workspace.root / SETTINGS_FILE)


def saved_settings_file(folder: Path) -> Path | None:
    """Where a folder keeps settings, None where it is no workspace."""
    return folder / SETTINGS_FILE if (folder / "dataset").is_dir() else None


def as_made(workspace: Workspace, settings: Settings) -> Settings:
    """The settings, with those of finished stages as they were made: somebody new is treated as the log was."""
    made = {room: workspace.stage(room).require()["settings"] for room in ("reasoning", "semantics", "graphs")}
    return settings.model_copy(update={room: type(getattr(settings, room))(**made[room]) for room in made})
