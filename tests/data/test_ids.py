"""Ids of any type: exact, or refused; one number is one id; what looks alike is told of."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.data_writers import write_p5

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.readers.ids import id_texts
from isrf.data.readers.raw import ROW, Table
from isrf.data.readers.registry import read_dataset
from isrf.data.similar_ids import alike_by_chance
from isrf.recommender.ids import as_imported

BEYOND = 2**53


def read(path: Path, items: Path | None = None, **changes: object) -> Dataset:
    return read_dataset(str(path), items, DataSettings(min_interactions=0, **changes))  # type: ignore[arg-type]


def parquet(file: Path, users: object, items: object = None) -> Path:
    users = users if isinstance(users, pa.Array) else pa.array(users)
    pq.write_table(pa.table({"user": users, "item": items if items is not None else pa.array(range(len(users)))}), file)
    return file


def users_of(dataset: Dataset) -> set[str]:
    return set(dataset.interactions[Columns.USER])


def text_of(values: pl.Series) -> list[str]:
    return id_texts(Table(Path("x"), pl.DataFrame({"id": values, ROW: range(len(values))})), "id", "user").to_list()


@pytest.mark.parametrize(("type", "bound"), [(pa.float64(), 2**53), (pa.float32(), 2**24)])
def test_floats_that_cannot_be_told_apart_are_refused(type: pa.DataType, bound: int, tmp_path: Path) -> None:
    for values in ([bound], [1, None, bound + 2], [1, -bound], [1, 1e30]):
        file = parquet(tmp_path / "log.parquet", pa.array([None if v is None else float(v) for v in values], type))
        for policy in ("fail", "skip"):
            with pytest.raises(
                IsrfError, match=f"column user: holds user ids as float.*1 of them from {bound:,} on"
            ) as caught:
                read(file, on_bad_row=policy)
            assert "write the column as integers or text" in str(caught.value)
    below = parquet(tmp_path / "log.parquet", pa.array([bound - 1.0, bound - 2.0, None, float("nan")], type))
    dataset = read(below, on_bad_row="skip")
    assert users_of(dataset) == {str(bound - 1), str(bound - 2)} and dataset.counts["rows rejected"] == 2
    items = parquet(tmp_path / "items.parquet", [1, 2], pa.array([float(bound), 1.0], type))
    with pytest.raises(IsrfError, match=r"items\.parquet: column item: holds item ids as float"):
        read(below, items)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=8))
def test_whole_numbers_are_one_id_whatever_holds_them(numbers: list[int]) -> None:
    expected = [str(n) for n in numbers]
    assert text_of(pl.Series(numbers, dtype=pl.Int64)) == expected
    assert text_of(pl.Series([float(n) for n in numbers], dtype=pl.Float64)) == expected
    assert text_of(pl.Series([Decimal(n) for n in numbers], dtype=pl.Decimal(30, 2))) == expected
    assert text_of(pl.Series(expected)) == expected


def test_integers_of_any_width_and_decimals_keep_their_digits(tmp_path: Path) -> None:
    for type, numbers in (
        (pa.uint64(), [2**64 - 1, 2**64 - 2]),
        (pa.int64(), [BEYOND + 1, BEYOND + 2]),
        (pa.decimal128(22, 2), [Decimal(BEYOND + 1), Decimal(BEYOND + 2)]),
        (pa.decimal128(38, 0), [Decimal(10**37 + 1), Decimal(10**37 + 2)]),
    ):
        assert users_of(read(parquet(tmp_path / "log.parquet", pa.array(numbers, type)))) == {
            str(int(n)) for n in numbers
        }
    mixed = pa.array([Decimal("1.50"), Decimal("100.00"), Decimal("0.05")])
    assert users_of(read(parquet(tmp_path / "log.parquet", mixed))) == {"1.5", "100", "0.05"}
    assert text_of(pl.Series([2**100, 2**100 + 1], dtype=pl.Int128)) == [str(2**100), str(2**100 + 1)]


def test_decimals_in_text_are_the_same_number(tmp_path: Path) -> None:
    """Within a column, between log and catalogue, and where nothing else is written: one id, and a warning with counts."""
    items = tmp_path / "items.csv"
    items.write_text("item,title\n100,A\n200,B\n")
    for log, both in (
        ("user,item\nu,100\nv,100.0\nv,200.0\n", "2 of them are written both ways"),
        ("user,item\nu,100.0\nv,100.0\nv,200.0\n", "2 of them are written both ways"),
        ("user,item\n7,100\n8.0,200\n7.0,200\n", "user ids in 2 rows"),
    ):
        (tmp_path / "log.csv").write_text(log)
        dataset = read(tmp_path / "log.csv", items)
        assert dataset.catalogue[Columns.TITLE].to_list() == ["A", "B"]
        assert set(dataset.interactions[Columns.ITEM]) == {"100", "200"}
        (line,) = [w for w in dataset.warnings if "decimal numbers" in w]
        assert line.startswith("warning: log.csv") and both in line and "--set data.decimal_ids=keep" in line
        kept = read(tmp_path / "log.csv", decimal_ids="keep")
        assert any(".0" in written for written in [*kept.interactions[Columns.ITEM], *users_of(kept)])
    items.write_text("item,title\n100.0,A\n200.00,B\n")
    parquet(tmp_path / "log.parquet", [1, 2], pa.array([100.0, 200.0]))
    assert read(tmp_path / "log.parquet", items).catalogue[Columns.TITLE].to_list() == ["A", "B"]


def test_versions_are_no_numbers_with_a_missing_value(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,1.0\nu,1\nu,1.1\nv,1.2\nv,2.0b\n")
    dataset = read(tmp_path / "log.csv")
    assert set(dataset.interactions[Columns.ITEM]) == {"1.0", "1", "1.1", "1.2", "2.0b"}
    (line,) = dataset.warnings[-1:]
    assert "item ids that look alike are kept apart; they differ: 2 in decimals ('1', '1.0')" in line


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("Ab", "AB", "2 in case ('AB', 'Ab')"),
        ("a b", "a\u00a0b", "2 in blanks"),
        ("ab", "a\u200bb", "2 in blanks ('ab', 'a\\u200bb')"),
        ("caf\u00e9", "cafe\u0301", "2 in Unicode form ('cafe\\u0301', 'caf\\xe9')"),
        ("17", "0017", "2 in leading zeros ('0017', '17')"),
        ("0", "00", "2 in leading zeros ('0', '00')"),
        ("1e5", "1E5", "2 in case"),
        ("00ab", "0 AB", "2 in several ways"),
    ],
)
def test_what_looks_alike_is_kept_apart_and_told_of(one: str, other: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"user,item\n{one},x\n{other},y\n", encoding="utf-8")
    dataset = read(tmp_path / "log.csv")
    assert users_of(dataset) == {one, other}
    assert any(
        line.startswith("warning: log.csv: user ids that look alike") and words in line for line in dataset.warnings
    )
    (tmp_path / "log.csv").write_text(f"user,item\nu,{one}\nu,z\n", encoding="utf-8")
    (tmp_path / "items.csv").write_text(f"item,title\n{other},A\nz,Z\n", encoding="utf-8")
    told = read(tmp_path / "log.csv", tmp_path / "items.csv").warnings
    assert any("log.csv and items.csv: item ids that look alike" in line and words in line for line in told)
    (tmp_path / "log.csv").write_text(f"user,item\nu,{one}\n", encoding="utf-8")
    (tmp_path / "items.csv").write_text(f"item,title\n{other},A\n", encoding="utf-8")
    with pytest.raises(IsrfError, match=r"shares no item id.*; 1 would match but for case, blanks, leading zeros"):
        read(tmp_path / "log.csv", tmp_path / "items.csv")


def test_ids_that_a_spreadsheet_cut_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n1.23457E+12,x\n1.23458E+12,y\n")
    assert any(
        "numbers with an exponent" in line and "digits may be lost" in line
        for line in read(tmp_path / "log.csv").warnings
    )


@pytest.mark.parametrize("some", ["1.23457E+12", "1e+15", "2.5e9", "-1.5E10"])
def test_a_few_ids_with_an_exponent_among_numbers_are_told_of(some: str, tmp_path: Path) -> None:
    rest = "".join(f"{n},{n}\n" for n in range(40))
    for role, row in (("user", f"{some},1\n"), ("item", f"1,{some}\n")):
        (tmp_path / "log.csv").write_text("user,item\n" + rest + row)
        told = read(tmp_path / "log.csv").warnings
        assert any(f"1 {role} ids are numbers with an exponent ({some!r})" in line for line in told)
    (tmp_path / "log.csv").write_text("user,item\n" + "".join(f"u{n},{n}\n" for n in range(40)) + f"{some},1\n")
    assert not any("with an exponent" in line for line in read(tmp_path / "log.csv").warnings), "texts"
    (tmp_path / "log.csv").write_text("user,item\n" + rest + "1.25e2,1\n")
    assert not any("with an exponent" in line for line in read(tmp_path / "log.csv").warnings), "all digits shown"


@pytest.mark.parametrize("number", ["9007199254740996.0", "9007199254740992.", "1e17", "1.5e+16", "-1E17"])
@pytest.mark.parametrize("role", ["user", "item"])
def test_floats_in_text_that_lost_digits_are_refused(number: str, role: str, tmp_path: Path) -> None:
    ids = [number, "7", "8"]
    users, items = (ids, ["1", "2", "3"]) if role == "user" else (["1", "2", "3"], ids)
    pairs = list(zip(users, items, strict=True))
    csv = "user,item\n" + "".join(f"{u},{i}\n" for u, i in pairs)
    lines = "".join(f'{{"user": {u}, "item": {i}}}\n' for u, i in pairs)
    files = {"log.csv": csv}
    if not number.endswith("."):
        array = "[" + ",".join(lines.splitlines()) + "]"
        files |= {"log.jsonl": lines, "log.json": array, "old.jsonl": lines.replace('"', "'")}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(
            IsrfError, match=rf"{name}: holds {role} ids as floating.*write the ids as integers or text"
        ):
            read(tmp_path / name, on_bad_row="skip")
        assert len(users_of(read(tmp_path / name, decimal_ids="keep"))) == 3
    (tmp_path / "log.csv").write_text("user,item\n1,1\n2,2\n")
    (tmp_path / "items.csv").write_text(f"item,title\n1,A\n2,B\n{number},C\n")
    with pytest.raises(IsrfError, match=r"log\.csv and items\.csv: holds item ids as floating"):
        read(tmp_path / "log.csv", tmp_path / "items.csv")
    (tmp_path / "log.csv").write_text(f"user,item\na,x\nb,y\nc,z\n{number},{number}\n")
    assert len(users_of(read(tmp_path / "log.csv"))) == 4, "a text among texts"


def test_json_numbers_keep_their_digits(tmp_path: Path) -> None:
    """Also those that a float would change, and those that a missing value made floats."""
    reviews = [
        f'{{"reviewerID": {BEYOND + 1}, "asin": 7.0, "unixReviewTime": 1500000000}}',
        f'{{"reviewerID": {BEYOND - 2}.0, "asin": "7", "unixReviewTime": 1500000000.0}}',
        f'{{"reviewerID": {BEYOND}, "asin": 8, "unixReviewTime": 1500000000}}',
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(reviews))
    (tmp_path / "meta.jsonl").write_text('{"asin": 7.0, "title": "A"}\n{"asin": "8", "title": "B"}\n')
    dataset = read(tmp_path / "r.jsonl", tmp_path / "meta.jsonl")
    assert users_of(dataset) == {str(BEYOND), str(BEYOND + 1), str(BEYOND - 2)}
    assert dataset.catalogue.rows() == [("7", "A"), ("8", "B")]
    (tmp_path / "r.jsonl").write_text("\n".join([*reviews, reviews[1].replace(str(BEYOND - 2), "1" + "0" * 17)]))
    with pytest.raises(IsrfError, match="holds user ids as floating"):
        read(tmp_path / "r.jsonl", on_bad_row="skip")
    (tmp_path / "r.jsonl").write_text('{"reviewerID": true, "asin": "x", "unixReviewTime": 1500000000}\n')
    with pytest.raises(IsrfError, match="no review has a field reviewerID"):
        read(tmp_path / "r.jsonl")


def test_original_ids_of_p5_that_are_floats(tmp_path: Path) -> None:
    source = write_p5(tmp_path, [("u", "x", 1), ("u", "y", 2)], [("7", "A", ""), ("8", "B", "")])
    maps = {"id2user": {"1": "u"}, "id2item": {"1": 7.0, "2": 8.0}}
    (tmp_path / "datamaps.json").write_text(json.dumps(maps))
    assert read_dataset(source, None, DataSettings(min_interactions=0)).catalogue[Columns.TITLE].to_list() == ["A", "B"]
    (tmp_path / "datamaps.json").write_text(json.dumps(maps | {"id2user": {"1": 2.0**60}}))
    with pytest.raises(IsrfError, match="id2user: 1 has no original id that can be told apart"):
        read_dataset(source, None, DataSettings(min_interactions=0))


def test_recbole_tokens_are_text(tmp_path: Path) -> None:
    (tmp_path / "toy.inter").write_text(f"user_id:token\titem_id:token\n{BEYOND + 1}\t007\n{BEYOND + 2}\t8.0\n9\t9\n")
    (tmp_path / "toy.item").write_text("item_id:token\ttitle:token\n007\tA\n8\tB\n9\tC\n")
    dataset = read(tmp_path / "toy.inter")
    assert dataset.catalogue.rows() == [("007", "A"), ("8", "B"), ("9", "C")]
    assert users_of(dataset) == {str(BEYOND + 1), str(BEYOND + 2), "9"}


def test_positions_beyond_what_a_float_holds(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"user,item,position\nu,b,{BEYOND + 1}\nu,a,{BEYOND}\n")
    assert read(tmp_path / "log.csv").interactions[Columns.ITEM].to_list() == ["a", "b"]


def test_ids_of_a_command_are_those_of_the_import() -> None:
    assert as_imported("100.0", {"100": 0}) == "100"
    assert as_imported(" 100 ", {"100": 0}) == "100"
    assert as_imported("100.0", {"100": 0, "100.0": 1}) == "100.0"
    assert as_imported("0100", {"100": 0}) == "0100"


def test_durations_are_no_ids(tmp_path: Path) -> None:
    table = pa.table({"user": ["a"] * 3, "item": pa.array([1, 2, 3], pa.duration("us"))})
    pq.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(IsrfError, match="column item holds durations, not item ids"):
        read_dataset(str(tmp_path / "log.parquet"), None, DataSettings(min_interactions=0))


def test_ids_that_differ_in_what_nobody_sees_are_compared_at_once() -> None:
    same = pl.Series(["a" + "\u200b" * n for n in range(3_000)])
    assert "3,000 would match" in alike_by_chance(same, pl.Series(["A" + "\u200b" * n for n in range(3_000)]))
