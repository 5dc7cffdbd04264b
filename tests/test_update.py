"""Updates: what is counted equals a run from nothing, rows stay, old versions answer until the swap, kills leave one whole."""

from __future__ import annotations

import json
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.commands import SMALL, Running, done, isrf, refused, signal_at, small_log, stage_info, write_source
from tests.reasoning.scripted import scripted
from tests.test_reason_command import about, asked, reaching, workspace_of

import isrf as library
from isrf.core.config import Settings, load_settings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.storage import read_split, read_training, read_typed_columns
from isrf.data.training_data import Rows, seeded_rows
from isrf.pipeline import run as pipeline
from isrf.pipeline.drift import LEAST_PEOPLE, Drift
from isrf.pipeline.import_data import import_data
from isrf.pipeline.retrain import TOLERANCE
from isrf.pipeline.update_data import More, update_data
from isrf.ranking.storage import load_components
from isrf.workspace.layout import CURRENT_FILE, VERSIONS_FOLDER
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.stage import KEPT
from isrf.workspace.versions import read_current
from isrf.workspace.workspace import Workspace

HEAD = "user_id,item_id,timestamp"
MORE = [
    *(f"u{n},{'tea' if n % 4 else 'bread'}-{n * 7 % 12},{1_500_000_000 + n}" for n in range(30)),
    *(f"newbie,{item},{1_500_000_100 + n}" for n, item in enumerate(("tea-1", "new-1", "tea-3", "tea-5"))),
    *(f"u{n},new-1,{1_500_000_200 + n}" for n in range(20, 24)),
]
MORE_ITEMS = [
    "item_id,title,brand,categories",
    "new-1,tea number 99,tea house 0,tea|kind 1",
    "new-2,bread number 99,bread house 0,bread|kind 1",
    "tea-0,a tea of another name,tea house 0,tea|kind 0",
]


@pytest.fixture
def more(tmp_path: Path) -> tuple[Path, Path]:
    """Newer rows and a newer catalogue: new people, new items, an item with another text."""
    rows, items = tmp_path / "more.csv", tmp_path / "more-items.csv"
    rows.write_text("\n".join([HEAD, *MORE]) + "\n")
    items.write_text("\n".join(MORE_ITEMS) + "\n")
    return rows, items


def whole_source(folder: Path, source: str) -> str:
    """The log and the catalogue as they would be if both parts had always been one."""
    old = Path(source.removeprefix("csv:"))
    folder.mkdir()
    (folder / "log.csv").write_text((old / "log.csv").read_text() + "\n".join(MORE) + "\n")
    changed = {line.split(",")[0] for line in MORE_ITEMS}
    kept = [line for line in (old / "items.csv").read_text().splitlines() if line.split(",")[0] not in changed]
    (folder / "items.csv").write_text("\n".join([MORE_ITEMS[0], *kept, *MORE_ITEMS[1:]]) + "\n")
    return f"csv:{folder}"


def counted(workspace: Workspace, stage: str) -> dict[str, Any]:
    """File -> digest of a stage; of the dataset what its JSON says, in place of counts of a file that was read in two parts."""
    info = workspace.stage(stage).require()
    found: dict[str, Any] = {name: file["sha256"] for name, file in info["files"].items()}
    if stage == "dataset":
        about = json.loads((workspace.stage(stage).folder / "dataset.json").read_text())
        read = (
            "catalogue rows",
            "catalogue column",
            "catalogue cells",
        )  # of an item with new texts both rows were read
        about["counts"] = {name: n for name, n in about["counts"].items() if not name.startswith(read)}
        found["dataset.json"] = {name: value for name, value in about.items() if name != "name"}
    return found


def copied(workspace: Path, tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(workspace, tmp_path / "ws")))


