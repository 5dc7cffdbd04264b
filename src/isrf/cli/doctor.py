"""The command `isrf doctor`: what this machine has, from versions to memory and embedded defaults. Changes nothing."""

from __future__ import annotations

import typer


def doctor() -> None:
    """What this machine has, what is missing, and what to do about it."""
    from isrf.cli.printing.checks import print_checks
    from isrf.pipeline.machine_checks import examine

    if not print_checks(examine()):
        raise typer.Exit(1)
