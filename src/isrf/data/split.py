"""Row numbers and the leave-one-out split: the one boundary between the user's ids and arrays.

Everything fitted before evaluation takes a ``TrainingData``, which does not hold a held-out interaction (DESIGN,
rules for numbers 1 and 2). Knows nothing about files but the Parquet tables that it writes itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from isrf.data.dataset import LIST_SEPARATOR, Columns, Dataset
from isrf.errors import IsrfError


@dataclass(frozen=True)
class Histories:
    """Ragged item sequences, oldest first.

    Attributes:
        offsets: (U + 1,) int64; history u is ``items[offsets[u]:offsets[u + 1]]``.
        items: (N,) int64 item rows.
    """

    offsets: np.ndarray
    items: np.ndarray

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray] | Sequence[Sequence[int]]) -> Histories:
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        parts = [np.asarray(s, dtype=np.int64) for s in sequences]
        items = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        return cls(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), items.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> np.ndarray:
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[u] for u in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """(U,) int64."""
        return np.diff(self.offsets)

    def rows(self) -> np.ndarray:
        """(N,) int64: the history that each entry of ``items`` belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def age(self) -> np.ndarray:
        """(N,) int64: steps back from the newest item of the same history; 0 = newest."""
        return np.repeat(self.offsets[1:], self.lengths) - 1 - np.arange(len(self.items))

    def take(self, users: np.ndarray) -> Histories:
        """The histories at the given rows, in that order."""
        users = np.asarray(users, dtype=np.int64)
        starts = self.offsets[:-1][users]
        lengths = self.offsets[1:][users] - starts  # self.lengths would walk over all users for each block
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Histories(offsets, self.items[source])

    def recent(self, k: int) -> Histories:
        """The newest k items of each history."""
        keep = self.age() < k
        offsets = np.concatenate([[0], np.cumsum(np.minimum(self.lengths, k))]).astype(np.int64)
        return Histories(offsets, self.items[keep])

    def appended(self, targets: np.ndarray) -> Histories:
        """Each history with ``targets[u]`` behind it; -1 appends nothing."""
        if len(targets) != len(self):
            raise ValueError(f"{len(targets)} targets for {len(self)} histories")
        has = np.asarray(targets) >= 0
        offsets = self.offsets + np.concatenate([[0], np.cumsum(has)])
        items = np.empty(offsets[-1], dtype=np.int64)
        behind = np.zeros(len(items), dtype=bool)
        behind[offsets[1:][has] - 1] = True
        items[behind], items[~behind] = np.asarray(targets)[has], self.items
        return Histories(offsets, items)

    def matrix(self, n_items: int, weights: np.ndarray | None = None) -> sp.csr_matrix:
        """(U, n_items) float32 CSR: 1 (or ``weights``, one a history entry) where the user has the item."""
        data = np.ones(len(self.items), dtype=np.float32) if weights is None else weights.astype(np.float32)
        return sp.csr_matrix((data, self.items.astype(np.int32), self.offsets), shape=(len(self), n_items))


