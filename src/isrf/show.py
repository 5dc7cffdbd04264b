"""What the command line prints: tables for people, JSON and Parquet for programs. Computes nothing."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from isrf.progress import note

if TYPE_CHECKING:
    from isrf.config import Settings
    from isrf.data.dataset import Dataset
    from isrf.doctor import Check
    from isrf.evaluation.audit_finding import Finding
    from isrf.ranking.inspection import Portrait
    from isrf.reasoning.estimate import Estimate
    from isrf.report.reasoning import ReasoningReport
    from isrf.workspace import Workspace

EXPLANATION, GENERATED = "explanation", "generated explanation"
"""Key of a row, and its column in tables: nobody shall take the sentence for a review."""

NARROW = 100
"""Columns that a table is given where the output is not a terminal."""


PIPED = 160
"""Columns of a file or pipe where nobody says how many: enough for every table."""


def screen() -> Console:
    """Standard output, as wide as the terminal."""
    return plain_console() if sys.stdout.isatty() else plain_console(width=piped())


def plain_console(**about: Any) -> Console:
    """A console that shows ids and titles as they are: nothing in them is coloured or taken for an emoji."""
    return Console(highlight=False, emoji=False, **about)


def piped() -> int:
    """Columns where there is no terminal: those of the variable COLUMNS, else PIPED."""
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else PIPED


def whole_ids(name: str) -> Column:
    """A column that goes on in the next line where it is too narrow: the next command needs an id as it is."""
    return Column(name, overflow="fold")


def next_step(workspace: Workspace, *commands: str) -> None:
    """What to do with what a stage wrote."""
    from isrf.progress import note

    place = shlex.quote(str(workspace.root))
    note("next: " + " or ".join(f"`isrf {command} {place}`" for command in commands))


def results(workspace: Workspace) -> None:
    """The table of a finished evaluation, seconds of each stage, and where it lies."""
    from isrf.evaluation.table import paired_lines, reasoned_by
    from isrf.evaluation.terminal import explanation_table, rich_table
    from isrf.stage import STAGES

    path = workspace.stage("evaluation").file("metrics.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    out = screen()
    out.print(rich_table(document))
    for line in paired_lines(document):
        out.print(line)
    if (explained := explanation_table(document)) is not None:
        out.print(explained)
    seconds = []
    for name in STAGES:
        info = workspace.stage(name).info()
        if info is not None:
            seconds.append(f"{name} {info['seconds']:.0f}")
    out.print(f"seconds: {', '.join(seconds)}", soft_wrap=True)
    out.print(reasoned_by(document))
    out.print(f"workspace: {workspace.root}", soft_wrap=True)
    place = escape(shlex.quote(str(workspace.root)))
    out.print(f"next: isrf recommend {place} --user ID    isrf inspect {place} --user ID", soft_wrap=True)


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
        print(json.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False))
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
    """Recommendations as a table, as JSON (a list of rows) or as Parquet."""
    if format == "parquet":
        import polars as pl

        assert output is not None
        # also where there is no row to tell types from
        schema: dict[str, pl.DataType] = {"user_id": pl.String(), "rank": pl.Int64(), "item_id": pl.String()}
        schema |= {"title": pl.String(), "score": pl.Float64(), "shares": pl.String(), "feature": pl.String()}
        schema |= {"reasons": pl.List(pl.String()), "method": pl.String()}
        schema |= {EXPLANATION: pl.String()} if any(EXPLANATION in row for row in rows) else {}
        flat = [{**row, "shares": json.dumps(row["shares"])} for row in rows]
        with whole(output) as partial:
            pl.DataFrame(flat, schema=schema).write_parquet(partial)
        note(f"{len(rows)} rows in {output}")
        return
    if format == "json":
        text = json.dumps(rows, indent=2, ensure_ascii=False)
        if output is None:
            print(text)
        else:
            with whole(output) as partial:
                partial.write_text(text + "\n", encoding="utf-8")
        return
    if output is None:
        recommendation_tables(rows, screen())
        return
    with whole(output) as partial, partial.open("w", encoding="utf-8") as file:
        recommendation_tables(rows, plain_console(file=file, width=piped()))


@contextmanager
def whole(output: Path) -> Iterator[Path]:
    """A temporary file beside ``output`` that becomes it when the block ends well: half a file is never left."""
    from isrf.core.atomic_files import replacing_path

    with replacing_path(output) as partial:
        yield partial


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


def portrait(person: str, picture: Portrait) -> None:
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
    from isrf.cards import best_method, card_of, check_method

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
        print(json.dumps(document, indent=2, ensure_ascii=False))
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
    from isrf.reasoning.estimate import described

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
