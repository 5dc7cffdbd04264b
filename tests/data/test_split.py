"""Leave-one-out: what is held out, what training sees, and that the files say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.errors import IsrfError
from isrf.data.appearance_numbers import appearance_numbers
from isrf.data.dataset import Columns, Dataset
from isrf.data.histories import Histories
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.data.splits.split import Split
from isrf.data.splits.storage import load_split, load_training, save_split
from isrf.workspace.layout import TEST_FILE, VALID_FILE

SEQUENCES = {"ann": "cab", "bob": "bd", "eve": "dcbae", "ian": "e"}


def dataset_of(sequences: dict[str, str], extra_items: str = "") -> Dataset:
    rows = [(u, i, None, n) for u, items in sorted(sequences.items()) for n, i in enumerate(items)]
    schema = {Columns.USER: pl.String, Columns.ITEM: pl.String, Columns.TIME: pl.Int64, Columns.ORDER: pl.Int64}
    ids = sorted(set("".join(sequences.values())) | set(extra_items))
    catalogue = pl.DataFrame({Columns.ITEM: ids, Columns.TITLE: [i.upper() for i in ids]})
    return Dataset("toy", pl.DataFrame(rows, schema=schema, orient="row"), catalogue)


def named(split: Split, histories: Histories) -> dict[str, str]:
    ids = split.training.catalogue.ids
    return {u: "".join(ids[i] for i in h) for u, h in zip(split.training.user_ids, histories, strict=True)}


def test_last_is_test_the_one_before_validation() -> None:
    split = leave_one_out(dataset_of(SEQUENCES))
    ids = split.training.catalogue.ids
    assert named(split, split.training.histories) == {"ann": "c", "bob": "bd", "eve": "dcb", "ian": "e"}
    assert named(split, split.histories("test")) == {"ann": "ca", "bob": "bd", "eve": "dcba", "ian": "e"}
    targets = {
        u: tuple(ids[t] if t >= 0 else None for t in (split.valid[row], split.test[row]))
        for u, row in split.training.row_of.items()
    }
    assert targets == {"ann": ("a", "b"), "bob": (None, None), "eve": ("a", "e"), "ian": (None, None)}


def test_training_is_blind_to_the_held_out_items() -> None:
    """Other validation and test items, the same training data, to the byte."""
    other = leave_one_out(dataset_of({**SEQUENCES, "ann": "ced", "eve": "dcbea"}))
    split = leave_one_out(dataset_of(SEQUENCES))
    assert split.test.tolist() != other.test.tolist()
    assert split.training.user_ids == other.training.user_ids
    assert split.training.catalogue.table.equals(other.training.catalogue.table)
    assert named(split, split.training.histories) == named(other, other.training.histories)


def test_row_numbers_come_from_the_seed_alone() -> None:
    one = leave_one_out(dataset_of({f"u{n}": "abc" for n in range(40)}), seed=1)
    two = leave_one_out(dataset_of({f"u{n}": "abc" for n in range(40)}), seed=2)
    assert sorted(one.training.user_ids) == sorted(two.training.user_ids)
    assert one.training.user_ids != two.training.user_ids
    assert one.training.user_ids != sorted(one.training.user_ids)


@given(st.permutations(list(SEQUENCES)), st.integers(0, 20))
def test_numbers_of_first_appearance_walk_whole_sequences_in_the_order_of_the_source(
    users: list[str], seed: int
) -> None:
    """As in the published P5 files: the held-out item of a new person often has the number after their last."""
    order = {user: n for n, user in enumerate(users)}
    made = dataset_of(SEQUENCES, extra_items="z")
    places = [10 * order[user] + n for user, n in made.interactions.select(Columns.USER, Columns.ORDER).iter_rows()]
    dataset = Dataset("toy", made.interactions.with_columns(pl.Series(Columns.ORDER, places)), made.catalogue)
    catalogue = leave_one_out(dataset, seed).training.catalogue
    numbers = appearance_numbers(dataset, catalogue)
    walked = dict.fromkeys("".join(SEQUENCES[user] for user in users) + "z")
    assert [catalogue.ids[row] for row in np.argsort(numbers)] == list(walked)
    assert sorted(numbers) == list(range(1, 7))


def test_save_and_load(tmp_path: Path) -> None:
    split = leave_one_out(dataset_of(SEQUENCES, extra_items="z"))
    save_split(split, tmp_path, {"name": "toy"})
    loaded = load_split(tmp_path)
    assert loaded.training.user_ids == split.training.user_ids
    assert loaded.training.catalogue.table.equals(split.training.catalogue.table)
    assert np.array_equal(loaded.training.histories.offsets, split.training.histories.offsets)
    assert np.array_equal(loaded.training.histories.items, split.training.histories.items)
    assert np.array_equal(loaded.valid, split.valid) and np.array_equal(loaded.test, split.test)


def test_training_loads_without_the_held_out_files(tmp_path: Path) -> None:
    split = leave_one_out(dataset_of(SEQUENCES))
    save_split(split, tmp_path, {})
    for name in (VALID_FILE, TEST_FILE):
        (tmp_path / name).unlink()
    assert named(split, load_training(tmp_path).histories) == named(split, split.training.histories)


def test_histories() -> None:
    histories = Histories.of([[5, 3, 1], [], [2]])
    assert [h.tolist() for h in histories] == [[5, 3, 1], [], [2]]
    assert histories.lengths.tolist() == [3, 0, 1]
    assert histories.rows().tolist() == [0, 0, 0, 2]
    assert histories.age().tolist() == [2, 1, 0, 0]
    assert [h.tolist() for h in histories.recent(2)] == [[3, 1], [], [2]]
    assert [h.tolist() for h in histories.appended(np.array([9, -1, 7]))] == [[5, 3, 1, 9], [], [2, 7]]
    assert histories.matrix(6).toarray().sum() == 4


def test_unknown_item_is_named() -> None:
    catalogue = leave_one_out(dataset_of(SEQUENCES)).training.catalogue
    assert [catalogue.ids[r] for r in catalogue.rows_of(["b", "a"])] == ["b", "a"]
    with pytest.raises(IsrfError, match="'q'"):
        catalogue.rows_of(["a", "q"])


@given(
    sequences=st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6),
    data=st.data(),
)
def test_histories_are_taken_and_appended_as_lists_are(sequences: list[list[int]], data: st.DataObject) -> None:
    histories = Histories.of(sequences)
    n = len(sequences)
    users = data.draw(st.lists(st.integers(0, n - 1), max_size=8)) if n else []
    assert [h.tolist() for h in histories.take(np.array(users, dtype=np.int64))] == [sequences[u] for u in users]
    targets = data.draw(st.lists(st.integers(-1, 9), min_size=n, max_size=n))
    longer = histories.appended(np.array(targets, dtype=np.int64))
    assert [h.tolist() for h in longer] == [[*s, t] if t >= 0 else s for s, t in zip(sequences, targets, strict=True)]
    assert longer.items.dtype == longer.offsets.dtype == np.int64
    with pytest.raises(ValueError):
        histories.appended(np.zeros(n + 1, dtype=np.int64))
