"""The structure of ``metrics.json`` (``document``) as a table for people, in Markdown, and the lines that belong to it.

What it prints it reads from the structure alone, so that a table printed from a file is the one printed after a run. The
terminal's is in ``terminal``.
"""

from __future__ import annotations

from typing import Any

from isrf.evaluation.protocol import ALL
from isrf.evaluation.results_document import LEFT_OUT, LEVEL, NOTES, SHARES, WARNINGS
from isrf.evaluation.text_scores import markdown_lines

METRICS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
HEADER = ("method", "task", "split", "candidates", *METRICS, "NDCG@10, 95% interval", "fit s", "rank s")
TIED = " ≈"
"""Stands behind the NDCG@10 of a method that is not told apart from the best one."""
LEGEND = (
    "bold: the best of its task by full ranking; ≈: tied with it, as the paired test on NDCG@10 does not tell them apart "
    f"(p >= {LEVEL} after Holm's correction over the comparisons of the task)"
)
COMPARISON = ("difference in NDCG@10", "task", "split", "value", "95% interval", "effect size", "p", "p (Holm)")
AS_GIVEN = "p, models as given"
"""Beside them where a method has several runs: over people alone, while p is about other seeds too."""
BY_SEED = "NDCG@10 over seeds"
"""Column of a table in which a method was trained with several seeds."""
BIASED = "sampled candidates are biased towards popular items: compare methods by full ranking"


def markdown_table(document: dict[str, Any]) -> str:
    """Results, warnings, notes, what was left out, paired tests, explanations and who reasoned, where there are, as Markdown.

    It ends in a newline.
    """
    best, marked, columns = best_of(document), tied(document), header(document)
    lines = ["| " + " | ".join(columns) + " |", "|---" * 4 + "|--:" * (len(columns) - 4) + "|"]
    for row in ordered(document):
        cells = cells_of(row, seeded(document), marked)
        if row["candidates"] == ALL and row["NDCG@10"] == best[group_of(row)]:
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
        sure = "significant (p < 0.05)" if row["p_holm"] < LEVEL else "not told apart from chance"
        low, high = row["ci95"]
        lines.append(
            f"{row['task']}: {first} - {second} = {row['ndcg10_difference']:+.4f} NDCG@10 ({low:+.4f} to {high:+.4f}), "
            f"p = {row['p_holm']:.4f} after Holm (paired test over {row['users']:,} users): {sure}"
        )
    return lines


def tied(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(method, task, split) of all that full ranking does not tell apart from the best of their task and split."""
    best = {
        group_of(row)[:2]: row["method"]
        for row in reversed(document["results"])  # of equals the first, as in the comparisons
        if row["candidates"] == ALL and row["NDCG@10"] == best_of(document)[group_of(row)]
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


def group_of(row: dict[str, Any]) -> tuple[str, str, str]:
    """What may be compared: rows of one task, split and kind of candidates."""
    return row["task"], row["split"], row["candidates"]


def ordered(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a group together, groups and methods in the order in which they first came, full ranking first."""
    groups = list(dict.fromkeys(group_of(row) for row in document["results"]))
    groups.sort(key=lambda group: group[2] != ALL)
    return [row for group in groups for row in document["results"] if group_of(row) == group]


def best_of(document: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    best: dict[tuple[str, str, str], float] = {}
    for row in document["results"]:
        best[group_of(row)] = max(row["NDCG@10"], best.get(group_of(row), 0.0))
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


def cells_of(row: dict[str, Any], by_seed: bool, marked: set[tuple[str, str, str]]) -> list[str]:
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
