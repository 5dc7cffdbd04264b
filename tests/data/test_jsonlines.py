"""JSON Lines and JSON arrays of anybody's own: read like any table, whatever is nested in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.data.own_catalogues import texts, write

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Dataset
from isrf.data.describe import told_of
from isrf.data.readers.registry import read_dataset

ALL = DataSettings(min_interactions=0)


@pytest.mark.parametrize("kind", ["jsonl", "json", "ndjson"])
def test_the_usual_names(tmp_path: Path, kind: str) -> None:
    items = [{"item_id": f"p{n}", "name": f"Pan {n}", "genres": ["Kitchen", "All"], "colour": "red"} for n in range(3)]
    assert texts(tmp_path, items, kind) == {
        "title": ["Pan 0", "Pan 1", "Pan 2"], "categories": ["Kitchen|All"] * 3, "colour": ["red"] * 3,
    }  # fmt: skip


def test_settings_name_columns(tmp_path: Path) -> None:
    items = [
        {"item_id": f"p{n}", "asin": "B0", "was": f"Pan {n}", "kind": ["Kitchen"], "by": {"name": "Acme"}}
        for n in range(2)
    ]
    named = {"title_column": "was", "category_column": "kind", "brand_column": "by", "item_column": "item_id"}
    assert texts(tmp_path, items, **named) == {
        "title": ["Pan 0", "Pan 1"], "brand": ["Acme", "Acme"], "categories": ["Kitchen"] * 2, "asin": ["B0", "B0"],
    }  # fmt: skip
    with pytest.raises(
        IsrfError, match=r"no column 'no' .data.title_column.; its columns are item_id, asin, was, kind"
    ):
        texts(tmp_path, items, title_column="no")


def test_settings_name_fields_of_amazon_metadata_too(tmp_path: Path) -> None:
    items = [
        {"asin": f"p{n}", "title": f"T{n}", "main_cat": "Tea", "category": ["A", "B"], "also_buy": ["p9"]}
        for n in range(2)
    ]
    source, file = write(tmp_path, "json.gz".removesuffix(".gz"), items, "asin")
    file.write_text("".join(json.dumps(item) + "\n" for item in items))
    plain = read_dataset(source, file, ALL).catalogue
    assert plain.columns == ["item_id", "title", "categories", "main_category"] and plain["categories"][0] == "A|B"
    chosen = read_dataset(source, file, DataSettings(min_interactions=0, category_column="main_cat")).catalogue
    assert chosen["categories"].to_list() == ["Tea", "Tea"]
    with pytest.raises(IsrfError, match=r"no column 'nix' .data.title_column"):
        read_dataset(source, file, DataSettings(min_interactions=0, title_column="nix"))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ([["Home", "Garden"], ["Tools"]], "Home|Garden|Tools"),
        ([{"id": 1, "name": "Garden"}, {"id": 2, "name": "Home"}], "Garden|Home"),
        ({"id": 1, "name": "Garden"}, "Garden"),
        ([{"id": 1, "title": "Garden", "parent": {"id": 0, "title": "Home"}}], "Garden"),
        ({"Colour": "red", "id": "x1", "url": "http://a.b/c"}, "red"),
        ([{"key": "Colour", "value": "red"}, {"name": "Size", "value": "XL"}], "red|XL"),
        ([{"en": "Garden", "de": "Garten"}], "Garden"),
        (["a|b", None, "", " c "], "a/b|c"),
        ([], ""),
        (None, ""),
    ],
)
def test_nested_values_are_the_texts_they_hold(tmp_path: Path, value: Any, read: str) -> None:
    items = [
        {"item_id": "p0", "title": "Pan", "categories": value},
        {"item_id": "p1", "title": "Pot", "categories": ["x"]},
    ]
    assert texts(tmp_path, items)["categories"] == [read, "x"]


def test_records_are_columns_of_their_own(tmp_path: Path) -> None:
    info = [
        {"title": "Pan", "brand": {"id": 5, "name": "Acme"}, "price": 3.5},
        {"title": "Pot", "brand": None, "price": 2},
    ]
    items = [{"item_id": f"p{n}", "info": about, "extra": {"shape": "round"}} for n, about in enumerate(info)]
    assert texts(tmp_path, items, title_column="info.title", brand_column="info.brand") == {
        "title": ["Pan", "Pot"], "brand": ["Acme", ""], "extra.shape": ["round", "round"],
    }  # fmt: skip


def test_deep_nesting_ends_nothing(tmp_path: Path) -> None:
    source, file = write(tmp_path, "jsonl", [{"item_id": "p0", "title": "Pan", "tags": "deep"}])
    deep = "[" * 900 + '"deep"' + "]" * 900
    file.write_text(file.read_text().replace('"deep"', deep))
    assert read_dataset(source, file, ALL).catalogue["tags"].to_list() == ["deep"]
    file.write_text(file.read_text().replace(deep, "[" * 200_000 + "]" * 200_000))
    with pytest.raises(IsrfError, match="row 1: neither a JSON object nor"):
        read_dataset(source, file, ALL)


def read_log(folder: Path, records: list[dict[str, Any]], name: str = "log.jsonl", **settings: Any) -> Dataset:
    text = json.dumps(records) if name.endswith(".json") else "".join(json.dumps(r) + "\n" for r in records)
    (folder / name).write_text(text)
    return read_dataset(str(folder / name), None, DataSettings(min_interactions=0, **settings))


@pytest.mark.parametrize("name", ["log.jsonl", "log.json"])
@pytest.mark.parametrize(
    ("record", "settings"),
    [
        ({"user_id": "u1", "item_id": 7, "timestamp": 1_500_000_000}, {}),
        ({"who": "u1", "what": 7, "when": "2017-07-14T02:40:00Z"},
         {"user_column": "who", "item_column": "what", "time_column": "when"}),
        ({"user": {"id": "u1", "age": 3}, "item": {"id": 7, "name": "x"}, "ts": 1_500_000_000}, {}),
        ({"user_id": {"$oid": "u1"}, "item_id": {"$numberLong": "7"}, "timestamp": {"$date": "2017-07-14T02:40:00Z"}}, {}),
        ({"user_id": "u1", "asin": "7", "timestamp": 1_500_000_000}, {}),
    ],
)  # fmt: skip
def test_a_log_of_records(tmp_path: Path, name: str, record: dict[str, Any], settings: dict[str, str]) -> None:
    dataset = read_log(tmp_path, [record], name, **settings)
    assert dataset.interactions.select("user_id", "item_id", "timestamp").rows() == [("u1", "7", 1_500_000_000_000)]


def test_a_folder_of_records(tmp_path: Path) -> None:
    for n, file in enumerate(("a.jsonl", "b.jsonl")):
        records = [{"user_id": "u", "item_id": "p"}, {"item_id": "p", "name": "Pan"}]
        (tmp_path / file).write_text(json.dumps(records[n]) + "\n")
    dataset = read_dataset(str(tmp_path), None, ALL)
    assert dataset.catalogue["title"].to_list() == ["Pan"] and dataset.name == tmp_path.name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{\n "user_id": 1\n}\n', "row 1: a record that goes on over several lines"),
        ('{"user_id": {"0": "u"}, "item_id": {"0": "i"}}', "holds one JSON object and not a record a line"),
        ('[{"user_id": "u", "item_id"', "not readable as a JSON array"),
        ('[1, {"user_id": "u", "item_id": "i"}]', "row 1: no JSON object"),
        ('{"user_id": ["u"], "item_id": "i"}', "column user_id holds lists or records"),
        ('{"user_id": "u", "thing": "i"}', "no item column found; its columns are user_id, thing"),
        ('{"user_id": "u", "item_id": "i"},\n', "row 1: a comma at the end of the line"),
        ('{"user_id": "u", "item_id": "i"} ,\n', "row 1: a comma at the end of the line"),
        ("{'user_id': 'u', 'item_id': 'i'}\n{'user_id': 'u', 'item_id': 'i'},\n", "row 2: a comma at the end"),
        ('{"products": [{"item_id": "i"}], "total": 12}', "holds one JSON object and not a record a line"),
        ('{"page": 1, "data": [{"user_id": "u"}, {"user_id": "v"}], "next": null}', "fields are page, data, next"),
        ("", "holds no records"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(IsrfError, match=told):
        read_dataset(str(tmp_path / "log.json"), None, ALL)


def test_a_setting_that_names_what_is_left_out_is_told(tmp_path: Path) -> None:
    items = [{"item_id": f"p{n}", "title": "Pan", "new": True} for n in range(2)]
    dataset = read_dataset(*write(tmp_path, "jsonl", items), DataSettings(min_interactions=0, category_column="new"))
    told = "warning: data.category_column names column 'new' of items.jsonl, which is left out: no text"
    assert told in told_of(dataset)


def test_records_with_keys_of_their_own_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    lines = [json.dumps({"user": f"u{n % 9}", "item": f"i{n % 7}", f"k{n}": 1}) for n in range(20_000)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    settings = DataSettings(min_interactions=0, max_gigabytes=0.5)
    with pytest.raises(IsrfError, match="20,000 records have 20,002 different fields"):
        read_dataset(f"jsonl:{tmp_path / 'log.jsonl'}", None, settings)
