"""One column of a catalogue as text: whether it is one, what it says without markup, whether its cells are lists.

Knows nothing about what the other columns hold, and nothing about file formats.
"""

from __future__ import annotations

from collections import Counter

import polars as pl

from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.readers.column_names import TEXT_NAMES
from isrf.data.readers.literals import list_literals
from isrf.data.readers.markup import SUSPECT, shown, shown_name
from isrf.data.readers.nested import listed
from isrf.data.readers.raw import ROW

WHOLE_TEXT = (Columns.TITLE, Columns.BRAND, Columns.DESCRIPTION)
"""Columns that are never taken for a list."""
NAMES = (Columns.TITLE, Columns.BRAND)
"""Columns whose cells are names, of which something always remains."""
RESERVED = {Columns.ITEM, Columns.USER, Columns.TIME, Columns.ORDER, Columns.USER_ROW, Columns.ITEM_ROW, ROW}
MOSTLY = 0.95
LIST_SHARE = 0.3
TERM_WORDS, TERM_CHARACTERS = 4, 40
MONEY = r"(?:[$€£¥￥]|EUR|USD|GBP|CHF|CNY|RMB|元)"
NUMBER = rf"^{MONEY}?\s*[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?\s*(?:%|{MONEY})?$"
LINK = r"^(https?:)?//"
BAR = r"&(?:#0*124|#[xX]0*7[cC]|vert|verbar|VerticalLine);"
"""An escaped LIST_SEPARATOR, which separates nothing."""
QUOTED = r"""^(?:'(?P<a>[^']*)'|"(?P<b>[^"]*)")$"""
"""A value of a list with quotes around it, as where the brackets of a literal were taken away."""
NO_TEXT = "no text"


def text_of(values: pl.Series, name: str, is_list: bool, cleaned: Counter[str]) -> tuple[pl.Series, str | None, bool]:
    """The column as str without nulls, or the column with nulls where it is empty and why it is not text; whether it is a list.

    Args:
        values: the column as read.
        name: what it is called here.
        is_list: its cells are lists joined by LIST_SEPARATOR.
        cleaned: cells that held markup, by column; added to.
    """
    given = _readable(values)
    if given is None:
        return values, NO_TEXT, False
    if given.dtype == pl.String:
        texts = given.str.strip_chars().fill_null("")
        if name not in TEXT_NAMES and len(present := texts.filter(texts != "")) and _mostly(present, LINK, 0.5):
            return _where_present(texts), "links", is_list
        whole = {"is_title": name == Columns.TITLE, "is_whole": name in WHOLE_TEXT}
        literals = None if is_list else list_literals(texts, **whole, bare=False)
        if literals is None:
            texts, marked = without_markup(texts, name not in WHOLE_TEXT, name in NAMES)
            # of an escaped literal, [&quot;a&quot;], the quotes are seen now alone
            literals = None if is_list else list_literals(texts, **whole)
            cleaned[name] += marked
        given = texts if literals is None else literals
    if isinstance(given.dtype, pl.List):
        texts, marked = _cleaned_lists(given, name)
        cleaned[name] += marked
        is_list = True
    texts = texts.fill_null("")
    present = texts.filter(texts != "")
    if name in RESERVED:
        return _where_present(texts), "reserved name", is_list
    if name not in TEXT_NAMES and len(present):
        if _mostly(present, LINK, 0.5):
            return _where_present(texts), "links", is_list
        terms = present.str.split(LIST_SEPARATOR).explode() if is_list else present
        if "year" not in name and _mostly(terms, NUMBER, MOSTLY):
            return _where_present(texts), "numbers", is_list
    if "year" in name and (values.dtype.is_float() or present.str.contains(r"^[0-9]{1,4}(\.0)?$").all()):
        texts = texts.str.replace(r"\.0$", "")
    if not is_list and name not in WHOLE_TEXT and (sign := _list_sign(present)) is not None:
        terms = texts.str.split(sign).list.eval(pl.element().str.strip_chars().str.replace(QUOTED, "$a$b"))
        texts, is_list = _joined(terms, name), True
    return texts.fill_null(""), None, is_list and name not in WHOLE_TEXT


