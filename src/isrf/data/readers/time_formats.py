"""Ways to read a column as times, and which of them are left where values allow several. Knows no format itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

SINCE, UNTIL = 631_152_000_000, 4_102_444_800_000
"""1990 and 2100 in milliseconds: the times of a log lie between."""


@dataclass(frozen=True)
class Reading:
    """One way to read a column.

    Attributes:
        name: what ``data.time_format`` calls it, e.g. "seconds", "day-first", "%Y%m%d".
        words: the same for people, e.g. "day/month/year".
        times: (N,) Int64 milliseconds since 1970-01-01 UTC; null where a value is of another kind, or of none.
    """

    name: str
    words: str
    times: pl.Series

    @property
    def rows(self) -> int:
        """How many values it reads."""
        return len(self.times) - self.times.null_count()

    def share_of_logs(self, among: int) -> float:
        """Share of ``among`` values that it puts between SINCE and UNTIL."""
        return int(self.times.is_between(SINCE, UNTIL).fill_null(False).sum()) / max(among, 1)


@dataclass(frozen=True)
class Family:
    """Values of one shape, and every way to read them that none of them contradicts.

    Attributes:
        readings: one where the values allow one; several where they cannot be told apart; where each is contradicted by
            some value, all of them.
        mixed: each is contradicted: some values allow one way alone, others another alone.
    """

    readings: tuple[Reading, ...]
    mixed: bool = False

    @property
    def rows(self) -> int:
        """How many values it reads, in one way or another."""
        return len(read_by_any(self.readings).filter(read_by_any(self.readings)))


def family_of(readings: Sequence[Reading]) -> Family:
    """The readings that no value contradicts: those that read whatever any of them reads.

    >>> one, other = pl.Series([1, None]), pl.Series([5, 7])
    >>> [r.name for r in family_of([Reading("a", "", one), Reading("b", "", other)]).readings]
    ['b']
    """
    held = [r for r in readings if r.rows]
    if len(held) < 2:
        return Family(tuple(held or readings[:1]))
    union = read_by_any(held)
    covering: list[Reading] = []
    for reading in held:
        if (reading.times.is_not_null() == union).all() and not any(reading.times.equals(c.times) for c in covering):
            covering.append(reading)
    return Family(tuple(covering)) if covering else Family(tuple(held), mixed=True)


def read_by_any(readings: Sequence[Reading]) -> pl.Series:
    """(N,) bool: whether some reading reads a value."""
    seen = readings[0].times.is_not_null()
    for reading in readings[1:]:
        seen = seen | reading.times.is_not_null()
    return seen
