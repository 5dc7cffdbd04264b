"""Tables of results, the interest card and the group's effect. Computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from isrf.core.documents import read_json
from isrf.core.shell import command_line
from isrf.core.streams import found_again, speaks_unicode
from isrf.core.terminal_text import json_text

if TYPE_CHECKING:
    from isrf.core.config import Settings
    from isrf.workspace.workspace import Workspace
from isrf.cli.printing.screen import NARROW, screen


def print_results(workspace: Workspace) -> None:
    """The table of a finished evaluation, seconds of each stage, and where it lies."""
    from isrf.evaluation.table import paired_lines, reasoned_by
    from isrf.evaluation.terminal import explanation_table, rich_table
    from isrf.workspace.layout import STAGES

    path = workspace.stage("evaluation").file("metrics.json")
    found_again(f"the results are in {path.parent}")
    document = read_json(path)
    out = screen()
    out.print(rich_table(document))
    for line in paired_lines(document):
        out.print(line, markup=False)
    if (explained := explanation_table(document)) is not None:
        out.print(explained)
    seconds = []
    for name in STAGES:
        info = workspace.stage(name).info()
        if info is not None:
            seconds.append(f"{name} {info['seconds']:.0f}")
    out.print(f"seconds: {', '.join(seconds)}", soft_wrap=True)
    out.print(reasoned_by(document), markup=False)
    out.print(f"workspace: {workspace.root}", markup=False, soft_wrap=True)
    asking = (command_line("isrf", command, workspace.root, "--user", "ID") for command in ("recommend", "inspect"))
    out.print(f"next: {'    '.join(asking)}", markup=False, soft_wrap=True)


def print_card(workspace: Workspace, settings: Settings, method: str | None) -> None:
    """The interest card of a method, or of what the workspace recommends with."""
    from isrf.pipeline.interest_cards import best_method, card_of, check_method

    name = method or best_method(workspace)
    check_method(name)
    table = Table(title=f"interest card of {escape(name)}", show_header=False, show_lines=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for column, said in card_of(workspace, settings, name).as_dict().items():
        table.add_row(column.replace("_", " "), escape("\n".join(said)))
    screen().print(table)


def print_bridges(document: dict[str, Any], format: str) -> None:
    """Whom the group layer matters to most, and how often it was right; as tables, or as JSON."""
    from isrf.report.bridge_tables import renderables

    if format == "json":
        print(json_text(document, ascii_only=not speaks_unicode()))
        return
    out = screen()
    out.width = min(out.width, NARROW)
    for part in renderables(document):
        out.print(part)
