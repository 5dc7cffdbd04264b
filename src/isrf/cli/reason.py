"""The command `isrf reason`: parses, calls the supplier, prints. Decides nothing."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from isrf.cli.options import Config, PlanName, Preset, Sets, SupplierName, Where
from isrf.core.errors import IsrfError


def reason(
    ws: Where,
    supplier: Annotated[
        SupplierName | None,
        typer.Option(
            "--supplier",
            help="Who reasons: counted attributes (no LLM), a local LLM, or an endpoint of the OpenAI protocol",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", help="Limit of an LLM: 60items, 2min, 100ktok or 5usd; none removes the stored one"),
    ] = None,
    plan: Annotated[PlanName | None, typer.Option("--plan", help="chained: three questions a row; single: one")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only estimate calls, tokens, time and cost")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Only show how good the reasons of the workspace are")
    ] = False,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write every answer of an LLM to a Parquet file")
    ] = None,
    take: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Take the answers of such a file first")
    ] = None,
    preset: Preset = None,
    config: Config = None,
    sets: Sets = [],  # noqa: B006
) -> None:
    """Likes, dislikes and feature of every item, then of every user (paper, steps 1 and 2)."""
    from isrf.cli.printing.reasoning import print_estimate, print_reasoning
    from isrf.cli.printing.screen import print_next_step
    from isrf.core.progress import note
    from isrf.pipeline import reasoning_supplier
    from isrf.pipeline import run as pipeline
    from isrf.pipeline.stage_settings import settings_for, trying
    from isrf.workspace.saved_settings import saved_settings
    from isrf.workspace.workspace import Workspace

    if estimate + report + (export is not None) > 1:
        raise IsrfError("--estimate, --report and --export each do one thing: give one of them")
    chosen = [*sets, *([f"reasoning.supplier={supplier.value}"] if supplier else [])]
    if budget is not None:  # as text, also where YAML would read a number
        chosen.append(f"reasoning.budget={'null' if budget == 'none' else json.dumps(budget)}")
    chosen += [f"reasoning.plan={plan.value}"] if plan else []
    if (report or export is not None) and (chosen or preset or config):
        raise IsrfError("--report and --export show what the workspace has: give them no settings")
    workspace = Workspace.existing(ws)
    looks = export is not None or report or estimate
    with nullcontext() if looks and take is None else workspace.held():
        if take is not None:
            added, known = reasoning_supplier.import_reasoning(workspace, take)
            note(f"{take}: {added:,} answers taken, {known:,} were known")
        if export is not None:
            note(f"{export}: {reasoning_supplier.export_reasoning(workspace, export):,} answers written")
        elif report:
            with workspace.unchanged():
                print_reasoning(reasoning_supplier.report_reasoning(workspace, saved_settings(workspace)))
        elif estimate:
            settings = settings_for(workspace, chosen, preset, config, rooms=("reasoning",), keep=False)
            print_estimate(reasoning_supplier.estimate_reasoning(workspace, settings))
        else:
            with trying(workspace, chosen, preset, config, rooms=("reasoning",)) as settings:
                pipeline.reason(workspace, settings, again=True)
            print_next_step(workspace, "embed")
