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
    """Every stage from SRC to the table of results. A finished stage whose inputs did not change is kept."""
    from isrf.core.config import load_settings
    from isrf.data.readers.registry import parse_source
    from isrf.pipeline.stage_settings import trying
    from isrf.reasoning.reason import check_settings
    from isrf.workspace.saved_settings import saved_settings_file
    from isrf.workspace.workspace import Workspace

    # everything that can be wrong in the words of the command is found before a folder is made, and before torch is
    # loaded, which takes seconds
    check_settings(load_settings(preset, config, sets, saved_settings_file(out)).reasoning)
    parse_source(data)
    workspace = Workspace.create(out)
    with workspace.held():
        from isrf.cli.printing.results import print_results
        from isrf.pipeline import run as pipeline

        with trying(workspace, data_sets(sets, on_bad_row, id_order), preset, config) as settings:
            finished = pipeline.run(workspace, data, items, settings, training=train)
        if finished:
            print_results(workspace)
