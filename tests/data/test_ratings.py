"""Ratings and repeats that are not read: what they hold is said at the import, and counted for good."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from isrf.core.config import DataSettings
from isrf.data.dataset import Dataset
from isrf.data.describe import describe, told_of
from isrf.data.readers.column_names import RATING_NAMES, plain
from isrf.data.readers.registry import read_dataset

KEEP_ALL = DataSettings(min_interactions=0)


def read(path: Path) -> Dataset:
    return read_dataset(str(path), None, KEEP_ALL)


def line_of(dataset: Dataset) -> str:
    (line,) = [line for line in told_of(dataset) if "every row counts as liked" in line]
    return line


def write(folder: Path, column: str, values: list[str]) -> Path:
    rows = [f"u{n % 3},i{n},{1_500_000_000 + n},{value}" for n, value in enumerate(values)]
    (folder / "log.csv").write_text("\n".join([f"user,item,time,{column}", *rows]), encoding="utf-8")
    return folder / "log.csv"


@pytest.mark.parametrize("column", ["rating", "Stars", "overall", "Bewertung", "Sterne", "note", "puntuación", "评分"])
def test_low_ratings_are_told_of_in_any_language_and_counted(column: str, tmp_path: Path) -> None:
    dataset = read(write(tmp_path, column, ["1", "2.0", "3", "5", "5", ""]))
    line = line_of(dataset)
    assert line.startswith(f"warning: column {column!r} of log.csv is not read, so every row counts as liked")
    assert "also the 2 of 6 rows that hold 2 or less (of 5): 1 in 1 rows, 2 in 1 rows, 3 in 1 rows, 5 in 2 rows" in line
    (count,) = [value for name, value in describe(dataset) if name.startswith("rows that hold 2 or less (of 5)")]
    assert count == "2"
    assert dataset.interactions.height == 6, "told of, and read as before"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["10", "4", "9"], "hold 4 or less (of 10)"),
        (["0", "1", "1"], "hold 0 or less (of 1)"),
        (["-1", "1", "1"], "hold -1 or less (of 1)"),
        (["100", "35", "80"], "hold 35 or less (of 100)"),
        (["4,5", "1,5", "3,0"], "hold 1.5 or less (of 4.5)"),
        (["good", "bad", "bad"], "whatever it holds: bad in 2 rows, good in 1 rows"),
    ],
)
def test_scales(values: list[str], words: str, tmp_path: Path) -> None:
    quoted = [f'"{value}"' for value in values]
    assert words in line_of(read(write(tmp_path, "rating", quoted)))


def test_ratings_that_are_all_high_are_no_warning(tmp_path: Path) -> None:
    assert line_of(read(write(tmp_path, "rating", ["4", "5"]))).startswith("column 'rating' of log.csv is not read")
    assert line_of(read(write(tmp_path, "rating", ["1", "1"]))).startswith("column 'rating' of log.csv is not read")
    assert not [line for line in told_of(read(write(tmp_path, "rating", ["", ""]))) if "liked" in line]
    assert not [line for line in told_of(read(write(tmp_path, "colour", ["1", "5"]))) if "liked" in line]


def test_ratings_of_every_format(tmp_path: Path) -> None:
    pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "rating": [1.0, 5.0]}).write_parquet(tmp_path / "log.parquet")
    (tmp_path / "toy.inter").write_text("user_id:token\titem_id:token\trating:float\na\tx\t1\nb\ty\t5\n")
    (tmp_path / "u.data").write_text("1\t2\t1\t881250949\n1\t3\t5\t881250940\n")
    (tmp_path / "ratings.dat").write_text("1::2::1::978300760\n1::3::5::978300700\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,0.5,1000000000\n1,3,5.0,1000000001\n")
    reviews = [
        {"reviewerID": "a", "asin": f"B{n}", "unixReviewTime": 1_500_000_000, "overall": r}
        for n, r in enumerate((1.0, 5.0))
    ]
    (tmp_path / "r14.jsonl").write_text("\n".join(json.dumps(r) for r in reviews))
    reviews = [
        {"user_id": "a", "parent_asin": f"B{n}", "timestamp": 1_500_000_000_000, "rating": r}
        for n, r in enumerate((1, 5))
    ]
    (tmp_path / "r23.jsonl").write_text("\n".join(json.dumps(r) for r in reviews))
    for name in ("log.parquet", "toy.inter", "u.data", "ratings.dat", "ratings.csv", "r14.jsonl", "r23.jsonl"):
        line = line_of(read(tmp_path / name))
        assert name in line and "1 of 2 rows that hold" in line, name


def test_repeats_are_told_of_in_a_line_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user,item,time\na,x,2000000001\na,x,2000000002\na,x,2000000002\na,y,2000000003\n"
    )
    told = told_of(read(tmp_path / "log.csv"))
    assert "warning: 1 of 4 rows repeat an earlier one of the same user and item: the earliest alone counts" in told
    assert "exact duplicates dropped: 1; repeat interactions dropped (earliest kept): 1" in told[0]


def test_names_are_written_as_they_are_compared() -> None:
    assert [plain(name) for name in RATING_NAMES] == RATING_NAMES and len(set(RATING_NAMES)) == len(RATING_NAMES)
