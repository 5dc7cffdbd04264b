"""The structure of ``metrics.json`` (``document``) as a table for people, in the terminal and in Markdown.

What it prints it reads from the structure alone, so that a table printed from a file is the one printed after a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from isrf.evaluation.document import LEFT_OUT, LEVEL, NOTES, SHARES, WARNINGS
from isrf.evaluation.protocol import ALL
from isrf.evaluation.texts import ABOUT, COLUMNS, EXPLANATIONS, cells, markdown_lines
from isrf.evaluation.verdict import TASKS, verdicts

METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
HEADER = ("method", "task", "split", "candidates", *METRICS, "NDCG@10, 95% interval", "fit s", "rank s")
TIED = " ≈"
"""Stands behind the NDCG@10 of a method that is not told apart from the best one."""
LEGEND = (
    "bold: the best of its task; ≈: tied with it, as the paired test on NDCG@10 does not tell them apart "
    f"(p >= {LEVEL} after Holm's correction over the comparisons of the task)"
)
COMPARISON = ("difference in NDCG@10", "task", "split", "value", "95% interval", "effect size", "p", "p (Holm)")
AS_GIVEN = "p, models as given"
"""Beside them where a method has several runs: over people alone, while p is about other seeds too."""
BY_SEED = "NDCG@10 over seeds"
"""Column of a table in which a method was trained with several seeds."""
SHORTER = {HEADER[8]: "95% interval"}
"""Column -> its name in the terminal, where it stands beside the value that it is about."""
DROPPED = (HEADER[10:11], HEADER[9:10], METRICS[:2], (BY_SEED,), METRICS[2:3])
"""What a narrow terminal leaves out, one after the other: seconds first, the headline NDCG@10 never."""
BREAK = re.compile("(?=[@=])")
"""Where a variant's name may be broken: into "isrf", "@model.dropout" and "=0.25"; other names are one part."""
BIASED = "sampled candidates are biased towards popular items: compare methods by full ranking"


@dataclass(frozen=True)
class ResultsView:
    """The results for the terminal: a table for each task, split and kind of candidates, then what has to be told.

    The best NDCG@10 of each full ranking is bold, and methods that are not told apart from it are marked as tied; rankings
    among sampled candidates are not tested, so nothing in them is marked. Where the console is too narrow, the names of
    variants are folded, then columns are left out, and a line says which.

    Attributes:
        document: what ``metrics.json`` holds.
        title: stands above the tables.
        caption: the lines below them.
    """

    document: dict[str, Any]
    title: str | None
    caption: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, width = fitting(self._widths(), self._names(), options.max_width)
        if self.title:
            yield Text(self.title, style="bold")
        best, marked = _best(self.document), tied(self.document)
        for group, rows in groupby(_ordered(self.document), _group):
            task, split, candidates = group
            among = candidates if candidates == ALL else f"{candidates} (biased)"
            table = Table(title=Text(f"{told_task(task)}, {split}, candidates: {among}"), title_justify="left")
            for name in columns:
                table.add_column(name, justify="left" if name == "method" else "right", overflow="fold")
            for row in rows:
                leads = candidates == ALL and row["NDCG@10"] == best[group]
                cells = self._cells(row, set() if leads else marked)
                cells["method"] = folded(row["method"], width)
                table.add_row(*(Text(cells[name]) for name in columns), style="bold" if leads else "")
            yield table
        if gone := [name for name in self._widths() if name not in columns]:
            told = (
                f"left out, as the terminal is narrow: {', '.join(gone)}; the Markdown table (table.md) has all columns"
            )
            yield Text(told, style="italic")
        yield Text(self.caption, style="italic")
        for line in verdicts(self.document, LEVEL):
            yield Text(line, style="bold")

    def _cells(self, row: dict[str, Any], marked: set[tuple[str, str, str]]) -> dict[str, str]:
        """Column -> cell, but for what the title says."""
        cells = zip(header(self.document), _cells(row, seeded(self.document), marked), strict=True)
        return {SHORTER.get(name, name): cell for name, cell in cells if name not in HEADER[1:4]}

    def _widths(self) -> dict[str, int]:
        """Column -> characters that it takes, but for the names of methods."""
        rows = [self._cells(row, tied(self.document)) for row in self.document["results"]]
        names = [SHORTER.get(name, name) for name in header(self.document) if name not in HEADER[1:4]]
        return {name: max([len(name), *(len(row[name]) for row in rows if name != "method")]) for name in names}

    def _names(self) -> list[str]:
        return [row["method"] for row in self.document["results"]]


