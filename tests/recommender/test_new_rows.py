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
from isrf.recommender.new_events import Event, NewEvents, followed
from isrf.recommender.request import UnknownId
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
