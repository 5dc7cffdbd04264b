"""What ranking among sampled candidates would have made of a table: where it changes the order of methods.

Computed from the rows of a document alone. Knows nothing about ranks or people.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from scipy.stats import kendalltau

from isrf.evaluation.protocol import ALL


def sampled_bias(document: dict[str, Any]) -> list[dict[str, Any]]:
    """For each task, split and kind of sampled candidates: how NDCG@10 orders the methods in both rankings.

    Kendall's tau-b is (concordant - discordant) pairs of methods over all pairs, ties taken out: 1 = the same order,
    -1 = the reverse.

    Returns:
        {"task", "split", "candidates", "methods": how many, "kendall_tau", "flips": [[better in full ranking, better among
        sampled candidates], ...]}, where at least two methods have both.
    """
    scores: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in document["results"]:
        scores.setdefault((row["task"], row["split"], row["candidates"]), {})[row["method"]] = row["NDCG@10"]
    found = []
    for (task, split, candidates), sampled in scores.items():
        full = scores.get((task, split, ALL), {})
        methods = [method for method in full if method in sampled]
        if candidates == ALL or len(methods) < 2:
            continue
        flips = []
        for one, other in combinations(methods, 2):
            if (full[one] - full[other]) * (sampled[one] - sampled[other]) < 0:
                flips.append([one, other] if full[one] > full[other] else [other, one])
        tau = float(kendalltau([full[m] for m in methods], [sampled[m] for m in methods]).statistic)
        found.append(
            {
                "task": task,
                "split": split,
                "candidates": candidates,
                "methods": len(methods),
                "kendall_tau": None if tau != tau else tau,  # not a number where all tie
                "flips": flips,
            }
        )
    return found


def bias_lines(document: dict[str, Any]) -> list[str]:
    """``sampled_bias`` in sentences of Markdown, which the terminal shows too."""
    lines = []
    for row in sampled_bias(document):
        pairs = row["methods"] * (row["methods"] - 1) // 2
        flips = "; ".join(f"{better} is ahead of {worse} in full ranking only" for better, worse in row["flips"])
        tau = "not defined, as all tie" if row["kendall_tau"] is None else f"{row['kendall_tau']:.3f}"
        lines.append(
            f"{row['task']}: ranked among {row['candidates']} candidates instead of all items, the {row['methods']} methods "
            f"change places in {len(row['flips'])} of {pairs} pairs{': ' if flips else ''}{flips}. "
            f"Kendall's tau of the two orders (1: the same, -1: the reverse) is {tau}."
        )
    return lines
