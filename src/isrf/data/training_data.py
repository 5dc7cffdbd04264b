"""What may be fitted on: users, the catalogue and training histories by row number. Holds no held-out interaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp

from isrf.core.errors import IsrfError
from isrf.data.dataset import LIST_SEPARATOR, Columns, Dataset
from isrf.data.histories import Histories


@dataclass(frozen=True)
class Catalogue:
    """The items that can be recommended, in item-row order.

    Attributes:
        table: ITEM, TITLE and further text attributes, all str; row i of the table is item row i everywhere.
    """

    table: pl.DataFrame

    @classmethod
    def seeded(cls, dataset: Dataset, seed: int, before: Sequence[str] = ()) -> Catalogue:
        """A dataset's catalogue in an order that tells of nothing, behind the items that have rows already."""
        ids = seeded_rows(dataset.catalogue[Columns.ITEM].to_list(), seed + 1, before)
        order = pl.DataFrame({Columns.ITEM: ids}, schema={Columns.ITEM: pl.String})
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
        """(U, I) float32 CSR of training interactions, as much as each counts."""
        return self.histories.matrix(self.n_items)

    @cached_property
    def popularity(self) -> np.ndarray:
        """(I,) float32: training interactions of each item, as much as each counts."""
        return self.histories.popularity(self.n_items).astype(np.float32)

    @cached_property
    def counts(self) -> np.ndarray:
        """(I,) float32: rows of training of each item, whatever each counts."""
        return np.bincount(self.histories.items, minlength=self.n_items).astype(np.float32)


@dataclass(frozen=True)
class Rows:
    """Ids in the order of rows that they have already: an update leaves them, and appends what is new.

    Attributes:
        users: original ids; of people who are in no row any more nothing comes of it.
        items: original ids.
    """

    users: Sequence[str] = ()
    items: Sequence[str] = ()


NO_ROWS = Rows()


def seeded_rows(ids: Sequence[str], seed: int, before: Sequence[str] = ()) -> list[str]:
    """The ids in row order: sorted, then shuffled by the seed, so that no row number tells of order or popularity.

    Those of ``before`` that are among them come first, in that order.
    """
    there = set(ids)
    first = [one for one in before if one in there]
    ordered = sorted(there.difference(first)) if first else sorted(ids)
    return [*first, *(ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered)))]
