"""Times written as numbers: epoch seconds to nanoseconds, dates as digits (20170714), days of a spreadsheet.

The same number can be several of these, so the whole column decides: what puts it between the years 1990 and 2100 is
meant. Small numbers that nothing puts there stay seconds, and the caller tells of it. Knows nothing about files.
"""

from __future__ import annotations

import polars as pl

from isrf.data.readers.time_formats import SINCE, UNTIL, Family, Reading, family_of

UNITS = (
    ("seconds", 0.0, 1e11, 1_000.0),
    ("milliseconds", 1e11, 1e14, 1.0),
    ("microseconds", 1e14, 1e17, 1e-3),
    ("nanoseconds", 1e17, 9.2e18, 1e-6),
)
"""Name, size from and below which a number is meant so (each until the year 5138), milliseconds in one."""
DIGITS = (
    ("%Y%m%d", 8, ""),
    ("%Y%m%d%H", 10, "0000"),
    ("%Y%m%d%H%M", 12, "00"),
    ("%Y%m%d%H%M%S", 14, ""),
    ("%Y%m%d%H%M%S%f", 17, ""),
)
"""Format, number of its digits, and what makes it one that chrono reads."""
DAY_OR_MONTH_FIRST = tuple(
    (f"{date}%Y{clock}", f"digits {shown}yyyy{shown_clock}", 8 + size, rest)
    for clock, shown_clock, size, rest in (("", "", 0, ""), ("%H%M", "hhmm", 4, "00"), ("%H%M%S", "hhmmss", 6, ""))
    for date, shown in (("%d%m", "ddmm"), ("%m%d", "mmdd"))
)
"""Format, words, number of its digits (a leading zero may be lost), and what makes it one that chrono reads."""
SHORT_YEAR = "%y%m%d%H%M"
"""Ten digits, as epoch seconds have: hardly any 20 epochs of several days are all dates with a clock (one in 200 is)."""
MANY, SEVERAL = 20, 3
COUNTED_ELSEWHERE = (
    ("ticks of .NET (100 nanoseconds since the year 1)", 62_135_596_800_000),
    ("Windows file times (100 nanoseconds since 1601)", 11_644_473_600_000),
)
"""Words, and the milliseconds from their beginning to 1970. As nanoseconds since 1970 they lie before 1991."""
LAST_OF_TICKS = 662_400_000_000_000_000
FIRST_YEAR, LAST_YEAR = 1900, 2100
SERIAL_SINCE, SERIAL_UNTIL = 32_874, 73_051
"""1990 and 2100 as days of a spreadsheet."""
SERIAL_OF_1970 = 25_569
DAY = 86_400_000
EXACT = 2**53
"""Below this every whole number is a float of its own."""
HALF, MOSTLY = 0.5, 0.95
NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
WHOLE = r"^([+-]?[0-9]{1,19})(?:\.0*)?$"


