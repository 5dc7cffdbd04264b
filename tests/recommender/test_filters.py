"""Filters and rules of the library, the command line and batches: no answer of any of them ever breaks one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.commands import SMALL, done, isrf, one_line, small_log

import isrf as library
from isrf import IsrfError
from isrf.cli.filters import boost_of, caps_of, condition_of, ids_given, ids_of_file
from isrf.data.queries import TASKS
from isrf.ranking.filters import matching
from isrf.recommender.rules_file import read_rules
from isrf.recommender.selection import selection_of

LOG = small_log()
ITEMS = sorted({item for own in LOG.values() for item in own})
BRANDS = ["Ace", "Bo", "Cy", None]
NOW = date.today()
CATALOGUE = [
    {
        "item_id": item,
        "title": f"{item} of {place}",
        "brand": BRANDS[place % 4] or "",
        "category": f"{item.split('-')[0]}|{'big' if place % 3 else 'small'}",
        "price": f"{place * 0.5:.2f}" if place % 5 else "",
        "in_stock": "false" if place % 9 == 8 else "true",
        "available_to": str(NOW - timedelta(9)) if place % 11 == 10 else "",
    }
    for place, item in enumerate(ITEMS)
]
BY_ID = {row["item_id"]: row for row in CATALOGUE}
AVAILABLE = {item for item, row in BY_ID.items() if row["in_stock"] == "true" and not row["available_to"]}
USERS = list(LOG)[:6]
SETTINGS: dict[str, Any] = {name: float(v) if "." in v else int(v) for name, v in (one.split("=") for one in SMALL)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a generator, of a catalogue with columns of every type; not to be changed."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [(user, item, 1_400_000_000 + t) for user, own in LOG.items() for t, item in enumerate(own)]
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").write_csv(folder / "log.csv")
    pl.DataFrame(CATALOGUE).write_csv(folder / "items.csv")
    library.run(folder / "log.csv", folder / "ws", items=folder / "items.csv", settings=SETTINGS)
    return folder / "ws"


@pytest.fixture(scope="module")
def recommenders(shop: Path) -> dict[str, library.Recommender]:
    return {method: library.open(shop, method) for method in ("isrf", "isrf-graph")}


WHERES: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda row: True),
    ({"brand": ["Ace", "Bo"]}, lambda row: row["brand"] in ("Ace", "Bo")),
    ({"category": "big"}, lambda row: "big" in row["category"].split("|")),
    ({"category": {"all": ["tea", "small"]}}, lambda row: row["category"] == "tea|small"),
    ({"price": {"<=": 9, ">": 2}}, lambda row: row["price"] != "" and 2 < float(row["price"]) <= 9),
    ({"price": {"missing": True}}, lambda row: row["price"] == ""),
    ({"title": {"contains": "OF 1"}}, lambda row: "of 1" in row["title"]),
    (
        {"brand": {"not": "Ace"}, "price": {">=": 1}},
        lambda row: row["brand"] in ("Bo", "Cy") and float(row["price"] or 0) >= 1,
    ),
    ({"in_stock": False}, lambda row: False),
]


def had(user: str) -> set[str]:
    return set(LOG[user])


@settings(max_examples=25)
@given(st.data())
def test_no_answer_breaks_a_filter_and_each_is_the_best_of_what_is_left(
    recommenders: dict[str, library.Recommender], data: st.DataObject
) -> None:
    """Of both methods and tasks, users of the log and strangers, explained or not: everything scored, then filtered."""
    recommender = recommenders[data.draw(st.sampled_from(sorted(recommenders)))]
    task = data.draw(st.sampled_from(TASKS))
    where, fulfils = data.draw(st.sampled_from(WHERES))
    only = data.draw(st.none() | st.lists(st.sampled_from(ITEMS), unique=True, max_size=40))
    exclude = data.draw(st.lists(st.sampled_from(ITEMS), unique=True, max_size=9))
    viewed, explain = data.draw(st.booleans()), data.draw(st.booleans())
    k = data.draw(st.sampled_from([1, 5, 10**9]))
    user, history = (
        data.draw(st.sampled_from(USERS)),
        data.draw(st.lists(st.sampled_from(ITEMS), min_size=1, unique=True, max_size=4)),
    )
    asked: dict[str, Any] = {"users": [user], "histories": [history], "task": task}
    everything = recommender.recommend(**asked, k=len(ITEMS), filter_viewed=False, availability=False)
    found = recommender.recommend(
        **asked, k=k, filter_viewed=viewed, items_to_recommend=only, exclude=exclude, where=where, explain=explain
    )
    for mine, seen in ((pl.col("user_id") == user, had(user)), (pl.col("history") == 0, set(history))):
        scored = dict(everything.filter(mine).select("item_id", "score").iter_rows())
        wanted = [
            item
            for item in scored
            if item in AVAILABLE and fulfils(BY_ID[item]) and item not in exclude and (only is None or item in only)
            if not (viewed and item in seen)
        ]
        own = found.filter(mine)
        assert own["item_id"].to_list() == wanted[:k]
        assert own["rank"].to_list() == list(range(1, len(wanted[:k]) + 1))
        assert own["score"].to_list() == pytest.approx([scored[item] for item in wanted[:k]], rel=1e-5, abs=1e-5)


def test_filters_leave_reasons_and_shares_as_they_are(recommenders: dict[str, library.Recommender]) -> None:
    """An item is recommended for the same reasons, whatever else may be."""
    recommender = recommenders["isrf"]
    everything = recommender.recommend([USERS[0]], k=len(ITEMS), explain=True).drop("rank", "score")
    some = recommender.recommend([USERS[0]], k=5, where={"brand": "Bo"}, explain=True).drop("rank", "score")
    assert some.height == 5
    assert everything.filter(pl.col("item_id").is_in(some["item_id"].to_list())).equals(some)
    rank = recommender.explain(USERS[0], some["item_id"][0])["rank"][0]
    bare = recommender.recommend([USERS[0]], k=len(ITEMS), availability=False)["item_id"].to_list()
    assert bare[rank - 1] == some["item_id"][0], "explain ranks among everything, whatever is filtered"


@settings(max_examples=15)
@given(st.data())
def test_rules_hold_in_every_answer(recommenders: dict[str, library.Recommender], data: st.DataObject) -> None:
    recommender = recommenders[data.draw(st.sampled_from(sorted(recommenders)))]
    most, diversity = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([0, 0.3, 1]))
    where, fulfils = data.draw(st.sampled_from(WHERES[:6]))
    found = recommender.recommend(
        USERS[:2], [ITEMS[:3]], k=8, where=where, max_per={"brand": most, "category": 2 * most}, diversity=diversity,
        boost={"brand": {"Cy": 0.5}}, explain=data.draw(st.booleans()), task=data.draw(st.sampled_from(TASKS)),
    )  # fmt: skip
    for _, own in found.group_by(pl.col("user_id").fill_null("?")):
        rows = [BY_ID[item] for item in own["item_id"]]
        brands = [row["brand"] for row in rows if row["brand"]]
        categories = [one for row in rows for one in row["category"].split("|")]
        assert all(brands.count(brand) <= most for brand in brands)
        assert all(categories.count(one) <= 2 * most for one in categories)
        assert all(map(fulfils, rows)) and {row["item_id"] for row in rows} <= AVAILABLE


def test_a_boost_moves_items_and_says_so(recommenders: dict[str, library.Recommender]) -> None:
    recommender = recommenders["isrf-graph"]
    plain, up, down = (
        recommender.recommend([USERS[1]], k=9, boost=[{"where": {"brand": "Cy"}, "by": by}], explain=True)
        for by in (0, 99, -99)
    )
    assert {BY_ID[item]["brand"] for item in up["item_id"]} == {"Cy"}
    assert "Cy" in {BY_ID[item]["brand"] for item in plain["item_id"]}
    assert "Cy" not in {BY_ID[item]["brand"] for item in down["item_id"]}
    assert up["reasons"].list.last().unique().to_list() == ["a rule of the shop puts it forward (brand = Cy)"]
    assert not any("rule" in reason for reasons in (*plain["reasons"], *down["reasons"]) for reason in reasons)
    assert plain.equals(recommender.recommend([USERS[1]], k=9, explain=True))


def test_one_item_in_a_thousand(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [(user, item, t) for user, own in LOG.items() for t, item in enumerate(own)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    more = [f"new-{n}" for n in range(4000 - len(ITEMS))]
    items = pl.DataFrame({"item_id": [*ITEMS, *more], "title": "t", "shelf": [n % 1000 for n in range(4000)]})
    chosen = {**SETTINGS, "semantics.item_text": "none"}
    recommender = library.open(library.run(log, tmp_path / "ws", items=items, settings=chosen, train=False))
    everything = recommender.recommend(USERS, k=4000)
    shelf = dict(items.select("item_id", "shelf").iter_rows())
    found = recommender.recommend(USERS, k=10, where={"shelf": 17})
    assert found["item_id"].to_list() == [item for item in everything["item_id"] if shelf[item] == 17]
    assert found.group_by("user_id").len()["len"].min() >= 3, "four, one of which somebody had"
    capfd.readouterr()
    assert recommender.recommend(USERS, where={"shelf": 1000}).height == 0
    assert "nothing to recommend: where shelf = 1000 leaves none of the 4,000 items" in capfd.readouterr().err


def test_rules_of_the_workspace_hold_everywhere(shop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In recommendations, profiles, similar items and batches; arguments add to them."""
    ws = Path(shutil.copytree(shop, tmp_path / "ws"))
    (ws / "rules.yaml").write_text(
        f"exclude: [{ITEMS[0]}]\nwhere:\n  brand: [Ace, Bo]\nmax_per: {{brand: 2}}\nboost: {{brand: {{Bo: 50}}}}\ndiversity:\n"
    )
    recommender = library.open(ws)
    allowed = {item for item in AVAILABLE if BY_ID[item]["brand"] in ("Ace", "Bo")} - {ITEMS[0]}
    for found in (
        recommender.recommend(USERS, k=50)["item_id"].to_list(),
        recommender.recommend(histories=[ITEMS[:2]], k=50)["item_id"].to_list(),
        [item.item_id for item in recommender.profile(USERS[0], k=50).recommendations],
        recommender.profile(USERS[0], k=50).without_group,
        recommender.similar_items(ITEMS[:2], k=50)["similar_item_id"].to_list(),
    ):
        assert found and set(found) <= allowed
    own = recommender.recommend([USERS[0]], k=50, where={"brand": "Bo"}, exclude=[])["item_id"].to_list()
    assert len(own) == 2 and {BY_ID[item]["brand"] for item in own} == {"Bo"}
    assert recommender.recommend([USERS[0]], k=50)["item_id"].to_list()[:2] == own, "boosted"
    output = tmp_path / "all.jsonl"
    done(isrf("recommend", ws, "--top", "50", "--output", output))
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert {row["user_id"] for row in lines} == set(LOG) and {row["item_id"] for row in lines} <= allowed
    assert not any(row["item_id"] in had(row["user_id"]) for row in lines)
    err = capfd.readouterr().err
    assert err.count("items cannot be had now and are left out") == 1, "told once"
    (ws / "rules.yaml").write_text(
        "filter_viewed: false\navailability: false\nitems_to_recommend: [" + ", ".join(LOG[USERS[0]]) + "]\n"
    )
    assert set(library.open(ws).recommend([USERS[0]], k=50)["item_id"]) == had(USERS[0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("exlude: [a]", "rules.yaml: no key 'exlude'; keys are items_to_recommend, exclude, where"),
        ("exclude: 5", "rules.yaml: exclude: '5' is not valid; write it like exclude: [ID, ID]"),
        ("where: brand", "rules.yaml: where: 'brand' is not valid; write it like where: {brand"),
        ("where: {colour: red}", "rules.yaml: where: no column 'colour'; the columns are title, brand"),
        ("where: {price: {<=: cheap}}", "rules.yaml: where: price: holds numbers, and cheap is none"),
        ("max_per: {brand: two}", "rules.yaml: max_per: brand: a whole number"),
        ("boost: [1]", "rules.yaml: boost: a list of boosts holds mappings"),
        ("diversity: 2", "rules.yaml: diversity: 2 is not a number from 0 to 1"),
        (
            "availability: perhaps",
            "rules.yaml: availability: 'perhaps' is not valid; write it like availability: false",
        ),
        ("- a", "rules.yaml: must hold keys and values"),
        ("exclude: [", "rules.yaml, line 1: not readable as YAML"),
        ("? [a]\n: b", "rules.yaml: not readable as YAML"),
    ],
)
def test_a_faulty_file_of_rules_is_told_when_the_workspace_is_opened(
    text: str, told: str, recommenders: dict[str, library.Recommender], tmp_path: Path
) -> None:
    """In one line with file and key; that a whole workspace says it is shown of one."""
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(IsrfError) as error:
        selection_of(replace(recommenders["isrf"].opened, rules=read_rules(tmp_path / "rules.yaml")))
    assert told in str(error.value) and "\n" not in str(error.value)


