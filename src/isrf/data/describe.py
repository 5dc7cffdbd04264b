"""What an import and `isrf data describe` say of a Dataset, as words. Knows nothing about how they are printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from isrf.data.dataset import Columns, Dataset
from isrf.data.ratings import COUNTED

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
NO_LOSS = ("rows read", "catalogue rows read", "min_interactions", "explanations read", "interactions in ", COUNTED)
"""Counts of cleaning that say what was there, not what was left out."""


def told_of(dataset: Dataset) -> list[str]:
    """Lines for the person who imports: how much is left, what was not, and which columns were not recognised."""
    lost = {what: count for what, count in dataset.counts.items() if count and not what.startswith(NO_LOSS)}
    lines = [
        f"{dataset.name}: {dataset.n_users:,} users, {dataset.n_items:,} items, "
        f"{dataset.interactions.height:,} interactions; "
        + ("; ".join(f"{what}: {count:,}" for what, count in lost.items()) or "nothing was left out")
    ]
    lines += dataset.warnings
    if dataset.protocol is not None:
        lines.append(dataset.protocol)
    return lines


def describe(dataset: Dataset) -> list[tuple[str, str]]:
    """(what, value) rows: size, history lengths, time span, catalogue, then every count of cleaning in its order."""
    users, items, rows = dataset.n_users, dataset.n_items, dataset.interactions.height
    lengths = dataset.interactions[Columns.USER].value_counts()["count"]
    quantiles = ", ".join(f"{q:.0%} {lengths.quantile(q, 'nearest'):.0f}" for q in QUANTILES)
    texts = [c for c in dataset.catalogue.columns if c != Columns.ITEM]
    with_text = dataset.catalogue.filter(pl.any_horizontal(pl.col(c) != "" for c in texts)).height
    table = [
        ("data set", dataset.name),
        ("users", f"{users:,}"),
        ("items", f"{items:,}"),
        ("interactions", f"{rows:,}"),
        ("density", f"{rows / (users * items):.4%}"),
        ("history length, quantiles", quantiles),
        ("time span", _span(dataset)),
        ("items with text", f"{with_text:,} ({with_text / items:.1%})"),
        ("catalogue columns", ", ".join(f"{c} ({_share(dataset, c):.0%})" for c in texts)),
        ("digest", dataset.digest()),
        ("split", dataset.protocol or "leave-one-out: everybody's last item is test, the one before validation"),
    ]
    return table + [(name, f"{count:,}") for name, count in dataset.counts.items()]


def _share(dataset: Dataset, column: str) -> float:
    """Share of items where a catalogue column holds anything."""
    return dataset.catalogue.filter(pl.col(column) != "").height / dataset.n_items


def _span(dataset: Dataset) -> str:
    times = dataset.interactions[Columns.TIME]
    first, last = times.min(), times.max()
    if not isinstance(first, int) or not isinstance(last, int):
        # a format that numbers its items itself (P5) has no times that could have been overlooked
        expected = dataset.source_order is not None
        return ("" if expected else "warning: ") + "no times; the source's order is used"
    return f"{_day(first)} to {_day(last)} ({(last - first) / 86_400_000:,.0f} days)"


def _day(milliseconds: int) -> str:
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds):%Y-%m-%d}"
    except OverflowError:  # beyond the years 1 to 9999
        return f"{milliseconds} ms"
