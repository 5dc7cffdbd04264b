"""What an import and `isrf data describe` say of a Dataset, as words. Knows nothing about how they are printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from isrf.data.dataset import Columns, Dataset
from isrf.data.readers.catalogue_texts import CLEANED
from isrf.data.readers.ratings import COUNTED

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
MOST_COLUMNS = 30
"""So many columns of a catalogue are told of by name, those that hold most; a table of features may have thousands."""
COLUMN_LEFT_OUT = "catalogue column left out: "
COLUMN_FOR_FILTERS = "catalogue column for filters, no text: "
OTHERS = {
    COLUMN_LEFT_OUT: "catalogue columns left out beside these",
    COLUMN_FOR_FILTERS: "catalogue columns for filters, no text, beside these",
}
"""How the counts of columns begin -> what tells of those that are too many to be named."""
NO_LOSS = (
    *("rows read", "catalogue rows read", "min_interactions", "explanations read", "interactions in "),
    *(CLEANED, COUNTED, COLUMN_FOR_FILTERS, OTHERS[COLUMN_FOR_FILTERS]),
)
"""Counts of cleaning that say what was there, not what was left out, or that have a line of their own."""


def told_of(dataset: Dataset) -> list[str]:
    """Lines for the person who imports: how much is left, what was not, and which columns were not recognised."""
    lost = {
        what: count for what, count in told_counts(dataset.counts).items() if count and not what.startswith(NO_LOSS)
    }
    lines = [
        f"{dataset.name}: {dataset.n_users:,} users, {dataset.n_items:,} items, "
        f"{dataset.interactions.height:,} interactions; "
        + ("; ".join(f"{what}: {count:,}" for what, count in lost.items()) or "nothing was left out")
    ]
    lines += [f"WARNING: {line}" for line in dataset.losses]
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
    # by series, as a column may be named like one of polars' patterns; all at once, as a filter takes every column
    held = pl.DataFrame([dataset.catalogue[column] != "" for column in texts])
    with_text = held.select(pl.any_horizontal(pl.all())).to_series().sum()
    filled = dict(zip(texts, held.sum().row(0), strict=True))
    types: dict[str, str] = dict.fromkeys(texts, "String")
    for values in () if dataset.columns is None else dataset.columns.table.get_columns()[1:]:
        filled[values.name], types[values.name] = items - values.null_count(), type_name(values.dtype)
    table = [
        ("data set", dataset.name),
        ("users", f"{users:,}"),
        ("items", f"{items:,}"),
        ("interactions", f"{rows:,}"),
        ("density", f"{rows / (users * items):.4%}"),
        ("history length, quantiles", quantiles),
        ("time span", _span(dataset)),
        ("items with text", f"{with_text:,} ({with_text / items:.1%})"),
        ("catalogue columns", _columns(filled, {name: f"({held / items:.0%})" for name, held in filled.items()})),
        ("types of these columns", _columns(filled, types)),
        ("digest", dataset.digest()),
        ("split", dataset.protocol or "leave-one-out: everybody's last item is test, the one before validation"),
    ]
    return table + [(name, f"{count:,}") for name, count in told_counts(dataset.counts).items()]


def told_counts(counts: dict[str, int]) -> dict[str, int]:
    """What cleaning counted, in its order, where columns that were left out are more than MOST_COLUMNS the largest of them.

    >>> many = {f"{COLUMN_LEFT_OUT}c{n} (numbers), rows": n for n in range(1, 33)}
    >>> list(told_counts({"rows read": 9, **many}))[-2:]
    ['catalogue column left out: c32 (numbers), rows', 'catalogue columns left out beside these']
    """
    told = dict(counts)
    for beginning, others in OTHERS.items():
        columns = sorted((name for name in counts if name.startswith(beginning)), key=lambda name: -counts[name])
        for name in columns[MOST_COLUMNS:]:
            del told[name]
        if len(columns) > MOST_COLUMNS:
            told[others] = len(columns) - MOST_COLUMNS
    return told


def type_name(kind: pl.DataType) -> str:
    """What people read of a type.

    >>> type_name(pl.List(pl.String())), type_name(pl.Datetime("us", "UTC"))
    ('List[String]', 'Datetime')
    """
    if isinstance(kind, pl.List):
        return f"List[{kind.inner}]"
    return "Datetime" if isinstance(kind, pl.Datetime) else str(kind)


def _columns(filled: dict[str, int], said: dict[str, str]) -> str:
    """Columns of a catalogue, each with what is said of it; of many those that hold most."""
    shown = filled if len(filled) <= MOST_COLUMNS else sorted(filled, key=lambda name: -filled[name])[:MOST_COLUMNS]
    told = ", ".join(f"{name} {said[name]}" for name in shown)
    more = len(filled) - len(shown)
    return told + (f" and {more:,} more" if more else "")


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
