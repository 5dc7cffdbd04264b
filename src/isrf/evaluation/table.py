"""Results as the structure of ``evaluation/metrics.json``, and that structure as a table for people.

Knows nothing about methods or how ranks came about; what it prints it reads from the structure alone, so that a table
printed from a file is the one printed after a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from isrf.config import EvaluationSettings
from isrf.data.dataset import Dataset
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import ALL, Result
from isrf.evaluation.significance import bootstrap_interval, paired_permutation

METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
HEADER = ("method", "task", "split", "candidates", *METRICS, "NDCG@10, 95% interval", "fit s", "rank s")
SHARES = "share_of_interactions_by_supplier"
"""Key of the document: part of the training interactions whose item each supplier reasoned about, 0 to 1."""
BIASED = "sampled candidates are biased towards popular items: compare methods by full ranking"


def dataset_block(dataset: Dataset) -> dict[str, Any]:
    """Users, items, interactions and digest of what was evaluated on."""
    return {
        "users": dataset.n_users,
        "items": dataset.n_items,
        "interactions": dataset.interactions.height,
        "digest": dataset.digest(),
    }


def metrics_document(
    about: dict[str, Any],
    results: Sequence[Result],
    settings: EvaluationSettings,
    pairs: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        about: users, items, interactions, digest (see ``dataset_block``).
        results: any methods, tasks, parts and candidates.
        settings: bootstrap and permutation samples, seed.
        pairs: names of methods to compare; each is tested on every task and part in which both were ranked in full.

    Returns:
        {"dataset": about, "results": [...], "paired": [...]}, plain numbers and strings only.
    """
    return {
        "dataset": about,
        "results": [result_row(result, settings) for result in results],
        "paired": paired_rows(results, settings, pairs),
    }


def result_row(result: Result, settings: EvaluationSettings) -> dict[str, Any]:
    """One entry of "results"; metrics are unrounded means over users."""
    interval = bootstrap_interval(ndcg(result.ranks, 10), settings.bootstrap_samples, settings.seed)
    return {
        "method": result.method,
        "task": result.task,
        "split": result.part,
        "candidates": result.candidates,
        "users": len(result.users),
        "HR@5": result.hr(5),
        "NDCG@5": result.ndcg(5),
        "HR@10": result.hr(10),
        "NDCG@10": result.ndcg(10),
        "ndcg10_ci95": list(interval),
        "fit_seconds": result.fit_seconds,
        "rank_seconds": result.rank_seconds,
    }


def paired_rows(
    results: Sequence[Result], settings: EvaluationSettings, pairs: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """One entry a pair, task and part: NDCG@10 of the first minus that of the second, and the p of the paired test.

    Raises ValueError where two results of a pair are not about the same users.
    """
    full = {(r.method, r.task, r.part): r for r in results if r.candidates == ALL}
    settings_met = list(dict.fromkeys((task, part) for _, task, part in full))
    rows = []
    for first, second in pairs:
        for task, part in settings_met:
            a, b = full.get((first, task, part)), full.get((second, task, part))
            if a is None or b is None:
                continue
            if not np.array_equal(a.users, b.users):
                raise ValueError(f"{first} and {second} were not ranked for the same users ({part}, {task})")
            difference, p = paired_permutation(
                ndcg(a.ranks, 10), ndcg(b.ranks, 10), settings.permutation_samples, settings.seed
            )
            rows.append(
                {
                    "methods": [first, second],
                    "task": task,
                    "split": part,
                    "candidates": ALL,
                    "users": len(a.users),
                    "ndcg10_difference": difference,
                    "p_value": p,
                }
            )
    return rows


def rich_table(document: dict[str, Any], title: str | None = None) -> Table:
    """The results as a table for the terminal; the best NDCG@10 of each task, split and kind of candidates is bold."""
    biased = any(row["candidates"] != ALL for row in document["results"])
    table = Table(title=title, caption=BIASED if biased else None)
    for name in HEADER:
        table.add_column(name, justify="left" if name in HEADER[:4] else "right")
    best = _best(document)
    group = None
    for row in _ordered(document):
        if group not in (None, _group(row)):
            table.add_section()
        group = _group(row)
        table.add_row(*_cells(row), style="bold" if row["NDCG@10"] == best[group] else "")
    return table


def markdown_table(document: dict[str, Any]) -> str:
    """The results, the paired tests and who reasoned where there are any, as Markdown ending in a newline."""
    best = _best(document)
    lines = ["| " + " | ".join(HEADER) + " |", "|---" * 4 + "|--:" * (len(HEADER) - 4) + "|"]
    for row in _ordered(document):
        cells = _cells(row)
        if row["NDCG@10"] == best[_group(row)]:
            cells[7] = f"**{cells[7]}**"
        lines.append("| " + " | ".join(cells) + " |")
    if any(row["candidates"] != ALL for row in document["results"]):
        lines += ["", f"({BIASED})"]
    if document.get("paired"):
        lines += ["", "| difference in NDCG@10 | task | split | value | p |", "|---|---|---|--:|--:|"]
        for row in document["paired"]:
            first, second = row["methods"]
            value, p = f"{row['ndcg10_difference']:+.4f}", f"{row['p_value']:.4f}"
            lines.append(f"| {first} - {second} | {row['task']} | {row['split']} | {value} | {p} |")
    if document.get(SHARES):
        lines += ["", reasoned_by(document)]
    return "\n".join(lines) + "\n"


def reasoned_by(document: dict[str, Any]) -> str:
    """A line on who reasoned about the items of how many training interactions."""
    shares = ", ".join(f"{name} {share:.1%}" for name, share in document[SHARES].items())
    return f"training interactions by who reasoned about their item: {shares}"


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


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["ndcg10_ci95"]
    candidates = row["candidates"] if row["candidates"] == ALL else f"{row['candidates']} (biased)"
    fit = "-" if row["fit_seconds"] is None else f"{row['fit_seconds']:.1f}"
    return [
        row["method"],
        row["task"],
        row["split"],
        candidates,
        *(f"{row[metric]:.4f}" for metric in METRICS),
        f"{low:.4f} to {high:.4f}",
        fit,
        f"{row['rank_seconds']:.1f}",
    ]
