"""Sections of the report on results: tables with intervals and tests, and the same by segment.

All is read from the documents that ``isrf evaluate``, ``isrf bench`` and training leave; ``place`` is the workspace as it
is typed in a command. Computes nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isrf.core.shell import command_line
from isrf.evaluation.protocol import ALL, REPORTED_SEPARATELY
from isrf.evaluation.results_document import LEFT_OUT, LEVEL, NOTES, WARNINGS
from isrf.evaluation.table import AS_GIVEN, tied
from isrf.evaluation.verdict import TASKS
from isrf.methods.names import WHOLE
from isrf.report.plots import intervals
from isrf.report.section import Details, Figure, Figures, Line, Missing, Part, Section, Table

OWN = WHOLE

Document = Mapping[str, Any]


def own(method: str) -> bool:
    """Whether a method is the system itself or a variant of it."""
    return method.split("@")[0].split("-")[0] == OWN


def ranked(
    document: Document, task: str, full: bool = True, changed: bool = False, part: str = "test"
) -> list[dict[str, Any]]:
    """Rows of one task and part, by full ranking or by samples, best first.

    Either methods that have a name, or (``changed``) systems with settings of their own, isrf@graphs.tau=0.5.
    """
    rows = [
        row
        for row in document["results"]
        if row["task"] == task
        and row["split"] == part
        and (row["candidates"] == ALL) == full
        and ("@" in row["method"]) == changed
    ]
    return sorted(rows, key=lambda row: -row["NDCG@10"])


def headline(document: Document | None, place: Path) -> Section:
    """The table of each task with intervals, and what tells methods apart."""
    lead = (
        "Held-out items ranked against the whole catalogue; ties count against the method. A bar is the 95% bootstrap "
        "interval over people; two methods whose bars overlap may still differ, which the paired tests below decide."
    )
    parts: list[Part] = []
    if document is None:
        return Section(
            "results", "Results", lead, [Missing("No results yet.", command_line("isrf", "evaluate", place))]
        )
    parts += [Line(f"Warning: {line}") for line in document.get(WARNINGS, [])]
    for task, name in TASKS.items():
        rows = ranked(document, task)
        if rows:
            parts.append(_table(rows, f"{task.capitalize()} recommendation: {name}", _ties(document, task)))
    figures = [
        Figure(
            intervals(
                [spread(row) for row in ranked(document, task)],
                f"headline-{task}",
                f"NDCG@10 with 95% intervals of each method, {name}",
                "NDCG@10",
            ),
            f"NDCG@10, {name}",
        )
        for task, name in TASKS.items()
        if ranked(document, task)
    ]
    parts.append(Figures(figures))
    parts += [Line(line) for line in document.get(NOTES, [])]
    parts += [Line(f"{method} is left out: {reason}") for method, reason in document.get(LEFT_OUT, {}).items()]
    if document.get("paired"):
        parts.append(Details("Paired tests", [_paired(document["paired"])]))
    variants = [
        _table(ranked(document, task, changed=True), f"{task.capitalize()} recommendation: {name}", set())
        for task, name in TASKS.items()
        if ranked(document, task, changed=True)
    ]
    if variants:
        parts.append(Details("The system with other settings", variants))
    for part in REPORTED_SEPARATELY:
        tables = [
            _table(rows, f"{task.capitalize()} recommendation: {name}", set())
            for task, name in TASKS.items()
            if (rows := ranked(document, task, part=part))
        ]
        if tables:
            parts.append(Details(f"Reported apart: {part}", tables))
    sampled = [
        _table(ranked(document, task, full=False), f"Among sampled candidates, {name}", set())
        for task, name in TASKS.items()
        if ranked(document, task, full=False)
    ]
    if sampled:
        warn = Line("Sampled candidates are biased towards popular items: compare methods by full ranking.")
        parts.append(Details("Ranking among sampled candidates (biased)", [warn, *sampled]))
    return Section("results", "Results", lead, parts)


def spread(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of results as one of ``plots.intervals``."""
    low, high = row["ndcg10_ci95"]
    name = row["method"]
    return {"name": name, "value": row["NDCG@10"], "low": low, "high": high, "own": own(name)}


def _ties(document: Document, task: str) -> set[str]:
    """Methods that are not told apart from the best one of a task on test, among those that have a name."""
    named = {"results": ranked(document, task), "paired": document["paired"]}
    return {method for method, where, part in tied(named) if (where, part) == (task, "test")}


