"""Signals of a log through the whole system: items had again, dislikes, weights; from the import to answers and the audit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.commands import DECIDED, done, isrf, run_small, small_log, write_source
from tests.test_invariance import HELD_OUT, Log, different, made_from, replaced

import isrf as library
from isrf.data.splits.split import REPEATS
from isrf.data.storage import read_dataset_of, read_split
from isrf.data.training_data import TrainingData
from isrf.evaluation.audit.counts import split_findings
from isrf.workspace.workspace import Workspace


def had_again(log: Log) -> Log:
    """Everybody has their first item once more in the middle, and every second person at the end too."""
    found = {}
    for person, (user, items) in enumerate(log.items()):
        *before, last = items
        found[user] = [*before[:3], before[0], *before[3:], last, *([before[1]] if person % 2 else [])]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a generator: items had again, and ratings of which each person gives one that is low."""
    folder = tmp_path_factory.mktemp("repeats")
    source = write_source(folder / "shop", had_again(small_log()))
    log = folder / "shop" / "log.csv"
    header, *rows = log.read_text().splitlines()
    rated = [f"{row},{5 - row.endswith('02000') * 4}" for row in rows]
    log.write_text("\n".join([f"{header},rating", *rated]) + "\n")
    done(run_small(source, folder / "ws", chosen=["data.repeats=all", "data.min_value=4"]))
    return folder / "ws"


def test_targets_that_were_had_before_have_rows_of_their_own(whole: Path) -> None:
    split = read_split(Workspace.existing(whole))
    again, usual = split.users(REPEATS), split.users("test")
    assert split.repeats and len(again) and len(usual) and not set(again) & set(usual)
    document = json.loads((whole / "evaluation" / "metrics.json").read_text())
    rows = {row["split"]: row["users"] for row in document["results"]}
    assert rows == {"test": len(usual), "test, repeats": len(again)}
    assert [row for row in document["results"] if row["split"] == "test, repeats" and row["method"] == "isrf"]
    assert not [row for row in document["paired"] if row["split"] != "test"]
    assert any("test, repeats" in note for note in document["notes"])
    # who is ranked among everything is no better off for having had the target: it competes with what else was had
    assert all(row["candidates"] == "all" for row in document["results"] if row["split"] == "test, repeats")
    assert "test, repeats" in (whole / "evaluation" / "table.md").read_text()


def test_a_target_that_also_stands_in_training_is_no_leak_by_itself(whole: Path) -> None:
    outcome = isrf("audit", whole, "--strict", "--format", "json")
    assert outcome.code == 0, outcome.out
    found = {finding["name"]: finding for finding in json.loads(outcome.out)}
    twice = found["pairs in two parts of the split"]
    assert twice["verdict"] == "clean" and twice["value"] == 0
    workspace = Workspace.existing(whole)
    split, dataset = read_split(workspace), read_dataset_of(workspace)
    leaking = replace(split.training, histories=split.training.histories.appended(split.test))
    (pairs, *_) = split_findings(replace(split, training=leaking), dataset)
    assert pairs.verdict == "leak" and pairs.value == len(split.test), "once more than it happened"
    share = found["test targets that their user has had before"]["value"]
    assert 0 < share < 1


def test_what_is_disliked_is_not_recommended_again(whole: Path) -> None:
    """The item of each person's third step was rated 1; with items had included, that one alone stays out."""
    recommender = library.open(whole)
    log = had_again(small_log())
    disliked = {user: items[2] for user, items in log.items() if items[2] not in items[3:]}
    assert disliked
    every = recommender.recommend(list(disliked), k=500, filter_viewed=False)
    for user, item in disliked.items():
        answers = set(every.filter(pl.col("user_id") == user)["item_id"])
        assert item not in answers and set(log[user]) - {item} <= answers
    user, item = next(iter(disliked.items()))
    profile = recommender.profile(user, k=500)
    assert item not in {found.item_id for found in profile.recommendations} | set(profile.without_group)
    assert recommender.explain(user, item)["rank"].to_list() == [None]
    stranger = recommender.recommend(histories=[log[user][:2]], k=500)
    assert item in set(stranger["item_id"]), "it is this person's dislike"


@pytest.mark.parametrize("chosen", ["data.repeats=all", "data.repeats=count"])
def test_other_held_out_items_change_nothing_before_evaluation(chosen: str, tmp_path: Path) -> None:
    one, other = (
        made_from(had_again_in_training(log), tmp_path / name, DECIDED, chosen=[chosen])
        for name, log in (("one", small_log()), ("other", replaced(-1)))
    )
    rows = {"dataset/source_log.parquet"} if chosen.endswith("count") else set()  # every row, for later updates
    assert different(one, other) == HELD_OUT | rows


def had_again_in_training(log: Log) -> Log:
    return {user: [*items[:3], items[0], *items[3:]] for user, items in log.items()}


def test_weights_of_events_reach_all_that_is_counted(tmp_path: Path) -> None:
    """Views of half a shop: with next to no weight they change graphs, reasons count them as before, and all stages run."""
    source = write_source(tmp_path / "shop", small_log())
    log = tmp_path / "shop" / "log.csv"
    header, *rows = log.read_text().splitlines()
    kinds = ["view" if row.endswith("1000") or row.endswith("3000") else "buy" for row in rows]
    log.write_text("\n".join([f"{header},event", *map(",".join, zip(rows, kinds, strict=True))]) + "\n")
    weights = "data.event_weights={view: 0.1, buy: 1}"
    done(run_small(source, tmp_path / "ws", chosen=[weights]))
    done(run_small(source, tmp_path / "alike", "--no-train", chosen=["data.event_weights={view: 1, buy: 1}"]))
    light, alike = (read_split(Workspace.existing(tmp_path / name)).training for name in ("ws", "alike"))
    shown = light.histories.given_weights()
    assert set(np.unique(shown)) == {np.float32(0.1), np.float32(1)}
    assert light.popularity.sum() < alike.popularity.sum() == len(alike.histories.items)
    assert np.isclose(light.matrix.sum(), shown.sum())
    same = [(tmp_path / name / "reasoning" / "items.parquet") for name in ("ws", "alike")]
    assert pl.read_parquet(same[0]).height == pl.read_parquet(same[1]).height
    assert library.open(tmp_path / "ws").recommend(["u1"], k=3).height == 3
    for what in ((tmp_path / "ws",), (source, "--set", weights)):
        assert isrf("audit", *what, "--strict").code == 0
    assert targets_are_bought(light, tmp_path / "ws")


def targets_are_bought(training: TrainingData, folder: Path) -> bool:
    """Whether each target stands in the log as a purchase."""
    split = read_split(Workspace.existing(folder))
    log = pl.read_parquet(folder / "dataset" / "interactions.parquet")
    weight = {(u, i): w for u, i, w in log.select("user_id", "item_id", "weight").iter_rows()}
    ids = training.catalogue.ids
    return all(weight[split.user_ids[u], ids[split.test[u]]] == 1 for u in split.users("test"))
