"""Input that users really have: each gives one line with file, row, column and remedy, or is skipped and recorded."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.readers.registry import read_dataset

KEEP_ALL = DataSettings(min_interactions=0)
SKIP = DataSettings(min_interactions=0, on_bad_row="skip")


def error_of(src: Path | str, items: Path | None = None, settings: DataSettings = KEEP_ALL) -> str:
    with pytest.raises(IsrfError) as caught:
        read_dataset(str(src), items, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def log(tmp_path: Path, content: str | bytes, name: str = "log.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_missing_file(tmp_path: Path) -> None:
    assert "none.csv: no such file" in error_of(tmp_path / "none.csv")
    assert "none.csv: no such file" in error_of(log(tmp_path, "user,item\na,b\n"), tmp_path / "none.csv")


@pytest.mark.parametrize(
    "name", ["log.csv", "log.csv.gz", "u.data", "ratings.dat", "reviews.jsonl", "log.inter", "log.parquet"]
)
def test_empty_file(tmp_path: Path, name: str) -> None:
    content = gzip.compress(b"") if name.endswith(".gz") else b""
    message = error_of(log(tmp_path, content, name))
    assert name in message and any(w in message for w in ("empty", "no rows", "not a readable Parquet"))


def test_header_without_rows(tmp_path: Path) -> None:
    assert "holds no rows under its header" in error_of(log(tmp_path, "user,item,time\n"))


def test_unknown_format(tmp_path: Path) -> None:
    assert "csv:, parquet:, p5:" in error_of(log(tmp_path, "x", "log.xyz"))


def test_wrong_delimiter(tmp_path: Path) -> None:
    given = DataSettings(min_interactions=0, separator=",")
    message = error_of(log(tmp_path, "user;item;time\na;b;1\n"), settings=given)
    assert "one column found with separator ','" in message and "';' seems right" in message
    assert "'^' seems right" in error_of(log(tmp_path, "user^item^time\na^b^1\n"))


def test_missing_column_lists_those_there_and_the_setting(tmp_path: Path) -> None:
    message = error_of(log(tmp_path, "user,thing,time\na,b,1\n"))
    assert "user, thing, time" in message and "data.item_column=NAME" in message
    given = DataSettings(min_interactions=0, item_column="thingy")
    assert "no column 'thingy'" in error_of(tmp_path / "log.csv", settings=given)


def test_missing_columns_are_told_all_at_once(tmp_path: Path) -> None:
    message = error_of(log(tmp_path, "wer,was,wann\na,b,1\n"))
    assert "no user and no item column found; its columns are wer, was, wann" in message
    assert message.endswith("--set data.user_column=NAME --set data.item_column=NAME")
    given = DataSettings(min_interactions=0, item_column="thing", time_column="when")
    message = error_of(tmp_path / "log.csv", settings=given)
    assert "no column 'thing' (data.item_column), no column 'when' (data.time_column), no user column found" in message
    assert message.endswith("--set data.item_column=NAME --set data.time_column=NAME --set data.user_column=NAME")


@pytest.mark.parametrize("time", ["04/02/2014", "2014-02-30", "soon", "", "1e15", "1391515200000", "nan"])
def test_unparsable_time_names_row_and_column(tmp_path: Path, time: str) -> None:
    message = error_of(log(tmp_path, f"user,item,when\na,b,1391515200\na,c,5\na,d,{time}\n"),
                       settings=DataSettings(min_interactions=0, time_column="when"))  # fmt: skip
    assert "log.csv: row 4, column when: " in message and "time" in message and "skip" in message


@pytest.mark.parametrize(
    ("time", "words", "remedies"),
    [
        ("02.08.2024 22:12", "day/month/year and as month/day/year", ["day-first", "month-first"]),
        ("08/02/2024", "day/month/year and as month/day/year", ["day-first", "month-first"]),
        ("02-08-07", "and as year/month/day", ["day-first", "month-first", "year-first"]),
        ("2033112013", "seconds since 1970 and as digits yyyymmddhh", ["seconds", "%Y%m%d%H"]),
    ],
)
def test_dates_of_two_readings_are_a_matter_of_the_column(
    tmp_path: Path, time: str, words: str, remedies: list[str]
) -> None:
    """No row is to be mended and none skipped: a setting says what is meant, and works."""
    rows = "".join(f"a,i{n},{time}\n" for n in range(9))
    for settings in (KEEP_ALL, SKIP):
        message = error_of(log(tmp_path, f"user,item,time\n{rows}"), settings=settings)
        assert f"log.csv: column time: times like {time!r} can be read as" in message and words in message
        assert message.endswith(" or ".join(f"--set data.time_format={remedy}" for remedy in remedies))
        assert "mend" not in message and "skip" not in message
    read = {
        remedy: read_dataset(str(tmp_path / "log.csv"), None, KEEP_ALL.model_copy(update={"time_format": remedy}))
        for remedy in remedies
    }
    assert len({dataset.interactions[Columns.TIME][0] for dataset in read.values()}) == len(remedies)
    message = error_of(log(tmp_path, f"user,item,time\na,x,2024-08-20\n{rows}"))
    assert "can be read as" in message and "skip" not in message, "most rows are of that kind"


def test_a_column_of_no_times(tmp_path: Path) -> None:
    message = error_of(log(tmp_path, "user,item,date\na,b,\na,c,soon\n"))
    assert "column date: no row holds a time: row 3 has 'soon'" in message and "data.time_column=NAME" in message
    assert "mend" not in message


def test_empty_ids(tmp_path: Path) -> None:
    assert "row 3, column user: empty user id" in error_of(log(tmp_path, "user,item\na,b\n ,c\n"))
    assert "row 3, column item: empty item id" in error_of(log(tmp_path, "user,item,x\na,b,1\na,,1\n"))


def test_row_numbers_count_lines_even_after_line_breaks_in_quotes(tmp_path: Path) -> None:
    content = 'user,item,note\na,b,"two\nlines"\n\na,,x\n'
    assert "row 5, column item" in error_of(log(tmp_path, content))


def test_too_many_fields(tmp_path: Path) -> None:
    assert "row 3: 4 field(s) where the table has 3 columns" in error_of(
        log(tmp_path, "user,item,time\na,b,1\na,b,1,9\n")
    )


def test_open_quotation_mark(tmp_path: Path) -> None:
    message = error_of(log(tmp_path, 'user,item,note\na,b,"x\na,c,y\na,d,z\n'), settings=SKIP)
    assert "row 2: a quotation mark opens and is never closed" in message


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    message = error_of(log(tmp_path, "user,item\na,b\na,caf\xe9\n".encode("latin-1")))
    assert "row 3, column item: byte 0xE9" in message and "UTF-8" in message
    message = error_of(log(tmp_path, b'{"reviewerID": "\xe9"}\n', "r.jsonl"))
    assert "row 1: byte 0xE9" in message
    items = log(tmp_path, "item,title\nb,M\xfcller\n".encode("cp1252"), "items.csv")
    message = error_of(log(tmp_path, "user,item\na,b\n"), items)
    assert "items.csv: row 2, column title: byte 0xFC" in message and message.endswith("save the file as UTF-8")


def test_skipped_rows_are_recorded(tmp_path: Path) -> None:
    """file, row, column, reason and the line itself; what is left is read."""
    content = b"user,item,time\na,b,5\n,c,6\na,d,soon\na,caf\xe9,7\na,e,8,9\na,f,9\n"
    dataset = read_dataset(str(log(tmp_path, content)), None, SKIP, tmp_path / "out" / "rejected.csv")
    assert dataset.interactions[Columns.ITEM].to_list() == ["b", "f"]
    assert dataset.counts["rows read"] == 6 and dataset.counts["rows rejected"] == 4
    with (tmp_path / "out" / "rejected.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(r["row"], r["column"], r["content"]) for r in rows} == {
        ("3", "user", ",c,6"),
        ("4", "time", "a,d,soon"),
        ("5", "item", "a,caf\\xe9,7"),
        ("6", "", "a,e,8,9"),
    }
    assert all(r["file"].endswith("log.csv") and r["reason"] for r in rows)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["rejected.csv"]


def test_skipped_rows_of_a_fast_read_and_of_parquet(tmp_path: Path) -> None:
    file = log(tmp_path, "user,item,time\na,b,5\na,c,\n")
    read_dataset(str(file), None, SKIP, tmp_path / "rejected.csv")
    assert "row" in (tmp_path / "rejected.csv").read_text() and '"a,c,"' in (tmp_path / "rejected.csv").read_text()
    pl.DataFrame({"user": ["a", None], "item": ["b", "c"]}).write_parquet(tmp_path / "log.parquet")
    dataset = read_dataset(str(tmp_path / "log.parquet"), None, SKIP, tmp_path / "rejected.csv")
    assert dataset.counts["rows rejected"] == 1
    assert '2,user,empty user id,",c"' in (tmp_path / "rejected.csv").read_text()


def test_nothing_but_bad_rows(tmp_path: Path) -> None:
    assert "all 2 rows were rejected" in error_of(log(tmp_path, "user,item\n,b\na,\n"), settings=SKIP)


def test_item_without_any_text_is_counted(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item,title,tags\nb,,\nc,C,x\n")
    dataset = read_dataset(str(log(tmp_path, "user,item\na,b\na,c\na,d\n")), tmp_path / "items.csv", KEEP_ALL)
    assert dataset.counts["items without any text"] == 2
    assert dataset.counts["items of the log missing from the catalogue (kept, no text)"] == 1
    assert dataset.n_items == 3


def test_duplicate_item_ids(tmp_path: Path) -> None:
    """Equal rows are one; rows that differ cannot both be right."""
    items = tmp_path / "items.csv"
    items.write_text("item,title\nb,B\nb,B\nc,C\nb,Other\n")
    source = log(tmp_path, "user,item\na,b\na,c\n")
    message = error_of(source, items)
    assert "items.csv: row 5" in message and "'b' stands on row 2 already" in message
    dataset = read_dataset(str(source), items, SKIP, tmp_path / "rejected.csv")
    assert dataset.catalogue.rows() == [("b", "B"), ("c", "C")]
    assert dataset.counts["catalogue duplicate rows merged"] == 1
    assert dataset.counts["catalogue rows rejected"] == 1


def test_duplicate_item_ids_are_told_in_the_words_of_the_file(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("Artikelnr,Titel\nb,B\nc,C\nb,Other\n")
    assert "items.csv: row 4, column Artikelnr: item id 'b'" in error_of(log(tmp_path, "user,item\na,b\n"), items)


@pytest.mark.parametrize("users", ["K1,K2,K3,K4", "1,2,3,4"])
def test_a_log_given_as_the_catalogue(tmp_path: Path, users: str) -> None:
    """Also where users are numbers, which are no text: then all rows of an item would be alike."""
    source = log(tmp_path, "Kundennr,Artikelnr\n" + "".join(f"{u},{i}\n" for u in users.split(",") for i in "bcd"))
    for settings in (KEEP_ALL, SKIP):
        message = error_of(source, source, settings)
        assert "log.csv: column Artikelnr: 9 of 12 rows repeat an item id, and column Kundennr" in message
        assert "a log of interactions, not a catalogue" in message
    reviews = tmp_path / "items.csv"
    reviews.write_text("item,title,user\nb,B,ann\nc,C,bob\n")
    assert read_dataset(str(source), reviews, KEEP_ALL).n_items == 3, "one row an item may name whoever wrote it"


def test_catalogue_of_other_ids_shows_one_of_each(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,title\n17,B\n")
    message = error_of(log(tmp_path, "user,item\na,B00X\n"), items)
    assert "items.csv: shares no item id" in message and "'17'" in message and "'B00X'" in message


def test_malformed_records(tmp_path: Path) -> None:
    good = json.dumps({"reviewerID": "U", "asin": "A", "unixReviewTime": 5})
    for line in ("{'asin': ", "[1, 2]", "print('x')"):
        assert "row 2: neither a JSON object" in error_of(log(tmp_path, f"{good}\n{line}\n", "r.json"))


def test_truncated_gzip(tmp_path: Path) -> None:
    content = "user,item\n" + "".join(f"u{n},i{n}\n" for n in range(1000))
    assert "damaged or cut off" in error_of(log(tmp_path, gzip.compress(content.encode())[:-500], "log.csv.gz"))


def test_p5_ids_that_are_not_mapped(tmp_path: Path) -> None:
    (tmp_path / "sequential.txt").write_text("1 1\n2 1 7\n")
    (tmp_path / "datamaps.json").write_text('{"id2user": {"1": "u", "2": "v"}, "id2item": {"1": "i"}}')
    assert "sequential.txt: row 2" in error_of(tmp_path) and "item '7' is not in id2item" in error_of(tmp_path)
    dataset = read_dataset(str(tmp_path), None, SKIP)
    assert dataset.counts["rows read"] == 3 and dataset.counts["rows rejected"] == 2
    (tmp_path / "datamaps.json").unlink()
    assert "datamaps.json: no such file" in error_of(tmp_path)


def test_user_with_two_interactions_is_kept_and_counted(tmp_path: Path) -> None:
    dataset = read_dataset(str(log(tmp_path, "user,item\na,b\na,c\nz,b\nz,c\nz,d\n")), None, KEEP_ALL)
    assert dataset.n_users == 2
    assert dataset.counts["users with fewer than 3 interactions (not evaluated)"] == 1


def test_k_core_that_leaves_nothing(tmp_path: Path) -> None:
    assert "lower data.min_interactions" in error_of(
        log(tmp_path, "user,item\na,b\n"), settings=DataSettings(min_interactions=5)
    )
