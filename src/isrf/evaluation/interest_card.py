"""The interest card: the columns by which methods of this family are compared, derived from what a method really reads.

For ISRF and its variants that is settings, fitted weights and the graph; for baselines what they declare beside their
code (``methods.score_inputs``), which the contract suite tests. Nothing is typed in for a name. Knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from isrf.core.config import ModelSettings, Settings
from isrf.data.queries import TASKS
from isrf.methods.score_inputs import Reads
from isrf.model.atomic_generator import evidence_read
from isrf.ranking.rankers import GENERATOR_SIGNAL
from isrf.reasoning.tables import STATISTICS

NONE = ("none",)

REASONED = ("feature", "both")
"""Values of ``semantics.item_text`` with which what was reasoned about an item is encoded."""

TOKEN = "a group token that the generator reads"

DETACHED = {
    "paper": "the individual side detached in direct recommendation",
    "swapped": "the individual side detached in sequential recommendation",
    "open": "nothing detached",
    "detached": "the individual side detached in both tasks",
}
"""``training.alignment_direction`` in words."""


@dataclass(frozen=True)
class Card:
    """One method; every column is a list of statements.

    Attributes:
        interest_scope: whose interests reach the scores: of the individual, of a group.
        similarity_owner: who decides that two users are alike.
        explicit_implicit_bridge: how the person's own interests and those of the group reach each other.
        semantic_graph_carrier: what carries the semantics.
        coupling_locus: where the two kinds of interest are refined together.
        reasoning_supplier: who reasoned, with its share of training interactions, where anything reasoned is read.
        serving_consumer: what answers when somebody asks.
        boundary: what crosses from the supplier to the consumer.
    """

    interest_scope: tuple[str, ...]
    similarity_owner: tuple[str, ...]
    explicit_implicit_bridge: tuple[str, ...]
    semantic_graph_carrier: tuple[str, ...]
    coupling_locus: tuple[str, ...]
    reasoning_supplier: tuple[str, ...]
    serving_consumer: tuple[str, ...]
    boundary: tuple[str, ...]

    def as_dict(self) -> dict[str, list[str]]:
        """Column -> statements, as JSON takes it."""
        return {column: list(said) for column, said in asdict(self).items()}


@dataclass(frozen=True)
class Run:
    """What one ISRF method was made with.

    Attributes:
        settings: of its workspace, those of finished stages as they were made.
        weights: task -> signal -> weight of the fusion that ranks; for the generator alone it has all the weight.
        generator: settings that the generator was trained with; None without one.
        links: edges of the similar-user graph.
        shares: supplier -> share of training interactions whose item it reasoned about.
        preferences: suppliers that reasoned about users, the one of most users first.
    """

    settings: Settings
    weights: Mapping[str, Mapping[str, float]]
    generator: ModelSettings | None
    links: int
    shares: Mapping[str, float]
    preferences: tuple[str, ...]

    def weighs(self, task: str, signal: str) -> bool:
        """Whether a signal counts in the ranking of a task."""
        return self.weights[task].get(signal, 0.0) > 0

    def generates(self, task: str) -> bool:
        """Whether the generator has a say in a task."""
        return self.generator is not None and self.weighs(task, GENERATOR_SIGNAL)

    def heard(self, task: str) -> list[str]:
        """By which ways the group reaches the ranking of a task."""
        ways: list[str] = []
        # moments need no link between whole users
        votes = task == "sequential" or self.links > 0
        model = self.generator
        if model is not None and self.generates(task) and model.group == "consumed":
            if self.links > 0:
                ways.append(TOKEN)
            if model.identifiers == "atomic" and "group" in evidence_read(model) and votes:
                ways.append("votes among the evidence that the generator adds")
        if self.weighs(task, "group") and votes:
            ways.append("votes in the fusion")
        return ways

    def meant(self, task: str) -> bool:
        """Whether semantic features of items reach the ranking of a task, by way of a graph or not."""
        if self.settings.semantics.item_text == "none":
            return False
        return self.generates(task) or any(self.weighs(task, s) for s in ("semantics", "latest", "neighbourhood"))


def card_of_run(run: Run) -> Card:
    """The card of ``isrf``, ``isrf-graph``, ``isrf-generator`` or a variant."""
    heard = {str(task): run.heard(task) for task in TASKS}
    # whole users are compared for the token and for votes in direct recommendation, moments for votes in sequential
    by_users = bool(heard["direct"]) or TOKEN in heard["sequential"]
    moments = any(way != TOKEN for way in heard["sequential"])
    meant = any(run.meant(task) for task in TASKS)
    text = run.settings.semantics.item_text
    by_items = (meant or moments) and text in REASONED
    reasoned = by_users or by_items
    return Card(
        interest_scope=("individual", *by_task("group", [task for task in TASKS if heard[task]])),
        similarity_owner=owners(run, by_users, moments),
        explicit_implicit_bridge=tuple(bridges(run, heard)) or NONE,
        semantic_graph_carrier=carriers(run, by_users, moments) or NONE,
        coupling_locus=couplings(run, heard) or ("nowhere",),
        reasoning_supplier=(suppliers(run.shares) if by_items else run.preferences) if reasoned else NONE,
        serving_consumer=consumers(run),
        boundary=crossing(run, by_users, moments, meant) if reasoned else ("nothing: no reasoning is read",),
    )


def card_of_method(reads: Reads, shares: Mapping[str, float], preferences: tuple[str, ...], item_text: str) -> Card:
    """The card of a baseline or carrier, from what it declares.

    Args:
        reads: its declaration.
        shares, preferences: as in ``Run``, of the workspace whose features it was made from.
        item_text: ``semantics.item_text`` of that workspace: what item features were encoded from.
    """
    by_items = reads.texts and item_text in REASONED
    personal = reads.history or reads.identity or reads.preferences
    scope = (("individual",) if personal else ()) + (("group",) if reads.alike != "nobody" else ())
    crosses = (("semantic item features",) if by_items else ()) + (("preferences",) if reads.preferences else ())
    form = "identifiers quantised from" if reads.carrier == "semantic id" else "vectors of"
    return Card(
        interest_scope=scope or ("none: the same for everybody",),
        similarity_owner=(reads.alike,),
        explicit_implicit_bridge=(reads.bridge,),
        semantic_graph_carrier=(reads.carrier,),
        coupling_locus=(reads.coupling,),
        reasoning_supplier=(suppliers(shares) if by_items else preferences) if crosses else NONE,
        serving_consumer=(reads.consumer,),
        boundary=tuple(f"{form} {what}" for what in crosses) or ("nothing: no reasoning is read",),
    )


def by_task(what: str, tasks: list[str]) -> tuple[str, ...]:
    """A statement that holds in some tasks, which it names unless it holds in all.

    >>> by_task("group", ["direct"]), by_task("group", ["sequential", "direct"]), by_task("group", [])
    (('group (direct only)',), ('group',), ())
    """
    if not tasks:
        return ()
    return (what if len(tasks) == len(TASKS) else f"{what} ({tasks[0]} only)",)


def owners(run: Run, by_users: bool, moments: bool) -> tuple[str, ...]:
    """Who decides whom a person hears."""
    graphs = run.settings.graphs
    who = " and ".join(
        "attribute statistics" if name == STATISTICS else f"the LLM ({name})" for name in run.preferences
    )
    found = []
    if by_users:
        found.append(f"preferences reasoned by {who}: cosine >= {graphs.tau:g}, the nearest {graphs.top_k}")
    if moments:
        found.append(f"item features of what was chosen before (moments): the nearest {graphs.top_k}")
    return tuple(found) or ("nobody",)


def bridges(run: Run, heard: Mapping[str, list[str]]) -> list[str]:
    """How explicit and implicit interests reach each other."""
    ways = dict.fromkeys(way for task in TASKS for way in heard[task])
    found = [said for way in ways for said in by_task(way, [task for task in TASKS if way in heard[task]])]
    if aligned(run):
        found.append("alignment loss" if found else "alignment loss alone: nothing of the group reaches the ranking")
    return found


def aligned(run: Run) -> bool:
    """Whether an alignment loss was part of what the generator learned."""
    generates = any(run.generates(task) for task in TASKS)
    model = run.generator
    return bool(generates and model and model.group != "none" and run.settings.training.alignment > 0 and run.links > 0)


def carriers(run: Run, by_users: bool, moments: bool) -> tuple[str, ...]:
    """What carries the semantics to the scores."""
    settings, found = run.settings, []
    generates = any(run.generates(task) for task in TASKS)
    if any(run.meant(task) for task in TASKS):
        nodes = generates or any(run.weighs(task, "neighbourhood") for task in TASKS)
        if nodes and settings.graphs.layers > 0:
            found.append(f"semantic interaction graph ({settings.graphs.layers} layers)")
        else:
            found.append("item features, not propagated")
    if by_users:
        found.append("similar-user graph")
    if moments and settings.semantics.item_text != "none":
        found.append("moments of other users")
    if generates and run.generator is not None and run.generator.identifiers == "semantic":
        found.append("semantic id")
    return tuple(found)


def couplings(run: Run, heard: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Where individual and group interests are refined together."""
    found = []
    if aligned(run):
        training = run.settings.training
        found.append(f"per batch: alignment (lambda {training.alignment:g}), {DETACHED[training.alignment_direction]}")
    if any("generator" in way for ways in heard.values() for way in ways):
        found.append("per batch: the loss of the task, through what the generator reads of the group")
    return tuple(found)


