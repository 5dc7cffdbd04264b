"""Splits at a date and as the source gives them: who is in which part, who is apart, and what is refused."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.histories import Histories
from isrf.data.interactions import codes_by_date, parts_of
from isrf.data.readers import times
from isrf.data.readers.registry import read_dataset
from isrf.data.splits import protocols
from isrf.data.splits.protocols import core_of_training, split_of, temporal_dates, told_of_dates
from isrf.data.splits.split import NEW_ITEMS, NEW_USERS, Split
from isrf.data.splits.storage import load_split, save_split

Row = tuple[str, str, int]

STORY: list[Row] = [
    *(("ann", item, day) for day, item in enumerate("abcdef", 1)),
    *(("bob", item, day) for day, item in enumerate("bcda", 2)),
    ("cat", "e", 9),  # validation alone knows cat
    *(("ann", item, day) for day, item in ((9, "g"), (12, "h"), (13, "i"))),
    *(("bob", item, day) for day, item in ((9, "f"), (12, "e"))),
    ("cat", "a", 12),
    ("dan", "a", 12),  # nothing is known of dan
    ("eve", "a", 1),
    ("eve", "b", 9),
    ("eve", "z", 11),  # nobody had z before
]
"""(user, item, day): training before day 9, validation from then on, test from day 10 on."""


def written(folder: Path, rows: Sequence[Sequence[object]], header: str = "user_id,item_id,timestamp") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(map(str, row)) for row in rows]
    (folder / "log.csv").write_text("\n".join([header, *lines]) + "\n")
    return f"csv:{folder}"


def story(folder: Path, rows: Sequence[Row] = STORY) -> str:
    return written(folder, [(u, i, f"2020-01-{day:02d}") for u, i, day in rows])


def temporal(at: str = "2020-01-10", k: int = 0) -> DataSettings:
    return DataSettings(split="temporal", split_at=at, min_interactions=k)


GIVEN = DataSettings(split="given", min_interactions=0)


def named(split: Split, histories: Histories) -> dict[str, str]:
    ids = split.training.catalogue.ids
    return {u: "".join(ids[i] for i in h) for u, h in zip(split.user_ids, histories, strict=True)}


def targets(split: Split, part: str) -> dict[str, str]:
    ids = split.training.catalogue.ids
    return {split.user_ids[u]: ids[split.targets(part)[u]] for u in split.users(part)}


@pytest.mark.parametrize("module", [protocols, times])
def test_worked_examples_in_the_documentation(module: object) -> None:
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert (failed, tried >= 1) == (0, True)


def test_a_date_splits_everybody_at_once(tmp_path: Path) -> None:
    split = split_of(read_dataset(story(tmp_path), None, temporal()))
    assert sorted(split.training.user_ids) == ["ann", "bob", "eve"]
    assert named(split, split.histories("valid")) == {"ann": "abcdef", "bob": "bcda", "eve": "a", "cat": "", "dan": ""}
    assert named(split, split.histories("test")) == {
        "ann": "abcdefg",
        "bob": "bcdaf",
        "eve": "ab",
        "cat": "e",
        "dan": "",
    }
    assert targets(split, "valid") == {"bob": "f", "eve": "b"}, "ann's g is new to training, cat is not in it"


def test_what_was_not_there_before_the_date_is_apart(tmp_path: Path) -> None:
    split = split_of(read_dataset(story(tmp_path), None, temporal()))
    assert targets(split, "test") == {"bob": "e", "cat": "a"}
    assert targets(split, NEW_ITEMS) == {"ann": "h", "eve": "z"}
    assert targets(split, NEW_USERS) == {"dan": "a"}
    rows = np.arange(len(split.user_ids))
    assert named(split, split.known(rows)) == {
        "ann": "abcdefghi",
        "bob": "bcdafe",
        "eve": "abz",
        "cat": "ea",
        "dan": "a",
    }
    asked = dict(zip(split.user_ids, split.asked(rows), strict=True))
    assert {user for user, row in asked.items() if row == -1} == {"cat", "dan"}


def test_the_split_comes_back_from_its_files(tmp_path: Path) -> None:
    split = split_of(read_dataset(story(tmp_path / "log"), None, temporal()))
    save_split(split, tmp_path, {})
    loaded = load_split(tmp_path)
    assert loaded.user_ids == split.user_ids
    for part in ("valid", "test", NEW_ITEMS, NEW_USERS):
        assert targets(loaded, part) == targets(split, part)
        assert named(loaded, loaded.histories(part)) == named(split, split.histories(part))
    rows = np.arange(len(split.user_ids))
    assert named(loaded, loaded.known(rows)) == named(split, split.known(rows))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 30)), min_size=3, max_size=60))
def test_no_part_holds_anything_older_than_the_part_before(rows: list[tuple[int, int, int]]) -> None:
    log = pl.DataFrame(rows, schema=[Columns.USER, Columns.ITEM, Columns.TIME], orient="row")
    try:
        dates = temporal_dates(log[Columns.TIME], "0.6", Path("log"))
    except IsrfError:
        return  # everything at one time: other tests say what is told
    parted, told = log.with_columns(parts_of(codes_by_date(log, *dates))), told_of_dates(*dates)
    spans = parted.group_by(Columns.PART).agg(pl.min(Columns.TIME).alias("a"), pl.max(Columns.TIME).alias("b"))
    of = {part: (a, b) for part, a, b in spans.iter_rows()}
    assert set(of) == {"train", "valid", "test"}
    assert of["train"][1] < of["valid"][0] <= of["valid"][1] < of["test"][0]
    before = parted.filter(pl.col(Columns.PART) != "test")
    assert (before[Columns.PART] == "valid").mean() >= 0.1  # type: ignore[operator]
    assert "temporal split" in told


def test_later_interactions_do_not_decide_who_is_trained_on() -> None:
    """The k-core is that of training: user 1 has one training interaction, and five later ones do not help."""
    users, items = np.array([0, 0, 1, 1, 1, 2, 2, 3]), np.array([0, 1, 0, 1, 2, 0, 1, 0])
    trained = np.array([1, 1, 1, 0, 0, 1, 1, 0], dtype=bool)
    from isrf.data.clean import k_core

    kept = core_of_training(users, items, trained, k_core(users[trained], items[trained], 2))
    assert kept.tolist() == [True, True, False, False, False, True, True, True]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2019-01-01", "leaves nothing before it: the log goes from 2020-01-01 to 2020-01-13"),
        ("2021-01-01", "leaves nothing after it"),
        ("soon", "is not a date like 2014-01-31"),
        ("2020-01-02", "nothing is left to train on"),
    ],
)
def test_a_date_that_does_not_split_is_refused(at: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=words):
        read_dataset(story(tmp_path), None, temporal(at))


def test_a_log_without_times_is_refused(tmp_path: Path) -> None:
    src = written(tmp_path, [("a", "b"), ("a", "c")], "user_id,item_id")
    with pytest.raises(IsrfError, match=r"needs times.*data.time_column=NAME"):
        read_dataset(src, None, temporal())


def test_a_split_that_evaluates_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=r"1 users have a validation target and 2 a test target"):
        split_of(read_dataset(story(tmp_path, [row for row in STORY if row[0] != "eve"]), None, temporal()))


PARTED = [
    ("ann", "a", 3, "train"),
    ("ann", "b", 4, "Training"),
    ("ann", "c", 5, "val"),
    ("ann", "d", 1, "test"),  # older than training: allowed, and counted
    ("ann", "e", 7, "test"),
    ("bob", "d", 1, "train"),
    ("bob", "c", 2, "train"),
    ("bob", "a", 3, "dev"),
    ("bob", "b", 4, "test"),
]


def by_column(folder: Path, rows: Sequence[tuple[str, str, int, str]] = PARTED) -> str:
    return written(folder, [(u, i, 1_500_000_000 + t, p) for u, i, t, p in rows], "user_id,item_id,timestamp,split")


def check_given(dataset: Dataset) -> None:
    split = split_of(dataset)
    assert named(split, split.histories("valid")) == {"ann": "ab", "bob": "dc"}
    assert named(split, split.histories("test")) == {"ann": "abc", "bob": "dca"}
    assert targets(split, "valid") == {"ann": "c", "bob": "a"}
    assert targets(split, "test") == {"ann": "d", "bob": "b"}
    assert dataset.counts["test interactions older than one of training by their user"] == 1
    assert dataset.counts["later test interactions of a user (no targets)"] == 1


def test_a_column_gives_the_split(tmp_path: Path) -> None:
    check_given(read_dataset(by_column(tmp_path), None, GIVEN))


@pytest.mark.parametrize("kind", ["csv", "parquet", "recbole"])
def test_a_file_of_each_part_gives_the_split(kind: str, tmp_path: Path) -> None:
    pl.read_csv(by_column(tmp_path / "one")[4:] + "/log.csv")
    parts = {"train": "train", "Training": "train", "val": "valid", "dev": "valid", "test": "test"}
    for part in ("train", "valid", "test"):
        rows = [(u, i, 1_500_000_000 + t) for u, i, t, p in PARTED if parts[p] == part]
        frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
        if kind == "parquet":
            frame.write_parquet(tmp_path / f"{part}.parquet")
        elif kind == "csv":
            frame.write_csv(tmp_path / f"shop.{part}.csv")
        else:
            typed = frame.rename(
                {"user_id": "user_id:token", "item_id": "item_id:token", "timestamp": "timestamp:float"}
            )
            typed.write_csv(tmp_path / f"shop.{part}.inter", separator="\t")
    dataset = read_dataset(f"{kind}:{tmp_path}", None, GIVEN)
    check_given(dataset)
    assert dataset.counts["rows read"] == len(PARTED)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("ann", "a", 3, "test"), r"user 'ann' with item 'a' stands in train and test \(1 such interactions\)"),
        (("ann", "z", 3, "later"), r"row 11, column split: part 'later' is not one of train, valid, test"),
    ],
)
def test_contradictions_of_a_given_split_are_refused(
    more: tuple[str, str, int, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(IsrfError, match=words):
        read_dataset(by_column(tmp_path, [*PARTED, more]), None, GIVEN)


def test_a_repeat_in_a_later_part_stays_with_training(tmp_path: Path) -> None:
    """Bought again: whoever has it is not asked about it, even where the test row is the older one."""
    dataset = read_dataset(by_column(tmp_path, [("ann", "a", 0, "test"), *PARTED]), None, GIVEN)
    check_given(dataset)
    assert dataset.counts["repeat interactions dropped (earliest kept)"] == 1


def test_a_given_split_lacks_no_part(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match="no interaction is in valid"):
        read_dataset(by_column(tmp_path, [row for row in PARTED if row[3] not in ("val", "dev")]), None, GIVEN)
    written(tmp_path / "files", [("a", "b")], "user_id,item_id")
    (tmp_path / "files" / "log.csv").rename(tmp_path / "files" / "train.csv")
    with pytest.raises(IsrfError, match="one file of each part is needed, valid has none"):
        read_dataset(f"csv:{tmp_path / 'files'}", None, GIVEN)


def test_a_log_without_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=r"no split column found.*data.split_column=NAME"):
        read_dataset(story(tmp_path), None, GIVEN)
    (tmp_path / "ratings.dat").write_text("1::2::5::978300760\n", encoding="latin-1")
    with pytest.raises(IsrfError, match="this format says nothing of parts"):
        read_dataset(f"movielens:{tmp_path / 'ratings.dat'}", None, GIVEN)


def test_settings_that_contradict_each_other_are_refused() -> None:
    from isrf.core.config import load_settings

    for chosen, words in (
        (["data.split=temporal"], "needs data.split_at"),
        (["data.split_at=2014-01-31"], "read by data.split=temporal alone"),
        (["data.split_column=fold"], "read by data.split=given alone"),
    ):
        with pytest.raises(IsrfError, match=words):
            load_settings(overrides=chosen)
    read = load_settings(overrides=["data.split=temporal", "data.split_at=2014-01-31"])
    assert read.data.split_at == "2014-01-31"
