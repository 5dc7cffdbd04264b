"""Reasons that an update keeps: what attribute statistics said of rows that are not new. Knows nothing about what is new."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from isrf.reasoning.sentences import Reasons
from isrf.reasoning.tables import STATISTICS, ReasonColumns


@dataclass(frozen=True)
class KeptReasons:
    """Reasons of N rows, of which some have to be counted.

    Attributes:
        table: (M,) reasoned rows of before, M <= N.
        rows: (n,) int64 rows to count, ascending.
        count: N.
    """

    table: pl.DataFrame
    rows: np.ndarray
    count: int

    @classmethod
    def of(cls, table: pl.DataFrame, new: np.ndarray) -> KeptReasons:
        """Of the table of before, and (N,) bool rows that are new; what a language model wrote there is counted, too."""
        wanted = new.copy()
        wanted[: table.height] |= (table[ReasonColumns.SUPPLIER] != STATISTICS).to_numpy()
        return cls(table, np.flatnonzero(wanted), len(new))

    def completed(self, counted: Reasons) -> Reasons:
        """(N,) reasons: those counted of ``rows``, and those of before."""
        columns = []
        for name, found in zip(
            (ReasonColumns.LIKES, ReasonColumns.DISLIKES, ReasonColumns.FEATURE),
            (counted.likes, counted.dislikes, counted.features),
            strict=True,
        ):
            texts = [*self.table[name].to_list(), *[""] * (self.count - self.table.height)]
            for row, text in zip(self.rows.tolist(), found, strict=True):
                texts[row] = text
            columns.append(texts)
        return Reasons(*columns)
