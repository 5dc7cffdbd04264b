"""Recommendations on the screen or as a file. Computes nothing."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from isrf.cli.printing.screen import piped, screen, whole_ids
from isrf.core.consoles import PlainConsole
from isrf.core.progress import note
from isrf.core.streams import speaks_unicode
from isrf.core.terminal_text import visible_lines

EXPLANATION, GENERATED = "explanation", "generated explanation"
"""Key of a row, and its column in tables: nobody shall take the sentence for a review."""


def percent(shares: dict[str, float]) -> str:
    """Shares by owner, the largest first: "individual 61%, group 39%"."""
    return ", ".join(f"{k} {v:.0%}" for k, v in sorted(shares.items(), key=lambda kv: -kv[1]) if round(v, 2) > 0)


def print_recommendations(rows: list[dict[str, Any]], format: str, output: Path | None, similar: bool = False) -> None:
    """Recommendations on the screen, or as a file; ``recommendation_files`` says how they look in each format.

    Args:
        similar: they are items like others, of ``similar_rows``.
    """
    from isrf.cli.printing import recommendation_files
    from isrf.core.atomic_files import output_file

    layout = recommendation_files.SIMILAR if similar else recommendation_files.RECOMMENDED
    tables = similar_tables if similar else recommendation_tables

    if output is not None:
        with output_file(output) as file:
            if format == "table":
                text = io.StringIO()
                tables(rows, PlainConsole(file=text, width=piped()))
                file.write(text.getvalue().encode("utf-8", "backslashreplace"))
            else:
                recommendation_files.write(rows, format, file, layout=layout)
        note(f"{len(rows):,} row{'' if len(rows) == 1 else 's'} in {output}")
    elif format == "table":
        tables(rows, screen())
    elif format == "csv" and not sys.stdout.isatty() and (raw := getattr(sys.stdout, "buffer", None)) is not None:
        # UTF-8 whatever the locale: a character that it lacks would not be the one that the value has
        sys.stdout.flush()
        recommendation_files.write(rows, format, raw, layout=layout)
        raw.flush()
    else:
        made = io.BytesIO()
        recommendation_files.write(rows, format, made, not speaks_unicode(), layout)
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


def similar_tables(rows: list[dict[str, Any]], out: Console) -> None:
    """One table an item."""
    items: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        items.setdefault(row["item_id"], []).append(row)
    for item, mine in items.items():
        table = Table("", whole_ids("item"), "title", "why", "score", title=f"like {escape(item)}")
        for row in mine:
            cells = row["similar_item_id"], row["title"], "; ".join(row["reasons"])
            table.add_row(str(row["rank"]), *map(escape, cells), f"{row['score']:.3f}")
        out.print(table)
