"""What a log says of how much something was liked, where it is not read: every row counts as liked, and this tells of it.

Knows which values of a scale are low, and nothing of what is done with a log.
"""

from __future__ import annotations

import polars as pl

from isrf.core.shell import setting
from isrf.data.readers.raw import BadRows

LOW = 0.4
"""Up to this share of the highest value on a scale a rating is low: 1 and 2 of 5, 1 to 4 of 10, 0 of 1."""
LONGEST_SHOWN = 40
"""Characters of a value that a warning shows."""
MOST_SHOWN = 6
COUNTED = "rows that hold "
"""How the count begins that ``Dataset.counts`` keeps."""


def tell_of_ratings(values: pl.Series, column: str, file: str, bad: BadRows) -> dict[str, int]:
    """Tell what a column of ratings holds; the count of low ones, by name, where there are any.

    Args:
        values: one a row, of any type.
        column, file: what the source calls them.
    """
    if values.dtype.is_nested() or values.dtype in (pl.Object, pl.Binary):
        return {}
    texts = values.cast(pl.String, strict=False).str.strip_chars()
    texts = texts.filter((texts != "").fill_null(False))
    if not len(texts):
        return {}
    told = f"column {column!r} of {file} is not read, so every row counts as liked"
    numbers = texts.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    known = numbers.filter(numbers.is_finite().fill_null(False))
    if len(known) * 2 <= len(texts):
        bad.tell(f"warning: {told}, whatever it holds: {shares(texts)}")
        return {}
    top, least = float(known.max()), float(known.min())  # type: ignore[arg-type]
    low = known.filter(known <= LOW * top) if top > least else known.clear()
    if not len(low):
        bad.tell(f"{told}: {shares(known)}")
        return {}
    bound = float(low.max())  # type: ignore[arg-type]
    bad.tell(
        f"warning: {told}, also the {len(low):,} of {len(values):,} rows that hold {bound:g} or less (of {top:g}): "
        f"{shares(known)}; if those are not likes, say from which rating on they are: {likes_from(known, bound)}"
    )
    return {f"{COUNTED}{bound:g} or less (of {top:g}) in column {column!r} (not read, counted as liked)": len(low)}


def likes_from(values: pl.Series, low: float) -> str:
    """The setting that takes the ratings above the low ones for likes."""
    return setting("data.min_value", float(values.filter(values > low).min()))  # type: ignore[arg-type]


def shares(values: pl.Series) -> str:
    """The most frequent values with their rows, in the order of the values."""
    rows = values.alias("value").value_counts(sort=True, name="rows")
    most = rows.head(MOST_SHOWN).sort("value")
    told = ", ".join(
        f"{_short(v) if isinstance(v, str) else f'{v:g}'} in {count:,} rows" for v, count in most.iter_rows()
    )
    return told + (f", {rows.height - MOST_SHOWN:,} other values" if rows.height > MOST_SHOWN else "")


def _short(text: str) -> str:
    """A value as a line may hold it."""
    plain = text if text.isprintable() else repr(text)[1:-1]
    return plain if len(plain) <= LONGEST_SHOWN else f"{plain[:LONGEST_SHOWN]}…"
