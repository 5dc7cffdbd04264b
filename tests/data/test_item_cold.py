"""The item-cold split: some items keep their text and lose every interaction before test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.readers.registry import read_dataset
from isrf.data.splits.item_cold import cold_items
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import NEW_ITEMS, Split

USERS, ITEMS, LENGTH = 60, 40, 6


def write_log(folder: Path, order: np.random.Generator | None = None) -> tuple[Path, Path]:
    """Random purchases with times, and a catalogue; ``order`` shuffles the rows of both."""
    rng = np.random.default_rng(5)
    rows = [(f"u{u}", f"i{item}", t) for u in range(USERS) for t, item in enumerate(rng.permutation(ITEMS)[:LENGTH])]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(ITEMS)], "title": [f"thing {n}" for n in range(ITEMS)]})
    if order is not None:
        log, items = (frame[order.permutation(frame.height)] for frame in (log, items))
    log.write_csv(folder / "log.csv")
    items.write_csv(folder / "items.csv")
    return folder / "log.csv", folder / "items.csv"


def cold_split(folder: Path, share: float = 0.2, seed: int = 0, order: np.random.Generator | None = None) -> Split:
    log, items = write_log(folder, order)
    settings = DataSettings(min_interactions=0, split="item-cold", cold_share=share, seed=seed)
    dataset = read_dataset(str(log), items, settings)
    assert dataset.protocol is not None and "item-cold" in dataset.protocol
    return split_of(dataset, seed)


def test_cold_items_are_candidates_without_any_interaction_before_test(tmp_path: Path) -> None:
    split = cold_split(tmp_path)
    known, cold = split.histories("test"), split.users(NEW_ITEMS)
    assert split.training.n_items == ITEMS, "their texts stay"
    drawn = set(cold_items(pl.Series([f"i{n}" for n in range(ITEMS)]), 0.2, 0))
    lost = {
        item
        for item, n in zip(split.training.catalogue.ids, np.bincount(known.items, minlength=ITEMS), strict=True)
        if not n
    }
    assert len(drawn) == 8 and lost == drawn
    assert len(cold) and {split.training.catalogue.ids[item] for item in split.test[cold]} <= drawn
    warm = split.users("test")
    assert not set(warm) & set(cold) and len(warm) + len(cold) == USERS
    assert not {split.training.catalogue.ids[item] for item in split.test[warm]} & drawn


def test_everything_else_is_held_out_as_by_leave_one_out(tmp_path: Path) -> None:
    split = cold_split(tmp_path)
    log = pl.read_csv(tmp_path / "log.csv").sort("user_id", "timestamp")
    drawn = set(cold_items(pl.Series([f"i{n}" for n in range(ITEMS)]), 0.2, 0))
    ids = split.training.catalogue.ids
    for user, own in log.group_by("user_id"):
        row, items = split.row_of[str(user[0])], own["item_id"].to_list()
        assert ids[split.test[row]] == items[-1]
        assert split.valid[row] == (-1 if items[-2] in drawn else split.training.catalogue.row_of[items[-2]])
        assert [ids[item] for item in split.training.histories[row]] == [i for i in items[:-2] if i not in drawn]


def test_the_draw_follows_the_seed_and_not_the_order_of_the_source(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    one, other = cold_split(folders[0]), cold_split(folders[1], order=np.random.default_rng(9))
    assert np.array_equal(one.test, other.test) and np.array_equal(
        one.training.histories.items, other.training.histories.items
    )
    assert set(cold_items(pl.Series("i", range(50)), 0.1, 1)) != set(cold_items(pl.Series("i", range(50)), 0.1, 2))


def test_a_draw_that_nobody_is_tested_on_is_refused(tmp_path: Path) -> None:
    rows = [(f"u{u}", f"{'last' if t == 3 else f'i{t}'}", t) for u in range(9) for t in range(4)]
    pl.DataFrame(rows, schema=[Columns.USER, Columns.ITEM, "timestamp"], orient="row").write_csv(tmp_path / "log.csv")
    seed = next(s for s in range(99) if "last" not in set(cold_items(pl.Series(["i0", "i1", "i2", "last"]), 0.25, s)))
    settings = DataSettings(min_interactions=0, split="item-cold", cold_share=0.25, seed=seed)
    with pytest.raises(IsrfError, match=r"item-cold: none of the 1 items drawn is the last one.*data.cold_share"):
        read_dataset(str(tmp_path / "log.csv"), None, settings)
