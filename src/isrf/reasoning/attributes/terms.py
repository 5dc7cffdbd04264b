"""From catalogue texts to terms: the words of titles and the attribute values that can be counted.

Reads the catalogue a slice at a time and keeps numbers, not strings, of each item. Knows nothing about interactions.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import polars as pl
import scipy.sparse as sp

from isrf.core.progress import track
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.training_data import Catalogue
from isrf.reasoning.attributes.function_words import SAMPLE, Wording, wording_of
from isrf.reasoning.languages import length_of
from isrf.reasoning.text import YEAR, clean

SLICE = 4096
"""Items whose texts are Python strings at the same time."""
CHUNK = 1 << 20
"""Entries of a flat array that are converted at once."""
TERMS_PER_ITEM = 48
"""Most terms of one item; the rest of an endless description is not read."""
VALUE_BYTES = 60
"""Longest single attribute value; what is longer is prose and counted by its words."""
TEXT_BYTES = 2000
"""How much of one attribute's text is read."""
SENTENCE_WORDS, TEXT_WORDS = 3, 5
"""Fewest words of a cell that counts as free text: where it ends as a sentence does, and where it does not."""
NUMERIC = 0.9
"""Share of filled cells without words from which on a column is one of numbers."""
SENTENCE_END = (".", "!", "?", "…", "。", "！", "？")
TRAILING = re.compile(r"(?:[\s,;:!?…。！？]|(?<!\.\w)\.)+$")
"""Punctuation that ends a value and is no part of it; the last stop of "e.l.f." is."""
EVERYWHERE, FEW = 0.5, 20
"""A word that more than this share of the items have in their titles and prose tells nothing about any, in a catalogue of
so many items or more."""
PATH_STEP = re.compile(r"\s+>\s+")
"""Between the levels of a category path, as in "Home > Kitchen > Kettle": each level is an attribute of its own."""


@dataclass(frozen=True)
class Terms:
    """What the catalogue says about its items, as numbers.

    Attributes:
        names: (T,) title words and attribute values, lower case, sorted.
        has: (I, T) float32 CSR, 1 where the item has the term. The entries of a row stand in reading order, so its
            arrays are read-only: sorting them in place would lose that order.
        titled: (I,) uint8, how many of the item's first entries are words of its title.
        items_with: (T,) int64, items that have the term, at least 1.
        fragment: (T,) bool, a piece of a word, as automatic keywords often are; never named.
        number: (T,) bool, the value of an attribute that holds numbers alone, such as a year: a fact about an item, but
            nobody's interest. A brand called 1928 is none.
        everywhere: (T,) bool, a word of most titles or most prose, and no attribute value; never named.
        languages: those other than English whose function words are no terms (``wording``).
    """

    names: list[str]
    has: sp.csr_matrix
    titled: np.ndarray
    items_with: np.ndarray
    fragment: np.ndarray
    number: np.ndarray
    everywhere: np.ndarray
    languages: tuple[str, ...] = ()

    def with_items(self, batch: Catalogue, order: np.ndarray, prose: list[str], wording: Wording) -> Terms:
        """The same terms with what more items have of them; a word that no item had is no term.

        Args:
            batch: n items.
            order: (I + m,) int64: for each item row its place among the I items here and, from I on, those of the batch.
            prose: columns that are free text, and ``wording`` of the catalogue that these terms are of.
        """
        number = {name: place for place, name in enumerate(self.names)}
        columns, lengths, titled = array("i"), [], array("B")
        for title, attributes in _texts(batch, prose):
            title_words = [word for word in wording.words(clean(title, TEXT_BYTES)) if word in number]
            values = [value for value in _values(attributes, wording, set()) if value in number]
            found = list(dict.fromkeys([*title_words, *values]))[:TERMS_PER_ITEM]
            columns.extend([number[term] for term in found])
            lengths.append(len(found))
            titled.append(min(len(dict.fromkeys(title_words)), TERMS_PER_ITEM))
        offsets = np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))])
        ones = np.ones(len(columns), dtype=np.float32)
        more = sp.csr_matrix((ones, np.asarray(columns, dtype=np.int32), offsets), shape=(len(batch), len(self.names)))
        has = sp.vstack([self.has, more], format="csr")[order]
        for entries in (has.data, has.indices, has.indptr):
            entries.flags.writeable = False
        return replace(self, has=has, titled=np.concatenate([self.titled, np.asarray(titled, dtype=np.uint8)])[order])

    def of(self, row: int) -> np.ndarray:
        """(n,) int32 terms of one item, in reading order."""
        indptr = self.has.indptr
        return self.has.indices[indptr[row] : indptr[row + 1]]