@dataclass(frozen=True)
class Catalogue:
    """The items that can be recommended, in item-row order.

    Attributes:
        table: ITEM, TITLE and further text attributes, all str; row i of the table is item row i everywhere.
    """

    table: pl.DataFrame

    def __len__(self) -> int:
        return self.table.height

    @cached_property
    def ids(self) -> list[str]:
        return self.table[Columns.ITEM].to_list()

    @cached_property
    def titles(self) -> list[str]:
        return self.table[Columns.TITLE].to_list()

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Original item id -> item row."""
        return {item: row for row, item in enumerate(self.ids)}

    @property
    def attribute_columns(self) -> list[str]:
        """Text attributes beside the title, e.g. ["brand", "categories"]."""
        return [c for c in self.table.columns if c not in (Columns.ITEM, Columns.TITLE)]

    def name_of(self, row: int) -> str:
        """The title for people; the id where the title is empty."""
        return self.titles[row] or self.ids[row]

    def rows_of(self, items: Sequence[str]) -> np.ndarray:
        """Item rows of original ids. Raises IsrfError naming the first unknown id."""
        unknown = [i for i in items if i not in self.row_of]
        if unknown:
            raise IsrfError(f"item {unknown[0]!r} is not in the catalogue of this workspace")
        return np.array([self.row_of[i] for i in items], dtype=np.int64)

    @cached_property
    def texts(self) -> list[str]:
        """One line an item: the title, then "name: value" for every attribute present (a_i in the paper)."""
        lines = []
        for record in self.table.select(Columns.TITLE, *self.attribute_columns).iter_rows(named=True):
            parts = [record[Columns.TITLE]] if record[Columns.TITLE] else []
            parts += [f"{c}: {record[c].replace(LIST_SEPARATOR, ', ')}" for c in self.attribute_columns if record[c]]
            lines.append(". ".join(parts))
        return lines


@dataclass(frozen=True)
class TrainingData:
    """All that may be seen before evaluation: users, catalogue and training histories.

    Attributes:
        user_ids: original ids in user-row order.
        catalogue: items in item-row order.
        histories: (U,) training interactions, oldest first.
    """

    user_ids: list[str]
    catalogue: Catalogue
    histories: Histories

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.catalogue)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Original user id -> user row."""
        return {user: row for row, user in enumerate(self.user_ids)}

    @cached_property
    def matrix(self) -> sp.csr_matrix:
        """(U, I) float32 CSR of training interactions."""
        return self.histories.matrix(self.n_items)

    @cached_property
    def popularity(self) -> np.ndarray:
        """(I,) float32: training interactions of each item."""
        return np.bincount(self.histories.items, minlength=self.n_items).astype(np.float32)


@dataclass(frozen=True)
class Split:
    """Leave-one-out: the last item of a user is the test target, the one before the validation target.

    Attributes:
        training: what may be fitted on.
        valid: (U,) int64 item row of the validation target, -1 for users with fewer than 3 interactions.
        test: (U,) int64 item row of the test target, -1 likewise.
    """

    training: TrainingData
    valid: np.ndarray
    test: np.ndarray

    def targets(self, part: str) -> np.ndarray:
        """(U,) int64 targets of "valid" or "test"."""
        return {"valid": self.valid, "test": self.test}[part]

    def histories(self, part: str) -> Histories:
        """What is known when predicting ``part``: the training history, and for "test" the validation item too."""
        known = self.training.histories
        return known if part == "valid" else known.appended(self.valid)

    def users(self, part: str) -> np.ndarray:
        """User rows that have a target in ``part``."""
        return np.flatnonzero(self.targets(part) >= 0)


def seeded_rows(ids: Sequence[str], seed: int) -> list[str]:
    """The ids in row order: sorted, then shuffled by the seed, so that no row number tells of order or popularity."""
    ordered = sorted(ids)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]


def leave_one_out(dataset: Dataset, seed: int = 0) -> Split:
    """Number users and items and hold out the last two interactions of each user with at least three."""
    user_ids = seeded_rows(dataset.interactions[Columns.USER].unique().to_list(), seed)
    item_ids = seeded_rows(dataset.catalogue[Columns.ITEM].to_list(), seed + 1)
    order = pl.DataFrame({Columns.ITEM: item_ids})
    catalogue = Catalogue(order.join(dataset.catalogue, on=Columns.ITEM, how="left", maintain_order="left"))
    user_row = {u: r for r, u in enumerate(user_ids)}
    sequences: list[list[int]] = [[] for _ in user_ids]
    # interactions are sorted oldest first within a user (Dataset)
    for user, item in dataset.interactions.select(Columns.USER, Columns.ITEM).iter_rows():
        sequences[user_row[user]].append(catalogue.row_of[item])
    held = np.array([len(s) >= 3 for s in sequences])
    valid = np.array([s[-2] if h else -1 for s, h in zip(sequences, held, strict=True)], dtype=np.int64)
    test = np.array([s[-1] if h else -1 for s, h in zip(sequences, held, strict=True)], dtype=np.int64)
    known = Histories.of([s[:-2] if h else s for s, h in zip(sequences, held, strict=True)])
    return Split(TrainingData(user_ids, catalogue, known), valid, test)


