"""Events and items that come while a workspace is open count in the next call, and its files stay as they are."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.commands import SMALL, small_log

import isrf as library
from isrf import IsrfError
from isrf.data.histories import Histories
from isrf.graphs import backoff
from isrf.graphs.groups import GroupProfile
from isrf.model.inference import generator_scores
from isrf.recommender.new_events import Event, NewEvents, followed
from isrf.recommender.request import UnknownId, asked
from isrf.workspace.layout import LIVE_SUFFIXES

LOG = small_log()
ITEMS = sorted({item for own in LOG.values() for item in own})
SETTINGS: dict[str, Any] = {name: float(v) if "." in v else int(v) for name, v in (one.split("=") for one in SMALL)}


def catalogue_row(item: str, place: int) -> dict[str, Any]:
    world = item.split("-")[0]
    return {
        "item_id": item,
        "title": f"{world} thing",
        "brand": f"{world} house",
        "price": place * 0.5,
        "shelf": place,
        "in_stock": True,
    }


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a generator; ratings and kinds are not read."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [(user, item, 1_400_000_000 + t) for user, own in LOG.items() for t, item in enumerate(own)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame([catalogue_row(item, place) for place, item in enumerate(ITEMS)])
    library.run(log, folder / "ws", items=items, settings=SETTINGS)
    return folder / "ws"


@pytest.fixture(params=["isrf", "isrf-graph"])
def shop(request: pytest.FixtureRequest, workspace: Path) -> Iterator[library.Recommender]:
    files = [path for path in workspace.rglob("*") if path.is_file() and path.suffix not in LIVE_SUFFIXES]
    before = {path: path.read_bytes() for path in files}
    found = library.open(workspace, request.param)
    yield found
    assert {path: path.read_bytes() for path in files} == before
    assert found.opened.ranker.parts.people.vectors is None, "nor is a store of vectors written into"


def listed(frame: pl.DataFrame) -> list[tuple[str, float]]:
    return [(item, round(score, 5)) for item, score in frame.select("item_id", "score").iter_rows()]


def generated(shop: library.Recommender, history: list[str]) -> np.ndarray:
    """(I,) what the generator alone says of every item to somebody without a group."""
    parts, queries = shop.opened.ranker.parts, asked(shop.opened, None, [history], "direct").queries
    assert parts.generator is not None and parts.items is not None
    nobody = GroupProfile.empty(1, parts.people.semantics.users.shape[1])
    return generator_scores(parts.generator, parts.items, queries, nobody, {})[0]


def test_a_new_person_is_answered_like_their_history(shop: library.Recommender) -> None:
    told = shop.add_events(pl.DataFrame({"user_id": ["new"] * 3, "item_id": ITEMS[:3], "timestamp": [3, 1, 2]}))
    assert (told.events, told.new_users, told.waiting) == (3, 1, 0)
    in_order = [ITEMS[1], ITEMS[2], ITEMS[0]]
    assert listed(shop.recommend(["new"])) == listed(shop.recommend(histories=[in_order]))
    assert shop.profile("new").recommendations and shop.explain("new", ITEMS[-1])["user_id"].to_list() == ["new"]
    assert "new" in shop.recommend()["user_id"].to_list()


def test_an_event_counts_in_the_next_answer(shop: library.Recommender, workspace: Path) -> None:
    first = shop.recommend(["u0"])
    top = first["item_id"][0]
    shop.add_events([{"user_id": "u0", "item_id": top}])
    second = shop.recommend(["u0"])
    assert top not in second["item_id"].to_list() and listed(second) != listed(first)[1:]
    assert top in shop.recommend(["u0"], filter_viewed=False, k=len(ITEMS))["item_id"].to_list()
    assert listed(shop.recommend(["u1"])) == listed(library.open(workspace, shop.method).recommend(["u1"]))


def test_events_may_come_in_any_batches(shop: library.Recommender, workspace: Path) -> None:
    rows = [{"user_id": f"n{n % 3}", "item_id": ITEMS[(7 * n) % len(ITEMS)], "timestamp": 1000 - n} for n in range(12)]
    shop.add_events(rows)
    other = library.open(workspace, shop.method)
    random.Random(3).shuffle(rows)
    for at in range(0, 12, 5):
        other.add_events(rows[at : at + 5])
    assert listed(shop.recommend(["n0", "n1", "n2"])) == listed(other.recommend(["n0", "n1", "n2"]))


def test_events_wait_for_their_item(shop: library.Recommender, capsys: pytest.CaptureFixture[str]) -> None:
    told = shop.add_events([{"user_id": "new", "item_id": "tea-new"}, {"user_id": "new", "item_id": ITEMS[0]}])
    assert told.waiting == 1 and "wait for add_items" in capsys.readouterr().err
    shop.add_items([catalogue_row("tea-new", 3)])
    assert listed(shop.recommend(["new"])) == listed(shop.recommend(histories=[["tea-new", ITEMS[0]]]))
    assert "tea-new" not in shop.recommend(["new"], k=100)["item_id"].to_list()


def test_what_cannot_be_read_adds_nothing(shop: library.Recommender) -> None:
    before = shop.opened
    for bad in (pl.DataFrame({"user_id": ["a"]}), [{"user_id": "a", "item_id": None}], "log.csv", []):
        with pytest.raises(IsrfError, match="events"):
            shop.add_events(bad)
    for bad in (pl.DataFrame({"title": ["a"]}), [catalogue_row("x", 1) | {"price": "cheap"}], "items.csv", []):
        with pytest.raises(IsrfError, match="items"):
            shop.add_items(bad)
    assert shop.opened is before
    with pytest.raises(UnknownId):
        shop.recommend(["a"])


def test_a_new_item_is_recommended_filtered_and_explained(shop: library.Recommender) -> None:
    tea = [item for item in ITEMS if item.startswith("tea")]
    told = shop.add_items([catalogue_row("tea-new", 4) | {"price": 999.0}, catalogue_row("music-new", 4)])
    assert (told.new, told.changed) == (2, 0)
    ranks = {}
    for task in ("sequential", "direct"):
        found = shop.recommend(histories=[tea[:4]], k=100, task=task, explain=True)
        assert found.height == len(ITEMS) + 2 - 4
        ranks = dict(found.select("item_id", "rank").iter_rows())
        assert ranks["tea-new"] < ranks["music-new"]
        row = found.filter(pl.col("item_id") == "tea-new")
        assert row["title"][0] == "tea thing" and row["reasons"][0].to_list()
        assert not any("bought by" in reason for reason in row["reasons"][0])
    only = shop.recommend(histories=[tea[:4]], where={"price": {">": 900}})
    assert only["item_id"].to_list() == ["tea-new"]
    assert shop.recommend(histories=[["tea-new"]])["item_id"][0].startswith("tea")
    assert shop.similar_items(["tea-new"], by="semantics")["similar_item_id"][0].startswith("tea")
    assert "tea-new" in shop.similar_items([tea[0]], by="semantics", k=20)["similar_item_id"].to_list()


def test_items_may_come_in_any_batches(shop: library.Recommender, workspace: Path) -> None:
    rows = [catalogue_row("tea-a", 3), catalogue_row("bread-b", 5), catalogue_row("tea-c", 8)]
    shop.add_items(rows)
    other = library.open(workspace, shop.method)
    for row in rows:
        other.add_items([row])
    asked = [[ITEMS[0], ITEMS[20]], ["tea-a", ITEMS[3]]]
    one, two = shop.recommend(histories=asked, k=60), other.recommend(histories=asked, k=60)
    # an encoder's last digits depend on what it encodes at once
    assert set(one["item_id"]) == set(two["item_id"]) == {*ITEMS, "tea-a", "bread-b", "tea-c"}
    assert one["score"].to_numpy() == pytest.approx(two["score"].to_numpy(), abs=2e-3)


def test_a_known_item_takes_the_new_text_and_keeps_what_was_counted(shop: library.Recommender) -> None:
    before = shop.opened.ranker.parts
    told = shop.add_items(
        [catalogue_row(ITEMS[0], 5) | {"title": "garden thing", "brand": "garden house", "in_stock": False}]
    )
    after = shop.opened.ranker.parts
    assert (told.new, told.changed) == (0, 1)
    row = shop.opened.split.training.catalogue.row_of[ITEMS[0]]
    assert shop.opened.split.training.catalogue.titles[row] == "garden thing"
    assert not np.allclose(after.graphs.semantics[row], before.graphs.semantics[row])
    assert (after.graphs.items.transitions != before.graphs.items.transitions).nnz == 0
    assert ITEMS[0] not in shop.recommend(histories=[[ITEMS[1]]], k=100)["item_id"].to_list(), "out of stock"


def test_what_a_batch_does_not_say_stays_and_no_text_is_encoded_again(
    shop: library.Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shop.opened
    monkeypatch.setattr("isrf.semantics.encode.Encoder.__call__", lambda *_: pytest.fail("nothing is to be encoded"))
    told = shop.add_items([{"item_id": ITEMS[0], "in_stock": False}])
    assert (told.new, told.changed) == (0, 1)
    assert shop.opened.split.training.catalogue.table.equals(first.split.training.catalogue.table)
    assert first.columns.table is not None and shop.opened.columns.table is not None
    assert shop.opened.columns.table.drop("in_stock").equals(first.columns.table.drop("in_stock"))
    shop.add_items(pl.DataFrame({"item_id": [ITEMS[0]], "price": [None]}, schema_overrides={"price": pl.Float64}))
    assert shop.opened.columns.table.row(0, named=True)["shelf"] is not None, "the columns that were not given"
    row = shop.opened.split.training.catalogue.row_of[ITEMS[0]]
    assert shop.opened.columns.table["price"][row] is None, "an empty one was given"


def test_a_number_is_not_cut_to_the_type_of_a_column(shop: library.Recommender) -> None:
    shop.add_items([catalogue_row("tea-new", 4) | {"shelf": 12.5}])
    found = shop.recommend(histories=[[ITEMS[0]]], where={"shelf": {">": 12, "<": 13}})["item_id"].to_list()
    assert found == ["tea-new"]
    assert shop.recommend(histories=[[ITEMS[0]]], where={"shelf": 5})["item_id"].to_list() == [ITEMS[5]]
    with pytest.raises(IsrfError, match="items: column in_stock holds Int64, and Boolean in the catalogue"):
        shop.add_items([catalogue_row("tea-b", 4) | {"in_stock": 7}])


@pytest.mark.parametrize("brand", [123, "silk, wool", ["silk", "wool"], "7"])
def test_a_text_column_stays_one_whatever_a_batch_holds(shop: library.Recommender, brand: Any) -> None:
    before = shop.recommend(histories=[[ITEMS[0]]], where={"brand": "tea house"})
    shop.add_items([catalogue_row("music-new", 4) | {"brand": brand}])
    after = shop.recommend(histories=[[ITEMS[0]]], where={"brand": "tea house"})
    assert after["item_id"].to_list() == before["item_id"].to_list()
    written = shop.opened.split.training.catalogue.table["brand"][-1]
    assert written in {"123", "silk, wool", "silk wool", "7"}
    only = shop.recommend(histories=[[ITEMS[0]]], where={"brand": written})
    assert only["item_id"].to_list() == ["music-new"]


def test_an_item_without_a_text_has_nothing_that_speaks_for_it(shop: library.Recommender) -> None:
    shop.add_items([{"item_id": "blank", "price": 1.0}])
    shop.add_items([{"item_id": "blank too", "price": 1.0}])
    opened = shop.opened
    assert not opened.ranker.parts.graphs.nodes[-2:].any()
    queries = asked(opened, ["u0", "u1"], None, "sequential").queries
    signals = opened.ranker.parts.signals(queries, 1.0)
    for name in ("generator", "transitions", "companions", "group", "popularity"):
        if name in signals:
            assert (signals[name][:, -2:] <= signals[name].min(1, keepdims=True) + 1e-5).all(), name


def test_a_person_whose_history_changed_is_not_answered_from_what_was_computed_before(
    shop: library.Recommender,
) -> None:
    """A member of one world moves into another: preference and people like them are those of the history as it is now."""
    world = LOG["u0"][0].split("-")[0]
    moved = [item for item in ITEMS if not item.startswith(world)][:12]
    people = shop.opened.ranker.parts.people
    before = shop.profile("u0")
    shop.add_events([{"user_id": "u0", "item_id": item} for item in moved])
    after, alone = shop.profile("u0"), shop.profile(history=[*LOG["u0"], *moved])
    assert after.preference == alone.preference != before.preference
    # they are not like themselves, which a stranger with the same history cannot know
    assert "u0" not in [person.user_id for person in after.neighbours]
    others = [person.user_id for person in alone.neighbours if person.user_id != "u0"]
    assert [person.user_id for person in after.neighbours][: len(others)] == others
    query = asked(shop.opened, ["u0", "u1"], None, "direct").queries
    assert query.stored.tolist() == [-1, query.users[1]] and query.users[0] >= 0
    row, links = query.users[0], people.links(query).toarray()
    assert links[0, row] == 0 and links[1].nonzero()[0].tolist() == people.graph.links[query.users[1]].indices.tolist()
    profiles = people.profiles(query)
    assert not np.array_equal(profiles.semantics[0], people.groups.semantics[row])
    assert np.array_equal(profiles.semantics[1], people.groups.semantics[query.users[1]])


def test_an_event_that_changes_nothing_leaves_a_person_as_they_are(shop: library.Recommender) -> None:
    before = listed(shop.recommend(["u0"], task="direct"))
    shop.add_events([{"user_id": "u0", "item_id": LOG["u0"][0]}, {"user_id": "u0", "item_id": "nowhere"}])
    assert asked(shop.opened, ["u0"], None, "direct").queries.changed is None
    assert listed(shop.recommend(["u0"], task="direct")) == before


def test_what_is_sent_again_counts_once(shop: library.Recommender) -> None:
    row = {"user_id": "n", "item_id": ITEMS[0], "timestamp": 1_700_000_000}
    assert [shop.add_events(rows).events for rows in ([row], [row, row], [row | {"timestamp": 1_700_000_001}])] == [
        1,
        0,
        1,
    ]
    untimed = {"user_id": "n", "item_id": ITEMS[0]}
    assert shop.add_events([untimed, untimed]).events == 2, "of which nobody knows that they are one"


def test_ids_are_those_of_the_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a frame made of them; and one that is no number does not end an answer."""
    numbers = {item: 1000 + place for place, item in enumerate(ITEMS)}
    rows = [
        (100 + n, numbers[item], 1_400_000_000 + t) for n, own in enumerate(LOG.values()) for t, item in enumerate(own)
    ]
    schema = {"user_id": pl.Int32, "item_id": pl.Int64, "timestamp": pl.Int64}
    items = pl.DataFrame({"item_id": list(numbers.values()), "title": [f"{item} thing" for item in numbers]})
    library.run(
        pl.DataFrame(rows, schema=schema, orient="row"), tmp_path / "ws", items=items, settings=SETTINGS, train=False
    )
    shop = library.open(tmp_path / "ws")
    had = set(shop.recommend([100], k=200)["item_id"])
    told = shop.add_events(
        [{"user_id": "100.0", "item_id": f"{min(had)}.0"}, {"user_id": " 100 ", "item_id": str(max(had))}]
    )
    assert (told.events, told.new_users, told.waiting) == (2, 0, 0)
    assert had - set(shop.recommend([100], k=200)["item_id"]) == {min(had), max(had)}
    assert shop.add_items([{"item_id": 1000.0, "title": "garden thing"}]).changed == 1
    capsys.readouterr()
    for user in ("guest", 3_000_000_000):
        shop.add_events([{"user_id": user, "item_id": 1000}])
        assert shop.recommend([user], k=1)["user_id"].to_list() == [str(user)]
    shop.add_items([{"item_id": "X1", "title": "tea thing"}])
    found = shop.recommend([100], k=200)
    assert found.schema["item_id"] == pl.String and "X1" in found["item_id"].to_list()
    assert "ids come back as text" in " ".join(capsys.readouterr().err.split())


