"""Review explanations in a workspace: which of them a stage may read, and how generated ones are scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from isrf.core.config import Settings
from isrf.core.progress import note, task
from isrf.core.tables import read_table
from isrf.data.dataset import Columns
from isrf.data.queries import Queries
from isrf.data.splits.split import Split
from isrf.evaluation.text_scores import EXPLANATIONS, Told, require_scorers, row_of
from isrf.methods.review_sentences import most_frequent, typical_of_items
from isrf.ranking.explanations import explain
from isrf.ranking.rankers import ScoringComponents
from isrf.training.explanation_loss import explanations_of
from isrf.training.inputs import TrainingInputs
from isrf.workspace.layout import EXPLAINER_FILE, REVIEW_FILES
from isrf.workspace.stage import Stage
from isrf.workspace.workspace import Workspace


def digests_of(dataset: Stage, *parts: str) -> dict[str, str]:
    """Digests of the explanations of parts of the split; none where the source has no explanations."""
    return dataset.digests(*(REVIEW_FILES[part] for part in parts)) if dataset.has(REVIEW_FILES["train"]) else {}


def with_explanations(
    workspace: Workspace, inputs: TrainingInputs, settings: Settings, checkpoint: Path | None
) -> TrainingInputs:
    """The same inputs with the sentences of training interactions, where there are any and the task is wanted.

    Args:
        checkpoint: folder of the T5 that the writer starts from, if it does.
    """
    dataset, every = workspace.stage("dataset"), settings.training.sr_per_explanation
    if not every or not dataset.has(REVIEW_FILES["train"]):
        return inputs
    told = read_table(dataset.file(REVIEW_FILES["train"]))
    if not told.height:
        note("no explanation is of a training interaction, so nothing explains")
        return inputs
    explanations = explanations_of(inputs.training, told, settings.training.explanation_length, checkpoint)
    note(
        f"explanations: {told.height:,} sentences to train on, {len(explanations.vocabulary):,} word pieces "
        f"{'of the checkpoint' if explanations.checkpoint else 'learned from them'}"
    )
    return replace(inputs, explanations=explanations)


def can_be_scored(model: Stage) -> bool:
    """Whether there is an explainer. Raises IsrfError where there is, and the libraries that score it are missing."""
    if model.has(EXPLAINER_FILE):
        require_scorers()
    return model.has(EXPLAINER_FILE)


def held_out(dataset: Stage, part: str) -> Told:
    """What people wrote about the validation or test items: for evaluation alone."""
    table = read_table(dataset.file(REVIEW_FILES[part]))
    pairs = table.group_by(Columns.USER_ROW, Columns.ITEM_ROW, maintain_order=True).agg(
        Columns.EXPLANATION, pl.col(Columns.FEATURE).filter(pl.col(Columns.FEATURE) != "").unique(maintain_order=True)
    )
    users, items = (pairs[name].to_numpy().astype(np.int64) for name in (Columns.USER_ROW, Columns.ITEM_ROW))
    return Told(users, items, pairs[Columns.EXPLANATION].to_list(), pairs[Columns.FEATURE].to_list())


def score(dataset: Stage, split: Split, parts: ScoringComponents) -> dict[str, Any]:
    """The document's part about explanations: the explainer and two baselines on validation and test pairs.

    Baselines are sentences of training interactions; an item without any is given the most frequent one. Empty where no
    held-out pair has an explanation.
    """
    table = read_table(dataset.file(REVIEW_FILES["train"]))
    said = table[Columns.EXPLANATION].to_list()
    constant, typical = most_frequent(said), typical_of_items(table[Columns.ITEM_ROW].to_numpy(), said)
    rows: list[dict[str, Any]] = []
    with task("explain", 2) as running:
        for part in ("valid", "test"):
            told = held_out(dataset, part)
            if len(told.users):
                queries = Queries(told.users, split.histories(part).take(told.users), "direct")
                written = [own[0] for own in explain(parts, queries, [np.array([item]) for item in told.items])]
                rows += [
                    row_of("most frequent sentence", part, [constant] * len(written), told),
                    row_of("item's typical sentence", part, [typical.get(i, constant) for i in told.items], told),
                    row_of("isrf, generated", part, written, told),
                ]
            running.advance()
    return {EXPLANATIONS: {"trained_on": table.height, "results": rows}} if rows else {}
