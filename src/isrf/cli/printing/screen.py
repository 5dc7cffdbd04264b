"""What every printed answer shares: the console, its width, and the next step."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column

from isrf.core.consoles import PlainConsole
from isrf.core.progress import note
from isrf.core.shell import command_line

if TYPE_CHECKING:
    from isrf.workspace.workspace import Workspace


NARROW = 100
"""Columns that a table is given where the output is not a terminal."""


PIPED = 160
"""Columns of a file or pipe where nobody says how many: enough for every table."""


def screen() -> Console:
    """Standard output, as wide as the terminal."""
    return PlainConsole() if sys.stdout.isatty() else PlainConsole(width=piped())


def piped() -> int:
    """Columns where there is no terminal: those of the variable COLUMNS, else PIPED."""
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else PIPED


def whole_ids(name: str) -> Column:
    """A column that goes on in the next line where it is too narrow: the next command needs an id as it is."""
    return Column(name, overflow="fold")


def print_next_step(workspace: Workspace, *commands: str) -> None:
    """What to do with what a stage wrote."""
    note("next: " + " or ".join(f"`{command_line('isrf', command, workspace.root)}`" for command in commands))
