"""Lists and records that cells hold as text: by column, and never at the cost of a title in brackets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.own_catalogues import texts, write
from tests.growth import assert_linear

from isrf.core.config import DataSettings
from isrf.data.readers.literals import list_literals, plain_list, quoted
from isrf.data.readers.registry import read_dataset


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (['["a & b", "c"]', "[]"], ["a & b|c", ""]),
        (["['a', 'b']", "['it\\'s, so']"], ["a|b", "it's, so"]),
        (["[{'id': 28, 'name': 'Action'}, {'id': 1, 'name': 'War'}]", ""], ["Action|War", ""]),
        (["{'id': 1, 'name': 'Toy Story', 'poster': None}", "nan"], ["Toy Story", ""]),
        (['{"Home & Garden",NULL,tools}', "{a,b}"], ["Home & Garden|tools", "a|b"]),
        (["{a,b}", "{c}"], ["a|b", "c"]),
        (["['a' 'b']", "['c'\n 'd']"], ["a|b", "c|d"]),
        (["('a', 'b')", "('c',)"], ["a|b", "c"]),
        (["array(['a', 'b'], dtype=object)", "[np.str_('c')]"], ["a|b", "c"]),
        (["frozenset({'a'})", "set()"], ["a", ""]),
        (["['a', nan]", "[None, 'b']"], ["a", "b"]),
        (["['a', 'b', 'c", "['d']"], ["a|b|c", "d"]),
        (['"[\\"a\\"]"', '"[]"'], ["a", ""]),
        (['[["Home", "Garden"], ["Tools"]]', '["x"]'], ["Home|Garden|Tools", "x"]),
        (["[Action, War]", "[Drama]"], ["Action|War", "Drama"]),
        (["[&quot;a&quot;, &quot;b&quot;]", "[&quot;c&quot;]"], ["a|b", "c"]),
        (["Garden", "['a', 'b']"], ["Garden", "a|b"]),
        (["['a';'b']", "['c']"], ["a|b", "c"]),
        (["'a', 'b'", "'c'"], ["a|b", "c"]),
        (["{id=1, name=Garden}", "{id=2, name=Home}"], ["Garden", "Home"]),
        (['c("Garden", "Other")', "Home", 'c("a", NA)', "character(0)"], ["Garden|Other", "Home", "a", ""]),
        (["[Row(name='Garden'), Row(name='Other')]", "[Row(id=1, name='Home')]"], ["Garden|Other", "Home"]),
        (["OrderedDict([('name','Garden')])", "[OrderedDict([('id', 1), ('name', 'Home')])]"], ["Garden", "Home"]),
        (["'Garden', 'Other'", "'Home, sweet'", '"a","b"'], ["Garden|Other", "Home, sweet", "a|b"]),
        (["[{'id': 28, 'name': 'Garden'}, {'id': 3, 'na", "[{'id': 2, 'name': 'Home'}, {'id"], ["Garden", "Home"]),
        (['[{"id": 28, "name": "Garden"}, {"id": 3', '[{"id": 2, "name": "Home"}'], ["Garden", "Home"]),
        (["['a', 'b', 'c", "['d', 'e"], ["a|b|c", "d|e"]),
        (["<p>", "<br><b>"], ["", ""]),
        (["<Garden><html><b>", "<c++><i>", "<p>", ""], ["Garden|html|b", "c++|i", "p", ""]),
        (["[rock 'n' roll, pop]", "[kid's]"], ["rock 'n' roll|pop", "kid's"]),
    ],
)
def test_literals_of_a_csv_column(tmp_path: Path, cells: list[str], read: list[str]) -> None:
    items = [{"item_id": f"p{n}", "title": "Pan", "categories": cell} for n, cell in enumerate(cells)]
    assert texts(tmp_path, items, "csv").get("categories", ["", ""]) == read


def test_titles_in_brackets_stay_and_literal_titles_do_not(tmp_path: Path) -> None:
    titles = ["[REC]", "(500) Days of Summer", "[REC] 2", "(1984)", "{Proof}", "['Ghost']", "Kettle"]
    items = [{"item_id": f"p{n}", "title": title, "brand": "(RED)"} for n, title in enumerate(titles)]
    assert texts(tmp_path, items, "csv") == {"title": titles, "brand": ["(RED)"] * 7}
    again = [{"item_id": "p0", "title": "['Iron Pan']"}, {"item_id": "p1", "title": '["Pot"]'}]
    assert texts(tmp_path, again, "csv") == {"title": ["Iron Pan", "Pot"]}


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["[Maker0]", "[Maker1, Inc.]", ""], ["Maker0", "Maker1, Inc.", ""]),
        (["OrderedDict([('name','Maker0')])", "OrderedDict([('name','Maker1')])"], ["Maker0", "Maker1"]),
        (['c("Maker0")', "Maker1"], ["Maker0", "Maker1"]),
        (["[Maker0]", "Maker1", "Maker2"], ["[Maker0]", "Maker1", "Maker2"]),
        (["'Maker0'", "'Maker1', 'B'"], ["'Maker0'", "'Maker1', 'B'"]),
    ],
)
def test_literals_of_a_brand_column(tmp_path: Path, cells: list[str], read: list[str]) -> None:
    items = [{"item_id": f"p{n}", "title": "Pan", "brand": cell} for n, cell in enumerate(cells)]
    assert texts(tmp_path, items, "csv")["brand"] == read


@pytest.mark.parametrize("part", ["[{'a", "({", "[{'a': 1}, ", "OrderedDict([(", "<a>", "'a', ", "c('"])
def test_a_hostile_literal_takes_no_quadratic_time(part: str) -> None:
    assert_linear(lambda size: list_literals(pl.Series("x", [part * size] * 2)), 20_000)


def test_numbers_in_a_list_are_numbers(tmp_path: Path) -> None:
    items = [{"item_id": "p0", "title": "Pan", "ids": "[1, 2]"}, {"item_id": "p1", "title": "Pot", "ids": "[3]"}]
    dataset = read_dataset(*write(tmp_path, "csv", items), DataSettings(min_interactions=0))
    assert dataset.catalogue.columns == ["item_id", "title"]
    assert dataset.counts["catalogue column for filters, no text: ids (numbers), rows"] == 2


WORDS = st.text(st.characters(categories=["L", "Nd", "Zs", "Po"], exclude_characters="|"), max_size=8)


@given(st.lists(st.lists(WORDS, max_size=3), min_size=1, max_size=4), st.sampled_from([json.dumps, str]))
def test_what_a_program_wrote_is_read_again(lists: list[list[str]], written: Any) -> None:
    found = list_literals(pl.Series("x", [written(cell) for cell in lists]))
    assert found is not None
    assert found.to_list() == [list(dict.fromkeys(w.strip() for w in cell if w.strip())) for cell in lists]


@given(st.lists(st.text(st.sampled_from("[](){}'\",:ab\\ 1|"), max_size=12), min_size=1, max_size=4))
def test_any_cells_are_read_as_something(cells: list[str]) -> None:
    list_literals(pl.Series("x", cells))
    list_literals(pl.Series("x", cells), is_title=True, is_whole=True)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("['Vitamin NA mix', 'for inf use', nan]", ["Vitamin NA mix", "for inf use", None]),
        ("['the null hypothesis']", ["the null hypothesis"]),
        ("['a np.str_(x) b', np.str_('c')]", ["a np.str_(x) b", "c"]),
    ],
)  # fmt: skip
def test_words_within_strings_stay(text: str, meant: list[str | None]) -> None:
    assert quoted(text) == meant


def test_brackets_that_belong_to_a_text_stay() -> None:
    assert plain_list("[Lego (Set), Toys, [Cars]]") == ["Lego (Set)", "Toys", "Cars"]
    assert plain_list("(red) kettle, (blue)") is None


def test_a_text_that_begins_with_a_bracket_is_whole_beside_lists() -> None:
    column = pl.Series("tags", [f"['fine {n}']" for n in range(3)] + ['[New] Pan for "real" cooks, 3 cm'] * 9)
    for is_whole in (True, False):
        found = list_literals(column, is_whole=is_whole)
        assert found is not None and found.to_list()[3] == ['[New] Pan for "real" cooks, 3 cm']


def test_wrappers_within_wrappers_are_looked_into_only_so_deep() -> None:
    assert quoted("array(" * 20_000 + ")" * 20_000) is None
