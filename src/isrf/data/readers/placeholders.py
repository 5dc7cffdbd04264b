"""Words for nothing that programs write where a value is missing: nan, NULL, None, N/A, \\N, -.

What a catalogue says in them is not text. As an id such a word is no id, unless something speaks for it:

- an item id, where the catalogue names an item so that has a title, and which has no more rows than any other item;
- a user id that has as many rows as other users: from the 5th to the 95th percentile of theirs. What stands where an id
  is missing gathers the rows of many people, or few.

Rows without an id are bad rows, and every word that is kept as an id is told of. ``data.placeholders=keep`` ends all of
this: then words are what they say. Knows nothing about files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import polars as pl

from isrf.core.shell import setting
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, Table

WORDS = frozenset(
    (
        *(
            "nan",
            "-nan",
            "+nan",
            "null",
            "none",
            "nil",
            "n/a",
            "#n/a",
            "#n/a n/a",
            "n / a",
            "#value!",
            "#ref!",
            "#div/0!",
            "#name?",
            "#num!",
            "#na",
            "<na>",
            "nat",
            "<nat>",
            "undefined",
        ),
        *("\\n", "(null)", "(none)", "[null]", "<null>", "<none>", "{null}", "#null!", "-1.#ind", "1.#qnan", "n.a."),
        *("-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", ".", "?", '""', "''"),
    )
)
"""In lower case."""
EXACT_WORDS = frozenset(("NA",))
"""As they stand: "na" is a word of several languages."""
ORDINARY = frozenset(("none", "null", "nil", "undefined"))
"""Words that texts hold in lower case: keywords of a catalogue may be cut out of prose."""


def kept_words() -> str:
    """The setting that takes words for nothing as they stand."""
    return setting("data.placeholders", "keep")


FEW, MANY = 0.05, 0.95
MOST_SHOWN = 5


def is_placeholder(texts: pl.Series) -> pl.Series:
    """(N,) bool.

    >>> is_placeholder(pl.Series(["nan", "NA", "na", "\\\\N", "B001", None])).to_list()
    [True, True, False, True, False, False]
    """
    return texts.alias("texts").to_frame().select(_words(pl.col("texts"))).to_series().alias(texts.name)


def _words(texts: pl.Expr) -> pl.Expr:
    """The same of a column of str, or of many at once."""
    plain = texts.str.strip_chars()
    return (plain.str.to_lowercase().is_in(list(WORDS)) | plain.is_in(list(EXACT_WORDS))).fill_null(value=False)


def without_missing(table: Table, user: str, item: str, items: RawCatalogue | None, bad: BadRows) -> Table:
    """The rows of a log whose ids are ids; others are rejected. Raises IsrfError under "fail"."""
    for role, column in (("user", user), ("item", item)):
        ids = table.frame[column].alias("id")
        words = is_placeholder(ids)
        if not words.any():
            continue
        rows = ids.value_counts(name="rows")
        others = rows.filter(~is_placeholder(rows["id"]))["rows"]
        if role == "user":
            low, high = others.quantile(FEW, "lower"), others.quantile(MANY, "higher")
            kept = rows.filter(pl.col("rows").is_between(low, high))["id"] if len(others) else ids.clear()
        else:
            kept = rows.filter(pl.col("rows") <= others.max())["id"] if len(others) else rows["id"]
            kept = kept.filter(kept.is_in(named_by(items).implode()))
        missing = words & ~ids.is_in(kept.implode())
        if not missing.any():
            continue
        count = f"{int(missing.sum()):,} of {len(ids):,} rows"
        said = f"{role} ids: {shown(ids.filter(missing))} stand for no id in {count}"
        bad.tell(f"warning: {table.file.name}: {said} and were left out; if they are ids: {kept_words()}")
        reason = (
            f"stands for a missing value and is no {role} id ({count} hold such words); if it is an id: {kept_words()}"
        )
        table = bad.drop(table, missing, column, lambda v, reason=reason: f"{v!r} {reason}")  # type: ignore[misc]
    return table


def named_by(items: RawCatalogue | None) -> pl.Series:
    """Item ids that a catalogue names with a title; all of its ids where it has no titles."""
    if items is None:
        return pl.Series([], dtype=pl.String)
    frame = items.table.frame
    titled = frame.filter(frame[Columns.TITLE] != "")
    return (titled if titled.height else frame)[Columns.ITEM]


def of_log_alone(catalogue: RawCatalogue, logged: pl.Series, bad: BadRows) -> Table:
    """The catalogue's rows but those whose id stands for a missing value and is not in the log. IsrfError under "fail"."""
    ids = catalogue.table.frame[Columns.ITEM]
    missing = is_placeholder(ids) & ~ids.is_in(logged.implode())
    return bad.drop(
        catalogue.table,
        missing,
        Columns.ITEM,
        lambda v: (
            f"{v!r} stands for a missing value and is no item id ({int(missing.sum()):,} rows); if it is an id: {kept_words()}"
        ),
        shown_as=catalogue.item_column,
    )


