"""The command `isrf recommend`: parses, asks, prints. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isrf.cli.options import (
    At,
    Boosts,
    Conditions,
    Diversity,
    Exclude,
    Format,
    History,
    IgnoreAvailability,
    IncludeSeen,
    ItemsToRecommend,
    MaxPer,
    Method,
    TaskName,
    TaskOption,
    User,
    UsersFile,
    Where,
    check_top,
    history_of,
    task_of,
)
from isrf.core.errors import IsrfError


def recommend(
    ws: Where,
    user: User = [],  # noqa: B006
    users_file: UsersFile = None,
    history: History = [],  # noqa: B006
    top: Annotated[int, typer.Option("--top", help="How many items")] = 10,
    items_to_recommend: ItemsToRecommend = None,
    exclude: Exclude = None,
    where: Conditions = [],  # noqa: B006
    include_seen: IncludeSeen = False,
    max_per: MaxPer = [],  # noqa: B006
    boost: Boosts = [],  # noqa: B006
    diversity: Diversity = None,
    at: At = None,
    ignore_availability: IgnoreAvailability = False,
    task: TaskOption = TaskName.sr,
    format: Annotated[
        Format | None,
        typer.Option("--format", help="Default: what the ending of --output says, else table; parquet needs --output"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write instead of the screen: .txt .md .json .jsonl .csv .parquet"),
    ] = None,
    method: Method = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="A generated sentence for each item, where the data has review explanations"),
    ] = False,
) -> None:
    """Ranked items with reasons, for users of the log or for anybody's history. Without either: all users.

    Filters come before the top is taken; rules.yaml in the workspace holds those of every call (docs/serving.md).
    """
    from isrf.cli.filters import boost_of, caps_of, condition_of, ids_given
    from isrf.cli.ids import NEW_PERSON, hinted, ids_of, users_of_file
    from isrf.cli.output_files import check_output, format_of
    from isrf.cli.printing.recommendations import print_recommendations
    from isrf.recommender.answer import answer
    from isrf.recommender.recommender import open_recommender
    from isrf.recommender.request import asked
    from isrf.recommender.selection import Wishes, selection_of
    from isrf.workspace.saved_settings import saved_settings
    from isrf.workspace.workspace import Workspace

    check_top(top)
    person = history_of(history)
    written_as = format_of(output, format.value if format else None, tuple(Format), Format.table)
    if written_as == Format.parquet and output is None:
        raise IsrfError("--format parquet writes a file: name it with --output FILE")
    check_output(output)
    conditions, boosts = [condition_of(text) for text in where], [boost_of(text) for text in boost]
    caps = caps_of(max_per)
    workspace = Workspace.existing(ws)
    recommender = open_recommender(workspace, saved_settings(workspace), method)
    opened = recommender.opened
    if explain:
        try:
            recommender.require_explainer()
        except IsrfError as error:
            raise IsrfError(f"--explain: {error}") from None
    histories = None if person is None else [ids_of(person)]
    users = [*user, *([] if users_file is None else users_of_file(users_file, opened.split.row_of))]
    with hinted(recommender):
        people = asked(opened, users or None, histories, task_of(task))
    items = opened.split.training.catalogue.row_of
    wishes = Wishes(
        ids_given(items_to_recommend, items, "--items-to-recommend"),
        ids_given(exclude, items, "--exclude"),
        conditions,
        filter_viewed=False if include_seen else None,
        availability=not ignore_availability,
        at=at,
        max_per=caps,
        boost=boosts,
        diversity=diversity,
    )
    rows = answer(opened, people, top, selection_of(opened, wishes), generated=explain)
    for row in rows:
        row["user_id"] = NEW_PERSON if row["user_id"] is None else row["user_id"]
        del row["person"]
    print_recommendations(rows, written_as, output)