def test_ids_and_names_in_a_file_of_rules_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("exclude: [007, 1_000, 1e3]\nwhere: {brand: [No, 0x1F], since: 2024-01-31}\n")
    rules = read_rules(tmp_path / "rules.yaml")
    assert rules.exclude == ["007", "1_000", "1e3"]
    assert rules.where == {"brand": ["No", "0x1F"], "since": "2024-01-31"}
    (tmp_path / "rules.yaml").write_text("# nothing yet\n")
    assert read_rules(tmp_path / "rules.yaml") == read_rules(tmp_path / "none.yaml")


def test_filters_are_typed(shop: Path, tmp_path: Path) -> None:
    stock, people = tmp_path / "stock.txt", tmp_path / "people.csv"
    stock.write_text("item_id\n" + "\n".join(ITEMS[:20]) + "\n")
    people.write_text(f"user_id\n{USERS[0]}\n{USERS[1]},{USERS[2]}\n\n")
    output = tmp_path / "out.json"
    done(
        isrf(
            *(
                "recommend",
                shop,
                "--users-file",
                people,
                "--user",
                USERS[3],
                "--items-to-recommend",
                stock,
                "--include-seen",
            ),
            *(
                "--exclude",
                f"{ITEMS[0]},{ITEMS[1]}",
                "--where",
                "brand=Ace,Bo",
                "--where",
                "price>0.5",
                "--where",
                "title!~of 13",
            ),
            *(
                "--max-per",
                "brand=3",
                "--boost",
                "brand=Bo:99",
                "--boost",
                "price<=3:0.5",
                "--diversity",
                "0.2",
                "--output",
                output,
            ),
        )
    )
    rows = json.loads(output.read_text())
    assert list(dict.fromkeys(row["user_id"] for row in rows)) == [USERS[3], *USERS[:3]]
    for row in rows:
        item = BY_ID[row["item_id"]]
        assert (
            row["item_id"] in set(ITEMS[2:20]) & AVAILABLE
            and item["brand"] in ("Ace", "Bo")
            and float(item["price"]) > 0.5
        )
        assert "of 13" not in item["title"]
    assert next(BY_ID[row["item_id"]]["brand"] for row in rows if row["user_id"] == USERS[0]) == "Bo"
    people.write_text(f"{USERS[0]}\nnobody\n")
    one_line(
        isrf("recommend", shop, "--users-file", people), 2, "people.csv, line 2: user 'nobody' is not in this workspace"
    )


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (lambda: condition_of("nonsense"), "--where nonsense: is not a condition; write one like --where brand=X"),
        (lambda: condition_of("=X"), "--where =X: is not a condition"),
        (lambda: condition_of("{1}"), "--where: not readable as JSON"),
        (lambda: boost_of("brand=X"), "--boost brand=X: a condition and a number are needed"),
        (lambda: caps_of(["brand"]), "--max-per brand: a column and a number are needed"),
        (lambda: ids_given("nowhere.txt", {}, "--exclude"), "--exclude nowhere.txt: no such file"),
        (lambda: ids_given(",", {}, "--exclude"), "--exclude: names no item"),
        (lambda: ids_of_file(Path("nowhere.txt"), {}, "--users-file"), "nowhere.txt: no such file"),
    ],
)
def test_what_is_typed_wrong_is_told_in_one_line(read: Callable[[], Any], told: str) -> None:
    with pytest.raises(IsrfError) as error:
        read()
    assert str(error.value).startswith(told) and "\n" not in str(error.value)


