"""Ids of any type as exact text, and nothing that a type has lost. Knows nothing about files, nor which ids there are.

Whole numbers are written as integers, whatever held them: 100, 100.0 as a float or a decimal are all "100". A float holds
whole numbers exactly only up to a bound (2^53 in 64 bits, 2^24 in 32): beyond it two ids may have become one, so such a
column is refused. Texts stay as they are, without blanks around them; what two spellings have in common is the business of
``data.similar_ids``.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from isrf.core.errors import IsrfError
from isrf.data.readers.raw import BadRows, Table

EXACT = {"Float64": 2**53, "Float32": 2**24, "Float16": 2**11}
"""Type -> the number from which on two whole numbers may be the same float."""


def with_ids(table: Table, column: str, role: str, bad: BadRows) -> Table:
    """The table with ``column`` as ids: str without surrounding blanks; rows without one are rejected.

    Raises:
        IsrfError: the column's type holds no ids, or cannot tell them apart; or a bad row under "fail".
    """
    texts = id_texts(table, column, role)
    table = table.having(table.frame.with_columns(texts.alias(column)))
    table = bad.drop(table, texts == "", column, lambda _: f"empty {role} id")
    broken = table.frame[column].str.contains("\n", literal=True)
    return bad.drop(
        table, broken, column, lambda _: f"{role} id with a line break; is a quotation mark left open on this line?"
    )


def id_texts(table: Table, column: str, role: str) -> pl.Series:
    """(N,) str, "" where there is no id. Raises IsrfError where the type cannot hold the ids."""
    values = table.frame[column]
    dtype = values.dtype
    if dtype.is_nested() or dtype == pl.Object or isinstance(dtype, pl.Duration):
        held = "durations" if isinstance(dtype, pl.Duration) else "lists or records"
        raise IsrfError(f"{table.file}: column {column} holds {held}, not {role} ids; name another column")
    if dtype.is_float():
        finite = pl.select(pl.when(values.is_finite()).then(values)).to_series()
        bound = EXACT[str(dtype)]
        lost = (finite.abs() >= bound).fill_null(False)
        if lost.any():
            raise IsrfError(
                f"{table.file}: column {column}: holds {role} ids as {str(dtype).lower()}, and {int(lost.sum()):,} of them from "
                f"{bound:,} on, where floating-point numbers no longer tell neighbours apart: ids may have become one already; "
                "write the column as integers or text"
            )
        whole = (finite == finite.floor()).fill_null(False)
        integers = pl.select(pl.when(whole).then(finite)).to_series().cast(pl.Int64).cast(pl.String)
        texts = integers.fill_null(finite.cast(pl.String))
    else:
        texts = values.cast(pl.String, strict=False)
        if isinstance(dtype, pl.Decimal):
            texts = texts.str.replace(r"(\.[0-9]*?)0+$", "$1").str.replace(r"\.$", "")
    return texts.fill_null("").str.strip_chars()


def id_of(value: Any) -> str | None:
    """An id of JSON or Python as text; None where it is none, or a float that cannot be told from its neighbours.

    >>> id_of(7), id_of(7.0), id_of(" a "), id_of(2.0**53), id_of(True), id_of(float("nan")), id_of("")
    ('7', '7', 'a', None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float):
        if value != value or abs(value) >= EXACT["Float64"]:
            return None
        return str(int(value)) if value == int(value) else repr(value)
    return str(value).strip() or None
