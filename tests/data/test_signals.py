"""Signals of a real log: ratings and dislikes, kinds of events, repeats, each against a plain account of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.config import DataSettings, load_settings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.histories import Histories
from isrf.data.readers.registry import read_dataset
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import REPEATS, Split
from isrf.data.splits.storage import load_split, save_split

BEGIN = 1_500_000_000
WEIGHTS = {"view": 0.25, "cart": 0.5, "purchase": 1.0}


def read(rows: list[str], head: str, **settings: object) -> Dataset:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "log.csv"
        file.write_text("\n".join([head, *rows]))
        return read_dataset(str(file), None, DataSettings(**settings))  # type: ignore[arg-type]


def rated(*rows: tuple[str, str, int, float], **settings: object) -> Dataset:
    """Rows of user, item, time and rating."""
    lines = [f"{user},{item},{BEGIN + time},{value}" for user, item, time, value in rows]
    return read(lines, "user,item,time,rating", min_value=4, **settings)


def happened(*rows: tuple[str, str, int, str], **settings: object) -> Dataset:
    """Rows of user, item, time and kind of event."""
    lines = [f"{user},{item},{BEGIN + time},{kind}" for user, item, time, kind in rows]
    return read(lines, "user,item,time,event", **{"event_weights": WEIGHTS, **settings})


def pairs(dataset: Dataset) -> list[tuple]:
    return dataset.interactions.select(Columns.USER, Columns.ITEM).rows()


def refused(*args: object, **settings: object) -> str:
    with pytest.raises(IsrfError) as told:
        read(*args, **settings)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    return str(told.value)


# ratings


def test_low_ratings_are_dislikes_and_no_interactions() -> None:
    dataset = rated(("a", "x", 1, 5), ("a", "y", 2, 2), ("a", "z", 3, 4), ("b", "y", 1, 4))
    assert pairs(dataset) == [("a", "x"), ("a", "z"), ("b", "y")]
    assert dataset.dislikes is not None and dataset.dislikes.rows() == [("a", "y")]
    assert not [line for line in dataset.warnings if "rating" in line], "the column is read"
    assert dataset.losses and dataset.losses[0].startswith("data.min_value=4 drops 1 of 4 interactions (25%)")


@pytest.mark.parametrize(
    ("ratings", "liked"), [((2, 5), True), ((5, 2), False), ((5, 2, 4), True), ((1, 5, 3), False), ((4, 4), True)]
)
def test_of_one_item_the_latest_rating_counts(ratings: tuple[int, ...], liked: bool) -> None:
    rows = [("a", "x", time, value) for time, value in enumerate(ratings)]
    dataset = rated(*rows, ("a", "y", 50, 5), ("b", "x", 1, 5))
    assert dataset.dislikes is not None
    assert (("a", "x") in pairs(dataset), dataset.dislikes.height) == (liked, 0 if liked else 1)


def test_a_dislike_that_is_later_than_training_takes_nothing_back() -> None:
    """Items 0 to 3, the last two held out; item 0 is disliked while the last one is chosen: training does not know."""
    bought = [("a", f"i{n}", 10 * n, 5.0) for n in range(4)]
    early = rated(*bought, ("a", "i0", 5, 1), ("b", "i0", 1, 5))
    late = rated(*bought, ("a", "i0", 25, 1), ("b", "i0", 1, 5))
    assert ("a", "i0") not in pairs(early) and ("a", "i0") in pairs(late)
    for dataset in (early, late):
        assert dataset.dislikes is not None and dataset.dislikes.rows() == [("a", "i0")], (
            "for serving it holds either way"
        )


def test_a_dislike_after_the_date_takes_nothing_back_of_training() -> None:
    rows = [(user, f"{user}{n}", 10 * n, 5.0) for user in "abc" for n in range(9)]
    cut = {"split": "temporal", "split_at": str(BEGIN + 70)}
    assert ("a", "a0") in pairs(rated(*rows, ("a", "a0", 75, 1), **cut))
    assert ("a", "a0") not in pairs(rated(*rows, ("a", "a0", 15, 1), **cut))


def test_people_of_dislikes_alone_are_counted_and_items_stay_candidates(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,rating\na,x,5\nb,y,1\n")
    (tmp_path / "items.csv").write_text("item,title\nx,X\ny,Y\nz,Z\n")
    dataset = read_dataset(str(tmp_path), None, DataSettings(min_value=3))
    assert dataset.catalogue[Columns.ITEM].to_list() == ["x", "y", "z"]
    assert dataset.counts["users with dislikes alone (left out)"] == 1
    assert "1 of 2 people" in dataset.losses[0]


def test_what_is_no_rating_is_a_bad_row() -> None:
    rows, head = ["a,x,5", "a,y,", "b,x,good"], "user,item,rating"
    assert "row 3, column rating: empty rating" in refused(rows, head, min_value=4)
    dataset = read([*rows, "c,z,4"], head, min_value=4, on_bad_row="skip")
    assert pairs(dataset) == [("a", "x"), ("c", "z")] and dataset.counts["rows rejected"] == 2
    assert "none of 2 rows is left" in refused(["a,x,1", "b,x,2"], head, min_value=4)
    assert "value column" in refused(["a,x,1"], "user,item,colour", min_value=4)
    assert "serves twice" in refused(["a,x,1"], "user,item,stars", min_value=4, value_column="item")


def test_ratings_of_formats_that_name_their_own(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t2\t1\t881250949\n1\t3\t5\t881250940\n")
    items = tmp_path / "items.csv"
    items.write_text("item,title\n2,A\n3,B\nB0,A\nB1,B\nx,A\ny,B\n")
    review = {"reviewerID": "a", "unixReviewTime": 1_500_000_000}
    reviews = [review | {"asin": f"B{n}", "overall": rating} for n, rating in enumerate((1.0, 5.0))]
    (tmp_path / "r.jsonl").write_text("\n".join(json.dumps(r) for r in reviews))
    pl.DataFrame({"user": ["a", "a"], "item": ["x", "y"], "rating": [1.0, 5.0]}).write_parquet(tmp_path / "l.parquet")
    (tmp_path / "t.inter").write_text("user_id:token\titem_id:token\trating:float\na\tx\t1\na\ty\t5\n")
    for name in ("u.data", "r.jsonl", "l.parquet", "t.inter"):
        dataset = read_dataset(str(tmp_path / name), items, DataSettings(min_value=4))
        assert dataset.interactions.height == 1 and dataset.dislikes is not None and dataset.dislikes.height == 1, name
    with pytest.raises(IsrfError, match="no column 'nix'"):
        read_dataset(str(tmp_path / "r.jsonl"), None, DataSettings(min_value=4, value_column="nix"))
    with pytest.raises(IsrfError, match="no kinds of events"):
        read_dataset(str(tmp_path / "u.data"), None, DataSettings(event_weights={"a": 1}))


def test_the_warning_on_ratings_names_the_setting() -> None:
    dataset = read(["a,x,1", "a,y,2", "a,z,3", "a,w,5"], "user,item,stars")
    (line,) = [line for line in dataset.warnings if "stars" in line]
    assert "2 of 4 rows" in line and "--set data.min_value=3" in line


# kinds of events


def test_weights_are_settings() -> None:
    typed = "data.event_weights={view: 0.2, cart: 0.5, 3: 1}"
    assert load_settings(overrides=[typed]).data.event_weights == {"view": 0.2, "cart": 0.5, "3": 1.0}
    for wrong in (
        "data.event_weights={view: 0}",
        "data.event_weights={view: -1}",
        "data.event_weights={yes: 1}",
        "data.event_column=what",
        "data.value_column=stars",
    ):
        with pytest.raises(IsrfError, match=wrong.partition("=")[0].replace(".", r"\.")):
            load_settings(overrides=[wrong])


def test_an_interaction_weighs_as_its_heaviest_event_and_stands_where_that_first_was() -> None:
    dataset = happened(
        ("a", "x", 1, "view"), ("a", "y", 2, "view"), ("a", "x", 3, "purchase"), ("a", "x", 4, "purchase"),
        ("a", "x", 5, "view"),
    )  # fmt: skip
    shown = dataset.interactions.select(Columns.ITEM, Columns.TIME, Columns.WEIGHT).rows()
    assert shown == [("y", 1000 * (BEGIN + 2), 0.25), ("x", 1000 * (BEGIN + 3), 1.0)]


def test_a_kind_without_a_weight_is_refused_and_named() -> None:
    rows = ["a,x,view", "a,y,view", "a,z,return", "b,x,"]
    line = refused(rows, "user,item,event", event_weights={"view": 0.2})
    assert "no weight for 'return' (2 rows" in line and "'view' in 2 rows" in line and "'(empty)' in 1 rows" in line
    assert """--set 'data.event_weights={"view": 0.2, "": 0, "return": 0}'""" in line
    dataset = read(rows[:3], "user,item,event", event_weights={"view": 0.2, "return": 0})
    assert pairs(dataset) == [("a", "x"), ("a", "y")]
    assert dataset.counts["rows of events that weigh 0 (left out)"] == 1
    assert dataset.losses[0].startswith("data.event_weights drops 1 of 3 items (33%) and 1 of 3 interactions (33%)")


def test_kinds_that_are_not_read_are_warned_of() -> None:
    (line,) = [line for line in read(["a,x,view", "a,y,buy"], "user,item,event").warnings if "'event'" in line]
    assert (
        "every row counts alike" in line
        and "buy in 1 rows" in line
        and """'data.event_weights={"buy": 1, "view": 1}'""" in line
    )
    assert not [line for line in read(["a,x,buy", "a,y,buy"], "user,item,event").warnings if "'event'" in line]


def test_targets_are_events_of_the_largest_weight_that_a_user_has() -> None:
    bought = happened(
        ("a", "v", 1, "view"), ("a", "x", 2, "purchase"), ("a", "w", 3, "view"), ("a", "y", 4, "purchase"),
        ("a", "u", 5, "cart"), ("a", "z", 6, "purchase"), ("a", "t", 7, "view"),
    )  # fmt: skip
    parts = bought.interactions.select(Columns.ITEM, Columns.PART).rows()
    assert parts == [
        ("v", "train"), ("x", "train"), ("w", "train"), ("y", "valid"), ("u", "valid"), ("z", "test"), ("t", "test"),
    ]  # fmt: skip
    assert bought.protocol is not None and "largest weight" in bought.protocol
    one = happened(("a", "v", 1, "view"), ("a", "w", 2, "view"), ("a", "x", 3, "purchase"))
    assert one.interactions[Columns.PART].to_list() == ["train", "train", "test"], "one purchase: no validation target"
    seen = happened(*(("a", item, n, "view") for n, item in enumerate("xyz")))
    assert seen.interactions[Columns.PART].to_list() == ["train", "valid", "test"]
    few = happened(("a", "x", 1, "purchase"), ("a", "y", 2, "view"), ("b", "y", 2, "view"))
    assert few.interactions[Columns.PART].to_list() == ["train"] * 3
    split_of(few)  # nobody is held out, and that is no error


events = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("vwxyz"), st.sampled_from(list(WEIGHTS))), min_size=1, max_size=14
)


@given(events)
def test_weights_and_order_are_those_of_the_definition(made: list[tuple[str, str, str]]) -> None:
    rows = [(user, item, time, kind) for time, (user, item, kind) in enumerate(made)]
    heaviest: dict[tuple[str, str], tuple[float, int]] = {}
    for user, item, time, kind in rows:
        if (user, item) not in heaviest or WEIGHTS[kind] > heaviest[user, item][0]:
            heaviest[user, item] = (WEIGHTS[kind], time)
    wanted = sorted((user, time, item, weight) for (user, item), (weight, time) in heaviest.items())
    found = happened(*rows).interactions
    assert found.select(Columns.USER, Columns.ITEM, Columns.WEIGHT).rows() == [(u, i, w) for u, _, i, w in wanted]


@given(events)
def test_one_kind_of_weight_1_is_the_log_without_kinds(made: list[tuple[str, str, str]]) -> None:
    """The usual leave-one-out is the case in which all weigh alike."""
    rows = [f"{user},{item},{BEGIN + time}" for time, (user, item, _) in enumerate(made)]
    plain = split_of(read(rows, "user,item,time"))
    weighed = split_of(read([f"{row},buy" for row in rows], "user,item,time,event", event_weights={"buy": 1}))
    assert np.array_equal(plain.training.histories.items, weighed.training.histories.items)
    assert np.array_equal(plain.test, weighed.test)
    for known in (weighed.known(np.arange(len(weighed.user_ids))), weighed.training.histories):
        assert known.weights is not None and (known.weights == 1).all()


# repeats


def bought(*items: str, user: str = "a", start: int = 0) -> list[str]:
    return [f"{user},{item},{BEGIN + start + time}" for time, item in enumerate(items)]


def test_repeats_count() -> None:
    split = split_of(read(bought(*"xxyxz") + bought(*"xyz", user="b"), "user,item,time", repeats="count"))
    row = split.training.row_of["a"]
    (weight,) = split.training.histories.take(np.array([row])).weights  # type: ignore[misc]
    assert weight == np.float32(1 + math.log(2)), (
        "the third x is later than the validation item, so training does not know"
    )
    known = split.known(np.array([row]))
    assert known.lengths.tolist() == [3] and known.weights is not None and known.weights.tolist() == [weight, 1, 1]


def test_repeats_of_events_weigh_both() -> None:
    rows = [("a", "x", 1, "cart"), ("a", "x", 2, "cart"), ("a", "y", 3, "view"), ("b", "x", 1, "view")]
    found = happened(*rows, repeats="count").interactions
    wanted = [0.5 * (1 + math.log(2)), 0.25, 0.25]
    assert np.allclose(found[Columns.WEIGHT].to_numpy(), wanted)


def test_each_repeat_is_an_event() -> None:
    rows = [*bought(*"xyxzx"), f"a,x,{BEGIN}"]
    dataset = read(rows, "user,item,time", repeats="all")
    assert [item for _, item in pairs(dataset)] == list("xyxzx"), "the same row twice is a fault of the log"
    assert dataset.counts["exact duplicates dropped"] == 1
    assert dataset.counts["repeat interactions (each an event)"] == 2
    split = split_of(dataset)
    assert split.users("test").tolist() == [] and split.users(REPEATS).tolist() == [0]
    assert split.users("valid").tolist() == [0], "z is new to the user"


def test_repeats_that_are_dropped_are_loud_where_they_are_many() -> None:
    (line,) = read(bought(*"xyxz"), "user,item,time").losses
    assert line.startswith("data.repeats=first drops 1 of 4 interactions (25%)") and "data.repeats=all" in line
    assert not read(bought(*"xyxz"), "user,item,time", repeats="count").losses


sequences = st.lists(st.lists(st.sampled_from("vwxyz"), min_size=1, max_size=9), min_size=1, max_size=4)


@given(sequences)
def test_all_keeps_the_sequences(made: list[list[str]]) -> None:
    rows = [row for user, items in enumerate(made) for row in bought(*items, user=f"u{user}")]
    split = split_of(read(rows, "user,item,time", repeats="all"))
    ids = split.training.catalogue.ids
    for user, items in enumerate(made):
        row = split.row_of[f"u{user}"]
        assert [ids[i] for i in split.known(np.array([row]))[0]] == items
        if len(items) >= 3:
            assert [ids[i] for i in split.training.histories[row]] == items[:-2]
            assert (row in split.users(REPEATS)) == (items[-1] in items[:-1])
            assert (row in split.users("test")) == (items[-1] not in items[:-1])
            assert (row in split.users("valid")) == (items[-2] not in items[:-2])


@given(sequences, st.sampled_from(["first", "count", "all"]))
def test_nothing_later_than_training_changes_training(made: list[list[str]], repeats: str) -> None:
    """Everybody goes on to old and new items after the last two of the log without repeats: training stays as it was.

    With ``all`` the last two of the longer log are others, so there the last two items are replaced instead.
    """
    made = [[*"vwx", *items] for items in made]
    rows = [row for user, items in enumerate(made) for row in bought(*items, user=f"u{user}")]
    every = bought(*"vwxyz", user="everything")

    def trained(more: list[str]) -> tuple[list[int], list[float] | None]:
        histories = split_of(read([*rows, *more, *every], "user,item,time", repeats=repeats)).training.histories
        return histories.items.tolist(), None if histories.weights is None else histories.weights.tolist()

    if repeats == "all":
        ends, others = (
            [row for user in range(len(made)) for row in bought(*end, user=f"u{user}", start=50)]
            for end in ("vw", "zz")
        )
        assert trained(ends) == trained(others)
    else:
        again = [row for user, items in enumerate(made) for row in bought(*items, user=f"u{user}", start=50)]
        assert trained([]) == trained(again), "who comes back later changes no weight of training"


@given(sequences, st.sampled_from(["first", "count", "all"]))
def test_a_split_is_read_as_it_was_written(made: list[list[str]], repeats: str) -> None:
    rows = [row for user, items in enumerate(made) for row in bought(*items, user=f"u{user}")]
    split = split_of(read(rows, "user,item,time", repeats=repeats))
    with TemporaryDirectory() as folder:
        save_split(split, Path(folder), {})
        again = load_split(Path(folder))
    assert same(split, again) and again.repeats == split.repeats


def same(one: Split, other: Split) -> bool:
    everybody = np.arange(len(one.user_ids))
    return all(
        np.array_equal(a.items, b.items) and np.array_equal(a.given_weights(), b.given_weights())
        for a, b in (
            (one.training.histories, other.training.histories),
            (one.histories("test"), other.histories("test")),
            (one.known(everybody), other.known(everybody)),
        )
    )


# histories

weighted = st.lists(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.25, 1.0, 2.0])), max_size=6), max_size=5)


def of(made: list[list[tuple[int, float]]]) -> Histories:
    plain = Histories.of([[item for item, _ in own] for own in made])
    weights = np.array([weight for own in made for _, weight in own], dtype=np.float32)
    return Histories(plain.offsets, plain.items, weights)


def listed(histories: Histories) -> list[list[tuple[int, float]]]:
    weights = histories.given_weights()
    return [
        list(zip(histories[u].tolist(), weights[histories.offsets[u] : histories.offsets[u + 1]].tolist(), strict=True))
        for u in range(len(histories))
    ]


@given(weighted, st.data())
def test_weights_go_where_their_items_go(made: list[list[tuple[int, float]]], data: st.DataObject) -> None:
    histories = of(made)
    k = data.draw(st.integers(1, 4))
    assert listed(histories.recent(k)) == [own[-k:] for own in made]
    rows = data.draw(st.lists(st.integers(0, len(made) - 1), max_size=4)) if made else []
    assert listed(histories.take(np.array(rows, dtype=np.int64))) == [made[row] for row in rows]
    targets = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=len(made), max_size=len(made))), dtype=np.int64)
    heavy = np.full(len(made), 3.0, dtype=np.float32)
    behind = [[*own, *([(int(t), 3.0)] if t >= 0 else [])] for own, t in zip(made, targets, strict=True)]
    assert listed(histories.appended(targets, heavy)) == behind
    assert listed(histories.joined(histories)) == [own + own for own in made]
    assert listed(histories.followed_by(histories)) == made + made
    assert listed(histories.padded(len(made) + 2)) == [*made, [], []]
    assert [[i for i, _ in own] for own in listed(histories.sorted())] == [sorted(i for i, _ in own) for own in made]
    assert listed(histories.plain()) == [[(i, 1.0) for i in dict.fromkeys(i for i, _ in own)] for own in made]
    barred = Histories.of([[1, 2]] * len(made))
    assert listed(histories.without(barred)) == [[(i, w) for i, w in own if i not in (1, 2)] for own in made]
    dense = np.zeros((len(made), 6), dtype=np.float32)
    for user, own in enumerate(made):
        for item, weight in own:
            dense[user, item] += weight
    matrix = histories.matrix(6)
    assert np.allclose(matrix.toarray(), dense) and matrix.nnz == np.count_nonzero(dense)
    assert np.allclose(histories.popularity(6), dense.sum(0)) and np.allclose(histories.totals(), dense.sum(1))


@given(weighted)
def test_without_weights_each_counts_1(made: list[list[tuple[int, float]]]) -> None:
    plain = Histories.of([[item for item, _ in own] for own in made])
    assert plain.weights is None and plain.joined(plain).weights is None and plain.sorted().weights is None
    mixed = plain.followed_by(of(made))
    assert listed(mixed) == [[(i, 1.0) for i, _ in own] for own in made] + made