def consumers(run: Run) -> tuple[str, ...]:
    """What answers when somebody asks."""
    found = []
    model = run.generator
    if model is not None and any(run.generates(task) for task in TASKS):
        sizes = model.backbone or f"{model.encoder_layers} + {model.decoder_layers} layers, width {model.d_model}"
        found.append(f"a T5 ({sizes}) that writes {model.identifiers} identifiers")
    fused = {task: [s for s, weight in run.weights[task].items() if weight > 0] for task in TASKS}
    found += [f"fusion in {task}: {', '.join(fused[task])}" for task in TASKS if fused[task] != [GENERATOR_SIGNAL]]
    return tuple(found)


def crossing(run: Run, by_users: bool, moments: bool, meant: bool) -> tuple[str, ...]:
    """What of the reasoning reaches the consumer; vectors only, made once and offline."""
    found = []
    if (meant or moments) and run.settings.semantics.item_text in REASONED:
        found.append("vectors of reasoned item features")
    if by_users:
        found.append("links between users, from vectors of reasoned preferences")
        token = any(TOKEN in run.heard(task) for task in TASKS)
        if token and run.settings.graphs.user_layers:
            found.append("mean preference vectors of groups")
    return tuple(found)


def suppliers(shares: Mapping[str, float]) -> tuple[str, ...]:
    """Suppliers with their shares of training interactions."""
    return tuple(f"{name} {share:.1%}" for name, share in shares.items() if share > 0)


def document_of_cards(cards: Mapping[str, Card]) -> dict[str, Any]:
    """Method -> card, as it stands in ``metrics.json``."""
    return {method: card.as_dict() for method, card in cards.items()}
