"""Leaks planted into real runs, and the alarm that each must raise: by the audit, by the invariance test, or by both.

A test item in a prompt, in a graph edge, in popularity, in the order of ids, in the PCA. With nothing planted, no alarm.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.commands import DECIDED, Obstacle, done, isrf, refused, run_small, small_log, write_source
from tests.reasoning.scripted import scripted
from tests.reviews import write_reviews
from tests.test_invariance import HELD_OUT, different, made_from, replaced, stages_of

LEAKS = 3
"""Exit code of ``isrf audit --strict``."""


def audited(what: object, *more: object) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code of a strict audit, and its findings by name."""
    outcome = isrf("audit", what, "--strict", "--format", "json", *more)
    assert outcome.code in (0, LEAKS), outcome.err
    return outcome.code, {finding["name"]: finding for finding in json.loads(outcome.out)}


def alarms(findings: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, finding in findings.items() if finding["verdict"] == "leak"}


def with_test_items(training: Any) -> Any:
    """Training data with everybody's test item behind the history: what a careless join makes."""
    from isrf.data.splits.storage import load_targets

    folder = Path(with_test_items.folder)  # type: ignore[attr-defined]
    targets = load_targets(folder, "test", training.n_users)
    return dataclasses.replace(training, histories=training.histories.appended(targets))


def leaking_call(module: str, name: str, folder: Path) -> None:
    """One step of the pipeline is given the test items too."""
    import importlib

    with_test_items.folder = str(folder)  # type: ignore[attr-defined]
    owner = importlib.import_module(module)
    original = getattr(owner, name)
    setattr(owner, name, lambda training, *args, **more: original(with_test_items(training), *args, **more))


def popularity_of_everything(folder: Path) -> None:
    """How often an item was bought is counted over the whole log."""
    from isrf.data.training_data import TrainingData

    with_test_items.folder = str(folder)  # type: ignore[attr-defined]

    def popularity(self: TrainingData) -> np.ndarray:
        items = with_test_items(self).histories.items
        return np.bincount(items, minlength=self.n_items).astype(np.float32)

    TrainingData.popularity = property(popularity)  # type: ignore[assignment,misc]


def pca_of_what_will_be_bought(folder: Path) -> None:
    """Items weigh in the PCA as often as they are somebody's test item."""
    import polars as pl

    import isrf.semantics.features as features

    original = features.fit_reduction

    def fit(vectors: np.ndarray, dimensions: int) -> Any:
        bought = pl.read_parquet(folder / "test.parquet")["item_row"].to_numpy()
        return original(np.concatenate([vectors, vectors[bought]]), dimensions)

    features.fit_reduction = fit


def planted(kind: str, folder: Path) -> Obstacle:
    """A leak of that kind into a workspace whose dataset stage lies in the folder."""
    from functools import partial

    return {
        "prompt": partial(leaking_call, "isrf.pipeline.reason", "reason_users", folder),
        "edge": partial(leaking_call, "isrf.graphs.build", "build_graphs", folder),
        "popularity": partial(popularity_of_everything, folder),
        "pca": partial(pca_of_what_will_be_bought, folder),
    }[kind]


CAUGHT = {
    "prompt": {"reasons of users (attribute statistics), rows that training does not give"},
    "edge": {
        "semantic interaction graph, item nodes that training edges do not give",
        "similar-user graph, groups that training items do not give",
    },
    "popularity": {
        "reasons of items (attribute statistics), rows that training does not give",
        "reasons of users (attribute statistics), rows that training does not give",
    },
    "pca": {"PCA of item vectors, distance from one fitted on the catalogue"},
}
FIRST = {"prompt": "reasoning", "edge": "graphs", "popularity": "reasoning", "pca": "semantics"}
"""The stage that a leak enters by."""


def test_nothing_planted_no_alarm(untrained: Path, workspace: Path, source: str, tmp_path: Path) -> None:
    """A source in CSV, and workspaces of it with and without a generator."""
    graphs_only = shutil.copytree(untrained, tmp_path / "graphs-only")
    for what in (source, graphs_only, workspace):
        code, found = audited(what, *(("--set", "data.min_interactions=0") if what == source else ()))
        assert code == 0 and alarms(found) == set(), what
    assert {
        f["verdict"] for name, f in found.items() if name.startswith(("reasons", "PCA", "semantic", "similar"))
    } == {"clean"}
    kept = json.loads((workspace / "inspection" / "audit.json").read_text())
    assert found == {f["name"]: f for f in kept["findings"]}


