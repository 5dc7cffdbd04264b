"""Each format from a small real file: ids, order, times and texts as the file says them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from isrf.core.config import DataSettings
from isrf.data.dataset import Columns, Dataset
from isrf.data.readers.registry import detect, parse_source, read_dataset

KEEP_ALL = DataSettings(min_interactions=0)
NOON = 1_391_515_200_000
"""2014-02-04T12:00:00Z in milliseconds."""


def read(path: Path | str, items: Path | None = None, **changes: object) -> Dataset:
    return read_dataset(str(path), items, KEEP_ALL.model_copy(update=changes))


def histories(dataset: Dataset) -> dict[str, list[str]]:
    grouped = dataset.interactions.group_by(Columns.USER, maintain_order=True).agg(Columns.ITEM)
    return dict(grouped.iter_rows())


def texts(dataset: Dataset, item: str) -> dict[str, str]:
    return dataset.catalogue.filter(pl.col(Columns.ITEM) == item).to_dicts()[0]


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        ("user_id,item_id,timestamp", ","),
        ("UserID;ASIN;Time", ";"),
        ("uid\tproduct_id\tdate", "\t"),
        ("customer|movieId|ts", "|"),
    ],
)
def test_csv_columns_and_separator_are_found(tmp_path: Path, header: str, separator: str) -> None:
    rows = [("ann", "b", "200"), ("bob", "b", "50"), ("ann", "a", "100")]
    (tmp_path / "log.csv").write_text("\n".join([header, *(separator.join(r) for r in rows)]))
    dataset = read(tmp_path / "log.csv")
    assert histories(dataset) == {"ann": ["a", "b"], "bob": ["b"]}
    assert dataset.interactions[Columns.TIME].to_list() == [100_000, 200_000, 50_000]
    assert dataset.name == "log"


def test_columns_given_by_settings(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,user_id,what,when\nann,x,b,2\nann,x,a,1\n")
    dataset = read(tmp_path / "log.csv", user_column="who", item_column="what", time_column="when")
    assert histories(dataset) == {"ann": ["a", "b"]}


@pytest.mark.parametrize(
    "time",
    ["1391515200", "1391515200000", "1391515200.0", "1.3915152e9", "2014-02-04 12:00", "2014-02-04T12:00:00Z",
     "2014-02-04T13:00:00.000+01:00", "2014-02-04T08:30:00-0330", "2014-02-04 12:00:00 UTC"],
)  # fmt: skip
def test_times_become_milliseconds_utc(tmp_path: Path, time: str) -> None:
    (tmp_path / "log.csv").write_text(f"user,item,time\nann,a,{time}\n")
    assert read(tmp_path / "log.csv").interactions[Columns.TIME].to_list() == [NOON]


def test_without_a_time_the_file_order_or_a_position_decides(tmp_path: Path) -> None:
    (tmp_path / "order.csv").write_text("user,item\nann,b\nann,a\nann,c\n")
    assert histories(read(tmp_path / "order.csv")) == {"ann": ["b", "a", "c"]}
    (tmp_path / "position.csv").write_text("user,item,position\nann,b,3\nann,a,1\nann,c,20\n")
    dataset = read(tmp_path / "position.csv")
    assert histories(dataset) == {"ann": ["a", "b", "c"]}
    assert dataset.interactions[Columns.TIME].null_count() == 3


def test_equal_times_keep_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\nann,z,5\nann,a,5\nann,m,5\n")
    assert histories(read(tmp_path / "log.csv")) == {"ann": ["z", "a", "m"]}


def test_quotes_line_breaks_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes("\ufeffuser,item\r\nann,a\r\n\r\nann,b\r\n".encode())
    (tmp_path / "items.csv").write_text('item,title,description\na,"A ""fine"" thing","two\nlines, one text"\nb,B,\n')
    dataset = read(tmp_path)
    assert histories(dataset) == {"ann": ["a", "b"]}
    assert texts(dataset, "a")["title"] == 'A "fine" thing'
    assert texts(dataset, "a")["description"] == "two\nlines, one text"


def test_catalogue_columns(tmp_path: Path) -> None:
    """Aliases are mapped, lists are recognised by column, numbers and links are left out and counted."""
    (tmp_path / "log.csv").write_text("user,item\nann,a\nann,b\n")
    (tmp_path / "items.csv").write_text(
        "asin,Name,Store,Genre,Keywords,Year,Price,Image,Note\n"
        'a,"Bag, red","Ace, Inc.",Bags|Red,"soft, red",1999,$3.50,//x/a.png,"Text of five words or so, with a comma."\n'
        'b,"Hat",Bo,Hats,"warm",2001,"1,200",//x/b.png,\n'
    )
    dataset = read(f"csv:{tmp_path}")
    assert texts(dataset, "a") == {
        "item_id": "a",
        "title": "Bag, red",
        "brand": "Ace, Inc.",
        "categories": "Bags|Red",
        "keywords": "soft|red",
        "note": "Text of five words or so, with a comma.",
        "year": "1999",
    }
    assert dataset.counts["catalogue column for filters, no text: Price (numbers), rows"] == 2
    assert dataset.counts["catalogue column for filters, no text: Image (links), rows"] == 2


def test_compressed_csv_and_a_catalogue_given_apart(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv.gz").write_bytes(gzip.compress(b"user,item\nann,a\n"))
    (tmp_path / "clicks2.csv.zst").write_bytes(pa.compress(b"user,item\nann,a\n", codec="zstd", asbytes=True))
    (tmp_path / "things.tsv").write_text("item\ttitle\na\tApple\n")
    for name in ("clicks.csv.gz", "clicks2.csv.zst"):
        dataset = read(tmp_path / name, tmp_path / "things.tsv")
        assert texts(dataset, "a")["title"] == "Apple"
        assert dataset.name == name.split(".")[0]


def test_parquet_types(tmp_path: Path) -> None:
    """Whole numbers as ids, dates as times, lists as attributes; other columns are not read."""
    pl.DataFrame(
        {"user_id": [1.0, 2.0], "item_id": [7, 8], "date": ["2014-02-04", "2014-02-05"], "rating": [5, 4]}
    ).with_columns(pl.col("date").str.to_date()).write_parquet(tmp_path / "log.parquet")
    pl.DataFrame(
        {
            "item_id": [7, 8],
            "title": ["A", "B"],
            "category": [["x", " y "], []],
            "year": [1999, None],
            "price": [1.5, 2.5],
        }
    ).write_parquet(tmp_path / "items.parquet")
    dataset = read(tmp_path)
    assert histories(dataset) == {"1": ["7"], "2": ["8"]}
    assert dataset.interactions[Columns.TIME][0] == NOON - 12 * 3_600_000
    assert texts(dataset, "7") == {"item_id": "7", "title": "A", "categories": "x|y", "year": "1999"}


def test_p5(tmp_path: Path) -> None:
    """The source's numbering is kept for the audit; the catalogue beside it is found."""
    (tmp_path / "sequential.txt").write_text("1 1 2 3\n2 3 1\n")
    maps = {"id2user": {"1": "ann", "2": "bob"}, "id2item": {"3": "x", "1": "z", "2": "y", "10": "never"}}
    (tmp_path / "datamaps.json").write_text(json.dumps(maps))
    (tmp_path / "items.csv").write_text('item_id,title,keywords\nx,X,"crack, red, polish"\ny,Y,hat\nz,Z,"a, b"\n')
    dataset = read(tmp_path)
    assert histories(dataset) == {"ann": ["z", "y", "x"], "bob": ["x", "z"]}
    assert dataset.source_order == ["z", "y", "x"]
    assert texts(dataset, "x") == {"item_id": "x", "title": "X", "keywords": "crack|red|polish"}


