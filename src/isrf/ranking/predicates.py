"""Conditions on one column of a catalogue, as values and operators: what ``where`` holds. Knows nothing about people or scores.

A condition is a value (equal to it), a list (equal to one of them), or a mapping of operators, all of which have to hold:

    "=", "==", "!="      equal, or not
    "<", "<=", ">", ">=" of numbers and dates
    "in", "any"          equal to one of a list
    "all"                a list column holds every one of a list
    "contains"           a text holds this text, whatever the case; of a list one of them
    "not"                the condition behind it does not hold
    "missing"            True: there is no value; False: there is one

A list column fulfils a condition where one of its values does. An item without a value fulfils nothing but ``missing``.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.terminal_text import visible
from isrf.data.item_columns import ItemColumn

ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EQUAL, UNEQUAL = ("=", "=="), "!="
ONE_OF = ("in", "any")
OPERATORS = (*EQUAL, UNEQUAL, *ORDERS, *ONE_OF, "all", "contains", "not", "missing")
KINDS = {"text": "text", "number": "numbers", "date": "dates", "boolean": "true or false"}
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
LONGEST_SHOWN, MOST_LISTED = 60, 5
DEEPEST = 32
"""Conditions behind "not" within each other."""


def mask_of(condition: Any, column: ItemColumn, depth: int = 0) -> np.ndarray:
    """(I,) bool: the items that fulfil a condition.

    Raises:
        IsrfError: an unknown operator, or a value that the column cannot hold.
    """
    if isinstance(condition, Mapping):
        if not condition:
            raise IsrfError(f"{column.name}: an empty condition; operators are {', '.join(OPERATORS)}")
        if depth > DEEPEST:
            raise IsrfError(f"{column.name}: conditions nest deeper than {DEEPEST}")
        masks = [_operator(str(name), value, column, depth) for name, value in condition.items()]
        return np.asarray(np.logical_and.reduce(masks))
    return equal(values_of(condition), column)


def _operator(name: str, value: Any, column: ItemColumn, depth: int) -> np.ndarray:
    if name in EQUAL or name in ONE_OF:
        return equal(values_of(value), column)
    if name == UNEQUAL:
        return column.present & ~equal(values_of(value), column)
    if name == "not":
        return column.present & ~mask_of(value, column, depth + 1)
    if name == "missing":
        return ~column.present if truth(value, column) else column.present
    if name == "all":
        masks = [equal([one], column) for one in values_of(value)]
        return np.asarray(np.logical_and.reduce(masks)) if masks else column.present
    if name == "contains":
        return contains(values_of(value), column)
    if name in ORDERS:
        return ordered(name, value, column)
    close = difflib.get_close_matches(name, OPERATORS, n=1)
    raise IsrfError(
        f"{column.name}: no operator {shown(name)}; "
        + (f"did you mean {close[0]}?" if close else f"operators are {', '.join(OPERATORS)}")
    )


def values_of(given: Any) -> list[Any]:
    """The values of a list, or the one value as a list."""
    if isinstance(given, pl.Series | np.ndarray):
        return list(given.tolist() if isinstance(given, np.ndarray) else given.to_list())
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        return list(given)
    return [given]


def equal(values: list[Any], column: ItemColumn) -> np.ndarray:
    """(I,) bool: the items that hold one of some values."""
    if column.kind == "date":
        held = np.zeros(len(column.values), dtype=bool)
        for value in values:
            left, right = comparable(value, column)
            held |= as_mask(left == right)
        return column.of_items(held)
    wanted = [value_as(value, column) for value in values]
    if column.kind == "number":
        whole = all(isinstance(value, int) for value in wanted) and column.values.dtype == pl.Int64
        series = pl.Series(wanted, dtype=pl.Int64 if whole else pl.Float64, strict=False)
        series = series.drop_nulls() if whole else series
        found = (column.values if whole else column.values.cast(pl.Float64)).is_in(series.implode())
    else:
        found = column.values.is_in(pl.Series(wanted, dtype=column.values.dtype).implode())
    return column.of_items(as_mask(found))


def contains(values: list[Any], column: ItemColumn) -> np.ndarray:
    """(I,) bool: the items a text of which holds one of some texts, whatever the case."""
    if column.kind != "text":
        raise IsrfError(f"{column.name}: contains is for texts, and this column holds {KINDS[column.kind]}")
    held = np.zeros(len(column.values), dtype=bool)
    texts = column.lowered
    for value in values:
        held |= as_mask(texts.str.contains(str(value_as(value, column)).lower(), literal=True))
    return column.of_items(held)


def ordered(name: str, value: Any, column: ItemColumn) -> np.ndarray:
    """(I,) bool: the items a value of which lies on one side of a number or a moment."""
    if column.kind not in ("number", "date"):
        raise IsrfError(f"{column.name}: {name} is for numbers and dates, and this column holds {KINDS[column.kind]}")
    left, right = comparable(value, column) if column.kind == "date" else (column.values, value_as(value, column))
    return column.of_items(as_mask(ORDERS[name](left, right)))


def as_mask(found: pl.Series) -> np.ndarray:
    return np.asarray(found.to_numpy(), dtype=bool)


def value_as(value: Any, column: ItemColumn) -> Any:
    """A value as the column holds it: its text may be given too. Raises IsrfError where it is of another kind."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None:
        raise IsrfError(f"{column.name}: a value is missing; items without one are found with {{'missing': true}}")
    if column.kind == "boolean":
        return truth(value, column)
    if column.kind == "text":
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    elif not isinstance(value, bool):
        with_bounds = number(value)
        if with_bounds is not None:
            return with_bounds
    raise unlike(value, column)


