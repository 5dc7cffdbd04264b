"""The commands `isrf inspect` and `isrf report`: parse, call, print. Decide nothing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from isrf.errors import IsrfError
from isrf.options import CardOption, Format, History, Method, TaskName, TaskOption, User, Where, task_of


class Find(StrEnum):
    bridges = "bridges"


def inspect(
    ws: Where,
    user: User = [],  # noqa: B006
    history: History = None,
    find: Annotated[
        Find | None,
        typer.Option(
            "--find",
            help="bridges: whose recommendations the group changed most, with the evidence, and how often held-out items "
            "confirm what crossed over; minutes, as everybody is ranked twice",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", help="How many recommendations, or bridges")] = 10,
    task: TaskOption = TaskName.sr,
    method: Method = None,
    card: CardOption = False,
    format: Annotated[Format, typer.Option("--format", help="json: of --find only")] = Format.table,
) -> None:
    """One person in full: explicit interests, similar people, group interests, and what carried each recommendation.

    Or, with --find bridges, the people whom the group layer matters to most; with --card, the method itself: whose
    interests it reads and what of the reasoning reaches whoever asks.
    """
    from isrf import show
    from isrf.answer import portray
    from isrf.remembered import kept_settings
    from isrf.workspace import Workspace

    if len(user) + (history is not None) + (find is not None) + card != 1:
        raise IsrfError(
            "inspect shows one thing at a time: one person by --user ID or --history ITEMS, or --find bridges, or --card"
        )
    if format is not Format.table and (find is None or format is not Format.json):
        raise IsrfError("inspect prints tables; --format json goes with --find bridges")
    if top < 1:
        raise IsrfError(f"--top {top}: at least 1")
    workspace = Workspace.existing(ws)
    settings = kept_settings(workspace)
    if card:
        with workspace.unchanged():
            show.card(workspace, settings, method)
        return
    if find is None:
        person, picture = portray(workspace, settings, user[0] if user else None, history, top, task_of(task), method)
        show.portrait(person, picture)
        return
    from isrf.reporting import find_bridges

    show.bridges(find_bridges(workspace, settings, task_of(task), method, top), format.value)


def report(
    ws: Where,
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write instead of WS/report.html", metavar="FILE")
    ] = None,
) -> None:
    """One HTML file with everything that can be known of a workspace: results, insides, provenance. Opens from disk."""
    from isrf.progress import note
    from isrf.remembered import kept_settings
    from isrf.reporting import write_report
    from isrf.workspace import Workspace

    workspace = Workspace.existing(ws)
    if output is not None and output.is_dir():
        raise IsrfError(f"--output {output}: is a folder; name a file in it")
    if output is not None and not output.parent.is_dir():
        raise IsrfError(f"--output {output}: there is no folder {output.parent}; make it first")
    path = write_report(workspace, kept_settings(workspace), output)
    note(f"{path}: open it in a browser")
