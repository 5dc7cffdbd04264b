"""Leave-one-out: the last interaction of each person is test, the one before it validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isrf.data.dataset import Columns, Dataset
from isrf.data.histories import Histories
from isrf.data.splits.split import Split
from isrf.data.training_data import NO_ROWS, Catalogue, Rows, TrainingData, seeded_rows


def leave_one_out(dataset: Dataset, seed: int = 0, before: Rows = NO_ROWS) -> Split:
    """Number users and items and hold out the last two interactions of each user with at least three.

    Who and what has a row ``before`` keeps it.
    """
    user_ids = seeded_rows(dataset.interactions[Columns.USER].unique().to_list(), seed, before.users)
    catalogue = Catalogue.seeded(dataset, seed, before.items)
    user_row = {u: r for r, u in enumerate(user_ids)}
    sequences: list[list[int]] = [[] for _ in user_ids]
    # interactions are sorted oldest first within a user (Dataset)
    for user, item in dataset.interactions.select(Columns.USER, Columns.ITEM).iter_rows():
        sequences[user_row[user]].append(catalogue.row_of[item])
    weights: list[list[float]] = [[] for _ in user_ids]
    if Columns.WEIGHT in dataset.interactions.columns:
        for user, weight in dataset.interactions.select(Columns.USER, Columns.WEIGHT).iter_rows():
            weights[user_row[user]].append(weight)
    held = np.array([len(s) >= 3 for s in sequences])
    valid = np.array([s[-2] if h else -1 for s, h in zip(sequences, held, strict=True)], dtype=np.int64)
    test = np.array([s[-1] if h else -1 for s, h in zip(sequences, held, strict=True)], dtype=np.int64)
    known = Histories.of([s[:-2] if h else s for s, h in zip(sequences, held, strict=True)])
    if Columns.WEIGHT not in dataset.interactions.columns:
        return Split(TrainingData(user_ids, catalogue, known), valid, test, repeats=dataset.repeated)
    of_training = [w for own, h in zip(weights, held, strict=True) for w in (own[:-2] if h else own)]
    known = replace(known, weights=np.array(of_training, dtype=np.float32))
    of_targets = {
        part: np.array([own[at] if h else 1 for own, h in zip(weights, held, strict=True)], dtype=np.float32)
        for part, at in (("valid", -2), ("test", -1))
    }
    return Split(
        TrainingData(user_ids, catalogue, known), valid, test, target_weights=of_targets, repeats=dataset.repeated
    )
