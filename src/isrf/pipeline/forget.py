"""Forgetting people: a version without them takes the place of all others, and the stores keep nothing that may be theirs.

Nobody can tell of a digest whose question or text it stands for. So answers about people, and vectors, are kept only where
the log without the forgotten asks for them; others that were paid for, for other settings, go too, and a line says so.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from isrf.core.atomic_files import discard, replacing_text
from isrf.core.config import DataSettings, Settings
from isrf.core.errors import IsrfError
from isrf.core.progress import note, task
from isrf.core.provenance import withheld
from isrf.core.shell import command_line
from isrf.core.tables import read_table
from isrf.data.combined import combined_dataset
from isrf.data.dataset import Columns
from isrf.data.readers.raw import BadRows, RawData, RawExplanations
from isrf.data.source_log import read_source_log
from isrf.data.splits.split import Split
from isrf.data.storage import read_dataset_of, read_split, read_training
from isrf.data.training_data import Rows
from isrf.pipeline.embed import embed
from isrf.pipeline.graph import graph
from isrf.pipeline.import_data import write_dataset
from isrf.pipeline.kept_weights import keep_weights
from isrf.pipeline.reason import reason
from isrf.pipeline.stage_runner import run_stage
from isrf.pipeline.update_data import TAKEN
from isrf.ranking.storage import has_model
from isrf.reasoning.answers.erasure import keep_answers, keys_met
from isrf.reasoning.storage import read_reasoned
from isrf.semantics.encode import Encoder
from isrf.semantics.features import item_texts, user_texts
from isrf.workspace.layout import (
    ANSWERS_FILE,
    BENCH_FOLDER,
    FINDINGS_FOLDER,
    REJECTED_FILE,
    REPORT_FILE,
    REVIEW_FILES,
    VARIANTS_FOLDER,
    VECTORS_FILE,
)
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

MADE_OF_ALL = (BENCH_FOLDER, FINDINGS_FOLDER, REPORT_FILE, VARIANTS_FOLDER)
"""What lies beside the stages and may show anybody: it is deleted, and made anew by its commands."""


def forget(workspace: str | Path | Workspace, users: Sequence[str | int]) -> Workspace:
    """Take people out of every file, version and store of a workspace; what was counted is counted anew.

    Items keep their rows; those of people behind the forgotten move up. Earlier versions are deleted, as are benches,
    reports, findings and variants.

    Args:
        workspace: its folder.
        users: original ids.

    Raises:
        IsrfError: a user is nowhere in it, or nothing would be left without them.
    """
    with forgetting(workspace, users) as (made, lines):
        for line in lines:
            note(line)
        return made


@contextmanager
def forgetting(workspace: str | Path | Workspace, users: Sequence[str | int]) -> Iterator[tuple[Workspace, list[str]]]:
    """``forget``, and what is to be told; the workspace is held until the block ends."""
    here = Workspace.existing(Path(workspace.root if isinstance(workspace, Workspace) else workspace))
    named = list(dict.fromkeys(str(user).strip() for user in users))
    # a record of how a file was made must not say whom it is to forget
    with here.held(), withheld(named):
        source = read_source_log(here)
        known = set(source.log[Columns.USER].unique())
        missing = next((user for user in named if user not in known), None)
        if missing is not None:
            raise IsrfError(f"user {missing!r} is nowhere in this workspace; nothing was changed")
        settings = as_far_as_made(here, saved_settings(here))
        with keys_met() as met:
            following = without(here, source, named, settings)
        lines = [
            f"{len(named):,} people are forgotten: version {following.version} without them is the only one that is left"
        ]
        for name in MADE_OF_ALL:
            if (here.root / name).exists():
                discard(here.root / name)
                lines.append(f"{name} was about everybody and is deleted; its command makes it anew")
        lines += sweep_stores(following, settings, met)
        following.make_current(None)
        if following.stage("model").info() is not None:
            again = command_line("isrf", "train", here.root)
            lines.append(
                f"the generator's weights were trained with them in the log, and are kept; `{again}` trains new ones without them"
            )
        lines.append(
            "the files that the workspace was made from are not touched: an import of them brings back who is in them"
        )
        yield following, lines


def as_far_as_made(workspace: Workspace, settings: Settings) -> Settings:
    """The settings, with those of finished stages as they were made."""
    rooms = {name: workspace.stage(name).info() for name in ("reasoning", "semantics", "graphs")}
    made = {name: type(getattr(settings, name))(**info["settings"]) for name, info in rooms.items() if info is not None}
    return settings.model_copy(update=made)


def without(workspace: Workspace, source: RawData, users: Sequence[str], settings: Settings) -> Workspace:
    """The next version, without some people, as far as this one goes."""
    following = workspace.next_version()
    stage = workspace.stage("dataset")
    before = stage.require()
    own = DataSettings(**before["settings"], max_gigabytes=settings.data.max_gigabytes)
    split = read_split(workspace)

    def work(folder: Path, notes: dict[str, Any]) -> None:
        with task("forget", 3) as running:
            running.say("clean")
            log = source.log.filter(~pl.col(Columns.USER).is_in(list(users)))
            left = replace(
                source,
                log=log,
                rows_read=source.rows_read - source.log.height + log.height,
                explanations=explanations_left(workspace, split, users),
            )
            bad = BadRows(own.on_bad_row)
            raw, dataset = combined_dataset(left, nothing_new(left), own, bad, read_dataset_of(workspace))
            running.advance()
            notes |= {TAKEN: before["notes"].get(TAKEN, [])}
            rows = Rows(split.user_ids, split.training.catalogue.ids)
            write_dataset(raw, dataset, own, rows, folder, notes, running)
            if stage.has(REJECTED_FILE):
                write_rejected_without(stage.file(REJECTED_FILE), folder / REJECTED_FILE, users)

    run_stage(
        following.stage("dataset"),
        {"before/dataset": before["key"], "forgotten": str(len(users))},
        before["settings"],
        work,
    )
    steps = {"reasoning": reason, "semantics": embed, "graphs": graph}
    for name, step in steps.items():
        if not workspace.stage(name).ready():
            return following
        step(following, settings)
    if workspace.stage("ranking").ready():
        if workspace.stage("model").info() is not None and not has_model(workspace):
            note("the generator is out of date and is left behind")
        keep_weights(workspace, following, settings)
    return following


def nothing_new(source: RawData) -> RawData:
    """A newer part of a source that has no rows."""
    return replace(
        source, log=source.log.clear(), rows_read=0, catalogue=None, counts={}, explanations=None, source_order=None
    )


def explanations_left(workspace: Workspace, split: Split, users: Sequence[str]) -> RawExplanations | None:
    """Review explanations of the other people, in original ids; None where there are none at all."""
    stage = workspace.stage("dataset")
    if not stage.has(REVIEW_FILES["train"]):
        return None
    frame = pl.concat([read_table(stage.file(name)) for name in REVIEW_FILES.values()])
    named = frame.select(
        pl.Series(Columns.USER, [split.user_ids[row] for row in frame[Columns.USER_ROW]], dtype=pl.String),
        pl.Series(Columns.ITEM, [split.training.catalogue.ids[r] for r in frame[Columns.ITEM_ROW]], dtype=pl.String),
        Columns.EXPLANATION,
        Columns.FEATURE,
    )
    left = named.filter(~pl.col(Columns.USER).is_in(list(users)))
    return RawExplanations(left, left.height)


def write_rejected_without(source: Path, target: Path, users: Sequence[str]) -> None:
    """Copy rejected rows but those whose content has one of the ids as a word."""
    ids = re.compile("|".join(rf"(?<!\w){re.escape(user)}(?!\w)" for user in users))
    rows = csv.reader(io.StringIO(source.read_text(encoding="utf-8"), newline=""))
    with replacing_text(target, newline="") as out:
        writer = csv.writer(out)
        writer.writerows(row for row in rows if not any(ids.search(cell) for cell in row))


def sweep_stores(workspace: Workspace, settings: Settings, met: set[str]) -> list[str]:
    """Delete from the stores whatever a workspace does not ask for; what went, in lines."""
    lines: list[str] = []
    answers = workspace.stage("reasoning").store(ANSWERS_FILE)
    if answers.exists() and (gone := keep_answers(answers, "user", met)):
        lines.append(
            f"{gone:,} answers about people that today's log does not ask for are deleted, as any may be theirs"
        )
    store = workspace.stage("semantics").store(VECTORS_FILE)
    if store.exists():
        texts: list[str] = []
        if workspace.stage("reasoning").info() is not None:
            training, (items, users) = read_training(workspace), read_reasoned(workspace)
            texts = [*item_texts(training, items, settings.semantics), *user_texts(users)]
        if gone := Encoder(settings.semantics, store).keep_only(texts):
            lines.append(
                f"{gone:,} vectors of texts that today's log does not have are deleted; training encodes some anew"
            )
    return lines
