"""Workspaces that cannot be written to: what only looks works there, and says what it does not keep."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.commands import done, isrf, refused, with_charts, without_privileges

from isrf.core import sqlite_reading
from isrf.core.config import SemanticsSettings
from isrf.core.sqlite_reading import reading
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.rows import Origin
from isrf.reasoning.answers.store import open_store, read_store
from isrf.semantics.encode import VectorCache

LOOKS: dict[str, list[str]] = {
    "report of reasons": ["reason", "WS", "--report"],
    "estimate": ["reason", "WS", "--estimate", "--supplier", "local"],
    "audit": ["audit", "WS"],
    "recommend": ["recommend", "WS", "--user", "u1"],
    "inspect": ["inspect", "WS", "--user", "u1"],
    "bridges": ["inspect", "WS", "--find", "bridges"],
    "card": ["inspect", "WS", "--card"],
    "describe": ["data", "describe", "WS"],
}
NOT_KEPT = ("audit", "bridges", "report of reasons")


@pytest.fixture(scope="module")
def shut(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The finished workspace with answers of an LLM, in a folder of an odd name, that nobody may write to."""
    workspace = tmp_path_factory.mktemp("read only") / "ws #1?%41"
    shutil.copytree(finished, workspace)
    with open_store(workspace / "reasoning" / "answers.sqlite") as store:
        store.put("0" * 64, Completion("{}", "", False, 1, 1, 0), Origin("openai", "m", "item", "likes", "v", 1.0))
    places = [workspace, *workspace.rglob("*")]
    modes = {place: stat.S_IMODE(place.stat().st_mode) for place in places}
    for place in places:
        place.chmod(modes[place] & ~0o222)
    yield workspace
    for place, mode in modes.items():
        place.chmod(mode)


@pytest.mark.parametrize("command", LOOKS)
def test_what_only_looks_works(command: str, shut: Path) -> None:
    if command == "estimate":
        pytest.importorskip("xllamacpp")
    before = sorted(shut.rglob("*"))
    args = [str(shut) if part == "WS" else part for part in LOOKS[command]]
    outcome = done(isrf(*args, obstacles=[without_privileges]))
    assert outcome.out and sorted(shut.rglob("*")) == before
    told = [line for line in outcome.err.splitlines() if "not kept" in line]
    assert len(told) == (command in NOT_KEPT), outcome.err


def test_a_report_is_written_elsewhere(shut: Path, tmp_path: Path) -> None:
    refused(isrf("report", shut, obstacles=[with_charts, without_privileges]), "report.html", "--output")
    done(isrf("report", shut, "--output", tmp_path / "r.html", obstacles=[with_charts, without_privileges]))
    assert (tmp_path / "r.html").stat().st_size > 10_000


def test_answers_are_given_to_others_from_there(shut: Path, tmp_path: Path) -> None:
    done(isrf("reason", shut, "--export", tmp_path / "a.parquet", obstacles=[without_privileges]))
    assert (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize("name", ["a.sqlite", "a#b.sqlite", "a?mode=rwc.sqlite", "a%20b.sqlite", "ünï cøde.sqlite"])
@pytest.mark.parametrize("writable", [True, False])
def test_a_file_of_any_name_is_read_and_nothing_is_left(
    name: str, writable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (7)")
    db.close()
    monkeypatch.setattr(sqlite_reading, "can_write", lambda file: writable)
    with reading(path) as found:
        assert found.execute("SELECT x FROM t").fetchall() == [(7,)]
        with pytest.raises(sqlite3.OperationalError):
            found.execute("INSERT INTO t VALUES (8)")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_answers_in_a_log_that_was_not_written_back_are_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a killed run leaves them: the file alone would lack them."""
    path, copy = tmp_path / "a.sqlite", tmp_path / "copy"
    copy.mkdir()
    with open_store(path) as store:
        for n in range(3):
            given = Completion(str(n), "", False, 1, 1, 0)
            store.put(f"{n:064d}", given, Origin("openai", "m", "item", "likes", "v", 1.0))
        for file in (path, Path(f"{path}-wal")):
            shutil.copyfile(file, copy / file.name)
    assert (copy / "a.sqlite-wal").stat().st_size
    monkeypatch.setattr(sqlite_reading, "can_write", lambda file: False)
    with read_store(copy / "a.sqlite") as store:
        assert len(store) == 3
    assert sorted(file.name for file in copy.iterdir()) == ["a.sqlite", "a.sqlite-wal"]


def test_vectors_that_cannot_be_kept_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.sqlite"
    cache = VectorCache(path)
    cache.put([(b"known", np.ones(4, dtype=np.float32))])
    cache.close()
    monkeypatch.setattr("isrf.semantics.vector_store.can_write", lambda file: False)
    cache = VectorCache(path)
    cache.put([(b"new", np.zeros(4, dtype=np.float32))])
    assert list(cache.get([b"known", b"new"])) == [b"known"] and SemanticsSettings().encoder
    cache.close()
    absent = VectorCache(tmp_path / "none.sqlite")
    assert absent.get([b"known"]) == {} and not (tmp_path / "none.sqlite").exists()
    absent.close()
