"""Dates written as text: ISO 8601 and other dates with the year first, day or month first, months by name.

A time without a zone is UTC, a date without a time is midnight. Offsets (+02, +0200, +02:00) and UTC, GMT, Z are read;
other names of zones are not, as what they mean depends on place and day. Two digits of a year are 1969 to 2068. Knows
nothing about files.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from isrf.data.readers.time_formats import Family, Reading, family_of

# behind an offset its name says nothing more: "+0000 UTC", "+0200 CEST", as Go writes
ZONE = r"(?P<zone>(?:UTC|GMT|Z|z)?(?:[+-][0-9]{2}(?::?[0-9]{2})?(?:\s+(?:[A-Z]{3,5}|[+-][0-9]{2,4}))?)?)(?:\s*[\[(][^\])]*[\])])?"
CLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,:](?P<fraction>[0-9]{1,9}))?)?"
    rf"(?:\s*(?P<half>[AaPp])\.?\s?[Mm]\.?)?(?:\s?(?:Uhr|h))?\s*{ZONE}"
)
TAIL = rf"(?:(?:\s*[Tt]\s*|\s*,?\s+|:|_){CLOCK})?$"
WEEKDAY = (
    r"(?i:(?:mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|so|lun|mar|mer|mi[eé]|jeu|jue|ven|vie|sam|s[aá]b|dim|dom)"
    r"\p{L}*[.,]*\s+)?"
)
MONTH = r"(?P<month>\p{L}{3,12})\.?"
ORDINAL = r"(?i:st|nd|rd|th|er|\.)?"
OF = r"(?i:\s*(?:de|del|of)\s+|[\s./,-]*)"

YEAR_FIRST = (
    rf"^(?P<year>[0-9]{{4}})\s?[-/.]\s?(?P<month>[0-9]{{1,2}})\s?[-/.]\s?(?P<day>[0-9]{{1,2}}){TAIL}",
    rf"^(?P<year>[0-9]{{4}})\s?[年년]\s?(?P<month>[0-9]{{1,2}})\s?[月월]\s?(?P<day>[0-9]{{1,2}})\s?[日일号號]?(?:\s*{CLOCK})?$",
    r"^(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[Tt\s_-]\s?(?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2})"
    rf"(?::?(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]{{1,9}}))?)?\s?{ZONE}$",
)
NUMBERS = (
    rf"^{WEEKDAY}(?P<first>[0-9]{{1,2}})(?:\s?[-/.]\s?|,?\s+)(?P<second_part>[0-9]{{1,2}})(?:\s?[-/.]\s?|,?\s+)"
    rf"(?P<third>[0-9]{{4}}|[0-9]{{2}}){TAIL}"
)
NAMED = (
    rf"^{WEEKDAY}(?P<first>[0-9]{{1,4}}){ORDINAL}{OF}{MONTH}{OF}(?P<third>[0-9]{{4}}|[0-9]{{2}}){TAIL}",
    rf"^{WEEKDAY}{MONTH}[\s-]*(?P<first>[0-9]{{1,2}}){ORDINAL}(?:\s*,\s*|\s+|-)(?P<third>[0-9]{{4}}){TAIL}",
    rf"^{WEEKDAY}{MONTH}\s+(?P<first>[0-9]{{1,2}})\s+(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}}):(?P<second>[0-9]{{2}})"
    r"(?:\s+(?P<zone>UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?\s+(?P<third>[0-9]{4})(?:\s+(?P<zone_behind>[+-][0-9]{2}:?[0-9]{2}))?$",
)
NAMED_ZONE = r"\s*(?:\b[A-Z]{2,5}|[A-Z]\p{L}+/[\p{L}_/+-]+)$"

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar jänner janvier janv enero ene",
            "feb february februar février fevrier févr fevr fév febrero",
            "mar march märz maerz mär mrz mars marzo",
            "apr april avril avr abril abr",
            "may mai mayo",
            "jun june juni juin junio",
            "jul july juli juillet juil julio",
            "aug august août aout agosto ago",
            "sep sept september septembre septiembre setiembre",
            "oct october okt oktober octobre octubre",
            "nov november novembre noviembre",
            "dec december dez dezember décembre decembre déc diciembre dic",
        ),
        start=1,
    )
    for name in names.split()
}
"""Names of months in English, German, French and Spanish, in lower case -> their number."""

ISO = ("iso", "ISO 8601")
ORDERS = {
    "day-first": ("day/month/year", ("first", "second_part", "third")),
    "month-first": ("month/day/year", ("second_part", "first", "third")),
    "year-first": ("year/month/day", ("third", "second_part", "first")),
}
"""Name -> words, and which of three numbers are day, month and year."""


def date_families(texts: pl.Series, only: str | None = None) -> list[Family]:
    """What the texts of a column may be.

    Args:
        texts: stripped.
        only: name of the one reading of numbers that is meant ("day-first", ...); None = whatever they allow.
    """
    rest = pl.DataFrame({"at": pl.int_range(len(texts), eager=True), "text": texts}).drop_nulls()
    families: list[Family] = []
    years: list[tuple[pl.Series, pl.Series]] = []
    for pattern in YEAR_FIRST:
        at, fields, rest = taken(rest, pattern)
        if len(at):
            years.append((at, milliseconds(fields, fields["year"], fields["month"], fields["day"])))
    if years:
        families.append(Family((Reading(*ISO, scattered(len(texts), years)),)))
    at, fields, rest = taken(rest, NUMBERS)
    if len(at):
        readings = [
            Reading(
                name, words, scattered(len(texts), [(at, milliseconds(fields, *(fields[p] for p in reversed(parts))))])
            )
            for name, (words, parts) in ORDERS.items()
            if only in (None, name)
        ]
        families.append(family_of(readings))
    named: dict[str, list[tuple[pl.Series, pl.Series]]] = {"day-first": [], "year-first": []}
    for pattern in NAMED:
        at, fields, rest = taken(rest, pattern)
        if not len(at):
            continue
        month = fields["month"].str.to_lowercase().replace_strict(MONTHS, default=None, return_dtype=pl.Int64)
        number = month.cast(pl.String)
        named["day-first"].append((at, milliseconds(fields, fields["third"], number, fields["first"])))
        if pattern == NAMED[0]:
            named["year-first"].append((at, milliseconds(fields, fields["first"], number, fields["third"])))
    words = {"day-first": "day, name of the month, year", "year-first": "year, name of the month, day"}
    readings = [Reading(n, words[n], scattered(len(texts), p)) for n, p in named.items() if p and only in (None, n)]
    return [*families, family_of(readings)] if readings else families


def taken(rest: pl.DataFrame, pattern: str) -> tuple[pl.Series, Mapping[str, pl.Series], pl.DataFrame]:
    """Places and groups of the texts that a pattern matches, and the others."""
    if not rest.height:
        return rest["at"], {}, rest
    matches = rest["text"].str.contains(pattern)
    found = rest.filter(matches)
    if not found.height:
        return found["at"], {}, rest
    fields = found["text"].str.extract_groups(pattern).struct.unnest()
    return found["at"], fields.to_dict(), rest.filter(~matches)


def scattered(size: int, parts: list[tuple[pl.Series, pl.Series]]) -> pl.Series:
    """(size,) Int64: values at their places, null elsewhere."""
    whole = pl.repeat(None, size, dtype=pl.Int64, eager=True)
    for at, values in parts:
        whole = whole.scatter(at, values)
    return whole


def milliseconds(fields: Mapping[str, pl.Series], year: pl.Series, month: pl.Series, day: pl.Series) -> pl.Series:
    """Int64 of dates and clocks as texts; null where there is no such date.

    Args:
        fields: "hour", "minute", "second", "fraction", "half" (a or p) and "zone", as far as the pattern has them.
    """
    empty = pl.repeat(None, len(year), dtype=pl.String, eager=True)
    part = {name: fields.get(name, empty) for name in ("hour", "minute", "second", "fraction", "half", "zone")}
    if "zone_behind" in fields:
        part["zone"] = fields["zone_behind"].fill_null(part["zone"])
    frame = pl.DataFrame({"year": year, "month": month, "day": day, **part}).with_columns(
        pl.col("year", "month", "day", "hour", "minute", "second").cast(pl.Int64),
        (pl.col("year").str.len_chars() > 2).alias("full"),
    )
    century = pl.when("full").then(0).when(pl.col("year") < 69).then(2000).otherwise(1900)
    hour, half = pl.col("hour"), pl.col("half").str.to_lowercase()
    twelve = pl.when(hour.is_between(1, 12)).then(hour % 12 + pl.when(half == "p").then(12).otherwise(0))
    clock = pl.when(half.is_null()).then(hour.fill_null(0)).otherwise(twelve)
    minute, second = pl.col("minute").fill_null(0), pl.col("second").fill_null(0)
    thousandths = pl.col("fraction").str.pad_end(3, "0").str.slice(0, 3).cast(pl.Int64).fill_null(0)
    of_day = ((clock * 60 + minute) * 60 + second) * 1000 + thousandths
    within = (clock < 24) & (minute < 60) & (second < 60)
    days = days_since_1970(pl.col("year") + century, pl.col("month"), pl.col("day"))
    times = pl.when(within).then(days * 86_400_000 + of_day)
    if not (part["zone"].fill_null("").str.contains("[+-]")).any():
        return frame.select(times.alias("times"))["times"]
    offset = pl.col("zone").str.extract_groups(r"(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?").struct
    minutes = offset.field("minutes").cast(pl.Int64).fill_null(0)
    ahead = offset.field("hours").cast(pl.Int64) * 60 + pl.when(minutes < 60).then(minutes)
    signed = pl.when(ahead < 24 * 60).then(pl.when(offset.field("sign") == "-").then(-ahead).otherwise(ahead))
    shift = pl.when(offset.field("sign").is_null()).then(0).otherwise(signed)
    return frame.select((times - shift * 60_000).alias("times"))["times"]


def days_since_1970(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    """Days of the Gregorian calendar as Int64; null where there is no such date.

    Years are counted from March on, so that the day that leap years add is their last.
    """
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    longest = (
        pl.when(month == 2)
        .then(pl.when(leap).then(29).otherwise(28))
        .when(month.is_in([4, 6, 9, 11]))
        .then(30)
        .otherwise(31)
    )
    valid = (year >= 1) & month.is_between(1, 12) & (day >= 1) & (day <= longest)
    shifted = year - (month <= 2).cast(pl.Int64)
    since_march = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + since_march - 719_468
    return pl.when(valid).then(days)


def with_named_zones(texts: pl.Series) -> pl.Series:
    """(N,) bool: a date and time followed by the name of a zone, like "2017-07-14 02:40 CEST"."""
    cut = texts.str.replace(NAMED_ZONE, "").str.strip_chars()
    named = (cut != texts).fill_null(False)
    if not named.any():
        return named
    families = date_families(pl.select(pl.when(named).then(cut)).to_series())
    seen = pl.repeat(False, len(texts), eager=True)
    for family in families:
        for reading in family.readings:
            seen = seen | reading.times.is_not_null()
    return seen & named & cut.str.contains(":").fill_null(False)