def read_terms(catalogue: Catalogue) -> Terms:
    """Title words, then attribute values, of every item.

    Takes 8 bytes for each term of an item (9 terms: 72 MB for a million items) and the distinct terms themselves.
    """
    number: dict[str, int] = {}  # in order of first appearance, until all are known and can be sorted
    in_titles: set[str] = set()
    as_values: set[str] = set()
    columns, lengths, titled = array("i"), array("B"), array("B")
    prose, wording = reading_of(catalogue)
    for title, attributes in _texts(catalogue, prose):
        title_words = wording.words(clean(title, TEXT_BYTES))
        in_titles.update(title_words)
        found = list(dict.fromkeys([*title_words, *_values(attributes, wording, as_values)]))[:TERMS_PER_ITEM]
        columns.extend([number.setdefault(term, len(number)) for term in found])
        lengths.append(len(found))
        titled.append(min(len(title_words), TERMS_PER_ITEM))
    names = sorted(number)
    place = np.empty(len(names), dtype=np.int32)
    place[np.fromiter(map(number.__getitem__, names), dtype=np.int32, count=len(names))] = np.arange(len(names))
    del number
    indices = np.asarray(columns, dtype=np.int32)
    items_with = np.zeros(len(names), dtype=np.int64)
    for start in range(0, len(indices), CHUNK):
        part = indices[start : start + CHUNK]
        part[:] = place[part]
        items_with += np.bincount(part, minlength=len(names))
    ones = np.ones(len(indices), dtype=np.float32)
    offsets = np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))])
    has = sp.csr_matrix((ones, indices, offsets), shape=(len(catalogue), len(names)))
    for entries in (has.data, has.indices, has.indptr):
        entries.flags.writeable = False
    everywhere = items_with > max(EVERYWHERE * len(catalogue), FEW * EVERYWHERE)
    for term in np.flatnonzero(everywhere).tolist():
        everywhere[term] = names[term] not in as_values
    facts = {
        number for name in _numeric(catalogue) for text in catalogue.table[name].unique() for number in _digits(text)
    }
    numbers = np.fromiter((term in facts for term in names), dtype=bool, count=len(names))
    fragments = _fragments(names, items_with, in_titles)
    counted = np.asarray(titled, dtype=np.uint8)
    return Terms(names, has, counted, items_with, fragments, numbers, everywhere, wording.languages)


def _numeric(catalogue: Catalogue) -> list[str]:
    """Columns of attributes that hold numbers and no words in nearly all cells that hold anything."""
    columns = catalogue.attribute_columns
    if not columns:
        return []
    number = r"^[\d\s.,|/:+-]*\d[\d\s.,|/:+-]*$"
    filled = (catalogue.table[name].filter(catalogue.table[name].str.contains(r"\S")) for name in columns)
    shares = [cells.str.contains(number).mean() for cells in filled]
    return [name for name, share in zip(columns, shares, strict=True) if isinstance(share, float) and share >= NUMERIC]


def _digits(text: str | None) -> list[str]:
    return re.findall(r"\d+", text) if text else []


