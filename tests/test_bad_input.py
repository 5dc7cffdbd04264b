"""What users really give the command line: exit code 2, one clear line, no traceback, and nothing that was made is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.commands import (
    Outcome,
    artifacts,
    done,
    full_disk,
    installed,
    isrf,
    refused,
    run_small,
    settings,
    small_log,
    stage_info,
    without_privileges,
    write_source,
)

from isrf.workspace.layout import STAGES

HEADER = "user_id,item_id,timestamp"
ROWS = [f"{user},{item},{1_400_000_000 + t}" for user, log in small_log().items() for t, item in enumerate(log)]


def edited(folder: Path, content: bytes | str, name: str = "log.csv") -> str:
    """The small source with one file replaced."""
    write_source(folder, small_log())
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return f"csv:{folder}"


def table(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


SOURCES: dict[str, tuple[Callable[[Path], str], tuple[str, ...]]] = {
    "missing file": (lambda f: str(f / "none.csv"), ("none.csv", "no such file")),
    "empty file": (lambda f: edited(f, ""), ("log.csv", "empty")),
    "no rows": (lambda f: edited(f, table()), ("log.csv", "no rows")),
    "wrong delimiter": (
        lambda f: edited(f, table(*ROWS).replace(",", "^")),
        ("log.csv", "one column", "'^' seems right", "data.separator"),
    ),
    "missing column": (
        lambda f: edited(f, table(*ROWS, header="user_id,thing,timestamp")),
        ("log.csv", "thing", "data.item_column"),
    ),
    "unparsable time": (
        lambda f: edited(f, table(*ROWS[:5], "u9,tea-1,soon")),
        ("log.csv", "row 7", "timestamp", "soon"),
    ),
    "not UTF-8": (lambda f: edited(f, table(*ROWS).replace("u7,", "ü7,").encode("latin-1")), ("log.csv", "UTF-8")),
    "duplicate item ids": (
        lambda f: edited(f, "item_id,title\ntea-1,Tea\ntea-1,Coffee\n", "items.csv"),
        ("items.csv", "row 3", "'tea-1'"),
    ),
    "catalogue of other ids": (
        lambda f: edited(f, "item_id,title\nB1,Tea\nB2,Coffee\n", "items.csv"),
        ("items.csv", "shares no item id", "'B1'"),
    ),
    "unknown format": (lambda f: str(shutil.copy(write_source(f, small_log())[4:] + "/log.csv", f / "log.xyz")), ("csv:",)),
    "folder without data": (lambda f: str(f), ("format",)),
}  # fmt: skip


@pytest.mark.parametrize("what", SOURCES)
def test_bad_source(what: str, tmp_path: Path, workspace: Path) -> None:
    """The same line from `run` and `data describe`; a workspace that was there still answers."""
    make, words = SOURCES[what]
    (tmp_path / "bad").mkdir()
    source = make(tmp_path / "bad")
    before = artifacts(workspace, STAGES)
    line = refused(run_small(source, workspace), *words)
    assert artifacts(workspace, STAGES) == before
    done(isrf("recommend", workspace, "--user", "u1"))
    assert refused(isrf("data", "describe", source, "--set", "data.min_interactions=0")) == line


def test_missing_catalogue(source: str, tmp_path: Path) -> None:
    refused(run_small(source, tmp_path / "ws", "--items", tmp_path / "none.csv"), "none.csv", "no such file")


def test_no_user_with_enough_interactions(tmp_path: Path) -> None:
    """Two interactions a user: nothing can be held out, which is said; of a 5-core nothing is left at all."""
    source = edited(tmp_path / "src", table(*(f"u{n},tea-{n + k},{k}" for n in range(9) for k in (0, 1))))
    assert "leave-one-out needs users with 3 interactions" in done(run_small(source, tmp_path / "ws", "--no-train")).err
    core = ("--set", "data.min_interactions=5")
    refused(isrf("run", "--data", source, "--out", tmp_path / "core", *core), "min_interactions")


def test_audit_where_nothing_can_be_held_out(tmp_path: Path) -> None:
    source = edited(tmp_path / "src", table(*(f"u{n},tea-{n + k},{k}" for n in range(9) for k in (0, 1))))
    refused(isrf("audit", source, "--set", "data.min_interactions=0"), "3 interactions", "longer histories")


def test_bad_rows_can_be_set_aside(tmp_path: Path) -> None:
    source = edited(tmp_path / "src", table(*ROWS, "u9,tea-1,soon"))
    ws = tmp_path / "ws"
    done(isrf("data", "import", source, "--out", ws, "--on-bad-row", "skip", *settings()))
    assert "soon" in (ws / "dataset" / "rejected.csv").read_text()


def test_odd_input_that_is_no_error(tmp_path: Path) -> None:
    """A user with two interactions, an item without any text, a catalogue item nobody bought: kept, and counted."""
    folder = tmp_path / "src"
    source = edited(folder, table(*ROWS, "short,tea-1,1", "short,blank,2"))
    with (folder / "items.csv").open("a") as catalogue:
        catalogue.write("blank,,,\nnever,Never bought,,\n")
    ws = tmp_path / "ws"
    done(run_small(source, ws, "--no-train"))
    told = done(isrf("data", "describe", source, *settings())).out
    counted = {cells[1].strip(): cells[2].strip() for line in told.splitlines() if len(cells := line.split("│")) == 4}
    assert counted["users with fewer than 3 interactions (not evaluated)"] == "1"
    assert counted["items without any text"] == "1"
    assert counted["catalogue items never bought (kept as candidates)"] == "1"
    for person in (("--user", "short"), ("--history", "blank"), ("--history", "never")):
        rows = json.loads(done(isrf("recommend", ws, *person, "--format", "json")).out)
        assert len(rows) == 10


def test_log_without_any_catalogue(tmp_path: Path) -> None:
    """No text at all: individual transitions and popularity are left, and they recommend."""
    file = tmp_path / "log.csv"
    file.write_text(table(*ROWS))
    done(run_small(file, tmp_path / "ws"))
    rows = json.loads(done(isrf("recommend", tmp_path / "ws", "--user", "u0", "--format", "json")).out)
    assert len(rows) == 10
    done(isrf("inspect", tmp_path / "ws", "--user", "u0"))


SETTINGS = {
    "graphs.tau=1.5": ("graphs.tau", "1.5", "less than or equal to 1"),
    "graphs.tau=-1.01": ("graphs.tau", "greater than or equal to -1"),
    "graphs.tau=high": ("graphs.tau", "'high'", "number"),
    "graphs.tua=0.7": ("'graphs.tua'", "did you mean graphs.tau?"),
    "graph.tau=0.7": ("graph", "rooms are", "graphs"),
    "tau=0.7": ("room.name=value",),
    "graphs.tau": ("room.name=value",),
    "graphs.tau=[": ("graphs.tau", "valid number"),
    "graphs.tau=": ("graphs.tau", "number"),
    "model.heads=3": ("model.d_model", "multiple of model.heads"),
    "reasoning.supplier=oracle": ("reasoning.supplier", "'attributes'"),
    "reasoning.budget=much": ("much", "2min"),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_bad_setting(setting: str, source: str, tmp_path: Path) -> None:
    """Found before anything is made."""
    refused(run_small(source, tmp_path / "ws", chosen=[setting]), *SETTINGS[setting])
    assert not (tmp_path / "ws").exists()


def test_bad_config_and_preset(source: str, tmp_path: Path) -> None:
    def refuse(text: str, *words: str) -> None:
        (tmp_path / "c.yaml").write_text(text)
        refused(run_small(source, tmp_path / "ws", "--config", tmp_path / "c.yaml"), *words)

    refuse("graphs: {tau: 0.7", "c.yaml", "YAML")
    refuse("graphs:\n  tauu: 0.7\n", "graphs.tauu", "graphs.tau?")
    refuse("graphs: 0.7\n", "graphs")
    refuse("- graphs\n", "rooms with names")
    refused(run_small(source, tmp_path / "ws", "--config", tmp_path / "none.yaml"), "none.yaml", "no such file")
    refused(run_small(source, tmp_path / "ws", "--preset", "turbo"), "turbo", "fast")
    assert not (tmp_path / "ws").exists()


def test_bad_words_of_the_command_line(finished: Path) -> None:
    refused(isrf("recomend", finished), "recomend")
    refused(isrf("recommend", finished, "--tpo", "3"), "--tpo")
    refused(isrf("recommend", finished, "--top", "many"), "--top")
    refused(isrf("recommend", finished, "--task", "xr"), "xr")
    refused(isrf("run", "--out", finished), "--data")
    refused(isrf("recommend"), "WS")
    for group in ((), ("data",)):
        outcome = isrf(*group)
        assert outcome.code == 2 and "Usage:" in outcome.out and "Traceback" not in outcome.err


def test_unknown_people_and_items(finished: Path, tmp_path: Path) -> None:
    refused(isrf("recommend", finished, "--user", "nobody"), "'nobody'", "--history")
    refused(isrf("inspect", finished, "--user", "nobody"), "'nobody'")
    refused(isrf("recommend", finished, "--history", "tea-1,coffee-1"), "'coffee-1'", "catalogue")
    for history in ("", " , "):
        refused(isrf("recommend", finished, "--history", history), "--history names no item")
        refused(isrf("inspect", finished, "--history", history), "--history names no item")
    for person in (("--user", "nobody"), ("--history", "coffee-1")):
        line = refused(isrf("recommend", finished, *person), "data.min_interactions=0", "isrf run")
        assert "comma" not in line, "no id here holds one"
    for history in ("tea-1;tea-2", "tea-1 | tea-2", "tea-1 tea-2"):
        refused(isrf("recommend", finished, "--history", history), "separated by commas", "--history tea-1,tea-2")
    refused(isrf("recommend", finished, "--history", "tea-1\ntea-2"), "--history", "one line")
    refused(isrf("inspect", finished), "one person")
    refused(isrf("inspect", finished, "--user", "u1", "--user", "u2"), "one person")


def test_bad_questions(finished: Path, tmp_path: Path) -> None:
    for top in (0, -3):
        refused(isrf("recommend", finished, "--user", "u1", "--top", top), "--top", "at least 1")
        refused(isrf("inspect", finished, "--user", "u1", "--top", top), "--top", "at least 1")
    refused(isrf("recommend", finished, "--format", "parquet"), "--output FILE")
    refused(isrf("recommend", finished, "--user", "u1", "--method", "oracle"), "oracle", "isrf-graph")


@pytest.mark.parametrize("format", ["table", "json", "parquet"])
def test_output_that_cannot_be_written(format: str, finished: Path, tmp_path: Path) -> None:
    def write(to: Path) -> Outcome:
        return isrf("recommend", finished, "--user", "u1", "--format", format, "--output", to)

    refused(write(tmp_path / "none" / "file"), "none", "folder")
    refused(write(tmp_path), str(tmp_path), "folder")
    assert list(tmp_path.iterdir()) == []


def test_no_workspace(tmp_path: Path) -> None:
    for command in ("reason", "embed", "graph", "train", "evaluate", "recommend"):
        refused(isrf(command, tmp_path / "none"), "none: not a workspace", "isrf run")
    refused(isrf("inspect", tmp_path, "--user", "u1"), "not a workspace")


def test_stage_that_is_not_there_yet(source: str, tmp_path: Path) -> None:
    """Each names the command that makes the first that is missing."""
    ws = tmp_path / "ws"
    done(isrf("data", "import", source, "--out", ws, *settings()))
    asked = (("embed", ws), ("graph", ws), ("train", ws), ("evaluate", ws), ("recommend", ws, "--user", "u1"))
    for command in asked:
        refused(isrf(*command), "isrf reason")
    done(isrf("reason", ws))
    for command in asked[1:]:
        refused(isrf(*command), "isrf embed")


def test_method_that_is_not_there_yet(untrained: Path) -> None:
    refused(isrf("recommend", untrained, "--user", "u1", "--method", "isrf"), "isrf train")


def test_out_that_is_no_folder_for_a_workspace(source: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    refused(run_small(source, file), "is a file", "--out")
    refused(run_small(source, file / "ws"), "file", "--out")
    refused(run_small(source, tmp_path), "other files", "--out")
    assert [p.name for p in tmp_path.iterdir()] == ["file"] and file.read_text() == "mine"


def test_folder_that_may_not_be_written(source: str, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    refused(run_small(source, closed, obstacles=[without_privileges]), "closed", "--out")
    refused(run_small(source, closed / "ws", obstacles=[without_privileges]), "closed", "--out")
    assert not list(closed.iterdir())


def test_workspace_that_may_not_be_written(source: str, workspace: Path) -> None:
    """Stages that are finished can still be asked; one that has to be made says what it may not write."""
    done(isrf("recommend", workspace, "--user", "u1", obstacles=[without_privileges]))
    (workspace / "graphs" / "stage.json").unlink()
    (workspace / "graphs").chmod(0o555)
    refused(run_small(source, workspace, obstacles=[without_privileges]), "graphs", "permissions")


def test_file_that_may_not_be_read(tmp_path: Path) -> None:
    source = write_source(tmp_path / "src", small_log())
    (tmp_path / "src" / "log.csv").chmod(0)
    refused(run_small(source, tmp_path / "ws", obstacles=[without_privileges]), "log.csv", "permissions")


@pytest.mark.parametrize("stage", STAGES)
def test_workspace_of_another_version(stage: str, source: str, workspace: Path) -> None:
    file = workspace / stage / "stage.json"
    info = json.loads(file.read_text())
    file.write_text(json.dumps(info | {"format": 99, "versions": {"isrf": "7.0"}}))
    refused(run_small(source, workspace), str(file), "isrf 7.0", "format 99", "--out NEW")
    if stage not in ("ranking", "evaluation"):  # those `isrf` does not read
        refused(isrf("recommend", workspace, "--user", "u1"), str(file), "format 99")
    file.write_text(json.dumps(info))
    done(isrf("recommend", workspace, "--user", "u1"))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '"x"', "\xff"])
def test_unreadable_stage_file(content: str, source: str, workspace: Path) -> None:
    (workspace / "graphs" / "stage.json").write_bytes(content.encode("latin-1"))
    refused(run_small(source, workspace), "graphs/stage.json", "delete")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["one", "every file"])
@pytest.mark.parametrize("stage", STAGES)
def test_damaged_artifact(stage: str, every: bool, source: str, workspace: Path, finished: Path) -> None:
    """Every file of the stage is checked; what the line tells one to do makes the workspace whole again.

    A flipped byte of the stage's last file; of each of them in the slow tier, and in the other in ``test_damage``.
    """
    names = list(stage_info(workspace, stage)["files"])
    damages: list[tuple[Callable[[Path], None], str]] = [(cut, names[0]), (Path.unlink, names[0])]
    for damage, name in [*((flip, name) for name in (names if every else names[-1:])), *damages]:
        file = workspace / stage / name
        whole = file.read_bytes()
        damage(file)
        line = refused(run_small(source, workspace), str(file), "delete")
        assert ("missing" if damage is Path.unlink else "corrupted") in line
        file.write_bytes(whole)
    cut(workspace / stage / names[0])
    (workspace / stage / "stage.json").unlink()
    done(run_small(source, workspace))
    assert artifacts(workspace) == artifacts(finished)


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("dataset", "items.parquet"),
        ("dataset", "train.parquet"),
        ("reasoning", "items.parquet"),
        ("semantics", "semantics.npz"),
        ("graphs", "graphs.npz"),
        ("graphs", "moments.npz"),
        ("model", "generator.safetensors"),
        ("model", "fusion.json"),
    ],
)
def test_damage_is_noticed_where_it_is_read(stage: str, name: str, workspace: Path) -> None:
    flip(workspace / stage / name)
    refused(isrf("recommend", workspace, "--user", "u1"), f"{stage}/{name}", "corrupted")


def test_damaged_settings(workspace: Path) -> None:
    (workspace / "settings.yaml").write_text("graphs: {tau: ")
    refused(isrf("recommend", workspace, "--user", "u1"), "settings.yaml", "YAML")


@pytest.mark.parametrize("at", [0, 5000], ids=["header", "page"])
def test_damaged_cache_of_vectors(at: int, source: str, workspace: Path) -> None:
    """Vectors are only a cache: the line says to delete it, and then everything is made anew."""
    cache = workspace / "semantics" / "vectors.sqlite"
    with closing(sqlite3.connect(cache)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode=DELETE")
    content = cache.read_bytes()
    cache.write_bytes(content[:at] + b"\xff" * max(len(content) - at, 4096))
    (workspace / "semantics" / "stage.json").unlink()
    refused(run_small(source, workspace), "vectors.sqlite", "delete")
    cache.unlink()
    done(run_small(source, workspace))


ROOM_LEFT = {
    "dataset": 1500,
    "reasoning": 3000,
    "semantics": 300_000,
    "graphs": 100_000,
    "ranking": 1300,
    "model": 100_000,
    "evaluation": 5000,
}
"""Bytes that fit the files before the one that is to fail in a stage."""


@pytest.mark.parametrize("stage", STAGES)
def test_full_disk(stage: str, source: str, workspace: Path, finished: Path) -> None:
    """Whatever the library that was writing calls it: one line, and with room the same command finishes."""
    made = [s for s in STAGES if s != stage]
    before = artifacts(workspace, made)
    (workspace / stage / "stage.json").unlink()
    refused(run_small(source, workspace, obstacles=[full_disk(ROOM_LEFT[stage])]), "space and run again")
    assert artifacts(workspace, made) == before
    done(run_small(source, workspace))
    assert artifacts(workspace) == artifacts(finished)


@pytest.mark.parametrize("room", [64, 1500, *(pytest.param(room, marks=pytest.mark.slow) for room in (4, 600))])
def test_real_full_disk(room: int, source: str, tmp_path: Path, finished: Path) -> None:
    """A disk of so many kilobytes, where one can be mounted; made larger, the same command finishes."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(*options: str) -> bool:
        command = ["mount", *options, "-t", "tmpfs", "tmpfs", str(disk)]
        return bool(shutil.which("mount")) and subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not mount("-o", f"size={room}k"):
        pytest.skip("no disk may be mounted here; test_full_disk limits the size of files instead")
    try:
        refused(run_small(source, disk / "ws"), "space and run again")
        assert mount("-o", "remount,size=20m")
        done(run_small(source, disk / "ws"))
        assert artifacts(disk / "ws") == artifacts(finished)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_for_answers(finished: Path, tmp_path: Path) -> None:
    for format in ("json", "parquet", "table"):
        to = ("--format", format, "--output", tmp_path / "file")
        refused(isrf("recommend", finished, *to, obstacles=[full_disk(4000)]), "space and run again")
        assert not (tmp_path / "file").exists(), "half an answer"


def test_debug_shows_the_traceback(finished: Path) -> None:
    outcome = isrf("--debug", "recommend", finished, "--user", "nobody")
    assert outcome.code == 2 and "Traceback" in outcome.err and "ids.py" in outcome.err


def test_the_installed_command_refuses_alike(tmp_path: Path) -> None:
    """From a cold start, as a shell runs it."""
    outcome = installed("run", "--data", tmp_path / "none.csv", "--out", tmp_path / "ws")
    refused(outcome, "none.csv: no such file")
    assert outcome.err.count("\n") == 1 and not outcome.out
    assert not list(tmp_path.iterdir())
