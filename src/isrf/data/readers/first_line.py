"""The first lines of a text table: names of columns, a row of data, a comment, or a word to a spreadsheet.

Nothing is read otherwise without being told: a first line that looks like data is refused, as its row would be lost, and
``data.readers.header`` says what it is. Columns of a file without names are ``column_1``, ``column_2``, ..., and
settings name them so or by the number alone. Knows nothing about what a column means, nor how fields are separated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.shell import setting, together
from isrf.data.readers.epochs import NUMBER
from isrf.data.readers.times import families_of, looks_like_times

Mode = Literal["auto", "first", "none"]
COMMENT = ("#", "%", "//")
SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)
"""What spreadsheets write above the names, and understand."""
MOST_COMMENTS = 1000
MOSTLY = 0.95
POSITION = "column_"
COLUMN_SETTINGS = (
    *("user_column", "item_column", "time_column", "position_column", "split_column"),
    *("title_column", "brand_column", "category_column", "description_column", "catalogue_item_column"),
)


@dataclass(frozen=True)
class Header:
    """How a text table begins.

    Attributes:
        separator: one character.
        names: of the columns, in the order of the file.
        lines: of the file before its first row.
        named: the file says the names itself; else they are positions.
        notes: lines for the person who imports.
    """

    separator: str
    names: list[str]
    lines: int = 1
    named: bool = True
    notes: tuple[str, ...] = ()


def preamble(lines: Iterator[str], fields: Callable[[str], int]) -> tuple[str, int, str | None]:
    """The first line that is neither comment nor ``sep=``, how many lines stand above it, and the separator they name.

    A line that begins like a comment but has as many fields as the line below it is one of names ("#user,item").

    Args:
        fields: number of fields of a line, by whichever separator makes most of it.
    """
    above, declared = 0, None
    ahead = [line.rstrip("\r\n") for line in islice(lines, MOST_COMMENTS)]
    for place, line in enumerate(ahead):
        found = SEPARATOR_LINE.match(line)
        if found is not None and declared is None:
            declared = found[1]
        elif not line.startswith(COMMENT) or not line_is_comment(line, ahead[place + 1 :], fields):
            return line, above, declared
        above += 1
    return (ahead[-1] if ahead else ""), max(above - 1, 0), declared


def line_is_comment(line: str, below: Sequence[str], fields: Callable[[str], int]) -> bool:
    others = (text for text in below if text.strip() and not SEPARATOR_LINE.match(text))
    following = next((text for text in others if not text.startswith(COMMENT)), None)
    return following is not None and (fields(line) != fields(following) or fields(line) < 2)


def positions(count: int) -> list[str]:
    """
    >>> positions(3)
    ['column_1', 'column_2', 'column_3']
    """
    return [f"{POSITION}{n}" for n in range(1, count + 1)]


def by_position(settings: DataSettings, header: Header) -> DataSettings:
    """The settings with "column_2" for a column that is named by its number, where the file has no names."""
    if header.named:
        return settings
    given = {name: getattr(settings, name) for name in COLUMN_SETTINGS}
    numbered = {
        name: f"{POSITION}{int(c)}" for name, c in given.items() if c is not None and c.isascii() and c.isdigit()
    }
    return settings.model_copy(update=numbered)


def counts_columns(names: Sequence[str]) -> bool:
    """Whether names only count columns, as libraries write a table that has none: 0,1,2 or 1,2,3.

    >>> counts_columns(["0", "1", "2"]), counts_columns(["", "0", "1"]), counts_columns(["7", "8"])
    (True, True, False)
    """
    held = [n for n in names if n]
    return len(held) > 1 and held in ([str(n) for n in range(k, k + len(held))] for k in (0, 1))


def looks_like_data(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a first line is of the same kind as the rows below it.

    In some column its field is a number or a time as (95% of) those below are, or has their shape (B001 above B017), or
    stands below it again. Rows that repeat the line as a whole say nothing: so do files put together from several.
    """
    below = [row for row in rows if len(row) == len(names) and list(row) != list(names)]
    if not below:
        return not rows and any(is_typed([name])[0] for name in names if name)
    for place, name in enumerate(names):
        if not name:
            continue
        held = [row[place].strip() for row in below if row[place].strip()]
        if not held:
            continue
        if name in held or (is_typed([name])[0] and share(is_typed(held)) >= MOSTLY):
            return True
        if any(c.isdigit() for c in name) and share([shape(v) == shape(name) for v in held]) >= MOSTLY:
            return True
    return False


def has_shape_of_data(names: Sequence[str], rows: Sequence[Sequence[str]], places: Sequence[int]) -> bool:
    """Whether in each of the columns at ``places`` the first line has the shape of (95% of) the rows below it.

    >>> has_shape_of_data(["AAA", "a-b"], [["BBC", "x-y"]], [0, 1]), has_shape_of_data(["who", "what"], [["ann", "x"]], [0, 1])
    (True, False)
    """
    below = [row for row in rows if len(row) == len(names)]
    return bool(below) and all(
        share([shape(row[place].strip()) == shape(names[place]) for row in below]) >= MOSTLY for place in places
    )


def share(found: Sequence[bool]) -> float:
    return sum(found) / max(len(found), 1)


def is_typed(values: Sequence[str]) -> list[bool]:
    """Whether each is a number or a time."""
    texts = pl.Series(list(values), dtype=pl.String).str.strip_chars()
    seen = texts.str.contains(NUMBER)
    for family in families_of(texts):
        for reading in family.readings:
            seen = seen | reading.times.is_not_null()
    return seen.to_list()


def shape(text: str) -> str:
    """
    >>> shape("B00-17x")
    'A99-99a'
    """
    return "".join("9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in text)


def likely_roles(rows: Sequence[Sequence[str]], width: int, role: str) -> str:
    """The settings that name columns by position, as far as the rows let one guess: the first ones that are no times."""
    columns = [[row[place] for row in rows if len(row) == width] for place in range(width)]
    times = [n for n, values in enumerate(columns, start=1) if looks_like_times(pl.Series(values, dtype=pl.String))]
    others = [n for n in range(1, width + 1) if n not in times[:1]]
    if role == "catalogue":
        worded = [n for n in others[1:] if not all(is_typed(columns[n - 1]))]
        return setting("data.title_column", worded[0]) if worded else ""
    named = [("data.user_column", others[:1]), ("data.item_column", others[1:2]), ("data.time_column", times[:1])]
    return together(setting(name, place[0]) for name, place in named if place)