def prose_columns(catalogue: Catalogue) -> list[str]:
    """Attributes that are free text, by their first cells."""
    return [name for name in catalogue.attribute_columns if is_prose(catalogue.table[name].head(SLICE).to_list())]


def reading_of(catalogue: Catalogue) -> tuple[list[str], Wording]:
    """How a catalogue is read: its columns of free text, and the words that are none of its terms."""
    prose = prose_columns(catalogue)
    return prose, wording_of(_sample(catalogue, prose))


def _sample(catalogue: Catalogue, prose: list[str]) -> list[str]:
    """Titles and prose of an even sample of the items."""
    rows = catalogue.table.gather_every(max(1, len(catalogue) // SAMPLE))
    return [text for name in (Columns.TITLE, *prose) for text in rows[name].to_list() if text]


def _texts(catalogue: Catalogue, prose: list[str]) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """Title of each item, and its attribute texts in column order, each with whether its column is free text.

    With progress, as a million take a minute.
    """
    table = catalogue.table.select(Columns.TITLE, *catalogue.attribute_columns)
    free_text = [name in prose for name in catalogue.attribute_columns]
    slices: Iterator[pl.DataFrame] = table.iter_slices(SLICE)
    for part in track(slices, "attributes of items", total=-(-table.height // SLICE)):
        for title, *attributes in zip(*(column.to_list() for column in part.get_columns()), strict=True):
            yield title, [(text, free) for text, free in zip(attributes, free_text, strict=True) if text]


def is_prose(cells: Sequence[str | None]) -> bool:
    """Whether a column is free text, as descriptions are, rather than names of brands, kinds or colours.

    It is where half of the cells end as a sentence does, or where half of them, no lists or paths, have many words and
    are like no other cell: a name is short, and shared.

    >>> is_prose(["Rake by Alpina; for the garden.", "Pot by Alpina; for the kitchen."]), is_prose(["Tea Pots", "Tea Tins"])
    (True, False)
    """
    said = [text for text in cells if text]
    counts = [length_of(text) for text in said]
    ended = sum(
        n >= SENTENCE_WORDS and text.rstrip().endswith(SENTENCE_END) for text, n in zip(said, counts, strict=True)
    )
    whole = {
        t for t, n in zip(said, counts, strict=True) if n >= TEXT_WORDS and LIST_SEPARATOR not in t and " > " not in t
    }
    return bool(said) and 2 * max(ended, len(whole)) >= len(said)


def _values(attributes: list[tuple[str, bool]], wording: Wording, as_values: set[str]) -> Iterator[str]:
    """Attribute values, words where a value or its whole column is prose, lower case, in reading order.

    ``as_values`` takes those that are no words of prose.
    """
    for text, free in attributes:
        if free:
            yield from wording.words(clean(text.replace(LIST_SEPARATOR, " "), TEXT_BYTES))
            continue
        for value in PATH_STEP.split(text[: 4 * TEXT_BYTES].replace(LIST_SEPARATOR, " > ")):
            value = clean(value, TEXT_BYTES).lower()
            if len(value.encode()) > VALUE_BYTES:
                yield from wording.words(value)
                continue
            value = TRAILING.sub("", value)
            if YEAR.fullmatch(value) or (any(c.isalpha() for c in value) and (" " in value or wording.words(value))):
                as_values.add(value)
                yield value


def _fragments(names: list[str], items_with: np.ndarray, in_titles: set[str]) -> np.ndarray:
    """(T,) bool: single words of no title that begin a commoner word, e.g. "cultiv" beside "cultivated"."""
    found = np.zeros(len(names), dtype=bool)
    for t, (term, after) in enumerate(pairwise([*names, ""])):
        if " " in term or term in in_titles or not after.startswith(term):
            continue
        stop = bisect_right(names, term + "\uffff", lo=t)
        found[t] = items_with[t + 1 : stop].max(initial=0) > items_with[t]
    return found