def test_recbole(tmp_path: Path) -> None:
    """A token_seq is a list, except a title, whose tokens are its words; numbers (float) are no text."""
    (tmp_path / "toy.inter").write_text(
        'user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\ta"\t3\t1391515200.0\n1\tb\t4\t5\n'
    )
    (tmp_path / "toy.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tprice:float\n"
        'a"\tToy Story\t1995\tAnimation Comedy\t3.5\nb\tHeat\t\tThriller\t1\n'
    )
    (tmp_path / "toy.user").write_text("user_id:token\tage:token\n1\t30\n")
    dataset = read(tmp_path)
    assert histories(dataset) == {"1": ["b", 'a"']}
    assert texts(dataset, 'a"') == {
        "item_id": 'a"', "title": "Toy Story", "categories": "Animation|Comedy", "release_year": "1995",
    }  # fmt: skip


def test_movielens_100k(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("196\t242\t3\t881250949\n196\t1\t3\t881250940\n")
    flags = lambda *on: "|".join("1" if g in on else "0" for g in range(19))  # noqa: E731
    (tmp_path / "u.item").write_bytes(
        f"1|Café (1995)|01-Jan-1995||http://x|{flags(3, 5)}\n242|Kolya|24-Jan-1997||http://y|{flags(0)}\n".encode(
            "latin-1"
        )
    )
    dataset = read(tmp_path)
    assert histories(dataset) == {"196": ["1", "242"]}
    assert texts(dataset, "1") == {"item_id": "1", "title": "Café", "categories": "Animation|Comedy", "year": "1995"}
    assert texts(dataset, "242") == {"item_id": "242", "title": "Kolya", "categories": "", "year": ""}


def test_movielens_1m(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::2::5::978300760\n1::3::3::978300700\n")
    (tmp_path / "movies.dat").write_bytes(
        "2::Les Misérables (1995)::Drama|Musical\n3::A: B (1990)::Drama\n".encode("latin-1")
    )
    dataset = read(tmp_path)
    assert histories(dataset) == {"1": ["3", "2"]}
    assert texts(dataset, "2") == {
        "item_id": "2",
        "title": "Les Misérables",
        "categories": "Drama|Musical",
        "year": "1995",
    }


def test_movielens_latest(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,4.0,10\n1,3,4.0,5\n")
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n2,"Heat, The (1995)",Crime|Drama\n3,X,(no genres listed)\n'
    )
    (tmp_path / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,2,fun,10\n")
    dataset = read(tmp_path)
    assert dataset.name == tmp_path.name
    assert histories(dataset) == {"1": ["3", "2"]}
    assert texts(dataset, "2") == {"item_id": "2", "title": "Heat, The", "categories": "Crime|Drama", "year": "1995"}


def test_amazon_2014_literals_gzipped(tmp_path: Path) -> None:
    review = {"reviewerID": "U", "asin": "B1", "unixReviewTime": 1_391_515_200, "reviewTime": "02 4, 2014"}
    (tmp_path / "reviews_Toys_5.json.gz").write_bytes(gzip.compress(json.dumps(review).encode()))
    meta = {
        "asin": "B1", "title": "It's a &quot;bag&quot;", "categories": [["Toys", "Bags"], ["Toys", "Red"]],
        "related": {"also_bought": ["B2"]}, "price": 3.5, "imUrl": "http://x", "brand": "",
    }  # fmt: skip
    (tmp_path / "meta_Toys.json.gz").write_bytes(gzip.compress(repr(meta).encode()))
    dataset = read(tmp_path)
    assert dataset.interactions.rows() == [("U", "B1", NOON, 0)]
    assert texts(dataset, "B1") == {"item_id": "B1", "title": 'It\'s a "bag"', "categories": "Toys|Bags|Red"}
    assert dataset.counts["catalogue column left out: related (not used), rows"] == 1


def test_amazon_2018(tmp_path: Path) -> None:
    review = {"reviewerID": "U", "asin": "B1", "unixReviewTime": 1_391_515_200, "overall": 5.0, "verified": True}
    (tmp_path / "AMAZON.json").write_text(json.dumps(review) + "\n\n")
    meta = {
        "asin": "B1", "title": "<b>Bag</b>", "category": ["Toys", "Bags"], "description": ["One.", "Two."],
        "brand": "Ace", "feature": ["Soft, warm"], "also_buy": ["B2"], "main_cat": "Toys &amp; Games",
    }  # fmt: skip
    items = tmp_path / "meta.jsonl"
    items.write_text(json.dumps(meta))
    dataset = read(f"amazon:{tmp_path / 'AMAZON.json'}", items)
    assert texts(dataset, "B1") == {
        "item_id": "B1", "title": "Bag", "brand": "Ace", "categories": "Toys|Bags", "description": "One. Two.",
        "features": "Soft, warm", "main_category": "Toys & Games",
    }  # fmt: skip


def test_amazon_2023_zstd(tmp_path: Path) -> None:
    """Items are told by parent_asin, as the metadata is; times are milliseconds."""
    review = {"user_id": "U", "asin": "CHILD", "parent_asin": "B1", "timestamp": NOON, "rating": 5.0}
    meta = {
        "parent_asin": "B1",
        "title": "Bag",
        "store": "Ace",
        "main_category": "Toys",
        "categories": [],
        "details": {"a": "b"},
    }
    for name, record in (("Toys.jsonl.zst", review), ("meta_Toys.jsonl.zst", meta)):
        (tmp_path / name).write_bytes(pa.compress(json.dumps(record).encode(), codec="zstd", asbytes=True))
    dataset = read(tmp_path)
    assert dataset.interactions.rows() == [("U", "B1", NOON, 0)]
    assert texts(dataset, "B1") == {"item_id": "B1", "title": "Bag", "brand": "Ace", "categories": "Toys"}


def test_prefixes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the names of formats are prefixes, so a drive letter or any other colon belongs to the path."""
    monkeypatch.chdir(tmp_path)
    Path("C:log.csv").write_text("user,item\nann,a\n")
    assert parse_source("C:log.csv") == ("csv", Path("C:log.csv"))
    assert parse_source("P5:C:log.csv") == ("p5", Path("C:log.csv"))
    Path("log").write_text("user,item\nann,a\n")
    assert histories(read("csv:log")) == {"ann": ["a"]}


@pytest.mark.parametrize(
    ("names", "format"),
    [
        (["sequential.txt", "datamaps.json", "items.csv"], "p5"),
        (["u.data"], "movielens"),
        (["ratings.csv", "movies.csv"], "movielens"),
        (["a.inter", "a.item"], "recbole"),
        (["log.csv", "items.csv"], "csv"),
        (["log.parquet"], "parquet"),
        (["r.json.gz"], "amazon"),
    ],
)
def test_folders_are_detected(tmp_path: Path, names: list[str], format: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert detect(tmp_path) == format
