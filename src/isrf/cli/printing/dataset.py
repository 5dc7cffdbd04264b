"""What a dataset holds. Computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from isrf.data.dataset import Dataset
from isrf.cli.printing.screen import screen


def print_dataset(dataset: Dataset) -> None:
    """What is in a dataset."""
    from isrf.data.describe import describe

    table = Table(title=escape(dataset.name), show_header=False)
    for name, value in describe(dataset):
        table.add_row(escape(name), escape(value))
    screen().print(table)
