"""Row numbers and splits: the one boundary between the user's ids and arrays. Leave-one-out is made here.

Everything fitted before evaluation takes a ``TrainingData``, which does not hold a held-out interaction (DESIGN,
rules for numbers 1 and 2). Knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp

from isrf.core.errors import IsrfError
from isrf.data.dataset import LIST_SEPARATOR, Columns, Dataset
from isrf.data.histories import Histories as Histories


@dataclass(frozen=True)
class Catalogue:
    """The items that can be recommended, in item-row order.

    Attributes:
        table: ITEM, TITLE and further text attributes, all str; row i of the table is item row i everywhere.
    """

    table: pl.DataFrame

    @classmethod
    def seeded(cls, dataset: Dataset, seed: int) -> Catalogue:
        """A dataset's catalogue in an order that tells of nothing."""
        order = pl.DataFrame({Columns.ITEM: seeded_rows(dataset.catalogue[Columns.ITEM].to_list(), seed + 1)})
        return cls(order.join(dataset.catalogue, on=Columns.ITEM, how="left", maintain_order="left"))

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
        for record in self.table[[Columns.TITLE, *self.attribute_columns]].iter_rows(named=True):
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


TO_HOLD_OUT = (
    "leave-one-out needs users with 3 interactions, a split at a date interactions after it, a split as given rows marked "
    "valid and test"
)
"""What a log needs that can be evaluated, under every split."""
NEW_ITEMS, NEW_USERS = "test, new items", "test, new users"
"""Parts of test that are reported apart where a date or the source splits: targets that nobody had before test, and people
of whom nothing is known before it."""


@dataclass(frozen=True)
class Later:
    """What a split other than leave-one-out holds out, beside the targets; P people in all.

    Attributes:
        user_ids: original ids of people without a training interaction; their rows follow those of training.
        valid: (P,) interactions of validation, oldest first, targets among them.
        test: (P,) those of test.
    """

    user_ids: list[str]
    valid: Histories
    test: Histories


@dataclass(frozen=True)
class Split:
    """What is fitted on, and what is predicted; P is U but where ``later`` has people whom training does not know.

    Leave-one-out: the last item of a user is the test target, the one before the validation target.

    Attributes:
        training: what may be fitted on.
        valid: (P,) int64 item row of the validation target; -1 = none, as for users with fewer than 3 interactions.
        test: (P,) int64 item row of the test target, -1 likewise.
        later: None = leave-one-out (``protocols`` makes the others).
    """

    training: TrainingData
    valid: np.ndarray
    test: np.ndarray
    later: Later | None = None

    @property
    def user_ids(self) -> list[str]:
        """(P,) original ids."""
        return self.training.user_ids if self.later is None else self.training.user_ids + self.later.user_ids

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Original user id -> row, people whom training does not know included."""
        return {user: row for row, user in enumerate(self.user_ids)}

    def targets(self, part: str) -> np.ndarray:
        """(P,) int64 targets of "valid" or "test", or of a part of test."""
        return self.valid if part == "valid" else self.test

    def histories(self, part: str) -> Histories:
        """(P,) what is known when predicting ``part``: the training history, and for "test" that of validation too."""
        known = self.training.histories.padded(len(self.test))
        if part == "valid":
            return known
        return known.appended(self.valid) if self.later is None else known.joined(self.later.valid)

    def users(self, part: str) -> np.ndarray:
        """Rows that have a target in ``part``; "test" is without what is reported apart (NEW_ITEMS, NEW_USERS)."""
        rows = np.flatnonzero(self.targets(part) >= 0)
        if part == "valid":
            return rows
        if self.later is None:
            return rows if part == "test" else rows[:0]
        known = self.histories("test")
        met = known.lengths[rows] > 0
        had = np.bincount(known.items, minlength=self.training.n_items)[self.test[rows]] > 0
        return rows[{"test": met & had, NEW_ITEMS: met & ~had, NEW_USERS: ~met}[part]]

    def known(self, rows: np.ndarray) -> Histories:
        """Everything known of some people, held-out items included: for use, not for evaluation."""
        if self.later is None:
            return self.training.histories.take(rows).appended(self.valid[rows]).appended(self.test[rows])
        return self.histories("test").joined(self.later.test).take(rows)

    def asked(self, rows: np.ndarray) -> np.ndarray:
        """(B,) rows as a query names them: -1 for people whom training does not know."""
        return np.where(rows < self.training.n_users, rows, -1)


def seeded_rows(ids: Sequence[str], seed: int) -> list[str]:
    """The ids in row order: sorted, then shuffled by the seed, so that no row number tells of order or popularity."""
    ordered = sorted(ids)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]


def leave_one_out(dataset: Dataset, seed: int = 0) -> Split:
    """Number users and items and hold out the last two interactions of each user with at least three."""
    user_ids = seeded_rows(dataset.interactions[Columns.USER].unique().to_list(), seed)
    catalogue = Catalogue.seeded(dataset, seed)
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
