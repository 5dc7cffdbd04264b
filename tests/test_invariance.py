"""Rule 2 of the numbers: no held-out interaction reaches anything that is made before evaluation.

Everybody's test item is replaced by another in the source and the whole run is made again: every artifact before
evaluation has the same bytes. The same for validation items and what is made from training data only. Changed training
items and leaks planted by hand show that the comparison can fail. Scores of every baseline and of every carrier are
compared likewise. All of this under leave-one-out, and under a temporal split for whatever happened from its dates on.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.commands import (
    DECIDED,
    PER_WORLD,
    WORLDS,
    Obstacle,
    artifacts,
    done,
    encoding_alike,
    isrf,
    run_small,
    settings,
    small_log,
    write_source,
)
from tests.reviews import Sentence, praise, write_reviews

from isrf.core.config import DataSettings
from isrf.data.queries import TASKS, Queries
from isrf.data.readers.registry import read_dataset
from isrf.data.splits.protocols import split_of
from isrf.data.storage import read_training
from isrf.data.training_data import TrainingData
from isrf.methods.id_plus_one import IdPlusOne
from isrf.methods.interface import Method
from isrf.methods.preferences import carrier_preferences
from isrf.methods.registry import BASELINES, CARRIERS, TRAINED
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

CATALOGUE = [f"{world}-{n}" for world in WORLDS for n in range(PER_WORLD)]

HELD_OUT = {"dataset/test.parquet", "dataset/interactions.parquet", "dataset/dataset.json"}
"""What holds the test items, or the whole log for the audit, or counts and digests of the whole source."""

BEFORE_VALIDATION = ("dataset", "reasoning", "semantics", "graphs")

Log = dict[str, list[str]]

BEGIN, STEP, CUT = 1_400_000_000, 1000, 6
"""The first step of everybody's history, seconds; between two; and from which one on a temporal split holds out. The one
before it is validation."""

TEMPORAL_SETTINGS = ("data.split=temporal", f"data.split_at={BEGIN + STEP * CUT}")
LEAVE_ONE_OUT = DataSettings(min_interactions=0)
TEMPORAL = DataSettings(min_interactions=0, split="temporal", split_at=str(BEGIN + STEP * CUT))


def replaced(position: int) -> Log:
    """Everybody's item at the position from the end replaced by one of another world that they do not have."""
    log = small_log()
    for person, (user, items) in enumerate(log.items()):
        free = [i for i in CATALOGUE if i not in items and i.split("-")[0] != items[0].split("-")[0]]
        log[user][position] = free[person % len(free)]
    return log


def made_from(
    log: Log,
    folder: Path,
    stages: tuple[str, ...],
    obstacles: list[Obstacle] | None = None,
    chosen: Sequence[str] = (),
) -> dict[str, str]:
    """Artifacts of a whole run on the log, of one without training where none of the stages comes after it."""
    source = write_source(folder / "shop", log)
    more = () if "model" in stages else ("--no-train",)
    done(run_small(source, folder / "ws", *more, chosen=chosen, obstacles=obstacles or []))
    return artifacts(folder / "ws", stages)


