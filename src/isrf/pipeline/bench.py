"""Baselines, the whole system and its variants on one split, in one table: ``isrf bench``.

Every run of a method leaves its ranks in a file named after what they depend on, so a bench that was stopped, or asked
for more methods, goes on from there. Knows nothing about the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from isrf.core.config import Settings
from isrf.core.documents import read_json
from isrf.core.errors import CannotFit, IsrfError
from isrf.core.locks import alone
from isrf.core.progress import note
from isrf.core.provenance import command
from isrf.core.sealed_documents import write_sealed
from isrf.core.shell import argument
from isrf.data.splits.split import TO_HOLD_OUT, Split
from isrf.data.storage import held_out, read_split
from isrf.evaluation.interest_card import Card, document_of_cards
from isrf.evaluation.protocol import Result, evaluate_once, fit
from isrf.evaluation.results_document import CARDS, LEFT_OUT, NOTES, SHARES, WARNINGS, joined, metrics_document
from isrf.graphs import build
from isrf.methods.names import GENERATOR_ONLY, GRAPH_ONLY, WHOLE
from isrf.methods.preferences import carrier_preferences
from isrf.methods.registry import BASELINES, CARRIERS, TRAINED
from isrf.pipeline.evaluation_document import (
    ranked_by,
    read_metrics,
    seconds_of,
    segmented,
    tell_protocol,
    write_markdown,
)
from isrf.pipeline.interest_cards import card_of
from isrf.pipeline.stage_runner import scored_with
from isrf.pipeline.token_generator_start import warnings_of
from isrf.pipeline.variants import CHANGE, VARIANTS, folder_name, sizes_note, slower, trained, variant_settings
from isrf.ranking.rankers import FusedRanker, GeneratorRanker
from isrf.ranking.storage import load_components, load_fusions, load_graph_components
from isrf.semantics import features
from isrf.training.progress_rows import Diverged
from isrf.workspace.findings import COMMAND, SOURCE_DIGESTS
from isrf.workspace.layout import (
    ABOUT_DATASET_FILE,
    BENCH_FOLDER,
    FUSION_FILE,
    GENERATOR_FILE,
    METRICS_FILE,
    RANKS_FOLDER,
    SWEEP_FILE,
    TABLE_FILE,
    TRAIN_FILE,
)
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.stage_key import key_of
from isrf.workspace.workspace import Workspace

GROUPS: dict[str, tuple[str, ...]] = {
    "baselines": (*BASELINES, *TRAINED),
    "carriers": tuple(CARRIERS),
    "ablations": (WHOLE, GRAPH_ONLY, GENERATOR_ONLY, *VARIANTS),
}
"""Names that stand for several methods; "all" stands for all groups."""


def methods_named(names: str) -> list[str]:
    """Methods of a list with commas between, groups replaced by what is in them, each once.

    Raises:
        IsrfError: a name that is no method, or none at all.
    """
    everything = tuple(method for group in GROUPS.values() for method in group)
    found: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if name == "all" or name in GROUPS:
            found += GROUPS.get(name, everything)
        elif name in everything or (CHANGE in name and name.split(CHANGE)[0] in (WHOLE, *VARIANTS)):
            found.append(name)
        elif name:
            close = difflib.get_close_matches(name, [*everything, *GROUPS, "all"], n=1)
            meant = f"did you mean {close[0]}? there are" if close else "there are"
            raise IsrfError(
                f"{argument('methods')} {name}: unknown; {meant} {', '.join(everything)}, any variant like isrf@graphs.tau=0.5, "
                f"and the groups {', '.join(GROUPS)} and all"
            )
    if not found:
        raise IsrfError(f"{argument('methods')} names no method; {argument('methods')} all takes every one there is")
    return list(dict.fromkeys(found))


def bench(workspace: Workspace, methods: Sequence[str], seeds: Sequence[int] = ()) -> dict[str, Any]:
    """Train what has to be trained, rank the test items of the same users by every method, and write the table.

    A method that cannot be fitted is left out, which the table says.

    Args:
        workspace: with everything up to the interest graphs; its generator is trained here if it has none.
        methods: names as ``methods_named`` gives them.
        seeds: of training, one run of a trained method for each; without any, one run with the workspace's own.

    Returns:
        The content of ``bench/metrics.json``.

    Raises:
        IsrfError: a setting of a variant is not valid, the workspace is not that far, nobody can be evaluated, or
            not a single method could be fitted; or another command is writing into the workspace.
    """
    with workspace.held():
        return _bench(workspace, methods, seeds)


def _bench(workspace: Workspace, methods: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    if seeds and any(f"{CHANGE}training.seed=" in method for method in methods):
        raise IsrfError(
            f"{argument('methods')} with training.seed of its own and {argument('seeds')} contradict each other; give one of them"
        )
    for method in methods:  # whatever is mistyped is found before hours are spent
        if method.split(CHANGE)[0] in (WHOLE, *VARIANTS):
            variant_settings(workspace, method)
    workspace.stage("ranking").require()
    if any(CHANGE in method for method in methods):  # and whatever is damaged
        read_metrics(workspace, workspace.root / BENCH_FOLDER / SWEEP_FILE)
    settings, split = saved_settings(workspace), read_split(workspace)
    if not len(split.users("test")):
        raise IsrfError(f"{workspace.root}: nothing is held out: {TO_HOLD_OUT}")
    for stage in ("reasoning", "semantics", "graphs"):
        if workspace.stage(stage).require()["settings"] != getattr(settings, stage).model_dump(mode="json"):
            raise IsrfError(
                f"{workspace.root}: its {stage} were made with other settings than it keeps now, so a variant would differ "
                f"by more than its name says; run `{workspace.stage(stage).command(stage)}` first"
            )
    begun = state_of(workspace)
    folder = workspace.root / BENCH_FOLDER
    (folder / RANKS_FOLDER).mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    missing: dict[str, str] = {}
    cards: dict[str, Card] = {}
    warnings = warnings_of(workspace, trained=False)
    with alone(folder):
        for number, method in enumerate(methods, 1):
            runs: list[Result] = []
            try:
                for seed in seeds if seeds and is_trained(method) else (None,):
                    note(f"bench {number}/{len(methods)}: {method}{'' if seed is None else f', seed {seed}'}")
                    if state_of(workspace) != begun:
                        raise IsrfError(
                            f"{workspace.root}: the workspace changed during the benchmark (data, graphs or settings); run "
                            "the same bench again (finished work is saved)"
                        )
                    found = results_of(workspace, settings, split, method, seed, warnings, cards)
                    runs += [replace(result, seed=seed) for result in found]
            except CannotFit as error:  # the other methods are worth their table, which says who is missing
                missing[method] = str(error)
                cards.pop(method, None)
                note(f"{method} is left out of the table: {error}")
            else:
                results += runs
        if not results:
            raise IsrfError(f"no method could be fitted; {methods[0]}: {missing[methods[0]]}")
        document = document_of(workspace, settings, split, results, missing, warnings, cards)
        write_sealed(folder / METRICS_FILE, document)
        write_markdown(document, folder / TABLE_FILE)
        if any(CHANGE in method for method in methods):
            keep_sweep(workspace, document)
    return document


def state_of(workspace: Workspace) -> dict[str, Any]:
    """What all rows of a table have in common: data, what was made of them before training, and settings."""
    before = {name: workspace.stage(name).require()["key"] for name in ("dataset", "reasoning", "semantics", "graphs")}
    return before | {"settings": saved_settings(workspace).model_dump(mode="json")}


def keep_sweep(workspace: Workspace, document: dict[str, Any]) -> None:
    """Put the rows of a bench before those of earlier ones in SWEEP, as long as graphs and model are still theirs."""
    path = workspace.root / BENCH_FOLDER / SWEEP_FILE
    earlier = read_metrics(workspace, path)
    both = (
        joined(document, earlier) | {SOURCE_DIGESTS: earlier[SOURCE_DIGESTS] | document[SOURCE_DIGESTS]}
        if earlier
        else document
    )
    write_sealed(path, both)


def is_trained(method: str) -> bool:
    """Whether a method starts from random weights, so that its seed matters."""
    return method not in BASELINES and method not in CARRIERS and method != GRAPH_ONLY


def results_of(
    workspace: Workspace,
    settings: Settings,
    split: Split,
    method: str,
    seed: int | None,
    warnings: list[str],
    cards: dict[str, Card],
) -> list[Result]:
    """Results of one run of one method on the test items, both tasks and both kinds of candidates.

    What must be told of its figures is added to ``warnings``, each line once, and its interest card to ``cards``, of
    several seeds that of the first.
    """
    dataset = workspace.stage("dataset")
    inputs = dataset.digests(TRAIN_FILE, *held_out(dataset))
    chosen = {"method": method, "evaluation": settings.evaluation.model_dump(exclude={"block"})}

    def once(depends_on: dict[str, Any], fitted: Any) -> list[Result]:
        key = key_of("evaluation", inputs, chosen | depends_on)
        place = workspace.root / BENCH_FOLDER / RANKS_FOLDER / f"{folder_name(method)}-{key[:16]}.npz"
        return evaluate_once(place, fitted, split, settings.evaluation)

    if method in CARRIERS:
        cards[method] = card_of(workspace, settings, method)
        carrier = CARRIERS[method](carrier_preferences(workspace, settings))
        inputs |= workspace.stage("semantics").digests(features.SEMANTICS_FILE)
        parameters = {k: repr(v) for k, v in vars(carrier).items() if not k.startswith("_")}
        found = once({"parameters": parameters}, partial(fit, carrier, split))
        before = seconds_of(workspace, method)
        return [replace(result, fit_seconds=(result.fit_seconds or 0) + before) for result in found]

    if method in BASELINES or method in TRAINED:
        cards[method] = card_of(workspace, settings, method)
        baseline: Any = {**BASELINES, **TRAINED}[method]()
        if seed is not None:
            baseline.seed = seed
        return once({"parameters": {k: repr(v) for k, v in vars(baseline).items()}}, partial(fit, baseline, split))

    if method == GRAPH_ONLY:
        cards[method] = card_of(workspace, settings, method)
        weights = workspace.stage("ranking").file(FUSION_FILE)
        inputs |= workspace.stage("graphs").digests(build.GRAPHS_FILE) | workspace.stage("ranking").digests(FUSION_FILE)
        seconds = seconds_of(workspace, method)
        return once(
            {"graphs": scored_with(workspace)},
            lambda: (FusedRanker(method, load_graph_components(workspace, settings), load_fusions(weights)), seconds),
        )

    whole = WHOLE if method == GENERATOR_ONLY else method
    label = whole if seed in (None, settings.training.seed) else f"{whole}{CHANGE}training.seed={seed}"
    own = variant_settings(workspace, whole, seed)
    try:
        home = trained(workspace, label, own)
    except Diverged as error:
        raise CannotFit(f"{error.what}; {slower(workspace, whole, own, error.lower)}") from error
    warnings += [line for line in warnings_of(home, trained=True) if line not in warnings]
    cards.setdefault(method, card_of(home, own, method))
    inputs |= home.stage("graphs").digests(build.GRAPHS_FILE) | home.stage("model").digests(FUSION_FILE, GENERATOR_FILE)

    def made() -> tuple[FusedRanker | GeneratorRanker, float]:
        parts = load_components(home, own)
        seconds = seconds_of(home, method)
        if method == GENERATOR_ONLY:
            return GeneratorRanker(parts), seconds
        return FusedRanker(method, parts, load_fusions(home.stage("model").file(FUSION_FILE))), seconds

    return [replace(result, trained=label) for result in once({"graphs": scored_with(home)}, made)]


def document_of(
    workspace: Workspace,
    settings: Settings,
    split: Split,
    results: Sequence[Result],
    missing: dict[str, str],
    warnings: Sequence[str],
    cards: Mapping[str, Card],
) -> dict[str, Any]:
    """The content of ``bench/metrics.json``: that of an evaluation, ``isrf`` tested against every other method, and cards."""
    about = read_json(workspace.stage("dataset").file(ABOUT_DATASET_FILE))
    block = {key: about[key] for key in ("users", "items", "interactions", "digest")}
    others = list(dict.fromkeys(result.method for result in results if result.method != WHOLE))
    document = metrics_document(block, results, settings.evaluation, [(WHOLE, other) for other in others])
    document[CARDS] = document_of_cards(cards)
    document |= segmented(workspace, split, results, settings.evaluation)
    document[COMMAND] = command()
    document[SOURCE_DIGESTS] = ranked_by(workspace, (result.method for result in results))
    document[SHARES] = workspace.stage("reasoning").require()["notes"][SHARES]
    if warnings:
        document[WARNINGS] = [*warnings, *document.get(WARNINGS, [])]
    if sizes := sizes_note(others, settings):
        document[NOTES] = [*document.get(NOTES, []), sizes]
    tell_protocol(workspace, document)
    if missing:
        document[LEFT_OUT] = missing
    return document


def table_of(workspace: Workspace) -> Path:
    """Where the table of the last bench lies."""
    return workspace.root / BENCH_FOLDER / TABLE_FILE