def tell_of_kept(log: pl.DataFrame, file: str, bad: BadRows) -> None:
    """A warning that names every id of a log that is a word for nothing and is kept."""
    for role, column in (("user", Columns.USER), ("item", Columns.ITEM)):
        ids = log[column]
        words = is_placeholder(ids)
        if words.any():
            bad.tell(
                f"warning: {file}: {role} ids that usually stand for missing values were kept, as they are used like others: "
                f"{shown(ids.filter(words))}; if they stand for none, take their rows out of the source"
            )


def shown(words: pl.Series) -> str:
    """The words with the number of their rows, the most frequent first."""
    rows = words.alias("word").value_counts(sort=True, name="rows").head(MOST_SHOWN)
    told = ", ".join(f"{word!r} ({count:,})" for word, count in rows.iter_rows())
    return told + (", ..." if words.n_unique() > MOST_SHOWN else "")


def blanked(table: Table, ids: str) -> tuple[Table, Counter[str]]:
    """A catalogue's table with "" for every cell of text that is such a word, but for the ids; and how many, by column."""
    frame = table.frame
    kinds = {column: kind for column, kind in frame.schema.items() if column not in (ids, ROW)}
    changed = [frame[column].fill_nan(None) for column, kind in kinds.items() if kind.is_float()]
    # all at once, as a catalogue may have thousands of columns; numbered, as one may be named like a pattern of polars
    texts = {c: frame[c].cast(pl.String) for c, kind in kinds.items() if kind in (pl.String, pl.Categorical, pl.Enum)}
    numbered = pl.DataFrame([values.alias(str(n)) for n, values in enumerate(texts.values())])
    found = numbered.select(_words(pl.all()).sum()).row(0) if texts else ()
    rows = Counter({column: count for column, count in zip(texts, found, strict=True) if count})
    for column in rows:
        words = is_placeholder(texts[column])
        changed.append(pl.select(pl.when(words).then(pl.lit("")).otherwise(texts[column])).to_series().alias(column))
    return table.having(frame.with_columns(changed)), rows


def tell_of_blanked(cells: Mapping[str, int], file: str, bad: BadRows) -> None:
    """A warning that counts what was read as no text, by column; none where there is nothing to tell of."""
    if cells:
        told = ", ".join(f"{column!r} {count:,}" for column, count in cells.items())
        bad.tell(
            f"warning: {file}: markers of missing values (nan, NULL, N/A, -, ...) were read as no text, cells by column: {told}; "
            f"to take them as they stand: {kept_words()}"
        )


def without_words(texts: dict[str, pl.Series], whole: Collection[str]) -> tuple[dict[str, pl.Series], Counter[str]]:
    """The texts of a catalogue without such words: among the values of a list, and where markup was taken out around one.

    And how many cells changed, by column.

    Args:
        texts: column -> str, the values of lists joined by LIST_SEPARATOR.
        whole: columns that are no lists.
    """
    found: dict[str, pl.Series] = {}
    cells: Counter[str] = Counter()
    for name, values in texts.items():
        if name in whole:
            found[name] = pl.select(pl.when(is_placeholder(values)).then(pl.lit("")).otherwise(values)).to_series()
        else:
            found[name] = without_terms(values, ordinary=name != Columns.CATEGORIES)
        if changed := int((found[name] != values).sum()):
            cells[name] = changed
    return found, cells


def without_terms(categories: pl.Series, ordinary: bool = False) -> pl.Series:
    """Lists joined by LIST_SEPARATOR, without values that are such words.

    Args:
        ordinary: values are words of prose (keywords, tags), in which "none" and "null" mean something in lower case.
    """
    if not is_placeholder(categories.str.split(LIST_SEPARATOR).explode()).any():
        return categories
    lists = categories.str.split(LIST_SEPARATOR)
    element = pl.element()
    words = element.str.strip_chars().str.to_lowercase().is_in(list(WORDS)) | element.is_in(list(EXACT_WORDS))
    if ordinary:
        words &= ~element.str.strip_chars().is_in(list(ORDINARY))
    kept = pl.col("terms").list.eval(element.filter(~words)).list.join(LIST_SEPARATOR)
    return lists.alias("terms").to_frame().select(kept.alias(categories.name)).to_series()
