"""Pinned assets: fetched once through pip, checked, complete or absent, offline afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from isrf.core import assets
from isrf.core.errors import IsrfError

SMALL = "ml-100k"


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that two processes filled at the same moment."""
    folder = tmp_path_factory.mktemp("cache")
    code = f"from isrf.core import assets; print(assets.fetch({SMALL!r}))"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "ISRF_CACHE": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    return folder


@pytest.fixture
def cache(filled_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISRF_CACHE", str(filled_cache))
    return filled_cache


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that reaches no package index."""
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", ""), ("PIP_CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(name, value)


def test_two_processes_leave_one_whole_asset_and_nothing_else(cache: Path) -> None:
    assert [path.name for path in cache.iterdir()] == ["ml-100k-1.2.1"]
    assert assets.available(SMALL)


def test_the_files_are_the_data_set(cache: Path) -> None:
    folder = assets.fetch(SMALL)
    assert sorted(path.name for path in folder.iterdir()) == ["ml-100k.inter", "ml-100k.item", "ml-100k.user"]
    log = (folder / "ml-100k.inter").read_text().splitlines()
    assert log[0].startswith("user_id:token\titem_id:token")
    assert len(log) == 100_001


def test_a_fetched_asset_needs_no_index(cache: Path, no_index: None) -> None:
    assert assets.fetch(SMALL).is_dir()


def test_without_an_index_one_line_says_what_to_do(
    tmp_path: Path, no_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISRF_CACHE", str(tmp_path))
    assert not assets.available(SMALL)
    with pytest.raises(IsrfError, match=r"cannot download recbole==1\.2\.1.*ISRF_CACHE") as caught:
        assets.fetch(SMALL)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir()), "nothing half done is left"


def test_another_digest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISRF_CACHE", str(tmp_path))
    monkeypatch.setitem(assets.ASSETS, SMALL, replace(assets.ASSETS[SMALL], sha256="0" * 64))
    with pytest.raises(IsrfError, match="SHA-256"):
        assets.fetch(SMALL)
    assert not any(tmp_path.iterdir())


def test_a_cache_with_a_missing_file_is_filled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISRF_CACHE", str(tmp_path))
    folder = assets.fetch(SMALL)
    (folder / "ml-100k.item").unlink()
    assert not assets.available(SMALL)
    assert (assets.fetch(SMALL) / "ml-100k.item").is_file()


def test_a_cache_that_is_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("not a folder")
    monkeypatch.setenv("ISRF_CACHE", str(tmp_path / "cache"))
    with pytest.raises(IsrfError, match="set ISRF_CACHE"):
        assets.fetch(SMALL)


def test_an_unknown_asset_names_the_known_ones() -> None:
    with pytest.raises(IsrfError, match="minilm, smollm2, ml-100k"):
        assets.fetch("minillm")


def test_a_file_of_the_cache_that_is_damaged_is_fetched_again(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A byte that flips in a sentence encoder would change every vector without a word."""
    shutil.copytree(cache, tmp_path / "cache")
    monkeypatch.setenv("ISRF_CACHE", str(tmp_path / "cache"))
    file = assets.fetch(SMALL) / "ml-100k.inter"
    whole = file.read_bytes()
    file.write_bytes(whole[:-3] + b"7" + whole[-2:])
    assert (assets.fetch(SMALL) / "ml-100k.inter").read_bytes() == whole
    assert "damaged" in capsys.readouterr().err
