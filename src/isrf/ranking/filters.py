"""Filters: which items may be recommended, by lists of them, by what the catalogue says of them, and by their availability.

Items are rows here; ``recommender.selection`` turns ids into rows. Knows nothing about people or scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.data.item_columns import ItemColumn, ItemColumns
from isrf.ranking.candidates import Candidates, Step
from isrf.ranking.predicates import comparable, in_words, like, mask_of, moment, shown, values_of

Where = Mapping[str, Any]
"""Column -> condition (``ranking.predicates``); all of them have to hold."""

AVAILABLE_FROM, AVAILABLE_TO, IN_STOCK = "available_from", "available_to", "in_stock"
AVAILABILITY = (AVAILABLE_FROM, AVAILABLE_TO, IN_STOCK)
"""Columns that say when an item can be had, honoured by their name."""


@dataclass(frozen=True)
class Filters:
    """What items have to fulfil, all of it.

    Attributes:
        lists: (name, item rows) of each list of the only items to recommend.
        excluded: (name, item rows) of each list of items not to recommend.
        where: (name, conditions) of each ``where``.
        filter_viewed: whether what a person has had is left out.
        availability: whether AVAILABILITY counts.
        at: the moment for which it counts; None = now.
    """

    lists: tuple[tuple[str, np.ndarray], ...] = ()
    excluded: tuple[tuple[str, np.ndarray], ...] = ()
    where: tuple[tuple[str, Where], ...] = ()
    filter_viewed: bool = True
    availability: bool = True
    at: Any = None


@dataclass
class Sieve:
    """Filters as they are applied one after the other."""

    n_items: int
    eligible: np.ndarray | None = None
    steps: list[Step] = field(default_factory=list)

    def keep(self, name: str, mask: np.ndarray, hint: str = "") -> int:
        """Keep what ``mask``, (I,) bool, marks; how many items that took away."""
        before = self.n_items if self.eligible is None else int(self.eligible.sum())
        self.eligible = mask.copy() if self.eligible is None else self.eligible & mask
        left = int(self.eligible.sum())
        self.steps.append(Step(name, left, "" if left else hint))
        return before - left


def candidates_of(filters: Filters, columns: ItemColumns) -> tuple[Candidates, list[str]]:
    """The items that fulfil everything, and lines for whoever asks: what availability took away.

    Raises:
        IsrfError: a column that there is not, an operator or a value that does not fit it, or a moment that is none.
    """
    sieve = Sieve(len(columns.catalogue))
    lines = (
        available(sieve, columns, filters.at) if filters.availability else []
    )  # first: its counts are those of a shop
    for name, rows in filters.lists:
        sieve.keep(name, marked(rows, sieve.n_items))
    for name, rows in filters.excluded:
        sieve.keep(name, ~marked(rows, sieve.n_items))
    for name, where in filters.where:
        for column, condition in conditions(where, name):
            read, mask = where_mask(column, condition, columns, name)
            hint = "" if mask.any() else like(values_of(condition), read)
            sieve.keep(f"{name} {in_words(column, condition)}", mask, hint)
    return Candidates(sieve.eligible, filters.filter_viewed, tuple(sieve.steps)), lines


def conditions(where: Any, name: str = "where") -> list[tuple[str, Any]]:
    """Column and condition of each entry. Raises IsrfError where it is no mapping."""
    if not isinstance(where, Mapping):
        raise IsrfError(
            f"{name}: must be a mapping of columns and conditions, like {{'price': {{'<=': 20}}}}, not {shown(where)}"
        )
    return [(str(column), condition) for column, condition in where.items()]


def where_mask(column: str, condition: Any, columns: ItemColumns, name: str) -> tuple[ItemColumn, np.ndarray]:
    """The column of a condition, and (I,) bool: the items that fulfil it. Raises IsrfError, which begins with ``name``."""
    try:
        read = columns.column(column)
        return read, mask_of(condition, read)
    except IsrfError as error:
        raise IsrfError(f"{name}: {error}") from None


def matching(where: Where, columns: ItemColumns, name: str = "where") -> np.ndarray:
    """(I,) bool: the items that fulfil all conditions. Raises IsrfError."""
    found = np.ones(len(columns.catalogue), dtype=bool)
    for column, condition in conditions(where, name):
        found &= where_mask(column, condition, columns, name)[1]
    return found


def marked(rows: np.ndarray, n_items: int) -> np.ndarray:
    """(I,) bool of some rows."""
    mask = np.zeros(n_items, dtype=bool)
    mask[rows] = True
    return mask


def available(sieve: Sieve, columns: ItemColumns, at: Any = None) -> list[str]:
    """Keep the items that can be had at a moment; lines that say how many cannot, and which column is of no use.

    An item without a value is not bounded by it. ``available_to`` is the last day, or moment, at which it can be had.
    """
    now = moment_of(at)
    taken: dict[str, int] = {}
    lines: list[str] = []
    for name in AVAILABILITY:
        if columns.named(name) is None:
            continue
        column = columns.column(name)
        unfit = unfit_for(name, column)
        if unfit:
            lines.append(f"WARNING: column {name} is not honoured: {unfit}")
        elif count := sieve.keep(f"availability ({name})", can_be_had(column, name, now)):
            taken[name] = count
    if taken:
        when = "now" if at is None else f"at {shown(at)}"
        told = ", ".join(f"{name} {count:,}" for name, count in taken.items())
        lines.append(
            f"availability: {sum(taken.values()):,} of {sieve.n_items:,} items cannot be had {when} and are left out ({told})"
        )
    return lines


def unfit_for(name: str, column: ItemColumn) -> str:
    """Why a column says nothing about availability; "" where it does."""
    if column.is_list:
        return "it holds lists"
    if name == IN_STOCK:
        return "" if column.kind in ("boolean", "number") else "it holds no numbers and no truth values (true, false)"
    return "" if column.kind == "date" else "it holds no dates; write them like 2024-01-31"


def can_be_had(column: ItemColumn, name: str, now: datetime) -> np.ndarray:
    """(I,) bool: what one column says of a moment."""
    if name == IN_STOCK:
        out = ~column.values if column.kind == "boolean" else column.values <= 0
    else:
        when = now.date() if column.values.dtype == pl.Date else now
        left, right = comparable(when, column)
        out = left > right if name == AVAILABLE_FROM else left < right
    return ~column.of_items(np.asarray(out.to_numpy(), dtype=bool))


def moment_of(at: Any) -> datetime:
    """The moment for which availability counts; a day stands for its midnight (UTC). Raises IsrfError."""
    if at is None:
        return datetime.now(UTC)
    found = moment(at)
    if found is None:
        raise IsrfError(f"at: {shown(at)} is not a date or time; write one like 2024-01-31 or 2024-01-31T18:00")
    if isinstance(found, datetime):
        return found
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


def named_wheres(name: str, where: Where | Sequence[Where] | None) -> tuple[tuple[str, Where], ...]:
    """``where`` as an argument gives it, one mapping or several, under a name."""
    if where is None:
        return ()
    several: Sequence[Where] = where if isinstance(where, list | tuple) else [where]  # type: ignore[list-item]
    return tuple((name, one) for one in several)