def test_a_generator_of_token_sequences_reads_past_items_that_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(user, item, 1_400_000_000 + t) for user, own in LOG.items() for t, item in enumerate(own)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame([catalogue_row(item, place) for place, item in enumerate(ITEMS)])
    library.run(log, tmp_path / "ws", items=items, settings=SETTINGS | {"model.identifiers": "digits"})
    shop = library.open(tmp_path / "ws", "isrf")
    alone = generated(shop, [ITEMS[0]])
    shop.add_items([catalogue_row("tea-new", 4), catalogue_row("tea-b", 5)])
    assert "no identifier" in " ".join(capsys.readouterr().err.split())
    for task in ("sequential", "direct"):
        for history in (["tea-new"], [ITEMS[0], "tea-new"], ["tea-b", ITEMS[0]]):
            found = shop.recommend(histories=[history, [ITEMS[1]]], k=100, task=task, explain=True)
            assert found.filter(pl.col("history") == 0).height == len(ITEMS) + 2 - len(history)
    now = generated(shop, [ITEMS[0], "tea-new"])
    assert now[: len(ITEMS)] == pytest.approx(alone, abs=1e-5)
    assert (now[len(ITEMS) :] == now.min()).all()


def test_every_filter_and_rule_holds_for_new_items(shop: library.Recommender) -> None:
    fresh = [catalogue_row(f"tea-new-{n}", n) | {"brand": "tea new"} for n in range(4)]
    shop.add_items([*fresh[:3], fresh[3] | {"in_stock": False}])
    asked_of = {"histories": [[ITEMS[-1]], [ITEMS[-2], "tea-new-2"]], "k": 100}

    def ids(**wishes: Any) -> list[list[str]]:
        found = shop.recommend(**asked_of, **wishes)
        return [found.filter(pl.col("history") == n)["item_id"].to_list() for n in (0, 1)]

    every = ids()
    assert {"tea-new-0", "tea-new-1", "tea-new-2"} <= {*every[0]} and "tea-new-3" not in every[0] + every[1]
    assert "tea-new-2" not in every[1] and "tea-new-2" in ids(filter_viewed=False)[1]
    assert "tea-new-3" in ids(availability=False)[0]
    assert all({*own} <= {"tea-new-0", "tea-new-1", "tea-new-2"} for own in ids(where={"brand": "tea new"}))
    assert all(sum(item.startswith("tea-new") for item in own) == 1 for own in ids(max_per={"brand": 1}))
    assert not any(item.startswith("tea-new-0") for own in ids(exclude=["tea-new-0"]) for item in own)
    assert ids(items_to_recommend=["tea-new-1", ITEMS[0]])[0] in ([ITEMS[0], "tea-new-1"], ["tea-new-1", ITEMS[0]])
    assert ids(boost={"brand": {"tea new": 50}})[0][0].startswith("tea-new")