def _table(rows: Sequence[Mapping[str, Any]], title: str, ties: set[str]) -> Table:
    metrics = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
    seeded = any(len(row.get("seeds", ())) > 1 for row in rows)
    cells = []
    for row in rows:
        low, high = row["ndcg10_ci95"]
        fit = "–" if row["fit_seconds"] is None else f"{row['fit_seconds']:,.1f}"
        name = row["method"] + (" ≈" if row["method"] in ties else "")
        values = [f"{row[metric]:.4f}" for metric in metrics]
        by_seed = row.get("ndcg10_by_seed", [])
        seeds = f"{min(by_seed):.4f}–{max(by_seed):.4f} ({len(by_seed)})" if by_seed else "–"
        cells.append([name, *values, f"{low:.4f}–{high:.4f}", *([seeds] if seeded else []), fit])
    told = f"{rows[0]['users']:,} people; best in bold."
    if ties:
        told += " ≈: a paired test does not tell it apart from the best."
    columns = ["method", *metrics, "95% interval", *(["NDCG@10 over seeds"] if seeded else []), "training, s"]
    strong = {
        (at, 1 + column)
        for column, metric in enumerate(metrics)
        for at, row in enumerate(rows)
        if row[metric] == max(other[metric] for other in rows)
    }
    return Table(columns, cells, strong=frozenset(strong), caption=told, title=title)


def _paired(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = ["difference in NDCG@10", "task", "value", "95% interval", "effect size", "p", "p, Holm"]
    given = any(row["p_models_as_given"] != row["p_value"] for row in rows)
    columns += [AS_GIVEN] if given else []
    cells = []
    for row in rows:
        low, high = row["ci95"]
        effect = row["effect_size"]  # none where the two rank everybody alike
        cells.append(
            [
                " − ".join(row["methods"]),
                TASKS.get(row["task"], row["task"]),
                f"{row['ndcg10_difference']:+.4f}",
                f"{low:+.4f} to {high:+.4f}",
                "–" if effect is None else f"{effect:+.3f}",
                f"{row['p_value']:.4f}",
                f"{row['p_holm']:.4f}",
                *([f"{row['p_models_as_given']:.4f}"] if given else []),
            ]
        )
    return Table(columns, cells, text=2, caption="Permutation tests over the same people, two-sided.")


def of_segment(row: Mapping[str, Any]) -> str:
    """ "history: short"; "with neighbours" where the group names its segment itself."""
    return row["group"] if row["segment"] in row["group"] else f"{row['segment']}: {row['group']}"


def segments(document: Document | None, place: Path) -> Section:
    """Where the group layer gains, and how each method fares by kind of person and item."""
    lead = (
        "Who gains from the group: people with short or long histories, with or without similar people; targets that are "
        "popular, rare or new."
    )
    gains, rows = (document.get("segment_gains", []), document.get("segments", [])) if document else ([], [])
    gains, rows = ([row for row in found if row["split"] == "test"] for found in (gains, rows))
    command = command_line("isrf", "bench", place, "--methods", "isrf,isrf-nogroup,isrf-graph")
    if not gains and not rows:
        return Section("segments", "Gain by segment", lead, [Missing("The results have no segments.", command)])
    parts: list[Part] = []
    figures = []
    for other in dict.fromkeys(row["methods"][1] for row in gains):
        for task, name in TASKS.items():
            mine = [row for row in gains if row["methods"][1] == other and row["task"] == task]
            if not mine:
                continue
            drawn = [
                {
                    "name": of_segment(row),
                    "value": row["ndcg10_difference"],
                    "low": row["ci95"][0],
                    "high": row["ci95"][1],
                    "own": row["p_value"] < LEVEL,
                }
                for row in mine
            ]
            title = f"isrf − {other}, {name}"
            label = f"Difference in NDCG@10 by segment, {title}"
            anchor = f"segments-{other}-{task}".replace("@", "-").replace("=", "-")
            figures.append(
                Figure(intervals(drawn, anchor, label, "difference in NDCG@10", zero=True), title, "Blue: p < 0.05.")
            )
    if figures:
        parts.append(Figures(figures))
        cells = [
            [
                " − ".join(row["methods"]),
                TASKS.get(row["task"], row["task"]),
                of_segment(row),
                f"{row['users']:,}",
                f"{row['ndcg10_difference']:+.4f}",
                f"{row['p_value']:.4f}",
            ]
            for row in gains
        ]
        columns = ["methods", "task", "segment", "people", "difference", "p"]
        parts.append(Details("Gains as figures", [Table(columns, cells, text=3)]))
    else:
        parts.append(Missing("Nothing to compare the whole system with by segment.", command))
    for task, name in TASKS.items():
        mine = [row for row in rows if row["task"] == task]
        if not mine:
            continue
        kinds = list(dict.fromkeys((row["segment"], row["group"]) for row in mine))
        values = {(row["method"], row["segment"], row["group"]): row["NDCG@10"] for row in mine}
        people = {(row["segment"], row["group"]): row["users"] for row in mine}
        methods = list(dict.fromkeys(row["method"] for row in mine))
        cells = [[m, *(f"{values[m, *k]:.4f}" if (m, *k) in values else "–" for k in kinds)] for m in methods]
        columns = ["method", *(f"{group} ({people[segment, group]:,})" for segment, group in kinds)]
        parts.append(Details(f"NDCG@10 of each method by segment, {name} (people)", [Table(columns, cells)]))
    return Section("segments", "Gain by segment", lead, parts)
