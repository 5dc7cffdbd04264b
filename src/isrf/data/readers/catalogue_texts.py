"""Which columns of a catalogue hold text, under which name, and how several values in a cell are separated.

Rules, by column, so that a catalogue never depends on single cells:

- those that settings name, else the usual names, become TITLE, BRAND, CATEGORIES and DESCRIPTION; others keep their
  own, in lower case;
- numbers (95% of the values), links, truth values and what is no text are no texts, and are counted; years are texts.
  Filters know them all the same (``data.readers.column_types``);
- lists and records, also literals of them (``literals``), are the texts that they hold, joined by LIST_SEPARATOR (in
  titles, brands and descriptions by a blank);
- markup is taken out of what remains, and counted (``markup``);
- a text column is taken for a list where some cell holds "|", or where at least 30% of the cells hold ";" (else
  ",") and 95% of what it separates has at most 4 words and 40 characters: "crack, red, polish" becomes
  "crack|red|polish". Never a title, brand or description.

Knows nothing about file formats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import polars as pl

from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.readers.catalogue_columns import SETTINGS, names_here
from isrf.data.readers.column_hints import title_warning
from isrf.data.readers.column_names import ITEM_NAMES, TEXT_NAMES, USER_NAMES, usual
from isrf.data.readers.column_types import typed_columns
from isrf.data.readers.ids import with_ids
from isrf.data.readers.literals import list_literals
from isrf.data.readers.log_columns import missing_columns
from isrf.data.readers.markup import SUSPECT, shown, shown_name
from isrf.data.readers.nested import listed, structs_as_columns
from isrf.data.readers.placeholders import blanked, tell_of_blanked, without_words
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, Table
from isrf.data.readers.wide_tables import plain_columns

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
CLEANED = "catalogue cells from which markup was taken"
"""What is counted of ``markup``."""


def raw_catalogue(
    table: Table,
    rows_read: int,
    named: Mapping[str, str],
    bad: BadRows,
    lists: Collection[str] = (),
    *,
    placeholders: str = "missing",
) -> RawCatalogue:
    """The catalogue's ids and texts; rows without an id are rejected.

    Args:
        table: all columns of the source, and ROW.
        rows_read: rows of the source, those already rejected included.
        lists: columns that the format says are lists, joined by LIST_SEPARATOR already.
        placeholders: ``data.readers.placeholders``.
        named: column here -> the source's column (``named_columns``). Others are found by the usual names; so is that
            of the ids where the catalogue has no such column, as the setting may mean the log alone.

    Raises:
        IsrfError: columns are missing, two are of one name, one serves twice, or a bad row under "fail".
    """
    table = table.having(structs_as_columns(table.frame, named.values()))
    names = [c for c in table.frame.columns if c != ROW]
    item = named[Columns.ITEM] if named.get(Columns.ITEM) in names else usual(names, ITEM_NAMES)
    lacking = [f"{SETTINGS[name]}={named[name]}" for name in TEXT_NAMES if name in named and named[name] not in names]
    if lacking or item is None:
        raise missing_columns(table.file, names, lacking, ["item"] if item is None else [])
    users = named[Columns.USER] if named.get(Columns.USER) in names else usual(names, USER_NAMES)
    table = with_ids(table, item, "item", bad)
    blank: Counter[str] = Counter()
    if placeholders == "missing":
        table, blank = blanked(table, item)
    texts: dict[str, pl.Series] = {}
    left_out: dict[str, int] = {}
    warnings: list[str] = []
    odd: list[str] = []
    cleaned: Counter[str] = Counter()
    own_names = names_here(names, item, named, table.file)
    separated = {name for source, name in own_names.items() if source in lists and name not in WHOLE_TEXT}
    usual_rules = [s for s, name in own_names.items() if name not in (*TEXT_NAMES, *RESERVED) and s not in lists]
    plain, numbers = plain_columns(table.frame, usual_rules, NUMBER, MOSTLY)
    kinds = table.frame.schema
    for source, name in own_names.items():
        if source in plain:
            texts[name] = plain[source]
            continue
        if source in numbers:
            left_out[f"{source} (numbers)"] = numbers[source]
            continue
        values, why, is_list = _text(table.frame[source], name, source in lists, cleaned)
        if why:
            left_out[f"{source} ({why})"] = int(values.len() - values.null_count())
            if why == NO_TEXT and kinds[source] != pl.Boolean and values.null_count() < len(values):
                odd.append(source)
            if source in named.values():
                setting = next(SETTINGS[own] for own, column in named.items() if column == source and own in SETTINGS)
                warnings.append(
                    f"warning: {setting} names column {source!r} of {table.file.name}, which is left out: {why}"
                )
        else:
            texts[name] = values
            separated |= {name} if is_list else set()
    types = typed_columns(table.frame, own_names, texts, separated)
    known = {source for source, name in own_names.items() if name in types}
    left_out, for_filters = apart(left_out, known)
    if any(source not in known for source in odd):
        told = ", ".join(f"{source} ({kinds[source]})" for source in odd if source not in known)
        warnings.append(f"warning: {table.file.name}: columns of types that hold no text are left out: {told}")
    if cleaned.total():
        warnings.append(cleaned_line(table.file.name, cleaned))
    if placeholders == "missing":
        texts, changed = without_words(texts, WHOLE_TEXT)
        sources = {name: source for source, name in own_names.items()}
        blank.update({sources[name]: count for name, count in changed.items()})
    tell_of_blanked(blank, table.file.name, bad)
    if Columns.TITLE not in texts:
        shared = (Columns.BRAND, Columns.CATEGORIES)  # by many items, so none of them is a title
        likely = {source: texts[name] for source, name in own_names.items() if name in texts and name not in shared}
        warnings += [title_warning(likely, table.file.name)] if texts else []
        texts[Columns.TITLE] = pl.repeat("", table.frame.height, dtype=pl.String, eager=True)
    ordered = [n for n in TEXT_NAMES if n in texts] + sorted(set(texts) - set(TEXT_NAMES))
    frame = pl.DataFrame(
        [table.frame[item].alias(Columns.ITEM), *(texts[n].alias(n) for n in ordered), table.frame[ROW]]
    )
    counts = {CLEANED: cleaned.total()} if cleaned.total() else {}
    users = users if users != item else None
    columns = pl.DataFrame([*types.values(), table.frame[ROW]])
    sources = {source: name for source, name in own_names.items() if source != name}
    return RawCatalogue(
        *(table.having(frame), rows_read, left_out, item, users, tuple(warnings), counts),
        columns=columns,
        sources=sources,
        for_filters=for_filters,
    )


def apart(left_out: Mapping[str, int], kept: Collection[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Columns that are no text -> rows: those that are lost, and those that filters know.

    Args:
        left_out: "source (why)" -> rows in which it holds anything.
        kept: source columns that filters know.
    """
    parts: tuple[dict[str, int], dict[str, int]] = {}, {}
    for told, rows in left_out.items():
        parts[told.rpartition(" (")[0] in kept][told] = rows
    return parts


def cleaned_line(file: str, cleaned: Mapping[str, int]) -> str:
    """What an import says of the cells that held markup; ``cleaned`` is their number by column."""
    told = ", ".join(f"{name} {count:,}" for name, count in cleaned.items() if count)
    return (
        f"{file}: HTML tags, entities or links were taken out of the texts of {sum(cleaned.values()):,} cells ({told})"
    )


def _text(values: pl.Series, name: str, is_list: bool, cleaned: Counter[str]) -> tuple[pl.Series, str | None, bool]:
    """The column as str without nulls, or the column with nulls where it is empty and why it is no text; whether it is a list.

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