def test_what_is_typed_is_what_the_library_takes(tmp_path: Path) -> None:
    typed: dict[str, Any] = {
        "a=x": {"a": "x"}, "a == x": {"a": "x"}, 'a="x, y",z': {"a": ["x, y", "z"]},
        "my col>=2024-01-31": {"my col": {">=": "2024-01-31"}},
        "a=": {"a": {"missing": True}}, "a!=": {"a": {"missing": False}}, "a!=x,y": {"a": {"!=": ["x", "y"]}},
        "a~b=c": {"a": {"contains": "b=c"}}, '{"a": {"any": [1]}}': {"a": {"any": [1]}},
    }  # fmt: skip
    assert {text: condition_of(text) for text in typed} == typed
    assert boost_of('{"where": {"a": 1}, "by": -1}') == {"where": {"a": 1}, "by": -1}
    assert boost_of("when~10:30:-0.5") == {"where": {"when": {"contains": "10:30"}}, "by": "-0.5"}
    (tmp_path / "ids.csv").write_text('\ufeffitem_id\na\n"b,c",d\ne f\n', encoding="utf-8")
    assert ids_given(str(tmp_path / "ids.csv"), {}, "--exclude") == ["a", "b,c", "d", "e f"]
    assert ids_given("a,b", {"a,b": 0}, "--exclude") == ["a,b"] and ids_given("a,b", {}, "--exclude") == ["a", "b"]
    assert ids_of_file(tmp_path / "ids.csv", {"item_id": 0}, "--exclude")[0] == (1, "item_id"), "an id of that name"


