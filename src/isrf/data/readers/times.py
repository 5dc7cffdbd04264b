"""Times of a log: which kind a column holds, and its milliseconds. Knows nothing about files.

One kind a column: that of most rows, and a row of another kind, or of none, is rejected. Where values can be read in two
ways the whole column decides (``epochs``, ``dates``), and where it allows both the import is refused: the setting
``data.time_format`` says which. How kinds look is the business of those two modules.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from isrf.core.data_settings import DATE_ORDERS, ISO_FORMAT, NUMBER_FORMATS, SPREADSHEET
from isrf.core.errors import IsrfError
from isrf.core.shell import setting
from isrf.data.readers.dates import date_families, with_named_zones
from isrf.data.readers.epochs import UNITS, as_numbers, counted_elsewhere, every_number_as, number_families, spreadsheet
from isrf.data.readers.raw import ROW, BadRows, Table
from isrf.data.readers.time_formats import SINCE, UNTIL, Family, Reading, read_by_any

MOSTLY = 0.95
READ = "epoch seconds, milliseconds or ISO 8601"
"""What a time may be, in short, for messages."""


def another() -> str:
    """The setting that names a column of times."""
    return setting("data.time_column", "NAME")


def format_example() -> str:
    """The setting that says how times are written."""
    return setting("data.time_format", "%d/%m/%Y")


PLAIN = ("seconds", "milliseconds", ISO_FORMAT)
"""Kinds that need no line: nothing else could have been meant by them."""


def to_milliseconds(table: Table, column: str, bad: BadRows, time_format: str | None = None) -> Table:
    """The table with ``column`` as Int64 milliseconds since 1970-01-01 UTC.

    A date without a time is midnight, a time without a zone is UTC. What was read as anything but seconds, milliseconds
    or ISO 8601 is told of, and so are times outside the years 1990 to 2100.

    Args:
        time_format: ``data.time_format``; None = found.

    Raises:
        IsrfError: a bad row under "fail"; or the column holds no times, or times that can be read in several ways, which no
            mended row cures.
    """
    values = table.frame[column]
    refuse_a_type(table, column)
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        # a zone only changes how a datetime is shown
        reading = Reading(ISO_FORMAT, "datetime", values.cast(pl.Datetime("ms")).cast(pl.Int64))
    else:
        texts = values if values.dtype.is_numeric() else values.cast(pl.String, strict=False).str.strip_chars()
        reading = reading_of(table, column, texts, time_format, bad)
    unread = reading.times.is_null()

    def reason(value: object) -> str:
        if value is None or not str(value).strip():
            return f"empty time; the column holds {reading.words}"
        return f"time {str(value)[:40]!r} is not {reading.words}, which the column holds"

    kept = reading.times.drop_nulls()
    tell_of(table, column, reading, kept, bad)
    table = bad.drop(table, unread, column, reason)
    return table.having(table.frame.with_columns(kept.alias(column)))


def refuse_a_type(table: Table, column: str) -> None:
    """Raise IsrfError where a column's type is that of no time."""
    dtype = table.frame[column].dtype
    holds = None
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary, pl.Boolean):
        holds = "lists, records, bytes or truth values"
    elif isinstance(dtype, pl.Duration):
        holds = "durations, which say how long and not when"
    elif dtype == pl.Time:
        holds = "times of day without a date: put both into one column"
    if holds is not None:
        raise IsrfError(f"{table.file}: column {column}: holds {holds}; name a column of times with {another()}")