def test_an_item_of_the_same_text_as_a_known_one_is_like_it(shop: library.Recommender) -> None:
    world, other = ITEMS[7].split("-")[0], ITEMS[-1].split("-")[0]
    rows = [catalogue_row(ITEMS[7], 7) | {"item_id": "twin"}, catalogue_row(ITEMS[-1], 7) | {"item_id": "stranger"}]
    shop.add_items(rows)
    known = [item for item in ITEMS if item.startswith(world)]
    nearest = shop.similar_items([ITEMS[7]], by="semantics", k=len(known))["similar_item_id"].to_list()
    assert "twin" in nearest and "stranger" not in nearest and world != other
    for start in range(0, len(known), 3):
        found = shop.recommend(histories=[known[start : start + 3]], k=100)
        ranks = dict(found.select("item_id", "rank").iter_rows())
        assert ranks["twin"] < ranks["stranger"]


@settings(max_examples=8)
@given(st.permutations(range(6)), st.lists(st.integers(1, 3), min_size=3, max_size=6))
def test_events_and_items_may_come_in_any_order(workspace: Path, order: list[int], sizes: list[int]) -> None:
    rows = [catalogue_row("tea-a", 3), catalogue_row("bread-b", 5)]
    events = [
        {"user_id": user, "item_id": item, "timestamp": 1_600_000_000 + n}
        for n, (user, item) in enumerate(
            [("u0", "tea-a"), ("n", "bread-b"), ("n", ITEMS[3]), ("u0", ITEMS[9]), ("n", "tea-a"), ("u3", ITEMS[20])]
        )
    ]
    one, two = library.open(workspace, "isrf-graph"), library.open(workspace, "isrf-graph")
    one.add_items(rows)
    one.add_events(events)
    mixed, at = [events[n] for n in order], 0
    for size in [*sizes, len(events)]:
        if mixed[at : at + size]:
            two.add_events(mixed[at : at + size])
        at += size
    two.add_items(rows)
    for task in ("sequential", "direct"):
        first, second = (shop.recommend(["u0", "n", "u3", "u1"], k=100, task=task) for shop in (one, two))
        assert listed(first) == listed(second)


