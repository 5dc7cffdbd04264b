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
from typing import Any, BinaryIO

from isrf.core.terminal_text import json_text, visible

Rows = list[dict[str, Any]]

COLUMNS = ("user_id", "rank", "item_id", "title", "score", "shares", "feature", "reasons", "method")
"""Of every row, in the order of CSV and Parquet; ``EXPLANATION`` follows where there are any."""
EXPLANATION = "explanation"
SHOWN = ("title", "feature", EXPLANATION)
"""Texts that are for people; ids are for programs, and stay what they are."""


def columns_of(rows: Rows) -> tuple[str, ...]:
    """The columns of these rows, also where there is none to tell them from."""
    return (*COLUMNS, EXPLANATION) if any(EXPLANATION in row for row in rows) else COLUMNS


def as_json(rows: Rows, ascii_only: bool) -> str:
    """A list of records."""
    return json_text(rows, ascii_only=ascii_only) + "\n"


def as_jsonl(rows: Rows, ascii_only: bool) -> str:
    """A record a line."""
    return "".join(json_text(row, indent=None, ascii_only=ascii_only) + "\n" for row in rows)


def as_csv(rows: Rows, ascii_only: bool) -> str:
    """A header and a line a row, as RFC 4180 quotes them, but with line feeds alone."""
    text, columns = io.StringIO(), columns_of(rows)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = {column: visible(str(row[column])) for column in SHOWN if column in row}
        cells |= {"shares": json.dumps(row["shares"]), "reasons": json_text(row["reasons"], indent=None)}
        writer.writerow([cells.get(column, row[column]) for column in columns])
    return text.getvalue()


def as_markdown(rows: Rows, ascii_only: bool) -> str:
    """A heading and a table for each person."""
    people: dict[str, Rows] = {}
    for row in rows:
        people.setdefault(row["user_id"], []).append(row)
    columns = ("rank", "item_id", "title", "reasons", *columns_of(rows)[len(COLUMNS) :])
    lines = []
    for person, mine in people.items():
        lines += [f"### {in_markdown(person)}, by {mine[0]['method']}", "", "| " + " | ".join(columns) + " |"]
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


TEXTS: dict[str, Callable[[Rows, bool], str]] = {
    "json": as_json,
    "jsonl": as_jsonl,
    "csv": as_csv,
    "markdown": as_markdown,
}


def write(rows: Rows, format: str, file: BinaryIO, ascii_only: bool = False) -> None:
    """Write rows, as ``answer`` gives them, in UTF-8.

    Args:
        format: a name of ``TEXTS``, or "parquet".
        ascii_only: JSON holds no other characters.
    """
    if format == "parquet":
        write_parquet(rows, file)
    else:
        file.write(TEXTS[format](rows, ascii_only).encode("utf-8", "backslashreplace"))


def write_parquet(rows: Rows, file: BinaryIO) -> None:
    """The same types whatever the rows hold, and where there is none; shares are JSON."""
    import polars as pl

    schema: dict[str, pl.DataType] = dict.fromkeys(columns_of(rows), pl.String())
    schema |= {"rank": pl.Int64(), "score": pl.Float64(), "reasons": pl.List(pl.String())}
    flat = [{**row, "shares": json.dumps(row["shares"])} for row in rows]
    pl.DataFrame(flat, schema=schema).write_parquet(file)
