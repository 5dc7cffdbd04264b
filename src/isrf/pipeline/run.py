"""The method from log to table, one short function a stage (DESIGN, section 2); reads like the paper.

Every function takes a workspace and the settings, reads what earlier stages wrote, and skips itself when nothing that
it reads has changed. The work is done by the rooms on plain objects; this module only carries files between them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from isrf.core import distributed
from isrf.core.config import Settings
from isrf.core.files import is_there
from isrf.core.progress import note, task
from isrf.core.shell import command_line
from isrf.core.tables import write_table
from isrf.data.dataset import Columns
from isrf.data.describe import told_of
from isrf.data.readers.registry import read_dataset, source_digest
from isrf.data.reviews import SAVED
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import TO_HOLD_OUT
from isrf.data.splits.storage import ITEMS, TRAIN, USERS, VALID, save_split
from isrf.evaluation.results_document import SHARES, STRUCTURE, WARNINGS, dataset_block
from isrf.graphs import build
from isrf.graphs.prefix_index import Moments
from isrf.model.explainer_storage import can_be_scored, digests_of, save_parts
from isrf.model.token_generator_storage import numbers_digests, save_numbers, warnings_of
from isrf.pipeline.evaluate import measure_all
from isrf.pipeline.evaluation_document import METRICS, write_markdown
from isrf.pipeline.reasoning_supplier import answers_of
from isrf.pipeline.train import CHART, RETRIED, chosen_settings, draw_training, fit_generator
from isrf.ranking.rankers import GENERATOR as GENERATOR_SIGNAL
from isrf.ranking.rankers import (
    fit_fusions,
    generator_alone,
    given_fusions,
    stopping_users,
)
from isrf.reasoning.llm import consent
from isrf.reasoning.llm.prompts import Kind, prompt_of
from isrf.reasoning.reason import endpoint_of, reason_items, reason_users
from isrf.reasoning.tables import STATISTICS, coverage, unanswered
from isrf.recommender.open import (
    FUSION,
    GENERATOR,
    INTERACTIONS,
    REASONED_ITEMS,
    REASONED_USERS,
    SOURCE_ORDER,
    VECTORS,
    can_hold_out,
    graph_parts,
    has_model,
    held_out,
    read_reasoned,
    read_split,
    read_training,
    save_fusions,
)
from isrf.report.chart_process import missing
from isrf.semantics import features
from isrf.semantics.encode import identity_of
from isrf.workspace.stage import Stage, key_of, scored_by
from isrf.workspace.workspace import Workspace

UNANSWERED = "rows_unanswered"
KINDS: tuple[Kind, ...] = ("item", "user")
REJECTED = "rejected.csv"
TABLE = "table.md"


def run_stage(
    stage: Stage,
    inputs: dict[str, str],
    settings: dict[str, Any],
    work: Callable[[Path, dict[str, Any]], None],
    anew: bool = False,
    retried: dict[str, Any] | None = None,
) -> bool:
    """Do ``work(folder, notes)`` unless the stage is finished from the same inputs and settings, or ``anew``.

    ``retried`` as in ``Stage.building``. Returns whether it was done.
    """
    stage.prepare()
    if not anew and stage.is_current(key_of(inputs, settings)):
        note(f"{stage.name}: nothing changed, kept")
        return False
    notes: dict[str, Any] = {}
    with stage.building(inputs, settings, notes, retried) as folder:
        work(folder, notes)
    info = stage.require()
    note(f"{stage.name}: {info['seconds']:.1f} s, peak memory of the run so far {info['peak_memory_mb']} MB")
    return True


def import_data(workspace: Workspace, src: str, items: Path | None, settings: Settings) -> None:
    """Read, clean and number a source and hold out what its split says; held-out items go into files of their own."""

    def work(folder: Path, notes: dict[str, Any]) -> None:
        with task("import", 3) as running:
            running.say("read and clean")
            dataset = read_dataset(src, items, settings.data, folder / REJECTED)
            running.advance()
            running.say("number and split")
            split = split_of(dataset, settings.data.seed)
            running.advance()
            running.say("write")
            counts = dataset.counts | save_parts(dataset, split, folder, notes)
            about = {"name": dataset.name, "counts": counts, "protocol": dataset.protocol}
            save_split(split, folder, about | dataset_block(dataset))
            write_table(dataset.interactions, folder / INTERACTIONS)
            if settings.data.id_order == "appearance":
                save_numbers(dataset, split.training.catalogue, folder)
            running.advance()
        if dataset.source_order is not None:
            write_table(pl.DataFrame({Columns.ITEM: dataset.source_order}), folder / SOURCE_ORDER)
        notes |= {"name": dataset.name, "users": dataset.n_users, "items": dataset.n_items}
        for line in told_of(dataset):
            note(line)

    inputs = source_digest(src, items)
    chosen = settings.data.model_dump(exclude={"max_gigabytes"})  # whether a file is read, not what it says
    run_stage(workspace.stage("dataset"), inputs, chosen, work)


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
        write_table(items, folder / REASONED_ITEMS)
        write_table(users, folder / REASONED_USERS)
        notes[SHARES] = coverage(training, items)
        notes[UNANSWERED] = unanswered(items) + unanswered(users)

    inputs = dataset.digests(USERS, ITEMS, TRAIN)
    if settings.reasoning.supplier != STATISTICS:
        inputs |= {f"prompts/{kind}": prompt_of(kind, settings.reasoning).version for kind in KINDS}
        inputs["supplier/model"] = endpoint_of(settings.reasoning).identity  # another GGUF file may have the same name
    info = stage.info()
    missing = info["notes"].get(UNANSWERED, 0) if info else 0
    if missing:
        what = "they are asked about again" if again else f"`{stage.command('reasoning')}` asks about them again"
        note(f"reasoning: {missing:,} rows were not answered by the endpoint the last time; {what}")
    chosen, anew = settings.reasoning.model_dump(mode="json"), again and bool(missing)
    if anew or not stage.is_current(key_of(inputs, chosen)):
        consent.require(workspace.root, settings.reasoning)
    run_stage(stage, inputs, chosen, work, anew=anew)


def embed(workspace: Workspace, settings: Settings) -> None:
    """Reasoned sentences become semantic features of items and users."""
    dataset, reasoning, stage = (workspace.stage(s) for s in ("dataset", "reasoning", "semantics"))

    def work(folder: Path, notes: dict[str, Any]) -> None:
        items, users = read_reasoned(workspace)
        training, seed = read_training(workspace), settings.training.seed
        semantics = features.embed(training, items, users, settings.semantics, stage.folder / VECTORS, seed)
        features.save_semantics(semantics, folder)
        if semantics.reduction is not None:
            notes["variance_kept"] = round(semantics.reduction.variance_kept, 4)

    inputs = dataset.digests(ITEMS) | reasoning.digests(REASONED_ITEMS, REASONED_USERS)
    if settings.semantics.item_text == "none":  # vectors are drawn, not encoded
        inputs["seed/training"] = str(settings.training.seed)
    inputs |= contents_of("encoder", settings.semantics.encoder)
    run_stage(stage, inputs, settings.semantics.model_dump(), work)


def graph(workspace: Workspace, settings: Settings) -> None:
    """The semantic interaction graph and the similar-user graph, with LightGCN over both."""
    dataset, semantics, stage = (workspace.stage(s) for s in ("dataset", "semantics", "graphs"))

    def work(folder: Path, notes: dict[str, Any]) -> None:
        training, vectors = read_training(workspace), features.load_semantics(semantics.file(features.FILE))
        graphs = build.build_graphs(training, vectors, settings.graphs)
        build.save_graphs(graphs, folder)
        Moments.of(training.histories, vectors.items, settings.graphs).cells.save(folder)
        notes["similar_users"] = graphs.users.summary()
        note(graphs.users.described())

    inputs = dataset.digests(USERS, ITEMS, TRAIN) | semantics.digests(features.FILE)
    run_stage(stage, inputs, settings.graphs.model_dump(), work)


def contents_of(what: str, named: str | Path | None) -> dict[str, str]:
    """What a file or folder that a setting names held; nothing for a name of the hub, or where there is none."""
    if named is None or not is_there(Path(named)):
        return {}
    return {f"{what}/contents": identity_of(str(named))}


def scored_with(workspace: Workspace) -> dict[str, Any]:
    """``stage.scored_by`` of a workspace's graphs."""
    return scored_by(workspace.stage("graphs").require())


