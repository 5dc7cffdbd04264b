"""The command `isrf bench`: parses, calls the bench, prints. Decides nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from isrf.cli.options import Where, only
from isrf.core.errors import IsrfError
from isrf.core.shell import command_line
from isrf.core.streams import found_again

HELP = "\n\n".join(
    (
        "Compare methods and ablations on the same test users in one table, training what has to be trained.",
        "WS has been through `isrf run`, or `isrf run --no-train`. Example: "
        "isrf bench WS --methods isrf,ease,isrf-nogroup --seeds 0,1,2",
        "Groups of methods: baselines, carriers, ablations, all. Each method can be named by itself too:",
        "Baselines without training: popularity, itemknn, seq-itemknn, ease, id-plus-one. With training: lightgcn, sasrec.",
        "Carriers, the same semantics carried by something else than the two graphs, nothing trained: profile-text (the "
        "preference text matched to item texts), semantic-knn (item texts like those of the history), semantic-id "
        "(preferences and items as identifiers, counted), propagated-preference (preference and item vectors exchanged over "
        "the interaction graph).",
        "Ours: isrf (the whole system), isrf-graph (the interest graphs alone, nothing trained), isrf-generator (no "
        "fusion).",
        "Ablations, each the whole system with one thing changed and trained anew: isrf-nogroup (no group interest), "
        "isrf-unconsumed (the group enters the alignment loss alone), isrf-noalignment, isrf-swapped (alignment the other "
        "way round), isrf-nosemantics (items start as random vectors), isrf-nopropagation (no LightGCN over the "
        "interaction graph), isrf-noevidence (the generator reads nothing of the graphs but item nodes).",
        "Published methods, by their generator alone: tiger (semantic codes), elmrec (digits, random vectors, no group).",
        "Any other change of settings: isrf@ROOM.NAME=VALUE, for example isrf@graphs.tau=0.5, or several: "
        "isrf-nogroup@model.dropout=0.2@training.epochs=5.",
        "If isrf is named it is tested against every other row, and so is the best row always; ties with it are marked. "
        "Finished work is saved: rerun a stopped bench to resume; a longer list trains only what is new. "
        "The table is in WS/bench, variants are workspaces in WS/variants.",
    )
)
"""One line a paragraph: typer keeps line breaks within one."""

Methods = Annotated[
    list[str],
    typer.Option(
        "--methods", metavar="M1,M2,...", help="Names of methods or groups with commas between; the list is above"
    ),
]
Seeds = Annotated[
    list[str],
    typer.Option(
        "--seeds", metavar="0,1,2", help="Train each trained method once a seed; rows are means, with their spread"
    ),
]


def bench(ws: Where, methods: Methods, seeds: Seeds = []) -> None:  # noqa: B006
    """``isrf bench``; what it tells about itself is HELP."""
    from isrf.cli.printing import screen
    from isrf.evaluation.sampling import bias_lines
    from isrf.evaluation.segments import gain_lines
    from isrf.evaluation.table import left_out, paired_lines, reasoned_by
    from isrf.evaluation.terminal import rich_table
    from isrf.pipeline.bench import bench as run
    from isrf.pipeline.bench import methods_named, table_of
    from isrf.workspace.workspace import Workspace

    chosen = methods_named(only("--methods", methods, f"write {command_line('--methods', ','.join(methods))}") or "")
    numbers = seeds_named(only("--seeds", seeds, f"write {command_line('--seeds', ','.join(seeds))}"))
    workspace = Workspace.existing(ws)
    document = run(workspace, chosen, numbers)
    found_again(f"the table is in {table_of(workspace)}")
    out = screen.screen()
    out.print(rich_table(document))
    for line in (*left_out(document), *paired_lines(document), *gain_lines(document), *bias_lines(document)):
        out.print(line, markup=False, soft_wrap=True)
    for line in (reasoned_by(document), "segments: in the table's file"):
        out.print(line, markup=False, soft_wrap=True)
    out.print(f"table: {table_of(workspace)}", markup=False, soft_wrap=True)


def seeds_named(seeds: str | None) -> list[int]:
    """Seeds of a list with commas between, each once; IsrfError where one is no number, or too large for a seed."""
    from isrf.core.settings import LARGEST_SEED  # brings pydantic, which a page of help does not need

    if seeds is None:
        return []
    parts = [part.strip() for part in seeds.split(",") if part.strip()]
    wrong = [part for part in parts if not (part.isascii() and part.isdigit())]
    if wrong or not parts:
        raise IsrfError(f"--seeds {wrong[0] if wrong else repr(seeds)}: write whole numbers with commas between: 0,1,2")
    # by digits first: Python refuses to read numbers of thousands of them
    large = [part for part in parts if len(part.lstrip("0")) > 10 or int(part) > LARGEST_SEED]
    if large:
        raise IsrfError(f"--seeds {large[0]}: a seed is at most {LARGEST_SEED}")
    return list(dict.fromkeys(map(int, parts)))
