"""Crossings checked against both lists, one person at a time, and their evidence against the log."""

from __future__ import annotations

import numpy as np
import pytest
from tests.methods.contract import tiny_split
from tests.ranking.small import World, build, fused

from isrf.data.queries import Queries
from isrf.data.splits.split import Split
from isrf.ranking.group_effect import ListChanges, bridges, find_list_changes, strongest
from isrf.ranking.rankers import FusedRanker
from isrf.ranking.recommend import top_items
from isrf.ranking.user_profile import score_without_group

TOP = 2
WEIGHTS = {"group": 1.0, "popularity": 0.01}


@pytest.fixture(scope="module")
def split() -> Split:
    return tiny_split()


@pytest.fixture(scope="module")
def world(split: Split) -> World:
    return build(split.training)


@pytest.fixture(scope="module")
def ranker(world: World) -> FusedRanker:
    return fused(world, WEIGHTS)


@pytest.fixture(scope="module")
def found(ranker: FusedRanker, split: Split) -> ListChanges:
    return find_list_changes(ranker, split, split.users("test")[::-1], "sequential", block=7, top=TOP)


def test_a_crossing_is_in_the_list_with_the_group_and_not_in_the_one_without(
    ranker: FusedRanker, split: Split, found: ListChanges
) -> None:
    assert len(found.items)
    n_items = split.training.n_items
    for at, user in enumerate(found.people.tolist()):
        query = Queries(np.array([user]), split.histories("test").take(np.array([user])), "sequential")
        everything = [top_items(s, query.histories, n_items)[0] for s in scores_of(ranker, query)]
        ours, alone = (rows[:TOP].tolist() for rows in everything)
        crossed = [item for item in ours if item not in alone]
        mine = found.users == user
        assert found.items[mine].tolist() == crossed
        assert found.ranks[mine].tolist() == [ours.index(item) for item in crossed]
        places = [everything[1].tolist().index(item) for item in crossed]
        assert found.ranks_alone[mine].tolist() == places and all(place >= TOP for place in places)
        assert found.displaced[mine].tolist() == [item for item in alone if item not in ours]
        weights = 1 / np.log2(np.arange(len(ours)) + 2)
        share = sum(weights[ours.index(item)] for item in crossed) / weights.sum()
        assert found.change[at] == pytest.approx(share)


def scores_of(ranker: FusedRanker, query: Queries) -> tuple[np.ndarray, np.ndarray]:
    return ranker.score(query), score_without_group(ranker, query)


def test_nothing_crosses_where_the_group_has_no_weight(world: World, split: Split) -> None:
    ranker = fused(world, {"transitions": 1.0, "popularity": 0.1})
    none = find_list_changes(ranker, split, split.users("test"), "direct", block=50)
    assert not len(none.items) and not none.change.any() and not len(strongest(none))


def test_most_changed_come_first_and_confirmed_alone_where_asked(found: ListChanges) -> None:
    change = dict(zip(found.people.tolist(), found.change.tolist(), strict=True))
    order = [change[user] for user in strongest(found).tolist()]
    assert order == sorted(order, reverse=True) and set(strongest(found)) == set(found.users)
    one = np.arange(len(found.users)) == 3
    assert strongest(found, one).tolist() == [found.users[3]]


def test_the_evidence_is_that_of_the_log(world: World, ranker: FusedRanker, split: Split, found: ListChanges) -> None:
    users, training = strongest(found)[:4], split.training
    told = bridges(ranker, world.features, world.users["feature"].to_list(), split, found, users, "sequential")
    assert [one.user_id for one in told] == [training.user_ids[u] for u in users]
    for user, one in zip(users.tolist(), told, strict=True):
        own = {training.catalogue.ids[i] for i in split.histories("test")[user]}
        assert {i.item_id for i in one.interests} <= own and not {g.item_id for g in one.group} & own
        assert one.held_out_id == training.catalogue.ids[split.test[user]]
        assert one.confirmed == (one.held_out_id in [c.item_id for c in one.crossed])
        assert all(c.rank <= TOP < c.rank_alone and c.item_id not in own for c in one.crossed)
        assert any(c.spoken_for for c in one.crossed) and one.speakers > 0
