"""Results as the structure of ``metrics.json``: rows of figures, intervals and paired tests, plain numbers and strings.

How people see it is ``table``. Knows nothing about methods or how ranks came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isrf.config import EvaluationSettings
from isrf.data.dataset import Dataset
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import ALL, Result
from isrf.evaluation.significance import bootstrap_interval, paired_permutation

SHARES = "share_of_interactions_by_supplier"
"""Key of the document: part of the training interactions whose item each supplier reasoned about, 0 to 1."""
LEFT_OUT = "left_out"
"""Key of the document: method -> why it has no row, where there is one that has none."""
WARNINGS = "warnings"
"""Key of the document: lines without which its figures mislead, where there are any."""
NOTES = "notes"
"""Key of the document: lines on what rows are, where their names do not say it."""


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
    settings_met = list(dict.fromkeys((task, part) for _, task, part in full))
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
