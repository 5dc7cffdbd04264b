"""Which column of a catalogue is the id, the title, the brand, the categories, the description: settings, then usual names.

Knows nothing about what columns hold (``catalogue``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.shell import setting
from isrf.data.dataset import Columns
from isrf.data.readers.column_names import TEXT_NAMES, usual
from isrf.data.readers.log_columns import missing_columns

SETTINGS = {
    Columns.ITEM: "data.item_column",
    Columns.TITLE: "data.title_column",
    Columns.BRAND: "data.brand_column",
    Columns.CATEGORIES: "data.category_column",
    Columns.DESCRIPTION: "data.description_column",
}
"""Column here -> the setting that names it."""


def named_columns(settings: DataSettings) -> dict[str, str]:
    """Column here -> the catalogue's column that a setting names as it; USER where a setting names the log's."""
    named = {
        Columns.USER: settings.user_column,
        Columns.ITEM: settings.catalogue_item_column or settings.item_column,
        Columns.TITLE: settings.title_column,
        Columns.BRAND: settings.brand_column,
        Columns.CATEGORIES: settings.category_column,
        Columns.DESCRIPTION: settings.description_column,
    }
    return {name: column for name, column in named.items() if column is not None}


def require_item_column(file: Path, names: Sequence[str], settings: DataSettings) -> None:
    """Raise IsrfError where ``data.catalogue_item_column`` names a column that a catalogue has not."""
    given = settings.catalogue_item_column
    if given is not None and given not in names:
        raise missing_columns(file, names, [f"data.catalogue_item_column={given}"], [])


def text_columns(names: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Source column -> TITLE, BRAND, CATEGORIES or DESCRIPTION: those named, else those of the usual names.

    Args:
        names: columns of the source, but for that of the ids.
        named: column here -> the source's column.
    """
    given = {column: name for name, column in named.items() if name in TEXT_NAMES}
    free = [n for n in names if n not in given]
    found = {name: usual(free, wanted) for name, wanted in TEXT_NAMES.items() if name not in named}
    return given | {column: name for name, column in found.items() if column is not None}


def names_here(names: list[str], item: str, named: Mapping[str, str], file: Path) -> dict[str, str]:
    """Source column -> its name here, for every column but the id. Raises IsrfError."""
    texts = [column for name, column in named.items() if name in TEXT_NAMES]
    twice = next((column for column in texts if column == item or texts.count(column) > 1), None)
    if twice is not None:
        settings = [SETTINGS[name] for name, column in named.items() if column == twice and name in SETTINGS]
        another = " or ".join(setting(name, "NAME") for name in settings)
        raise IsrfError(f"{file}: column {twice!r} serves twice; name another with {another}")
    others = [n for n in names if n != item]
    renamed = text_columns(others, named)
    result: dict[str, str] = {}
    taken: dict[str, str] = {}
    for source in others:
        name = renamed.get(source, source.strip().lower())
        if source not in renamed and name in named:  # another column was named as the title, say
            name = f"other {name}"
        if name in taken:
            raise IsrfError(f"{file}: columns {taken[name]!r} and {source!r} are both {name!r} here; rename one")
        result[source] = name
        taken[name] = source
    return result
