"""Terms: what is read from a catalogue's texts, and that numbers say the same as the strings did."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from isrf.data.dataset import Columns
from isrf.data.training_data import Catalogue
from isrf.reasoning.attributes.terms import SLICE, TERMS_PER_ITEM, Terms, is_prose, read_terms
from isrf.reasoning.text import words


def terms_of(titles: list[str], **attributes: list[str]) -> Terms:
    ids = [f"i{n}" for n in range(len(titles))]
    schema = [Columns.ITEM, Columns.TITLE, *attributes]
    table = pl.DataFrame([ids, titles, *attributes.values()], schema=dict.fromkeys(schema, pl.String))
    return read_terms(Catalogue(table))


def told(terms: Terms, row: int) -> list[str]:
    return [terms.names[t] for t in terms.of(row)]


@pytest.mark.parametrize(
    ("title", "tags", "read"),
    [
        ("Iron Teapot for the kitchen", "", ["iron", "teapot", "kitchen"]),
        ("", "Home > Kitchen > Tea Pots", ["home", "kitchen", "tea pots"]),
        ("teapot", "Tea|Teapot|Tea", ["teapot", "tea"]),
        ("film", "1994|42|?", ["film", "1994"]),  # a year is a value, any other bare number is not
        ("kettle", "boils water in two minutes and then switches itself off, quite silently", None),
        ("", "", []),
    ],
)
def test_what_is_read_in_reading_order(title: str, tags: str, read: list[str] | None) -> None:
    prose = ["kettle", *words(tags)]  # a value too long for a name is counted by its words
    assert told(terms_of([title], tags=[tags]), 0) == (prose if read is None else read)


def test_an_endless_description_is_not_read_to_its_end() -> None:
    terms = terms_of(["lamp " * 3, " ".join(f"word{n}x" for n in range(200))], text=["light|" * 500 + "dark", "dark"])
    assert told(terms, 0) == ["lamp", "light", "dark"]
    assert told(terms, 1) == [f"word{n}x" for n in range(TERMS_PER_ITEM)]
    assert terms.titled.tolist() == [1, TERMS_PER_ITEM]


def test_items_of_every_slice_keep_their_row() -> None:
    n = SLICE + 3
    terms = terms_of([f"lamp number{row}" for row in range(n)])
    assert terms.has.shape == (n, n + 1)
    assert [told(terms, row) for row in (0, SLICE - 1, SLICE, n - 1)] == [
        ["lamp", f"number{row}"] for row in (0, SLICE - 1, SLICE, n - 1)
    ]


def test_the_reading_order_cannot_be_lost() -> None:
    terms = terms_of(["zebra apple", "apple zebra"])
    assert told(terms, 0) == ["zebra", "apple"]
    with pytest.raises(ValueError, match="read-only"):
        terms.has.sort_indices()


def test_a_fragment_begins_a_commoner_word_and_stands_in_no_title() -> None:
    terms = terms_of(["shimmer gloss", "shimmer", "cult film"], tags=["shim|cult", "shim|cultivated", "cultivated"])
    assert [name for name, piece in zip(terms.names, terms.fragment, strict=True) if piece] == []
    more = terms_of(["shimmer gloss", "shimmer", "cult film"], tags=["shim|cult", "cultivated", "cultivated"])
    assert [name for name, piece in zip(more.names, more.fragment, strict=True) if piece] == ["shim"]


def test_an_emoji_behind_a_word_makes_no_fragment_of_it() -> None:
    terms = terms_of(["", "", ""], tags=["party", "party🎉", "party🎉"])
    assert terms.names == ["party", "party🎉"] and not terms.fragment.any()


TEXTS = st.text(st.sampled_from("abc é9|> ") | st.characters(exclude_categories=["Cs"]), max_size=40)


@given(rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=8))
def test_numbers_say_what_the_texts_say(rows: list[tuple[str, str, str]]) -> None:
    titles, brand, tags = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    terms = terms_of(titles, brand=brand, tags=tags)
    assert terms.names == sorted(set(terms.names))
    assert terms.items_with.tolist() == np.bincount(terms.has.indices, minlength=len(terms.names)).tolist()
    assert (terms.items_with > 0).all() and (terms.has.data == 1).all()
    assume(not terms.languages)  # then a text is read by what the others are written in (test_wording)
    for row, (title, *_) in enumerate(rows):
        if all(is_prose(column) == is_prose([column[row]]) for column in (brand, tags)):
            alone = terms_of([title], brand=[brand[row]], tags=[tags[row]])
            assert told(terms, row) == told(alone, 0), "the others decide whether a column is free text, and no more"
        assert len(set(told(terms, row))) == len(told(terms, row)) <= TERMS_PER_ITEM
        assert told(terms, row)[: terms.titled[row]] == words(title.replace("<", "(").replace(">", ")"))


def test_an_item_takes_eight_bytes_a_term() -> None:
    terms = terms_of([f"lamp {n % 7}x{n % 5} brass" for n in range(1000)])
    has = terms.has
    assert has.nnz == 3000 and has.data.nbytes + has.indices.nbytes == 8 * 3000
    assert has.indptr.dtype == np.int32 and terms.titled.nbytes == 1000


GARDEN = [
    "Tomatensamen aus dem Hause Alpina; für Garten.",
    "Rechen aus dem Hause Hausmann; für Garten.",
    "Topf aus dem Hause Alpina; für Küche.",
    "Topf aus dem Hause Alpina; für Küche.",
]


def test_free_text_is_counted_by_its_words_whatever_its_column_is_called() -> None:
    """Each of these is short enough for a value, and two items have the same: it is a sentence all the same."""
    terms = terms_of(
        ["samen", "rechen", "topf", "topf"], beschreibung=GARDEN, marke=["Alpina", "Hausmann", "Alpina", ""]
    )
    assert not any(" " in name or "." in name for name in terms.names)
    assert told(terms, 0) == ["samen", "tomatensamen", "hause", "alpina", "garten"]


@pytest.mark.parametrize(
    ("cells", "free"),
    [
        (GARDEN, True),
        (["Boils water in two minutes", "A lamp for those who read at night", ""], True),
        (["The Dark Side of the Moon"] * 9, False),  # a name that many items share
        (["iron|straight|vent|inch|distinctive", "sunscreen|boat|banana|sport|performance"], False),
        (["Home > Kitchen > Kettle and Tea > Iron", "Home > Garden > Rake and Hoe > Wood"], False),
        (["Tea Co.", "Mill & Sons Inc.", "L'Oréal", "e.l.f.", "leaf"], False),
        (["Sci-Fi", "Film-Noir", "1978", None], False),
        (["", None], False),
        ([], False),
    ],
)
def test_free_text_is_told_by_what_it_is(cells: list[str | None], free: bool) -> None:
    assert is_prose(cells) is free


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Küche..", "küche"),
        ("tea co.", "tea co"),
        ("by e.l.f.", "by e.l.f."),
        ("garden; ", "garden"),
        ("yes!", "yes"),
        ("1978.", "1978"),
    ],
)
def test_punctuation_behind_a_value_is_no_part_of_it(value: str, read: str) -> None:
    assert told(terms_of(["", ""], brand=[value, ""]), 0) == [read]
