"""The dataset stage: read, clean and number a source, and hold out what its split says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from isrf.core.config import DataSettings, Settings
from isrf.core.progress import note, task
from isrf.core.tables import write_table
from isrf.data.appearance_numbers import save_numbers
from isrf.data.dataset import Columns, Dataset
from isrf.data.describe import told_of
from isrf.data.item_columns import save_item_columns
from isrf.data.readers.registry import read_dataset, source_digest
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import Split
from isrf.data.splits.storage import save_dislikes, save_split
from isrf.data.storage import read_dataset_of, read_split
from isrf.evaluation.results_document import dataset_block, few_people
from isrf.pipeline.explanations import save_parts
from isrf.pipeline.stage_runner import run_stage
from isrf.workspace.layout import INTERACTIONS_FILE, ITEM_COLUMNS_FILE, REJECTED_FILE, SOURCE_ORDER_FILE
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


def import_data(workspace: Workspace, src: str, items: Path | None, settings: Settings) -> None:
    """Read, clean and number a source and hold out what its split says; held-out items go into files of their own."""

    def work(folder: Path, notes: dict[str, Any]) -> None:
        with task("import", 3) as running:
            running.say("read and clean")
            dataset = read_dataset(src, items, settings.data, folder / REJECTED_FILE)
            running.advance()
            running.say("number and split")
            split = split_of(dataset, settings.data.seed)
            running.advance()
            running.say("write")
            counts = dataset.counts | save_parts(dataset, split, folder, notes)
            about: dict[str, Any] = {"name": dataset.name, "counts": counts, "protocol": dataset.protocol}
            about |= {"id_types": dataset.id_types} if dataset.id_types else {}
            about |= {"losses": dataset.losses} if dataset.losses else {}
            save_split(split, folder, about | dataset_block(dataset))
            write_table(dataset.interactions, folder / INTERACTIONS_FILE)
            if dataset.dislikes is not None:
                save_dislikes(dataset.dislikes, split, folder)
            if dataset.columns is not None:
                save_item_columns(dataset.columns, split.training.catalogue, folder / ITEM_COLUMNS_FILE)
            if settings.data.id_order == "appearance":
                save_numbers(dataset, split.training.catalogue, folder)
            running.advance()
        if dataset.source_order is not None:
            write_table(pl.DataFrame({Columns.ITEM: dataset.source_order}), folder / SOURCE_ORDER_FILE)
        notes |= {"name": dataset.name, "users": dataset.n_users, "items": dataset.n_items}
        for line in [*told_of(dataset), *few_people(len(split.users("test")))]:
            note(line)

    inputs = source_digest(src, items)
    chosen = settings.data.model_dump(exclude={"max_gigabytes"})  # whether a file is read, not what it says
    # signals that are not read change nothing: a workspace from before there were any stays as it is
    chosen = {name: value for name, value in chosen.items() if SIGNALS.get(name, ...) != value}
    run_stage(workspace.stage("dataset"), inputs, chosen, work)