def fitting(widths: Mapping[str, int], names: Sequence[str], room: int) -> tuple[list[str], int]:
    """The columns that ``room`` characters hold, and how wide the names of methods may be.

    Args:
        widths: column -> characters of its widest cell; that of the methods is taken from ``names``.
        names: of methods. A name that has to be folded takes at least the longest of its parts.
        room: characters of the console.
    """
    least = max([len(part) for name in names for part in BREAK.split(name)], default=0)
    kept = dict(widths)
    left = 0
    for gone in ((), *DROPPED):
        kept = {name: width for name, width in kept.items() if name not in gone}
        # a border and two blanks a column, and the last border
        left = room - 1 - sum(width + 3 for name, width in kept.items() if name != "method") - 3
        if left >= max(least, len("method")):
            break
    return list(kept), max(min(left, max(map(len, names), default=0)), least)


def folded(name: str, width: int) -> str:
    """A method's name in lines of at most ``width`` characters, broken before @ and = only."""
    lines = [""]
    for part in BREAK.split(name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def rich_table(document: dict[str, Any], title: str | None = None) -> ResultsView:
    """The results for the terminal."""
    biased = any(row["candidates"] != ALL for row in document["results"])
    bold = [f"in full ranking, {line}" for line in legend(document)]
    told = [*bold, *([BIASED] if biased else []), *warned(document), *document.get(NOTES, [])]
    return ResultsView(document, title, "\n".join(told))


def told_task(task: str) -> str:
    """A task by its name in the document and by what it asks for."""
    return f"{task} ({TASKS[task]})" if task in TASKS else task


def explanation_table(document: dict[str, Any]) -> Table | None:
    """The scores of explanations for the terminal; None where there are none."""
    rows = document.get(EXPLANATIONS, {}).get("results", [])
    if not rows:
        return None
    table = Table(title="explanations", caption=ABOUT)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in COLUMNS[:2] else "right", overflow="fold")
    for row in rows:
        table.add_row(*cells(row))
    return table


def markdown_table(document: dict[str, Any]) -> str:
    """Results, warnings, notes, what was left out, paired tests, explanations and who reasoned, where there are, as Markdown.

    It ends in a newline.
    """
    best, marked, columns = _best(document), tied(document), header(document)
    lines = ["| " + " | ".join(columns) + " |", "|---" * 4 + "|--:" * (len(columns) - 4) + "|"]
    for row in _ordered(document):
        cells = _cells(row, seeded(document), marked)
        if row["NDCG@10"] == best[_group(row)]:
            cells[7] = f"**{cells[7]}**"
        lines.append("| " + " | ".join(cells) + " |")
    lines += [line for one in legend(document) for line in ("", one)]
    if any(row["candidates"] != ALL for row in document["results"]):
        lines += ["", f"({BIASED})"]
    told = (*warned(document), *document.get(NOTES, []), *left_out(document))
    lines += [line for one in told for line in ("", one)]
    if document.get("paired"):
        given = seeded(document)
        heads = [*COMPARISON, *([AS_GIVEN] if given else [])]
        lines += ["", "| " + " | ".join(heads) + " |", "|---" * 3 + "|--:" * (len(heads) - 3) + "|"]
        lines += ["| " + " | ".join(_comparison(row, given)) + " |" for row in document["paired"]]
    lines += markdown_lines(document)
    if document.get(SHARES):
        lines += ["", reasoned_by(document)]
    return "\n".join(lines) + "\n"


def reasoned_by(document: dict[str, Any]) -> str:
    """A line on who reasoned about the items of how many training interactions."""
    shares = ", ".join(f"{name} {share:.1%}" for name, share in document[SHARES].items())
    return f"training interactions by who reasoned about their item: {shares}"


def warned(document: dict[str, Any]) -> list[str]:
    """A line for each warning."""
    return [f"WARNING: {warning}" for warning in document.get(WARNINGS, [])]


def left_out(document: dict[str, Any]) -> list[str]:
    """A line for each method that was asked for and has no row."""
    return [f"{method} is left out: {reason}" for method, reason in document.get(LEFT_OUT, {}).items()]


