"""Settings of a command that runs a stage: those the workspace was made with, changed by what is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from isrf.core.config import Settings, given_names, load_settings, save_settings
from isrf.core.errors import IsrfError
from isrf.core.locks import alone
from isrf.core.shell import command_line
from isrf.reasoning.llm import consent
from isrf.reasoning.llm.supplier import check_settings
from isrf.workspace.layout import SETTINGS_FILE
from isrf.workspace.workspace import Workspace


def settings_for(
    workspace: Workspace,
    sets: list[str],
    preset: str | None,
    config: Path | None,
    rooms: tuple[str, ...] = (),
    keep: bool = True,
) -> Settings:
    """Settings of a stage command: those the workspace was last made with, changed by what is given.

    They are kept for later commands unless ``keep`` says that this one only asks what would happen. So is what the command
    itself gives of where questions go, for this machine (``reasoning.llm.consent``).

    Raises:
        IsrfError: a setting is not valid (then nothing is kept), or it belongs to a room that the command, which reads
            ``rooms`` only, would ignore; or another command is writing into the workspace.
    """
    return _accepted(workspace, sets, preset, config, rooms, keep)[0]


def _accepted(
    workspace: Workspace, sets: list[str], preset: str | None, config: Path | None, rooms: tuple[str, ...], keep: bool
) -> tuple[Settings, Path | None]:
    """``settings_for``, and the file of a new agreement where one was written."""
    kept = workspace.root / SETTINGS_FILE
    settings = load_settings(preset, config, sets, kept)
    if not rooms or "reasoning" in rooms:
        check_settings(settings.reasoning)
    if rooms and kept.exists():
        before = load_settings(base=kept)
        for room in Settings.model_fields:
            if room not in rooms and getattr(settings, room) != getattr(before, room):
                raise IsrfError(
                    f"settings of {room!r} would change, which this command does not read (it reads {', '.join(rooms)}); "
                    f"give them to the command of that stage, or to `{command_line('isrf', 'run')}`"
                )
    terms = None
    if not rooms or "reasoning" in rooms:
        terms = consent.offer(settings.reasoning, given_names(preset, config, sets, kept))
    if not keep:
        return settings, None
    # not while another command works with the settings that are there
    with alone(workspace.root):
        save_settings(settings, kept)
    return settings, None if terms is None else consent.keep(terms)


@contextmanager
def trying(
    workspace: Workspace, sets: list[str], preset: str | None, config: Path | None, rooms: tuple[str, ...] = ()
) -> Iterator[Settings]:
    """``settings_for`` a command that may be refused: then the workspace remembers what it did before.

    So a mistyped address or a missing key does not become the setting of every later command, or an agreement. A command
    that is stopped leaves its settings, and the next one goes on with them.

    Raises:
        IsrfError: as ``settings_for``, and whatever the block is refused with.
    """
    kept = workspace.root / SETTINGS_FILE
    before = load_settings(base=kept) if kept.exists() else None
    settings, agreement = _accepted(workspace, sets, preset, config, rooms, keep=True)
    try:
        yield settings
    except IsrfError:
        if agreement is not None:
            consent.withdraw(agreement)
        # another command may work with them already; on a full disk they cannot be put back, and what filled it is told
        with suppress(IsrfError, OSError), alone(workspace.root):
            if before is None:
                kept.unlink(missing_ok=True)
            else:
                save_settings(before, kept)
        raise
