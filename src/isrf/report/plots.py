"""The charts of the report, each from plain rows to an SVG element. Computes nothing but where a mark stands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from isrf.report.inline_charts import FAINT, HEIGHT, INK, PLAIN, SERIES, data, placed, svg

LEAST_SECONDS = 0.1
"""Training time that a logarithmic axis starts with; less is drawn there."""


def intervals(rows: Sequence[Mapping[str, Any]], name: str, label: str, axis: str, zero: bool = False) -> str:
    """A dot with its interval a row, rows in their order.

    Args:
        rows: "name", "value", and "low" and "high" (equal to the value where there is no interval), "own" (bool: ours).
        zero: draw a line at 0, for differences.
    """
    import altair as alt

    base = alt.Chart(data([dict(row) for row in rows]))
    longest = max(len(row["name"]) for row in rows)
    y = alt.Y("name:N", sort=None, title=None, axis=alt.Axis(minExtent=min(7 * longest + 8, 160), labelLimit=160))
    x = alt.X("value:Q", title=axis, scale=alt.Scale(zero=True), axis=alt.Axis(labelExpr=PLAIN, tickCount=5))
    color = alt.Color("own:N", legend=None, scale=alt.Scale(domain=[False, True], range=[SERIES[1], SERIES[0]]))
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=axis), x2="high:Q", y=y, color=color),
        base.mark_point(filled=True, size=60, opacity=1).encode(x=x, y=y, color=color),
    ]
    if zero:
        layers.insert(0, alt.Chart(data([{"at": 0}])).mark_rule(color=FAINT, strokeDash=[3, 3]).encode(x="at:Q"))
    return svg(alt.layer(*layers), name, label, 60 + 20 * len(rows))


def against_time(rows: Sequence[Mapping[str, Any]], name: str, label: str) -> str:
    """NDCG@10 over seconds of training, each point named.

    Args:
        rows: "name", "seconds", "value" and "own" (bool: ours).
    """
    import altair as alt

    seconds = [max(float(row["seconds"]), LEAST_SECONDS) for row in rows]
    values = [float(row["value"]) for row in rows]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)) + 1e-9)
    high = max(high, low + 1)
    top = max(values) * 1.08 or 1.0
    # people read left to right: what stands near the right edge is named to its left
    points = [((math.log10(s) - low) / (high - low), v / top) for s, v in zip(seconds, values, strict=True)]
    height = HEIGHT + 70
    spots = placed(points, [len(row["name"]) for row in rows], 300, height - 50)
    drawn = [
        {"name": row["name"], "seconds": s, "value": v, "own": row["own"], "at": y * top, "left": left}
        for row, s, v, (y, left) in zip(rows, seconds, values, spots, strict=True)
    ]
    base = alt.Chart(data(drawn))
    x = alt.X(
        "seconds:Q",
        title="seconds of training (log)",
        scale=alt.Scale(type="log", domain=[10**low, 10**high]),
        axis=alt.Axis(labelExpr=PLAIN, values=[10**n for n in range(low, high + 1)]),
    )
    scale = alt.Scale(domain=[0, top])
    y = alt.Y("value:Q", title="NDCG@10", scale=scale, axis=alt.Axis(labelExpr=PLAIN, tickCount=5))
    color = alt.Color("own:N", legend=None, scale=alt.Scale(domain=[False, True], range=[SERIES[1], SERIES[0]]))
    layers = [base.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=color)]
    for left in (False, True):
        side = [row for row in drawn if row["left"] == left]
        if side:
            text = alt.Chart(data(side)).mark_text(align="right" if left else "left", dx=-7 if left else 7, color=INK)
            layers.append(text.encode(x=x, y=alt.Y("at:Q", scale=scale, title="NDCG@10"), text="name:N"))
    return svg(alt.layer(*layers), name, label, height)


def lines(rows: Sequence[Mapping[str, Any]], name: str, label: str, x: str, y: str, marked: float | None = None) -> str:
    """A line for each series, its points marked; a band where rows have "low" and "high".

    Args:
        rows: "x", "y" and "series" each.
        x, y: titles of the axes.
        marked: a value of x that a broken line marks.
    """
    import altair as alt

    base = alt.Chart(data([dict(row) for row in rows]))
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    ticks = sorted({float(row["x"]) for row in rows})
    ticks = ticks[:: 1 + len(ticks) // 10]
    over = alt.X("x:Q", title=x, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(labelExpr=PLAIN, values=ticks))
    up = alt.Y("y:Q", title=y, scale=alt.Scale(zero=False), axis=alt.Axis(labelExpr=PLAIN, tickCount=5))
    color = alt.Color(
        "series:N",
        title=None,
        scale=alt.Scale(domain=names, range=list(SERIES[: len(names)])),
        legend=alt.Legend() if len(names) > 1 else None,
    )
    layers: list[Any] = []
    if marked is not None:
        rule = alt.Chart(data([{"x": marked}])).mark_rule(color=FAINT, strokeDash=[3, 3])
        layers.append(rule.encode(x=over))
    if all("low" in row for row in rows):
        band = base.mark_area(opacity=0.18).encode(x=over, y=alt.Y("low:Q", title=y), y2="high:Q", color=color)
        layers.append(band)
    layers.append(base.mark_line(strokeWidth=2).encode(x=over, y=up, color=color))
    layers.append(base.mark_point(filled=True, size=40, opacity=1).encode(x=over, y=up, color=color))
    return svg(alt.layer(*layers), name, label)


def histogram(rows: Sequence[Mapping[str, Any]], name: str, label: str, x: str, y: str) -> str:
    """Bars from "low" to "high", as high as "count"; "series" tells histograms apart that lie over each other."""
    import altair as alt

    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    color = alt.Color(
        "series:N",
        title=None,
        scale=alt.Scale(domain=names, range=list(SERIES[: len(names)])),
        legend=alt.Legend() if len(names) > 1 else None,
    )
    chart = (
        alt.Chart(data([dict(row) for row in rows]))
        .mark_bar(opacity=0.75 if len(names) > 1 else 1, binSpacing=1)
        .encode(
            x=alt.X(
                "low:Q", title=x, bin="binned", scale=alt.Scale(nice=False), axis=alt.Axis(labelExpr=PLAIN, tickCount=6)
            ),
            x2="high:Q",
            y=alt.Y("count:Q", title=y, stack=None, axis=alt.Axis(labelExpr=PLAIN, tickCount=5)),
            color=color,
        )
    )
    return svg(chart, name, label)


def people_map(
    people: Sequence[Mapping[str, Any]],
    links: Sequence[Mapping[str, Any]],
    name: str,
    label: str,
) -> str:
    """People as points in the colour of their group; one of them traced, with lines to the most similar ones.

    Args:
        people: "x", "y", "group" (its name), and "role": "" for most, "neighbour" and "traced" for a few.
        links: "x", "y", "x2", "y2" of each line.
    """
    import altair as alt

    groups = sorted({str(row["group"]) for row in people})
    hidden = alt.Axis(labels=False, ticks=False, grid=False, domain=False, title=None)
    x, y = (
        alt.X("x:Q", axis=hidden, scale=alt.Scale(zero=False)),
        alt.Y("y:Q", axis=hidden, scale=alt.Scale(zero=False)),
    )
    color = alt.Color(
        "group:N",
        title=None,
        scale=alt.Scale(domain=groups, range=list(SERIES[: len(groups)])),
        legend=alt.Legend(columns=1, symbolOpacity=1),
    )
    layers: list[Any] = [
        alt.Chart(data([dict(row) for row in people if not row["role"]]))
        .mark_circle(size=9, opacity=0.65)
        .encode(x=x, y=y, color=color)
    ]
    if links:
        rule = alt.Chart(data([dict(row) for row in links])).mark_rule(color=INK, opacity=0.5)
        layers.append(rule.encode(x=x, y=y, x2="x2:Q", y2="y2:Q"))
    for role, size, shape in (("neighbour", 45, "circle"), ("traced", 190, "diamond")):
        some = [dict(row) for row in people if row["role"] == role]
        if some:
            mark = alt.Chart(data(some)).mark_point(filled=True, size=size, shape=shape, opacity=1, stroke=INK)
            layers.append(mark.encode(x=x, y=y, color=color))
    return svg(alt.layer(*layers), name, label, 420)
