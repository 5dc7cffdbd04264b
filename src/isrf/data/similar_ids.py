"""Ids of a log and its catalogue that are one number, or look alike. Knows nothing about files.

``100.0`` beside ``100`` is the same number, as a missing value makes floats of integers: among ids of which 95% are numbers
it is read as ``100``, in log and catalogue alike, and told of (``data.decimal_ids=keep`` leaves them apart). Whatever else
looks alike (case, blanks, Unicode forms, leading zeros) is kept apart, as it may be meant, and told of with counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.shell import setting
from isrf.data.dataset import Columns
from isrf.data.readers.ids import EXACT
from isrf.data.readers.placeholders import of_log_alone, tell_of_kept
from isrf.data.readers.raw import BadRows, RawData

DECIMAL = r"^(-?(?:0|[1-9][0-9]*))(?:\.0*|,0)$"
"""How programs write a whole number that a float holds; the group is the number."""
NUMERIC = r"^-?[0-9]+(\.0*|,0)?$"
EXPONENT = r"^-?[0-9](?:\.([0-9]+))?[eE]\+?([0-9]{1,3})$"
"""How spreadsheets and R write a long number, of which digits are lost; the groups are its fraction and its exponent."""
MOSTLY, HALF = 0.95, 0.5
INVISIBLE = "[\\s\u00ad\u180e\u200b-\u200d\u2060\ufeff]+"

WAYS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "case": lambda ids: ids.str.to_lowercase(),
    "blanks": lambda ids: ids.str.replace_all(INVISIBLE, ""),
    "Unicode form": lambda ids: ids.str.normalize("NFKC"),
    "leading zeros": lambda ids: ids.str.replace(r"^0+([^\W_])", "$1"),
    "decimals": lambda ids: ids.str.replace(DECIMAL, "$1"),
}
"""In what ids may differ -> what is left of them without it."""


def settled_ids(raw: RawData, settings: DataSettings, bad: BadRows) -> RawData:
    """The log and its catalogue in the same ids; what was done, and what looks alike, is told of.

    Raises:
        IsrfError: a catalogue row whose id is a word for nothing, under "fail"; or ids are floats that lost digits.
    """
    if settings.decimal_ids == "whole":
        refuse_lost_digits(raw)
        raw = whole_numbers(raw, bad)
    if settings.placeholders == "missing":
        if raw.catalogue is not None:
            table = of_log_alone(raw.catalogue, raw.log[Columns.ITEM].unique(), bad)
            raw = replace(raw, catalogue=replace(raw.catalogue, table=table))
        tell_of_kept(raw.log, raw.file.name, bad)
    for role, ids in ids_of(raw).items():
        line = look_alikes(ids, role, files_of(raw, role))
        if line is not None:
            bad.tell(line)
        cut = with_exponent(ids)
        if len(cut):
            bad.tell(
                f"warning: {files_of(raw, role)}: {len(cut):,} {role} ids are numbers with an exponent ({cut[0]!r}), as "
                "spreadsheets write long numbers: digits may be lost, and ids may have become one; export them as text"
            )
    return raw


def refuse_lost_digits(raw: RawData) -> None:
    """Raise IsrfError where ids that are mostly numbers hold floats beyond what a float tells from its neighbours."""
    bound = EXACT["Float64"]
    for role, ids in ids_of(raw).items():
        if not mostly_numbers(ids):
            continue
        floats = ids.filter(ids.str.contains(DECIMAL) | ids.str.contains(EXPONENT))
        size = floats.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False).abs()
        lost = floats.filter((size >= bound).fill_null(False)).sort()
        if len(lost):
            raise IsrfError(
                f"{files_of(raw, role)}: holds {role} ids as floating-point numbers, and {len(lost):,} of them ({lost[0]!r}) "
                f"from {bound:,} on, where these no longer tell neighbours apart: ids may have become one already; write the "
                f"ids as integers or text; if they are no numbers but texts, {setting('data.decimal_ids', 'keep')} says so"
            )


def mostly_numbers(ids: pl.Series) -> bool:
    """Whether at least half of the ids are numbers, with an exponent or without: a text may look like a number too."""
    return bool(len(ids)) and int((ids.str.contains(NUMERIC) | ids.str.contains(EXPONENT)).sum()) >= HALF * len(ids)


def with_exponent(ids: pl.Series) -> pl.Series:
    """The ids whose exponent asks for more digits than they show, where ids are mostly numbers; sorted.

    >>> with_exponent(pl.Series(["7", "1.23457E+12", "1.5e1"])).to_list(), with_exponent(pl.Series(["1e5", "a", "b"])).to_list()
    (['1.23457E+12'], [])
    """
    if not mostly_numbers(ids):
        return ids.clear()
    parts = ids.str.extract_groups(EXPONENT).struct.unnest()
    shown = parts["1"].str.len_chars().fill_null(0)
    return ids.filter((parts["2"].cast(pl.Int64, strict=False) > shown).fill_null(False)).sort()


def ids_of(raw: RawData) -> dict[str, pl.Series]:
    """Role -> the distinct ids of log and catalogue."""
    items = [raw.log[Columns.ITEM].unique()]
    if raw.catalogue is not None:
        items.append(raw.catalogue.table.frame[Columns.ITEM].unique())
    return {"user": raw.log[Columns.USER].unique(), "item": pl.concat(items).unique()}


def files_of(raw: RawData, role: str) -> str:
    own = raw.file.name
    return own if role == "user" or raw.catalogue is None else f"{own} and {raw.catalogue.table.file.name}"


def whole_numbers(raw: RawData, bad: BadRows) -> RawData:
    """The same with ``100`` for ``100.0`` where ids are numbers."""
    for role, column in (("user", Columns.USER), ("item", Columns.ITEM)):
        ids = ids_of(raw)[role]
        decimal = ids.str.contains(DECIMAL)
        if not decimal.any() or ids.str.contains(NUMERIC).mean() < MOSTLY:  # type: ignore[operator]
            continue
        written = ids.filter(decimal)
        both = int(written.str.extract(DECIMAL, 1).is_in(ids.implode()).sum())
        rows = int(raw.log[column].str.contains(DECIMAL).sum())
        whole = pl.col(column).str.replace(DECIMAL, "$1")
        raw = replace(raw, log=raw.log.with_columns(whole))
        if role == "item" and raw.catalogue is not None:
            table = raw.catalogue.table
            rows += int(table.frame[column].str.contains(DECIMAL).sum())
            raw = replace(raw, catalogue=replace(raw.catalogue, table=table.having(table.frame.with_columns(whole))))
        if raw.explanations is not None:
            told = raw.explanations
            raw = replace(raw, explanations=replace(told, frame=told.frame.with_columns(whole)))
        if role == "item" and raw.source_order is not None:
            order = pl.Series(raw.source_order, dtype=pl.String).str.replace(DECIMAL, "$1")
            raw = replace(raw, source_order=order.unique(maintain_order=True).to_list())
        bad.tell(
            f"warning: {files_of(raw, role)}: {len(written):,} {role} ids in {rows:,} rows are written as decimal numbers "
            f"({written[0]!r}), as a missing value makes them, and were read as {written.str.extract(DECIMAL, 1)[0]!r}"
            + (f"; {both:,} of them are written both ways" if both else "")
            + f"; to take them as they stand: {setting('data.decimal_ids', 'keep')}"
        )
    return raw


def look_alikes(ids: pl.Series, role: str, files: str) -> str | None:
    """What of the distinct ids looks alike and is kept apart; None where nothing does."""
    frame = pl.DataFrame({"id": ids})
    told: list[str] = []
    seen = pl.Series([], dtype=pl.String)
    for what, key in WAYS.items():
        alike = alike_by(frame, key(pl.col("id")))
        if alike.height:
            told.append(f"{alike.height:,} in {what} ({examples(alike)})")
            seen = pl.concat([seen, alike["id"]])
    alike = alike_by(frame, without_any(pl.col("id")))
    rest = alike.filter(~pl.col("id").is_in(seen.implode()))
    if rest.height:
        partners = alike.filter(pl.col("key").is_in(rest["key"].implode()))
        told.append(f"{rest.height:,} in several ways ({examples(partners)})")
    if not told:
        return None
    return (
        f"warning: {files}: {role} ids that look alike are kept apart; they differ: {', '.join(told)}; where two are one "
        f"{role}, write them alike in the source"
    )


def without_any(ids: pl.Expr) -> pl.Expr:
    """What is left of ids without all that they may differ in."""
    for key in WAYS.values():
        ids = key(ids)
    return ids


def alike_by_chance(one: pl.Series, other: pl.Series) -> str:
    """How many ids two sets would share if they were written alike, for an error; "" where none.

    >>> alike_by_chance(pl.Series(["007", "b"]), pl.Series(["7"]))
    "; 1 would match but for case, blanks, leading zeros or the like: '007' and '7'"
    """
    pairs = pl.DataFrame({"one": one}).with_columns(without_any(pl.col("one")).alias("key"))
    others = pl.DataFrame({"other": other.unique()}).with_columns(without_any(pl.col("other")).alias("key"))
    others = others.group_by("key").agg(
        pl.col("other").min()
    )  # or thousands that are one would be paired with each other
    found = pairs.join(others, on="key").sort("one", "other")
    if not found.height:
        return ""
    first = found.row(0, named=True)
    return (
        f"; {found['one'].n_unique():,} would match but for case, blanks, leading zeros or the like: {first['one']!r} and "
        f"{first['other']!r}"
    )


def alike_by(frame: pl.DataFrame, key: pl.Expr) -> pl.DataFrame:
    """The ids, and their keys, that share a key with another id; sorted by key and id."""
    keyed = frame.with_columns(key.alias("key"))
    if keyed["key"].n_unique() == keyed.height:
        return keyed.clear()
    return keyed.filter(pl.col("key").is_duplicated()).sort("key", "id")


def examples(alike: pl.DataFrame) -> str:
    """The first two that are alike, so that what differs is seen.

    >>> examples(pl.DataFrame({"id": ["cafe\u0301", "caf\u00e9"], "key": ["x", "x"]}))
    "'cafe\\\\u0301', 'caf\\\\xe9'"
    """
    first = alike.filter(pl.col("key") == alike["key"][0])["id"].head(2)
    return ", ".join(ascii(text) if not any("\u2e80" <= c <= "\ud7ff" for c in text) else repr(text) for text in first)
