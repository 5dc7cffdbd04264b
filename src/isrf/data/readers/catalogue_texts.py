"""Which columns of a catalogue hold text, under which name, and how several values in a cell are separated.

Rules, by column, so that a catalogue never depends on single cells:

- those that settings name, else the usual names, become TITLE, BRAND, CATEGORIES and DESCRIPTION; others keep their
  own, in lower case;
- numbers (95% of the values), links, truth values and what is not text are no texts, and are counted; years are texts.
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

from isrf.data.dataset import Columns
from isrf.data.readers.catalogue_columns import SETTINGS, names_here
from isrf.data.readers.column_hints import title_warning
from isrf.data.readers.column_names import ITEM_NAMES, TEXT_NAMES, USER_NAMES, usual
from isrf.data.readers.column_types import typed_columns
from isrf.data.readers.ids import with_ids
from isrf.data.readers.log_columns import missing_columns
from isrf.data.readers.nested import structs_as_columns
from isrf.data.readers.placeholders import blanked, tell_of_blanked, without_words
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, Table
from isrf.data.readers.text_column import MOSTLY, NO_TEXT, NUMBER, RESERVED, WHOLE_TEXT, text_of
from isrf.data.readers.wide_tables import plain_columns

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
        values, why, is_list = text_of(table.frame[source], name, source in lists, cleaned)
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
