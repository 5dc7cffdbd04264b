"""Times of a log: epoch seconds, epoch milliseconds or ISO 8601, one kind a column. Knows nothing about files."""

from __future__ import annotations

import polars as pl

from isrf.data.raw import BadRows, Table

SECONDS_BELOW = 1e11
"""Numbers below this are seconds (until the year 5138), from here on milliseconds (since March 1973)."""
MILLISECONDS_BELOW = 1e14
"""From here on a number is neither (microseconds, say)."""

NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
ISO = (
    r"^(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<minute>\d{2}:\d{2})(?P<second>:\d{2})?(?:[.,](?P<fraction>\d{1,9}))?"
    r"\s?(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?)?$"
)
KINDS = {1: "seconds", 2: "milliseconds", 3: "ISO 8601"}


def to_milliseconds(table: Table, column: str, bad: BadRows) -> Table:
    """The table with ``column`` as Int64 milliseconds since 1970-01-01 UTC.

    A date without a time is midnight, a time without a zone is UTC. The kind most rows have is the column's; a row
    of another kind, or of none, is rejected. Raises IsrfError under "fail".
    """
    values = table.frame[column]
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        times = values.cast(pl.Datetime("ms")).cast(pl.Int64)  # a zone only changes how a datetime is shown
        kinds = pl.Series([3], dtype=pl.Int8).new_from_index(0, len(times))
    elif values.dtype.is_numeric():
        times, kinds = _numbers(values.cast(pl.Float64, strict=False))
    else:
        texts = (
            values.cast(pl.String, strict=False) if not values.dtype.is_nested() else values.is_null().cast(pl.String)
        )
        times, kinds = _texts(texts.str.strip_chars())
    kinds = pl.select(pl.when(times.is_null()).then(0).otherwise(kinds)).to_series().cast(pl.Int8)
    known = kinds.filter(kinds > 0)
    kind = int(known.mode().sort()[0]) if len(known) else 0

    def reason(value: object) -> str:
        hint = f"the column holds {KINDS[kind]}" if kind else "name another column with --set data.time_column=NAME"
        if value is None or not str(value).strip():
            return f"empty time; {hint}"
        wanted = KINDS[kind] if kind else "epoch seconds, milliseconds or ISO 8601"
        return f"time {str(value)[:40]!r} is not {wanted}; {hint}"

    table = bad.drop(table, (kinds != kind) | (kinds == 0), column, reason)
    kept = times.filter((kinds == kind) & (kinds != 0))
    return table.having(table.frame.with_columns(kept.alias(column)))


def moment(text: str) -> int | None:
    """Milliseconds since 1970-01-01 UTC of one text of any kind; None where it is none.

    >>> moment("1970-01-02"), moment("86400"), moment("soon")
    (86400000, 86400000, None)
    """
    found: int | None = _texts(pl.Series([text.strip()], dtype=pl.String))[0][0]
    return found


def _numbers(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Milliseconds (null where unreadable) and kind of each number."""
    size = values.abs()
    seconds = size < SECONDS_BELOW
    readable = (values.is_finite() & (size < MILLISECONDS_BELOW)).fill_null(False)
    frame = pl.select(
        times=pl.when(readable).then(pl.when(seconds).then(values * 1000).otherwise(values)).round().cast(pl.Int64),
        kinds=pl.when(seconds).then(1).otherwise(2).cast(pl.Int8),
    )
    return frame["times"], frame["kinds"]


def _texts(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Milliseconds (null where unreadable) and kind of each text."""
    numeric = texts.str.contains(NUMBER).fill_null(False)
    if numeric.all():
        return _numbers(texts.cast(pl.Float64, strict=False))
    times, kinds = _numbers(pl.select(pl.when(numeric).then(texts)).to_series().cast(pl.Float64, strict=False))
    parts = texts.str.extract_groups(ISO).struct.unnest()
    stamp = pl.concat_str(
        pl.col("day"),
        pl.lit("T"),
        pl.col("minute").fill_null("00:00"),
        pl.col("second").fill_null(":00"),
        pl.lit("."),
        pl.col("fraction").fill_null("0"),
        pl.col("zone").fill_null("+00:00").replace({"Z": "+00:00", "UTC": "+00:00", "": "+00:00"}),
    )
    iso = parts.select(
        stamp.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", strict=False, time_unit="ms", time_zone="UTC").cast(pl.Int64)
    ).to_series()
    frame = pl.select(
        times=pl.when(numeric).then(times).otherwise(iso),
        kinds=pl.when(numeric).then(kinds).otherwise(3).cast(pl.Int8),
    )
    return frame["times"], frame["kinds"]
