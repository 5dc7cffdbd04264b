"""The command `isrf recommend`: parses, asks, prints. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isrf.cli.options import (
    Format,
    History,
    Method,
    TaskName,
    TaskOption,
    User,
    Where,
    check_top,
    history_of,
    task_of,
)
from isrf.core.errors import IsrfError


def recommend(
    ws: Where,
    user: User = [],  # noqa: B006
    history: History = [],  # noqa: B006
    top: Annotated[int, typer.Option("--top", help="How many items")] = 10,
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
    """Ranked items with reasons, for users of the log or for anybody's history. Without either: all users."""
    from isrf.cli.ids import NEW_PERSON, hinted, ids_of
    from isrf.cli.output_files import check_output, format_of
    from isrf.cli.printing.recommendations import print_recommendations
    from isrf.recommender.answer import answer
    from isrf.recommender.recommender import open_recommender
    from isrf.recommender.request import asked
    from isrf.workspace.saved_settings import saved_settings
    from isrf.workspace.workspace import Workspace

    check_top(top)
    person = history_of(history)
    written_as = format_of(output, format.value if format else None, tuple(Format), Format.table)
    if written_as == Format.parquet and output is None:
        raise IsrfError("--format parquet writes a file: name it with --output FILE")
    check_output(output)
    workspace = Workspace.existing(ws)
    recommender = open_recommender(workspace, saved_settings(workspace), method)
    if explain:
        try:
            recommender.require_explainer()
        except IsrfError as error:
            raise IsrfError(f"--explain: {error}") from None
    histories = None if person is None else [ids_of(person)]
    with hinted(recommender):
        people = asked(recommender.opened, user or None, histories, task_of(task))
    rows = answer(recommender.opened, people, top, generated=explain)
    for row in rows:
        row["user_id"] = NEW_PERSON if row["user_id"] is None else row["user_id"]
        del row["person"]
    print_recommendations(rows, written_as, output)