def test_what_is_counted_equals_a_run_from_nothing_byte_by_byte(
    untrained: Path, source: str, more: tuple[Path, Path], tmp_path: Path
) -> None:
    before = copied(untrained, tmp_path)
    rows = Rows(read_split(before).user_ids, read_training(before).catalogue.ids)
    updated = library.update(before, more[0], items=more[1], reason_anew=True)
    assert updated.version == 2 and library.versions(updated) == [2, 1]

    settings, whole = saved_settings(before), Workspace.create(tmp_path / "whole")
    shutil.copytree(updated.root / "semantics", whole.root / "semantics")  # vectors depend on what is encoded together
    (whole.root / "semantics" / "stage.json").unlink(missing_ok=True)
    import_data(whole, whole_source(tmp_path / "both", source), None, settings, rows)
    pipeline.reason(whole, settings)
    pipeline.embed(whole, settings)
    pipeline.graph(whole, settings)
    for stage in ("dataset", "reasoning", "semantics", "graphs"):
        assert counted(updated, stage) == counted(whole, stage), stage
    # and the commands that make the stages see nothing to do
    for make in (pipeline.reason, pipeline.embed, pipeline.graph):
        make(updated, settings)
    assert updated.stage("graphs").outdated() is None and updated.stage("ranking").outdated() is None


def test_rows_stay_and_new_ones_come_behind(untrained: Path, more: tuple[Path, Path], tmp_path: Path) -> None:
    before = copied(untrained, tmp_path)
    users, items = read_split(before).user_ids, read_training(before).catalogue.ids
    reasons = pl.read_parquet(before.stage("reasoning").file("items.parquet"))
    updated = library.update(before, str(more[0]), items=str(more[1]))
    split = read_split(updated)
    catalogue = split.training.catalogue
    assert split.user_ids == [*users, "newbie"] and catalogue.ids[:-2] == items
    assert sorted(catalogue.ids[-2:]) == ["new-1", "new-2"]
    assert catalogue.titles[catalogue.row_of["tea-0"]] == "a tea of another name"
    typed = read_typed_columns(updated)
    assert typed is not None and typed.table[Columns.ITEM].to_list() == catalogue.ids
    # reasons are written about what is new alone
    now = pl.read_parquet(updated.stage("reasoning").file("items.parquet"))
    changed = now[: len(items)].filter(now[: len(items)]["feature"] != reasons["feature"])["item_id"].to_list()
    assert changed == ["tea-0"] and all(now[len(items) :]["feature"] != "")
    # what came is recommended, and counts as had
    recommender = library.open(updated)
    assert "new-1" not in recommender.recommend(["newbie"], k=50)["item_id"]
    assert {"new-1", "new-2"} <= set(recommender.recommend(["u1"], k=60)["item_id"])


SCENARIOS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "k-core": ("data.min_interactions=5",),
    "dislikes": ("data.min_value=3",),
    "weights": ("data.event_weights={view: 0.2, buy: 1}",),
    "counts": ("data.repeats=count",),
    "counted events": ("data.repeats=count", "data.event_weights={view: 0.2, buy: 1}"),
    "every repeat": ("data.repeats=all",),
    "at a date": ("data.split=temporal", "data.split_at=0.8"),
    "core at a date": ("data.split=temporal", "data.split_at=0.7", "data.min_interactions=3"),
    "all of it": ("data.repeats=count", "data.min_value=2", "data.min_interactions=3"),
}


def log_lines(rng: random.Random, count: int, start: int, users: int, items: int) -> list[str]:
    """Rows with ratings and kinds of events; people and items of small numbers come early and often."""
    return [
        f"u{rng.randrange(users)},i{min(rng.randrange(items), rng.randrange(items))},{start + 60 * n + rng.randrange(60)},"
        f"{rng.randint(1, 5)},{rng.choice(['view', 'view', 'buy'])}"
        for n in range(count)
    ]


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_dataset_equals_one_that_was_read_at_once(name: str, seed: int, tmp_path: Path) -> None:
    """Whatever cleaning drops, merges or weighs of the first part may count with the second."""
    rng = random.Random(seed)
    first = log_lines(rng, 300, 1_400_000_000, 30, 25)
    second = log_lines(rng, 120, 1_400_010_000, 40, 32)
    head = "user,item,timestamp,rating,event"
    catalogue = ["item,title,price,brand", *(f"i{n},thing {n},{n}.5,b{n % 3}" for n in range(25))]
    newer = [
        "item,title,price,brand",
        *(f"i{n},thing {n},{n}.5,b{n % 3}" for n in range(25, 30)),
        "i3,another thing,2.5,b0",
    ]
    for folder, rows, items in (
        ("old", first, catalogue),
        ("new", second, newer),
        ("both", [*first, *second], [*(line for line in catalogue if not line.startswith("i3,")), *newer[1:]]),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "log.csv").write_text("\n".join([head, *rows]) + "\n")
        (tmp_path / folder / "items.csv").write_text("\n".join(items) + "\n")
    settings = load_settings(overrides=["data.min_interactions=0", *SCENARIOS[name]])
    before, whole = (Workspace.create(tmp_path / n) for n in ("ws", "whole"))
    import_data(before, str(tmp_path / "old"), None, settings)
    more = More(str(tmp_path / "new"), None)
    following = before.next_version()
    update_data(before, following, more, more.digests(), settings)
    rows = Rows(read_split(before).user_ids, read_training(before).catalogue.ids)
    import_data(whole, str(tmp_path / "both"), None, settings, rows)
    assert counted(following, "dataset") == counted(whole, "dataset")
    ids = [read_training(w).catalogue.ids for w in (before, following)]
    assert ids[1][: len(ids[0])] == ids[0]
    users = [read_training(w).user_ids for w in (before, following)]
    gone = set(users[0]) - set(users[1])  # somebody whose only interaction a later dislike takes back
    assert users[1][: len(users[0]) - len(gone)] == [user for user in users[0] if user not in gone]


