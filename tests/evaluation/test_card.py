"""The interest card says what a method reads: other settings, other weights, an empty graph give another card."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isrf.core.config import Settings, load_settings
from isrf.data.queries import TASKS
from isrf.evaluation.interest_card import Card, Run, card_of_method, card_of_run
from isrf.methods.registry import BASELINES, CARRIERS, TRAINED

COLUMNS = (
    "interest_scope",
    "similarity_owner",
    "explicit_implicit_bridge",
    "semantic_graph_carrier",
    "coupling_locus",
    "reasoning_supplier",
    "serving_consumer",
    "boundary",
)
GRAPHS = {"transitions": 0.5, "semantics": 0.2, "neighbourhood": 0.3, "group": 0.1}


def run(*changed: str, generator: float = 1.0, links: int = 100, **weights: float) -> Run:
    """A whole system of the default settings with some changed; weights are the same in both tasks."""
    settings: Settings = load_settings(overrides=list(changed))
    fused = GRAPHS | {"generator": generator} | weights
    if settings.model.group != "consumed":
        fused.pop("group")
    return Run(settings, dict.fromkeys(TASKS, fused), settings.model, links, {"attributes": 1.0}, ("attributes",))


def card(*changed: str, **kwargs: Any) -> Card:
    return card_of_run(run(*changed, **kwargs))


def test_the_whole_system() -> None:
    whole = card()
    assert tuple(whole.as_dict()) == COLUMNS
    assert all(said and all(isinstance(one, str) for one in said) for said in whole.as_dict().values())
    assert whole.interest_scope == ("individual", "group")
    assert len(whole.explicit_implicit_bridge) == 4 and whole.explicit_implicit_bridge[-1] == "alignment loss"
    assert whole.reasoning_supplier == ("attributes 100.0%",)
    assert "attribute statistics: cosine >= 0.7, the nearest 100" in whole.similarity_owner[0]


def test_without_a_group_nobody_decides_who_is_alike() -> None:
    alone = card("model.group=none")
    assert alone.interest_scope == ("individual",) and alone.similarity_owner == ("nobody",)
    assert alone.explicit_implicit_bridge == ("none",) and alone.coupling_locus == ("nowhere",)
    assert alone.boundary == ("vectors of reasoned item features",)
    assert alone.semantic_graph_carrier == ("semantic interaction graph (2 layers)",)


def test_a_group_that_is_only_aligned_is_in_no_ranking() -> None:
    aligned = card("model.group=aligned")
    assert aligned.interest_scope == ("individual",)
    assert "alone" in aligned.explicit_implicit_bridge[0] and "alignment (lambda 0.05)" in aligned.coupling_locus[0]
    assert len(aligned.coupling_locus) == 1


@pytest.mark.parametrize(
    ("changed", "column", "gone"),
    [
        ("model.graph_evidence=false", "explicit_implicit_bridge", "evidence"),
        ("training.alignment=0", "explicit_implicit_bridge", "alignment"),
        ("training.alignment=0", "coupling_locus", "alignment"),
        ("graphs.layers=0", "semantic_graph_carrier", "semantic interaction graph"),
        ("semantics.item_text=none", "semantic_graph_carrier", "semantic interaction graph"),
        ("semantics.item_text=attributes", "boundary", "item features"),
        ("graphs.user_layers=0", "boundary", "mean preference"),
        ("graphs.tau=0.5", "similarity_owner", "0.7"),
        ("training.alignment_direction=swapped", "coupling_locus", "detached in direct"),
        ("model.identifiers=digits", "serving_consumer", "atomic"),
    ],
)
def test_a_changed_setting_changes_its_column(changed: str, column: str, gone: str) -> None:
    assert gone in " ".join(card().as_dict()[column])
    assert gone not in " ".join(card(changed).as_dict()[column])


def test_an_empty_graph_leaves_the_moments_alone() -> None:
    """Nobody has a neighbour: in direct recommendation there is no group, in sequential there are moments."""
    empty = card(links=0)
    assert empty.interest_scope == ("individual", "group (sequential only)")
    assert len(empty.similarity_owner) == 1 and "moments" in empty.similarity_owner[0]
    assert "similar-user graph" not in empty.semantic_graph_carrier and "links between users" not in empty.boundary[0]


def test_weights_decide_what_counts() -> None:
    """A generator without weight brings nothing of the group; a group without weight is not in the fusion."""
    graphs_alone = card(generator=0.0)
    assert graphs_alone.explicit_implicit_bridge == ("votes in the fusion",)
    assert graphs_alone.coupling_locus == ("nowhere",) and not any("T5" in c for c in graphs_alone.serving_consumer)
    assert card(generator=0.0, group=0.0).interest_scope == ("individual",)
    assert "votes in the fusion" not in card(group=0.0).explicit_implicit_bridge
    silent = card(generator=0.0, group=0.0, semantics=0.0, neighbourhood=0.0)
    assert silent.reasoning_supplier == ("none",) and silent.boundary == ("nothing: no reasoning is read",)


def test_a_task_of_its_own_is_named() -> None:
    whole = run()
    direct = dict(whole.weights["direct"]) | {"group": 0.0}
    bridge = card_of_run(replace(whole, weights={**whole.weights, "direct": direct})).explicit_implicit_bridge
    assert "votes in the fusion (sequential only)" in bridge


def test_who_reasoned() -> None:
    shares = {"openai": 0.75, "attributes": 0.25}
    mixed = card_of_run(replace(run(), shares=shares, preferences=("openai", "attributes")))
    assert mixed.reasoning_supplier == ("openai 75.0%", "attributes 25.0%")
    assert "the LLM (openai) and attribute statistics" in mixed.similarity_owner[0]
    # a budget of items asks about no user: no LLM decides who is alike
    items_alone = card_of_run(replace(run(), shares=shares))
    assert "by attribute statistics:" in items_alone.similarity_owner[0]
    unread = replace(run("semantics.item_text=attributes"), shares=shares)
    assert card_of_run(unread).reasoning_supplier == ("attributes",), "of items nothing reasoned is read"


def test_baselines_and_carriers_by_what_they_declare() -> None:
    made = {name: make().reads for name, make in (BASELINES | TRAINED).items()}
    made |= {name: make.reads for name, make in CARRIERS.items()}
    cards = {name: card_of_method(reads, {"attributes": 1.0}, ("attributes",), "both") for name, reads in made.items()}
    assert cards["popularity"].interest_scope == ("none: the same for everybody",)
    assert cards["lightgcn"].similarity_owner == ("co-purchase",) and "group" in cards["lightgcn"].interest_scope
    for name in (*BASELINES, *TRAINED):
        assert cards[name].reasoning_supplier == cards[name].semantic_graph_carrier == ("none",)
    carried = [cards[name].semantic_graph_carrier[0] for name in CARRIERS]
    assert carried == ["profile text", "item texts", "semantic id", "preference vectors on the interaction graph"]
    assert all(cards[name].reasoning_supplier == ("attributes 100.0%",) for name in CARRIERS)
    assert cards["semantic-id"].boundary[0].startswith("identifiers")
    plain = card_of_method(made["semantic-id"], {"attributes": 1.0}, ("attributes",), "attributes")
    assert plain.boundary == ("identifiers quantised from preferences",), "no feature of an item was reasoned"
    assert plain.reasoning_supplier == ("attributes",)
