"""The dataset stage of the next version: the log of before and what came since, cleaned, numbered and split together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from isrf.core.atomic_files import replacing_binary
from isrf.core.config import DataSettings, Settings
from isrf.core.errors import IsrfError
from isrf.core.memory import reading_at_most
from isrf.core.progress import task
from isrf.core.shell import command_line
from isrf.data.combined import combined_dataset, first_order
from isrf.data.dataset import Columns
from isrf.data.readers.raw import BadRows, RawData
from isrf.data.readers.registry import as_read, read_catalogue, source_digest, write_rejected
from isrf.data.source_log import read_source_log
from isrf.data.storage import read_dataset_of, read_split
from isrf.data.training_data import Rows
from isrf.pipeline.import_data import write_dataset
from isrf.pipeline.stage_runner import run_stage
from isrf.workspace.layout import ABOUT_GENERATOR_FILE, REJECTED_FILE, REVIEW_FILES
from isrf.workspace.workspace import Workspace

TAKEN = "updates"
"""Note of a dataset that was updated: digests of the files that each update brought."""
BEHIND = "order_before"
"""Note: ORDER of the first row that the last update brought."""
KEPT_STAGES = ("dataset", "reasoning", "semantics", "graphs", "ranking")
"""What a workspace must have finished to be updated."""


@dataclass(frozen=True)
class More:
    """What an update brings.

    Attributes:
        data: source of the newer rows, as a command names it; None = no new rows.
        items: the newer catalogue; None = the one beside the rows, if any.
    """

    data: str | None
    items: Path | None

    def digests(self) -> dict[str, str]:
        """{file: SHA-256}. Raises IsrfError where there is no such source."""
        if self.data is not None:
            return source_digest(self.data, self.items)
        assert self.items is not None
        return source_digest(str(self.items), None) | {"format": "items"}

    def read(self, old: RawData, settings: DataSettings, bad: BadRows) -> RawData:
        """It, as the reader of its format reads it; without rows of its own in the form of ``old``. Raises IsrfError."""
        if self.data is not None:
            return as_read(self.data, self.items, settings, bad)
        assert self.items is not None
        catalogue = read_catalogue(self.items, settings, bad)
        return RawData(old.name, self.items, old.log.clear(), 0, catalogue)


def check_updatable(workspace: Workspace) -> None:
    """Raise IsrfError, before anything is written, where a workspace cannot be updated."""
    for name in KEPT_STAGES:
        workspace.stage(name).require()
    dataset, model = workspace.stage("dataset"), workspace.stage("model")
    settings = dataset.require()["settings"]
    why = None
    if settings["split"] == "given":
        why = "data.split=given: every row of its log says which part it belongs to"
    elif settings["id_order"] == "appearance":
        why = "data.id_order=appearance: numbers in order of appearance would not stay as they are"
    elif dataset.has(REVIEW_FILES["train"]):
        why = "its log has review explanations, which belong to one log as a whole"
    elif model.info() is not None and model.has(ABOUT_GENERATOR_FILE):
        identifiers = model.require()["settings"]["model"]["identifiers"]
        if identifiers != "atomic":
            why = f"model.identifiers={identifiers}: new items have no identifiers that its generator could write"
    if why is not None:
        again = command_line("isrf", "run", "--data", "ALL", "--out", "NEW")
        raise IsrfError(f"{workspace.root}: cannot be updated, as {why}; run on the whole log: `{again}`")


def taken_in(workspace: Workspace, digests: dict[str, str]) -> bool:
    """Whether an update brought these very files before, whatever they were called."""
    info = workspace.stage("dataset").info()
    before = info["notes"].get(TAKEN, []) if info is not None else []
    return any(contents(one) == contents(digests) for one in before)


def contents(digests: dict[str, str]) -> set[str]:
    """The digests of files alone."""
    return {digest for name, digest in digests.items() if name not in ("format", "catalogue")}


def update_data(
    workspace: Workspace, following: Workspace, more: More, digests: dict[str, str], settings: Settings
) -> None:
    """Make the dataset of the following version. Rows of users and items stay as they are, new ones come behind.

    Raises:
        IsrfError: what is new cannot be read, or does not go with what is there.
    """
    before = workspace.stage("dataset").require()
    chosen = before["settings"]
    own = DataSettings(**chosen, max_gigabytes=settings.data.max_gigabytes)

    def work(folder: Path, notes: dict[str, Any]) -> None:
        with task("import", 3) as running:
            running.say("read and clean")
            split, bad = read_split(workspace), BadRows(own.on_bad_row)
            old = read_source_log(workspace)
            with reading_at_most(own.max_gigabytes):
                try:
                    new = more.read(old, own, bad)
                    raw, dataset = combined_dataset(old, new, own, bad, read_dataset_of(workspace))
                finally:
                    write_rejected(bad, folder / REJECTED_FILE)
            keep_rejected(workspace, folder)
            running.advance()
            rows = Rows(split.user_ids, split.training.catalogue.ids)
            notes |= {TAKEN: [*before["notes"].get(TAKEN, []), digests], BEHIND: first_order(old)}
            write_dataset(replace(raw, name=old.name), dataset, own, rows, folder, notes, running)

    inputs = {"before/dataset": before["key"]} | {f"more/{name}": digest for name, digest in digests.items()}
    run_stage(following.stage("dataset"), inputs, chosen, work)


def keep_rejected(workspace: Workspace, folder: Path) -> None:
    """Put the rows that were rejected before in front of those that are rejected now."""
    stage, path = workspace.stage("dataset"), folder / REJECTED_FILE
    if not stage.has(REJECTED_FILE):
        return
    content = stage.file(REJECTED_FILE).read_bytes()
    now = path.read_bytes() if path.exists() else b""
    with replacing_binary(path) as file:
        file.write(content + now[now.find(b"\n") + 1 :])


def new_rows(workspace: Workspace) -> pl.DataFrame:
    """USER and ITEM of the interactions that the last update brought, of those that cleaning kept."""
    notes = workspace.stage("dataset").require()["notes"]
    log = read_dataset_of(workspace).interactions
    return log.filter(pl.col(Columns.ORDER) >= notes.get(BEHIND, 0)).select(Columns.USER, Columns.ITEM)