def test_cold_items_stay_cold(tmp_path: Path) -> None:
    rng = random.Random(0)
    (tmp_path / "log.csv").write_text(
        "\n".join(["user,item,timestamp,r,e", *log_lines(rng, 400, 10**9, 30, 20)]) + "\n"
    )
    (tmp_path / "more.csv").write_text(
        "\n".join(["user,item,timestamp,r,e", *log_lines(rng, 200, 2 * 10**9, 30, 40)]) + "\n"
    )
    settings = load_settings(overrides=["data.split=item-cold", "data.cold_share=0.3"])
    ws = Workspace.create(tmp_path / "ws")
    import_data(ws, str(tmp_path / "log.csv"), None, settings)
    more = More(str(tmp_path / "more.csv"), None)
    following = ws.next_version()
    update_data(ws, following, more, more.digests(), settings)
    cold = [json.loads(w.stage("dataset").file("dataset.json").read_text())["cold_items"] for w in (ws, following)]
    assert cold[0] == cold[1] and cold[0]
    training = read_training(following)
    assert not training.popularity[training.catalogue.rows_of(cold[0])].any()


def test_an_item_that_everybody_took_back_keeps_its_row(tmp_path: Path) -> None:
    """Without a catalogue an item is there by its interactions alone; rows of a generator's table stay all the same."""
    head = "user,item,timestamp,rating"
    rows = [f"u{u},i{i},{10**9 + 10 * i + u},5" for u in range(4) for i in range(5)]
    (tmp_path / "log.csv").write_text("\n".join([head, *rows, f"solo,lonely,{10**9},5"]) + "\n")
    (tmp_path / "more.csv").write_text("\n".join([head, f"solo,lonely,{10**9 + 5},1", f"solo,i1,{10**9 + 6},5"]) + "\n")
    settings = load_settings(overrides=["data.min_value=3"])
    ws = Workspace.create(tmp_path / "ws")
    import_data(ws, str(tmp_path / "log.csv"), None, settings)
    more = More(str(tmp_path / "more.csv"), None)
    following = ws.next_version()
    update_data(ws, following, more, more.digests(), settings)
    old, new = read_training(ws), read_training(following)
    assert new.catalogue.ids == old.catalogue.ids and "lonely" in new.catalogue.ids
    assert new.popularity[new.catalogue.row_of["lonely"]] == 0


@given(st.lists(st.text("abcd", min_size=1, max_size=3), unique=True), st.integers(0, 5), st.integers(0, 40))
def test_rows_before_stay_whatever_comes(ids: list[str], seed: int, cut: int) -> None:
    first = seeded_rows(ids[:cut], seed)
    rows = seeded_rows(ids, seed, first)
    assert rows[: len(first)] == first and sorted(rows) == sorted(ids)
    assert seeded_rows(ids, seed) == seeded_rows(ids, seed, ())


