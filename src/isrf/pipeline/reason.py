"""The reasoning stage (paper, steps 1 and 2): likes, dislikes and feature of every item, then of every user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isrf.core.config import Settings
from isrf.core.progress import note
from isrf.core.tables import write_table
from isrf.data.storage import read_training
from isrf.evaluation.results_document import SHARES
from isrf.pipeline.reasoning_supplier import answers_of
from isrf.pipeline.stage_runner import run_stage
from isrf.reasoning.llm import consent
from isrf.reasoning.llm.prompts import Kind, prompt_of
from isrf.reasoning.llm.supplier import endpoint_of
from isrf.reasoning.reason import reason_items, reason_users
from isrf.reasoning.tables import STATISTICS, coverage, unanswered
from isrf.workspace.layout import ITEMS_FILE, REASONED_ITEMS_FILE, REASONED_USERS_FILE, TRAIN_FILE, USERS_FILE
from isrf.workspace.stage_key import key_of
from isrf.workspace.workspace import Workspace

UNANSWERED = "rows_unanswered"


KINDS: tuple[Kind, ...] = ("item", "user")


def reason(workspace: Workspace, settings: Settings, again: bool = False) -> None:
    """Steps 1 and 2: likes, dislikes and feature of every item, then of every user, from training data only.

    Args:
        again: ask again about rows that the endpoint did not answer, though nothing else changed.

    Raises:
        IsrfError: an LLM would be asked on terms that nobody agreed to on this machine (``reasoning.llm.consent``).
    """
    dataset, stage = workspace.stage("dataset"), workspace.stage("reasoning")

    def work(folder: Path, notes: dict[str, Any]) -> None:
        training = read_training(workspace)
        items = reason_items(training, settings.reasoning, answers_of(workspace))
        users = reason_users(training, items, settings.reasoning, answers_of(workspace))
        write_table(items, folder / REASONED_ITEMS_FILE)
        write_table(users, folder / REASONED_USERS_FILE)
        notes[SHARES] = coverage(training, items)
        notes[UNANSWERED] = unanswered(items) + unanswered(users)

    inputs = dataset.digests(USERS_FILE, ITEMS_FILE, TRAIN_FILE)
    if settings.reasoning.supplier != STATISTICS:
        inputs |= {f"prompts/{kind}": prompt_of(kind, settings.reasoning).version for kind in KINDS}
        inputs["supplier/model"] = endpoint_of(settings.reasoning).identity  # another GGUF file may have the same name
    info = stage.info()
    missing = info["notes"].get(UNANSWERED, 0) if info else 0
    if missing:
        what = "they are asked about again" if again else f"`{stage.command('reasoning')}` asks about them again"
        note(f"reasoning: {missing:,} rows were not answered by the endpoint the last time; {what}")
    chosen, anew = settings.reasoning.model_dump(mode="json"), again and bool(missing)
    if anew or not stage.is_current(key_of(stage.name, inputs, chosen)):
        consent.require(workspace.root, settings.reasoning)
    run_stage(stage, inputs, chosen, work, anew=anew)
