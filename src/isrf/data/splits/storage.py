"""A split as Parquet tables: what may be fitted on in some files, each held-out part in a file of its own.

So a stage before evaluation opens no file that holds what it must not see. Knows nothing about how a split is made.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from isrf.core.documents import read_json
from isrf.core.tables import read_table, write_table
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.splits.split import HeldOut, Split
from isrf.data.training_data import Catalogue, TrainingData
from isrf.workspace.layout import (
    ABOUT_DATASET_FILE,
    DISLIKES_FILE,
    HELD_OUT_FILE,
    ITEMS_FILE,
    NEW_USERS_FILE,
    TEST_FILE,
    TRAIN_FILE,
    USERS_FILE,
    VALID_FILE,
)

REPEATED = "repeats"
"""Key of ABOUT_DATASET_FILE: users have items again."""
TARGET_FILES = {"valid": VALID_FILE, "test": TEST_FILE}


def save_training(training: TrainingData, folder: Path) -> None:
    """Write users, items and training interactions: the files that every stage before evaluation may read."""
    write_table(pl.DataFrame({Columns.USER: training.user_ids}, schema={Columns.USER: pl.String}), folder / USERS_FILE)
    write_table(training.catalogue.table, folder / ITEMS_FILE)
    write_table(table_of(training.histories), folder / TRAIN_FILE)


def table_of(histories: Histories) -> pl.DataFrame:
    """USER_ROW and ITEM_ROW of every interaction, and WEIGHT where they have any."""
    columns = {Columns.USER_ROW: histories.rows(), Columns.ITEM_ROW: histories.items}
    return pl.DataFrame(columns | ({} if histories.weights is None else {Columns.WEIGHT: histories.weights}))


def save_split(split: Split, folder: Path, about: dict) -> None:
    """Write the training files, one file for each held-out part, and ``about`` (name, counts, digest) as JSON."""
    save_training(split.training, folder)
    for part, name in TARGET_FILES.items():
        users = np.flatnonzero(split.targets(part) >= 0)  # those that are reported apart too
        columns = {Columns.USER_ROW: users, Columns.ITEM_ROW: split.targets(part)[users]}
        if split.target_weights is not None:
            columns[Columns.WEIGHT] = split.target_weights[part][users]
        write_table(pl.DataFrame(columns), folder / name)
    if split.later is not None:
        ids = {Columns.USER: split.later.user_ids}
        write_table(pl.DataFrame(ids, schema={Columns.USER: pl.String}), folder / NEW_USERS_FILE)
        parts = [
            table_of(held).select(pl.lit(part).alias(Columns.PART), pl.all())
            for part, held in (("valid", split.later.valid), ("test", split.later.test))
        ]
        write_table(pl.concat(parts), folder / HELD_OUT_FILE)
    about = about | ({REPEATED: True} if split.repeats else {})
    (folder / ABOUT_DATASET_FILE).write_text(json.dumps(about, indent=2, ensure_ascii=False))


def save_dislikes(dislikes: pl.DataFrame, split: Split, folder: Path) -> None:
    """Write the dislikes of a dataset (original ids) by rows of its split."""
    rows = dislikes.select(
        pl.col(Columns.USER).replace_strict(split.row_of, return_dtype=pl.Int64).alias(Columns.USER_ROW),
        pl.col(Columns.ITEM)
        .replace_strict(split.training.catalogue.row_of, return_dtype=pl.Int64)
        .alias(Columns.ITEM_ROW),
    )
    write_table(rows.sort(Columns.USER_ROW, Columns.ITEM_ROW), folder / DISLIKES_FILE)


def load_training(folder: Path) -> TrainingData:
    """Read what may be fitted on; the held-out files are not opened."""
    user_ids = read_table(folder / USERS_FILE)[Columns.USER].to_list()
    catalogue = Catalogue(read_table(folder / ITEMS_FILE))
    pairs = read_table(folder / TRAIN_FILE)
    return TrainingData(user_ids, catalogue, histories_of(pairs, len(user_ids)))


def histories_of(pairs: pl.DataFrame, count: int) -> Histories:
    """``count`` histories of USER_ROW, ascending, ITEM_ROW, and WEIGHT if any."""
    lengths = np.bincount(pairs[Columns.USER_ROW].to_numpy(), minlength=count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    weights = pairs[Columns.WEIGHT].to_numpy().astype(np.float32) if Columns.WEIGHT in pairs.columns else None
    return Histories(offsets, pairs[Columns.ITEM_ROW].to_numpy().astype(np.int64), weights)


def load_targets(folder: Path, part: str, n_users: int) -> np.ndarray:
    """(U,) int64 held-out item rows of "valid" or "test", -1 where a user has none."""
    table = read_table(folder / TARGET_FILES[part])
    targets = np.full(n_users, -1, dtype=np.int64)
    targets[table[Columns.USER_ROW].to_numpy()] = table[Columns.ITEM_ROW].to_numpy()
    return targets


def load_target_weights(folder: Path, n_users: int) -> dict[str, np.ndarray] | None:
    """ "valid" and "test" -> (U,) float32, how much a target counts once it is known; None where all count 1."""
    found = {}
    for part, file in TARGET_FILES.items():
        table = read_table(folder / file)
        if Columns.WEIGHT not in table.columns:
            return None
        found[part] = np.ones(n_users, dtype=np.float32)
        found[part][table[Columns.USER_ROW].to_numpy()] = table[Columns.WEIGHT].to_numpy()
    return found


def load_split(folder: Path) -> Split:
    """Read the whole split, held-out parts included: for evaluation."""
    training = load_training(folder)
    count, later = training.n_users, None
    if (folder / HELD_OUT_FILE).exists():
        user_ids = read_table(folder / NEW_USERS_FILE)[Columns.USER].to_list()
        count += len(user_ids)
        held = read_table(folder / HELD_OUT_FILE)
        valid, test = (histories_of(held.filter(pl.col(Columns.PART) == part), count) for part in ("valid", "test"))
        later = HeldOut(user_ids, valid, test)
    targets = {part: load_targets(folder, part, count) for part in TARGET_FILES}
    repeats = bool(read_json(folder / ABOUT_DATASET_FILE).get(REPEATED, False))
    return Split(training, targets["valid"], targets["test"], later, load_target_weights(folder, count), repeats)