def as_numbers(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """(N,) Float64 values, and Int64 of those that are exactly whole; null where a value is no finite number.

    Args:
        column: of numbers, or of stripped texts.
    """
    if column.dtype == pl.String:
        written = pl.select(pl.when(column.str.contains(NUMBER)).then(column)).to_series()
        whole = written.str.extract(WHOLE, 1).cast(pl.Int64, strict=False)
        values = written.cast(pl.Float64, strict=False)
    else:
        values = column.cast(pl.Float64, strict=False)
        if column.dtype.is_integer():
            whole = column.cast(pl.Int64, strict=False)
        else:
            exact = (values == values.floor()) & (values.abs() < EXACT)
            whole = pl.select(pl.when(exact).then(values)).to_series().cast(pl.Int64, strict=False)
    finite = pl.select(pl.when(values.is_finite()).then(values)).to_series()
    return finite, whole


def number_families(values: pl.Series, whole: pl.Series) -> list[Family]:
    """What the numbers of a column may be; the arguments are those of ``as_numbers``."""
    count = len(values) - values.null_count()
    if not count:
        return []
    units = [epoch(name, values, whole) for name, *_ in UNITS]
    others = [r for r in digits(whole, count) if r.share_of_logs(count) > HALF]
    days = spreadsheet(values)
    if days.share_of_logs(count) >= MOSTLY:
        others.append(days)
    dated = sum(unit.share_of_logs(count) for unit in units)
    if dated > HALF:
        likely = max(units, key=lambda unit: unit.rows)
        rivals = [r for r in others if r.share_of_logs(count) >= dated]
        if likely.name == "seconds" and (short := short_years(whole, count)) is not None:
            rivals.append(short)
        if rivals:
            return [Family((likely, *rivals))]
    elif others:
        return [family_of(others)]
    return [Family((unit,)) for unit in units]


def epoch(unit: str, values: pl.Series, whole: pl.Series) -> Reading:
    """The numbers whose size is that of seconds, milliseconds, ... since 1970."""
    _, low, high, factor = next(u for u in UNITS if u[0] == unit)
    size = values.abs()
    in_unit = ((size >= low) & (size < high)).fill_null(False)
    return Reading(
        unit, f"{unit} since 1970", scaled(pl.select(pl.when(in_unit).then(values)).to_series(), whole, factor)
    )


def every_number_as(unit: str, values: pl.Series, whole: pl.Series) -> Reading:
    """All numbers in one unit, whatever their size."""
    _, _, _, factor = next(u for u in UNITS if u[0] == unit)
    return Reading(unit, f"{unit} since 1970", scaled(values, whole, factor))


def scaled(values: pl.Series, whole: pl.Series, factor: float) -> pl.Series:
    """Milliseconds; of whole numbers below milliseconds without a float, which is too coarse for them."""
    floats = (values * factor).round().cast(pl.Int64, strict=False)
    if factor >= 1:
        return floats
    return pl.select(pl.when(values.is_not_null()).then((whole // round(1 / factor)).fill_null(floats))).to_series()


def digits(whole: pl.Series, count: int) -> list[Reading]:
    """Dates written as digits, of more than half of the numbers."""
    found: list[Reading] = []
    for format, size, rest in DIGITS:
        unit = 10 ** (size - 4)
        fits = whole.is_between(FIRST_YEAR * unit, (LAST_YEAR + 1) * unit - 1).fill_null(False)
        if fits.sum() > HALF * count:
            texts = pl.select(pl.when(fits).then(whole)).to_series().cast(pl.String) + rest
            chrono = {"%Y%m%d%H": "%Y%m%d%H%M%S", "%Y%m%d%H%M": "%Y%m%d%H%M%S"}.get(format, format.replace("%f", "%3f"))
            found.append(Reading(format, f"digits {digits_shown(format)}", from_digits(texts, chrono)))
    for format, words, size, rest in DAY_OR_MONTH_FIRST:
        unit = 10 ** (size - 8)
        fits = whole.is_between(1_01_1990 * unit, (31_12_2100 + 1) * unit - 1).fill_null(False)
        if fits.sum() > HALF * count:
            texts = pl.select(pl.when(fits).then(whole)).to_series().cast(pl.String).str.zfill(size) + rest
            times = from_digits(texts, format if not rest else format + "%S")
            log_like = pl.select(pl.when(times.is_between(0, 4_133_980_800_000)).then(times)).to_series()
            found.append(Reading(format, words, log_like))
    return found


def short_years(whole: pl.Series, count: int) -> Reading | None:
    """Dates like 1707140240 (yymmddhhmm) where all of many numbers are such, on several days; else None."""
    held = whole.drop_nulls()
    if len(held) < count or held.n_unique() < MANY or not held.is_between(10**9, 10**10 - 1).all():
        return None
    times = from_digits("20" + whole.cast(pl.String) + "00", "%Y%m%d%H%M%S")
    if times.null_count() > whole.null_count() or (times // DAY).n_unique() < SEVERAL:
        return None
    return Reading(SHORT_YEAR, "digits yymmddhhmm", times)


def counted_elsewhere(whole: pl.Series) -> str | None:
    """What the numbers count where nearly all lie between 1990 and 2100 if counted otherwise than from 1970; else None."""
    held = whole.drop_nulls()
    if not len(held) or held.max() > LAST_OF_TICKS:  # type: ignore[operator]
        return None
    for words, before in COUNTED_ELSEWHERE:
        if (held // 10_000 - before).is_between(SINCE, UNTIL).mean() >= MOSTLY:  # type: ignore[operator]
            return words
    return None


def from_digits(texts: pl.Series, format: str) -> pl.Series:
    return texts.str.to_datetime(format, strict=False, time_unit="ms").cast(pl.Int64)


def digits_shown(format: str) -> str:
    """
    >>> digits_shown("%Y%m%d%H%M")
    'yyyymmddhhmm'
    """
    for directive, shown in (("%Y", "yyyy"), ("%m", "mm"), ("%d", "dd"), ("%H", "hh"), ("%M", "mm"), ("%S", "ss")):
        format = format.replace(directive, shown)
    return format.replace("%f", "fff")


def spreadsheet(values: pl.Series, *, bounded: bool = True) -> Reading:
    """Days since 1899-12-30, as spreadsheets count; ``bounded`` reads those from 1990 to 2100 alone."""
    if bounded:
        fits = values.is_between(SERIAL_SINCE, SERIAL_UNTIL)
        values = pl.select(pl.when(fits).then(values)).to_series()
    times = ((values - SERIAL_OF_1970) * DAY).round().cast(pl.Int64, strict=False)
    return Reading("spreadsheet", "days of a spreadsheet (1 = 1900-01-01)", times)
