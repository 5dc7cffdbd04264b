"""The command `isrf update`: parses, calls, prints. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isrf.cli.options import Where
from isrf.core.errors import IsrfError
from isrf.core.terminal_text import visible


def update(
    ws: Where,
    data: Annotated[
        str | None, typer.Option("--data", metavar="MORE", help="Newer rows of the log, read as the log was")
    ] = None,
    items: Annotated[
        Path | None, typer.Option("--items", help="New items, and items with new texts; joined by item id")
    ] = None,
    reason_anew: Annotated[
        bool,
        typer.Option(
            "--reason-anew",
            help="Count attribute statistics of everything anew, not of what is new alone: as a run from nothing would",
        ),
    ] = False,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Train the generator from its weights afterwards; taken where it is not worse"),
    ] = False,
    back: Annotated[
        bool, typer.Option("--roll-back", help="Let the version before answer again; twice undoes it")
    ] = False,
) -> None:
    """Add rows and items to a finished workspace: they count as soon as the new version is whole; nothing is trained."""
    from isrf.core.progress import note
    from isrf.pipeline.update import roll_back, updating

    if back:
        if data is not None or items is not None or retrain or reason_anew:
            raise IsrfError("--roll-back does one thing: give it nothing else")
        note(f"version {roll_back(ws).version} answers from now on")
        return
    with updating(ws, data, items, reason_anew, retrain) as (workspace, lines):
        from isrf.cli.printing.screen import print_next_step

        for line in lines:
            print(visible(line))
        print_next_step(workspace, "recommend", "evaluate")
