"""Words for nothing: no ids and no texts by a rule, exact ids where something speaks for them, everything by a setting."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.readers.raw import BadRows
from isrf.data.readers.registry import read_catalogue, read_dataset

WORDS = ["nan", "NaN", "null", "NULL", "None", "\\N", "N/A", "n/a", "#N/A", "<NA>", "NA", "NaT", "undefined", "-"]


def read(folder: Path, log: str, items: str | None = None, **changes: object) -> Dataset:
    (folder / "log.csv").write_text(log, encoding="utf-8")
    if items is not None:
        (folder / "items.csv").write_text(items, encoding="utf-8")
    settings = DataSettings(min_interactions=0, **changes)  # type: ignore[arg-type]
    return read_dataset(str(folder / "log.csv"), folder / "items.csv" if items else None, settings)


def log_with(user: str, rows: int) -> str:
    """Ten people with four rows each, and a word with so many."""
    pairs = [(f"u{u}", f"i{i}") for u in range(10) for i in range(4)] + [(user, f"i{n}") for n in range(rows)]
    return "user,item\n" + "".join(f"{u},{i}\n" for u, i in pairs)


@pytest.mark.parametrize("word", WORDS)
def test_a_user_of_too_many_or_too_few_rows_is_nobody(word: str, tmp_path: Path) -> None:
    for rows in (9, 1):
        with pytest.raises(
            IsrfError, match=f"row 42, column user: .* stands for a missing value and is no user id .{rows} of"
        ) as caught:
            read(tmp_path, log_with(word, rows))
        assert "--set data.placeholders=keep" in str(caught.value) and "--on-bad-row skip" in str(caught.value)
        dataset = read(tmp_path, log_with(word, rows), on_bad_row="skip")
        assert dataset.n_users == 10 and dataset.counts["rows rejected"] == rows
        (line,) = [told for told in dataset.warnings if "stand for no id" in told]
        assert line.startswith("warning: log.csv: user ids: ") and f"({rows})" in line and "were left out" in line
        assert read(tmp_path, log_with(word, rows), placeholders="keep").n_users == 11


def test_users_like_others_are_people_whatever_they_are_called(tmp_path: Path) -> None:
    dataset = read(tmp_path, log_with("NA", 4))
    assert "NA" in set(dataset.interactions[Columns.USER])
    assert any(
        "user ids that usually stand for missing values were kept" in w and "'NA' (4)" in w for w in dataset.warnings
    )


@pytest.mark.parametrize("word", WORDS)
def test_an_item_is_one_where_the_catalogue_names_it(word: str, tmp_path: Path) -> None:
    log = f"user,item\na,x\na,{word}\nb,x\n"
    for items in (None, "item,title\nx,X\n", f"item,title\nx,X\n{word},\n", f"item,title\nx,X\n{word},NULL\n"):
        with pytest.raises(IsrfError, match=r"row 3, column item: .* stands for a missing value and is no item id"):
            read(tmp_path, log, items)
    dataset = read(tmp_path, log, f"item,title\nx,X\n{word},Some title\n")
    assert set(dataset.catalogue[Columns.TITLE]) == {"X", "Some title"} and word in set(dataset.catalogue[Columns.ITEM])
    assert any("item ids that usually stand for missing values were kept" in line for line in dataset.warnings)
    more = log + f"b,{word}\nc,{word}\n"
    with pytest.raises(IsrfError, match=r"no item id \(3 of 5 rows"):
        read(tmp_path, more, f"item,title\nx,X\n{word},Some title\n")


def test_a_catalogue_row_without_an_id_is_a_bad_row(tmp_path: Path) -> None:
    log, items = "user,item\na,x\n", "item,title\nx,X\nnan,Lost\n"
    with pytest.raises(
        IsrfError, match=r"items\.csv: row 3, column item: 'nan' stands for a missing value and is no item id"
    ):
        read(tmp_path, log, items)
    dataset = read(tmp_path, log, items, on_bad_row="skip")
    assert dataset.n_items == 1 and dataset.counts["catalogue rows rejected"] == 1
    assert read(tmp_path, log, items, placeholders="keep").n_items == 2


@pytest.mark.parametrize("word", [*WORDS, '""""""', "''"])
def test_texts_that_say_nothing_are_empty_and_counted(word: str, tmp_path: Path) -> None:
    items = f"item,title,brand,category,description,price\nx,{word},Ace,Bags|{word},{word},3\ny,Y,{word},{word},Fine.,{word}\n"
    if '"' in word:
        items = items.replace(f"Bags|{word}", "Bags")
    dataset = read(tmp_path, "user,item\na,x\na,y\n", items)
    assert dataset.catalogue.rows() == [("x", "", "Ace", "Bags", ""), ("y", "Y", "", "", "Fine.")]
    assert "catalogue column for filters, no text: price (numbers), rows" in dataset.counts, (
        "a missing price makes no text of it"
    )
    (line,) = [w for w in dataset.warnings if "were read as no text" in w]
    assert "items.csv" in line and "'title' 1, 'brand' 1, 'category' " in line
    assert "--set data.placeholders=keep" in line
    kept = read(tmp_path, "user,item\na,x\na,y\n", items, placeholders="keep")
    assert kept.catalogue[Columns.TITLE].to_list() == [word.replace('""""""', '""'), "Y"]


def test_words_of_a_language_are_texts(tmp_path: Path) -> None:
    items = "item,title,brand\nx,na,Nan's\ny,None of it,Null Records\n"
    dataset = read(tmp_path, "user,item\na,x\na,y\n", items)
    assert dataset.catalogue.rows() == [("x", "na", "Nan's"), ("y", "None of it", "Null Records")]
    assert not any("nothing" in w or "no text" in w for w in dataset.warnings)


def test_nothing_in_parquet(tmp_path: Path) -> None:
    log = pl.DataFrame({"user": ["a", "a", "b", "nan", "nan", "nan"], "item": ["x", "y", "x", "x", "y", "z"]})
    log.write_parquet(tmp_path / "log.parquet")
    pl.DataFrame(
        {
            "item": ["x", "y"],
            "title": ["nan", "Y"],
            "category": [["Bags", "None"], ["NaN"]],
            "year": [float("nan"), 1999.0],
        }
    ).write_parquet(tmp_path / "items.parquet")
    dataset = read_dataset(str(tmp_path), None, DataSettings(min_interactions=0, on_bad_row="skip"))
    assert dataset.counts["rows rejected"] == 3
    assert dataset.catalogue.rows() == [("x", "", "Bags", ""), ("y", "Y", "", "1999")]


def test_nothing_in_recbole_movielens_and_amazon(tmp_path: Path) -> None:
    (tmp_path / "toy.inter").write_text(
        "user_id:token\titem_id:token\n" + "".join(f"{u}\tx\n" for u in ["a", "b", "NULL", "NULL"])
    )
    (tmp_path / "toy.item").write_text("item_id:token\ttitle:token_seq\nx\tNULL\n")
    skip = DataSettings(min_interactions=0, on_bad_row="skip")
    dataset = read_dataset(str(tmp_path / "toy.inter"), None, skip)
    assert dataset.counts["rows rejected"] == 2 and dataset.catalogue.rows() == [("x", "")]
    (tmp_path / "u.data").write_text(
        "1\tx\t3\t881250949\n\\N\tx\t3\t881250949\n2\tx\t1\t881250949\n\\N\ty\t3\t881250949\n"
    )
    assert read_dataset(str(tmp_path / "u.data"), None, skip).counts["rows rejected"] == 2
    reviews = [{"reviewerID": u, "asin": a, "unixReviewTime": 1_500_000_000} for u, a in (("a", "B1"), ("b", "None"))]
    (tmp_path / "r.jsonl").write_text("\n".join(json.dumps(r) for r in reviews))
    (tmp_path / "meta.jsonl").write_text(json.dumps({"asin": "B1", "title": "undefined", "category": ["Toys", "N/A"]}))
    dataset = read_dataset(str(tmp_path / "r.jsonl"), tmp_path / "meta.jsonl", skip)
    assert dataset.counts["rows rejected"] == 1 and dataset.catalogue.rows() == [("B1", "", "Toys")]


@pytest.mark.parametrize(
    ("tags", "left"),
    [("red, nan, blue", "red|blue"), ("red;None;N/A", "red"), ("red|NULL", "red"), ("red|none", "red|none")],
)
def test_words_for_nothing_among_the_values_of_any_list(tags: str, left: str, tmp_path: Path) -> None:
    rows = "".join(f'p{n},t{n},"{tags}"\n' for n in range(3))
    (tmp_path / "items.csv").write_text("item_id,title,tags\n" + rows)
    bad = BadRows("fail")
    read = read_catalogue(tmp_path / "items.csv", DataSettings(), bad)
    assert read.table.frame["tags"].to_list() == [left] * 3
    changed = left != tags
    assert any("markers of missing values" in line and "'tags' 3" in line for line in bad.told) == changed


@pytest.mark.parametrize("title", ["<p>N/A</p>", "<b>null</b>", "#VALUE!", "#REF!", "N / A", "<i> nan </i>"])
def test_words_for_nothing_within_markup_and_of_spreadsheets(title: str, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(f"item_id,title\np1,{title}\np2,Kettle\n")
    bad = BadRows("fail")
    read = read_catalogue(tmp_path / "items.csv", DataSettings(), bad)
    assert read.table.frame["title"].to_list() == ["", "Kettle"] and any(
        "markers of missing values" in line for line in bad.told
    )
