"""The model stage: what the generator learns from, what it is judged by, and the weights of fusion.

Runs in the main process and in those that were started with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from isrf.core import distributed
from isrf.core.config import ModelSettings, Settings
from isrf.core.documents import read_json
from isrf.core.progress import note
from isrf.data.appearance_numbers import numbers_digests
from isrf.data.splits.split import Split
from isrf.data.storage import read_split
from isrf.evaluation.metrics import NotANumber, ndcg
from isrf.evaluation.protocol import ranks_of
from isrf.graphs import build
from isrf.graphs.evidence import TrainingEvidence
from isrf.graphs.groups import GroupProfile
from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.storage import save_generator
from isrf.model.token_generator import TokenGenerator
from isrf.pipeline.explanations import digests_of, with_explanations
from isrf.pipeline.stage_runner import contents_of, run_stage, scored_with
from isrf.pipeline.token_generator_start import start_token_generator, warnings_of
from isrf.pipeline.warm_start import WarmStart
from isrf.ranking.adapter_inputs import save_adapter_inputs
from isrf.ranking.fit_fusion import fit_fusions, generator_alone, stopping_users
from isrf.ranking.fit_new_items import fit_new_items
from isrf.ranking.rankers import GENERATOR_SIGNAL, GeneratorRanker, ScoringComponents
from isrf.ranking.storage import generator_inputs, load_graph_components, save_fusions, with_generator
from isrf.report.chart_process import missing
from isrf.report.charts import training_chart
from isrf.training.batches import cuts_of
from isrf.training.explainer_finetune import finish
from isrf.training.inputs import TrainingInputs
from isrf.training.loop import Trainer
from isrf.training.process_group import ProcessGroup
from isrf.training.tracking import tracked
from isrf.workspace.layout import (
    BEGUN_FILE,
    CHECKPOINT_FOLDER,
    TRACKING_FOLDER,
    TRAIN_FILE,
    TRAINING_CHART_FILE,
    TRAINING_LOG_FILE,
    VALID_FILE,
)
from isrf.workspace.stage import Stage
from isrf.workspace.stage_key import key_of
from isrf.workspace.workspace import Workspace

SEARCHED_USERS = 300
"""Most validation users that a writer is judged by after an epoch: a beam search costs many times a single step."""
NO_EFFECT_ON_TRAINING = ("tracking",)
"""Training settings that change nothing that is learned."""
RETRIED = ("learning_rate", *NO_EFFECT_ON_TRAINING)
"""Training settings that may be others where a training that diverged goes on from its checkpoint."""


def chosen_settings(
    settings: Settings, graphs: dict[str, Any], left_out: Sequence[str] = NO_EFFECT_ON_TRAINING
) -> dict[str, Any]:
    """Every setting that a model depends on, without some of those of training; ``graphs`` as scoring reads them."""
    rooms = {name: getattr(settings, name).model_dump() for name in ("model", "ranking")}
    return rooms | {"training": settings.training.model_dump(exclude=set(left_out)), "graphs": graphs}


def fit_generator(
    workspace: Workspace,
    settings: Settings,
    split: Split,
    folder: Path,
    run: str,
    notes: dict[str, Any],
    warm: WarmStart | None = None,
) -> ScoringComponents:
    """Train the generator, or help the main process to; the interest graphs with the generator that came out.

    Args:
        split: whose validation items say when to stop.
        folder: has the checkpoint; what was learned and its log are written into it.
        run: name for trackers.
        notes: get what everybody who reads figures of this generator has to know.
        warm: weights to begin from, of a generator with atomic identifiers; None begins from random ones.

    Raises:
        CannotFit: training diverged.
    """
    together, block = ProcessGroup(), settings.ranking.block
    with together.main_first():  # the others find in the cache what it has encoded
        parts = load_graph_components(workspace, settings, cached=True)
        inputs = training_inputs(parts, settings.model)
    start: AtomicGenerator | TokenGenerator | None = None
    backbone = None
    if warm is not None:
        inputs = replace(inputs, item_features=warm.inputs.features)
        start = warm.generator(parts, settings.model)
    stopping = stopping_users(split, settings.training.seed)[0][: settings.ranking.fit_users]
    if settings.model.identifiers != "atomic":
        dimensions = parts.people.semantics.users.shape[1]
        read = (parts.graphs.semantics, inputs.item_features, dimensions)
        going_on = not together.main or any(
            folder.glob(f"{CHECKPOINT_FOLDER}*")
        )  # a kill may have left it under another name
        with together.main_first():  # the others begin as it does
            start, backbone = start_token_generator(workspace, settings, *read, notes, folder / BEGUN_FILE, going_on)
        stopping = stopping[:SEARCHED_USERS]
    inputs = with_explanations(workspace, inputs, settings, backbone)

    def validate(generator: AtomicGenerator | TokenGenerator) -> float:
        ranker = GeneratorRanker(with_generator(parts, generator))
        try:
            return float(ndcg(ranks_of(ranker, split, "valid", "sequential", stopping, block), 10).mean())
        except NotANumber:  # weights that diverged in the last step: training says so and keeps its checkpoint
            return math.nan

    tracker = settings.training.tracking if together.main else "none"
    flat = {f"{room}.{k}": v for room in ("model", "training") for k, v in getattr(settings, room).model_dump().items()}
    with tracked(tracker, workspace.root / TRACKING_FOLDER, run, flat) as told:
        trainer = Trainer(
            inputs, settings.model, settings.training, validate, folder / CHECKPOINT_FOLDER, start, together, told
        )
        generator = trainer.run()
    together.leave()
    if together.main:
        finish(generator, inputs, settings.training)
        save_generator(generator, folder)
        if warm is not None:
            save_adapter_inputs(replace(warm.inputs, trained=np.asarray(split.training.popularity > 0)), folder)
        (folder / TRAINING_LOG_FILE).write_text(json.dumps(asdict(trainer.progress), indent=2))
        notes |= {"best_epoch": trainer.progress.best_epoch, "valid_ndcg10": trainer.progress.best_score}
        if together.count > 1:
            notes["processes"] = together.count
        by_rate = groupby(trainer.progress.log, key=lambda entry: entry.get("learning_rate"))
        rates = [{"from_epoch": next(entries)["epoch"], "learning_rate": rate} for rate, entries in by_rate]
        last = settings.training.learning_rate
        if inputs.explanations is not None and rates and rates[-1]["learning_rate"] != last:
            rates.append({"from_epoch": len(trainer.progress.log) + 1, "learning_rate": last})  # of ``finish`` alone
        if len(rates) > 1:  # it diverged and went on with a lower one
            notes["learning_rates"] = rates
    return with_generator(parts, generator)


def draw_training(stage: Stage) -> None:
    """Draw the log of a finished training beside it; says why where that cannot be done.

    The stage is published by then, and no picture can unmake it.
    """
    if why := missing():
        note(f"no {TRAINING_CHART_FILE}: {why}")
        return
    try:
        log = read_json(stage.file(TRAINING_LOG_FILE))
        training_chart(log["log"], log["best_epoch"], stage.folder / TRAINING_CHART_FILE)
    except Exception as error:  # altair has faults of its own
        told = " ".join(str(error).split()) or type(error).__name__
        note(f"WARNING: {TRAINING_CHART_FILE} is left out: {told}; the figures are in {TRAINING_LOG_FILE}")


def training_inputs(parts: ScoringComponents, settings: ModelSettings) -> TrainingInputs:
    """What a generator of these settings is trained on; groups are found from the past alone, seconds to minutes."""
    training = parts.people.training
    if settings.group == "none":
        links, past = None, GroupProfile.empty(training.n_users, parts.people.semantics.users.shape[1])
    else:
        past, links = parts.people.past_groups(cuts_of(training.histories))
    evidence = None
    if settings.graph_evidence and settings.identifiers == "atomic":
        moments = None if links is None or settings.group != "consumed" else parts.people.moments
        evidence = TrainingEvidence(training, parts.graphs.items, links, moments)
    return TrainingInputs(training, generator_inputs(parts), past, evidence)


def train(workspace: Workspace, settings: Settings, warm: WarmStart | None = None) -> None:
    """Step 3: iterative batch optimisation of the generator, then the weights of ``isrf`` on other validation users.

    In a process that was started with a main one it helps with the first and does nothing else.

    Args:
        workspace: with graphs.
        settings: of the run.
        warm: weights to begin from; None begins from random ones.
    """
    dataset, graphs = workspace.stage("dataset"), workspace.stage("graphs")

    def work(folder: Path, notes: dict[str, Any]) -> None:
        split, block = read_split(workspace), settings.ranking.block
        fitting = stopping_users(split, settings.training.seed)[1][: settings.ranking.fit_users]
        whole = fit_generator(workspace, settings, split, folder, key[:8], notes, warm)
        if settings.ranking.fusion == "generator":
            fusions = generator_alone(whole, split.training.histories, block)
        else:
            fusions = fit_fusions(whole, split, fitting, block, "weigh isrf")
            fusions = fit_new_items(whole, split, fitting, fusions, settings.training.seed, "new items, isrf")
        save_fusions(fusions, folder)
        notes["weights"] = {name: fusion.weights for name, fusion in fusions.items()}
        for name, fusion in fusions.items():
            if not fusion.weights[GENERATOR_SIGNAL]:
                note(f"{name}: the generator got no weight on validation, so isrf ranks as the interest graphs do")

    inputs = (
        graphs.digests(build.GRAPHS_FILE) | dataset.digests(TRAIN_FILE, VALID_FILE) | numbers_digests(dataset, settings)
    )
    inputs |= digests_of(dataset, "train") | contents_of("backbone", settings.model.backbone)
    inputs |= contents_of("pieces", settings.model.pieces)
    inputs |= {} if warm is None else warm.digests
    chosen, stage = chosen_settings(settings, scored_with(workspace)), workspace.stage("model")
    key = key_of(stage.name, inputs, chosen)
    if not distributed.rank():
        retried = chosen_settings(settings, scored_with(workspace), RETRIED)
        made = run_stage(stage, inputs, chosen, work, retried=retried)
        if made or (
            missing() is None and not (stage.folder / TRAINING_CHART_FILE).exists()
        ):  # the latter: after a kill
            draw_training(stage)
        for line in [] if made else warnings_of(workspace, trained=True):
            note(f"WARNING: {line}")
    elif not stage.is_current(key):  # then the main process trains, and has the lock and the files
        fit_generator(workspace, settings, read_split(workspace), stage.partial, key[:8], {})
