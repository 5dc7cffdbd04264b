"""Which column of a log is user, item, time and position, and what their values mean. Knows nothing about files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from isrf.config import DataSettings
from isrf.data.dataset import Columns
from isrf.data.given import with_parts
from isrf.data.raw import BadRows, Table
from isrf.data.times import to_milliseconds
from isrf.errors import IsrfError

# Usual names, best first, compared without case, blanks and punctuation.
USER_NAMES = [
    "userid",
    "user",
    "uid",
    "reviewerid",
    "customerid",
    "customer",
    "memberid",
    "accountid",
    "clientid",
    "visitorid",
    "personid",
    "buyerid",
    "username",
    "sessionid",
]
# parent_asin before asin: the metadata of Amazon 2023 is keyed by it
ITEM_NAMES = [
    "itemid",
    "item",
    "iid",
    "parentasin",
    "asin",
    "productid",
    "product",
    "movieid",
    "filmid",
    "articleid",
    "bookid",
    "isbn",
    "trackid",
    "songid",
    "gameid",
    "businessid",
    "sku",
    "stockcode",
    "productcode",
    "contentid",
    "newsid",
]
TIME_NAMES = [
    "boughtat",
    "purchasedat",
    "orderedat",
    "createdat",
    "orderdate",
    "purchasedate",
    "timestamp",
    "time",
    "unixreviewtime",
    "unixtime",
    "unixtimestamp",
    "datetime",
    "date",
    "eventtime",
    "createdat",
    "reviewtime",
    "ratedat",
    "purchasedate",
    "orderdate",
    "invoicedate",
    "tdat",
    "ts",
]
PART_NAMES = ["split", "part", "fold", "subset", "partition"]
POSITION_NAMES = ["position", "pos", "rank", "order", "sequence", "seq", "step"]


@dataclass(frozen=True)
class Roles:
    """Names of the columns that make an interaction; None where the log has none."""

    user: str
    item: str
    time: str | None = None
    position: str | None = None
    part: str | None = None

    @property
    def columns(self) -> list[str]:
        named = (self.user, self.item, self.time, self.position, self.part)
        return list(dict.fromkeys(c for c in named if c is not None))


def plain(name: str) -> str:
    """A column name as it is compared: "userid" for "User_ID"."""
    return re.sub(r"[\W_]", "", name.lower())


def usual(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first of ``wanted`` (plain names, best first) among the column ``names``."""
    by_plain = {plain(n): n for n in reversed(names)}
    return next((by_plain[w] for w in wanted if w in by_plain), None)


def find_roles(file: Path, names: Sequence[str], settings: DataSettings, parted: bool = False) -> Roles:
    """The columns given by settings, else found by the usual names. Raises IsrfError listing the columns.

    Args:
        parted: a column has to say which part of the split a row belongs to.
    """

    def find(role: str, given: str | None, wanted: Sequence[str], setting: str) -> str | None:
        if given is not None and given not in names:
            raise IsrfError(
                f"{file}: no column {given!r} ({setting}); its columns are {', '.join(names)};"
                f" name the {role} column with --set {setting}=NAME"
            )
        return given if given is not None else usual(names, wanted)

    def needed(role: str, given: str | None, wanted: Sequence[str], setting: str) -> str:
        found = find(role, given, wanted, setting)
        if found is None:
            raise IsrfError(
                f"{file}: no {role} column found; its columns are {', '.join(names)};"
                f" name the {role} column with --set {setting}=NAME"
            )
        return found

    user = needed("user", settings.user_column, USER_NAMES, "data.user_column")
    item = needed("item", settings.item_column, ITEM_NAMES, "data.item_column")
    time = find("time", settings.time_column, TIME_NAMES, "data.time_column")
    position = find("position", settings.position_column, POSITION_NAMES, "data.position_column")
    if settings.position_column is None and time is not None:
        position = None  # a column that merely looks like a position has no say where there is a time
    part = needed("split", settings.split_column, PART_NAMES, "data.split_column") if parted else None
    if part is not None and part in (user, item, time, position):
        raise IsrfError(
            f"{file}: column {part!r} serves twice; name that of the split with --set data.split_column=NAME"
        )
    if len({user, item, time, position} - {None}) < sum(c is not None for c in (user, item, time, position)):
        raise IsrfError(
            f"{file}: one column serves twice (user {user!r}, item {item!r}, time {time!r}, position {position!r});"
            " name each with --set data.user_column=, data.item_column=, data.time_column=, data.position_column="
        )
    return Roles(user, item, time, position, part)


def interactions(table: Table, roles: Roles, bad: BadRows) -> pl.DataFrame:
    """The log as USER str, ITEM str, TIME Int64 ms UTC or null, ORDER Int64, PART if any, rows in the source's order.

    ORDER is the rank of the position column, or the row's place in the file. Rows with an empty id, an unreadable
    time, position or part are rejected. Raises IsrfError under "fail".
    """
    for role, column in (("user", roles.user), ("item", roles.item)):
        table = with_ids(table, column, role, bad)
    if roles.time is not None:
        table = to_milliseconds(table, roles.time, bad)
    if roles.part is not None:
        table = with_parts(table, roles.part, bad)
    order = pl.int_range(pl.len(), dtype=pl.Int64)
    if roles.position is not None:
        position = table.frame[roles.position].cast(pl.Float64, strict=False)
        table = bad_positions(table, position, roles.position, bad)
        order = pl.col(roles.position).cast(pl.Float64, strict=False).rank("dense").cast(pl.Int64) - 1
    time = pl.lit(None, pl.Int64) if roles.time is None else pl.col(roles.time)
    return table.frame.select(
        pl.col(roles.user).alias(Columns.USER),
        pl.col(roles.item).alias(Columns.ITEM),
        time.alias(Columns.TIME),
        order.alias(Columns.ORDER),
        *([] if roles.part is None else [pl.col(roles.part).alias(Columns.PART)]),
    )


def bad_positions(table: Table, position: pl.Series, column: str, bad: BadRows) -> Table:
    """The table without the rows whose position is no finite number."""
    return bad.drop(
        table,
        ~position.is_finite().fill_null(False),
        column,
        lambda v: f"position {v!r} is not a number; name another column with --set data.position_column=NAME",
    )


def with_ids(table: Table, column: str, role: str, bad: BadRows) -> Table:
    """The table with ``column`` as ids: str without surrounding blanks; rows without one are rejected."""
    values = table.frame[column]
    if values.dtype.is_nested() or values.dtype == pl.Object:
        raise IsrfError(f"{table.file}: column {column} holds lists or records, not {role} ids; name another column")
    if values.dtype.is_float() and (values.is_null() | values.is_nan() | (values == values.floor())).all():
        values = values.fill_nan(None).cast(pl.Int64, strict=False)  # whole numbers that a missing value made floats
    texts = values.cast(pl.String, strict=False).fill_null("").str.strip_chars()
    table = table.having(table.frame.with_columns(texts.alias(column)))
    table = bad.drop(table, texts == "", column, lambda _: f"empty {role} id")
    broken = table.frame[column].str.contains("\n", literal=True)
    return bad.drop(
        table, broken, column, lambda _: f"{role} id with a line break; is a quotation mark left open on this line?"
    )