def appearance_numbers(dataset: Dataset, catalogue: Catalogue) -> np.ndarray:
    """(I,) int64, the number of each item row in order of first appearance over whole sequences: a leak, on purpose.

    Users in the order of the source, one whole sequence after the other, held-out items included: so the published P5
    files number their items. The next item of a history is then often the next number. Numbers begin at 1; items
    without an interaction follow in row order.
    """
    log = dataset.interactions
    users = log.sort(Columns.ORDER, maintain_order=True).select(pl.col(Columns.USER).unique(maintain_order=True))
    # interactions are sorted oldest first within a user (Dataset), and the join keeps that
    walked = users.join(log, on=Columns.USER, how="left", maintain_order="left_right")
    rows = catalogue.rows_of(walked[Columns.ITEM].unique(maintain_order=True).to_list())
    rest = np.setdiff1d(np.arange(len(catalogue)), rows)
    numbers = np.empty(len(catalogue), dtype=np.int64)
    numbers[np.concatenate([rows, rest])] = np.arange(1, len(catalogue) + 1)
    return numbers


USERS, ITEMS, TRAIN, VALID, TEST = "users.parquet", "items.parquet", "train.parquet", "valid.parquet", "test.parquet"
ABOUT = "dataset.json"


def save_training(training: TrainingData, folder: Path) -> None:
    """Write users, items and training interactions: the files that every stage before evaluation may read."""
    pl.DataFrame({Columns.USER: training.user_ids}, schema={Columns.USER: pl.String}).write_parquet(folder / USERS)
    training.catalogue.table.write_parquet(folder / ITEMS)
    pairs = {Columns.USER_ROW: training.histories.rows(), Columns.ITEM_ROW: training.histories.items}
    pl.DataFrame(pairs).write_parquet(folder / TRAIN)


def save_split(split: Split, folder: Path, about: dict) -> None:
    """Write the training files, one file for each held-out part, and ``about`` (name, counts, digest) as JSON."""
    save_training(split.training, folder)
    for part, name in (("valid", VALID), ("test", TEST)):
        users = split.users(part)
        columns = {Columns.USER_ROW: users, Columns.ITEM_ROW: split.targets(part)[users]}
        pl.DataFrame(columns).write_parquet(folder / name)
    (folder / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False))


def load_training(folder: Path) -> TrainingData:
    """Read what may be fitted on; the held-out files are not opened."""
    user_ids = pl.read_parquet(folder / USERS)[Columns.USER].to_list()
    catalogue = Catalogue(pl.read_parquet(folder / ITEMS))
    pairs = pl.read_parquet(folder / TRAIN)
    counts = np.bincount(pairs[Columns.USER_ROW].to_numpy(), minlength=len(user_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return TrainingData(user_ids, catalogue, Histories(offsets, pairs[Columns.ITEM_ROW].to_numpy().astype(np.int64)))


def load_targets(folder: Path, part: str, n_users: int) -> np.ndarray:
    """(U,) int64 held-out item rows of "valid" or "test", -1 where a user has none."""
    table = pl.read_parquet(folder / {"valid": VALID, "test": TEST}[part])
    targets = np.full(n_users, -1, dtype=np.int64)
    targets[table[Columns.USER_ROW].to_numpy()] = table[Columns.ITEM_ROW].to_numpy()
    return targets


def load_split(folder: Path) -> Split:
    """Read the whole split, held-out parts included: for evaluation."""
    training = load_training(folder)
    return Split(
        training, load_targets(folder, "valid", training.n_users), load_targets(folder, "test", training.n_users)
    )
