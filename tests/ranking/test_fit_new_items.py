"""How much new items borrow is fitted on items that are hidden: as much as a bounded cost allows."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.methods.contract import tiny_split
from tests.ranking.small import World, build, fused

from isrf.data.queries import TASKS, Queries
from isrf.data.splits.split import Split
from isrf.data.training_data import TrainingData
from isrf.ranking import fit_new_items as module
from isrf.ranking.fit_new_items import DISCOUNTS, UNFITTED, fit_new_items, hidden_items, without_items
from isrf.ranking.rankers import FusedRanker, ScoringComponents, without_borrowing
from isrf.ranking.recommend import recommend


@pytest.fixture(scope="module")
def split() -> Split:
    return tiny_split()


@pytest.fixture(scope="module")
def world(split: Split) -> World:
    return build(split.training)


def at_cost(parts: ScoringComponents, cost: float) -> ScoringComponents:
    """The same with another ``ranking.new_item_cost``."""
    ranking = parts.people.settings.ranking.model_copy(update={"new_item_cost": cost})
    settings = parts.people.settings.model_copy(update={"ranking": ranking})
    return replace(parts, people=replace(parts.people, settings=settings))


def test_hidden_items_are_unknown_to_graphs_and_people(world: World, split: Split) -> None:
    hidden = np.zeros(split.training.n_items, dtype=bool)
    hidden[[int(split.training.popularity.argmax()), 0]] = True
    found = without_items(world.parts, hidden)
    assert not found.people.training.popularity[hidden].any()
    assert not found.graphs.items.transitions[:, hidden].nnz and not found.graphs.items.cooccurrence[hidden].nnz
    assert not np.isin(found.people.moments.chosen, np.flatnonzero(hidden)).any()
    assert found.graphs.backoff.new_items[hidden].all(), "their texts are still there"
    assert np.array_equal(world.parts.people.training.popularity, split.training.popularity), "the given ones stay"


def test_items_are_hidden_by_seed_until_a_tenth_is_new() -> None:
    popularity = np.array([0, *[3] * 39])
    one, again, other = (hidden_items(popularity, seed) for seed in (0, 0, 1))
    assert one.sum() == 3 and not one[0] and np.array_equal(one, again) and not np.array_equal(one, other)
    assert not hidden_items(np.array([0, 0, *[3] * 8]), 0).any(), "enough are new as it is"


def test_a_higher_cost_allows_more(world: World, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_PEOPLE", 2)
    fusions, users = fused(world).fusions, split.users("valid")
    found = {
        cost: fit_new_items(at_cost(world.parts, cost), split, users, fusions, 0, "fit") for cost in (0.0, 0.05, 1.0)
    }
    for task in TASKS:
        chosen = [found[cost][task].new_items for cost in (0.0, 0.05, 1.0)]
        assert chosen == sorted(chosen) and chosen[-1] == max(DISCOUNTS) and set(chosen) <= set(DISCOUNTS)
        assert found[1.0][task].weights == fusions[task].weights


def cold(split: Split, items: list[int]) -> Split:
    """The same split, where nobody chose some items in training."""
    before = split.training
    kept = before.histories.kept(~np.isin(before.histories.items, items))
    return replace(split, training=TrainingData(before.user_ids, before.catalogue, kept))


@pytest.mark.parametrize("new", [[], [0], [0, 1, 2, 3, 4, 5]])
def test_the_cost_that_was_chosen_is_kept(new: list[int], split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured anew, by the ranker, on the people that it was fitted on; some items are new as they are, or enough of them."""
    monkeypatch.setattr(module, "LEAST_PEOPLE", 2)
    split = cold(split, new)
    world = build(split.training)
    fusions, users, cost = fused(world).fusions, split.users("valid"), 0.02
    found = fit_new_items(at_cost(world.parts, cost), split, users, fusions, 0, "fit")
    hidden = hidden_items(split.training.popularity, 0)
    assert hidden.any() == (len(new) < module.NEW_SHARE * split.training.n_items)
    whole = without_items(world.parts, hidden)
    known = split.histories("valid").kept(~hidden[split.histories("valid").items])
    old = ~hidden[split.valid[users]] & (split.training.popularity[split.valid[users]] > 0)
    asked = users[old & (known.take(users).lengths > 0)]
    for task in TASKS:
        queries = Queries(asked, known.take(asked), task)
        scores = FusedRanker("isrf-graph", whole, found).score(queries)
        reached = module.ndcg10(scores, split.valid[asked], queries.histories, np.zeros_like(hidden))
        scores = FusedRanker("isrf-graph", without_borrowing(whole), fusions).score(queries)
        alone = module.ndcg10(scores, split.valid[asked], queries.histories, hidden)
        gains = reached - alone
        chance = gains.std() / len(gains) ** 0.5
        assert gains.mean() + chance >= -cost * alone.mean() or found[task].new_items == 0


