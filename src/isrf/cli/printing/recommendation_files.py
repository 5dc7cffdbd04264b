"""Recommendations as a file for programs: JSON, JSON Lines, CSV, Parquet, and Markdown for documents. Chooses no format.

Values are exact in all of them but Markdown, which is for reading, and CSV, whose texts (not its ids) show control
characters as escapes: people look at such files in terminals. In CSV a cell that holds several values (reasons, shares) is
JSON.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from isrf.core.terminal_text import json_text, visible

Rows = list[dict[str, Any]]

EXPLANATION = "explanation"
SHOWN = ("title", "feature", EXPLANATION)
"""Texts that are for people; ids are for programs, and stay what they are."""


@dataclass(frozen=True)
class Layout:
    """What the rows of a file hold.

    Attributes:
        columns: of every row, in the order of CSV and Parquet; ``EXPLANATION`` follows where there are any.
        grouped_by: the column by whose values documents have a table each.
        shown: columns of such a table.
        heading: of a table, from its first row.
    """

    columns: tuple[str, ...]
    grouped_by: str
    shown: tuple[str, ...]
    heading: Callable[[dict[str, Any]], str]

    def columns_of(self, rows: Rows) -> tuple[str, ...]:
        """The columns of these rows, also where there is none to tell them from."""
        return (*self.columns, EXPLANATION) if any(EXPLANATION in row for row in rows) else self.columns


RECOMMENDED = Layout(
    ("user_id", "rank", "item_id", "title", "score", "shares", "feature", "reasons", "method"),
    "user_id",
    ("rank", "item_id", "title", "reasons"),
    lambda row: f"{in_markdown(row['user_id'])}, by {row['method']}",
)
SIMILAR = Layout(
    ("item_id", "rank", "similar_item_id", "title", "score", "reasons"),
    "item_id",
    ("rank", "similar_item_id", "title", "reasons"),
    lambda row: f"like {in_markdown(row['item_id'])}",
)


def as_json(rows: Rows, layout: Layout, ascii_only: bool) -> str:
    """A list of records."""
    return json_text(rows, ascii_only=ascii_only) + "\n"


def as_jsonl(rows: Rows, layout: Layout, ascii_only: bool) -> str:
    """A record a line."""
    return "".join(json_text(row, indent=None, ascii_only=ascii_only) + "\n" for row in rows)


def as_csv(rows: Rows, layout: Layout, ascii_only: bool) -> str:
    """A header and a line a row, as RFC 4180 quotes them, but with line feeds alone."""
    text, columns = io.StringIO(), layout.columns_of(rows)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = {column: visible(str(row[column])) for column in SHOWN if column in row}
        cells |= {"reasons": json_text(row["reasons"], indent=None)}
        cells |= {"shares": json.dumps(row["shares"])} if "shares" in row else {}
        writer.writerow([cells.get(column, row[column]) for column in columns])
    return text.getvalue()


def as_markdown(rows: Rows, layout: Layout, ascii_only: bool) -> str:
    """A heading and a table for each person, or item."""
    people: dict[str, Rows] = {}
    for row in rows:
        people.setdefault(row[layout.grouped_by], []).append(row)
    columns = (*layout.shown, *layout.columns_of(rows)[len(layout.columns) :])
    lines = []
    for mine in people.values():
        lines += [f"### {layout.heading(mine[0])}", "", "| " + " | ".join(columns) + " |"]
        lines += ["|" + " --- |" * len(columns)]
        told = ({**row, "reasons": "; ".join(row["reasons"])} for row in mine)
        lines += ["| " + " | ".join(in_markdown(str(row[column])) for column in columns) + " |" for row in told]
        lines += [""]
    return "\n".join(lines)


def in_markdown(text: str) -> str:
    r"""A text that Markdown shows as it is, in one line.

    >>> in_markdown("<b>a|b</b> *c* [d](e)")
    '&lt;b&gt;a\\|b&lt;/b&gt; \\*c\\* \\[d\\](e)'
    """
    escaped = "".join(f"\\{sign}" if sign in "\\`*_[]|#~!" else sign for sign in visible(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


TEXTS: dict[str, Callable[[Rows, Layout, bool], str]] = {
    "json": as_json,
    "jsonl": as_jsonl,
    "csv": as_csv,
    "markdown": as_markdown,
}


def write(rows: Rows, format: str, file: BinaryIO, ascii_only: bool = False, layout: Layout = RECOMMENDED) -> None:
    """Write rows, as ``answer`` or ``similar_rows`` gives them, in UTF-8.

    Args:
        format: a name of ``TEXTS``, or "parquet".
        ascii_only: JSON holds no other characters.
        layout: of the rows.
    """
    if format == "parquet":
        write_parquet(rows, file, layout)
    else:
        file.write(TEXTS[format](rows, layout, ascii_only).encode("utf-8", "backslashreplace"))


def write_parquet(rows: Rows, file: BinaryIO, layout: Layout) -> None:
    """The same types whatever the rows hold, and where there is none; shares are JSON."""
    import polars as pl

    schema: dict[str, pl.DataType] = dict.fromkeys(layout.columns_of(rows), pl.String())
    schema |= {"rank": pl.Int64(), "score": pl.Float64(), "reasons": pl.List(pl.String())}
    flat = [{**row, "shares": json.dumps(row["shares"])} if "shares" in row else row for row in rows]
    pl.DataFrame(flat, schema=schema).write_parquet(file)