def weigh(workspace: Workspace, settings: Settings) -> None:
    """The weights of ``isrf-graph``, on validation: from here on the workspace recommends, nothing trained."""
    dataset, graphs = workspace.stage("dataset"), workspace.stage("graphs")

    def work(folder: Path, notes: dict[str, Any]) -> None:
        split, parts = read_split(workspace), graph_parts(workspace, settings)
        if can_hold_out(workspace):
            users = stopping_users(split, settings.training.seed)[1][: settings.ranking.fit_users]
            fusions = fit_fusions(parts, split, users, settings.ranking.block, "weigh isrf-graph")
        else:
            note("fewer than two users have a validation item: isrf-graph gets weights fitted elsewhere")
            fusions = given_fusions(parts, split.training.histories, settings.ranking.block)
        save_fusions(fusions, folder)
        notes["weights"] = {name: fusion.weights for name, fusion in fusions.items()}

    inputs = graphs.digests(build.FILE) | dataset.digests(TRAIN, VALID)
    chosen = {
        "graphs": scored_with(workspace),
        "ranking": settings.ranking.model_dump(exclude={"beams", "fusion"}),  # of the generator
        "seed": settings.training.seed,
    }
    run_stage(workspace.stage("ranking"), inputs, chosen, work)


def train(workspace: Workspace, settings: Settings) -> None:
    """Step 3: iterative batch optimisation of the generator, then the weights of ``isrf`` on other validation users.

    In a process that was started with a main one it helps with the first and does nothing else.
    """
    dataset, graphs = workspace.stage("dataset"), workspace.stage("graphs")

    def work(folder: Path, notes: dict[str, Any]) -> None:
        split, block = read_split(workspace), settings.ranking.block
        fitting = stopping_users(split, settings.training.seed)[1][: settings.ranking.fit_users]
        whole = fit_generator(workspace, settings, split, folder, key[:8], notes)
        if settings.ranking.fusion == "generator":
            fusions = generator_alone(whole, split.training.histories, block)
        else:
            fusions = fit_fusions(whole, split, fitting, block, "weigh isrf")
        save_fusions(fusions, folder)
        notes["weights"] = {name: fusion.weights for name, fusion in fusions.items()}
        for name, fusion in fusions.items():
            if not fusion.weights[GENERATOR_SIGNAL]:
                note(f"{name}: the generator got no weight on validation, so isrf ranks as the interest graphs do")

    inputs = graphs.digests(build.FILE) | dataset.digests(TRAIN, VALID) | numbers_digests(dataset, settings)
    inputs |= digests_of(dataset, "train") | contents_of("backbone", settings.model.backbone)
    inputs |= contents_of("pieces", settings.model.pieces)
    chosen, stage = chosen_settings(settings, scored_with(workspace)), workspace.stage("model")
    key = key_of(inputs, chosen)
    if not distributed.rank():
        retried = chosen_settings(settings, scored_with(workspace), RETRIED)
        made = run_stage(stage, inputs, chosen, work, retried=retried)
        if made or (missing() is None and not (stage.folder / CHART).exists()):  # the latter: after a kill
            draw_training(stage)
        for line in [] if made else warnings_of(workspace, trained=True):
            note(f"WARNING: {line}")
    elif not stage.is_current(key):  # then the main process trains, and has the lock and the files
        fit_generator(workspace, settings, read_split(workspace), stage.partial, key[:8], {})


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
            document[WARNINGS] = warnings
        (folder / METRICS).write_text(json.dumps(document, indent=2))
        write_markdown(document, folder / TABLE)

    inputs = dataset.digests(TRAIN, *held_out(dataset)) | graphs.digests(build.FILE) | ranking.digests(FUSION)
    inputs |= model.digests(FUSION, GENERATOR) if trained else {}
    inputs |= digests_of(dataset, *SAVED) if explains else {}
    chosen = settings.evaluation.model_dump() | {"graphs": scored_with(workspace), "warnings": warnings}
    chosen["structure"] = STRUCTURE
    if trained:
        chosen["beams"] = model.require()["settings"]["ranking"]["beams"]  # with which it is searched
    run_stage(workspace.stage("evaluation"), inputs, chosen, work)


def run(workspace: Workspace, src: str, items: Path | None, settings: Settings, training: bool = True) -> bool:
    """Every stage in order; without ``training`` the interest graphs alone recommend.

    Returns:
        Whether there is a table. A log from which nothing can be held out is neither trained on nor evaluated, and a
        line says so; it still recommends.
    """
    with workspace.held():
        import_data(workspace, src, items, settings)
        reason(workspace, settings)
        embed(workspace, settings)
        graph(workspace, settings)
        weigh(workspace, settings)
        if not can_hold_out(workspace):
            note(
                f"no generator and no table, as fewer than two users have a validation item ({TO_HOLD_OUT}); "
                f"`{command_line('isrf', 'recommend', workspace.root)}` works all the same"
            )
            return False
        if training:
            train(workspace, settings)
        evaluate_methods(workspace, settings)
        return True