def test_only_new_rows_look_for_lenders_and_no_graph_is_made_anew(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = library.open(workspace, "isrf-graph")
    before, searched = shop.opened.ranker.parts.graphs, list[int]()
    own = backoff.lenders_of

    def looked_for(semantics: np.ndarray, lenders: np.ndarray, borrowers: np.ndarray, count: int) -> Any:
        searched.append(len(borrowers))
        return own(semantics, lenders, borrowers, count)

    monkeypatch.setattr(backoff, "lenders_of", looked_for)
    for made in ("isrf.graphs.item_graphs.ItemGraphs.build", "isrf.graphs.signals.InterestGraphs.build"):
        monkeypatch.setattr(made, lambda *_: pytest.fail("made anew"))
    monkeypatch.setattr("isrf.graphs.prefix_index.PrefixIndex.of", lambda *_: pytest.fail("made anew"))
    shop.add_items([catalogue_row(f"tea-new-{n}", n) for n in range(20)])
    assert shop.recommend(histories=[["tea-new-3"], [ITEMS[0]]], k=5).height == 10 and searched == [20]
    after = shop.opened.ranker.parts.graphs
    for name in ("transitions", "cooccurrence"):
        assert np.shares_memory(getattr(after.items, name).data, getattr(before.items, name).data)


def test_events_alone_share_everything_else(workspace: Path) -> None:
    shop = library.open(workspace, "isrf-graph")
    before = shop.opened
    shop.add_events([{"user_id": f"n{n}", "item_id": ITEMS[n % 40]} for n in range(200)])
    assert shop.opened.ranker is before.ranker and shop.opened.split is before.split
    kept = dict(shop.opened.events.of)
    shop.add_events([{"user_id": "n0", "item_id": ITEMS[5]}])
    assert all(shop.opened.events.of[user] is own for user, own in kept.items() if user != "n0")


def test_other_threads_see_either_state(workspace: Path) -> None:
    shop = library.open(workspace)
    shop.add_items([catalogue_row("warm-up", 1)])
    sizes = {shop.recommend(histories=[[ITEMS[0]]], k=200).height + extra for extra in (0, 1, 2, 3, 4)}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(shop.recommend, histories=[[ITEMS[0]]], k=200) for _ in range(12)]
        added = [pool.submit(shop.add_items, [catalogue_row(f"tea-{n}-new", n)]) for n in range(4)]
        assert {one.result().height for one in asked} <= sizes and all(one.result().new == 1 for one in added)
    assert shop.recommend(histories=[[ITEMS[0]]], k=200).height == max(sizes)


