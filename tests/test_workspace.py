"""Stages come whole or not at all: kept when nothing changed, redone when something did, taken up after any end."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from tests.commands import Running, artifacts, done, isrf, run_small, settings, signal_at, stage_info, stopped

from isrf.core.errors import IsrfError
from isrf.pipeline import evaluate
from isrf.pipeline.evaluate import evaluate_methods
from isrf.pipeline.stage_runner import contents_of
from isrf.workspace.layout import STAGES
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.stage import FORMAT
from isrf.workspace.workspace import Workspace

MIDDLE = {
    "dataset": "isrf.pipeline.import_data:save_split",
    "reasoning": "isrf.pipeline.reason:reason_users",
    "semantics": "isrf.semantics.features:save_semantics",
    "graphs": "isrf.graphs.build:save_graphs",
    "ranking": "isrf.pipeline.fit_ranking:save_fusions",
    "model": "isrf.training.loop:save_checkpoint",
    "evaluation": "isrf.evaluation.protocol:save_results",
}
"""What each stage calls in its middle, with something done and something to do."""


def ranks_and_metrics(workspace: Path) -> str:
    """What evaluation found, without seconds."""
    document = json.loads((workspace / "evaluation" / "metrics.json").read_text())
    for row in document["results"]:
        for name in ("fit_seconds", "rank_seconds"):
            del row[name]
    return json.dumps(document)


def assert_same(workspace: Path, finished: Path) -> None:
    """Byte for byte the artifacts of an undisturbed run, and its numbers."""
    assert artifacts(workspace) == artifacts(finished)
    assert ranks_and_metrics(workspace) == ranks_and_metrics(finished)
    assert not list(workspace.rglob(".partial")) and not list(workspace.rglob("*.tmp"))


def kept(err: str) -> list[str]:
    return [line.split(":")[0] for line in err.splitlines() if line.endswith("nothing changed, kept")]


def made(err: str) -> list[str]:
    """Stages that a run made."""
    return [s for s in STAGES if f"\n{s}: " in f"\n{err}" and s not in kept(err)]


def test_nothing_changed(source: str, workspace: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in workspace.rglob("*") if p.is_file() and p.suffix != ".yaml"}
    outcome = done(run_small(source, workspace))
    assert kept(outcome.err) == list(STAGES)
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.parametrize(
    ("setting", "redone"),
    [
        ("evaluation.seed=7", ["evaluation"]),
        ("training.tracking=tensorboard", []),
        ("training.learning_rate=0.01", ["model", "evaluation"]),
        ("model.d_model=8", ["model", "evaluation"]),
        ("ranking.fit_users=20", ["ranking", "model", "evaluation"]),
        ("graphs.tau=0.95", ["graphs", "ranking", "model", "evaluation"]),
        ("data.seed=1", list(STAGES)),
    ],
)
def test_a_setting_changed(setting: str, redone: list[str], source: str, workspace: Path) -> None:
    """The stage that reads it is redone, with everything that depends on it, and nothing else."""
    assert made(done(run_small(source, workspace, chosen=[setting])).err) == redone


@pytest.mark.parametrize(
    ("setting", "redone"),
    [
        # not in the file of the graphs: read when signals are scored
        ("graphs.decay=0.9", ["graphs", "ranking", "evaluation"]),
        ("graphs.distance_power=0", ["graphs", "ranking", "evaluation"]),
        ("semantics.item_text=feature", ["semantics", "graphs", "ranking", "evaluation"]),
        ("reasoning.user_history=3", ["reasoning", "semantics", "graphs", "ranking", "evaluation"]),
    ],
)
def test_a_setting_changed_without_a_model(
    setting: str, redone: list[str], source: str, untrained: Path, tmp_path: Path
) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    assert made(done(run_small(source, ws, "--no-train", chosen=[setting])).err) == redone


def test_a_change_without_effect_stops_there(source: str, workspace: Path) -> None:
    """Users are compared in other blocks: the same graph comes out, so what was trained on it is kept."""
    assert made(done(run_small(source, workspace, chosen=["graphs.block=7"])).err) == ["graphs"]


def test_stage_commands_make_what_run_makes(source: str, tmp_path: Path, finished: Path) -> None:
    """One after the other, the settings given once; the workspace keeps them. Two runs are equal byte for byte."""
    ws = tmp_path / "ws"
    done(isrf("data", "import", source, "--out", ws, *settings()))
    for command in ("reason", "embed", "graph", "train", "evaluate"):
        done(isrf(command, ws))
    assert_same(ws, finished)
    assert made(done(isrf("graph", ws, "--set", "graphs.tau=0.9")).err) == ["graphs", "ranking"]
    assert made(done(isrf("graph", ws)).err) == [], "the setting was not kept"


def test_what_was_made_from_something_else_is_refused_not_used(workspace: Path) -> None:
    """After a change each later stage names the command that brings it up to date."""
    done(isrf("graph", workspace, "--set", "graphs.tau=0.95"))
    outcome = isrf("recommend", workspace, "--user", "u1", "--method", "isrf")
    assert outcome.code == 2 and "isrf train" in outcome.err
    outcome = done(isrf("recommend", workspace, "--user", "u1", "--format", "json"))
    assert json.loads(outcome.out)[0]["method"] == "isrf-graph" and "isrf train" in outcome.err
    done(isrf("embed", workspace, "--set", "semantics.dimensions=20"))
    for command in ("train", "evaluate", "recommend"):
        outcome = isrf(command, workspace)
        assert outcome.code == 2 and "isrf graph" in outcome.err, command
    for command in ("graph", "train", "evaluate"):
        done(isrf(command, workspace))
    rows = json.loads(done(isrf("recommend", workspace, "--user", "u1", "--format", "json")).out)
    assert rows[0]["method"] == "isrf"


def test_weights_that_were_fitted_to_other_scores_are_refused_not_used(workspace: Path) -> None:
    """Settings of the graphs that only scoring reads leave the graphs' file as it is."""
    before = artifacts(workspace, ["graphs"])
    done(isrf("graph", workspace, "--set", "graphs.window=1", "--set", "graphs.backward=0.9"))
    assert artifacts(workspace, ["graphs"]) == before
    outcome = done(isrf("recommend", workspace, "--user", "u1", "--format", "json"))
    assert json.loads(outcome.out)[0]["method"] == "isrf-graph" and "isrf train" in outcome.err
    outcome = isrf(
        "graph", workspace, "--set", "graphs.window=2", obstacles=[signal_at("isrf.pipeline.run:fit_ranking")]
    )
    stopped(outcome)
    for command in (("recommend", workspace), ("evaluate", workspace), ("bench", workspace, "--methods", "isrf-graph")):
        outcome = isrf(*command)
        assert outcome.code == 2 and "isrf graph" in outcome.err, command


