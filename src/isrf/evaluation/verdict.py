"""A table in one sentence a task: which method to use, by full ranking and by the paired tests.

Reads the structure of ``metrics.json`` alone (``document``); what it says of a method stands in its rows. Knows of methods
only which of them ``isrf recommend`` can use.
"""

from __future__ import annotations

from typing import Any

from isrf.core.shell import command_line
from isrf.evaluation.protocol import ALL, REPORTED_SEPARATELY

TASKS = {"sequential": "next item", "direct": "any order"}
"""Task -> what it is called in sentences."""
WHOLE, GRAPH = "isrf", "isrf-graph"
RECOMMENDS = {WHOLE: (), GRAPH: ("--method", GRAPH)}
"""What ``isrf recommend`` can use -> the option that makes it do so, beside a workspace that has both."""


def verdicts(document: dict[str, Any], level: float) -> list[str]:
    """A sentence for each task and split in which two methods or more were ranked in full; ``level``: Holm's p below it counts.

    Splits that are reported apart have no paired test, and no sentence.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in document["results"]:
        if row["candidates"] == ALL and row["split"] not in REPORTED_SEPARATELY:
            groups.setdefault((row["task"], row["split"]), []).append(row)
    told = []
    for (task, split), rows in groups.items():
        if len(rows) < 2:
            continue
        ranked = sorted(rows, key=lambda row: -row["NDCG@10"])  # of equals the first, as in the comparisons
        tests = {
            frozenset(row["methods"]): row["p_holm"]
            for row in document["paired"]
            if (row["task"], row["split"]) == (task, split)
        }
        told.append(f"{TASKS.get(task, task)}: {_ahead(ranked, tests, level)}{_recommend(ranked, tests, level, task)}")
    return told


def _ahead(ranked: list[dict[str, Any]], tests: dict[frozenset[str], float], level: float) -> str:
    """Who is the best, and by how much it is ahead: of the whole system, or where that is the best, of the next method."""
    best, *rest = ranked
    ours = [row for name in RECOMMENDS for row in rest if row["method"] == name]
    other = rest[0] if best["method"] == WHOLE or not ours else ours[0]
    name, beaten = best["method"], other["method"]
    # a method's own name tells: what is not of this project's is what it is compared with
    baseline = not name.startswith(WHOLE) and bool(ours)
    gap = f"ahead of {beaten} by {best['NDCG@10'] - other['NDCG@10']:.4f} NDCG@10"
    p = tests.get(frozenset((name, beaten)))
    if p is None:
        return f"{name} is {gap}, which no paired test was made of"
    if p >= level:
        kind = ", a baseline," if baseline else ""
        return f"{name}{kind} is {gap}, but the paired test does not tell the two apart (p = {p:.4f})"
    return f"{name} is {gap} (p = {p:.4f})" + (", so a baseline wins on this log" if baseline else "")


def _recommend(ranked: list[dict[str, Any]], tests: dict[frozenset[str], float], level: float, task: str) -> str:
    """How to recommend with the best, or with the better of what can recommend; nothing where neither is in the table."""
    usable = [row for row in ranked if row["method"] in RECOMMENDS]
    if not usable:
        return ""
    chosen, *other = usable
    name = chosen["method"]
    asked = ("--task", "dr") if task == "direct" else ()
    command = f"`{command_line('isrf', 'recommend', *asked, *RECOMMENDS[name])}`"
    if name == ranked[0]["method"]:
        return f"; {command} uses it"
    if not other:
        return f"; {command} uses {name}"
    p = tests.get(frozenset(RECOMMENDS))
    sure = "" if p is None else f", p = {p:.4f}" if p < level else f", not told apart, p = {p:.4f}"
    behind = f"{other[0]['method']} {other[0]['NDCG@10']:.4f}"
    return f"; {command} uses {name}, the higher of the two that it can use ({chosen['NDCG@10']:.4f}, {behind}{sure})"
