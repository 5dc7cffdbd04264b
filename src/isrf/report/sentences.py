"""How long the texts of many rows are, and how alike. Knows nothing about where they come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from isrf.core.progress import track
from isrf.reasoning.answers.quality import near_duplicates, sentence_key
from isrf.reasoning.llm.prompts import Field
from isrf.reasoning.tables import ReasonColumns
from isrf.report.examples import SENTENCE, shortened

BIN = 5
"""Words a bin of the histograms holds: 1 to 5, 6 to 10, ..."""
BLOCK = 5000
"""Sentences that are compared between two steps of the progress bar."""
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"


@dataclass(frozen=True)
class Lengths:
    """Words of one field.

    Attributes:
        limit: most words it may have.
        empty: rows that say nothing.
        counts: rows with 1 to ``BIN`` words, ``BIN`` + 1 to 2 ``BIN``, ...; the limit's bin is always there.
        median: over rows that say something, 0 where none does.
    """

    limit: int
    empty: int
    counts: tuple[int, ...]
    median: float


@dataclass(frozen=True)
class Sentences:
    """The texts of rows that LLMs wrote, or of those that attribute statistics wrote.

    Attributes:
        statistics: whether attribute statistics wrote them.
        near_duplicates: share of features that another of these rows has as well in nearly the same words.
        repeated, repeated_rows: the feature that most rows have, but for case, punctuation and digits; "" and 0 where
            no two have the same.
    """

    statistics: bool
    rows: int
    lengths: dict[Field, Lengths]
    near_duplicates: float
    repeated: str
    repeated_rows: int


def sentences_of(table: pl.DataFrame, limits: dict[Field, int], statistics: bool) -> Sentences:
    """Lengths and likeness of the texts of some rows; ``limits`` are the most words of each field."""
    said = [text for text in table[ReasonColumns.FEATURE].to_list() if text]
    keys = _keys(said)
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    most = int(counts.max(initial=0))
    return Sentences(
        statistics=statistics,
        rows=table.height,
        lengths={field: _lengths(table[field], limit) for field, limit in limits.items()},
        near_duplicates=near_duplicates(said),
        repeated=shortened(said[int(first[counts == most].min())], SENTENCE) if most > 1 else "",
        repeated_rows=most if most > 1 else 0,
    )


def _keys(texts: list[str]) -> np.ndarray:
    """(n,) int64 ``sentence_key`` of each text."""
    starts = track(range(0, len(texts), BLOCK), "compare features")
    parts = [np.fromiter(map(sentence_key, texts[start : start + BLOCK]), dtype=np.int64) for start in starts]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _lengths(texts: pl.Series, limit: int) -> Lengths:
    words = words_in(texts).to_numpy()
    said = words[words > 0]
    bins = (np.ceil(said / BIN) - 1).astype(np.int64)
    counts = np.bincount(bins, minlength=-(-limit // BIN))
    median = float(np.median(said)) if len(said) else 0.0
    return Lengths(limit, len(words) - len(said), tuple(counts.tolist()), median)


def words_in(texts: pl.Series) -> pl.Series:
    """(n,) float64: words as white space divides them; two letters of a script without spaces count as one.

    Punctuation that stands by itself is no word.
    """
    rest = rf"[^\s{_UNSPACED}]*"
    apart = texts.str.count_matches(rf"{rest}[[\p{{L}}\p{{N}}]--[{_UNSPACED}]]{rest}")
    return apart.cast(pl.Float64) + texts.str.count_matches(rf"[{_UNSPACED}]") / 2
