"""Which column is probably meant where no name was recognised, and the warning that proposes it.

Nothing is read otherwise because of a guess: the user names the column. Knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from isrf.core.shell import setting
from isrf.data.readers.log_columns import Roles
from isrf.data.readers.times import looks_like_times

SAMPLED = 1000
"""So many rows of a log, the first ones, are looked at."""
TITLE_CHARACTERS = 120
"""A title is shorter than that in the mean."""


def time_warning(roles: Roles, sample: pl.DataFrame, file: str) -> str:
    """What a log without a time column is told: which of its columns holds times, or what orders its rows.

    Args:
        roles: of a log whose time is None.
        sample: rows of all its columns, under the source's names.
        file: the log's name.
    """
    ordering = "the source's order" if roles.position is None else f"column {roles.position!r}"
    for column in sample.columns:
        if column not in roles.columns and looks_like_times(sample[column]):
            return (
                f"warning: no time column was recognised in {file}, so {ordering} decides what came first; the values of "
                f"column {column!r} look like times: {setting('data.time_column', column)}"
            )
    if roles.position is not None:
        return f"{file} has no times; {ordering} decides what came first"
    named = setting("data.time_column", "NAME")
    return f"warning: the log has no times that were recognised, so its own order counts; {named} names one"


def title_warning(texts: Mapping[str, pl.Series], file: str) -> str:
    """What a catalogue with texts of which none is a title is told: which column could be it.

    Args:
        texts: column that could be a title -> its values, str, "" where absent.
        file: the catalogue's name.
    """
    held = {column: present for column, values in texts.items() if len(present := values.filter(values != ""))}

    def likelihood(column: str) -> tuple[bool, float]:
        """Short and of many different values: an item has a title of its own, and shares other words."""
        length = held[column].str.len_chars().mean()
        short = isinstance(length, float) and length <= TITLE_CHARACTERS
        return short, held[column].n_unique() / len(texts[column])

    told = f"warning: no title column was recognised in {file}, so items are shown by their id; "
    if not held:
        return f"{told}{setting('data.title_column', 'NAME')} names one"
    best = max(held, key=likelihood)
    return f"{told}column {best!r} could be it: {setting('data.title_column', best)}"
