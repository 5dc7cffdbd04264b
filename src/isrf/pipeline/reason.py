"""The reasoning stage (paper, steps 1 and 2): likes, dislikes and feature of every item, then of every user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isrf.core.config import Settings
from isrf.core.progress import note
from isrf.core.tables import write_table
from isrf.data.storage import read_training
from isrf.data.training_data import TrainingData
from isrf.evaluation.results_document import SHARES
from isrf.pipeline.reasoning_supplier import answers_of
from isrf.pipeline.stage_runner import run_stage
from isrf.reasoning.kept_reasons import KeptReasons
from isrf.reasoning.llm import consent
from isrf.reasoning.llm.prompts import Kind, prompt_of
from isrf.reasoning.llm.supplier import endpoint_of
from isrf.reasoning.reason import reason_items, reason_users
from isrf.reasoning.storage import read_reasoned
from isrf.reasoning.tables import STATISTICS, coverage, unanswered
from isrf.workspace.layout import ITEMS_FILE, REASONED_ITEMS_FILE, REASONED_USERS_FILE, TRAIN_FILE, USERS_FILE
from isrf.workspace.stage_key import key_of
from isrf.workspace.workspace import Workspace

UNANSWERED = "rows_unanswered"
COUNTED = "rows_counted"
"""Note of a stage that an update made: rows that attribute statistics wrote anew; the others it kept."""


KINDS: tuple[Kind, ...] = ("item", "user")


def reason(workspace: Workspace, settings: Settings, again: bool = False, before: Workspace | None = None) -> None:
    """Steps 1 and 2: likes, dislikes and feature of every item, then of every user, from training data only.

    Args:
        workspace: with a dataset.
        settings: of the run.
        again: ask again about rows that the endpoint did not answer, though nothing else changed.
        before: an earlier version with the same rows, whose attribute statistics are kept of what is not new.

    Raises:
        IsrfError: an LLM would be asked on terms that nobody agreed to on this machine (``reasoning.llm.consent``).
    """
    dataset, stage = workspace.stage("dataset"), workspace.stage("reasoning")

    def work(folder: Path, notes: dict[str, Any]) -> None:
        training, answers = read_training(workspace), answers_of(workspace)
        kept_items, kept_users = (None, None) if before is None else kept_reasons(before, training)
        items = reason_items(training, settings.reasoning, answers, kept_items)
        users = reason_users(training, items, settings.reasoning, answers, kept_users)
        write_table(items, folder / REASONED_ITEMS_FILE)
        write_table(users, folder / REASONED_USERS_FILE)
        if kept_items is not None and kept_users is not None:
            notes[COUNTED] = {"items": kept_items.rows.tolist(), "users": kept_users.rows.tolist()}
        notes[SHARES] = coverage(training, items)
        notes[UNANSWERED] = unanswered(items) + unanswered(users)

    inputs = dataset.digests(USERS_FILE, ITEMS_FILE, TRAIN_FILE)
    if settings.reasoning.supplier != STATISTICS:
        inputs |= {f"prompts/{kind}": prompt_of(kind, settings.reasoning).version for kind in KINDS}
        inputs["supplier/model"] = endpoint_of(settings.reasoning).identity  # another GGUF file may have the same name
    if before is not None:  # so that `isrf reason` sees that it would make others
        inputs["kept/reasoning"] = before.stage("reasoning").require()["key"]
    info = stage.info()
    missing = info["notes"].get(UNANSWERED, 0) if info else 0
    if missing:
        what = "they are asked about again" if again else f"`{stage.command('reasoning')}` asks about them again"
        note(f"reasoning: {missing:,} rows were not answered by the endpoint the last time; {what}")
    chosen, anew = settings.reasoning.model_dump(mode="json"), again and bool(missing)
    if anew or not stage.is_current(key_of(stage.name, inputs, chosen)):
        consent.require(workspace.root, settings.reasoning)
    run_stage(stage, inputs, chosen, work, anew=anew)


def kept_reasons(before: Workspace, training: TrainingData) -> tuple[KeptReasons, KeptReasons]:
    """Reasons of items and users of an earlier version, and which are new.

    New are items that were not there, have other texts, or nobody had chosen; and people who were not there, or have another
    history or an item with other texts in it.
    """
    old, (items, users) = read_training(before), read_reasoned(before)
    new_items = np.ones(training.n_items, dtype=bool)
    same = [a == b for a, b in zip(old.catalogue.texts, training.catalogue.texts, strict=False)]
    first_chosen = (old.popularity == 0) & (training.popularity[: old.n_items] > 0)
    new_items[: old.n_items] = ~np.array(same, dtype=bool) | first_chosen
    texts_changed = new_items.copy()
    texts_changed[: old.n_items] = ~np.array(same, dtype=bool)
    new_users = np.ones(training.n_users, dtype=bool)
    for row, (known, now) in enumerate(zip(old.histories, training.histories, strict=False)):
        new_users[row] = not np.array_equal(known, now) or bool(texts_changed[now].any())
    new_users[: old.n_users] |= np.array(
        [a != b for a, b in zip(old.user_ids, training.user_ids, strict=False)], dtype=bool
    )
    return KeptReasons.of(items, new_items), KeptReasons.of(users[: training.n_users], new_users)