@pytest.mark.parametrize("by", ["fused", "semantics", "buyers", "next"])
def test_similar_items_obey_filters_and_have_reasons(by: Any, recommenders: dict[str, library.Recommender]) -> None:
    recommender = recommenders["isrf"]
    everything = recommender.similar_items(ITEMS[:3], k=len(ITEMS), by=by, availability=False)
    assert everything["score"].is_finite().all() and everything["reasons"].list.len().min() > 0
    assert not (everything["item_id"] == everything["similar_item_id"]).any()
    where = {"brand": "Bo", "price": {">": 3}}
    found = recommender.similar_items(ITEMS[:3], k=4, by=by, where=where, exclude=[ITEMS[5]])
    fine = set(ITEMS) & AVAILABLE - {ITEMS[5]}
    columns = recommender.opened.columns
    fulfil = {recommender.opened.split.training.catalogue.ids[row] for row in matching(where, columns).nonzero()[0]}
    for item, own in everything.group_by("item_id"):
        wanted = [other for other in own.sort("rank")["similar_item_id"] if other in fine & fulfil]
        assert found.filter(item_id=item[0])["similar_item_id"].to_list() == wanted[:4]


def test_what_similar_means(recommenders: dict[str, library.Recommender]) -> None:
    """Buyers and followers are counted in the log itself; the sum is of the parts, each scaled by its largest value."""
    recommender, item = recommenders["isrf-graph"], ITEMS[7]
    parts = {
        by: recommender.similar_items([item], k=99, by=by, availability=False) for by in ("semantics", "buyers", "next")
    }  # type: ignore[arg-type]
    training = recommender.opened.split.training
    own = [[training.catalogue.ids[row] for row in history] for history in training.histories]
    both = {other: sum(item in h and other in h for h in own) for other in ITEMS if other != item}
    onward = {o: sum(item in h and o in h and h.index(o) > h.index(item) for h in own) for o in both}
    assert set(parts["buyers"]["similar_item_id"]) == {other for other, count in both.items() if count}
    for other, reasons in parts["buyers"].select("similar_item_id", "reasons").iter_rows():
        count = both[other]
        assert reasons == [f"{'1 person' if count == 1 else f'{count} people'} chose both"]
    for other, reasons in parts["next"].select("similar_item_id", "reasons").iter_rows():
        assert ("went on to it" in reasons[0]) == (onward[other] > 0) and reasons[0].split()[0] == str(
            onward[other] or both[other]
        )
    scaled: dict[str, float] = dict.fromkeys(both, 0.0)
    for frame in parts.values():
        for other, score in frame.select("similar_item_id", "score").iter_rows():
            scaled[other] += score / frame["score"].max()  # type: ignore[operator]
    fused = recommender.similar_items([item], k=99, availability=False)
    assert dict(fused.select("similar_item_id", "score").iter_rows()) == pytest.approx(scaled, rel=1e-4, abs=1e-5)


def test_similar_items_are_a_command(shop: Path, tmp_path: Path) -> None:
    told = done(isrf("similar", shop, ITEMS[7], ITEMS[8], "--top", "2", "--where", "brand=Bo")).out
    assert f"like {ITEMS[7]}" in told and f"like {ITEMS[8]}" in told and "people" in told
    for ending in ("json", "csv", "parquet", "md", "jsonl"):
        done(isrf("similar", shop, ITEMS[7], "--by", "semantics", "--output", tmp_path / f"out.{ending}"))
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.columns == ["item_id", "rank", "similar_item_id", "title", "score", "reasons"] and frame.height == 10
    assert [row["similar_item_id"] for row in json.loads((tmp_path / "out.json").read_text())] == frame[
        "similar_item_id"
    ].to_list()
    assert pl.read_csv(tmp_path / "out.csv")["similar_item_id"].to_list() == frame["similar_item_id"].to_list()
    one_line(isrf("similar", shop, "nothing"), 2, "item 'nothing' is not in the catalogue")
    one_line(isrf("similar", shop, ITEMS[7], "--top", "0"), 2, "--top 0")
