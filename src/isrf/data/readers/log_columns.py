"""Which column of a log is user, item, time and position, and what their values mean. Knows nothing about files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.shell import setting as option
from isrf.core.shell import together
from isrf.data.dataset import Columns
from isrf.data.readers.column_names import (
    EVENT_NAMES,
    ITEM_NAMES,
    PART_NAMES,
    POSITION_NAMES,
    RATING_NAMES,
    TIME_NAMES,
    USER_NAMES,
    usual,
)
from isrf.data.readers.ids import with_ids
from isrf.data.readers.placeholders import without_missing
from isrf.data.readers.raw import BadRows, RawCatalogue, Table
from isrf.data.readers.signals_of_log import signal_columns, with_likes, with_weights
from isrf.data.readers.times import to_milliseconds
from isrf.data.splits.predefined import with_parts

ROLES = ("user", "item", "time", "position")


@dataclass(frozen=True)
class Roles:
    """Names of the columns that make an interaction; None where the log has none."""

    user: str
    item: str
    time: str | None = None
    position: str | None = None
    part: str | None = None
    value: str | None = None
    event: str | None = None

    @property
    def columns(self) -> list[str]:
        named = (self.user, self.item, self.time, self.position, self.part, self.value, self.event)
        return list(dict.fromkeys(c for c in named if c is not None))


def find_roles(
    file: Path, names: Sequence[str], settings: DataSettings, parted: bool = False, doubt: str = ""
) -> Roles:
    """The columns given by settings, else found by the usual names.

    Args:
        doubt: what is said behind the names of the columns where some are missing.
        parted: a column has to say which part of the split a row belongs to.

    Raises:
        IsrfError: columns are missing (all of them are named, with those that are there), or one serves twice.
    """
    lacking = [
        f"{setting}={given}"
        for setting, given in (
            ("data.user_column", settings.user_column),
            ("data.item_column", settings.item_column),
            ("data.time_column", settings.time_column),
            ("data.position_column", settings.position_column),
            ("data.split_column", settings.split_column if parted else None),
            ("data.value_column", settings.value_column),
            ("data.event_column", settings.event_column),
        )
        if given is not None and given not in names
    ]
    user = settings.user_column or usual(names, USER_NAMES)
    item = settings.item_column or usual(names, ITEM_NAMES)
    time = settings.time_column or usual(names, TIME_NAMES)
    position = settings.position_column or (usual(names, POSITION_NAMES) if time is None else None)
    part = (settings.split_column or usual(names, PART_NAMES)) if parted else None
    free = [n for n in names if n not in (user, item, time, position, part)]
    value = None if settings.min_value is None else settings.value_column or usual(free, RATING_NAMES)
    event = None if settings.event_weights is None else settings.event_column or usual(free, EVENT_NAMES)
    wanted = [("user", user), ("item", item), *([("split", part)] if parted else [])]
    wanted += [("value", value)] if settings.min_value is not None else []
    wanted += [("event", event)] if settings.event_weights is not None else []
    unfound = [role for role, column in wanted if column is None]
    if lacking or unfound or user is None or item is None:
        raise missing_columns(file, names, lacking, unfound, doubt)
    if part is not None and part in (user, item, time, position):
        raise IsrfError(
            f"{file}: column {part!r} serves twice; name that of the split with {option('data.split_column', 'NAME')}"
        )
    if len({user, item, time, position} - {None}) < sum(c is not None for c in (user, item, time, position)):
        raise IsrfError(
            f"{file}: one column serves twice (user {user!r}, item {item!r}, time {time!r}, position {position!r});"
            " name each with " + together(option(f"data.{role}_column", "NAME") for role in ROLES)
        )
    signal = next((c for c in (value, event) if c is not None and c not in free), value if value == event else None)
    if signal is not None:
        raise IsrfError(
            f"{file}: column {signal!r} serves twice; name those of ratings and events with "
            + together(option(f"data.{role}_column", "NAME") for role in ("value", "event"))
        )
    return Roles(user, item, time, position, part, value, event)


def missing_columns(
    file: Path, names: Sequence[str], lacking: Sequence[str], unfound: Sequence[str], doubt: str = ""
) -> IsrfError:
    """One line on all columns that a file should have and has not.

    Args:
        names: the columns that are there.
        lacking: "data.x_column=NAME" settings whose column is not there.
        unfound: roles of which no usual name was met.
        doubt: said behind the columns that are there.
    """
    told = [f"no column {value!r} ({setting})" for setting, _, value in (text.partition("=") for text in lacking)]
    told += [f"no {' and no '.join(unfound)} column found"] if unfound else []
    settings = [*(text.partition("=")[0] for text in lacking), *(f"data.{role}_column" for role in unfound)]
    roles = [setting.removeprefix("data.").removesuffix("_column").replace("_", " ") for setting in settings]
    return IsrfError(
        f"{file}: {', '.join(told)}; its columns are {', '.join(names)}{doubt}; name the {' and the '.join(roles)} column with "
        + together(option(setting, "NAME") for setting in settings)
    )


def interactions(
    table: Table, roles: Roles, settings: DataSettings, bad: BadRows, items: RawCatalogue | None = None
) -> pl.DataFrame:
    """The log as USER str, ITEM str, TIME Int64 ms UTC or null, ORDER Int64, PART, DISLIKED and WEIGHT if any.

    Rows in the source's order. ORDER is the rank of the position column, or the row's place in the file. Rows with an
    empty id, an unreadable time, position, rating or part are rejected; so are words for nothing (``placeholders``), of
    which ``items``, the catalogue, may say that they are ids. Raises IsrfError under "fail".
    """
    for role, column in (("user", roles.user), ("item", roles.item)):
        table = with_ids(table, column, role, bad)
    if settings.placeholders == "missing":
        table = without_missing(table, roles.user, roles.item, items, bad)
    if roles.time is not None:
        table = to_milliseconds(table, roles.time, bad, settings.time_format)
    if roles.part is not None:
        table = with_parts(table, roles.part, bad)
    if roles.value is not None:
        table = with_likes(table, roles.value, bad)
    if roles.event is not None:
        table = with_weights(table, roles.event, settings.event_weights or {})
    order = pl.int_range(pl.len(), dtype=pl.Int64)
    if roles.position is not None:
        position = positions_of(table.frame[roles.position])
        table = bad_positions(table, position, roles.position, bad)
        order = pl.lit(position.filter(position.is_finite().fill_null(False)).rank("dense").cast(pl.Int64) - 1)
    time = pl.lit(None, pl.Int64) if roles.time is None else pl.lit(table.frame[roles.time])
    # by series: an expression takes names like * and ^a.*$ for patterns
    return table.frame.select(
        table.frame[roles.user].alias(Columns.USER),
        table.frame[roles.item].alias(Columns.ITEM),
        time.alias(Columns.TIME),
        order.alias(Columns.ORDER),
        *([] if roles.part is None else [pl.col(roles.part).alias(Columns.PART)]),
        *signal_columns(table, roles.value, roles.event, settings),
    )


def positions_of(values: pl.Series) -> pl.Series:
    """Integers where all are, which a float beyond 2^53 would make equal; else Float64, null where one is no number."""
    if values.dtype.is_integer():
        return values
    if values.dtype == pl.String:
        whole = values.str.strip_chars().cast(pl.Int64, strict=False)
        if not whole.null_count():
            return whole
    return values.cast(pl.Float64, strict=False)


def bad_positions(table: Table, position: pl.Series, column: str, bad: BadRows) -> Table:
    """The table without the rows whose position is no finite number."""
    return bad.drop(
        table,
        ~position.is_finite().fill_null(False),
        column,
        lambda v: f"position {v!r} is not a number; name another column with {option('data.position_column', 'NAME')}",
    )


def rating_roles(file: Path, column: str, names: Sequence[str], settings: DataSettings) -> Roles:
    """Columns of a format that names its own: USER, ITEM and TIME, and ``column`` as ratings where they are read.

    Args:
        names: what the format calls ratings, as ``data.value_column`` may.

    Raises:
        IsrfError: a setting asks for a column that the format has not.
    """
    refuse_signals(file, settings, names)
    value = None if settings.min_value is None else column
    return Roles(Columns.USER, Columns.ITEM, Columns.TIME, value=value)


def refuse_signals(file: Path, settings: DataSettings, ratings: Sequence[str] = ()) -> None:
    """Raise IsrfError where a setting asks for ratings or kinds of events that a format has not."""
    asked = None
    if settings.event_weights is not None:
        asked, what = "data.event_weights", "kinds of events"
    elif settings.min_value is not None and not ratings:
        asked, what = "data.min_value", "ratings"
    elif settings.value_column is not None and settings.value_column not in ratings:
        asked, what = "data.value_column", f"column {settings.value_column!r}, its ratings are {' or '.join(ratings)}"
    if asked is not None:
        raise IsrfError(f"{file}: this format has no {what}; undo the setting with {option(asked, None)}")
