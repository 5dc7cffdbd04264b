"""Charts as SVG inside a page: one look, both colour schemes, no script. Knows nothing about what is drawn.

Colours are the page's CSS variables, so that a chart follows the reader's scheme without being drawn twice.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from isrf.report.chart_process import drawn_or_told

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 350, 230
"""Of a chart with its axes, pixels: what a phone shows without shrinking the labels."""

LARGEST = 1.5
"""So many times its size a chart grows where there is room."""

PLAIN = "format(datum.value, ',.6~r')"
"""Labels of an axis of numbers: as people write them, never as powers of ten."""

SERIES = tuple(f"var(--c{number})" for number in range(1, 9))
"""Colours of series, in order."""

INK, FAINT, GRID = "var(--ink)", "var(--faint)", "var(--grid)"

FONT = "system-ui, sans-serif"

LEFT_OUT = "this chart could not be drawn on the machine that wrote the report; the command said why"


def svg(chart: alt.TopLevelMixin, name: str, label: str, height: int = HEIGHT) -> str:
    """One chart as an SVG element.

    Args:
        chart: of one view, or of layers.
        name: unique in the page; its inner identifiers start with it.
        label: read out to who cannot see it.
        height: with axes, pixels.

    Returns:
        A line of text instead where it cannot be drawn here, which is also told (``chart_process.drawn_or_told``).
    """
    axis: dict[str, Any] = {
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": FAINT,
        "tickColor": FAINT,
        "gridColor": GRID,
    }
    axis |= {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": 150}
    words = {"labelColor": INK, "titleColor": INK, "labelFontSize": 11, "titleFontSize": 11}
    spec = chart.to_dict()
    spec |= {"width": WIDTH, "height": height, "autosize": {"type": "fit", "contains": "padding"}, "padding": 4}
    spec["config"] = {
        "background": "transparent",
        "font": FONT,
        "axis": axis,
        # above the axis: beside it, it would stand in the way of labels that are wider than they were drawn for
        "axisY": {"titleAngle": 0, "titleAlign": "left", "titleX": -26, "titleY": -9, "titleBaseline": "bottom"},
        "legend": {
            **words,
            "orient": "top",
            "symbolSize": 60,
            "labelLimit": 160,
            "columns": 2,
            "columnPadding": 24,
            "offset": 22,
        },
        "text": {"color": INK, "fontSize": 11},
        "view": {"stroke": "transparent"},
    }
    drawn = drawn_or_told(spec, f"the chart {name!r}, and any other of this report,")
    return f"<p>{html.escape(label)}: {LEFT_OUT}</p>" if drawn is None else embedded(drawn, name, label)


def embedded(drawn: str, name: str, label: str) -> str:
    """A drawn SVG file as an element of a page: it shrinks with the page, its identifiers are its own."""
    body = drawn[drawn.index("<svg") :]
    for found in sorted(set(re.findall(r'\bid="([^"]+)"', body)), key=len, reverse=True):
        body = body.replace(f'id="{found}"', f'id="{name}-{found}"').replace(f"url(#{found})", f"url(#{name}-{found})")
    head, rest = body.split(">", 1)
    size = re.search(r'viewBox="[^"]*"', head)
    width = re.search(r'\bwidth="([0-9.]+)"', head)
    assert size is not None and width is not None, "not drawn by Vega"
    style = f"max-width:{float(width[1]) * LARGEST:.0f}px"
    kept = f'class="chart" role="img" aria-label="{html.escape(label)}" {size[0]} style="{style}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {kept}>{rest}'


def placed(
    points: list[tuple[float, float]], lengths: list[int], width: float, height: float
) -> list[tuple[float, bool]]:
    """Where labels of points go so that they cover neither each other nor a point: their height, and whether left of it.

    Args:
        points: x and y of each in 0..1 of the panel, y upwards.
        lengths: characters of each label.
        width, height: of the panel, pixels.
    """
    line, character, gap = 13.0, 6.5, 8.0
    taken = [(x * width - 5, x * width + 5, y * height, 5.0) for x, y in points]  # left, right, middle, half the height
    found: dict[int, tuple[float, bool]] = {}
    for at in sorted(range(len(points)), key=lambda n: -points[n][1]):
        x, y = points[at][0] * width, points[at][1] * height
        size = lengths[at] * character
        crowded = True
        for step in range(40):
            middle = y + (step + 1) // 2 * 4.0 * (1 if step % 2 else -1)
            for left in (x + gap + size > width, x + gap + size <= width):
                start = x - gap - size if left else x + gap
                inside = start >= 0 and start + size <= width and line / 2 <= middle + line / 2 <= height + line
                mine = (at, start, start + size, middle)
                if inside and not any(_covers(mine, other, own == at, line / 2) for own, other in enumerate(taken)):
                    crowded = False
                    break
            if not crowded:
                break
        if crowded:  # no room anywhere: beside its point
            middle, left, start = y, x + gap + size > width, x + gap
        taken.append((start, start + size, middle, line / 2))
        found[at] = (middle / height, left)
    return [found[at] for at in range(len(points))]


def _covers(
    label: tuple[int, float, float, float], other: tuple[float, float, float, float], own: bool, half: float
) -> bool:
    """Whether a label lies over what is there already; its own point does not count."""
    _, start, end, middle = label
    left, right, height, reach = other
    return not own and start < right and end > left and abs(middle - height) < half + reach


def data(rows: list[dict[str, Any]]) -> Any:
    """Rows as inline data of a chart."""
    import altair as alt

    return alt.Data(values=rows)
