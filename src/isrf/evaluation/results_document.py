"""Results as the structure of ``metrics.json``: rows of figures, intervals and paired tests, plain numbers and strings.

How people see it is ``table``. Knows nothing about methods or how ranks came about.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from isrf.core.config import EvaluationSettings
from isrf.core.shell import setting
from isrf.data.dataset import Dataset
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import ALL, REPORTED_SEPARATELY, Result
from isrf.evaluation.significance import bootstrap_interval, holm, paired_test

SHARES = "share_of_interactions_by_supplier"
"""Key of the document: part of the training interactions whose item each supplier reasoned about, 0 to 1."""
STRUCTURE = 3
"""Under the key "structure": raised when the document gets other keys; what an older version wrote is made again."""
LEVEL = 0.05
"""A difference counts where Holm's p is below."""
CARDS = "cards"
"""Key of the document: method -> its interest card (``evaluation.interest_card``)."""
LEFT_OUT = "left_out"
"""Key of the document: method -> why it has no row, where there is one that has none."""
WARNINGS = "warnings"
"""Key of the document: lines without which its figures mislead, where there are any."""
FEW = 200
"""A table from fewer people than this proves nothing, which it says."""
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


def few_people(evaluated: int) -> list[str]:
    """A line where so few people are evaluated that their figures prove nothing.

    >>> few_people(200), few_people(26)
    ([], ['26 people are evaluated, fewer than 200: figures from so few prove nothing'])
    """
    who = "1 person is" if evaluated == 1 else f"{evaluated:,} people are"
    return [f"{who} evaluated, fewer than {FEW}: figures from so few prove nothing"] if evaluated < FEW else []


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
        pairs: names of methods to compare, beside the best of each task and part with every other (``paired_rows``).

    Returns:
        {"structure": STRUCTURE, "dataset": about, "results": [...], "paired": [...]}, plain numbers and strings only;
        with NOTES where ``permutation_samples`` are too few for any comparison to come out as real, and WARNINGS where the
        people of a part that is not reported apart are too few.
    """
    document: dict[str, Any] = {
        "structure": STRUCTURE,
        "dataset": about,
        "results": [result_row(runs, settings) for runs in by_row(results).values()],
        "paired": paired_rows(results, settings, pairs),
    }
    people = [len(result.users) for result in results if result.part not in REPORTED_SEPARATELY]
    if few := few_people(min(people, default=FEW)):
        document[WARNINGS] = few
    family = max(Counter((row["task"], row["split"]) for row in document["paired"]).values(), default=0)
    # with several seeds p has two sides, and half as many values
    sides = 2 if any(len(runs) > 1 for runs in by_row(results).values()) else 1
    if sides * family >= (settings.permutation_samples + 1) * LEVEL:
        document[NOTES] = [
            f"{settings.permutation_samples} permutations cannot tell {family} comparisons apart after Holm's correction: "
            f"give {setting('evaluation.permutation_samples', math.ceil(sides * family / LEVEL))} or more"
        ]
    return document


def joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The first document with the rows of methods that the second has alone, and a note that says which these are.

    Args:
        first: of ``metrics_document``, with whatever was added to it.
        second: the same, about the same data, people and models.
    """
    have = {row["method"] for row in first["results"]}
    more = list(dict.fromkeys(row["method"] for row in second["results"] if row["method"] not in have))
    if not more:
        return first
    found = second | first
    found["results"] = first["results"] + [row for row in second["results"] if row["method"] in more]
    for key in ("paired", "segment_gains"):
        added = [row for row in second.get(key, []) if not have.issuperset(row["methods"])]
        found[key] = first.get(key, []) + added
    found["segments"] = first.get("segments", []) + [r for r in second.get("segments", []) if r["method"] in more]
    for key in (CARDS, LEFT_OUT):
        found[key] = second.get(key, {}) | first.get(key, {})
    note = (
        f"{', '.join(more)}: from another command than the other rows; each command's tests have a correction of their "
        "own, and ties are looked for among the rows of one command"
    )
    for key, own in ((WARNINGS, []), (NOTES, [note])):
        found[key] = list(dict.fromkeys([*first.get(key, []), *second.get(key, []), *own]))
    return found


