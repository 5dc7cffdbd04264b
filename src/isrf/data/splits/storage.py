"""A split as Parquet tables: what may be fitted on in some files, each held-out part in a file of its own.

So a stage before evaluation opens no file that holds what it must not see. Knows nothing about how a split is made.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from isrf.core.tables import read_table, write_table
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.splits.split import HeldOut, Split
from isrf.data.training_data import Catalogue, TrainingData
from isrf.workspace.layout import (
    ABOUT_DATASET_FILE,
    HELD_OUT_FILE,
    ITEMS_FILE,
    NEW_USERS_FILE,
    TEST_FILE,
    TRAIN_FILE,
    USERS_FILE,
    VALID_FILE,
)


def save_training(training: TrainingData, folder: Path) -> None:
    """Write users, items and training interactions: the files that every stage before evaluation may read."""
    write_table(pl.DataFrame({Columns.USER: training.user_ids}, schema={Columns.USER: pl.String}), folder / USERS_FILE)
    write_table(training.catalogue.table, folder / ITEMS_FILE)
    pairs = {Columns.USER_ROW: training.histories.rows(), Columns.ITEM_ROW: training.histories.items}
    write_table(pl.DataFrame(pairs), folder / TRAIN_FILE)


def save_split(split: Split, folder: Path, about: dict) -> None:
    """Write the training files, one file for each held-out part, and ``about`` (name, counts, digest) as JSON."""
    save_training(split.training, folder)
    for part, name in (("valid", VALID_FILE), ("test", TEST_FILE)):
        users = np.flatnonzero(split.targets(part) >= 0)  # those that are reported apart too
        columns = {Columns.USER_ROW: users, Columns.ITEM_ROW: split.targets(part)[users]}
        write_table(pl.DataFrame(columns), folder / name)
    if split.later is not None:
        ids = {Columns.USER: split.later.user_ids}
        write_table(pl.DataFrame(ids, schema={Columns.USER: pl.String}), folder / NEW_USERS_FILE)
        parts = [
            pl.DataFrame({Columns.PART: part, Columns.USER_ROW: held.rows(), Columns.ITEM_ROW: held.items})
            for part, held in (("valid", split.later.valid), ("test", split.later.test))
        ]
        write_table(pl.concat(parts), folder / HELD_OUT_FILE)
    (folder / ABOUT_DATASET_FILE).write_text(json.dumps(about, indent=2, ensure_ascii=False))


def load_training(folder: Path) -> TrainingData:
    """Read what may be fitted on; the held-out files are not opened."""
    user_ids = read_table(folder / USERS_FILE)[Columns.USER].to_list()
    catalogue = Catalogue(read_table(folder / ITEMS_FILE))
    pairs = read_table(folder / TRAIN_FILE)
    return TrainingData(user_ids, catalogue, _histories(pairs, len(user_ids)))


def _histories(pairs: pl.DataFrame, count: int) -> Histories:
    """``count`` histories of USER_ROW, ascending, and ITEM_ROW."""
    lengths = np.bincount(pairs[Columns.USER_ROW].to_numpy(), minlength=count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Histories(offsets, pairs[Columns.ITEM_ROW].to_numpy().astype(np.int64))


def load_targets(folder: Path, part: str, n_users: int) -> np.ndarray:
    """(U,) int64 held-out item rows of "valid" or "test", -1 where a user has none."""
    table = read_table(folder / {"valid": VALID_FILE, "test": TEST_FILE}[part])
    targets = np.full(n_users, -1, dtype=np.int64)
    targets[table[Columns.USER_ROW].to_numpy()] = table[Columns.ITEM_ROW].to_numpy()
    return targets


def load_split(folder: Path) -> Split:
    """Read the whole split, held-out parts included: for evaluation."""
    training = load_training(folder)
    count, later = training.n_users, None
    if (folder / HELD_OUT_FILE).exists():
        user_ids = read_table(folder / NEW_USERS_FILE)[Columns.USER].to_list()
        count += len(user_ids)
        held = read_table(folder / HELD_OUT_FILE)
        valid, test = (_histories(held.filter(pl.col(Columns.PART) == part), count) for part in ("valid", "test"))
        later = HeldOut(user_ids, valid, test)
    return Split(training, load_targets(folder, "valid", count), load_targets(folder, "test", count), later)
