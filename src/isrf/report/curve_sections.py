"""Sections of the report that are curves: accuracy against time, learning, sweeps of settings.

All is read from the documents that ``isrf bench`` and training leave; ``place`` is the workspace as it is typed in a
command. Computes nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isrf.core.shell import command_line
from isrf.evaluation.protocol import ALL
from isrf.evaluation.verdict import TASKS
from isrf.report.plots import against_time, lines
from isrf.report.results_sections import OWN, Document, own, ranked
from isrf.report.section import Figure, Figures, Line, Missing, Part, Section

SWEPT = ("graphs.tau", "graphs.top_k")
SWEEP = ("graphs.tau=0.5", "graphs.tau=0.6", "graphs.tau=0.8", "graphs.top_k=10", "graphs.top_k=30", "graphs.top_k=300")
"""What the command for a sweep proposes."""


def time(document: Document | None, place: Path) -> Section:
    """Accuracy against training time."""
    lead = (
        "What a method costs before it can answer. For methods of this project that is the time of all stages together, "
        "reasoning and encoding included."
    )
    figures = []
    for task, name in TASKS.items():
        rows = [row for row in ranked(document, task) if row["fit_seconds"] is not None] if document else []
        if rows:
            drawn = [
                {"name": r["method"], "seconds": r["fit_seconds"], "value": r["NDCG@10"], "own": own(r["method"])}
                for r in rows
            ]
            label = f"NDCG@10 over seconds of training, {name}"
            figures.append(Figure(against_time(drawn, f"time-{task}", label), f"Accuracy against time, {name}"))
    parts: list[Part] = [Figures(figures)] if figures else []
    if not figures:
        parts = [
            Missing(
                "No method with a measured training time.", command_line("isrf", "bench", place, "--methods", "all")
            )
        ]
    return Section("time", "Accuracy against time", lead, parts)


def learning(log: Sequence[Mapping[str, Any]] | None, best_epoch: int, place: Path) -> Section:
    """Losses and validation over the epochs."""
    lead = "What training was like: losses fall, and validation decides which epoch is kept (the broken line)."
    if not log:
        return Section(
            "learning", "Learning curves", lead, [Missing("No generator yet.", command_line("isrf", "train", place))]
        )

    def figure(name: str, title: str, y: str, series: Mapping[str, str]) -> Figure | None:
        rows = [
            {"x": entry["epoch"], "y": entry[key], "series": label}
            for label, key in series.items()
            for entry in log
            if key in entry
        ]
        return Figure(lines(rows, name, f"{title} over epochs", "epoch", y, best_epoch), title) if rows else None

    made = (
        figure("learning-valid", "Validation, next item", "NDCG@10", {"NDCG@10": "valid_ndcg10"}),
        figure("learning-loss", "Task losses", "loss", {"sequential": "loss_sr", "direct": "loss_dr"}),
        figure("learning-alignment", "Alignment of individual and group", "loss", {"alignment": "loss_alignment"}),
        figure("learning-text", "Explanations", "loss", {"explanation": "loss_explanation"}),
        figure(
            "learning-gradient",
            "Gradient norms",
            "norm",
            {"sequential": "gradient_norm_sr", "direct": "gradient_norm_dr"},
        ),
    )
    seconds = sum(float(entry.get("seconds", 0)) for entry in log)
    told = f"{len(log)} epochs in {seconds:,.0f} seconds; epoch {best_epoch} was kept."
    return Section("learning", "Learning curves", lead, [Figures([f for f in made if f]), Line(told)])


def sweep(document: Document | None, settings: Mapping[str, Any], place: Path) -> Section:
    """NDCG@10 by tau and by top-k: rows of a bench that differ from the whole system in one of these alone.

    Args:
        document: results with those of all benches that had variants; None where there are none.
        settings: "graphs.tau" and "graphs.top_k" of the workspace.
    """
    lead = (
        "How alike two people must be to be linked (tau), and to how many at most (top-k). Each point is a system trained "
        "anew; the broken line is the workspace's own value."
    )
    figures = []
    for setting in SWEPT:
        rows = []
        for row in document["results"] if document else []:
            base, *changes = row["method"].split("@")
            if base != OWN or row["candidates"] != ALL or row["split"] != "test" or len(changes) > 1:
                continue
            if changes and changes[0].partition("=")[0] != setting:
                continue
            low, high = row["ndcg10_ci95"]
            x = float(changes[0].partition("=")[2]) if changes else float(settings[setting])
            about = {"series": TASKS.get(row["task"], row["task"]), "low": low, "high": high}
            rows.append({"x": x, "y": row["NDCG@10"]} | about)
        if len({row["x"] for row in rows}) > 1:
            rows.sort(key=lambda row: (row["series"], row["x"]))
            name = setting.replace(".", "-").replace("_", "-")
            drawn = lines(rows, f"sweep-{name}", f"NDCG@10 by {setting}", setting, "NDCG@10", float(settings[setting]))
            figures.append(Figure(drawn, f"NDCG@10 by {setting}", "Band: 95% interval over people."))
    if figures:
        return Section("sweep", "Tau and top-k", lead, [Figures(figures)])
    methods = ",".join([OWN, *(f"{OWN}@{change}" for change in SWEEP)])
    what = "No bench has had variants of tau or top-k."
    return Section(
        "sweep", "Tau and top-k", lead, [Missing(what, command_line("isrf", "bench", place, "--methods", methods))]
    )
