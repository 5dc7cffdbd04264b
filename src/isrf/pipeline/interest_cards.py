"""Interest cards of what a workspace has: reads settings, weights, graphs; words are ``evaluation.interest_card``'s."""

from __future__ import annotations

from collections.abc import Iterable

from isrf.core.config import ModelSettings, Settings, TrainingSettings
from isrf.core.documents import read_json
from isrf.core.errors import IsrfError
from isrf.core.shell import argument
from isrf.core.tables import read_table
from isrf.data.queries import TASKS
from isrf.evaluation.interest_card import Card, Run, card_of_method, card_of_run
from isrf.evaluation.results_document import SHARES
from isrf.methods.names import GENERATOR_ONLY, GRAPH_ONLY, WHOLE
from isrf.methods.registry import BASELINES, CARRIERS, TRAINED
from isrf.methods.score_inputs import Reads
from isrf.ranking.rankers import GENERATOR_SIGNAL
from isrf.ranking.storage import has_model, load_fusions
from isrf.reasoning.tables import ReasonColumns
from isrf.workspace.layout import ABOUT_GENERATOR_FILE, FUSION_FILE, REASONED_USERS_FILE
from isrf.workspace.saved_settings import as_made
from isrf.workspace.workspace import Workspace


def reads_of(method: str) -> Reads | None:
    """What a baseline or carrier declares; None for a method of ours."""
    if method in CARRIERS:
        return CARRIERS[method].reads
    make = {**BASELINES, **TRAINED}.get(method)
    return None if make is None else make().reads


def card_of(workspace: Workspace, settings: Settings, method: str) -> Card:
    """The card of one method.

    Args:
        workspace: that the method ranks from; of a variant its own.
        settings: of that workspace.
        method: a baseline or carrier, ``isrf-graph``, ``isrf-generator``, or any name for the whole system.
    """
    shares = workspace.stage("reasoning").require()["notes"][SHARES]
    users = read_table(workspace.stage("reasoning").file(REASONED_USERS_FILE), columns=[ReasonColumns.SUPPLIER])
    counts = (
        users[ReasonColumns.SUPPLIER].value_counts().sort("count", ReasonColumns.SUPPLIER, descending=[True, False])
    )
    preferences = tuple(counts[ReasonColumns.SUPPLIER].to_list())
    if (reads := reads_of(method)) is not None:
        return card_of_method(reads, shares, preferences, as_made(workspace, settings).semantics.item_text)
    links = workspace.stage("graphs").require()["notes"]["similar_users"]["edges"]
    settings = as_made(workspace, settings)
    if method == GRAPH_ONLY:
        fusions = load_fusions(workspace.stage("ranking").file(FUSION_FILE))
        weights = {str(task): fusion.weights for task, fusion in fusions.items()}
        return card_of_run(Run(settings, weights, None, links, shares, preferences))
    stage = workspace.stage("model")
    learned = TrainingSettings(**stage.require()["settings"]["training"])
    settings = settings.model_copy(update={"training": learned})
    generator = ModelSettings(**read_json(stage.file(ABOUT_GENERATOR_FILE)))
    fusions = load_fusions(stage.file(FUSION_FILE))
    weights = {str(task): fusion.weights for task, fusion in fusions.items()}
    if method == GENERATOR_ONLY:
        weights = {str(task): {GENERATOR_SIGNAL: 1.0} for task in TASKS}
    return card_of_run(Run(settings, weights, generator, links, shares, preferences))


def cards_of(workspace: Workspace, settings: Settings, methods: Iterable[str]) -> dict[str, Card]:
    """Cards of several methods that rank from one workspace."""
    return {method: card_of(workspace, settings, method) for method in methods}


def check_method(method: str) -> None:
    """Raises IsrfError where a workspace itself has no card of that name; a variant has its own workspace."""
    named = (WHOLE, GRAPH_ONLY, GENERATOR_ONLY, *BASELINES, *TRAINED, *CARRIERS)
    if method not in named:
        raise IsrfError(
            f"{argument('method')} {method}: has no card here; there are {', '.join(named)}, and each variant's in its folder"
        )


def best_method(workspace: Workspace) -> str:
    """What the workspace recommends with where no method is named."""
    return WHOLE if has_model(workspace) else GRAPH_ONLY
