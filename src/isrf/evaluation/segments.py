"""For whom a method works: results by kind of user and of target, from stored ranks, and what the group adds to each.

Classes come from training alone, by rules that are written here: a *long* history has more training interactions than the
median user; *head* items are the most bought ones that together make up half of all training interactions, *new* ones
have none, the rest is *tail*; a user *with neighbours* is linked to somebody in the similar-user graph. Knows nothing
about methods or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from isrf.core.config import EvaluationSettings
from isrf.data.splits.split import Split
from isrf.evaluation.protocol import ALL, Result
from isrf.evaluation.results_document import by_row, ndcg_by_run
from isrf.evaluation.significance import bootstrap_interval, paired_test
from isrf.methods.names import GRAPH_ONLY, WHOLE, WITHOUT_GROUP

SEGMENTS, GAINS = "segments", "segment_gains"
"""Keys of the document: a row a method, task and class; and a row a class for each pair that is compared."""

KINDS: dict[str, tuple[str, ...]] = {
    "history": ("short", "long"),
    "target": ("head", "tail", "new item"),
    "neighbours": ("with neighbours", "without neighbours"),
}
"""Segment -> its classes."""

COMPARED_WITH = (WITHOUT_GROUP, GRAPH_ONLY)
"""What the whole system is compared with, class by class: itself trained without the group layer, so that the difference is
what the group adds; and the interest graphs, group included, so that it is what the generator adds."""

HEAD_SHARE = 0.5

Classes = dict[str, np.ndarray]
"""Segment -> (P,) int64 class of each row of the split, an index into KINDS; -1 = in none."""


def head_items(popularity: np.ndarray) -> np.ndarray:
    """(I,) bool: the most bought items that together make up half of the interactions.

    Items that are bought as often as the last of them are head too, so that no accident decides.

    >>> head_items(np.array([5, 1, 3, 1, 0])).tolist()  # 5 of 10 is half
    [True, False, False, False, False]
    >>> head_items(np.array([2, 2, 2, 1, 0])).tolist()  # 4 of 7 are, and a third is as good as the second
    [True, True, True, False, False]

    Args:
        popularity: (I,) training interactions of each item.
    """
    ordered = np.sort(popularity)[::-1]
    last = int(np.searchsorted(np.cumsum(ordered), HEAD_SHARE * ordered.sum()))
    return (popularity >= ordered[last]) & (popularity > 0)


def classes_of(split: Split, links: sp.csr_matrix) -> Classes:
    """The class of everybody with a test target, by training data.

    Args:
        split: whose test targets are classed.
        links: (U, U) the similar-user graph; who is not in it (no training interaction) is in neither of its classes.
    """
    training = split.training
    lengths = np.zeros(len(split.test), dtype=np.int64)
    lengths[: training.n_users] = training.histories.lengths
    bought, head = training.popularity[split.test], head_items(training.popularity)[split.test]
    target = np.where(head, 0, np.where(bought > 0, 1, 2))
    neighbours = np.full(len(split.test), -1, dtype=np.int64)
    neighbours[: training.n_users] = np.diff(links.indptr) == 0
    return {
        "history": (lengths > np.median(training.histories.lengths)).astype(np.int64),
        "target": np.where(split.test >= 0, target, -1),
        "neighbours": neighbours,
    }


def by_segment(
    results: Sequence[Result], classes: Classes, settings: EvaluationSettings
) -> dict[str, list[dict[str, Any]]]:
    """SEGMENTS and GAINS of the document: test targets, full ranking; classes that nobody is in are left out.

    Several seeds of a method are folded in as in the table of results (``significance.paired_test``).
    """
    full = {row[:2]: runs for row, runs in by_row(results).items() if row[2:] == ("test", ALL)}
    gains = {key: ndcg_by_run(runs) for key, runs in full.items()}
    segments: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for (method, task), runs in full.items():
        for segment, kinds in KINDS.items():
            of = classes[segment][runs[0].users]
            for place, group in enumerate(kinds):
                here = of == place
                if not here.any():
                    continue
                row = {"task": task, "split": "test", "segment": segment, "group": group, "users": int(here.sum())}
                own = gains[method, task][:, here]
                interval = bootstrap_interval(own, settings.bootstrap_samples, settings.seed)
                scores = {"NDCG@10": float(own.mean()), "ndcg10_ci95": list(interval)}
                segments.append({"method": method} | row | scores)
                other = gains.get((WHOLE, task))
                if method not in COMPARED_WITH or other is None:
                    continue
                if not np.array_equal(full[WHOLE, task][0].users, runs[0].users):
                    raise ValueError(f"{WHOLE} and {method} were not ranked for the same users ({task})")
                samples, permutations = settings.bootstrap_samples, settings.permutation_samples
                found = paired_test(other[:, here], own, samples, permutations, settings.seed)
                told = {"ndcg10_difference": found.difference, "ci95": list(found.interval), "p_value": found.p}
                differences.append({"methods": [WHOLE, method]} | row | told)
    differences.sort(key=lambda row: COMPARED_WITH.index(row["methods"][1]))
    return {SEGMENTS: segments, GAINS: differences}


def segment_lines(document: dict[str, Any]) -> list[str]:
    """The tables of both as Markdown, for each task one; nothing where there are none."""
    rows = document.get(SEGMENTS, [])
    lines: list[str] = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        columns = {(row["segment"], row["group"]): row["users"] for row in own}
        heads = [
            f"{group if segment != 'history' else f'{group} history'} ({n:,})"
            for (segment, group), n in columns.items()
        ]
        lines += ["", f"NDCG@10 by segment, {task}, test, full ranking (people in brackets):", ""]
        lines += ["| method | " + " | ".join(heads) + " |", "|---" + "|--:" * len(heads) + "|"]
        found = {(row["method"], row["segment"], row["group"]): row["NDCG@10"] for row in own}
        best = {key: max(v for (_, *k), v in found.items() if tuple(k) == key) for key in columns}
        for method in dict.fromkeys(row["method"] for row in own):
            values = [(key, found[method, *key]) for key in columns]
            cells = [f"**{v:.4f}**" if v == best[key] and v > 0 else f"{v:.4f}" for key, v in values]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    if gains := document.get(GAINS):
        lines += [
            "",
            "By segment, what the group layer adds (isrf - isrf-nogroup) and what the generator adds (isrf - isrf-graph):",
            "",
        ]
        lines += ["| difference in NDCG@10 | task | segment | people | value | 95% interval | p |"]
        lines += ["|---|---|---|--:|--:|--:|--:|"]
        for row in gains:
            first, second = row["methods"]
            where = f"{row['segment']}: {row['group']}"
            low, high = row["ci95"]
            figures = f"{row['ndcg10_difference']:+.4f} | {low:+.4f} to {high:+.4f} | {row['p_value']:.4f}"
            lines.append(f"| {first} - {second} | {row['task']} | {where} | {row['users']:,} | {figures} |")
    return lines


def gain_lines(document: dict[str, Any]) -> list[str]:
    """A line a pair and task for the terminal: the difference in each class."""
    rows = document.get(GAINS, [])
    lines = []
    for first, second, task in dict.fromkeys((*row["methods"], row["task"]) for row in rows):
        own = [row for row in rows if row["methods"] == [first, second] and row["task"] == task]
        told = [f"{row['group']} {row['ndcg10_difference']:+.4f}{'*' if row['p_value'] < 0.05 else ''}" for row in own]
        lines.append(f"{task}: {first} - {second} by segment: {', '.join(told)} (* p < 0.05, not corrected)")
    return lines
