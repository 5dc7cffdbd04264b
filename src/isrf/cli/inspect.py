"""The command `isrf inspect`: parses, calls, prints. Decides nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from isrf.cli.options import (
    CardOption,
    History,
    Method,
    Shown,
    TaskName,
    TaskOption,
    User,
    Where,
    check_top,
    history_of,
    task_of,
)
from isrf.core.errors import IsrfError
from isrf.core.streams import found_again


class Find(StrEnum):
    bridges = "bridges"


def inspect(
    ws: Where,
    user: User = [],  # noqa: B006
    history: History = [],  # noqa: B006
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
    format: Annotated[Shown, typer.Option("--format", help="json: of --find only")] = Shown.table,
) -> None:
    """One person in full: explicit interests, similar people, group interests, and what carried each recommendation.

    Or, with --find bridges, the people whom the group layer matters to most; with --card, the method itself: whose
    interests it reads and what of the reasoning reaches whoever asks.
    """
    from isrf.cli.ids import NEW_PERSON, hinted, ids_of
    from isrf.cli.printing.results import print_bridges, print_card
    from isrf.cli.printing.user_profile import print_user_profile
    from isrf.recommender.ids import as_imported
    from isrf.recommender.recommender import open_recommender
    from isrf.workspace.saved_settings import saved_settings
    from isrf.workspace.workspace import Workspace

    person = history_of(history)
    if len(user) + bool(history) + (find is not None) + card != 1:
        raise IsrfError(
            "inspect shows one thing at a time: one person by --user ID or --history ITEMS, or --find bridges, or --card"
        )
    if format is Shown.json and find is None:
        raise IsrfError("inspect prints tables; --format json goes with --find bridges")
    check_top(top)
    workspace = Workspace.existing(ws)
    settings = saved_settings(workspace)
    if card:
        with workspace.unchanged():
            print_card(workspace, settings, method)
        return
    if find is None:
        recommender = open_recommender(workspace, settings, method)
        ids = None if person is None else ids_of(person)
        with hinted(recommender):
            profile = recommender.profile(user[0] if user else None, ids, k=top, task=task_of(task))
        print_user_profile(as_imported(user[0], recommender.opened.split.row_of) if user else NEW_PERSON, profile)
        return
    from isrf.pipeline.report import find_bridges
    from isrf.workspace import findings

    document = find_bridges(workspace, settings, task_of(task), method, top)
    found_again(f"the same is in {ws / findings.FINDINGS_FOLDER / findings.GROUP_EFFECT_FILE}")
    print_bridges(document, format.value)
