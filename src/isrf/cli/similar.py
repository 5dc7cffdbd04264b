"""The command `isrf similar`: parses, asks, prints. Decides nothing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from isrf.cli.options import (
    At,
    Conditions,
    Exclude,
    Format,
    IgnoreAvailability,
    ItemsToRecommend,
    Method,
    Where,
    check_top,
)
from isrf.core.errors import IsrfError


class Likeness(StrEnum):
    fused = "fused"
    semantics = "semantics"
    buyers = "buyers"
    next = "next"


def similar(
    ws: Where,
    item: Annotated[list[str], typer.Argument(metavar="ITEM...", help="Original ids of items")],
    by: Annotated[
        Likeness,
        typer.Option(
            "--by",
            help="semantics: what they are; buyers: who chose both; next: what follows; fused: the sum of the three, each "
            "divided by its largest value",
        ),
    ] = Likeness.fused,
    top: Annotated[int, typer.Option("--top", help="How many items")] = 10,
    items_to_recommend: ItemsToRecommend = None,
    exclude: Exclude = None,
    where: Conditions = [],  # noqa: B006
    at: At = None,
    ignore_availability: IgnoreAvailability = False,
    format: Annotated[
        Format | None,
        typer.Option("--format", help="Default: what the ending of --output says, else table; parquet needs --output"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write instead of the screen: .txt .md .json .jsonl .csv .parquet"),
    ] = None,
    method: Method = None,
) -> None:
    """Items like the given ones, with reasons: by what they are, by who buys them, by what follows, or all three."""
    from isrf.cli.filters import condition_of, ids_given
    from isrf.cli.ids import hinted
    from isrf.cli.output_files import check_output, format_of
    from isrf.cli.printing.recommendations import print_recommendations
    from isrf.recommender.recommender import open_recommender
    from isrf.recommender.selection import Wishes, selection_of
    from isrf.recommender.similar import similar_rows
    from isrf.workspace.saved_settings import saved_settings
    from isrf.workspace.workspace import Workspace

    check_top(top)
    written_as = format_of(output, format.value if format else None, tuple(Format), Format.table)
    if written_as == Format.parquet and output is None:
        raise IsrfError("--format parquet writes a file: name it with --output FILE")
    check_output(output)
    conditions = [condition_of(text) for text in where]
    workspace = Workspace.existing(ws)
    recommender = open_recommender(workspace, saved_settings(workspace), method)
    opened = recommender.opened
    items = opened.split.training.catalogue.row_of
    wishes = Wishes(
        ids_given(items_to_recommend, items, "--items-to-recommend"),
        ids_given(exclude, items, "--exclude"),
        conditions,
        availability=not ignore_availability,
        at=at,
    )
    with hinted(recommender):
        rows = similar_rows(opened, item, top, by.value, selection_of(opened, wishes).candidates)
    print_recommendations(rows, written_as, output, similar=True)