def test_a_checkpoint_outlives_a_kill_while_its_model_is_published(untrained: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    outcome = isrf("train", ws, obstacles=[signal_at("isrf.workspace.stage:write_atomic", signal.SIGKILL)])
    assert outcome.code == -signal.SIGKILL and (ws / "model" / "generator.safetensors").exists()
    assert "training resumes after epoch 2" in done(isrf("train", ws)).err
    assert not (ws / "model" / ".partial").exists()


def test_a_command_that_is_no_text_is_kept_all_the_same(workspace: Path) -> None:
    """Names of files are bytes; a command with one that is no UTF-8 ends as any other, its work kept."""
    config = os.fsdecode(b"r\xe9glages.yaml")
    (workspace.parent / config).write_text("training:\n  epochs: 1\n")
    done(isrf("train", workspace, "--config", workspace.parent / config))
    command = stage_info(workspace, "model")["command"]
    assert command.endswith("r\\xe9glages.yaml'"), "as a shell takes it"


def test_evaluation_leaves_out_a_model_of_other_graphs(source: str, workspace: Path) -> None:
    outcome = done(run_small(source, workspace, "--no-train", chosen=["graphs.tau=0.95"]))
    methods = {row["method"] for row in json.loads((workspace / "evaluation" / "metrics.json").read_text())["results"]}
    assert "isrf-graph" in methods and "isrf" not in methods and "isrf train" in outcome.err


def test_ctrl_c_and_then_a_kill_in_every_stage(source: str, tmp_path: Path, finished: Path) -> None:
    """In the middle of one stage after the other: what was finished is kept, and the end is the same."""
    ws = tmp_path / "ws"
    for number, (stage, place) in enumerate(MIDDLE.items()):
        outcome = run_small(source, ws, obstacles=[signal_at(place, signal.SIGINT)])
        stopped(outcome)
        assert kept(outcome.err) == list(STAGES[: max(number - 1, 0)]), stage
        assert not (ws / stage / "stage.json").exists()
        outcome = run_small(source, ws, obstacles=[signal_at(place, signal.SIGKILL)])
        assert outcome.code == -signal.SIGKILL, stage
        assert kept(outcome.err) == list(STAGES[:number]) and not (ws / stage / "stage.json").exists()
    outcome = done(run_small(source, ws))
    assert kept(outcome.err) == list(STAGES[:-1])
    assert_same(ws, finished)


def test_ctrl_c_in_stage_commands(workspace: Path, finished: Path) -> None:
    for command, stage in (("reason", "reasoning"), ("embed", "semantics"), ("graph", "graphs"), ("train", "model")):
        (workspace / stage / "stage.json").unlink()
        stopped(isrf(command, workspace, obstacles=[signal_at(MIDDLE[stage])]))
        done(isrf(command, workspace))
    stopped(isrf("recommend", workspace, obstacles=[signal_at("isrf.recommender.answer:recommend")]))
    stopped(isrf("data", "describe", workspace, obstacles=[signal_at("isrf.pipeline.import_data:read_dataset_of")]))
    assert_same(workspace, finished)


def test_kill_while_every_stage_is_published(source: str, tmp_path: Path, finished: Path) -> None:
    """Its files are in place and its stage.json is not yet: it counts as unfinished."""
    ws = tmp_path / "ws"
    for number, stage in enumerate(STAGES):
        call = 1 if number == 0 else 2  # the first is the stage that the kill before left unfinished
        place = "isrf.workspace.stage:write_atomic"
        outcome = run_small(source, ws, obstacles=[signal_at(place, signal.SIGKILL, call)])
        assert outcome.code == -signal.SIGKILL, stage
        assert not (ws / stage / "stage.json").exists()
    done(run_small(source, ws))
    assert_same(ws, finished)


@pytest.mark.slow
def test_kill_at_random_moments(source: str, tmp_path: Path, finished: Path) -> None:
    """Seven times, wherever the run happens to be; the other tier has the moments that matter, one by one."""
    ws, rng, killed = tmp_path / "ws", random.Random(2), 0
    for _ in range(7):
        running = Running(["run", "--data", source, "--out", ws, *settings()], {}, [])
        time.sleep(rng.uniform(0.02, 0.9))
        running.signal(signal.SIGKILL)
        killed += running.end().code == -signal.SIGKILL
    assert killed
    done(run_small(source, ws))
    assert_same(ws, finished)


def test_killed_training_gives_the_model_of_unbroken_training(source: str, untrained: Path, tmp_path: Path) -> None:
    """Killed at the end of two epochs, each before its checkpoint, and once more while the weights of fusion are fitted."""
    longer = settings("training.epochs=4", "training.patience=4", "model.dropout=0.3")
    models = {}
    for name in ("unbroken", "killed"):
        ws = Path(shutil.copytree(untrained, tmp_path / name))
        if name == "killed":
            trainer = "isrf.training.loop:Trainer"
            for obstacle in (
                signal_at(f"{trainer}.epoch", signal.SIGKILL, call=2, after=True),
                signal_at(f"{trainer}.epoch", signal.SIGKILL, call=3, after=True),
                signal_at("isrf.pipeline.train:fit_fusions", signal.SIGKILL),
            ):
                assert isrf("train", ws, *longer, obstacles=[obstacle]).code == -signal.SIGKILL
                assert (ws / "model" / ".partial" / "checkpoint" / "state.json").exists()
        outcome = done(isrf("train", ws, *longer))
        assert ("training resumes after epoch" in outcome.err) == (name == "killed")
        models[name] = ws
    assert artifacts(models["killed"]) == artifacts(models["unbroken"])
    weights = [(ws / "model" / "generator.safetensors").read_bytes() for ws in models.values()]
    assert weights[0] == weights[1]
    log = json.loads((models["killed"] / "model" / "training_log.json").read_text())
    assert [entry["epoch"] for entry in log["log"]] == [1, 2, 3, 4]


def test_kill_at_a_real_moment_of_training(untrained: Path, tmp_path: Path) -> None:
    """Ctrl-C and kill -9 from outside, as soon as there is a checkpoint to see."""
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    longer = settings("training.epochs=40", "training.patience=40")
    state = ws / "model" / ".partial" / "checkpoint" / "state.json"
    for number in (signal.SIGINT, signal.SIGKILL):
        running = Running(["train", ws, *longer], {}, [])
        while not state.exists():
            assert running.process.is_alive()
            time.sleep(0.005)
        time.sleep(0.2)
        running.signal(number)
        outcome = running.end()
        if number == signal.SIGINT:
            stopped(outcome)
        else:
            assert outcome.code == -signal.SIGKILL
    assert state.exists() and json.loads(state.read_text())["epoch"] >= 1


def test_damaged_checkpoint(untrained: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    isrf("train", ws, obstacles=[signal_at(MIDDLE["model"], signal.SIGKILL, after=True)])
    checkpoint = ws / "model" / ".partial" / "checkpoint"
    (checkpoint / "tensors.safetensors").write_bytes(b"x" * 100)
    outcome = isrf("train", ws)
    assert outcome.code == 2 and "unreadable checkpoint" in outcome.err and "delete" in outcome.err
    shutil.rmtree(checkpoint)
    done(isrf("train", ws))


def test_another_setting_does_not_resume_a_killed_stage(untrained: Path, tmp_path: Path) -> None:
    ws = Path(shutil.copytree(untrained, tmp_path / "ws"))
    isrf("train", ws, obstacles=[signal_at(MIDDLE["model"], signal.SIGKILL, after=True)])
    assert "resumes" not in done(isrf("train", ws, "--set", "training.seed=3")).err


def test_stage_file_says_what_it_was_made_from(finished: Path) -> None:
    for stage in STAGES:
        info = stage_info(finished, stage)
        assert info["stage"] == stage and info["format"] == FORMAT and info["settings"] and info["inputs"]
        assert info["seconds"] >= 0 and info["peak_memory_mb"] > 0 and info["versions"]["isrf"]
        for name, file in info["files"].items():
            assert (finished / stage / name).stat().st_size == file["bytes"]
        on_disk = {p.name for p in (finished / stage).iterdir()} - {"stage.json"}
        assert {n for n in on_disk if ".sqlite" not in n} == set(info["files"])


def test_existing_and_create(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match="not a workspace"):
        Workspace.existing(tmp_path)
    created = Workspace.create(tmp_path / "a" / "b")
    assert Workspace.existing(created.root) == created
    with pytest.raises(IsrfError, match=re.escape(f"isrf.run('SRC', out='{created.root}')")):
        created.stage("reasoning").require()


def test_two_commands_do_not_write_into_one_workspace(tmp_path: Path) -> None:
    stage = Workspace.create(tmp_path / "ws").stage("dataset")
    with stage.building({}, {}, {}) as folder:
        (folder / "a.txt").write_text("first")
        with pytest.raises(IsrfError, match="another isrf command"), stage.building({}, {}, {}):
            pass
    assert stage.file("a.txt").read_text() == "first"


def test_seconds_of_a_stopped_run_count(tmp_path: Path) -> None:
    stage = Workspace.create(tmp_path / "ws").stage("dataset")
    with pytest.raises(KeyboardInterrupt), stage.building({}, {}, {}):
        time.sleep(0.3)
        raise KeyboardInterrupt
    with stage.building({}, {}, {}) as folder:
        (folder / "a.txt").write_text("whole")
    info = stage.require()
    assert info["resumed"] and info["seconds"] >= 0.3
    assert set(info["files"]) == {"a.txt"}


def test_what_is_missing_is_named_from_the_start(tmp_path: Path) -> None:
    """After an import that failed there is an empty workspace: it is no use to be told to make its graphs."""
    workspace = Workspace.create(tmp_path / "ws")
    for stage in ("graphs", "model", "dataset"):
        with pytest.raises(IsrfError, match=r"stage 'dataset' is not there yet; make it with `isrf\.run\('SRC', out="):
            workspace.stage(stage).require()
    with pytest.raises(IsrfError, match=r"log\.csv: is a file; a workspace is the folder"):
        (tmp_path / "log.csv").write_text("user,item\n")
        Workspace.existing(tmp_path / "log.csv")


def test_what_a_setting_names_counts_by_its_contents(tmp_path: Path) -> None:
    """A checkpoint that was trained anew in place is another one; a name of the hub has nothing to look at."""
    folder, file = tmp_path / "encoder", tmp_path / "spiece.model"
    folder.mkdir()
    for place, inside in ((folder, folder / "weights"), (file, file)):
        inside.write_bytes(b"one")
        before = contents_of("encoder", str(place))
        assert before == contents_of("encoder", str(place)) and list(before) == ["encoder/contents"]
        inside.write_bytes(b"trained anew")
        assert contents_of("encoder", str(place)) != before
    assert contents_of("backbone", None) == contents_of("backbone", "some-hub/t5-small") == {}


def test_a_baseline_that_does_not_fit_is_told_of_in_the_table(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large() -> None:
        raise IsrfError("too many items for this memory")

    monkeypatch.setitem(evaluate.BASELINES, "ease", too_large)
    (workspace / "evaluation" / "stage.json").unlink()
    evaluate_methods(Workspace(workspace), saved_settings(Workspace(workspace)))
    found = json.loads((workspace / "evaluation" / "metrics.json").read_text())
    assert found["left_out"] == {"ease": "too many items for this memory"}
    assert "ease is left out: too many items for this memory" in (workspace / "evaluation" / "table.md").read_text()
