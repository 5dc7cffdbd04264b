"""Review explanations: what is read, what is refused, and that the pair alone decides where a sentence belongs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.readers.raw import BadRows
from isrf.data.readers.registry import read_dataset
from isrf.data.reviews import by_part, read_explanations, save_explanations
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.workspace.layout import REVIEW_FILES

USERS = {"1": "ann", "2": "bob"}
ITEMS = {"1": "soap", "2": "tea", "3": "lamp", "4": "pen"}
SETTINGS = DataSettings(min_interactions=0)
SCHEMA = [Columns.USER, Columns.ITEM, Columns.EXPLANATION, Columns.FEATURE]


def record(user: object = 1, item: object = 2, explanation: object = "good tea", **more: object) -> dict:
    return {"user": user, "item": item, "explanation": explanation, **more}


def write(file: Path, train: list | None = None, val: list | None = None, test: list | None = None) -> Path:
    file.write_text(json.dumps({"train": train or [], "val": val or [], "test": test or []}))
    return file


def folder_with(folder: Path, train: list, val: list | None = None, test: list | None = None) -> str:
    """ann had soap, tea, lamp, pen in this order and bob had pen, lamp, tea; the last two of each are held out."""
    (folder / "sequential.txt").write_text("1 1 2 3 4\n2 4 3 2\n")
    (folder / "datamaps.json").write_text(json.dumps({"id2user": USERS, "id2item": ITEMS}))
    write(folder / "explanation.json", train, val, test)
    return f"p5:{folder}"


def read(file: Path, policy: str = "fail") -> tuple[list[tuple], BadRows]:
    bad = BadRows(policy)  # type: ignore[arg-type]
    return read_explanations(file, USERS, ITEMS, bad).frame.select(SCHEMA).rows(), bad


def test_all_parts_of_the_file_are_pooled_and_ids_are_the_original_ones(tmp_path: Path) -> None:
    file = write(
        tmp_path / "e.json",
        [record(1, 2, " good \n tea ", feature="tea", rating=5, template=["tea", "good", "good tea", 1])],
        [record(2, 4, "a pen", feature=None)],
        [record("1", "3", "bright")],
    )
    rows, _ = read(file)
    assert rows == [("ann", "tea", "good tea", "tea"), ("bob", "pen", "a pen", ""), ("ann", "lamp", "bright", "")]


@pytest.mark.parametrize(
    ("broken", "key", "words"),
    [
        (record(user=9), "user", "user '9' is not in id2user of datamaps.json"),
        (record(item=99), "item", "item '99' is not in id2item"),
        (record(user=True), "user", "is not an integer id"),
        (record(item=2.0), "item", "is not an integer id"),
        ({"item": 1, "explanation": "x"}, "user", "is missing"),
        ({"user": 1, "item": 1}, "explanation", "is missing"),
        (record(explanation=" \n"), "explanation", "is empty"),
        (record(explanation=["good"]), "explanation", "is not text"),
        (record(explanation="half \ud800"), "explanation", "half a character"),
        (record(feature=3), "feature", "is not text"),
        ("good tea", "", "is not a record"),
    ],
)
def test_a_bad_record_is_named_by_part_number_and_key(tmp_path: Path, broken: object, key: str, words: str) -> None:
    file = write(tmp_path / "e.json", [record()], [record(), broken])
    with pytest.raises(IsrfError) as caught:
        read(file)
    column = f"val.{key}" if key else "val"
    assert f"{file}: row 2, column {column}: " in str(caught.value) and words in str(caught.value)
    assert "--on-bad-row skip" in str(caught.value)
    rows, bad = read(file, "skip")
    assert len(rows) == 2 and len(bad) == 1
    bad.write(tmp_path / "rejected.csv")
    assert (tmp_path / "rejected.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "'train' is not a list"),
        ('{"train": [], "val": []}', "'test' is not a list"),
        ('{"train": {}, "val": [], "test": []}', "'train' is not a list"),
        ('{"train": [', "not readable as JSON"),
        ("\x80", "not readable as JSON"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "e.json"
    file.write_bytes(content.encode("latin-1"))
    for policy in ("fail", "skip"):
        with pytest.raises(IsrfError, match=f"^{file}: {words}"):
            read(file, policy)


def test_the_pair_decides_and_every_loss_is_counted(tmp_path: Path) -> None:
    source = folder_with(
        tmp_path,
        [record(1, 4, "test, though the file says train"), record(1, 1, "training"), record(2, 1, "never bought")],
        [record(1, 1, "training"), record(1, 3, "validation"), record(2, 4, "of bob", feature="pen")],
        [record(1, 2, "training too, though the file says test"), record(2, 4, "of bob")],
    )
    dataset = read_dataset(source, None, SETTINGS)
    split = leave_one_out(dataset)
    assert dataset.explanations is not None
    parts = by_part(dataset.explanations, split)
    told = {part: sorted(frame[Columns.EXPLANATION]) for part, frame in parts.items()}
    assert told == {
        "train": ["of bob", "training", "training too, though the file says test"],
        "valid": ["validation"],
        "test": ["test, though the file says train"],
    }
    assert parts["train"].filter(pl.col(Columns.EXPLANATION) == "of bob")[Columns.FEATURE].to_list() == ["pen"]
    counts = {name: count for name, count in dataset.counts.items() if name.startswith("explanation")}
    assert counts == {
        "explanations read": 8,
        "explanations rejected": 0,
        "explanation duplicates dropped": 2,
        "explanations of pairs that are no interaction here (left out)": 1,
    }


def test_a_folder_without_the_file_has_none(tmp_path: Path) -> None:
    source = folder_with(tmp_path, [])
    assert read_dataset(source, None, SETTINGS).explanations is not None
    (tmp_path / "explanation.json").unlink()
    dataset = read_dataset(source, None, SETTINGS)
    assert dataset.explanations is None and not any(name.startswith("explanation") for name in dataset.counts)


RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from([1, 2, "1", 7, None]),
        st.sampled_from([1, 2, 3, 4, 9]),
        st.one_of(st.sampled_from(["good", "good tea", "fine "]), st.text(max_size=8)),
        feature=st.sampled_from([None, "tea", ""]),
    ),
    max_size=12,
)


@examples(max_examples=40)
@given(RECORDS, st.randoms())
def test_nothing_is_lost_uncounted_and_order_tells_nothing(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict], chance: random.Random
) -> None:
    """Each record is rejected, a duplicate, left out, or in exactly one part; shuffled between parts it is the same."""
    saved = []
    for shuffled in (records, chance.sample(records, len(records))):
        folder = tmp_path_factory.mktemp("p5")
        cuts = sorted(chance.randint(0, len(records)) for _ in range(2))
        source = folder_with(folder, shuffled[: cuts[0]], shuffled[cuts[0] : cuts[1]], shuffled[cuts[1] :])
        dataset = read_dataset(source, None, SETTINGS.model_copy(update={"on_bad_row": "skip"}))
        assert dataset.explanations is not None
        split = leave_one_out(dataset)
        parts = by_part(dataset.explanations, split)
        counted = [count for name, count in dataset.counts.items() if name.startswith("explanation")]
        assert counted[0] == len(records) == sum(counted[1:]) + sum(frame.height for frame in parts.values())
        histories = split.training.histories
        for user, item in parts["train"].select(Columns.USER_ROW, Columns.ITEM_ROW).iter_rows():
            assert item in histories[user]
        for part in ("valid", "test"):
            for user, item in parts[part].select(Columns.USER_ROW, Columns.ITEM_ROW).iter_rows():
                assert split.targets(part)[user] == item
        save_explanations(parts, folder)
        saved.append([(folder / name).read_bytes() for name in REVIEW_FILES.values()])
    assert saved[0] == saved[1]
