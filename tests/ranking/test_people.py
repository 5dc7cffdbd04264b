"""Whoever asks finds their group: users of the log in the graph, anybody else by what their items say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from tests.methods.contract import tiny_split
from tests.ranking.small import World, ask, build

from isrf.data.histories import Histories
from isrf.data.queries import Queries
from isrf.data.splits.split import Split
from isrf.graphs import neighbours as people_module
from isrf.training.batches import cuts_of


@pytest.fixture(scope="module")
def split() -> Split:
    return tiny_split()


@pytest.fixture(scope="module")
def world(split: Split) -> World:
    return build(split.training)


def test_users_of_the_log_have_the_neighbours_of_the_graph(world: World, split: Split) -> None:
    people, users = world.parts.people, np.array([5, 0, 5])
    links = people.links(Queries(users, split.training.histories.take(users)))
    assert np.array_equal(links.toarray(), people.graph.links[users].toarray())
    assert np.array_equal(
        people.profiles(Queries(users, split.training.histories.take(users))).items, people.groups.items[users]
    )


def test_a_newcomer_is_linked_to_those_who_chose_alike(world: World, split: Split) -> None:
    people = world.parts.people
    links = people.links(ask(split.training, ["tea-1", "tea-2", "tea-3"])).tocsr()
    neighbours = [split.training.user_ids[u] for u in links.indices]
    assert neighbours and all(name.startswith("tea") for name in neighbours)
    graphs = people.settings.graphs
    assert len(neighbours) <= graphs.top_k and links.data.min() >= graphs.tau and links.data.max() <= 1
    nearest = people.cold_user_neighbours(split.training.histories.take(np.array([3])))
    assert nearest.data.max() == pytest.approx(1, abs=1e-3)  # their own row in the log says the same


def test_a_batch_may_mix_users_newcomers_and_people_without_items(world: World, split: Split) -> None:
    people, rows = world.parts.people, split.training.catalogue.rows_of(["bread-1", "bread-2"])
    mixed = Queries(np.array([-1, 4, -1]), Histories.of([rows, split.training.histories[4], []]))
    links, profiles = people.links(mixed), people.profiles(mixed)
    alone = people.links(ask(split.training, ["bread-1", "bread-2"]))
    np.testing.assert_allclose(links[0].toarray(), alone.toarray(), atol=0.02)
    assert np.array_equal(links[1].toarray(), people.graph.links[4].toarray())
    assert links[2].nnz == 0
    assert profiles.present.tolist() == [True, bool(people.groups.present[4]), False]


def test_the_last_question_is_remembered_and_no_other_answered_with_it(world: World, split: Split) -> None:
    people = world.parts.people
    one, other = ask(split.training, ["tea-1"]), ask(split.training, ["bread-1"])
    first = people.links(one).toarray().copy()
    assert not np.array_equal(first, people.links(other).toarray())
    assert np.array_equal(first, people.links(one).toarray())


def test_moments_are_searched_once_for_scores_and_reasons_and_never_for_somebody_else(
    world: World, split: Split
) -> None:
    """The same items asked by one of the log, whose own moments do not speak, and by a stranger: two searches."""
    people, histories = replace(world.parts.people), split.training.histories.take(np.array([3]))
    asked = [Queries(np.array([user]), histories, "sequential") for user in (3, -1)]
    links = [people.moment_links(query) for query in asked]
    assert all(people.moment_links(query) is found for query, found in zip(asked, links, strict=True))
    assert (links[0] != links[1]).nnz > 0
    votes = people.votes(asked[0])
    people.voters(asked[0])
    assert len(people._moments_like) == 2 and votes.nnz > 0


def test_people_with_other_features_remember_nothing_of_these(world: World, split: Split) -> None:
    people, query = world.parts.people, ask(split.training, ["tea-1", "tea-2"])
    assert people.links(query).nnz
    faceless = replace(people, semantics=replace(people.semantics, users=np.zeros_like(people.semantics.users)))
    assert not faceless.links(query).nnz


def test_only_so_many_strangers_are_remembered(world: World, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_module, "REMEMBERED", 4)
    people, ids = replace(world.parts.people), split.training.catalogue.ids
    for item in ids[:6]:
        people.links(ask(split.training, [item]))
        assert sum(links.shape[0] for links in people._users_like.values()) <= 4
    block = ask(split.training, *([item] for item in ids[:9]))
    assert people.links(block).shape[0] == 9 and len(people._users_like) == 1


def test_strangers_may_ask_at_the_same_time(world: World, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one question every answer pushes another's out."""
    monkeypatch.setattr(people_module, "REMEMBERED", 1)
    people = replace(world.parts.people)
    questions = [ask(split.training, [item]) for item in split.training.catalogue.ids[:8]]
    alone = [people.links(question).toarray() for question in questions]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda question: people.links(question).toarray(), questions * 3))
    assert all(np.array_equal(one, other) for one, other in zip(alone * 3, together, strict=True))


def test_groups_for_training_come_from_the_past_alone(world: World, split: Split) -> None:
    """Whoever shares a past finds the same people, whatever came after; and nobody finds themselves."""
    people, training = world.parts.people, split.training
    cuts = cuts_of(training.histories)
    past = Histories.of([h[:c] for h, c in zip(training.histories, cuts, strict=True)])
    links = people.cold_user_neighbours(past, np.arange(training.n_users))
    assert not links.diagonal().any()
    groups, found = people.past_groups(cuts)
    assert (found != links).nnz == 0
    assert groups.items.shape[0] == training.n_users and groups.present.mean() > 0.5
    assert np.array_equal(groups.present, np.diff(links.indptr) > 0)


def test_users_without_a_feature_answer_nobody(world: World, split: Split) -> None:
    people = world.parts.people
    silent = people.semantics.users.copy()
    silent[::2] = 0
    settings = people.settings.model_copy(
        update={"graphs": people.settings.graphs.model_copy(update={"tau": -1.0, "top_k": 99})}
    )
    half = replace(people, semantics=replace(people.semantics, users=silent), settings=settings)
    links = half.links(ask(split.training, ["tea-1", "tea-2"]))
    assert sorted(links.indices.tolist()) == list(range(1, split.training.n_users, 2))
