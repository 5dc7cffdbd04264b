"""What a log says of an interaction beside who, what and when: ratings and kinds of events, read where settings ask for it.

Knows nothing about files, nor about what becomes of dislikes and weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.shell import setting
from isrf.data.dataset import Columns
from isrf.data.readers.column_names import EVENT_NAMES, RATING_NAMES, usual
from isrf.data.readers.ratings import MOST_SHOWN, shares, tell_of_ratings
from isrf.data.readers.raw import BadRows, Table

MOST_KINDS = 30
"""A column with more different values holds no kinds of events."""


def unread_columns(names: Sequence[str], taken: Sequence[str], settings: DataSettings) -> list[str]:
    """Columns of ratings and of kinds of events that no setting reads, best guess of each."""
    free = [n for n in names if n not in taken]
    rating = usual(free, RATING_NAMES) if settings.min_value is None else None
    event = usual(free, EVENT_NAMES) if settings.event_weights is None else None
    return [column for column in (rating, event) if column is not None]


def tell_of_unread(frame: pl.DataFrame, columns: Sequence[str], file: str, bad: BadRows) -> dict[str, int]:
    """Tell what ``unread_columns`` hold; the count of low ratings, by name, where there are any."""
    counts: dict[str, int] = {}
    for column in columns:
        if usual([column], EVENT_NAMES) is not None:
            tell_of_events(frame[column], column, file, bad)
        else:
            counts |= tell_of_ratings(frame[column], column, file, bad)
    return counts


def tell_of_events(values: pl.Series, column: str, file: str, bad: BadRows) -> None:
    """Warn where a column that is not read holds several kinds of events."""
    kinds = kinds_of(values)
    if 1 < kinds.n_unique() <= MOST_KINDS:
        example = dict.fromkeys(kinds.unique().sort().to_list(), 1)
        bad.tell(
            f"warning: column {column!r} of {file} is not read, so every row counts alike, whatever happened: {shares(kinds)}; "
            f"say what each kind weighs, like {setting('data.event_weights', example)}"
        )


def kinds_of(values: pl.Series) -> pl.Series:
    """Kinds of events as text, "" where there is none."""
    if values.dtype.is_nested() or values.dtype in (pl.Object, pl.Binary):
        return pl.Series(values.name, [], dtype=pl.String)
    return values.cast(pl.String, strict=False).fill_null("").str.strip_chars()


def with_likes(table: Table, column: str, bad: BadRows) -> Table:
    """The table with ``column`` as Float64; rows without a rating are rejected. Raises IsrfError under "fail"."""
    values = table.frame[column]
    if values.dtype.is_nested() or values.dtype in (pl.Object, pl.Binary, pl.Date) or values.dtype.is_temporal():
        raise IsrfError(
            f"{table.file}: column {column}: holds no ratings; name another column with "
            f"{setting('data.value_column', 'NAME')}"
        )
    texts = (
        values.cast(pl.Float64).cast(pl.String) if values.dtype == pl.Boolean else values.cast(pl.String, strict=False)
    )
    numbers = texts.str.strip_chars().str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    numbers = pl.select(pl.when(numbers.is_finite().fill_null(False)).then(numbers)).to_series()
    table = bad.drop(
        table,
        numbers.is_null(),
        column,
        lambda v: f"rating {str(v)[:40]!r} is not a number" if v is not None and str(v).strip() else "empty rating",
    )
    return table.having(table.frame.with_columns(numbers.drop_nulls().alias(column)))


def with_weights(table: Table, column: str, weights: dict[str, float]) -> Table:
    """The table with ``column`` as Float32 weights. Raises IsrfError where a kind of event has none."""
    kinds = kinds_of(table.frame[column])
    if len(kinds) < table.frame.height:
        raise IsrfError(
            f"{table.file}: column {column}: holds lists or records, not one kind a row; name another column with "
            f"{setting('data.event_column', 'NAME')}"
        )
    unknown = kinds.filter(~kinds.is_in(list(weights)))
    if len(unknown):
        rows = kinds.alias("kind").value_counts(sort=True)
        told = ", ".join(
            f"{kind or '(empty)'!r} in {count:,} rows" for kind, count in rows.head(MOST_SHOWN).iter_rows()
        )
        more = f" and {rows.height - MOST_SHOWN:,} more" if rows.height > MOST_SHOWN else ""
        first = str(unknown[0])
        raise IsrfError(
            f"{table.file}: column {column}: data.event_weights has no weight for {first[:40]!r} ({len(unknown):,} rows have a "
            f"kind without one); the column holds {told}{more}; give each a weight, 0 leaves its rows out: "
            + setting(
                "data.event_weights",
                {**weights, **dict.fromkeys(unknown.unique().sort().head(MOST_KINDS).to_list(), 0)},
            )
        )
    found = kinds.replace_strict(weights, return_dtype=pl.Float32)
    return table.having(table.frame.with_columns(found.alias(column)))


def signal_columns(table: Table, value: str | None, event: str | None, settings: DataSettings) -> list[pl.Series]:
    """DISLIKED and WEIGHT of each row, as far as they are read."""
    found = []
    if value is not None and settings.min_value is not None:
        found.append((table.frame[value] < settings.min_value).alias(Columns.DISLIKED))
    if event is not None:
        found.append(table.frame[event].alias(Columns.WEIGHT))
    return found
