"""``isrf.run`` and ``isrf.open``: data in as whatever holds it, answers out in the user's own ids."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from tests.commands import SMALL, small_log

import isrf
from isrf import IsrfError, UnknownId

LOG = small_log()
SMALL_SETTINGS: dict[str, Any] = {
    name: int(value) if value.isdigit() else float(value) for name, value in (one.split("=") for one in SMALL)
}


@pytest.fixture(scope="module")
def recommender(finished: Path) -> isrf.Recommender:
    return isrf.open(finished)


def log_frame() -> pl.DataFrame:
    """The small log with whole numbers as ids: user 100 and on, item 1000 and on."""
    items = {item: 1000 + n for n, item in enumerate(sorted({item for own in LOG.values() for item in own}))}
    rows = [
        (100 + n, items[item], t) for n, own in enumerate(LOG.values()) for t, item in enumerate(own, 1_400_000_000)
    ]
    return pl.DataFrame(rows, schema={"user_id": pl.Int32, "item_id": pl.Int64, "timestamp": pl.Int64}, orient="row")


def item_frame() -> pl.DataFrame:
    ids = log_frame()["item_id"].unique().sort()
    return pl.DataFrame({"item_id": ids, "title": [f"tea number {n}" for n in range(len(ids))]})


FRAMES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "lazy": lambda frame: frame.lazy(),
    "pandas": lambda frame: frame.to_pandas(),
    "arrow": lambda frame: frame.to_arrow(),
}


def test_frames_of_every_kind_are_one_workspace_with_ids_of_their_type(tmp_path: Path) -> None:
    answers = {}
    for kind, made in FRAMES.items():
        workspace = isrf.run(
            made(log_frame()), tmp_path / kind, items=made(item_frame()), settings=SMALL_SETTINGS, train=False
        )
        recommender = isrf.open(workspace)
        answers[kind] = recommender.recommend([100, 101], k=4)
        assert answers[kind].schema["user_id"] == pl.Int32 and answers[kind].schema["item_id"] == pl.Int64
        assert recommender.similar_items([1000], k=2).schema["similar_item_id"] == pl.Int64
        assert set(answers[kind]["item_id"]) <= set(item_frame()["item_id"])
    assert all(answer.equals(answers["polars"]) for answer in answers.values())


def test_pandas_integers_with_a_missing_value_are_integers_again(tmp_path: Path) -> None:
    frame = log_frame().to_pandas().astype({"user_id": "float64"})
    frame.loc[len(frame)] = [float("nan"), 1000, 1]
    settings = SMALL_SETTINGS | {"data.on_bad_row": "skip"}
    recommender = isrf.open(isrf.run(frame, tmp_path / "ws", items=item_frame(), settings=settings, train=False))
    assert recommender.recommend([100], k=1)["user_id"].to_list() == ["100"], "a float is no type of ids: text"


def test_a_path_a_text_and_a_workspace_that_is_there(source: str, tmp_path: Path) -> None:
    folder = Path(source.removeprefix("csv:"))
    first = isrf.run(
        folder / "log.csv", tmp_path / "ws", items=folder / "items.csv", settings=SMALL_SETTINGS, train=False
    )
    before = {path: path.stat().st_mtime_ns for path in first.root.rglob("stage.json")}
    again = isrf.run(str(folder / "log.csv"), str(tmp_path / "ws"), items=str(folder / "items.csv"), train=False)
    assert before == {path: path.stat().st_mtime_ns for path in again.root.rglob("stage.json")}, "nothing changed: kept"
    assert isrf.open(str(tmp_path / "ws")).method == "isrf-graph"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (7, "data must be a path or a frame of polars, pandas or Arrow, not int"),
        (pl.DataFrame({"user_id": [], "item_id": []}), "data has no rows"),
        (pd.DataFrame({"user_id": [1, "b"], "item_id": [1, 2]}), "data is not a table"),
        (pd.DataFrame([[1, 2, 3]], columns=["user_id", "item_id", "item_id"]), "data is not a table"),
        (pl.DataFrame({"who": [1], "what": [2]}), "data: no user and no item column found; its columns are who, what"),
        ("nowhere.csv", "nowhere.csv: no such file"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(data: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=told) as error:
        isrf.run(data, tmp_path / "ws")
    assert "\n" not in str(error.value) and "isrf-source-" not in str(error.value)


def test_settings_are_names_and_values_or_a_tree(tmp_path: Path) -> None:
    tree = isrf.Settings.model_validate({"data": {"min_interactions": 0}, "graphs": {"tau": 0.8}})
    one = isrf.run(log_frame(), tmp_path / "one", items=item_frame(), settings=tree, train=False)
    named = {"data.min_interactions": 0, "graphs.tau": 0.8}
    other = isrf.run(log_frame(), tmp_path / "other", items=item_frame(), settings=named, train=False)
    assert (one.root / "graphs" / "graphs.npz").read_bytes() == (other.root / "graphs" / "graphs.npz").read_bytes()
    with pytest.raises(IsrfError, match=r"graphs\.tua"):
        isrf.run(log_frame(), tmp_path / "third", settings={"graphs.tua": 1})
    assert not (tmp_path / "third").exists()


def test_users_and_histories(recommender: isrf.Recommender) -> None:
    of_users = recommender.recommend(["u1", "u2", "u1"], k=3)
    assert of_users.columns == ["user_id", "item_id", "rank", "score"] and of_users["rank"].to_list() == [1, 2, 3] * 2
    assert not set(of_users.filter(user_id="u1")["item_id"]) & set(LOG["u1"])
    of_histories = recommender.recommend(histories=[["tea-1", "tea-2"], ["bread-3"]], k=2)
    assert of_histories.columns == ["history", "item_id", "rank", "score"]
    assert of_histories["history"].to_list() == [0, 0, 1, 1]
    both = recommender.recommend(["u1"], [["tea-1", "tea-2"]], k=2, explain=True)
    assert both["user_id"].to_list() == ["u1", "u1", None, None] and both["history"].to_list() == [None, None, 0, 0]
    assert both["item_id"][2:].to_list() == of_histories["item_id"][:2].to_list()
    assert recommender.recommend(k=1)["user_id"].n_unique() == len(LOG)
    assert recommender.recommend([], k=1).height == 0 and recommender.recommend([], k=1, explain=True).height == 0


def test_an_explained_answer_is_the_same_answer_with_reasons(recommender: isrf.Recommender) -> None:
    plain, explained = (recommender.recommend(["u1", "u5"], k=5, explain=explain) for explain in (False, True))
    assert explained.select(plain.columns).equals(plain)
    assert {"title", "shares", "feature", "reasons", "method"} < set(explained.columns)
    assert explained["reasons"].list.len().min() > 0


def test_what_may_be_recommended(recommender: isrf.Recommender, capfd: pytest.CaptureFixture[str]) -> None:
    every = recommender.recommend(["u1"], k=100)["item_id"].to_list()
    assert set(every) == set(recommender.opened.split.training.catalogue.ids) - set(LOG["u1"])
    assert recommender.recommend(["u1"], k=100, exclude=every[:3])["item_id"].to_list() == every[3:]
    wanted = [every[5], every[2], LOG["u1"][0]]
    assert recommender.recommend(["u1"], items_to_recommend=wanted)["item_id"].to_list() == [every[2], every[5]]
    seen = recommender.recommend(["u1"], items_to_recommend=wanted, filter_viewed=False)["item_id"].to_list()
    assert set(seen) == set(wanted) and [item for item in seen if item in every] == [every[2], every[5]]
    capfd.readouterr()
    none = recommender.recommend(["u1"], items_to_recommend=LOG["u1"], exclude=["nobody's"])
    told = " ".join(capfd.readouterr().err.split())
    assert none.height == 0 and none.columns == ["user_id", "item_id", "rank", "score"]
    assert 'exclude: 1 of 1 items are not in the catalogue, e.g. "nobody\'s"' in told
    assert "1 person has had every item that may be recommended" in told


def test_similar_items(recommender: isrf.Recommender) -> None:
    found = recommender.similar_items(["tea-1", "bread-2"], k=4, by="semantics")
    assert found.columns == ["item_id", "similar_item_id", "title", "rank", "score", "reasons"] and found.height == 8
    assert found["score"].to_list() == sorted(found["score"][:4], reverse=True) + sorted(
        found["score"][4:], reverse=True
    )
    assert not (found["item_id"] == found["similar_item_id"]).any()
    assert found.filter(item_id="tea-1")["similar_item_id"].str.starts_with("tea").all()
    only = recommender.similar_items(["tea-1"], k=4, items_to_recommend=["bread-1", "tea-1"])
    assert only["similar_item_id"].to_list() == ["bread-1"]


def test_profiles_and_single_reasons(recommender: isrf.Recommender) -> None:
    profile = recommender.profile("u1", k=3)
    first = recommender.recommend(["u1"], k=3, explain=True)
    assert [item.item_id for item in profile.recommendations] == first["item_id"].to_list()
    for place in range(3):
        why = recommender.explain("u1", first["item_id"][place])
        assert why.drop("score").equals(first[place : place + 1].drop("score"))
        assert why["score"][0] == pytest.approx(first["score"][place], rel=1e-5)
    had = recommender.explain("u1", LOG["u1"][0])
    assert had["rank"].to_list() == [None] and had["reasons"].list.len()[0]
    strange = recommender.explain(item="tea-5", history=["tea-1", "tea-2"])
    assert strange.columns[0] == "history" and strange["item_id"].to_list() == ["tea-5"]


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda r: r.recommend(["nobody"]), "user 'nobody' is not in this workspace"),
        (lambda r: r.recommend(histories=[["tea-1"], ["nothing"]]), "item 'nothing' is not in the catalogue"),
        (lambda r: r.recommend(histories=[["tea-1"], []]), "history 1 names no item"),
        (lambda r: r.recommend("u1"), "users must be a list, not a string"),
        (lambda r: r.recommend(["u1"], k=0), "k must be at least 1, not 0"),
        (lambda r: r.recommend(["u1"], k=-3, explain=True), "k must be at least 1, not -3"),
        (lambda r: r.recommend(["u1"], explain=True, generate=True), "was not taught to generate explanations"),
        (lambda r: r.similar_items(["nothing"]), "item 'nothing' is not in the catalogue"),
        (lambda r: r.profile(), "give either a user or a history"),
        (lambda r: r.explain("u1", "tea-1", history=["tea-2"]), "give either a user or a history"),
        (lambda r: r.explain("u1"), "explain: name an item"),
    ],
)
def test_what_cannot_be_answered_is_said_in_words_of_the_library(
    ask: Callable[[isrf.Recommender], Any], told: str, recommender: isrf.Recommender
) -> None:
    with pytest.raises(IsrfError, match=told) as error:
        ask(recommender)
    assert "--" not in str(error.value)
    assert isinstance(error.value, UnknownId) == (" is not in " in told)


def test_threads_get_the_answers_of_one(finished: Path) -> None:
    recommender, users = isrf.open(finished), list(LOG)[:24]
    strangers = [LOG[user][:3] for user in users]
    alone = [recommender.recommend([user], k=5) for user in users]
    unknown = [recommender.recommend(histories=[history], k=5) for history in strangers]
    fresh = isrf.open(finished)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda user: fresh.recommend([user], k=5), users))
        strange = list(pool.map(lambda history: fresh.recommend(histories=[history], k=5), strangers))
    assert all(one.equals(other) for one, other in zip(alone, together, strict=True))
    assert all(one.equals(other) for one, other in zip(unknown, strange, strict=True))


def test_a_stranger_to_isrf_finds_everything_by_name() -> None:
    assert set(dir(isrf)) >= {"run", "open", "Recommender", "Settings", "IsrfError", "UnknownId", "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        isrf.fit  # type: ignore[attr-defined]  # noqa: B018


TYPED = """
import isrf
import polars as pl
from isrf import Recommender, Settings
def main() -> None:
    recommender: Recommender = isrf.open(isrf.run("log.csv", "ws", settings=Settings()))
    frame: pl.DataFrame = recommender.recommend(users=["U1", 2], k=3, explain=True)
    reveal_type(frame)
    similar: pl.DataFrame = recommender.similar_items(["a"])
    print(recommender.profile("U1").interests[0].title, recommender.explain("U1", "a"), similar)
    recommender.recommend(k="ten")
"""


@pytest.mark.slow
def test_the_public_surface_is_typed(tmp_path: Path) -> None:
    """A strict mypy run over a program that uses it: whole types, and a wrong argument is found."""
    (tmp_path / "uses.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(tmp_path / "uses.py")]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    assert 'Revealed type is "polars' in said.replace("'", '"') and "DataFrame" in said
    assert said.count("error:") == 1 and 'incompatible type "str"; expected "int"' in said, said
