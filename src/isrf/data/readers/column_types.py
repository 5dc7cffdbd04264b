"""Types of a catalogue's columns, for filters: numbers, dates, truth values and lists stay what they are.

Rules, by column, and nothing is guessed of single cells:

- numbers, dates, times and truth values of typed files (Parquet, JSON) stay so; times are UTC;
- a text column becomes numbers, dates (ISO 8601) or truth values (true/false, yes/no) where every value is one; with
  one currency or percent sign around them, and with signs between thousands where these can be read in one way alone;
- numbers that begin with a needless zero, or have more digits than a number keeps, are codes, and stay text;
- what holds several kinds of values stays text, as it stands in the source.

Knows nothing about files, nor about the texts that reasoning reads (``data.readers.catalogue_texts``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.readers.column_names import TEXT_NAMES
from isrf.data.readers.dates import date_families

INTEGER = r"^[+-]?(?:0|[1-9][0-9]{0,18})$"
DECIMAL = r"^[+-]?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$"
TRUTH = {"true": ("true", "false"), "yes": ("yes", "no")}
"""Word for what holds -> both words of a column that knows no other."""
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
MOMENT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[Tt ]{CLOCK})?$"
SIGN = r"(?:[$€£¥￥%]|EUR|USD|GBP|CHF|CNY|RMB|元)"
WITH_SIGN = rf"^(?P<minus>[+-]?)(?P<before>{SIGN}?)\s*(?P<number>[+-]?[0-9.,]*[0-9][0-9.,]*)\s*(?P<after>{SIGN}?)$"
GROUPED = {
    ".": r"^[+-]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]*)(?:\.[0-9]+)?$",
    ",": r"^[+-]?(?:[1-9][0-9]{0,2}(?:\.[0-9]{3})+|0|[1-9][0-9]*)(?:,[0-9]+)?$",
}
"""Sign before the decimals -> a number with the other one between thousands."""
MOMENTS = pl.Datetime("us", "UTC")
PLAIN = "values"
"""What a column is called while it is looked at: polars takes names like * and ^a.*$ for patterns."""


def typed_columns(
    frame: pl.DataFrame, names: Mapping[str, str], texts: Mapping[str, pl.Series], lists: Collection[str]
) -> dict[str, pl.Series]:
    """Name here -> values with their type, null where there is none, of every column that is not plain text.

    Args:
        frame: columns of the source as read.
        names: source column -> its name here.
        texts: name here -> what reasoning reads, "" where there is nothing; columns that it does not read are missing.
        lists: names here of the columns whose values LIST_SEPARATOR separates.
    """
    found: dict[str, pl.Series] = {}
    written: dict[str, pl.Series] = {}
    kinds = frame.schema
    for source, name in names.items():
        own = frame[source].alias(PLAIN)
        if name in lists:
            found[name] = listed(texts[name].alias(PLAIN) if name in texts else own.fill_null(""))
        elif (name in texts and name in TEXT_NAMES) or name == Columns.ITEM:
            continue
        elif kinds[source] == pl.String:
            written[name] = own
        else:
            values = native(own)
            if values is not None and values.dtype == pl.String:
                written[name] = values
            elif values is not None:
                found[name] = values
    read = of_texts(written)
    found |= {name: values for name, values in read.items() if values.dtype != pl.String or name not in texts}
    held = {name: values.alias(name) for name, values in found.items() if values.null_count() < len(values)}
    return {name: held[name] for name in names.values() if name in held}


def listed(texts: pl.Series) -> pl.Series:
    """The values of a list column as List[String]; null where there is none."""
    lists = pl.select(pl.when(texts != "").then(texts.str.split(LIST_SEPARATOR))).to_series()
    kept = pl.element().str.strip_chars()
    return lists.list.eval(kept.filter(kept != ""))


def native(values: pl.Series) -> pl.Series | None:
    """A column that has a type of its own, as one of the types here, or as text; None where it is of no such type."""
    if hasattr(pl, "BaseExtension") and isinstance(values.dtype, pl.BaseExtension):
        values = values.ext.storage()
    kind = values.dtype
    try:
        if kind == pl.Boolean or kind == pl.Date:
            return values
        if kind.is_integer():
            whole = values.cast(pl.Int64, strict=False)
            return whole if whole.null_count() == values.null_count() else values.cast(pl.String)
        if kind.is_float():  # by its text: 0.1 of 32 bits is 0.1, not 0.10000000149
            exact = values if kind == pl.Float64 else values.cast(pl.String).cast(pl.Float64, strict=False)
            return pl.select(pl.when(exact.is_finite()).then(exact)).to_series()
        if kind.is_decimal():
            return values.cast(pl.String)
        if isinstance(kind, pl.Datetime):
            return values.dt.replace_time_zone("UTC").cast(MOMENTS) if kind.time_zone is None else values.cast(MOMENTS)
        if isinstance(kind, pl.List | pl.Array):
            return _native_list(values)
        if kind.is_nested() or kind in (pl.Object, pl.Binary, pl.Null):
            return None
        return values.cast(pl.String, strict=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None


def _native_list(values: pl.Series) -> pl.Series | None:
    """A list column whose values have one type: numbers or texts; null for an empty list."""
    lists = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
    inner = lists.dtype.inner  # type: ignore[attr-defined]
    if inner.is_integer():
        lists = lists.cast(pl.List(pl.Int64))
    elif inner.is_float():
        lists = lists.cast(pl.List(pl.Float64))
    elif inner.is_nested() or inner in (pl.Boolean, pl.Binary, pl.Object, pl.Null):
        return None
    else:
        lists = lists.cast(pl.List(pl.String), strict=False)
    lists = lists.list.drop_nulls()
    return pl.select(pl.when(lists.list.len() > 0).then(lists)).to_series()


def of_texts(columns: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
    """Name -> a text column with the type that all of its values have; text where they have none in common.

    All columns are looked at together: a table of features has thousands of them.

    >>> found = of_texts({"price": pl.Series(["12.50", ""]), "zip": pl.Series(["01067", "2"]), "new": pl.Series(["No", "yes"])})
    >>> [(str(column.dtype), column.to_list()) for column in found.values()]
    [('Float64', [12.5, None]), ('String', ['01067', '2']), ('Boolean', [False, True])]
    """
    if not columns:
        return {}
    texts = pl.DataFrame([values.alias(str(place)) for place, values in enumerate(columns.values())])
    stripped = pl.all().str.strip_chars()
    texts = texts.select(stripped).select(pl.when(pl.all() != "").then(pl.all()))
    asked = {
        "whole": pl.all().str.contains(INTEGER).all(),
        "decimal": pl.all().str.contains(DECIMAL).all(),
        "moment": pl.all().str.contains(MOMENT).all(),
        "sign": pl.all().str.contains(WITH_SIGN).all(),
        "truth": pl.all().str.to_lowercase().is_in([w for both in TRUTH.values() for w in both]).all(),
    }
    answers = {kind: texts.select(expression).row(0) for kind, expression in asked.items()}
    found = {}
    for place, (name, values) in enumerate(zip(columns, texts.get_columns(), strict=True)):
        read: pl.Series | None = None
        if values.null_count() < len(values):
            if answers["whole"][place]:
                read = values.cast(pl.Int64, strict=False)
            elif answers["decimal"][place]:
                read = _decimals(values)
            elif answers["truth"][place]:
                read = _truths(values)
            elif answers["moment"][place]:
                read = _moments(values)
            elif answers["sign"][place]:
                read = with_signs(values)
        found[name] = values if read is None or read.null_count() > values.null_count() else read
    return found


def _decimals(texts: pl.Series) -> pl.Series:
    numbers = texts.cast(pl.Float64, strict=False)
    return pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()


def _truths(texts: pl.Series) -> pl.Series | None:
    words = texts.str.to_lowercase()
    for holds, both in TRUTH.items():
        if words.drop_nulls().is_in(list(both)).all():
            return words == holds
    return None


def _moments(texts: pl.Series) -> pl.Series | None:
    """ISO dates as Date, ISO times as UTC; None where one of them does not exist."""
    readings = [r for family in date_families(texts, "iso") for r in family.readings if r.name in ("iso", "year-first")]
    if not readings:
        return None
    times = readings[0].times
    for other in readings[1:]:
        times = times.fill_null(other.times)
    if times.null_count() > texts.null_count():
        return None
    moments = times.cast(pl.Datetime("ms", "UTC"))
    return moments.dt.date() if texts.drop_nulls().str.contains(DATE).all() else moments.cast(MOMENTS)


def with_signs(texts: pl.Series) -> pl.Series | None:
    """Numbers with a sign around them or between thousands; None where they can be read in several ways, or in none.

    >>> with_signs(pl.Series(["$1,200", "$3.50"])).to_list()
    [1200.0, 3.5]
    >>> with_signs(pl.Series(["1,200"])), with_signs(pl.Series(["$1", "€2"]))
    (None, None)
    """
    parts = texts.str.extract_groups(WITH_SIGN).struct.unnest()
    signs = pl.concat([parts["before"], parts["after"]]).drop_nulls()
    if signs.filter(signs != "").n_unique() > 1:
        return None
    numbers = parts["minus"].fill_null("") + parts["number"]
    numbers = pl.select(pl.when(texts.is_not_null()).then(numbers)).to_series()
    if numbers.drop_nulls().str.contains(DECIMAL).all():
        return _decimals(numbers)
    readings: list[pl.Series] = []
    for sign, pattern in GROUPED.items():
        if not numbers.drop_nulls().str.contains(pattern).all():
            continue
        other = "," if sign == "." else "."
        plain = numbers.str.replace_all(other, "", literal=True).str.replace(sign, ".", literal=True)
        if plain.drop_nulls().str.contains(DECIMAL).all():
            readings.append(_decimals(plain))
    return readings[0] if readings and all(readings[0].equals(other) for other in readings) else None
