"""What the doctor found. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from isrf.pipeline.machine_checks import Check
from isrf.cli.printing.screen import screen


def print_checks(found: Sequence[Check]) -> bool:
    """The doctor's findings; False where something needs mending."""
    table = Table("", "found", "to do")
    for check in found:
        table.add_row(
            escape(check.name), escape(check.found), escape(check.remedy), style="red" if check.remedy else ""
        )
    screen().print(table)
    return not any(check.remedy for check in found)
