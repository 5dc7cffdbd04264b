"""Recommendations: what may be in a list, in which order, and whether its reasons are true."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.contract import everyone, someone, tiny_split
from tests.ranking.small import World, ask, build, fused, whole_world, writing
from threadpoolctl import ThreadpoolController

from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries, Task
from isrf.data.splits.split import Split
from isrf.ranking.rankers import GENERATOR_SIGNAL, FusedRanker
from isrf.ranking.recommend import Recommendation, goes_on, reasons_for, recommend, top_items, with_reasons


@pytest.fixture(scope="module")
def split() -> Split:
    return tiny_split()


@pytest.fixture(scope="module")
def world() -> World:
    return whole_world()


@pytest.fixture(scope="module", params=["isrf", "isrf-graph"])
def ranker(request: pytest.FixtureRequest, world: World) -> FusedRanker:
    if request.param == "isrf":
        return fused(world)
    return fused(build(world.parts.people.training))


@given(st.integers(0, 10_000), st.integers(1, 14), st.integers(1, 3))
def test_the_top_is_what_sorting_everything_gives(seed: int, top: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (4, 12)).astype(np.float32)  # few levels: ties everywhere
    histories = Histories.of([rng.permutation(12)[: rng.integers(0, 13)] for _ in range(4)])
    expected = []
    for person, history in enumerate(histories):
        unseen = [row for row in range(12) if row not in history]
        expected.append(sorted(unseen, key=lambda row: (-scores[person, row], row))[:top])
    assert [list(rows) for rows in top_items(scores, histories, top)] == expected


@pytest.mark.parametrize("task", TASKS)
def test_lists_hold_unseen_items_of_the_catalogue_best_first(
    ranker: FusedRanker, world: World, split: Split, task: str
) -> None:
    queries = everyone(split, task)
    catalogue = split.training.catalogue
    expected = ranker.score(queries)
    for person, found in enumerate(recommend(ranker, world.features, queries, top=5)):
        rows = catalogue.rows_of([r.item_id for r in found])
        assert len(set(rows)) == 5 and not set(rows) & set(queries.histories[person])
        scores = [r.score for r in found]
        assert scores == sorted(scores, reverse=True)
        np.testing.assert_allclose(scores, expected[person, rows], rtol=1e-4, atol=1e-4)
        assert [r.feature for r in found] == [world.features[row] for row in rows]
        assert [r.title for r in found] == [catalogue.titles[row] for row in rows]


@pytest.fixture(scope="module")
def every_ranker(split: Split, world: World) -> dict[str, FusedRanker]:
    """The graphs alone, and the whole with each kind of identifier."""
    chosen = {"isrf-graph": fused(build(split.training)), "atomic": fused(world)}
    for kind in ("semantic", "digits"):
        chosen[kind] = fused(build(split.training, trained=True, settings=writing(kind)))
    return chosen


@pytest.mark.parametrize("kind", ["isrf-graph", "atomic", "semantic", "digits"])
@settings(max_examples=40)
@given(st.data())
def test_whatever_was_chosen_before_the_list_holds_unseen_items_of_the_catalogue(
    every_ranker: dict[str, FusedRanker], world: World, split: Split, kind: str, data: st.DataObject
) -> None:
    """Random histories, empty and whole catalogues and repeated items among them; users of the log and strangers."""
    training = split.training
    n_items, n_users = training.n_items, training.n_users
    items = st.integers(0, n_items - 1)
    one = st.lists(items, max_size=30) | st.sets(items, min_size=n_items - 6).map(sorted)
    histories = data.draw(st.lists(one, min_size=1, max_size=6), "histories")
    users = data.draw(st.lists(st.integers(-1, n_users - 1), min_size=len(histories), max_size=len(histories)), "users")
    top, task = data.draw(st.integers(1, n_items + 3), "top"), data.draw(st.sampled_from(TASKS), "task")
    queries = Queries(np.array(users), Histories.of(histories), task)
    for history, found in zip(histories, recommend(every_ranker[kind], world.features, queries, top), strict=True):
        rows = training.catalogue.rows_of([r.item_id for r in found]).tolist()  # an unknown id would raise
        assert len(rows) == len(set(rows)) == min(top, n_items - len(set(history)))
        assert not set(rows) & set(history)


def test_a_top_larger_than_the_catalogue_gives_everything_unseen(
    ranker: FusedRanker, world: World, split: Split
) -> None:
    (found,) = recommend(ranker, world.features, someone(split, "tea-1", "tea-2"), top=500)
    assert len(found) == split.training.n_items - 2
    assert {"tea-1", "tea-2"}.isdisjoint(r.item_id for r in found)


def test_a_longer_list_begins_with_the_shorter_one(ranker: FusedRanker, world: World, split: Split) -> None:
    query = someone(split, "tea-1", "tea-2")
    short, long = (recommend(ranker, world.features, query, top)[0] for top in (3, 9))
    assert [r.item_id for r in long[:3]] == [r.item_id for r in short]


def test_whoever_has_everything_gets_nothing(ranker: FusedRanker, world: World, split: Split) -> None:
    assert recommend(ranker, world.features, someone(split, *split.training.catalogue.ids)) == [[]]


def test_an_empty_history_is_answered(ranker: FusedRanker, world: World, split: Split) -> None:
    for task in TASKS:
        (found,) = recommend(ranker, world.features, someone(split, task=task), top=4)
        assert len(found) == 4 and all(r.reasons for r in found)
        assert not any(word in reason for r in found for reason in r.reasons for word in ("after", "goes with", "like"))


def test_asking_again_gives_the_same(ranker: FusedRanker, world: World, split: Split) -> None:
    query = ask(split.training, ["tea-1", "tea-2"], [], ["bread-7"])
    assert recommend(ranker, world.features, query) == recommend(ranker, world.features, query)


@pytest.mark.parametrize("task", TASKS)
def test_one_person_on_one_thread_gets_what_many_threads_give(
    ranker: FusedRanker, world: World, split: Split, task: Task
) -> None:
    """The same lists, scores, shares and reasons, for strangers whose neighbours are remembered too."""
    rows, training = split.training.catalogue.rows_of(["tea-1", "tea-2", "bread-7"]), split.training
    for user, history in [(3, training.histories[3]), (-1, rows), (-1, rows[:0])]:
        query = Queries(np.array([user]), Histories.of([history]), task)
        found = recommend(ranker, world.features, query, top=6)
        with ThreadpoolController().limit(limits=3):
            signals, gates = ranker.parts.signals_and_gates(query)
            scores = ranker.fusions[task].score(signals)
            lists = top_items(scores, query.histories, 6)
            told = ranker.fusions[task].contributions(signals, GENERATOR_SIGNAL, gates)
            assert with_reasons(ranker, world.features, query, told, scores, lists) == found
        assert recommend(ranker, world.features, query, top=6) == found


def test_shares_sum_to_one_or_are_all_zero(ranker: FusedRanker, world: World, split: Split) -> None:
    owners = {"individual", "group", "popularity"} | ({"generator"} if ranker.name == "isrf" else set())
    for found in recommend(ranker, world.features, everyone(split), top=12):
        for place, item in enumerate(found):
            assert set(item.shares) == owners and min(item.shares.values()) >= 0
            total = sum(item.shares.values())
            assert total == pytest.approx(1, abs=1e-3) or (place > 2 and total == 0)


def check_reasons(item: Recommendation, history: list[str], split: Split, ranker: FusedRanker, person: int) -> set[str]:
    """Every sentence against the training log; returns the kinds of sentence met."""
    training, kinds = split.training, set()
    catalogue, title_of = training.catalogue, dict(zip(training.catalogue.titles, training.catalogue.ids, strict=True))
    own = [catalogue.titles[catalogue.row_of[i]] for i in history]
    row = catalogue.row_of[item.item_id]
    for reason in item.reasons:
        kinds.add(reason.split("'")[0].split(" of the ")[0].lstrip("0123456789").strip())
        if named := re.search(r"'(.*)'", reason):
            assert named.group(1) in own, f"{reason!r} names an item that is not in the history"
            source = catalogue.row_of[title_of[named.group(1)]]
            together = [list(h) for h in training.histories if source in h and row in h]
            if reason.startswith("often chosen next after"):
                assert any(h.index(row) > h.index(source) for h in together), reason
            elif reason.startswith("often goes with"):
                assert together, reason
        elif counted := re.match(r"(\d+) of the (\d+) people", reason):
            moments = ranker.parts.people.moments
            linked = ranker.parts.people.moment_links(everyone(split))[person].indices
            assert int(counted.group(2)) == len(set(moments.users[linked]))
            told = {int(moments.users[at]) for at in linked if moments.chosen[at] == row}
            assert int(counted.group(1)) == len(told) > 0
            assert all(row in training.histories[u] for u in told)
        else:
            assert reason in (
                "matches your history as a whole",
                "is chosen by many",
                "best remaining match",
            ), reason
    return kinds


@pytest.mark.parametrize("signal", ["transitions", "companions", "semantics", "neighbourhood", "latest", "group"])
def test_every_reason_names_evidence_that_is_really_there(world: World, split: Split, signal: str) -> None:
    """One signal at a time, so that each kind of sentence comes up."""
    ranker = fused(world, {signal: 1.0, "popularity": 0.1})
    queries, catalogue = everyone(split), split.training.catalogue
    kinds = set()
    for person, found in enumerate(recommend(ranker, world.features, queries, top=6)):
        history = [catalogue.ids[row] for row in queries.histories[person]]
        for item in found:
            assert 1 <= len(item.reasons) <= 2
            kinds |= check_reasons(item, history, split, ranker, person)
    sentence = {
        "transitions": "often chosen next after",
        "companions": "often goes with",
        "semantics": "is much like",
        "latest": "is much like",
        "neighbourhood": "is bought by the same kind of people as",
        "group": "",
    }[signal]
    assert sentence in kinds, kinds


def test_what_came_before_is_not_said_to_come_after(world: World, split: Split) -> None:
    """Everybody walks tea-4, tea-5, ...: transitions are read backwards too, but the sentence must not be."""
    ranker = fused(world, {"transitions": 1.0})
    row = split.training.catalogue.row_of
    assert goes_on(ranker, row["tea-4"], row["tea-5"])
    assert not goes_on(ranker, row["tea-4"], row["bread-5"])
    (found,) = recommend(ranker, world.features, someone(split, "tea-4"), top=7)
    told = {item.item_id: item.reasons[0] for item in found}
    assert told["tea-5"] == "often chosen next after 'tea number 4'"
    before = [i for i, reason in told.items() if reason == "often goes with 'tea number 4'"]
    assert all(not goes_on(ranker, row["tea-4"], row[i]) for i in before)


def test_the_direct_task_claims_no_order(world: World, split: Split) -> None:
    found = recommend(fused(world, {"transitions": 1.0}), world.features, everyone(split, "direct"), top=5)
    assert not any("after" in reason for items in found for item in items for reason in item.reasons)


def named_in(item: Recommendation) -> list[str]:
    return [found.group(1) for reason in item.reasons if (found := re.search(r"'(.*)'", reason))]


@pytest.mark.parametrize(
    "pair", [("companions", "transitions"), ("neighbourhood", "companions"), ("latest", "semantics")]
)
def test_an_item_of_the_history_is_named_once(world: World, split: Split, pair: tuple[str, str]) -> None:
    """Where both signals point to the same item the next kind of reason is told, if there is one."""
    queries = everyone(split)
    ranker = fused(world, dict.fromkeys(pair, 1.0) | {"group": 0.5})
    lists = recommend(ranker, world.features, queries, top=6)
    assert all(len(set(named_in(item))) == len(named_in(item)) for found in lists for item in found)
    assert any(len(item.reasons) == 2 and len(named_in(item)) == 1 for found in lists for item in found)


def test_the_stronger_of_two_sentences_about_one_item_stays(world: World, split: Split) -> None:
    (history,) = someone(split, "tea-4").histories
    row = split.training.catalogue.row_of["tea-5"]

    def told(**shares: float) -> list[str]:
        return reasons_for(fused(world), history, row, shares, 3, 7, "sequential")

    after, beside = "often chosen next after 'tea number 4'", "often goes with 'tea number 4'"
    group = "3 of the 7 people with interests like these went on to it"
    assert told(transitions=0.6, companions=0.4) == [after]
    assert told(transitions=0.4, companions=0.6) == [beside]
    assert told(transitions=0.5, companions=0.4, group=0.1) == [after, group]
    assert told(transitions=0.5, companions=0.3, generator=0.2) == [after, "matches your history as a whole"]


@pytest.mark.parametrize(
    ("signal", "task"),
    [
        ("latest", "sequential"),
        *((s, t) for s in ("transitions", "companions", "semantics", "neighbourhood") for t in TASKS),
    ],
)
def test_the_item_that_is_named_is_the_one_that_the_signal_heard_loudest(
    world: World, split: Split, signal: str, task: Task
) -> None:
    """Where order counts an item weighs ``decay`` to the power of its age, and "latest" hears the newest alone."""
    ranker, graphs = fused(world), world.parts.graphs
    decay = graphs.items.settings.decay if task == "sequential" else 1.0
    carriers = {
        "transitions": graphs.items.transitions.toarray(),
        "companions": graphs.items.cooccurrence.toarray(),
        "semantics": graphs.semantics @ graphs.semantics.T,
        "latest": graphs.semantics @ graphs.semantics.T,
        "neighbourhood": graphs.propagated @ graphs.propagated.T,
    }
    told, older, rng = 0, 0, np.random.default_rng(0)
    for _ in range(40):
        history = rng.permutation(len(split.training.catalogue))[:7]
        for row in np.setdiff1d(np.arange(len(split.training.catalogue)), history).tolist():
            said = reasons_for(ranker, history, row, {signal: 1.0}, 3, 7, task)
            ages = np.arange(len(history))[::-1]
            weights = (ages == 0) if signal == "latest" else decay**ages
            loudest = int(history[int((weights * carriers[signal][history, row]).argmax())])
            named = re.findall("'(.*)'", said[0])
            if named:
                assert named == [split.training.catalogue.name_of(loudest)]
                told, older = told + 1, older + (loudest != history[-1])
    assert told and (older or signal == "latest")
