"""Charts as SVG inside a page: one look, both colour schemes, no script. Knows nothing about what is drawn.

Colours are the page's CSS variables, so that a chart follows the reader's scheme without being drawn twice.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 350, 230
"""Of a chart with its axes, pixels: what a phone shows without shrinking the labels."""

SERIES = tuple(f"var(--c{number})" for number in range(1, 9))
"""Colours of series, in order."""

INK, FAINT, GRID = "var(--ink)", "var(--faint)", "var(--grid)"

FONT = "system-ui, sans-serif"


def svg(chart: alt.TopLevelMixin, name: str, label: str, height: int = HEIGHT) -> str:
    """One chart as an SVG element.

    Args:
        chart: of one view, or of layers.
        name: unique in the page; its inner identifiers start with it.
        label: read out to who cannot see it.
        height: with axes, pixels.
    """
    import vl_convert

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
        "legend": {**words, "orient": "top", "symbolSize": 60, "labelLimit": 160, "columns": 2, "offset": 6},
        "text": {"color": INK, "fontSize": 11},
        "view": {"stroke": "transparent"},
    }
    drawn = vl_convert.vegalite_to_svg(spec)
    return embedded(drawn, name, label)


def embedded(drawn: str, name: str, label: str) -> str:
    """A drawn SVG file as an element of a page: it shrinks with the page, its identifiers are its own."""
    body = drawn[drawn.index("<svg") :]
    for found in sorted(set(re.findall(r'\bid="([^"]+)"', body)), key=len, reverse=True):
        body = body.replace(f'id="{found}"', f'id="{name}-{found}"').replace(f"url(#{found})", f"url(#{name}-{found})")
    head, rest = body.split(">", 1)
    size = re.search(r'viewBox="[^"]*"', head)
    width = re.search(r'\bwidth="([0-9.]+)"', head)
    assert size is not None and width is not None, "not drawn by Vega"
    kept = f'class="chart" role="img" aria-label="{html.escape(label)}" {size[0]} style="max-width:{width[1]}px"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {kept}>{rest}'


def placed(
    points: list[tuple[float, float]], lengths: list[int], width: float, height: float
) -> list[tuple[float, bool]]:
    """Where labels of points go so that they do not cover each other: their height, and whether they stand left of it.

    Args:
        points: x and y of each in 0..1 of the panel, y upwards.
        lengths: characters of each label.
        width, height: of the panel, pixels.
    """
    taken: list[tuple[float, float, float]] = []  # left, right, middle height, pixels
    found: dict[int, tuple[float, bool]] = {}
    line, character = 12.0, 6.0
    for at in sorted(range(len(points)), key=lambda n: -points[n][1]):
        x, y = points[at][0] * width, points[at][1] * height
        left = x + 10 + lengths[at] * character > width
        start = x - 10 - lengths[at] * character if left else x + 7
        end = start + lengths[at] * character + 3
        while any(start < r and end > low and abs(y - middle) < line for low, r, middle in taken):
            y -= 2
        taken.append((start, end, y))
        found[at] = (y / height, left)
    return [found[at] for at in range(len(points))]


def data(rows: list[dict[str, Any]]) -> Any:
    """Rows as inline data of a chart."""
    import altair as alt

    return alt.Data(values=rows)