def different(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def stages_of(names: set[str]) -> set[str]:
    return {name.split("/")[0] for name in names}


def test_other_test_items_change_nothing_before_evaluation(finished: Path, tmp_path: Path) -> None:
    """Items, users, training and validation files, reasons, vectors, graphs, weights, generator: byte for byte."""
    other = made_from(replaced(-1), tmp_path, DECIDED)
    assert different(artifacts(finished), other) == HELD_OUT
    kinds = {"users", "items", "train", "valid"}
    assert {f"dataset/{kind}.parquet" for kind in kinds} <= other.keys()
    assert {
        "graphs/graphs.npz",
        "ranking/fusion.json",
        "model/generator.safetensors",
        "model/fusion.json",
    } <= other.keys()
    metrics = [json.loads((ws / "evaluation/metrics.json").read_text()) for ws in (finished, tmp_path / "ws")]
    assert metrics[0]["dataset"]["digest"] != metrics[1]["dataset"]["digest"]
    scores = [[row["NDCG@10"] for row in document["results"]] for document in metrics]
    assert scores[0] != scores[1], "the test items were not replaced"
    assert carried(finished) == carried(tmp_path / "ws")


def carried(folder: Path) -> dict[str, bytes]:
    """Carrier -> what it says where it is made from a workspace."""
    workspace = Workspace.existing(folder)
    preferences, training = carrier_preferences(workspace, saved_settings(workspace)), read_training(workspace)
    return {name: said(make(preferences), training) for name, make in CARRIERS.items()}


def said(method: Method, training: TrainingData, fitted_on: TrainingData | None = None) -> bytes:
    """What a method says of everybody as they were in training, and of strangers with the same histories; both tasks.

    ``fitted_on`` is what it is fitted on where that is not the same.
    """
    method.fit(fitted_on or training)
    everybody = np.arange(training.n_users)
    return b"".join(
        method.score(Queries(users, training.histories, task)).tobytes()
        for users in (everybody, np.full_like(everybody, -1))
        for task in TASKS
    )


@pytest.fixture(scope="module", params=["semantic", pytest.param("digits", marks=pytest.mark.slow)])
def spelled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """A kind of identifiers of several tokens, and artifacts of a whole run with it."""
    chosen = f"model.identifiers={request.param}"
    return chosen, made_from(small_log(), tmp_path_factory.mktemp(request.param), DECIDED, chosen=[chosen])


def test_other_test_items_change_no_identifier_and_no_writer(
    spelled: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """Identifiers of several tokens come from semantics or a seed: nothing of what is held out is in them."""
    chosen, one = spelled
    assert different(one, made_from(replaced(-1), tmp_path, DECIDED, chosen=[chosen])) == HELD_OUT
    assert {"model/identifiers.npz", "model/t5.json", "model/generator.safetensors"} <= one.keys()


def test_other_validation_items_change_no_identifier(spelled: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    chosen, one = spelled
    other = made_from(replaced(-2), tmp_path, DECIDED, chosen=[chosen])
    assert one["model/identifiers.npz"] == other["model/identifiers.npz"]
    assert "dataset/valid.parquet" in different(one, other)


def test_identifiers_in_order_of_appearance_are_caught(tmp_path: Path) -> None:
    """The same comparison where somebody asked for the leak: the numbers change, and with them what writes them."""
    chosen = ["model.identifiers=digits", "data.id_order=appearance"]
    one, other = (
        made_from(log, tmp_path / name, DECIDED, chosen=chosen)
        for name, log in (("one", small_log()), ("other", replaced(-1)))
    )
    leaked = different(one, other) - HELD_OUT
    assert {"dataset/appearance.parquet", "model/identifiers.npz", "model/generator.safetensors"} <= leaked
    assert stages_of(leaked) == {"dataset", "model"}


def test_other_test_items_in_the_same_workspace(workspace: Path, tmp_path: Path) -> None:
    """The source changed, yet only import and evaluation have anything to do."""
    source = write_source(tmp_path / "shop", replaced(-1))
    told = done(run_small(source, workspace)).err
    for stage in ("reasoning", "semantics", "graphs", "ranking", "model"):
        assert f"{stage}: nothing changed, kept" in told
    assert "dataset: nothing" not in told and "evaluation: nothing" not in told


def test_other_validation_items_change_nothing_that_is_made_from_training(finished: Path, tmp_path: Path) -> None:
    other = made_from(replaced(-2), tmp_path, BEFORE_VALIDATION)
    whole = {"dataset/interactions.parquet", "dataset/dataset.json"}
    assert different(artifacts(finished, BEFORE_VALIDATION), other) == {"dataset/valid.parquet"} | whole


def test_other_training_items_change_everything(finished: Path, tmp_path: Path) -> None:
    """One interaction of one user is enough."""
    log = small_log()
    log["u7"][1] = next(i for i in CATALOGUE if i not in log["u7"])
    changed = different(artifacts(finished), made_from(log, tmp_path, DECIDED))
    assert stages_of(changed) == set(DECIDED)
    unchanged = {"dataset/users.parquet", "dataset/items.parquet", "dataset/valid.parquet", "dataset/test.parquet"}
    assert not changed & unchanged


def test_the_order_of_rows_in_the_source_changes_nothing(finished: Path, tmp_path: Path) -> None:
    """Identifiers carry no order: rows of users shuffled, and a catalogue upside down, number everything alike."""
    source = write_source(tmp_path / "shop", small_log())
    for name in ("log.csv", "items.csv"):
        header, *rows = (tmp_path / "shop" / name).read_text().splitlines()
        (tmp_path / "shop" / name).write_text("\n".join([header, *reversed(rows)]) + "\n")
    done(run_small(source, tmp_path / "ws"))
    # what the audit reads says in which order the rows came, and nothing else does
    assert different(artifacts(finished), artifacts(tmp_path / "ws")) == {"dataset/interactions.parquet"}


@encoding_alike
def leak(where: str) -> None:
    """Let what one module reads as training data hold the test items too; of a temporal split each person's first."""
    import isrf.data.storage
    from isrf.pipeline import embed, graph, reason
    from isrf.ranking import storage

    original = isrf.data.storage.read_training

    def leaking(workspace):  # type: ignore[no-untyped-def]
        training, split = original(workspace), isrf.data.storage.read_split(workspace)
        return dataclasses.replace(training, histories=training.histories.appended(split.test))

    for module in {"every stage": (reason, embed, graph, storage), "scoring": (storage,)}[where]:
        module.read_training = leaking  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("planted", "caught"),
    [
        (partial(leak, "every stage"), {"reasoning", "semantics", "graphs", "ranking"}),
        (partial(leak, "scoring"), {"ranking", "model"}),
    ],
    ids=["every stage", "scoring"],
)
def test_a_planted_leak_is_caught(planted: Callable[[], None], caught: set[str], tmp_path: Path) -> None:
    """The comparison of the first test, on a pipeline that cheats; of one that cheats all along, without a model."""
    stages = DECIDED if "model" in caught else tuple(stage for stage in DECIDED if stage != "model")
    made = [
        made_from(log, tmp_path / name, stages, [planted])
        for name, log in (("one", small_log()), ("other", replaced(-1)))
    ]
    assert stages_of(different(*made) - HELD_OUT) == caught
    one, other = (carried(tmp_path / name / "ws") for name in ("one", "other"))
    assert {name for name in CARRIERS if one[name] != other[name]} == (
        set(CARRIERS) if "semantics" in caught else set()
    )


def test_held_out_files_are_not_opened_before_they_may_be(source: str, tmp_path: Path) -> None:
    """Reasons, vectors and graphs come out without validation and test files; the files of a whole log are alike."""
    ws = tmp_path / "ws"
    done(isrf("data", "import", source, "--out", ws, *settings()))
    held = {name: (ws / "dataset" / name).read_bytes() for name in ("valid.parquet", "test.parquet")}
    for name in held:
        (ws / "dataset" / name).unlink()
    for command in ("reason", "embed"):
        done(isrf(command, ws))
    outcome = isrf("graph", ws)
    assert "graphs: " in outcome.err and outcome.code == 2, "the graphs are made, their weights need validation items"
    for name, content in held.items():
        (ws / "dataset" / name).write_bytes(content)
    done(isrf("graph", ws))


def scores_of(
    make: Callable[[], Method], log: Log, folder: Path, leaking: bool = False, chosen: DataSettings = LEAVE_ONE_OUT
) -> bytes:
    """``said`` by a method that is fitted on the log's training part; ``leaking``: on test items too."""
    split = split_of(read_dataset(write_source(folder, log), None, chosen))
    training = split.training
    held = split.test[: training.n_users]
    fitted_on = dataclasses.replace(training, histories=training.histories.appended(held)) if leaking else training
    return said(make(), training, fitted_on)


def some(*replacements: int) -> Log:
    """Sixteen people (methods that train are fitted twice here), their last items replaced by items that they lack."""
    log = dict(list(small_log().items())[:16])
    for items in log.values():
        free = [item for item in CATALOGUE if item not in items]
        for position in replacements:
            items[position] = free.pop(position)
    return log


@pytest.mark.parametrize("name", [*BASELINES, *TRAINED])
def test_other_held_out_items_change_no_baseline(name: str, tmp_path: Path) -> None:
    """Of whatever is registered, byte for byte: neither the test items nor the validation items have a say."""
    one, other = (scores_of((BASELINES | TRAINED)[name], log, tmp_path / "shop") for log in (some(), some(-1, -2)))
    assert one == other


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_that_is_given_test_items_is_caught(name: str, tmp_path: Path) -> None:
    """The same comparison can fail: popularity and all that learn anything give themselves away."""
    made = [scores_of(BASELINES[name], log, tmp_path / "shop", leaking=True) for log in (some(), some(-1))]
    assert (made[0] != made[1]) == (name != IdPlusOne.name), "id-plus-one learns nothing that could leak"


def later(steps: slice) -> Log:
    """Those sixteen people, their items of some steps replaced by items that they lack."""
    log = some()
    for items in log.values():
        free = [item for item in CATALOGUE if item not in items]
        items[steps] = free[: len(items[steps])]
    return log


@pytest.mark.parametrize("name", [*BASELINES, *TRAINED])
def test_other_items_of_later_dates_change_no_baseline(name: str, tmp_path: Path) -> None:
    """Under a temporal split: those of test, all of them and not targets alone, and those of validation."""
    make = partial(scores_of, (BASELINES | TRAINED)[name], folder=tmp_path / "shop", chosen=TEMPORAL)
    one = make(log=some())
    for part, steps in (("test", slice(CUT, None)), ("validation", slice(CUT - 1, CUT))):
        assert make(log=later(steps)) == one, part


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_that_is_given_items_of_a_later_date_is_caught(name: str, tmp_path: Path) -> None:
    """The same comparison can fail; and an item replaced before these dates is training."""
    make = partial(scores_of, BASELINES[name], folder=tmp_path / "shop", chosen=TEMPORAL)
    made = [make(log=log, leaking=True) for log in (some(), later(slice(CUT, None)))]
    assert (made[0] != made[1]) == (name != IdPlusOne.name), "id-plus-one learns nothing that could leak"
    assert make(log=some()) != make(log=later(slice(CUT - 2, CUT - 1)))


WITH_REVIEWS = ("training.explanation_epochs=1", "training.sr_per_explanation=1")


@encoding_alike
def few_steps() -> None:
    """The explainer need not have learned anything well."""
    from isrf.training import explainer_finetune

    explainer_finetune.FEWEST_STEPS = 20


def reviewed_from(folder: Path, log: Log, sentence: Sentence = praise) -> dict[str, str]:
    """Artifacts of a whole run on a folder with review explanations."""
    source = write_reviews(folder / "p5", log, sentence)
    done(run_small(source, folder / "ws", chosen=WITH_REVIEWS, obstacles=[few_steps]))
    return artifacts(folder / "ws")


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return reviewed_from(tmp_path_factory.mktemp("reviewed"), small_log())


def about(position: int) -> Sentence:
    """Held-out items are spoken of in words of their own."""
    held = {(user, items[position]) for user, items in replaced(position).items()}

    def sentence(user: str, item: str) -> tuple[str, str]:
        return (f"quixotic {user} {item}", "quixotic") if (user, item) in held else praise(user, item)

    return sentence


def test_other_test_items_and_other_reviews_of_them_change_nothing_before_evaluation(
    reviewed: dict[str, str], tmp_path: Path
) -> None:
    """The explainer among what stays: its pieces, its weights."""
    other = reviewed_from(tmp_path, replaced(-1), about(-1))
    assert {"model/explainer.json", "dataset/explanations_train.parquet"} <= other.keys()
    assert different(reviewed, other) == HELD_OUT | {"dataset/explanations_test.parquet"}


def test_other_validation_items_and_other_reviews_of_them_change_nothing_made_from_training(
    reviewed: dict[str, str], tmp_path: Path
) -> None:
    other = reviewed_from(tmp_path, replaced(-2), about(-2))
    changed = different(reviewed, other)
    whole = {"dataset/interactions.parquet", "dataset/dataset.json"}
    held = {"dataset/valid.parquet", "dataset/explanations_valid.parquet"}
    assert {name for name in changed if name.split("/")[0] in BEFORE_VALIDATION} == held | whole
    assert "model/explainer.json" not in changed, "word pieces are made from training sentences"


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of the small log under a temporal split; not to be changed."""
    folder = tmp_path_factory.mktemp("temporal")
    made_from(small_log(), folder, DECIDED, chosen=TEMPORAL_SETTINGS)
    return folder / "ws"


@pytest.mark.parametrize(("step", "stages"), [(CUT, DECIDED), (CUT - 1, BEFORE_VALIDATION)], ids=["test", "validation"])
def test_other_interactions_from_a_date_on_change_nothing_made_before_it(
    step: int, stages: tuple[str, ...], temporal: Path, tmp_path: Path
) -> None:
    """Everything from that step of all histories on is replaced, and somebody comes who was not there before."""
    log = small_log()
    for user, items in log.items():
        free = [i for i in CATALOGUE if i not in items and i.split("-")[0] != items[0].split("-")[0]]
        log[user] = items[:step] + free[: len(items) - step]
    # rows of a step have one time: whoever comes late has to wait for it
    source = write_source(tmp_path / "late" / "shop", log)
    with (tmp_path / "late" / "shop" / "log.csv").open("a") as file:
        file.write(f"late,tea-1,{BEGIN + STEP * step}\n")
    more = () if "model" in stages else ("--no-train",)
    done(run_small(source, tmp_path / "late" / "ws", *more, chosen=TEMPORAL_SETTINGS))
    one, other = artifacts(temporal, stages), artifacts(tmp_path / "late" / "ws", stages)
    held = HELD_OUT | {"dataset/later.parquet", "dataset/newcomers.parquet"}
    assert different(one, other) == held | ({"dataset/valid.parquet"} if step < CUT else set())
    assert carried(temporal) == carried(tmp_path / "late" / "ws")


@pytest.mark.slow  # in the other tier, the comparison of carriers fails under leave-one-out: test_a_planted_leak_is_caught
def test_carriers_of_a_temporal_split_that_leaks_are_caught(tmp_path: Path) -> None:
    """The comparison of carriers in the test before, where reasons are made from later dates too."""
    made = []
    for name, log in (("one", small_log()), ("other", replaced(-1))):
        source, ws = write_source(tmp_path / name / "shop", log), tmp_path / name / "ws"
        done(isrf("data", "import", source, "--out", ws, *settings(*TEMPORAL_SETTINGS)))
        for command in ("reason", "embed", "graph"):
            done(isrf(command, ws, obstacles=[partial(leak, "every stage")]))
        made.append(carried(ws))
    assert [name for name in CARRIERS if made[0][name] == made[1][name]] == []


def test_the_split_is_leave_one_out(finished: Path) -> None:
    """The last item of each user is the test item, the one before the validation item, the rest training."""
    folder = finished / "dataset"
    users = pl.read_parquet(folder / "users.parquet")["user_id"].to_list()
    items = pl.read_parquet(folder / "items.parquet")["item_id"].to_list()
    rows: Log = {user: [] for user in users}
    for name in ("train", "valid", "test"):
        for user, item in pl.read_parquet(folder / f"{name}.parquet").iter_rows():
            rows[users[user]].append(items[item])
        if name == "train":
            assert all(rows[user] == log[:-2] for user, log in small_log().items())
    assert rows == small_log()