def paired_lines(document: dict[str, Any]) -> list[str]:
    """A line for each paired test, for the terminal."""
    lines = []
    for row in document["paired"]:
        first, second = row["methods"]
        sure = "real at p < 0.05" if row["p_holm"] < LEVEL else "not told apart from chance"
        low, high = row["ci95"]
        lines.append(
            f"{row['task']}: {first} - {second} = {row['ndcg10_difference']:+.4f} NDCG@10 ({low:+.4f} to {high:+.4f}), "
            f"p = {row['p_holm']:.4f} after Holm (paired test over {row['users']:,} users): {sure}"
        )
    return lines


def tied(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(method, task, split) of all that full ranking does not tell apart from the best of their task and split."""
    best = {
        _group(row)[:2]: row["method"]
        for row in reversed(document["results"])  # of equals the first, as in the comparisons
        if row["candidates"] == ALL and row["NDCG@10"] == _best(document)[_group(row)]
    }
    found = set()
    for row in document["paired"]:
        where = row["task"], row["split"]
        if best.get(where) in row["methods"] and row["p_holm"] >= LEVEL:
            (other,) = (method for method in row["methods"] if method != best[where])
            found.add((other, *where))
    return found


def legend(document: dict[str, Any]) -> list[str]:
    """What bold and the mark of a tie mean, where methods were compared."""
    return [LEGEND] if document["paired"] else []


def seeded(document: dict[str, Any]) -> bool:
    """Whether any row is a mean over seeds."""
    return any("seeds" in row for row in document["results"])


def header(document: dict[str, Any]) -> tuple[str, ...]:
    """Names of the columns."""
    return (*HEADER, BY_SEED) if seeded(document) else HEADER


def _group(row: dict[str, Any]) -> tuple[str, str, str]:
    """What may be compared: rows of one task, split and kind of candidates."""
    return row["task"], row["split"], row["candidates"]


def _ordered(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a group together, groups and methods in the order in which they first came, full ranking first."""
    groups = list(dict.fromkeys(_group(row) for row in document["results"]))
    groups.sort(key=lambda group: group[2] != ALL)
    return [row for group in groups for row in document["results"] if _group(row) == group]


def _best(document: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    best: dict[tuple[str, str, str], float] = {}
    for row in document["results"]:
        best[_group(row)] = max(row["NDCG@10"], best.get(_group(row), 0.0))
    return best


def _comparison(row: dict[str, Any], given: bool) -> list[str]:
    """One paired test under COMPARISON, and AS_GIVEN where wanted."""
    low, high = row["ci95"]
    effect = "-" if row["effect_size"] is None else f"{row['effect_size']:+.3f}"
    return [
        " - ".join(row["methods"]),
        row["task"],
        row["split"],
        f"{row['ndcg10_difference']:+.4f}",
        f"{low:+.4f} to {high:+.4f}",
        effect,
        f"{row['p_value']:.4f}",
        f"{row['p_holm']:.4f}",
        *([f"{row['p_models_as_given']:.4f}"] if given else []),
    ]


def _cells(row: dict[str, Any], by_seed: bool, marked: set[tuple[str, str, str]]) -> list[str]:
    low, high = row["ndcg10_ci95"]
    candidates = row["candidates"] if row["candidates"] == ALL else f"{row['candidates']} (biased)"
    is_tied = row["candidates"] == ALL and (row["method"], row["task"], row["split"]) in marked
    fit = "-" if row["fit_seconds"] is None else f"{row['fit_seconds']:.1f}"
    return [
        row["method"],
        row["task"],
        row["split"],
        candidates,
        *(f"{row[metric]:.4f}" for metric in METRICS[:-1]),
        f"{row[METRICS[-1]]:.4f}{TIED if is_tied else ''}",
        f"{low:.4f} to {high:.4f}",
        fit,
        f"{row['rank_seconds']:.1f}",
        *([_spread(row)] if by_seed else []),
    ]


def _spread(row: dict[str, Any]) -> str:
    """Least and largest NDCG@10 of the seeds, and how many; a dash for a method that has none."""
    values = row.get("ndcg10_by_seed")
    return "-" if values is None else f"{min(values):.4f} to {max(values):.4f} ({len(values)})"
