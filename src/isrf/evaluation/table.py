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
from isrf.evaluation.protocol import ALL, APART, Result
from isrf.evaluation.significance import bootstrap_interval, paired_permutation
from isrf.evaluation.texts import ABOUT, COLUMNS, EXPLANATIONS, cells, markdown_lines

METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
HEADER = ("method", "task", "split", "candidates", *METRICS, "NDCG@10, 95% interval", "fit s", "rank s")
SHARES = "share_of_interactions_by_supplier"
"""Key of the document: part of the training interactions whose item each supplier reasoned about, 0 to 1."""
LEFT_OUT = "left_out"
"""Key of the document: method -> why it has no row, where there is one that has none."""
WARNINGS = "warnings"
"""Key of the document: lines without which its figures mislead, where there are any."""
NOTES = "notes"
"""Key of the document: lines on what rows are, where their names do not say it."""
BY_SEED = "NDCG@10 over seeds"
"""Column of a table in which a method was trained with several seeds."""
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
        results: any methods, tasks, parts and candidates. Several that agree in all four are runs with different seeds
            and become one row.
        settings: bootstrap and permutation samples, seed.
        pairs: names of methods to compare; each is tested on every task and part in which both were ranked in full.

    Returns:
        {"dataset": about, "results": [...], "paired": [...]}, plain numbers and strings only.
    """
    return {
        "dataset": about,
        "results": [result_row(runs, settings) for runs in by_row(results).values()],
        "paired": paired_rows(results, settings, pairs),
    }


def by_row(results: Sequence[Result]) -> dict[tuple[str, str, str, str], list[Result]]:
    """(method, task, part, candidates) -> its runs, one a seed, all in the order in which they first came."""
    rows: dict[tuple[str, str, str, str], list[Result]] = {}
    for result in results:
        rows.setdefault((result.method, result.task, result.part, result.candidates), []).append(result)
    return rows


def ndcg_by_user(runs: Sequence[Result]) -> np.ndarray:
    """(n,) float64 NDCG@10 of each user, mean over the runs; ValueError where they are not about the same users."""
    if any(not np.array_equal(run.users, runs[0].users) for run in runs):
        raise ValueError(f"runs of {runs[0].method} with different seeds were not ranked for the same users")
    return np.mean([ndcg(run.ranks, 10) for run in runs], axis=0)


def result_row(runs: Sequence[Result], settings: EvaluationSettings) -> dict[str, Any]:
    """One entry of "results"; metrics are unrounded means over users, and over seeds where there are several runs.

    The interval says how sure the mean over seeds is, given these users; how much seeds differ is in "ndcg10_by_seed".
    """
    first = runs[0]
    interval = bootstrap_interval(ndcg_by_user(runs), settings.bootstrap_samples, settings.seed)
    fits = [run.fit_seconds for run in runs if run.fit_seconds is not None]
    row: dict[str, Any] = {
        "method": first.method,
        "task": first.task,
        "split": first.part,
        "candidates": first.candidates,
        "users": len(first.users),
        "HR@5": float(np.mean([run.hr(5) for run in runs])),
        "NDCG@5": float(np.mean([run.ndcg(5) for run in runs])),
        "HR@10": float(np.mean([run.hr(10) for run in runs])),
        "NDCG@10": float(np.mean([run.ndcg(10) for run in runs])),
        "ndcg10_ci95": list(interval),
        "fit_seconds": float(np.mean(fits)) if fits else None,
        "rank_seconds": float(np.mean([run.rank_seconds for run in runs])),
    }
    if first.seed is not None:
        row |= {"seeds": [run.seed for run in runs], "ndcg10_by_seed": [run.ndcg(10) for run in runs]}
    return row


def paired_rows(
    results: Sequence[Result], settings: EvaluationSettings, pairs: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """One entry a pair, task and part: NDCG@10 of the first minus that of the second, and the p of the paired test.

    A method with several seeds enters with each user's mean over them. Raises ValueError where two results of a pair
    are not about the same users.
    """
    full = {row[:3]: runs for row, runs in by_row(results).items() if row[3] == ALL}
    settings_met = list(dict.fromkeys((task, part) for _, task, part in full if part not in APART))
    rows = []
    for first, second in pairs:
        for task, part in settings_met:
            a, b = full.get((first, task, part)), full.get((second, task, part))
            if a is None or b is None:
                continue
            if not np.array_equal(a[0].users, b[0].users):
                raise ValueError(f"{first} and {second} were not ranked for the same users ({part}, {task})")
            difference, p = paired_permutation(
                ndcg_by_user(a), ndcg_by_user(b), settings.permutation_samples, settings.seed
            )
            rows.append(
                {
                    "methods": [first, second],
                    "task": task,
                    "split": part,
                    "candidates": ALL,
                    "users": len(a[0].users),
                    "ndcg10_difference": difference,
                    "p_value": p,
                }
            )
    return rows


def rich_table(document: dict[str, Any], title: str | None = None) -> Table:
    """The results as a table for the terminal; the best NDCG@10 of each task, split and kind of candidates is bold."""
    biased = any(row["candidates"] != ALL for row in document["results"])
    told = [*([BIASED] if biased else []), *warned(document), *document.get(NOTES, [])]
    table = Table(title=title, caption="\n".join(told) or None)
    for name in header(document):
        # a variant's name says what was changed: it is folded, never cut
        table.add_column(name, justify="left" if name in HEADER[:4] else "right", overflow="fold")
    best = _best(document)
    group = None
    for row in _ordered(document):
        if group not in (None, _group(row)):
            table.add_section()
        group = _group(row)
        table.add_row(*_cells(row, seeded(document)), style="bold" if row["NDCG@10"] == best[group] else "")
    return table


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
    best, columns = _best(document), header(document)
    lines = ["| " + " | ".join(columns) + " |", "|---" * 4 + "|--:" * (len(columns) - 4) + "|"]
    for row in _ordered(document):
        cells = _cells(row, seeded(document))
        if row["NDCG@10"] == best[_group(row)]:
            cells[7] = f"**{cells[7]}**"
        lines.append("| " + " | ".join(cells) + " |")
    if any(row["candidates"] != ALL for row in document["results"]):
        lines += ["", f"({BIASED})"]
    told = (*warned(document), *document.get(NOTES, []), *left_out(document))
    lines += [line for one in told for line in ("", one)]
    if document.get("paired"):
        lines += ["", "| difference in NDCG@10 | task | split | value | p |", "|---|---|---|--:|--:|"]
        for row in document["paired"]:
            first, second = row["methods"]
            value, p = f"{row['ndcg10_difference']:+.4f}", f"{row['p_value']:.4f}"
            lines.append(f"| {first} - {second} | {row['task']} | {row['split']} | {value} | {p} |")
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
        sure = "real at p < 0.05" if row["p_value"] < 0.05 else "not told apart from chance"
        lines.append(
            f"{row['task']}: {first} - {second} = {row['ndcg10_difference']:+.4f} NDCG@10, "
            f"p = {row['p_value']:.4f} (paired test over {row['users']:,} users): {sure}"
        )
    return lines


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


def _cells(row: dict[str, Any], by_seed: bool) -> list[str]:
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
        *([_spread(row)] if by_seed else []),
    ]


def _spread(row: dict[str, Any]) -> str:
    """Least and largest NDCG@10 of the seeds, and how many; a dash for a method that has none."""
    values = row.get("ndcg10_by_seed")
    return "-" if values is None else f"{min(values):.4f} to {max(values):.4f} ({len(values)})"
