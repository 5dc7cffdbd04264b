"""What `isrf evaluate` measures: every baseline without training and every method of the workspace, in one document.

The rankers, the protocol and the tests have their own rooms; here a workspace is put through them. Which methods more a
table can have, and how they are trained, is ``bench``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from isrf.core.config import Settings
from isrf.core.documents import read_json
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.data.splits.split import TO_HOLD_OUT
from isrf.data.storage import held_out, read_split
from isrf.evaluation.interest_card import document_of_cards
from isrf.evaluation.protocol import Result, evaluate_once, fit
from isrf.evaluation.results_document import CARDS, LEFT_OUT, SHARES, STRUCTURE, WARNINGS, metrics_document
from isrf.graphs import build
from isrf.methods.names import GENERATOR_ONLY, GRAPH_ONLY, WHOLE
from isrf.methods.registry import BASELINES
from isrf.pipeline.evaluation_document import ranked_by, seconds_of, segmented, tell_protocol, write_markdown
from isrf.pipeline.explanations import can_be_scored, digests_of, score
from isrf.pipeline.interest_cards import cards_of
from isrf.pipeline.stage_runner import run_stage, scored_with
from isrf.pipeline.token_generator_start import warnings_of
from isrf.ranking.rankers import FusedRanker, GeneratorRanker
from isrf.ranking.storage import as_fitted, has_model, load_components, load_fusions, load_graph_components
from isrf.workspace.findings import SOURCE_DIGESTS
from isrf.workspace.layout import (
    ABOUT_DATASET_FILE,
    FUSION_FILE,
    GENERATOR_FILE,
    METRICS_FILE,
    REVIEW_FILES,
    TABLE_FILE,
    TRAIN_FILE,
)
from isrf.workspace.workspace import Workspace

COMPARED = (("isrf", "isrf-graph"), ("isrf", "isrf-generator"), ("isrf", "seq-itemknn"), ("isrf-graph", "seq-itemknn"))
"""Pairs of methods that the paired test compares in every table."""


def measure_all(workspace: Workspace, settings: Settings, folder: Path, notes: dict[str, Any]) -> dict[str, Any]:
    """The document of an evaluation (``evaluation.results_document``), without its warnings.

    Args:
        workspace: with weights of the graphs; where it has a model, that is measured too.
        settings: its own.
        folder: ranks of each method as soon as they are known; a killed evaluation finds what it had finished.
        notes: which baseline does not fit this catalogue, and is left out of the table, is written into it.

    Raises:
        IsrfError: nothing is held out.
    """
    dataset, ranking, model = (workspace.stage(s) for s in ("dataset", "ranking", "model"))
    split = read_split(workspace)
    if not len(split.users("test")):
        raise IsrfError(f"{workspace.root}: nothing is held out: {TO_HOLD_OUT}")
    results: list[Result] = []
    texts: dict[str, Any] = {}
    missing: dict[str, str] = {}

    def measure(name: str, fitted: Callable[[], tuple[Any, float | None]]) -> None:
        results.extend(evaluate_once(folder / f"ranks-{name}.npz", fitted, split, settings.evaluation))

    for name, make in BASELINES.items():
        try:
            measure(name, partial(fit, make(), split))
        except IsrfError as error:  # a baseline that does not fit this catalogue is left out, loudly
            note(f"{name} is left out of the table: {error}")
            notes[f"{name} left out"] = missing[name] = str(error)
    graph_only, took = load_fusions(ranking.file(FUSION_FILE)), partial(seconds_of, workspace)
    graphs = as_fitted(workspace, settings, "ranking")
    measure(
        GRAPH_ONLY,
        lambda: (FusedRanker(GRAPH_ONLY, load_graph_components(workspace, graphs), graph_only), took(GRAPH_ONLY)),
    )
    if has_model(workspace):
        parts, fusions = load_components(workspace, settings), load_fusions(model.file(FUSION_FILE))
        measure(GENERATOR_ONLY, lambda: (GeneratorRanker(parts), took(GENERATOR_ONLY)))
        measure(WHOLE, lambda: (FusedRanker(WHOLE, parts, fusions), took(WHOLE)))
        texts = score(dataset, split, parts) if can_be_scored(model) else {}
    about = read_json(dataset.file(ABOUT_DATASET_FILE))
    block = {key: about[key] for key in ("users", "items", "interactions", "digest")}
    document = metrics_document(block, results, settings.evaluation, COMPARED) | texts
    methods = dict.fromkeys(result.method for result in results)
    document[CARDS] = document_of_cards(cards_of(workspace, settings, methods))
    document |= segmented(workspace, split, results, settings.evaluation)
    document[SOURCE_DIGESTS] = ranked_by(workspace, methods)
    tell_protocol(workspace, document)
    if missing:
        document[LEFT_OUT] = missing
    document[SHARES] = workspace.stage("reasoning").require()["notes"][SHARES]
    return document


def evaluate_methods(workspace: Workspace, settings: Settings) -> None:
    """Every baseline and every ISRF method that the workspace has, on the same test users, in one table."""
    dataset, graphs, ranking, model = (workspace.stage(s) for s in ("dataset", "graphs", "ranking", "model"))
    ranking.require()
    trained = has_model(workspace)
    explains = trained and can_be_scored(model)
    warnings = warnings_of(workspace, trained)

    def work(folder: Path, notes: dict[str, Any]) -> None:
        document = measure_all(workspace, settings, folder, notes)
        if warnings:
            document[WARNINGS] = [*warnings, *document.get(WARNINGS, [])]
        (folder / METRICS_FILE).write_text(json.dumps(document, indent=2))
        write_markdown(document, folder / TABLE_FILE)

    inputs = (
        dataset.digests(TRAIN_FILE, *held_out(dataset))
        | graphs.digests(build.GRAPHS_FILE)
        | ranking.digests(FUSION_FILE)
    )
    inputs |= model.digests(FUSION_FILE, GENERATOR_FILE) if trained else {}
    inputs |= digests_of(dataset, *REVIEW_FILES) if explains else {}
    chosen = settings.evaluation.model_dump() | {"graphs": scored_with(workspace), "warnings": warnings}
    chosen["structure"] = STRUCTURE
    if trained:
        chosen["beams"] = model.require()["settings"]["ranking"]["beams"]  # with which it is searched
    run_stage(workspace.stage("evaluation"), inputs, chosen, work)