def test_a_generator_is_kept_and_says_so(workspace: Path, more: tuple[Path, Path]) -> None:
    """Items that it was not trained on are what their lenders are; its own are what they were, whatever the texts' PCA."""
    before = Workspace(workspace)
    parts = load_components(before, saved_settings(before))
    updated = library.update(before, more[0], items=more[1])
    info = updated.stage("model").require()
    assert info["notes"][KEPT]["version"] == 1
    assert info["files"]["generator.safetensors"] == stage_info(workspace, "model")["files"]["generator.safetensors"]
    now = load_components(updated, saved_settings(updated))
    assert now.untrained is not None and now.items is not None and parts.items is not None
    catalogue = read_training(updated).catalogue
    new = catalogue.rows_of(["new-1", "new-2"])
    assert now.untrained.new_items[new].all() and now.untrained.new_items.sum() == 2
    assert read_training(updated).popularity[catalogue.row_of["new-1"]] > 0  # counted, and not trained on
    old = [row for row in range(parts.items.shape[0]) if catalogue.ids[row] != "tea-0"]
    close = (parts.items[old] * now.items[old]).sum(1)  # cosines; neighbours in the graph move a little
    assert close.min() > 0.9, "an adapter that reads another reduction gives anything"
    assert library.open(updated).method == "isrf"