def by_row(results: Sequence[Result]) -> dict[tuple[str, str, str, str], list[Result]]:
    """(method, task, part, candidates) -> its runs, one a seed, all in the order in which they first came."""
    rows: dict[tuple[str, str, str, str], list[Result]] = {}
    for result in results:
        rows.setdefault((result.method, result.task, result.part, result.candidates), []).append(result)
    return rows


def ndcg_by_run(runs: Sequence[Result]) -> np.ndarray:
    """(S, n) float64 NDCG@10 of each user, one row a run; ValueError where they are not about the same users."""
    if any(not np.array_equal(run.users, runs[0].users) for run in runs):
        raise ValueError(f"runs of {runs[0].method} with different seeds were not ranked for the same users")
    return np.stack([ndcg(run.ranks, 10) for run in runs])


def result_row(runs: Sequence[Result], settings: EvaluationSettings) -> dict[str, Any]:
    """One entry of "results"; metrics are unrounded means over users, and over seeds where there are several runs.

    The interval is about users, and about seeds where there are several; the means of the seeds are in "ndcg10_by_seed".
    """
    first = runs[0]
    interval = bootstrap_interval(ndcg_by_run(runs), settings.bootstrap_samples, settings.seed)
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
        "NDCG@10": mean_ndcg(runs),
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
    """One entry a comparison of two methods by NDCG@10, on a task and part in which both were ranked in full.

    First those that are asked for, then, for each task and part, the best method against every other, which says who is
    tied with it. All comparisons of one task and part are one family for Holm's correction. That the best is picked by
    the figures that are then compared is not corrected for: it makes a tie with the second somewhat less likely to be
    seen. Parts that are reported apart (``protocol.REPORTED_SEPARATELY``) have no tests: they are small and about other people.

    Args:
        results: runs with different seeds are folded into one method (``significance.paired_test``).
        settings: bootstrap and permutation samples, seed.
        pairs: names of methods; those that are not there are passed over.

    Raises:
        ValueError: two results of a pair are not about the same users.
    """
    full = {row[:3]: runs for row, runs in by_row(results).items() if row[3] == ALL}
    rows = []
    for task, part in dict.fromkeys((task, part) for _, task, part in full if part not in REPORTED_SEPARATELY):
        there = {method: runs for (method, *where), runs in full.items() if where == [task, part]}
        wanted = [pair for pair in pairs if pair[0] in there and pair[1] in there]
        best = max(there, key=lambda method: mean_ndcg(there[method]))  # of equals the first
        compared = {frozenset(pair) for pair in wanted}
        wanted += [(best, other) for other in there if other != best and {best, other} not in compared]
        family = [paired_row(there[first], there[second], settings) for first, second in wanted]
        for row, p in zip(family, holm([row["p_value"] for row in family]), strict=True):
            row["p_holm"] = p
        rows += family
    return rows


def mean_ndcg(runs: Sequence[Result]) -> float:
    """NDCG@10, mean over users and seeds."""
    return float(np.mean([run.ndcg(10) for run in runs]))


def paired_row(a: Sequence[Result], b: Sequence[Result], settings: EvaluationSettings) -> dict[str, Any]:
    """The runs of one method against those of another on the same users, without Holm's correction."""
    one, other = a[0], b[0]
    if not np.array_equal(one.users, other.users):
        raise ValueError(f"{one.method} and {other.method} were not ranked for the same users ({one.part}, {one.task})")
    first, second = ndcg_by_run(a), ndcg_by_run(b)
    if one.trained is not None and [run.trained for run in a] == [run.trained for run in b]:
        # both ranked with the same trainings: the luck of a seed is in both, and not in their difference
        first, second = first - second, np.zeros_like(second[:1])
    found = paired_test(first, second, settings.bootstrap_samples, settings.permutation_samples, settings.seed)
    return {
        "methods": [one.method, other.method],
        "task": one.task,
        "split": one.part,
        "candidates": ALL,
        "users": len(one.users),
        "ndcg10_difference": found.difference,
        "ci95": list(found.interval),
        "effect_size": found.effect,
        "p_value": found.p,
        "p_models_as_given": found.p_models,
    }
