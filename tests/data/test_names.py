"""Columns by their usual names in five languages, by settings, and what is said where none is recognised."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.describe import describe, told_of
from isrf.data.readers.column_names import ITEM_NAMES, POSITION_NAMES, TEXT_NAMES, TIME_NAMES, USER_NAMES, plain
from isrf.data.readers.registry import read_dataset

LOG = "user,item\nann,a\nann,b\n"
ITEMS = "item,Text,Marke\na,Lavender soap,Meadow\nb,Rose shampoo,Meadow\n"


def read(folder: Path, log: str = LOG, items: str | None = None, **changes: object) -> Dataset:
    (folder / "log.csv").write_text(log, encoding="utf-8")
    if items is not None:
        (folder / "items.csv").write_text(items, encoding="utf-8")
    settings = DataSettings(min_interactions=0, **changes)  # type: ignore[arg-type]
    return read_dataset(f"csv:{folder}", None, settings)


def refused(folder: Path, **changes: object) -> str:
    with pytest.raises(IsrfError) as caught:
        read(folder, items=ITEMS, **changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("log", "items"),
    [
        ("Kundennr;Artikelnummer;Bestellzeitpunkt", "Artikelnummer;Bezeichnung;Marke;Warengruppe;Beschreibung"),
        ("Kunde;Artikel-Nr.;Datum", "Artikel-Nr.;Produktname;Hersteller;Kategorie;Beschreibung"),
        ("ID client;Référence produit;Date d'achat", "Référence produit;Libellé;Marque;Catégorie;Descriptif"),
        ("cliente_id;Código artículo;Fecha", "Código artículo;Título;Marca;Categoría;Descripción"),
        ("用户ID;商品编号;下单时间", "商品编号;商品名称;品牌;类别;描述"),
        ("會員編號;商品編號;時間", "商品編號;名稱;品牌;分類;說明"),
    ],
)
def test_names_in_other_languages(tmp_path: Path, log: str, items: str) -> None:
    dataset = read(tmp_path, f"{log}\nann;a;2024-08-20 22:12\nann;b;2024-08-19\n", f"{items}\na;A;Ace;Bags;One bag.\n")
    assert dataset.interactions[Columns.ITEM].to_list() == ["b", "a"]
    assert dataset.catalogue.row(0, named=True) == {
        "item_id": "a", "title": "A", "brand": "Ace", "categories": "Bags", "description": "One bag.",
    }  # fmt: skip
    assert not dataset.warnings


def test_every_name_is_written_as_it_is_compared_and_stands_once() -> None:
    for names in (USER_NAMES, ITEM_NAMES, TIME_NAMES, POSITION_NAMES, *TEXT_NAMES.values()):
        assert [plain(name) for name in names] == names and len(set(names)) == len(names)


def test_a_number_goes_before_a_name_and_a_session_comes_last(tmp_path: Path) -> None:
    log = "session_id,Kunde,Kundennr,Artikel,Artikelnr\ns,Ann,1,Soap,a\ns,Ann,1,Tea,b\n"
    dataset = read(tmp_path, log)
    assert dataset.interactions.select(Columns.USER, Columns.ITEM).rows() == [("1", "a"), ("1", "b")]


def test_prices_in_words_are_numbers(tmp_path: Path) -> None:
    dataset = read(tmp_path, items='item,Titel,Preis,价格\na,A,"12,99 EUR",12 元\nb,B,"3,50 EUR",¥9\n')
    assert dataset.catalogue.columns == [Columns.ITEM, Columns.TITLE]
    assert dataset.counts["catalogue column for filters, no text: Preis (numbers), rows"] == 2


def test_texts_are_named_by_settings(tmp_path: Path) -> None:
    """A setting wins over a usual name, whose column stays under another name."""
    items = "item,title,Text,Von,Art,Mehr\na,4711,Lavender soap,Meadow,Bath|Soap,It smells.\n"
    named = {"title": "Text", "brand": "Von", "category": "Art", "description": "Mehr"}
    dataset = read(tmp_path, items=items, **{f"{role}_column": column for role, column in named.items()})
    texts = dataset.catalogue.row(0, named=True)
    assert texts == {
        "item_id": "a", "title": "Lavender soap", "brand": "Meadow", "categories": "Bath|Soap", "description": "It smells.",
    }  # fmt: skip
    assert dataset.counts["catalogue column for filters, no text: title (numbers), rows"] == 1
    dataset = read(tmp_path, items="item,title,Text\na,old soap,Lavender soap\n", title_column="Text")
    assert dataset.catalogue.row(0) == ("a", "Lavender soap", "old soap")
    assert dataset.catalogue.columns[-1] == "other title"


def test_texts_are_named_in_parquet_and_recbole(tmp_path: Path) -> None:
    (tmp_path / "toy.inter").write_text("user_id:token\titem_id:token\n1\ta\n")
    (tmp_path / "toy.item").write_text("item_id:token\tText:token_seq\na\tLavender soap\n")
    settings = DataSettings(min_interactions=0, title_column="Text")
    assert read_dataset(f"recbole:{tmp_path}", None, settings).catalogue.row(0) == ("a", "Lavender soap")
    pl.DataFrame({"item": ["a"], "Text": ["Lavender soap"]}).write_parquet(tmp_path / "items.parquet")
    dataset = read_dataset(str(tmp_path / "toy.inter"), tmp_path / "items.parquet", settings)
    assert dataset.catalogue.row(0) == ("a", "Lavender soap")


def test_text_columns_that_are_not_there_or_serve_twice(tmp_path: Path) -> None:
    said = refused(tmp_path, title_column="Titel", brand_column="Label")
    assert "items.csv: no column 'Titel' (data.title_column), no column 'Label' (data.brand_column)" in said
    assert "item, Text, Marke" in said and "--set data.title_column=NAME --set data.brand_column=NAME" in said
    assert "'Text' serves twice" in refused(tmp_path, title_column="Text", brand_column="Text")
    assert "'item' serves twice" in refused(tmp_path, title_column="item")


def test_a_catalogue_without_a_title_says_which_column_could_be_it(tmp_path: Path) -> None:
    told = told_of(read(tmp_path, items=ITEMS))
    (line,) = [line for line in told if line.startswith("warning: no title column was recognised in items.csv")]
    assert "shown by their id" in line and line.endswith("'Text' could be it: --set data.title_column=Text")
    items = "item,Lang,Der Text\na," + "long " * 40 + ",Soap\nb," + "longer " * 40 + ",Tea\n"
    (line,) = (line for line in read(tmp_path, items=items).warnings if "title" in line)
    assert line.endswith("--set 'data.title_column=Der Text'"), "quoted for the shell, and rather short than long"
    (line,) = (line for line in read(tmp_path, items="item,Marke\na,Meadow\n").warnings if "title" in line)
    assert line.endswith("--set data.title_column=NAME names one"), "a brand is no title"


def test_a_catalogue_with_a_title_or_without_any_text_gives_no_warning(tmp_path: Path) -> None:
    for items in (ITEMS.replace("Text", "Titel"), "item,price\na,3\nb,4\n"):
        assert not [line for line in read(tmp_path, items=items).warnings if "title" in line]
    assert not [line for line in read(tmp_path, items=ITEMS, title_column="Text").warnings if "title" in line]


@pytest.mark.parametrize("times", [("2024-08-20 22:12", "2024-08-19"), ("1724191920", "1724100000")])
def test_a_forgotten_time_is_named(tmp_path: Path, times: tuple[str, str]) -> None:
    first, second = times
    log = f"user,item,receipt,Wann war es\nann,a,1,{first}\nann,b,2,{second}\n"
    dataset = read(tmp_path, log)
    (line,) = [line for line in told_of(dataset) if line.startswith("warning: ")]
    assert "no time column was recognised in log.csv, so the source's order decides" in line
    assert line.endswith("--set 'data.time_column=Wann war es'")
    pl.DataFrame({"user": ["ann"], "item": ["a"], "Wann": ["2024-08-20"]}).with_columns(
        pl.col("Wann").str.to_date()
    ).write_parquet(tmp_path / "log.parquet")
    dataset = read_dataset(str(tmp_path / "log.parquet"), None, DataSettings(min_interactions=0))
    assert dataset.warnings[0].endswith("--set data.time_column=Wann")
    (tmp_path / "toy.inter").write_text("user_id:token\titem_id:token\twhen:float\n1\ta\t1724191920.0\n")
    dataset = read_dataset(str(tmp_path / "toy.inter"), None, DataSettings(min_interactions=0))
    assert dataset.warnings[0].endswith("--set data.time_column=when")


def test_a_log_without_times_warns_unless_a_position_was_chosen(tmp_path: Path) -> None:
    dataset = read(tmp_path, "user,item,amount,nr\nann,a,3,20240820\nann,b,4,20240821\n")
    assert dataset.warnings == (
        "warning: the log has no times that were recognised, so its own order counts; --set data.time_column=NAME names one",
    )
    assert dict(describe(dataset))["time span"] == "warning: no times; the source's order is used"
    (line,) = read(tmp_path, "user,item,position\nann,a,2\nann,b,1\n").warnings
    assert line == "log.csv has no times; column 'position' decides what came first"
    assert not read(tmp_path, "user,item,nr,Wann\nann,a,2,2024-08-20\n", position_column="nr").warnings
