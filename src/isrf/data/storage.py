"""The dataset stage of a workspace, read back: what may be fitted on, the whole split, the cleaned dataset."""

from __future__ import annotations

import polars as pl

from isrf.core.documents import read_json
from isrf.core.shell import run_call
from isrf.core.tables import read_table
from isrf.data.dataset import ID_TYPES, Columns, Dataset, TypedColumns
from isrf.data.histories import Histories
from isrf.data.item_columns import ItemColumns, item_columns, load_typed_columns
from isrf.data.splits.split import Split
from isrf.data.splits.storage import histories_of, load_split, load_training
from isrf.data.training_data import Catalogue, TrainingData
from isrf.workspace.layout import (
    ABOUT_DATASET_FILE,
    DISLIKES_FILE,
    HELD_OUT_FILE,
    INTERACTIONS_FILE,
    ITEM_COLUMNS_FILE,
    ITEMS_FILE,
    NEW_USERS_FILE,
    SOURCE_ORDER_FILE,
    TEST_FILE,
    TRAIN_FILE,
    USERS_FILE,
    VALID_FILE,
)
from isrf.workspace.stage import Stage
from isrf.workspace.workspace import Workspace

COLD_ITEMS = "cold_items"
"""Key of ABOUT_DATASET_FILE: ids of the cold items of an item-cold split."""


def read_training(workspace: Workspace) -> TrainingData:
    """Users, catalogue and training histories, their bytes checked; held-out files are not opened."""
    stage = workspace.stage("dataset")
    for name in (USERS_FILE, ITEMS_FILE, TRAIN_FILE):
        stage.file(name)
    return load_training(stage.folder)


def read_split(workspace: Workspace) -> Split:
    """The whole split, its bytes checked."""
    stage = workspace.stage("dataset")
    for name in (ABOUT_DATASET_FILE, USERS_FILE, ITEMS_FILE, TRAIN_FILE, *held_out(stage)):
        stage.file(name)
    return load_split(stage.folder)


def read_dislikes(workspace: Workspace, n_users: int) -> Histories | None:
    """(P,) what each user of the split dislikes, by item row; None where ratings were not read. For serving alone."""
    stage = workspace.stage("dataset")
    if not stage.has(DISLIKES_FILE):
        return None
    return histories_of(read_table(stage.file(DISLIKES_FILE)), n_users)


def held_out(dataset: Stage) -> list[str]:
    """Names of the files that hold what is held out."""
    return [VALID_FILE, TEST_FILE, *(name for name in (NEW_USERS_FILE, HELD_OUT_FILE) if dataset.has(name))]


def can_hold_out(workspace: Workspace) -> bool:
    """Whether at least two users have a validation item, and anybody a test item."""
    split = read_split(workspace)
    return len(split.users("valid")) >= 2 and len(split.users("test")) > 0


def read_id_types(workspace: Workspace) -> dict[str, pl.DataType]:
    """USER and ITEM -> polars type of the ids in the source, where they were whole numbers there; else they are text."""
    about = read_json(workspace.stage("dataset").file(ABOUT_DATASET_FILE))
    return {name: getattr(pl, kind)() for name, kind in about.get("id_types", {}).items() if kind in ID_TYPES}


def read_typed_columns(workspace: Workspace) -> TypedColumns | None:
    """Columns that are more than texts; None where an older isrf imported the source."""
    stage = workspace.stage("dataset")
    return load_typed_columns(stage.file(ITEM_COLUMNS_FILE)) if stage.has(ITEM_COLUMNS_FILE) else None


def read_item_columns(workspace: Workspace, catalogue: Catalogue) -> ItemColumns:
    """What filters may read of the items. Raises IsrfError where the file is of other items than the catalogue."""
    remedy = f"import it again with `{run_call(workspace.root, 'data', 'import')}`"
    path = workspace.stage("dataset").folder / ITEM_COLUMNS_FILE
    return item_columns(catalogue, read_typed_columns(workspace), path, remedy)


def read_dataset_of(workspace: Workspace) -> Dataset:
    """The cleaned dataset of a workspace in original ids, as it was imported: for describing and auditing."""
    stage = workspace.stage("dataset")
    about = read_json(stage.file(ABOUT_DATASET_FILE))
    interactions, catalogue = read_table(stage.file(INTERACTIONS_FILE)), read_table(stage.file(ITEMS_FILE))
    order = read_table(stage.file(SOURCE_ORDER_FILE))[Columns.ITEM].to_list() if stage.has(SOURCE_ORDER_FILE) else None
    told, losses = about.get("protocol"), tuple(about.get("losses", ()))
    typed = read_typed_columns(workspace)
    return Dataset(
        about["name"],
        interactions,
        catalogue,
        about["counts"],
        order,
        protocol=told,
        losses=losses,
        columns=typed,
        cold_items=tuple(about.get(COLD_ITEMS, ())),
    )


def read_losses(workspace: Workspace) -> list[str]:
    """Lines on settings that dropped much of the log when it was imported (``Dataset.losses``)."""
    return list(read_json(workspace.stage("dataset").file(ABOUT_DATASET_FILE)).get("losses", ()))
