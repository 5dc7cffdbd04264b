"""The portrait of one person, checked against the log."""

from __future__ import annotations

import numpy as np
import pytest
from tests.methods.contract import someone, tiny_split
from tests.ranking.small import World, fused, whole_world

from isrf.data.queries import Queries
from isrf.data.splits.split import Split
from isrf.ranking.recommend import recommend
from isrf.ranking.user_profile import UserProfile, describe_user, explicit_interests

TOLD = {"likes": "Buys tea.", "dislikes": "Hardly buys bread.", "feature": "Tea."}


@pytest.fixture(scope="module")
def split() -> Split:
    return tiny_split()


@pytest.fixture(scope="module")
def world() -> World:
    return whole_world()


def of(world: World, query: Queries, weights: dict[str, float] | None = None, top: int = 5) -> UserProfile:
    users = world.users["feature"].to_list()
    return describe_user(fused(world, weights), world.features, users, TOLD, query, top)


def test_a_user_of_the_log(world: World, split: Split) -> None:
    user, training = 3, split.training
    query = Queries(np.array([user]), split.histories("test").take(np.array([user])))
    seen = of(world, query)
    own = {training.catalogue.ids[row] for row in query.histories[0]}
    assert seen.preference == TOLD
    assert {i.item_id for i in seen.interests} == own
    strengths = [i.strength for i in seen.interests]
    assert strengths[0] == 1 and strengths == sorted(strengths, reverse=True) and strengths[-1] > 0

    links = world.parts.people.graph.links[user]
    assert seen.group_size == links.nnz >= len(seen.neighbours) > 0
    assert [n.similarity for n in seen.neighbours] == sorted((n.similarity for n in seen.neighbours), reverse=True)
    assert seen.neighbours[0].similarity == pytest.approx(links.data.max())
    titles = dict(zip(training.catalogue.titles, training.catalogue.ids, strict=True))
    for neighbour in seen.neighbours:
        row = training.row_of[neighbour.user_id]
        assert row != user and row in links.indices
        assert neighbour.preference == world.users["feature"][row]
        theirs = {training.catalogue.ids[i] for i in training.histories[row]}
        assert {titles[name] for name in neighbour.shared} <= own & theirs

    ((_, speakers, said),) = world.parts.people.voters(query)
    assert user not in speakers
    chosen = {training.catalogue.ids[i] for i in said}
    shares = [g.share for g in seen.group]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1 + 1e-6
    assert {g.item_id for g in seen.group} <= chosen - own
    assert seen.recommendations == recommend(fused(world), world.features, query, 5)[0]


def test_what_the_group_changed_is_the_list_of_somebody_without_a_group(world: World, split: Split) -> None:
    query = Queries(np.array([3]), split.training.histories.recent(2).take(np.array([3])))
    by_group = of(world, query, {"group": 1.0, "popularity": 0.01})
    assert by_group.without_group != [r.item_id for r in by_group.recommendations]
    # where the group has no weight and there is no generator to read it, it changes nothing
    without = of(world, query, {"transitions": 1.0, "semantics": 0.5})
    assert without.without_group == [r.item_id for r in without.recommendations]


def test_the_generator_alone_shows_what_it_took_from_the_group(world: World, split: Split) -> None:
    changed = 0
    for user in range(0, split.training.n_users, 3):
        query = Queries(np.array([user]), split.histories("test").take(np.array([user])))
        seen = of(world, query, {"generator": 1.0})
        changed += seen.without_group != [r.item_id for r in seen.recommendations]
    assert changed


def test_a_group_that_is_the_only_signal_can_be_taken_away(world: World, split: Split) -> None:
    query = Queries(np.array([3]), split.histories("test").take(np.array([3])))
    assert len(of(world, query, {"group": 1.0}).without_group) == 5


@pytest.mark.parametrize("items", [("tea-1", "tea-2"), ("bread-3",), ()])
def test_somebody_new_with_or_without_items(world: World, split: Split, items: tuple[str, ...]) -> None:
    seen = of(world, someone(split, *items))
    assert {i.item_id for i in seen.interests} == set(items)
    assert (seen.group_size > 0) == bool(items) == bool(seen.group)
    assert len(seen.recommendations) == len(seen.without_group) == 5


def test_recent_items_are_stronger_in_a_sequence_and_no_item_is_in_a_set(world: World, split: Split) -> None:
    ranker, catalogue = fused(world), split.training.catalogue
    rows = catalogue.rows_of(["tea-1", "tea-5"])
    newest_first = explicit_interests(ranker, world.features, rows)
    assert [i.item_id for i in newest_first] == ["tea-5", "tea-1"]
    one, other = (explicit_interests(ranker, world.features, r, ordered=False) for r in (rows, rows[::-1]))
    assert {i.item_id: round(i.strength, 5) for i in one} == {i.item_id: round(i.strength, 5) for i in other}
