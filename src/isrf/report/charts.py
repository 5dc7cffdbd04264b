"""Charts as SVG files: what training was like, what a setting is worth, what accuracy costs. Computes no figure.

Needs the extra ``report`` (altair and vl-convert); ``chart_process`` draws, and its ``missing`` says where that is not there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isrf.core.atomic_files import write_atomic
from isrf.report.chart_process import RENDERER
from isrf.report.inline_charts import PLAIN, placed
from isrf.report.plots import LEAST_SECONDS

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 250, 150
"""Of one panel, pixels."""

TIME_WIDTH, TIME_HEIGHT = 330, 320
"""Of one panel of accuracy against time: room for the names of fourteen methods."""

MOST_TICKS = 12
"""On the axis of epochs."""

WHOLE, SIDES = "all together", ("individual", "group")
"""Lines of a panel: a figure that is not of one interest, and the two interests."""

COLOURS = {WHOLE: "#767676", "individual": "#0b6bcb", "group": "#d9480f"}
OURS = "#0b6bcb"
"""Methods of this project, beside those that they are compared with."""

TITLES = {"sr": "SR", "dr": "DR", "alignment": "alignment"}


def training_chart(log: Sequence[Mapping[str, Any]], best_epoch: int, path: Path) -> None:
    """Losses, gradient norms by task and interest, and validation NDCG@10 over the epochs.

    Args:
        log: a record an epoch (``training.loop``); names of tasks are read from it.
        best_epoch: whose weights were kept; marked.
        path: of the SVG.

    Raises:
        CannotDraw: see ``chart_process.Renderer``.
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
        CannotDraw: see ``chart_process.Renderer``.
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


def time_chart(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """NDCG@10 by seconds of training, a panel for each source, each method named.

    Args:
        rows: "source", "name", "seconds", "value" and "own" (bool: ours) each.
        path: of the SVG.

    Raises:
        CannotDraw: see ``chart_process.Renderer``.
    """
    import altair as alt

    def exponent(row: Mapping[str, Any]) -> float:
        return math.log10(max(float(row["seconds"]), LEAST_SECONDS))

    low = math.floor(min(map(exponent, rows)))
    high = max(low + 1, math.ceil(max(map(exponent, rows)) + 1e-9))
    panels = []
    for source in dict.fromkeys(row["source"] for row in rows):
        own = [row for row in rows if row["source"] == source]
        top = max(float(row["value"]) for row in own) * 1.08 or 1.0
        points = [((exponent(row) - low) / (high - low), float(row["value"]) / top) for row in own]
        spots = placed(points, [len(row["name"]) for row in own], TIME_WIDTH, TIME_HEIGHT)
        drawn = [
            {
                "name": r["name"],
                "seconds": 10 ** exponent(r),
                "value": r["value"],
                "own": r["own"],
                "at": y * top,
                "left": left,
            }
            for r, (y, left) in zip(own, spots, strict=True)
        ]
        x = alt.X(
            "seconds:Q",
            title="seconds of training (log)",
            scale=alt.Scale(type="log", domain=[10**low, 10**high]),
            axis=alt.Axis(labelExpr=PLAIN, values=[10**n for n in range(low, high + 1)]),
        )
        scale = alt.Scale(domain=[0, top], nice=False)
        color = alt.Color("own:N", legend=None, scale=alt.Scale(domain=[False, True], range=[COLOURS[WHOLE], OURS]))
        y = alt.Y("value:Q", title="NDCG@10", scale=scale)
        layers = [
            alt.Chart(alt.Data(values=drawn)).mark_point(filled=True, size=60, opacity=1).encode(x=x, y=y, color=color)
        ]
        for left in (False, True):
            side = [row for row in drawn if row["left"] == left]
            if side:
                words = alt.Chart(alt.Data(values=side)).mark_text(
                    align="right" if left else "left", dx=-7 if left else 7
                )
                layers.append(
                    words.encode(x=x, y=alt.Y("at:Q", scale=scale, title="NDCG@10"), text="name:N", color=color)
                )
        panels.append(alt.layer(*layers).properties(title=source, width=TIME_WIDTH, height=TIME_HEIGHT))
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
