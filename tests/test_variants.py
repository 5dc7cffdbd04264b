"""Variants: which settings they have, what they borrow, and that borrowing never changes what it borrows from."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.commands import artifacts, stage_info

from isrf.core.config import load_settings
from isrf.core.errors import IsrfError
from isrf.pipeline.variants import UPSTREAM, VARIANTS, borrow, folder_name, trained, variant_settings
from isrf.reasoning.answers.store import open_store
from isrf.workspace.layout import ANSWERS_FILE, SETTINGS_FILE, VARIANTS_FOLDER
from isrf.workspace.workspace import Workspace

pytestmark = pytest.mark.usefixtures("shell")

AS_BY_DEFAULT = {"tiger": {"model.templates"}}
"""Settings of a variant that a workspace of the default preset has already: they undo those of others."""

NAMES = st.text(min_size=1, max_size=200)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_changes_something_and_nothing_else(name: str, untrained: Path) -> None:
    before = load_settings(base=untrained / SETTINGS_FILE).model_dump()
    after = variant_settings(Workspace(untrained), name).model_dump()
    changed = {f"{room}.{k}" for room in before for k in before[room] if before[room][k] != after[room][k]}
    told = {setting.partition("=")[0] for setting in VARIANTS[name]}
    assert changed and changed == told - AS_BY_DEFAULT.get(name, set())


def test_settings_behind_a_name_come_on_top_and_the_seed_last(untrained: Path) -> None:
    found = variant_settings(Workspace(untrained), "isrf-nogroup@graphs.tau=0.5@training.seed=3", seed=7)
    assert (found.model.group, found.graphs.tau, found.training.seed) == ("none", 0.5, 7)
    assert found.training.epochs == 2, "all else is the workspace's own"
    with pytest.raises(IsrfError, match=r"--methods isrf@graphs.tau=high: setting graphs.tau='high'"):
        variant_settings(Workspace(untrained), "isrf@graphs.tau=high")


@given(NAMES)
def test_a_folder_name_is_one_that_every_file_system_takes(label: str) -> None:
    name = folder_name(label)
    assert re.fullmatch(r"[A-Za-z0-9@._=+-]{1,109}", name)
    assert folder_name(label) == name


@given(NAMES, NAMES)
def test_different_variants_have_different_folders(one: str, other: str) -> None:
    assert (folder_name(one) == folder_name(other)) == (one == other)


def test_settings_that_are_the_workspaces_own_need_no_variant(untrained: Path, tmp_path: Path) -> None:
    workspace = Workspace(Path(shutil.copytree(untrained, tmp_path / "ws")))
    own = variant_settings(workspace, "isrf@graphs.tau=0.8")  # what it has anyway
    assert trained(workspace, "isrf@graphs.tau=0.8", own) == workspace
    assert workspace.stage("model").info() and not (workspace.root / VARIANTS_FOLDER).exists()


def test_two_names_for_the_same_settings_are_trained_once(
    untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(Path(shutil.copytree(untrained, tmp_path / "ws")))
    homes = []
    for label in ("isrf-nopropagation", "isrf@graphs.layers=0", "isrf-nopropagation"):
        homes.append(trained(workspace, label, variant_settings(workspace, label)))
    assert homes[0] == homes[1] == homes[2]
    assert [path.name for path in (workspace.root / VARIANTS_FOLDER).iterdir()] == ["isrf-nopropagation"]
    assert capsys.readouterr().err.count("has the settings of isrf-nopropagation") == 1
    (homes[0].root / SETTINGS_FILE).write_text("nobody: knows this\n")  # one that cannot be read is in nobody's way
    other = trained(workspace, "isrf@graphs.layers=0", variant_settings(workspace, "isrf@graphs.layers=0"))
    assert other.root.name == "isrf@graphs.layers=0"


def test_a_variant_leaves_the_workspace_as_it_was(untrained: Path, tmp_path: Path) -> None:
    """Its own semantics and graphs take the place of links, not of what they link to."""
    workspace = Workspace(Path(shutil.copytree(untrained, tmp_path / "ws")))
    before = artifacts(workspace.root, [*UPSTREAM])
    home = Workspace.create(workspace.root / VARIANTS_FOLDER / "v")
    borrow(workspace, home, load_settings(base=workspace.root / SETTINGS_FILE))  # everything, then something else
    assert artifacts(home.root, [*UPSTREAM]) == before
    made = trained(workspace, "v", variant_settings(workspace, "isrf-nosemantics"))
    assert made == home and stage_info(home.root, "semantics")["settings"]["item_text"] == "none"
    for stage, files in ((s, workspace.stage(s).require()["files"]) for s in UPSTREAM):
        assert all(workspace.stage(stage).file(name) for name in files), "its bytes are what they were"
    assert artifacts(workspace.root, [*UPSTREAM]) == before


def test_where_files_cannot_be_linked_they_are_copied(untrained: Path, tmp_path: Path) -> None:
    """Variants on another file system."""
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    workspace = Workspace(Path(shutil.copytree(untrained, tmp_path / "ws")))
    other = elsewhere / f"isrf-test-variants-{os.getpid()}"
    other.mkdir()
    try:
        (workspace.root / VARIANTS_FOLDER).symlink_to(other)
        home = Workspace.create(workspace.root / VARIANTS_FOLDER / "v")
        borrow(workspace, home, load_settings(base=workspace.root / SETTINGS_FILE))
        assert artifacts(home.root, [*UPSTREAM]) == artifacts(workspace.root, [*UPSTREAM])
        assert not (home.root / "graphs" / "graphs.npz").samefile(workspace.root / "graphs" / "graphs.npz")
        assert (home.root / "semantics" / "vectors.sqlite").samefile(workspace.root / "semantics" / "vectors.sqlite")
    finally:
        shutil.rmtree(other)


def test_a_store_that_is_not_there_yet_is_shared_too(untrained: Path, tmp_path: Path) -> None:
    """Answers that a variant pays for belong to the workspace: the next variant finds them."""
    workspace = Workspace(Path(shutil.copytree(untrained, tmp_path / "ws")))
    variant = Workspace.create(tmp_path / "ws" / VARIANTS_FOLDER / "one")
    borrow(workspace, variant, variant_settings(workspace, "isrf-nogroup"))
    store = variant.stage("reasoning").folder / ANSWERS_FILE
    assert store.is_symlink() and not store.exists()
    with open_store(store) as answers:
        assert not len(answers)
    assert (workspace.stage("reasoning").folder / ANSWERS_FILE).is_file()


def test_a_variant_keeps_no_file_that_its_workspace_has_not(untrained: Path, tmp_path: Path) -> None:
    """Those of people after a date would be read with a split that has none."""
    workspace = Workspace(Path(shutil.copytree(untrained, tmp_path / "ws")))
    home = Workspace.create(tmp_path / "ws" / VARIANTS_FOLDER / "one")
    settings = variant_settings(workspace, "isrf-nogroup")
    borrow(workspace, home, settings)
    folder = home.stage("dataset").folder
    (folder / "later.parquet").write_bytes(b"of an earlier split")
    (folder / "stage.json").write_text((folder / "stage.json").read_text().replace('"key": "', '"key": "0'))
    borrow(workspace, home, settings)
    assert not (folder / "later.parquet").exists() and artifacts(home.root, UPSTREAM) == artifacts(
        workspace.root, UPSTREAM
    )
    assert home.stage("semantics").folder.joinpath("vectors.sqlite").exists()