def held_bytes(shop: library.Recommender) -> int:
    """Of arrays that the graphs, people and generator of a recommender hold."""
    parts, seen, total = shop.opened.ranker.parts, set[int](), 0
    waiting: list[Any] = [parts.graphs, parts.people, parts.items, shop.opened.split]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, str | int | float | bool | type(None)):
            continue
        seen.add(id(one))
        if isinstance(one, np.ndarray):
            base = one if one.base is None or not isinstance(one.base, np.ndarray) else one.base
            if id(base) not in seen or base is one:
                seen.add(id(base))
                total += base.nbytes
        elif hasattr(one, "__dict__") and type(one).__module__.split(".")[0] in ("isrf", "scipy"):
            waiting += list(vars(one).values())
        elif isinstance(one, dict | tuple | list):
            waiting += list(one.values() if isinstance(one, dict) else one)
    return total


def test_memory_grows_by_what_was_added(workspace: Path) -> None:
    shop = library.open(workspace, "isrf-graph")
    shop.recommend(histories=[[ITEMS[0]]])
    shop.add_items([catalogue_row("tea-0-new", 0)])
    shop.recommend(histories=[[ITEMS[0]]])
    before = held_bytes(shop)
    for n in range(1, 11):
        shop.add_items([catalogue_row(f"tea-{n}-new", n)])
        shop.recommend(histories=[[ITEMS[0]]])
    per_item = (held_bytes(shop) - before) / 10
    own = 4 * 3 * shop.opened.ranker.parts.graphs.semantics.shape[1]  # features, nodes and their placement, float32
    assert 0 < per_item < 3 * own + 4000
    assert sys.getrefcount(shop.opened) < 10


