"""Columns of a catalogue that are plainly texts or numbers, found all at once: a table of features has thousands of them.

To look at one column alone takes milliseconds whatever its length; at all of them together, seconds for ten thousands.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

ODD = r"[<&|;,\[({]|//|(?i:www\.)"
"""What every cell holds that may be markup, a link, a list, or the literal of one; a text without it stays as it is."""


def plain_columns(
    frame: pl.DataFrame, columns: Sequence[str], number: str, share: float
) -> tuple[dict[str, pl.Series], dict[str, int]]:
    """Those of some columns that no other rule concerns, and those that hold numbers.

    Args:
        frame: has the columns.
        columns: names of columns that are neither titles nor descriptions.
        number: pattern of a number.
        share: of the cells that hold anything have to be numbers.

    Returns:
        Column -> its texts without surrounding blanks, "" where there is none, of those without any ODD cell; and column of
        numbers -> rows where it holds anything. Numbers whose column speaks of years are texts.
    """
    kinds = frame.schema  # made anew each time that it is asked for
    # by series: an expression takes names like * and ^a.*$ for patterns
    texts = pl.DataFrame(
        [
            frame[name].cast(pl.String)
            for name in columns
            if kinds[name] == pl.String or (kinds[name].is_numeric() and "year" not in name.lower())
        ]
    )
    if not texts.width:
        return {}, {}
    texts = texts.select(pl.all().str.strip_chars().fill_null(""))
    held, numbers, odd = (
        texts.select(asked).row(0)
        for asked in ((pl.all() != "").sum(), pl.all().str.contains(number).sum(), pl.all().str.contains(ODD).any())
    )
    counted = {
        name: present
        for name, present, found in zip(texts.columns, held, numbers, strict=True)
        if present and found >= share * present and "year" not in name.lower()
    }
    plain = {
        values.name: values
        for values, strange in zip(texts.get_columns(), odd, strict=True)
        if not strange and values.name not in counted
    }
    return plain, counted
