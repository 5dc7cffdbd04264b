"""Columns that are looked at all together are read as each of them would be alone."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isrf.data.readers import catalogue_texts as catalogue
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, Table

MARKED = ["<b>x</b>", "&amp;", "//cdn/a.png", "http://a.b/c", "www.a.b", "WWW.a.b"]
LISTS = ["a|b", "a;b", "a, b", '["a", "b"]', "['a']", "{'a': 1}", "np.array(['a'])", "(a)"]
OTHER = ["", " ", "x y", "5", "1,5", "9.90 €", "nan", "NULL", "-", "2014"]
CELL = st.one_of(st.none(), st.text(max_size=8), st.integers().map(str), st.sampled_from([*MARKED, *LISTS, *OTHER]))
COLUMN = st.one_of(
    st.lists(CELL, min_size=4, max_size=4).map(lambda cells: pl.Series(cells, dtype=pl.String)),
    st.lists(st.none() | st.integers(-9, 9999), min_size=4, max_size=4).map(lambda v: pl.Series(v, dtype=pl.Int64)),
    st.lists(st.none() | st.floats(), min_size=4, max_size=4).map(lambda v: pl.Series(v, dtype=pl.Float64)),
    st.lists(st.none() | st.booleans(), min_size=4, max_size=4).map(lambda v: pl.Series(v, dtype=pl.Boolean)),
)
NAMES = ["title", "brand", "colour", "year", "Year made", "size", "timestamp", "categories", "x", "y"]


def read(columns: dict[str, pl.Series], placeholders: str) -> RawCatalogue:
    frame = pl.DataFrame({"item": ["a", "b", "c", "d"], **columns, ROW: [1, 2, 3, 4]})
    return catalogue.raw_catalogue(Table(Path("items.csv"), frame), 4, {}, BadRows("fail"), placeholders=placeholders)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(NAMES), COLUMN, min_size=1), st.sampled_from(["missing", "keep"]))
def test_together_as_alone(columns: dict[str, pl.Series], placeholders: str) -> None:
    together = read(columns, placeholders)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(catalogue, "plain_columns", lambda *_: ({}, {}))
        alone = read(columns, placeholders)
    assert together.table.frame.equals(alone.table.frame)
    assert together.left_out == alone.left_out
