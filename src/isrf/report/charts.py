"""Charts as SVG files: what training was like, and what a setting is worth. Says what is drawn, computes nothing.

Needs the extra ``report`` (altair and vl-convert); ``drawing`` draws, and ``drawing.missing`` says where that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isrf.core.atomic_files import write_atomic
from isrf.report.chart_process import RENDERER

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 250, 150
"""Of one panel, pixels."""

MOST_TICKS = 12
"""On the axis of epochs."""

WHOLE, SIDES = "all together", ("individual", "group")
"""Lines of a panel: a figure that is not of one interest, and the two interests."""

COLOURS = {WHOLE: "#767676", "individual": "#0b6bcb", "group": "#d9480f"}
TITLES = {"sr": "SR", "dr": "DR", "alignment": "alignment"}


def training_chart(log: Sequence[Mapping[str, Any]], best_epoch: int, path: Path) -> None:
    """Losses, gradient norms by task and interest, and validation NDCG@10 over the epochs.

    Args:
        log: a record an epoch (``training.loop``); names of tasks are read from it.
        best_epoch: whose weights were kept; marked.
        path: of the SVG.

    Raises:
        CannotDraw: see ``drawing.Renderer``.
    """
    import altair as alt

    tasks = [name.removeprefix("loss_") for name in log[-1] if name.startswith("loss_") and name != "loss_alignment"]
    x = alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[1, max(len(log), 2)], nice=False),
        axis=alt.Axis(format="d", values=list(range(1, len(log) + 1, 1 + len(log) // MOST_TICKS))),
    )
    color = alt.Color("of:N", title="", scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())))
    best = alt.Chart(alt.Data(values=[{"epoch": best_epoch}])).mark_rule(strokeDash=[3, 3], color="#999999").encode(x=x)

    def panel(title: str, unit: str, lines: Mapping[str, str], scale: Literal["linear", "log"] = "linear") -> Any:
        """One panel; ``lines`` is label -> name of a figure in the log."""
        values = [
            {"epoch": entry["epoch"], "value": entry[figure], "of": label}
            for entry in log
            for label, figure in lines.items()
            if figure in entry and (entry[figure] > 0 or scale == "linear")
        ]
        y = alt.Y("value:Q", title=unit, scale=alt.Scale(type=scale, zero=False))
        drawn = alt.Chart(alt.Data(values=values)).mark_line(point=True).encode(x=x, y=y, color=color)
        return alt.layer(best, drawn).properties(title=title, width=WIDTH, height=HEIGHT)

    losses = [panel(f"{titled(name)}: loss", "loss", {WHOLE: f"loss_{name}"}) for name in (*tasks, "alignment")]
    gradients, pulls = [], []
    for task in tasks:
        by_side = {side: f"gradient_norm_{task}_{side}" for side in SIDES}
        lines = {WHOLE: f"gradient_norm_{task}"} | by_side
        gradients.append(panel(f"{titled(task)}: gradient of the parameters", "norm", lines, "log"))
        lines = {side: f"alignment_norm_{task}_{side}" for side in SIDES}
        pulls.append(panel(f"{titled(task)}: what alignment asks of interests", "norm", lines, "log"))
    validation = panel("validation, next item", "NDCG@10", {WHOLE: "valid_ndcg10"})
    rows = (losses, [*gradients, validation], pulls)
    write(alt.vconcat(*(alt.hconcat(*row) for row in rows)), path)


def sweep_chart(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """NDCG@10 by the value of one setting, with its interval as a band, a line for each source, a panel for each task.

    Args:
        rows: "setting", "source", "task", "value" (a number), "ndcg10", "low", "high", and "default" (whether the value
            is the usual one; marked) each.
        path: of the SVG.

    Raises:
        CannotDraw: see ``drawing.Renderer``.
    """
    import altair as alt

    setting = str(rows[0]["setting"])
    panels = []
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = [dict(row) for row in rows if row["task"] == task]
        base = alt.Chart(alt.Data(values=of_task))
        ticks = sorted({float(row["value"]) for row in of_task})
        x = alt.X("value:Q", title=setting, scale=alt.Scale(zero=False), axis=alt.Axis(values=ticks, format="~g"))
        color = alt.Color("source:N", title="source")
        panels.append(
            alt.layer(
                base.mark_area(opacity=0.15).encode(x=x, y=ndcg(alt, "low"), y2="high:Q", color=color),
                base.mark_line().encode(x=x, y=ndcg(alt, "ndcg10"), color=color),
                base.mark_point(filled=True, size=60).encode(
                    x=x,
                    y=ndcg(alt, "ndcg10"),
                    color=color,
                    shape=alt.Shape("default:N", title="default", scale=alt.Scale(range=["circle", "diamond"])),
                ),
            ).properties(title=f"{task} recommendation", width=WIDTH, height=HEIGHT)
        )
    write(alt.hconcat(*panels), path)


def titled(name: str) -> str:
    """How a task or loss is called in a chart."""
    return TITLES.get(name, name.upper())


def ndcg(alt: Any, field: str) -> alt.Y:
    """The axis of NDCG@10."""
    return alt.Y(f"{field}:Q", title="NDCG@10", scale=alt.Scale(zero=False))


def write(chart: alt.TopLevelMixin, path: Path) -> None:
    """Write a chart as SVG: the same bytes for the same figures."""
    drawn = chart.configure(background="white").configure_view(stroke="#dddddd")
    write_atomic(path, RENDERER.svg(drawn.to_dict()))
