"""How good reasons are, and what asking for them would take. Computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isrf.reasoning.llm.estimate import Estimate
    from isrf.report.reasoning import ReasoningReport
from isrf.cli.printing.screen import NARROW, screen


def print_reasoning(report: ReasoningReport) -> None:
    """How good the reasons of items and users are; in narrow columns, as sentences in wide ones are hard to read."""
    from isrf.report.reasoning_tables import renderables

    out = screen()
    out.width = min(out.width, NARROW)
    for part in renderables(report):
        out.print(part)


def print_estimate(found: Estimate) -> None:
    """What reasoning would take and cost."""
    from isrf.reasoning.llm.estimate import described

    screen().print(described(found), markup=False, soft_wrap=True)
