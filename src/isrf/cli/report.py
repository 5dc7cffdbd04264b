"""The command `isrf report`: parses, calls, prints. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isrf.cli.options import Where


def report(
    ws: Where,
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write instead of WS/report.html", metavar="FILE")
    ] = None,
) -> None:
    """One HTML file with everything that can be known of a workspace: results, insides, provenance. Opens from disk."""
    from isrf.cli.output_files import check_output, format_of
    from isrf.core.progress import note
    from isrf.pipeline.report import write_report
    from isrf.workspace.saved_settings import saved_settings
    from isrf.workspace.workspace import Workspace

    workspace = Workspace.existing(ws)
    check_output(output)
    format_of(output, None, ("html",), "html")
    path = write_report(workspace, saved_settings(workspace), output)
    note(f"{path}: open it in a browser")
