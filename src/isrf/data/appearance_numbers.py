"""Item numbers in order of first appearance, as published P5 files have them: a leak, on purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from isrf.core.config import Settings
from isrf.core.progress import note
from isrf.core.tables import write_table
from isrf.data.dataset import Columns, Dataset
from isrf.data.training_data import Catalogue
from isrf.workspace.layout import APPEARANCE_FILE
from isrf.workspace.stage import Stage


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


NUMBER = "number"
"""Its column; row i is item row i."""


ORDER_WARNING = (
    "data.id_order=appearance: digit identifiers are numbered in order of first appearance, held-out items included, so "
    "figures of generators that write digits hold a leak; they show how large it is and compare with nothing"
)


def save_numbers(dataset: Dataset, catalogue: Catalogue, folder: Path) -> None:
    """Write the numbers that leak, and say so."""
    note(f"WARNING: {ORDER_WARNING}")
    write_table(pl.DataFrame({NUMBER: appearance_numbers(dataset, catalogue)}), folder / APPEARANCE_FILE)


def numbers_digests(dataset: Stage, settings: Settings) -> dict[str, str]:
    """What of the numbers that leak a model depends on: nothing, unless it writes digits and they were asked for."""
    leaks = settings.model.identifiers == "digits" and dataset.has(APPEARANCE_FILE)
    return dataset.digests(APPEARANCE_FILE) if leaks else {}
