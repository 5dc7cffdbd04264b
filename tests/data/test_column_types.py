"""Columns of a catalogue keep their types for filters; what reasoning reads does not change by it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isrf.core.config import Settings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.describe import describe, told_of
from isrf.data.readers.column_types import of_texts
from isrf.data.readers.registry import read_dataset
from isrf.data.storage import read_dataset_of, read_item_columns, read_training
from isrf.pipeline.import_data import import_data
from isrf.workspace.workspace import Workspace

KEEP_ALL = Settings(data={"min_interactions": 0}).data  # type: ignore[arg-type]
LOG = "user,item\nann,a\nann,b\nbob,a\nbob,c\nbob,b\n"
ITEMS = (
    "item,title,category,Price,In Stock,available_from,seen,tags,zip,mixed,image,year\n"
    'a,Apple,Fruit|Red,"$1,200.50",True,2024-01-31,2024-01-31T10:00:00Z,"x, y",01067,12,//i/a.png,1999\n'
    'b,Bread,Bakery,$3,false,2024-02-01,2024-01-31 10:00,"y",2,about 13,//i/b.png,2001\n'
    "c,Cake,,,,,,,,14,,\n"
)


def read(folder: Path, items: str = ITEMS) -> Dataset:
    (folder / "log.csv").write_text(LOG)
    (folder / "items.csv").write_text(items)
    return read_dataset(f"csv:{folder / 'log.csv'}", folder / "items.csv", KEEP_ALL)


def columns_of(dataset: Dataset) -> dict[str, tuple[str, list[Any]]]:
    assert dataset.columns is not None
    table = dataset.columns.table.sort(Columns.ITEM)
    return {name: (str(table[name].dtype), table[name].to_list()) for name in table.columns[1:]}


def test_columns_of_text_get_the_type_that_all_their_values_have(tmp_path: Path) -> None:
    dataset = read(tmp_path)
    assert columns_of(dataset) == {
        "categories": ("List(String)", [["Fruit", "Red"], ["Bakery"], None]),
        "price": ("Float64", [1200.5, 3.0, None]),
        "in stock": ("Boolean", [True, False, None]),
        "available_from": ("Date", [date(2024, 1, 31), date(2024, 2, 1), None]),
        "seen": ("Datetime(time_unit='us', time_zone='UTC')", [*[datetime(2024, 1, 31, 10, tzinfo=UTC)] * 2, None]),
        "tags": ("List(String)", [["x", "y"], ["y"], None]),
        "zip": ("String", ["01067", "2", None]),
        "image": ("String", ["//i/a.png", "//i/b.png", None]),
        "year": ("Int64", [1999, 2001, None]),
    }
    assert dataset.catalogue["mixed"].to_list() == ["12", "about 13", "14"], "several kinds: text, as it stands"
    assert dataset.catalogue["year"].to_list() == ["1999", "2001", ""], "what reasoning reads is what it was"
    rows = dict(describe(dataset))
    assert "price (67%)" in rows["catalogue columns"] and "mixed (100%)" in rows["catalogue columns"]
    told = rows["types of these columns"]
    assert (
        "price Float64" in told and "tags List[String]" in told and "mixed String" in told and "seen Datetime" in told
    )
    assert "price" not in told_of(dataset)[0].lower(), "a price is no loss"


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["12.50", "3"], "Float64", [12.5, 3.0]),
        (["1", "-2"], "Int64", [1, -2]),
        (["1e3", ".5"], "Float64", [1000.0, 0.5]),
        (["007", "8"], "String", ["007", "8"]),
        (["9" * 19, "1"], "String", ["9" * 19, "1"]),
        (["12345678901234567.5", "1"], "String", ["12345678901234567.5", "1"]),
        (["9007199254740993", "1"], "Int64", [9007199254740993, 1]),
        (["12,50 EUR", "3,99 EUR"], "Float64", [12.5, 3.99]),
        (["1,200", "1,300"], "String", ["1,200", "1,300"]),
        (["1.299,00 €", "5,00 €"], "Float64", [1299.0, 5.0]),
        (["-$5.25", "$7"], "Float64", [-5.25, 7.0]),
        (["$5", "€7"], "String", ["$5", "€7"]),
        (["50%", "7%"], "Float64", [50.0, 7.0]),
        (["yes", "No"], "Boolean", [True, False]),
        (["true", "no"], "String", ["true", "no"]),
        (["2024-02-30", "2024-01-01"], "String", ["2024-02-30", "2024-01-01"]),
        (["2024-01-01", "2024-01-01T12:00+02:00"], "Datetime(time_unit='us', time_zone='UTC')", None),
        (["01/02/2024", "03/04/2024"], "String", ["01/02/2024", "03/04/2024"]),
        (["nan", "1"], "String", ["nan", "1"]),
        (["inf", "1"], "String", ["inf", "1"]),
        (["1", "two"], "String", ["1", "two"]),
    ],
)
def test_texts_are_numbers_dates_or_truth_values_where_all_of_them_are(
    values: list[str], kind: str, expected: list[Any] | None
) -> None:
    read = of_texts({"x": pl.Series([*values, "", None])})["x"]
    assert str(read.dtype) == kind
    assert expected is None or read.to_list() == [*expected, None, None]


@given(st.lists(st.one_of(st.none(), st.text(max_size=6), st.integers().map(str), st.floats().map(str)), max_size=6))
@example(["\x1f"])
def test_no_value_is_lost_and_together_is_as_alone(values: list[str | None]) -> None:
    column = pl.Series(values, dtype=pl.String)
    alone = of_texts({"^x.*$": column})["^x.*$"]
    assert of_texts({"*": pl.Series(["1"] * len(values), dtype=pl.String), "b": column})["b"].equals(alone)
    # blanks are what polars takes for such: Python's strip takes \x1f too
    stripped = [value or None for value in column.str.strip_chars()]
    assert [value is None for value in alone.to_list()] == [
        value is None or pl.Series([value]).str.strip_chars()[0] == "" for value in stripped
    ]
    if alone.dtype == pl.Int64:
        assert alone.to_list() == [None if value is None else int(value) for value in stripped]


def test_types_of_parquet_are_kept(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "item": ["a", "b", "c"],
            "title": ["A", "B", "C"],
            "price": pl.Series([0.1, float("nan"), None], dtype=pl.Float32),
            "stock": pl.Series([1, 2, None], dtype=pl.UInt8),
            "until": [date(2024, 1, 1), None, date(2025, 1, 1)],
            "since": [datetime(2024, 1, 1, 5), None, None],
            "sizes": [[38, 39], [], None],
            "tags": [["x"], ["y", "z"], None],
            "new": [True, None, False],
            "cost": pl.Series(["1.50", None, "2"], dtype=pl.Decimal(10, 2)),
            "colour": pl.Series(["red", None, "red"], dtype=pl.Categorical),
        }
    ).write_parquet(tmp_path / "items.parquet")
    (tmp_path / "log.csv").write_text(LOG)
    found = columns_of(read_dataset(f"csv:{tmp_path / 'log.csv'}", tmp_path / "items.parquet", KEEP_ALL))
    assert found["price"] == ("Float64", [0.1, None, None]) and found["stock"] == ("Int64", [1, 2, None])
    assert found["until"] == ("Date", [date(2024, 1, 1), None, date(2025, 1, 1)])
    assert found["since"][1] == [datetime(2024, 1, 1, 5, tzinfo=UTC), None, None]
    assert found["sizes"] == ("List(Int64)", [[38, 39], None, None])
    assert found["tags"] == ("List(String)", [["x"], ["y", "z"], None])
    assert found["new"] == ("Boolean", [True, None, False]) and found["cost"] == ("Float64", [1.5, None, 2.0])
    assert "colour" not in found, "plain text, which the texts have"


def test_metadata_of_amazon_keeps_single_values(tmp_path: Path) -> None:
    (tmp_path / "reviews.jsonl").write_text(
        "\n".join(json.dumps({"reviewerID": "u", "asin": item, "unixReviewTime": t}) for t, item in enumerate("abc"))
    )
    records = [
        {"asin": "a", "title": "A", "price": "$3.50", "also_buy": ["b"], "main_cat": "Beauty"},
        {"asin": "b", "title": "B", "price": "$1,200.00", "rank": 5},
        {"asin": "c", "title": "C", "price": ""},
    ]
    (tmp_path / "meta.jsonl").write_text("\n".join(map(json.dumps, records)))
    dataset = read_dataset(f"amazon:{tmp_path}", None, KEEP_ALL)
    assert columns_of(dataset) == {"price": ("Float64", [3.5, 1200.0, None]), "rank": ("Int64", [None, 5, None])}
    assert dataset.counts["catalogue column left out: also_buy (not used), rows"] == 1
    assert dataset.columns is not None and dataset.columns.sources["main_cat"] == "main_category"


def test_items_that_stand_twice_and_differ_in_a_number_are_told_of(tmp_path: Path) -> None:
    dataset = read(tmp_path, "item,title,price\na,A,5\na,A,6\nb,B,7\nb,B,7\n")
    assert columns_of(dataset)["price"][1][:2] == [5, 7]
    told = [line for line in dataset.warnings if "price" in line]
    assert told == [
        "warning: items.csv: column price says different things about 1 items that stand there twice, e.g. 'a': the first row "
        "counts"
    ]


def test_a_workspace_keeps_types_in_the_order_of_its_items(tmp_path: Path) -> None:
    dataset, workspace = read(tmp_path), Workspace.create(tmp_path / "ws")
    import_data(workspace, f"csv:{tmp_path / 'log.csv'}", tmp_path / "items.csv", Settings(data=KEEP_ALL))
    catalogue = read_training(workspace).catalogue
    columns = read_item_columns(workspace, catalogue)
    price = columns.column("PRICE")
    told = {catalogue.ids[row]: value for row, value in zip(price.rows, price.values, strict=True)}
    assert told == {"a": 1200.5, "b": 3.0} and price.kind == "number"
    assert columns.column("category").name == "categories" and columns.column("category").is_list
    assert columns.column("mixed").kind == "text"
    again = read_dataset_of(workspace)
    assert dict(describe(again))["types of these columns"] == dict(describe(dataset))["types of these columns"]
    with pytest.raises(
        IsrfError, match=r"^no column 'weight'; the columns are title, categories, available_from, .*price"
    ):
        columns.column("weight")