def test_retraining_goes_on_from_the_old_weights_in_a_version_of_its_own(
    workspace: Path, more: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    updated = library.update(workspace, more[0], items=more[1], retrain=True)
    assert library.versions(updated) in ([3, 2], [2, 1])
    kept = Workspace(workspace, 2)
    info = updated.stage("model").require()
    if updated.version == 3:
        assert KEPT not in info["notes"] and any(name.startswith("start/") for name in info["inputs"])
        assert load_components(updated, saved_settings(updated)).untrained is None
        assert updated.stage("graphs").digests("graphs.npz") == kept.stage("graphs").digests("graphs.npz")

    # weights that are worse are not taken
    worse = library.roll_back(workspace) if updated.version == 3 else updated
    figures = iter([1.0, 1.0 - 2 * TOLERANCE])
    monkeypatch.setattr("isrf.pipeline.retrain.valid_ndcg10", lambda *args: next(figures))
    again = library.update(worse, retrain=True)
    assert again.version == 2 and "worse" not in again.stage("model").require()["notes"]
    with pytest.raises(StopIteration):
        next(figures)
    assert not (workspace / VERSIONS_FOLDER / "0004").exists()


def test_training_anew_is_one_command(workspace: Path, more: tuple[Path, Path]) -> None:
    library.update(workspace, more[0], items=more[1])
    done(isrf("train", workspace))
    info = Workspace(workspace).stage("model").require()
    assert KEPT not in info["notes"] and "adapter_inputs.npz" not in info["files"]
    assert load_components(Workspace(workspace), saved_settings(Workspace(workspace))).untrained is None


def test_drift_is_told_and_says_when_to_retrain(untrained: Path, tmp_path: Path) -> None:
    here = Workspace(untrained)
    steady = Drift("isrf", 0.05, 0.5, 0.05, 0.05, (500, 500))
    assert not steady.is_due and "need not be" in steady.lines(here)[-1]
    assert "5.0% of training interactions, 50.0% of the new rows" in steady.lines(here)[0]
    assert Drift("isrf", 0.11, None, 0.05, 0.05, (500, 500)).is_due
    worse = Drift("isrf", 0.0, 0.0, 0.03, 0.05, (500, 500))
    assert worse.is_due and "--retrain" in worse.lines(here)[-1]
    few = Drift("isrf", 0.0, 0.0, 0.03, 0.05, (LEAST_PEOPLE - 1, 500))
    assert not few.is_due and "proves nothing" in few.lines(here)[1]
    graphs = Drift("isrf-graph", None, None, 0.03, 0.05, (500, 500))
    assert graphs.is_due and "isrf graph" in graphs.lines(here)[-1] and "not trained" not in "".join(graphs.lines(here))


def test_commands_work_on_the_version_that_counts(workspace: Path, source: str, more: tuple[Path, Path]) -> None:
    opened = library.open(workspace)
    outcome = done(isrf("update", workspace, "--data", more[0], "--items", more[1]))
    assert "version 2 answers" in outcome.out and "drift: " in outcome.out and "fitted again" in outcome.out
    assert "newbie" in done(isrf("recommend", workspace, "--user", "newbie", "--format", "csv")).out
    assert opened.recommend(["u1"], k=3).height == 3  # who opened it before goes on
    with pytest.raises(IsrfError, match="newbie"):
        opened.recommend(["newbie"])
    done(isrf("evaluate", workspace))
    table = (workspace / VERSIONS_FOLDER / "0002" / "evaluation" / "table.md").read_text()
    assert "trained on version 1 of the log" in table
    assert "that an update kept" in done(isrf("audit", workspace, "--strict")).out
    done(isrf("inspect", workspace, "--card"))
    done(isrf("reason", workspace, "--report"))
    done(isrf("bench", workspace, "--methods", "popularity,isrf-graph"))
    again = done(isrf("update", workspace, "--data", more[0], "--items", more[1]))
    assert "nothing to add" in again.out and library.versions(workspace) == [2, 1]
    refused(isrf("run", "--data", source, "--out", workspace), "was updated", "isrf update", "--out")
    refused(isrf("data", "import", source, "--out", workspace), "was updated")
    assert Workspace(workspace).version == 2
    assert "version 1 answers" in done(isrf("update", workspace, "--roll-back")).err
    refused(isrf("recommend", workspace, "--user", "newbie"), "newbie")
    assert library.roll_back(workspace).version == 2
    # the version before the last is deleted, stores stay
    frame = pl.DataFrame({"user_id": ["u1"], "item_id": ["new-2"], "timestamp": [1_600_000_000]})
    assert library.update(workspace, frame).version == 3
    assert library.versions(workspace) == [3, 2]
    assert not (workspace / "graphs" / "graphs.npz").exists() and (workspace / "semantics" / "vectors.sqlite").exists()
    done(isrf("recommend", workspace, "--user", "u1"))


def test_what_cannot_be_updated_is_refused_in_one_line(
    untrained: Path, more: tuple[Path, Path], tmp_path: Path
) -> None:
    ws = copied(untrained, tmp_path).root
    refused(isrf("update", ws), "--data or --items")
    refused(isrf("update", ws, "--data", more[0], "--retrain"), "no")
    refused(isrf("update", ws, "--roll-back"), "no earlier version")
    refused(isrf("update", ws, "--roll-back", "--data", more[0]), "one thing")
    refused(isrf("update", tmp_path / "nowhere", "--data", more[0]), "not a workspace")
    timeless = tmp_path / "timeless.csv"
    timeless.write_text("user_id,item_id\nu1,tea-1\n")
    refused(isrf("update", ws, "--data", timeless), "times")
    bad = tmp_path / "bad.csv"
    bad.write_text(f"{HEAD}\nu1,tea-1,not a time\n")
    refused(isrf("update", ws, "--data", bad), "bad.csv", "row 2")
    assert library.versions(ws) == [1] and not (ws / CURRENT_FILE).exists()
    for setting in ("data.id_order=appearance", "model.identifiers=digits"):
        other = tmp_path / setting
        chosen = [part for one in (*SMALL, setting) for part in ("--set", one)]
        source = write_source(tmp_path / f"source {setting}", small_log())
        extra = () if setting.startswith("model") else ("--no-train",)
        done(isrf("run", "--data", source, "--out", other, *extra, *chosen))
        refused(isrf("update", other, "--data", more[0]), "cannot be updated", setting.partition("=")[0])


def test_a_pointer_that_is_damaged(untrained: Path, tmp_path: Path) -> None:
    ws = copied(untrained, tmp_path).root
    for content, told in (("{", "damaged"), ('{"version": 7}', "digest")):
        (ws / CURRENT_FILE).write_text(content)
        refused(isrf("recommend", ws, "--user", "u1"), CURRENT_FILE, told)
    (ws / CURRENT_FILE).unlink()
    done(isrf("recommend", ws, "--user", "u1"))


KILLED_AT = [
    ("isrf.pipeline.update:update_data", False),
    ("isrf.pipeline.update:update_data", True),
    ("isrf.pipeline.update:reason", True),
    ("isrf.pipeline.update:embed", True),
    ("isrf.pipeline.update:graph", True),
    ("isrf.pipeline.kept_weights:link_or_copy", True),
    ("isrf.pipeline.update:keep_weights", True),
    ("isrf.workspace.workspace:write_current", False),
    ("isrf.workspace.workspace:write_current", True),
]


@pytest.mark.parametrize(("place", "after"), KILLED_AT)
def test_a_kill_leaves_the_old_or_the_new_version(
    place: str, after: bool, untrained: Path, more: tuple[Path, Path], tmp_path: Path
) -> None:
    ws = copied(untrained, tmp_path).root
    arguments = ("update", ws, "--data", more[0], "--items", more[1])
    assert isrf(*arguments, obstacles=[signal_at(place, signal.SIGKILL, after=after)]).code == -signal.SIGKILL
    whole_and_one(ws, swapped=after and "write_current" in place)
    done(isrf(*arguments))
    assert library.versions(ws) == [2, 1]
    whole_and_one(ws, swapped=True)
    # another command tidies what a killed one left
    shutil.rmtree(ws)
    ws = copied(untrained, tmp_path).root
    isrf(*arguments, obstacles=[signal_at("isrf.pipeline.update:embed", signal.SIGKILL)])
    assert (ws / VERSIONS_FOLDER / "0002").exists()
    done(isrf("graph", ws))
    assert not (ws / VERSIONS_FOLDER / "0002").exists() and library.versions(ws) == [1]


def whole_and_one(ws: Path, swapped: bool | None) -> None:
    """The workspace answers from one version, all of whose files are as they were written."""
    here = Workspace.existing(ws)
    assert swapped is None or here.version == (2 if swapped else 1)
    for stage in ("dataset", "reasoning", "semantics", "graphs", "ranking"):
        for name in here.stage(stage).require()["files"]:
            here.stage(stage).file(name)
    known = library.open(here).opened.split.row_of
    assert ("newbie" in known) == (here.version == 2)


def test_a_language_model_is_asked_about_what_is_new_alone(tmp_path: Path) -> None:
    log = {
        f"u{n}": [f"{world}-{(n + k) % 6}" for k in range(5)] for n in range(12) for world in (("tea", "bread")[n % 2],)
    }
    ws = workspace_of(tmp_path, log)
    (tmp_path / "more.csv").write_text(
        f"{HEAD}\nu1,bread-0,1500000000\n" + "".join(f"new,tea-{n},{1500000001 + n}\n" for n in range(4))
    )
    (tmp_path / "items.csv").write_text("item_id,title,brand,categories\nnew-1,tea number 99,tea house 0,tea\n")
    with scripted() as server:
        done(isrf("reason", ws, *reaching(server)))
        for command in ("embed", "graph"):
            done(isrf(command, ws))
        asked(server)
        done(isrf("update", ws, "--data", tmp_path / "more.csv", "--items", tmp_path / "items.csv"))
        questions = asked(server)
        assert about(questions, "likes", "item") == 1 and about(questions, "likes", "user") == 2
        table = pl.read_parquet(Workspace(ws).stage("reasoning").file("users.parquet"))
        assert set(table["supplier"]) == {"openai"} and table.height == 13


@pytest.mark.slow
def test_twenty_kills_at_random_moments(finished: Path, more: tuple[Path, Path], tmp_path: Path) -> None:
    rng = random.Random(0)
    for attempt in range(20):
        ws = Path(shutil.copytree(finished, tmp_path / f"ws{attempt}"))
        arguments = ("update", ws, "--data", more[0], "--items", more[1])
        running = Running(arguments, {}, [])
        running.process.join(rng.uniform(0, 6))
        running.signal(signal.SIGKILL)
        assert running.end().code in (0, -signal.SIGKILL)
        whole_and_one(ws, None)
        done(isrf(*arguments))
        assert library.versions(ws) == [2, 1]
        whole_and_one(ws, True)
        shutil.rmtree(ws)


def test_stores_and_unchanged_files_are_shared(workspace: Path, more: tuple[Path, Path]) -> None:
    updated = library.update(workspace, more[0], items=more[1])
    weights = [Workspace(workspace, v).stage("model").folder / "generator.safetensors" for v in (1, 2)]
    assert weights[0].samefile(weights[1])
    assert not list((workspace / VERSIONS_FOLDER).rglob("*.sqlite"))
    with pytest.raises(IsrfError, match="made a new version"), Workspace(workspace, 1).held():
        pass
    assert read_current(workspace).kept == {1, 2} and updated.home.parent.name == VERSIONS_FOLDER
    assert isinstance(saved_settings(updated), Settings)
    assert np.array_equal(read_training(Workspace(workspace, 1)).user_ids, read_training(updated).user_ids[:60])
