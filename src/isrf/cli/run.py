"""The command `isrf run`: every stage in order. Parses, calls, prints."""

from __future__ import annotations

from typing import Annotated

import typer

from isrf.cli.data import data_sets
from isrf.cli.options import (
    Config,
    IdOrderOption,
    Items,
    OnBadRow,
    Out,
    Preset,
    Sets,
    SourceOption,
)


def run(
    data: SourceOption,
    out: Out,
    items: Items = None,
    preset: Preset = None,
    config: Config = None,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nobody changes it)
    on_bad_row: OnBadRow = None,
    id_order: IdOrderOption = None,
    train: Annotated[bool, typer.Option("--train/--no-train", help="--no-train stops at the interest graphs")] = True,
) -> None:
    """Every stage from SRC to the table of results. A finished stage whose inputs did not change is skipped."""
    from isrf.pipeline.start import running

    given = data_sets(sets, on_bad_row, id_order)
    with running(data, out, items, given, preset, config, train) as (workspace, finished):
        if finished:
            from isrf.cli.printing.results import print_results

            print_results(workspace)
