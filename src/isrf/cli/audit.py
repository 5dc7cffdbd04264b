"""The command `isrf audit`: parses, calls the audit, prints. Decides nothing but the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isrf.cli.data import data_sets
from isrf.cli.options import Config, Items, OnBadRow, Sets, Shown
from isrf.core.errors import IsrfError
from isrf.core.streams import found_again

LEAKS = 3
"""Exit code of ``--strict`` where a leak was found."""

HELP = "\n\n".join(
    (
        "Leaks and accidents: what a published number on this data may owe to something other than a good recommender.",
        "Looked at: the order of item ids; files beside the log (of a P5 folder explanation.json and negative.txt; any "
        "other with --against) held against validation and test items; pairs in two parts of the split; ties of time that "
        "decide the test item; test items without a past; what popularity and repeats predict; catalogue texts that name "
        "other items.",
        "Of a workspace also whether its reasons, questions to a language model, PCA and graphs can be made again from "
        "training interactions alone; the findings are kept in WS/inspection/audit.json.",
        f"With --strict a leak ends with exit code {LEAKS}. Of a workspace only leaks that touch its own numbers count: one "
        "in the ids of its source is shown, and not used by anything here.",
    )
)


def audit(
    src: Annotated[str, typer.Argument(metavar="SRC|WS", help="A source, or a workspace")],
    strict: Annotated[bool, typer.Option("--strict", help=f"End with exit code {LEAKS} where there is a leak")] = False,
    format: Annotated[Shown, typer.Option("--format", help="How findings are printed")] = Shown.table,
    against: Annotated[
        list[Path],
        typer.Option(
            "--against",
            metavar="FILE",
            help="A file that somebody trains on beside the log: edges or a split (.csv, .parquet with user and item, "
            "perhaps a column split), prompts (.jsonl with user and text); repeat for more",
        ),
    ] = [],  # noqa: B006
    items: Items = None,
    config: Config = None,
    sets: Sets = [],  # noqa: B006
    on_bad_row: OnBadRow = None,
) -> None:
    """``isrf audit``; what it tells about itself is HELP."""
    from isrf.cli.printing.audit import print_findings
    from isrf.core.config import load_settings
    from isrf.evaluation.audit.findings import leaks
    from isrf.pipeline.audit import audit_source, audit_workspace
    from isrf.workspace import findings
    from isrf.workspace.workspace import Workspace

    settings = load_settings(config=config, overrides=data_sets(sets, on_bad_row))
    of_workspace = (Path(src) / "dataset").is_dir()
    if of_workspace and items is not None:
        raise IsrfError("--items is the catalogue of a source; a workspace has its own")
    if of_workspace:
        name, found = audit_workspace(Workspace.existing(Path(src)), against, settings)
        found_again(f"the findings are in {Path(src) / findings.FINDINGS_FOLDER / findings.AUDIT_FILE}")
    else:
        name, found = audit_source(src, items, against, settings)
    alarms = leaks(found, of_workspace)
    print_findings(name, found, alarms, format.value)
    if strict and alarms:
        raise typer.Exit(LEAKS)