def _readable(values: pl.Series) -> pl.Series | None:
    """The column as str or as lists of str; None where it is of a type that holds no text."""
    if hasattr(pl, "BaseExtension") and isinstance(values.dtype, pl.BaseExtension):
        values = values.ext.storage()
    dtype = values.dtype
    if isinstance(dtype, pl.String):
        return values
    try:
        if dtype == pl.Binary:  # as some programs write texts
            texts = values.cast(pl.String)
            return None if texts.str.contains(r"[\x00-\x08\x0e-\x1f\x7f]").any() else texts
        if isinstance(dtype, pl.List) and not dtype.inner.is_nested() and dtype.inner != pl.Binary:
            return None if dtype.inner == pl.Boolean else values.cast(pl.List(pl.String), strict=False)
        if dtype.is_nested():
            return _nested(values)
        if dtype in (pl.Boolean, pl.Object, pl.Duration, pl.Time):
            return None
        return values.cast(pl.String, strict=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None


def _nested(values: pl.Series) -> pl.Series | None:
    """Lists of lists, records and maps as lists of their texts; None where they hold none."""
    found = listed(values.name, values.to_list())
    return found if found.list.len().sum() or values.null_count() == len(values) else None


def _mostly(texts: pl.Series, pattern: str, share: float) -> bool:
    return bool(len(texts)) and float(texts.str.contains(pattern).mean()) >= share  # type: ignore[arg-type]


def _where_present(texts: pl.Series) -> pl.Series:
    return pl.select(pl.when(texts != "").then(texts)).to_series()


def without_markup(texts: pl.Series, is_list: bool, is_name: bool = False) -> tuple[pl.Series, int]:
    """Texts as they are shown (``markup``), and how many cells were changed; nulls stay.

    Args:
        texts: str.
        is_list: LIST_SEPARATOR separates their values, so that an escaped one becomes a slash.
        is_name: what is nothing but markup stays.
    """
    suspect = texts.str.contains(SUSPECT).fill_null(value=False)
    if not suspect.any():
        return texts, 0
    places = suspect.arg_true()
    before = texts.gather(places)
    read = before.str.replace_all(BAR, "/") if is_list else before
    read_as = shown_name if is_name else shown
    after = pl.Series([read_as(text) for text in read.to_list()], dtype=pl.String)
    return texts.scatter(places, after), int((after != before).sum())


def _cleaned_lists(lists: pl.Series, name: str) -> tuple[pl.Series, int]:
    """Lists of str as one str each, every element without markup; and how many lists held some."""
    places = pl.DataFrame({"row": pl.int_range(len(lists), eager=True)})
    rows = places.with_columns(text=lists).filter(lists.list.len() > 0).explode("text")
    texts, marked = without_markup(rows["text"], is_list=True, is_name=name in NAMES)
    if not marked:
        return _joined(lists, name), 0
    changed = rows.filter(texts.ne_missing(rows["text"]))["row"].n_unique()
    again = rows.with_columns(texts).group_by("row").agg("text")
    return _joined(places.join(again, on="row", how="left", maintain_order="left")["text"], name), changed


def _joined(lists: pl.Series, name: str) -> pl.Series:
    """Each list as one str: stripped, empty values dropped."""
    between = " " if name in WHOLE_TEXT else LIST_SEPARATOR
    stripped = pl.col("lists").list.eval(pl.element().str.strip_chars())
    kept = stripped.list.eval(pl.element().filter(pl.element() != ""))
    return lists.alias("lists").to_frame().select(kept.list.join(between, ignore_nulls=True)).to_series()


def _list_sign(present: pl.Series) -> str | None:
    """What separates the values of a list column; None where the column is plain text."""
    if not len(present):
        return None
    if present.str.contains(LIST_SEPARATOR, literal=True).any():
        return LIST_SEPARATOR
    for sign in (";", ","):
        if present.str.contains(sign, literal=True).mean() < LIST_SHARE:  # type: ignore[operator]
            continue
        terms = present.str.split(sign).explode().str.strip_chars()
        terms = terms.filter(terms != "")
        short = (terms.str.count_matches(r"\s+") < TERM_WORDS) & (terms.str.len_chars() <= TERM_CHARACTERS)
        if len(terms) and short.mean() >= MOSTLY:  # type: ignore[operator]
            return sign
    return None
