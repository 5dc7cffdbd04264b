"""Times of a log: epoch seconds, epoch milliseconds or ISO 8601, one kind a column. Knows nothing about files."""

from __future__ import annotations

import polars as pl

from isrf.core.shell import setting
from isrf.data.raw import ROW, BadRows, Table
from isrf.errors import IsrfError

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
MOSTLY = 0.95
SINCE, UNTIL = 631_152_000_000, 4_102_444_800_000
"""1990 and 2100: numbers outside are other things than the times of a log."""
FOREIGN = {
    r"^\d{1,2}\.\d{1,2}\.(\d{4}|\d{2})\b": "day.month.year",
    r"^\d{1,2}/\d{1,2}/(\d{4}|\d{2})\b": "day/month/year or month/day/year",
    r"^\d{1,2}-\d{1,2}-\d{4}\b": "day-month-year or month-day-year",
    r"^\d{4}/\d{1,2}/\d{1,2}\b": "year/month/day",
    r"^\d{4}\.\d{1,2}\.\d{1,2}\b": "year.month.day",
    r"^\d{4}\s?年\s?\d{1,2}\s?月\s?\d{1,2}\s?日": "year 年 month 月 day 日",
}
"""Other ways to write a date. They are told of, not read: which part is the month cannot be known of most."""
ANOTHER = f"name another column with {setting('data.time_column', 'NAME')}"
KINDS = {1: "seconds", 2: "milliseconds", 3: "ISO 8601"}


def to_milliseconds(table: Table, column: str, bad: BadRows) -> Table:
    """The table with ``column`` as Int64 milliseconds since 1970-01-01 UTC.

    A date without a time is midnight, a time without a zone is UTC. The kind most rows have is the column's; a row
    of another kind, or of none, is rejected.

    Raises:
        IsrfError: a bad row under "fail"; or no row can be read, or most are dates of another format, which is a fault
            of the column that no mended row cures.
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

    refuse_a_column(table, column, kinds, bad)

    def reason(value: object) -> str:
        hint = f"the column holds {KINDS[kind]}" if kind else ANOTHER
        if value is None or not str(value).strip():
            return f"empty time; {hint}"
        wanted = KINDS[kind] if kind else "epoch seconds, milliseconds or ISO 8601"
        return f"time {str(value)[:40]!r} is not {wanted}; {hint}"

    table = bad.drop(table, (kinds != kind) | (kinds == 0), column, reason)
    kept = times.filter((kinds == kind) & (kinds != 0))
    return table.having(table.frame.with_columns(kept.alias(column)))


def refuse_a_column(table: Table, column: str, kinds: pl.Series, bad: BadRows) -> None:
    """Raise IsrfError where the column is to blame and not its rows: what is seen in it, and what to do.

    Under "skip" dates of another format may be set aside, as long as there are others.

    Args:
        kinds: key of KINDS, or 0 for an unreadable time, one a row.
    """
    if table.frame[column].dtype.is_nested():
        return
    texts = table.frame[column].cast(pl.String, strict=False).fill_null("").str.strip_chars()
    held = texts != ""
    none = not (kinds > 0).any()
    unread = texts.filter(held & (kinds == 0))
    if not len(unread) or not (none or (bad.policy == "fail" and len(unread) * 2 > held.sum())):
        return
    if (found := foreign_format(unread)) is not None:
        words, example = found
        raise IsrfError(
            f"{table.file}: column {column}: times like {example[:40]!r} ({words}) are not read; convert the column to "
            "ISO 8601, like 2024-08-20 22:12"
        )
    if none:
        row = table.frame.filter(held)[ROW][0]
        raise IsrfError(
            f"{table.file}: column {column}: no row holds a time: row {row} has {unread[0][:40]!r}, which is not epoch "
            f"seconds, milliseconds or ISO 8601; {ANOTHER}"
        )


def looks_like_times(values: pl.Series) -> bool:
    """Whether at least ``MOSTLY`` of what a column holds are ISO 8601 or epoch times between ``SINCE`` and ``UNTIL``.

    >>> looks_like_times(pl.Series(["2024-08-20 22:12", ""])), looks_like_times(pl.Series([1_400_000_000, 20_240_820]))
    (True, False)
    """
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return len(values.drop_nulls()) > 0
    if values.dtype.is_nested() or not (values.dtype.is_numeric() or values.dtype == pl.String):
        return False
    texts = values.cast(pl.String).str.strip_chars()
    texts = texts.filter((texts != "").fill_null(False))
    if not len(texts):
        return False
    times, _ = _texts(texts)
    share = times.is_between(SINCE, UNTIL).fill_null(False).mean()
    return isinstance(share, float) and share >= MOSTLY


def foreign_format(texts: pl.Series) -> tuple[str, str] | None:
    """How most texts write a date that is not ISO 8601, and the first that does; None where most are no such dates.

    >>> foreign_format(pl.Series(["20.08.2024 22:12", "1.9.24"]))
    ('day.month.year', '20.08.2024 22:12')
    """
    for pattern, words in FOREIGN.items():
        like = texts.filter(texts.str.contains(pattern).fill_null(False))
        if len(like) and len(like) * 2 > len(texts):
            return words, like[0]
    return None


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