def reading_of(table: Table, column: str, texts: pl.Series, time_format: str | None, bad: BadRows) -> Reading:
    """The one way to read a column of numbers or stripped texts. Raises IsrfError where there is none, or several."""
    if time_format is not None:
        reading = as_format(texts, time_format)
        if not reading.rows:
            raise unreadable(table, column, texts, f"read by {setting('data.time_format', time_format)}")
        return reading
    families = families_of(texts)
    best = max(families, key=lambda family: family.rows, default=None)
    held = held_texts(texts)
    none = best is None or not best.rows
    if none or (bad.policy == "fail" and best is not None and best.rows * 2 < (held != "").sum()):
        zoned = with_named_zones(held)
        if zoned.any() and zoned.sum() * 2 > (held != "").sum():
            raise IsrfError(
                f"{table.file}: column {column}: times like {held.filter(zoned)[0][:40]!r} name a zone, which is not read, "
                "as names of zones are not unique; write offsets like +02:00, or UTC"
            )
    if (words := counted_elsewhere(as_numbers(texts)[1])) is not None:
        raise IsrfError(
            f"{table.file}: column {column}: times like {held.filter(held != '')[0][:40]!r} look like {words}, which are not "
            "read; write epoch milliseconds or ISO 8601; if they are nanoseconds since 1970: "
            + setting("data.time_format", "nanoseconds")
        )
    if best is None or none:
        raise unreadable(table, column, texts, READ)
    if best.mixed:
        raise contradicting(table, column, best)
    if len(best.readings) > 1:
        raise ambiguous(table, column, best)
    return best.readings[0]


def families_of(texts: pl.Series) -> list[Family]:
    """What the values of a column may be, numbers first."""
    values, whole = as_numbers(texts)
    found = number_families(values, whole)
    if texts.dtype == pl.String and values.null_count():
        found += date_families(pl.select(pl.when(values.is_null()).then(texts)).to_series())
    return found


def as_format(texts: pl.Series, time_format: str) -> Reading:
    """All values as the format that a setting names; null where one is not of it."""
    values, whole = as_numbers(texts)
    if time_format == SPREADSHEET:
        return spreadsheet(values, bounded=False)
    if time_format in NUMBER_FORMATS:
        return every_number_as(time_format, values, whole)
    written = texts if texts.dtype == pl.String else pl.select(whole.cast(pl.String).fill_null(texts.cast(pl.String)))
    written = written if isinstance(written, pl.Series) else written.to_series()
    if time_format == ISO_FORMAT or time_format in DATE_ORDERS:
        readings = [r for f in date_families(written, time_format) for r in f.readings if r.name == time_format]
        if not readings:
            return Reading(time_format, time_format, pl.repeat(None, len(texts), dtype=pl.Int64, eager=True))
        times = readings[0].times
        for other in readings[1:]:
            times = times.fill_null(other.times)
        return Reading(time_format, " or ".join(r.words for r in readings), times)
    if texts.dtype == pl.String:  # 20170714.0, as a missing value makes it
        written = pl.select(
            pl.when(whole.is_not_null()).then(texts.str.replace(r"\.0*$", "")).otherwise(texts)
        ).to_series()
    distinct = written.drop_nulls().unique()
    known = {text: of_pattern(text, time_format) for text in distinct}
    times = written.replace_strict(known, default=None, return_dtype=pl.Int64)
    return Reading(time_format, f"of the form {time_format}", times)


def of_pattern(text: str, pattern: str) -> int | None:
    """Milliseconds of one text by a pattern of ``strptime``; UTC where it has no zone.

    >>> of_pattern("14.07.17 02:40", "%d.%m.%y %H:%M"), of_pattern("soon", "%d.%m.%y")
    (1500000000000, None)
    """
    try:
        time = datetime.strptime(text, pattern)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def held_texts(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.String, strict=False).fill_null("")


def unreadable(table: Table, column: str, texts: pl.Series, wanted: str) -> IsrfError:
    """No row of a column is a time."""
    held = held_texts(texts)
    rows = table.frame.filter(held != "")[ROW]
    what = (
        f"row {rows[0]} has {held.filter(held != '')[0][:40]!r}, which is not {wanted}"
        if len(rows)
        else "all are empty"
    )
    return IsrfError(
        f"{table.file}: column {column}: no row holds a time: {what}; name another column with {another()}, or say how its "
        f"times are written, for example with {format_example()}"
    )