def test_too_few_people_fit_nothing_and_say_so(world: World, split: Split, capsys: pytest.CaptureFixture[str]) -> None:
    found = fit_new_items(world.parts, split, split.users("valid")[:5], fused(world).fusions, 0, "fit")
    assert {fusion.new_items for fusion in found.values()} == {UNFITTED}
    assert "can tell what recommending new items costs" in capsys.readouterr().err


def test_where_nobody_lends_nothing_is_fitted(world: World, split: Split) -> None:
    graphs = world.parts.people.settings.graphs.model_copy(update={"lenders": 0})
    settings = world.parts.people.settings.model_copy(update={"graphs": graphs})
    parts = replace(world.parts, people=replace(world.parts.people, settings=settings))
    fusions = fused(world).fusions
    assert fit_new_items(parts, split, split.users("valid"), fusions, 0, "fit") is fusions


@pytest.mark.parametrize("trained", [False, True])
def test_a_new_item_rises_with_what_it_borrows(split: Split, trained: bool) -> None:
    """Hidden, an item is above where it was without borrowing, in every task, for the people who would choose it."""
    world = build(split.training, trained)
    hidden = hidden_items(split.training.popularity, 3)
    parts = without_items(world.parts, hidden)
    row = int(np.flatnonzero(hidden)[0])
    users = np.flatnonzero(split.training.histories.matrix(split.training.n_items)[:, row].toarray().ravel() > 0)
    known = split.training.histories.kept(~hidden[split.training.histories.items]).take(users)
    fusions = fused(replace(world, parts=parts)).fusions
    for task in TASKS:
        places = []
        for discount in (0.0, 2.0):
            scores = fusions[task].score(parts.signals(Queries(users, known, task), discount))
            places.append((scores > scores[:, [row]]).sum(1).mean())
        assert places[1] < places[0]


def test_a_new_item_is_explained_by_what_it_is_like_and_never_by_buyers(split: Split) -> None:
    """Nobody has bought it: reasons name items of the history and lenders, with evidence that is really there."""
    world = build(split.training)
    hidden = hidden_items(split.training.popularity, 3)
    parts = without_items(world.parts, hidden)
    fusions = {
        task: replace(fusion, new_items=2.0) for task, fusion in fused(replace(world, parts=parts)).fusions.items()
    }
    ranker = FusedRanker("isrf-graph", parts, fusions)
    catalogue, graphs = split.training.catalogue, parts.graphs
    users = np.flatnonzero(parts.people.training.histories.lengths > 1)
    known = parts.people.training.histories.take(users)
    borrowed = 0
    for person, own in enumerate(recommend(ranker, world.features, Queries(users, known), 40)):
        titles = [catalogue.name_of(int(item)) for item in known[person]]
        for item in own:
            row = catalogue.row_of[item.item_id]
            for reason in item.reasons if hidden[row] else ():
                assert "bought by" not in reason and "often chosen next after" not in reason.split(", which")[0]
                if told := re.fullmatch(
                    r"is like '(.+)', which (?:is often chosen next after|often goes with) '(.+)'", reason
                ):
                    borrowed += 1
                    lenders = {catalogue.name_of(int(i)) for i in graphs.backoff.new[row].indices}
                    assert told[1] in lenders and told[2] in titles
    assert borrowed