EVENTS = st.lists(
    st.builds(
        Event,
        st.sampled_from(["a", "b", "c", "d", "unknown"]),
        st.sampled_from([1.0, 2.0, 3.0, float("inf")]),
        st.just(0),
        st.sampled_from([0.0, 0.2, 1.0, 2.0]),
        st.booleans(),
    ),
    max_size=12,
)
ROW_OF = {"a": 0, "b": 1, "c": 2, "d": 3}


@settings(max_examples=60)
@given(EVENTS, st.sampled_from(["first", "count", "all"]), st.lists(st.integers(0, 3), max_size=3, unique=True))
def test_histories_obey_dislikes_and_repeats(events: list[Event], repeats: str, had: list[int]) -> None:
    numbered = [("u", event._replace(number=n)) for n, event in enumerate(events)]
    own = NewEvents().having(numbered).of.get("u", ())
    found, disliked = followed(Histories.of([had, [1]]), Histories.of([[], []]), [own, ()], ROW_OF, repeats)
    history, hated = found[0].tolist(), ([] if disliked is None else disliked[0].tolist())
    assert found[1].tolist() == [1] and not set(history) & set(hated)
    last = {event.item: event for event in own if not event.liked or event.weight > 0}
    for item, row in ROW_OF.items():
        if item in last:
            assert (row in history) == last[item].liked and (row in hated) == (not last[item].liked)
        else:
            assert (row in history) == (row in had)
    if repeats != "all":
        assert len(set(history)) == len(history)
    assert (found.given_weights() > 0).all()


def test_ratings_and_kinds_are_read_where_the_workspace_reads_them(tmp_path: Path) -> None:
    rows = [(user, item, 1_400_000_000 + t, 5, "buy") for user, own in LOG.items() for t, item in enumerate(own)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "rating", "event"], orient="row")
    items = pl.DataFrame([catalogue_row(item, place) for place, item in enumerate(ITEMS)])
    chosen = SETTINGS | {"data.min_value": 4, "data.event_weights": {"view": 0.2, "buy": 1}}
    library.run(log, tmp_path / "ws", items=items, settings=chosen, train=False)
    shop = library.open(tmp_path / "ws")
    top = shop.recommend(["u0"])["item_id"][0]
    shop.add_events([{"user_id": "u0", "item_id": top, "rating": 1, "event": "buy"}])
    assert top not in shop.recommend(["u0"], k=100, filter_viewed=False)["item_id"].to_list()
    shop.add_events([{"user_id": "n", "item_id": ITEMS[n], "rating": 5, "event": "view"} for n in (0, 1)])
    assert shop.recommend(["n"]).height == 10
    with pytest.raises(IsrfError, match="events"):
        shop.add_events([{"user_id": "n", "item_id": ITEMS[0], "rating": 5, "event": "unheard of"}])