@pytest.mark.parametrize("kind", list(CAUGHT))
def test_a_test_item_planted_into_a_run_is_caught_by_the_audit(kind: str, source: str, tmp_path: Path) -> None:
    ws = tmp_path / "ws"
    done(run_small(source, ws, "--no-train", obstacles=[planted(kind, ws / "dataset")]))
    code, found = audited(ws)
    assert code == LEAKS and alarms(found) == CAUGHT[kind]
    assert f"{len(alarms(found))} leak" in done(isrf("audit", ws)).out


@pytest.mark.slow  # the audit catches both; that this comparison would too is shown for other leaks in test_invariance
@pytest.mark.parametrize("kind", ["popularity", "pca"])
def test_a_test_item_planted_into_a_run_is_caught_by_the_invariance_test(kind: str, tmp_path: Path) -> None:
    """The comparison of ``test_invariance`` on a pipeline that cheats: other test items, other artifacts."""
    made = [
        made_from(log, tmp_path / name, DECIDED, [planted(kind, tmp_path / name / "ws" / "dataset")])
        for name, log in (("one", small_log()), ("other", replaced(-1)))
    ]
    stages = stages_of(different(*made) - HELD_OUT)
    assert stages == set(DECIDED[DECIDED.index(FIRST[kind]) :])


def test_the_order_of_ids_is_caught(tmp_path: Path) -> None:
    """Everybody buys what nobody bought before: numbered along whole sequences, the next item is the next number."""
    log = {f"u{u}": [f"tea-{(5 * u + t) % 60}" for t in range(5)] for u in range(12)}
    source = write_source(tmp_path / "shop", log)
    (tmp_path / "shop" / "items.csv").unlink()
    sets = ("--set", "data.min_interactions=0")
    done(isrf("data", "import", source, "--out", tmp_path / "ws", *sets))
    assert audited(tmp_path / "ws")[0] == 0
    done(isrf("data", "import", source, "--out", tmp_path / "leaking", "--id-order", "appearance", *sets))
    code, found = audited(tmp_path / "leaking")
    assert code == LEAKS and alarms(found) == {"id + 1, numbers of this workspace"}


def test_a_model_made_with_leaking_numbers_is_caught(tmp_path: Path) -> None:
    chosen = ["model.identifiers=digits", "data.id_order=appearance"]
    source = write_source(tmp_path / "shop", small_log())
    done(run_small(source, tmp_path / "ws", chosen=chosen))
    code, found = audited(tmp_path / "ws")
    inputs = found["stages made from files that hold test items"]
    assert (
        code == LEAKS and inputs["verdict"] == "leak" and "model reads dataset/appearance.parquet" in inputs["meaning"]
    )


def test_a_question_to_a_language_model_with_the_test_item_is_caught(tmp_path: Path) -> None:
    """The store holds keys and answers, no prompts: a question with a held-out item is known by its key."""
    log = dict(list(small_log().items())[:6])
    source = write_source(tmp_path / "shop", log)
    done(isrf("data", "import", source, "--out", tmp_path / "ws", "--set", "data.min_interactions=0"))
    shutil.copytree(tmp_path / "ws", tmp_path / "leaking")
    name = "questions to a language model with held-out items in them"
    with scripted() as server:
        chosen = {"supplier": "openai", "base_url": server.url, "model": "m", "concurrency": 4}
        sets = [part for key, value in chosen.items() for part in ("--set", f"reasoning.{key}={value}")]
        done(isrf("reason", tmp_path / "ws", *sets))
        leak = planted("prompt", tmp_path / "leaking" / "dataset")
        done(isrf("reason", tmp_path / "leaking", *sets, obstacles=[leak]))
        shutil.copytree(tmp_path / "ws", tmp_path / "both")
        (tmp_path / "both" / "reasoning" / "stage.json").unlink()
        done(isrf("reason", tmp_path / "both", *sets, obstacles=[planted("prompt", tmp_path / "both" / "dataset")]))
    code, found = audited(tmp_path / "ws")
    assert code == 0 and found[name]["verdict"] == "clean" and "6 test users asked about as" in found[name]["meaning"]
    for asked in ("leaking", "both"):
        code, found = audited(tmp_path / asked)
        assert code == LEAKS and found[name]["verdict"] == "leak" and found[name]["value"] == 1.0
    assert "6 test users asked about as they should be, 6 with" in found[name]["meaning"], "the store of both has both"


