"""Made again from training interactions alone, is it what lies in the workspace? Reasons, PCA, and both graphs.

What comes out otherwise was made from something else. Generator and weights take minutes of training: for those the
invariance test of the project stands, and what their stages recorded as inputs. Knows plain objects, not files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from isrf.core.arrays import unit_rows
from isrf.core.config import GraphSettings, ReasoningSettings
from isrf.core.shell import command_line
from isrf.data.splits.split import Split
from isrf.data.training_data import TrainingData
from isrf.evaluation.audit.findings import Finding, Verdict
from isrf.evaluation.audit.item_names import Names, text_findings
from isrf.graphs.build import Graphs, user_nodes
from isrf.graphs.groups import group_profile, user_item_votes
from isrf.graphs.propagation import normalised, propagate_bipartite
from isrf.reasoning.attributes.statistics import AttributeStatistics
from isrf.reasoning.sentences import Reasons
from isrf.reasoning.tables import STATISTICS, ReasonColumns, version_of
from isrf.semantics.features import Semantics
from isrf.semantics.reduce import fit_reduction

CLOSE = 1e-3
"""Vectors of unit norm that differ by less may come from another machine's arithmetic."""

TEXT_COLUMNS = (ReasonColumns.LIKES, ReasonColumns.DISLIKES, ReasonColumns.FEATURE)
ALONE = "stages before evaluation are given training interactions only; the file of test items is opened by evaluation"
ELSEWHERE = "held-out items, or a log or a version that is another one, had a say in it"


def _finding(name: str, wrong: float, unit: str, what: str) -> Finding:
    verdict: Verdict = "leak" if wrong else "clean"
    meaning = (
        f"{what} cannot be made from training interactions alone: {ELSEWHERE}" if wrong else f"{what} can be made again"
    )
    return Finding(name, wrong, verdict, meaning, unit, ALONE, "workspace")


def reason_findings(
    training: TrainingData,
    items: pl.DataFrame,
    users: pl.DataFrame,
    settings: ReasoningSettings,
    counted: Mapping[str, Sequence[int]] | None = None,
) -> list[Finding]:
    """Rows of attribute statistics that training interactions do not give.

    Args:
        items, users: tables of the reasoning stage.
        settings: of that stage as it was made.
        counted: "items" and "users" -> rows that an update wrote from this log; what others say it kept from an earlier one,
            which cannot be made again. None = all.
    """
    statistics = AttributeStatistics.fit(training, settings)
    made = {"items": statistics.items(), "users": statistics.users(training.histories)}
    findings: list[Finding] = []
    for kind, table in (("items", items), ("users", users)):
        written = table[ReasonColumns.SUPPLIER] == STATISTICS
        if counted is not None:
            by_statistics = int(written.sum())
            written &= pl.Series(np.isin(np.arange(table.height), counted[kind]))
            kept = by_statistics - int(written.sum())
            if kept:
                again = command_line("isrf", "reason")
                told = f"{kept:,} rows are as an earlier version wrote them: `{again}` writes all of them anew"
                findings.append(
                    Finding(f"reasons of {kind} that an update kept", None, "unknown", told, "rows", ALONE, "workspace")
                )
        name = f"reasons of {kind} (attribute statistics), rows that training does not give"
        if (table.filter(written)[ReasonColumns.MODEL] != version_of(statistics.terms)).any():
            findings.append(Finding(name, None, "unknown", "written by another version", "rows", ALONE, "workspace"))
            continue
        wrong = int((differing(table, made[kind]) & written.to_numpy()).sum())
        findings.append(_finding(name, float(wrong), "rows", f"{int(written.sum()):,} rows of attribute statistics"))
    return findings


def differing(table: pl.DataFrame, reasons: Reasons) -> np.ndarray:
    """(n,) bool: rows whose texts are not these."""
    again = pl.DataFrame(dict(zip(TEXT_COLUMNS, (reasons.likes, reasons.dislikes, reasons.features), strict=True)))
    return np.logical_or.reduce([(table[c] != again[c]).to_numpy() for c in TEXT_COLUMNS])


def reason_text_findings(users: pl.DataFrame, split: Split, names: Names) -> list[Finding]:
    """Whether the reasons of users, whoever wrote them, name what is held out of these users."""
    rows = users.select(TEXT_COLUMNS).iter_rows()
    texts = {row: [text for text in line if text] for row, line in enumerate(rows)}
    return text_findings("reasons of users", texts, split, names, "workspace")


def reduction_finding(vectors: np.ndarray | None, semantics: Semantics) -> Finding:
    """Whether the PCA is that of the item vectors, each counted once.

    Args:
        vectors: (I, d) float32 of the item texts; None where they are not kept any more.
        semantics: as made.
    """
    name, what = "PCA of item vectors, distance from one fitted on the catalogue", "the PCA"
    if semantics.reduction is None:
        return Finding(name, None, "clean", "items are random vectors: nothing was fitted", "", ALONE, "workspace")
    if vectors is None:
        missing = "the vectors it was fitted on are not in the workspace (or of another machine's arithmetic)"
        return Finding(name, None, "unknown", missing, "", ALONE, "workspace")
    made = semantics.reduction
    again = fit_reduction(vectors, len(made.components))
    # axes of like variance may turn into each other: what they span together is compared, weighted by what they carry
    spread = (vectors - again.mean) @ again.components.T
    turned = (vectors - again.mean) @ made.components.T
    off = np.abs(np.cov(turned.T) - np.cov(spread.T)).max() / max(float(np.var(spread, axis=0).max()), 1e-12)
    distance = max(float(np.abs(made.mean - again.mean).max()), float(off))
    return _finding(name, 0.0 if distance < CLOSE else distance, "largest difference", what)


def graph_findings(
    training: TrainingData, semantics: Semantics, graphs: Graphs, settings: GraphSettings
) -> list[Finding]:
    """Whether item nodes are training edges propagated, and groups the training items of their members."""
    links = normalised(training.matrix)
    nobody = np.zeros((training.n_users, semantics.items.shape[1]), dtype=np.float32)
    _, nodes = propagate_bipartite(links, nobody, semantics.items, settings.layers)
    off = np.abs(unit_rows(nodes) - graphs.item_nodes).max(1) > CLOSE
    choices = user_item_votes(training.histories, training.n_items, settings.decay)
    semantic = user_nodes(graphs.users, semantics.users, settings.user_layers)
    again = group_profile(graphs.users.links, choices, semantic)
    # weights in their order: two items of equal weight may change places on another machine, weights do not
    other = np.abs(again.weights - graphs.groups.weights).max(1) > CLOSE
    return [
        _finding(
            "semantic interaction graph, item nodes that training edges do not give",
            float(off.sum()),
            "items",
            "the item nodes",
        ),
        _finding(
            "similar-user graph, groups that training items do not give", float(other.sum()), "users", "the groups"
        ),
    ]


def input_finding(inputs: Mapping[str, Sequence[str]], held_out: Sequence[str]) -> Finding:
    """Stages before evaluation that recorded a file of held-out items, or of numbers made with them, as an input.

    Args:
        inputs: stage -> names of the files that it was made from.
        held_out: names of such files.
    """
    wrong = sorted(f"{stage} reads {name}" for stage, names in inputs.items() for name in names if name in held_out)
    return Finding(
        "stages made from files that hold test items",
        float(len(wrong)),
        "leak" if wrong else "clean",
        "; ".join(wrong) if wrong else f"none of {', '.join(inputs)} names one among the inputs it recorded",
        "inputs",
        ALONE,
        "workspace",
    )
