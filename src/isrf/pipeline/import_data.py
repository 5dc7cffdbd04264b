"""The dataset stage: read, clean and number a source, and hold out what its split says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from isrf.core.config import DataSettings, Settings
from isrf.core.errors import IsrfError
from isrf.core.progress import Task, note, task
from isrf.core.shell import argument, command_line
from isrf.core.tables import write_table
from isrf.data.appearance_numbers import save_numbers
from isrf.data.dataset import Columns, Dataset
from isrf.data.describe import told_of
from isrf.data.item_columns import save_item_columns
from isrf.data.readers.raw import RawData
from isrf.data.readers.registry import read_dataset, read_source, source_digest
from isrf.data.source_log import KEPT_WHOLE, save_source
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import Split
from isrf.data.splits.storage import save_dislikes, save_split
from isrf.data.storage import COLD_ITEMS, read_dataset_of, read_split
from isrf.data.training_data import NO_ROWS, Rows
from isrf.evaluation.results_document import dataset_block, few_people
from isrf.pipeline.explanation_files import save_parts
from isrf.pipeline.stage_runner import run_stage
from isrf.workspace.layout import INTERACTIONS_FILE, ITEM_COLUMNS_FILE, REJECTED_FILE, SOURCE_ORDER_FILE
from isrf.workspace.versions import FIRST
from isrf.workspace.workspace import Workspace

SIGNALS = {
    "value_column": None,
    "min_value": None,
    "event_column": None,
    "event_weights": None,
    "repeats": "first",
}
"""Settings of signals of a log -> the value by which they are not read."""


def open_dataset(src: str, items: Path | None, settings: DataSettings) -> Dataset:
    """The cleaned dataset of a source, or of the workspace that ``src`` names."""
    if (Path(src) / "dataset").is_dir():
        workspace = Workspace.existing(Path(src))
        with workspace.unchanged():
            return read_dataset_of(workspace)
    return read_dataset(src, items, settings)


def open_split(src: str, items: Path | None, settings: DataSettings) -> tuple[Dataset, Split]:
    """The cleaned dataset and its split: of a workspace the split that its numbers come from."""
    dataset = open_dataset(src, items, settings)
    if (Path(src) / "dataset").is_dir():
        return dataset, read_split(Workspace.existing(Path(src)))
    return dataset, split_of(dataset, settings.seed)


def import_data(workspace: Workspace, src: str, items: Path | None, settings: Settings, rows: Rows = NO_ROWS) -> None:
    """Read, clean and number a source and hold out what its split says; held-out items go into files of their own.

    Args:
        workspace: to write into.
        src, items: as ``data.readers.registry.read_source``.
        settings: of the run.
        rows: that users and items have already (``data.splits.protocols.split_of``).

    Raises:
        IsrfError: the source cannot be used; or the workspace was updated, and a run would throw the updates away.
    """
    check_not_updated(workspace)

    def work(folder: Path, notes: dict[str, Any]) -> None:
        with task("import", 3) as running:
            running.say("read and clean")
            raw, dataset = read_source(src, items, settings.data, folder / REJECTED_FILE)
            running.advance()
            write_dataset(raw, dataset, settings.data, rows, folder, notes, running)

    run_stage(workspace.stage("dataset"), source_digest(src, items), chosen_settings(settings.data), work)


def check_not_updated(workspace: Workspace) -> None:
    """Raise IsrfError where a source would be imported over updates."""
    if workspace.version == FIRST:
        return
    more = command_line("isrf", "update", workspace.root, "--data", "MORE")
    raise IsrfError(
        f"{workspace.root}: it was updated and is at version {workspace.version}; importing a source would throw that away: add "
        f"rows with `{more}`, or name a new folder with {argument('out')}"
    )


def chosen_settings(settings: DataSettings) -> dict[str, Any]:
    """Settings that a dataset depends on."""
    chosen = settings.model_dump(exclude={"max_gigabytes"})  # whether a file is read, not what it says
    # signals that are not read change nothing: a workspace from before there were any stays as it is
    return {name: value for name, value in chosen.items() if SIGNALS.get(name, ...) != value}


def write_dataset(
    raw: RawData,
    dataset: Dataset,
    settings: DataSettings,
    rows: Rows,
    folder: Path,
    notes: dict[str, Any],
    running: Task,
) -> None:
    """Number, split and write a cleaned dataset, and say what is in it.

    Args:
        raw: what it was cleaned from.
        dataset: cleaned.
        settings: of the room.
        rows: that users and items have already.
        folder: the stage's.
        notes: of the stage.
        running: advances by two.
    """
    running.say("number and split")
    split = split_of(dataset, settings.seed, rows)
    running.advance()
    running.say("write")
    counts = dataset.counts | save_parts(dataset, split, folder, notes)
    about: dict[str, Any] = {"name": dataset.name, "counts": counts, "protocol": dataset.protocol, KEPT_WHOLE: "whole"}
    about |= {"id_types": dataset.id_types} if dataset.id_types else {}
    about |= {"losses": dataset.losses} if dataset.losses else {}
    about |= {COLD_ITEMS: dataset.cold_items} if dataset.cold_items else {}
    save_split(split, folder, about | dataset_block(dataset))
    write_table(dataset.interactions, folder / INTERACTIONS_FILE)
    save_source(raw, dataset, folder)
    if dataset.dislikes is not None:
        save_dislikes(dataset.dislikes, split, folder)
    if dataset.columns is not None:
        save_item_columns(dataset.columns, split.training.catalogue, folder / ITEM_COLUMNS_FILE)
    if settings.id_order == "appearance":
        save_numbers(dataset, split.training.catalogue, folder)
    if dataset.source_order is not None:
        write_table(pl.DataFrame({Columns.ITEM: dataset.source_order}), folder / SOURCE_ORDER_FILE)
    running.advance()
    notes |= {"name": dataset.name, "users": dataset.n_users, "items": dataset.n_items}
    for line in [*told_of(dataset), *few_people(len(split.users("test")))]:
        note(line)