def ambiguous(table: Table, column: str, family: Family) -> IsrfError:
    """Every value allows several readings."""
    example = first_value(table, column, read_by_any(family.readings))
    ways = " and as ".join(r.words for r in family.readings)
    remedies = " or ".join(setting("data.time_format", r.name) for r in family.readings)
    return IsrfError(
        f"{table.file}: column {column}: times like {example!r} can be read as {ways}; say which: {remedies}"
    )


def contradicting(table: Table, column: str, family: Family) -> IsrfError:
    """Some rows allow one reading alone, others another."""
    told = []
    for reading in family.readings:
        others = read_by_any([r for r in family.readings if r is not reading])
        alone = reading.times.is_not_null() & ~others
        if alone.any():
            row = table.frame.filter(alone)[ROW][0]
            told.append(f"row {row} ({first_value(table, column, alone)!r}) is {reading.words} alone")
    remedies = " or ".join(setting("data.time_format", r.name) for r in family.readings)
    return IsrfError(
        f"{table.file}: column {column}: holds dates of two kinds: {', '.join(told) or 'no reading fits all rows'}; write all "
        f"in one, best ISO 8601, or say which is right and the others are bad rows: {remedies}"
    )


def first_value(table: Table, column: str, where: pl.Series) -> str:
    return str(table.frame.filter(where)[column][0])[:40]


def tell_of(table: Table, column: str, reading: Reading, times: pl.Series, bad: BadRows) -> None:
    """A line where a reading was found that is not the plainest, and a warning where times are not those of a log."""
    if not len(times):
        return
    first, last = int(times.min()), int(times.max())  # type: ignore[arg-type]
    span = f"{day_of(first)} to {day_of(last)}"
    outside = int((~times.is_between(SINCE, UNTIL)).sum())
    if outside:
        bad.tell(
            f"warning: column {column!r} of {table.file.name} was read as {reading.words}, and {outside:,} of {len(times):,} "
            f"times lie outside the years 1990 to 2100 (the column goes from {span}); if it holds something else, say how its "
            f"times are written, for example with {format_example()}, or name another column with {another()}"
        )
    elif reading.name not in PLAIN:
        bad.tell(f"column {column!r} of {table.file.name} was read as {reading.words}: {span}")


def day_of(milliseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%d}"
    except (OverflowError, ValueError, OSError):  # beyond the years 1 to 9999
        return f"{milliseconds} ms"


def looks_like_times(values: pl.Series) -> bool:
    """Whether at least ``MOSTLY`` of what a column holds are dates as text or epoch times between 1990 and 2100.

    Dates written as digits and days of a spreadsheet are not guessed at: so are many numbers that are none.

    >>> looks_like_times(pl.Series(["2024-08-20 22:12", ""])), looks_like_times(pl.Series([1_400_000_000, 20_240_820]))
    (True, False)
    """
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return len(values.drop_nulls()) > 0
    if not (values.dtype.is_numeric() or values.dtype == pl.String):
        return False
    texts = values.cast(pl.String).str.strip_chars()
    texts = texts.filter((texts != "").fill_null(False))
    if not len(texts):
        return False
    units = {name for name, *_ in UNITS}
    readings = [
        r for f in families_of(texts) for r in f.readings if not r.name.startswith("%") and r.name != SPREADSHEET
    ]
    in_units = sum(r.share_of_logs(len(texts)) for r in readings if r.name in units)
    others = max((r.share_of_logs(len(texts)) for r in readings if r.name not in units), default=0.0)
    return max(in_units + others, others) >= MOSTLY


def moments(text: str, time_format: str | None = None) -> list[int]:
    """Every way to read one text, milliseconds since 1970-01-01 UTC; none where it is no time.

    Args:
        time_format: how the log's times are written (``data.time_format``), tried first.

    >>> moments("86400"), moments("20170714"), moments("soon"), moments("04/02/2014")
    ([86400000], [1499990400000], [], [1391472000000, 1396396800000])
    """
    column = pl.Series([text.strip()], dtype=pl.String)
    if time_format is not None and (found := as_format(column, time_format).times[0]) is not None:
        return [found]
    return [time for family in families_of(column) for r in family.readings if (time := r.times[0]) is not None]
