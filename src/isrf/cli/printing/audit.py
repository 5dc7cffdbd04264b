"""Findings of an audit. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from isrf.core.streams import speaks_unicode
from isrf.core.terminal_text import json_text

if TYPE_CHECKING:
    from isrf.evaluation.audit.findings import Finding
from isrf.cli.printing.screen import screen


def print_findings(name: str, found: Sequence[Finding], alarms: Sequence[Finding], format: str) -> None:
    """The findings of an audit as a table with the leaks among them in red, or as JSON (a list of records)."""
    if format == "json":
        print(json_text([asdict(finding) for finding in found], ascii_only=not speaks_unicode()))
        return
    table = Table("finding", "value", "verdict", "what it means", title=f"audit of {escape(name)}")
    for finding in found:
        here = (
            f"; here: {finding.protection}"
            if finding.protection and finding.verdict not in ("clean", "reference")
            else ""
        )
        style = "bold red" if finding in alarms else ""
        table.add_row(
            escape(finding.name), finding.told(), finding.verdict, escape(finding.meaning + here), style=style
        )
    out = screen()
    out.print(table)
    out.print(
        f"{len(alarms)} leak{'' if len(alarms) == 1 else 's'}{':' if alarms else ''} "
        + "; ".join(f.name for f in alarms),
        markup=False,
        soft_wrap=True,
    )
