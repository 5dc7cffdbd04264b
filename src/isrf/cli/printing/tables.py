"""What the command line prints: tables for people, JSON for programs. Computes nothing.

Whatever comes from users is shown through ``core.consoles``; files of recommendations are ``listing``'s.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from isrf.core.consoles import PlainConsole
from isrf.core.documents import read_json
from isrf.core.progress import note
from isrf.core.shell import command_line
from isrf.core.streams import found_again, speaks_unicode
from isrf.core.terminal_text import json_text, visible_lines

if TYPE_CHECKING:
    from isrf.cli.doctor import Check
    from isrf.core.config import Settings
    from isrf.data.dataset import Dataset
    from isrf.evaluation.audit.findings import Finding
    from isrf.ranking.user_profile import UserProfile
    from isrf.reasoning.llm.estimate import Estimate
    from isrf.report.reasoning import ReasoningReport
    from isrf.workspace.workspace import Workspace

EXPLANATION, GENERATED = "explanation", "generated explanation"
"""Key of a row, and its column in tables: nobody shall take the sentence for a review."""

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


def next_step(workspace: Workspace, *commands: str) -> None:
    """What to do with what a stage wrote."""
    note("next: " + " or ".join(f"`{command_line('isrf', command, workspace.root)}`" for command in commands))


def results(workspace: Workspace) -> None:
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


def description(dataset: Dataset) -> None:
    """What is in a dataset."""
    from isrf.data.describe import describe

    table = Table(title=escape(dataset.name), show_header=False)
    for name, value in describe(dataset):
        table.add_row(escape(name), escape(value))
    screen().print(table)


def findings(name: str, found: Sequence[Finding], alarms: Sequence[Finding], format: str) -> None:
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


def percent(shares: dict[str, float]) -> str:
    """Shares by owner, the largest first: "individual 61%, group 39%"."""
    return ", ".join(f"{k} {v:.0%}" for k, v in sorted(shares.items(), key=lambda kv: -kv[1]) if round(v, 2) > 0)


def recommendations(rows: list[dict[str, Any]], format: str, output: Path | None) -> None:
    """Recommendations on the screen, or as a file; ``listing`` says how they look in each format."""
    from isrf.cli.printing import recommendation_files
    from isrf.core.atomic_files import output_file

    if output is not None:
        with output_file(output) as file:
            if format == "table":
                text = io.StringIO()
                recommendation_tables(rows, PlainConsole(file=text, width=piped()))
                file.write(text.getvalue().encode("utf-8", "backslashreplace"))
            else:
                recommendation_files.write(rows, format, file)
        note(f"{len(rows):,} row{'' if len(rows) == 1 else 's'} in {output}")
    elif format == "table":
        recommendation_tables(rows, screen())
    elif format == "csv" and not sys.stdout.isatty() and (raw := getattr(sys.stdout, "buffer", None)) is not None:
        # UTF-8 whatever the locale: a character that it lacks would not be the one that the value has
        sys.stdout.flush()
        recommendation_files.write(rows, format, raw)
        raw.flush()
    else:
        made = io.BytesIO()
        recommendation_files.write(rows, format, made, ascii_only=not speaks_unicode())
        print(visible_lines(made.getvalue().decode("utf-8")), end="")


def recommendation_tables(rows: list[dict[str, Any]], out: Console) -> None:
    """One table a person."""
    people: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        people.setdefault(row["user_id"], []).append(row)
    for person, mine in people.items():
        title = f"for {escape(str(person))}, by {mine[0]['method']}"
        told = [GENERATED] if EXPLANATION in mine[0] else []
        table = Table("", whole_ids("item"), "title", "why", *told, "carried by", title=title)
        for row in mine:
            why = "; ".join(row["reasons"])
            said = [escape(row[EXPLANATION]) for _ in told]
            table.add_row(
                str(row["rank"]),
                escape(row["item_id"]),
                escape(row["title"]),
                escape(why),
                *said,
                percent(row["shares"]),
            )
        out.print(table)


def portrait(person: str, picture: UserProfile) -> None:
    """One person in full."""
    out = screen()
    who = picture.preference
    out.print(f"[bold]{escape(person)}[/bold] (reasoned by {who['supplier']})")
    for name in ("likes", "dislikes", "feature"):
        label = "core preference" if name == "feature" else name
        out.print(f"  {label}: {escape(who[name]) or '(nothing is known)'}", soft_wrap=True)
    table = Table("strength", whole_ids("item"), "title", "feature", title="explicit interests, strongest first")
    for interest in picture.interests[:10]:
        table.add_row(
            f"{interest.strength:.2f}", escape(interest.item_id), escape(interest.title), escape(interest.feature)
        )
    out.print(table)
    if picture.neighbours:
        table = Table(
            *("similarity", whole_ids("user"), "core preference", "both chose"),
            title=f"most similar of {picture.group_size}",
        )
        for other in picture.neighbours:
            shared = "; ".join(other.shared) or "nothing yet"
            table.add_row(f"{other.similarity:.3f}", escape(other.user_id), escape(other.preference), escape(shared))
        out.print(table)
    if picture.group:
        table = Table(
            "share of votes", whole_ids("item"), "title", title="implicit group interests: not touched by this person"
        )
        for choice in picture.group:
            table.add_row(f"{choice.share:.2%}", escape(choice.item_id), escape(choice.title))
        out.print(table)
    if not picture.neighbours and not picture.group:
        out.print("nobody is similar enough: no group interests (graphs.tau decides what is enough)")
    told = [GENERATED] if any(item.explanation is not None for item in picture.recommendations) else []
    table = Table(
        "", whole_ids("item"), "title", "why", *told, "carried by", title="recommendations and what carried each"
    )
    for rank, item in enumerate(picture.recommendations, 1):
        crossed = "" if item.item_id in picture.without_group else " [bold]<- by the group[/bold]"
        table.add_row(
            str(rank),
            escape(item.item_id),
            escape(item.title) + crossed,
            escape("; ".join(item.reasons)),
            *(escape(item.explanation or "") for _ in told),
            percent(item.shares),
        )
    out.print(table)
    crossed_over = sum(item.item_id not in picture.without_group for item in picture.recommendations)
    out.print(
        f"the group brought {crossed_over} of {len(picture.recommendations)} recommendations into the list"
        if picture.neighbours or picture.group
        else "the group changed nothing"
    )


def card(workspace: Workspace, settings: Settings, method: str | None) -> None:
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


def bridges(document: dict[str, Any], format: str) -> None:
    """Whom the group layer matters to most, and how often it was right; as tables, or as JSON."""
    from isrf.report.bridge_tables import renderables

    if format == "json":
        print(json_text(document, ascii_only=not speaks_unicode()))
        return
    out = screen()
    out.width = min(out.width, NARROW)
    for part in renderables(document):
        out.print(part)


def reasoning(report: ReasoningReport) -> None:
    """How good the reasons of items and users are; in narrow columns, as sentences in wide ones are hard to read."""
    from isrf.report.reasoning_tables import renderables

    out = screen()
    out.width = min(out.width, NARROW)
    for part in renderables(report):
        out.print(part)


def estimate(found: Estimate) -> None:
    """What reasoning would take and cost."""
    from isrf.reasoning.llm.estimate import described

    screen().print(described(found), markup=False, soft_wrap=True)


def checks(found: Sequence[Check]) -> bool:
    """The doctor's findings; False where something needs mending."""
    table = Table("", "found", "to do")
    for check in found:
        table.add_row(
            escape(check.name), escape(check.found), escape(check.remedy), style="red" if check.remedy else ""
        )
    screen().print(table)
    return not any(check.remedy for check in found)