def edges(pairs: list[tuple[str, str]]) -> str:
    return "\n".join(["user_id,item_id", *(f"{u},{i}" for u, i in pairs)]) + "\n"


def prompts(pairs: list[tuple[str, str]]) -> str:
    return "\n".join(json.dumps({"user": u, "prompt": f"They bought {i.replace('-', ' number ')}."}) for u, i in pairs)


@pytest.mark.parametrize(("name", "written"), [("graph.csv", edges), ("prompts.jsonl", prompts)])
def test_a_file_that_others_train_on(
    name: str, written: Callable[[list[tuple[str, str]]], str], source: str, untrained: Path, tmp_path: Path
) -> None:
    """Of training items no alarm, of whole sequences one; of a source and of a workspace."""
    file, ws = tmp_path / name, shutil.copytree(untrained, tmp_path / "ws")
    sets = ("--set", "data.min_interactions=0")
    for held, expected in ((2, 0), (0, LEAKS)):
        file.write_text(written([(u, i) for u, items in small_log().items() for i in items[: len(items) - held]]))
        for what in ((source, *sets), (ws,)):
            assert audited(*what, "--against", file)[0] == expected, (what, held)


@pytest.mark.parametrize(("name", "written"), [("graph.csv", edges), ("prompts.jsonl", prompts)])
def test_a_file_about_people_whom_training_does_not_know(
    name: str, written: Callable[[list[tuple[str, str]]], str], tmp_path: Path
) -> None:
    """A date splits, and all who are tested are known from the period of validation alone; of a source and a workspace."""
    source = write_source(tmp_path / "shop", {user: items[:5] for user, items in small_log().items()})
    late = {f"late-{n}": (f"tea-{n}", f"tea-{(n + 1) % 12}") for n in range(12)}
    with (tmp_path / "shop" / "log.csv").open("a") as file:
        for user, (known, test) in late.items():
            file.write(f"{user},{known},1400004000\n{user},{test},1400006000\n")
    chosen = ("data.min_interactions=0", "data.split=temporal", "data.split_at=1400006000")
    sets = [part for setting in chosen for part in ("--set", setting)]
    done(isrf("data", "import", source, "--out", tmp_path / "ws", *sets))
    file = tmp_path / name
    for place, expected in ((0, 0), (1, LEAKS)):
        file.write_text(written([(user, items[place]) for user, items in late.items()]))
        for what in ((source, *sets), (tmp_path / "ws",)):
            code, found = audited(*what, "--against", file)
            assert code == expected, (what, place)
            assert [f["value"] for key, f in found.items() if name in key and ": test" in key] == [float(place)]


def test_reviews_and_numbers_of_a_p5_folder(tmp_path: Path) -> None:
    """Its split of reviews is not leave-one-out, and a pickle is not opened: both are said."""
    source = write_reviews(tmp_path / "p5")
    (tmp_path / "p5" / "review_splits.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    code, found = audited(source, "--set", "data.min_interactions=0")
    assert code == LEAKS
    assert found["explanation.json train: test pairs in it"]["verdict"] == "leak"
    assert found["review_splits.pkl: not looked into"]["verdict"] == "unknown"
    done(isrf("data", "import", source, "--out", tmp_path / "ws", "--set", "data.min_interactions=0"))
    code, found = audited(tmp_path / "ws")
    assert found["explanations_train.parquet: test pairs in it"]["verdict"] == "clean"
    assert code == 0, "a workspace pools the reviews: the leave-one-out pair decides"


def test_files_of_one_name_are_told_apart_by_their_path(source: str, tmp_path: Path) -> None:
    """Edges of training in one folder and of whole sequences in another: two files, neither a part of the other."""
    pairs = [(u, i) for u, items in small_log().items() for i in items]
    files = [tmp_path / name / "graph.csv" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text(edges(pairs))
    named = [argument for file in (*files, files[0]) for argument in ("--against", file)]
    _, found = audited(source, "--set", "data.min_interactions=0", *named)
    assert [name for name in found if "graph.csv" in name] == [
        f"{file}: {part} pairs in it" for file in files for part in ("test", "validation")
    ]


def test_what_cannot_be_audited(finished: Path, tmp_path: Path) -> None:
    refused(isrf("audit", finished, "--against", tmp_path / "none.csv"), "no such file; check --against")
    refused(isrf("audit", finished, "--items", tmp_path / "items.csv"), "--items is the catalogue of a source")