def number(value: Any) -> int | float | None:
    """A number, or the text of one; None for anything else. Integers beyond 64 bits are floats."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = int(text)
        except ValueError:
            try:
                value = float(text)
            except ValueError:
                return None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value) if abs(value) < 10**300 else None
    return value if isinstance(value, float) and np.isfinite(value) else None


def truth(value: Any, column: ItemColumn) -> bool:
    """True or False, also as 1 and 0 or as words. Raises IsrfError."""
    found = TRUTH.get(str(value).strip().lower())
    if found is None or isinstance(value, float):
        raise IsrfError(f"{column.name}: true or false is needed here, not {shown(value)}")
    return found


def comparable(value: Any, column: ItemColumn) -> tuple[pl.Series, Any]:
    """Column and value as they are compared: a day with days, a moment with moments (UTC). Raises IsrfError."""
    found = moment(value)
    if found is None:
        raise unlike(value, column)
    days = column.values.dtype == pl.Date
    if not isinstance(found, datetime):
        return (column.values if days else column.values.dt.date()), found
    return (column.values.cast(pl.Datetime("us", "UTC")) if days else column.values), found


def moment(value: Any) -> date | datetime | None:
    """A day, or a moment in UTC; texts are ISO 8601. None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value if isinstance(value, date) else None


def unlike(value: Any, column: ItemColumn) -> IsrfError:
    """For a value of another kind than the column's."""
    hint = "; write dates like 2024-01-31" if column.kind == "date" else ""
    return IsrfError(f"{column.name}: holds {KINDS[column.kind]}, and {shown(value)} is none{hint}")


def in_words(name: str, condition: Any) -> str:
    """A condition as people read it.

    >>> in_words("price", {"<=": 20, ">": 5}), in_words("brand", ["X", "Y"]), in_words("title", {"contains": "shampoo"})
    ('price <= 20 and > 5', 'brand = X or Y', 'title contains shampoo')
    """
    if isinstance(condition, Mapping):
        parts = []
        for symbol, value in condition.items():
            if symbol == "not":
                parts.append(f"not ({in_words('', value).strip()})")
            elif symbol == "missing":
                parts.append("is missing" if str(value).lower() in ("true", "1", "yes") else "is there")
            else:
                parts.append(f"{symbol} {_listed(value, 'and' if symbol == 'all' else 'or')}")
        return f"{name} {' and '.join(parts)}"
    return f"{name} = {_listed(condition)}"


def _listed(value: Any, word: str = "or") -> str:
    values = values_of(value)
    told = f" {word} ".join(shown(one) for one in values[:MOST_LISTED])
    return told + (f" {word} {len(values) - MOST_LISTED:,} more" if len(values) > MOST_LISTED else "")


def shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = visible(str(value))
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def like(values: list[Any], column: ItemColumn) -> str:
    """What may have been meant by values of a text column that no item has, as the end of a sentence; "" where nothing."""
    if column.kind != "text":
        return ""
    known = {str(value).lower(): str(value) for value in column.values.unique()[:MOST_COMPARED]}
    for value in values:
        found = difflib.get_close_matches(str(value).lower(), known, n=1)
        if isinstance(value, str) and found:
            return f"; no item has {shown(value)!r}, but some have {shown(known[found[0]])!r}"
    return ""


MOST_COMPARED = 5_000
"""Values of a column that a wrong one is compared with."""
