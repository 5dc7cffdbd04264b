"""The sizes of ``bench/scaling.py``: drawn from one log, the smaller within the larger; and what a doubling costs."""

from __future__ import annotations

import importlib
import itertools
import re
import sys
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from tests.commands import SMALL

from isrf.data.dataset import Columns, Dataset

USERS, ITEMS = 40, 30


@pytest.fixture(scope="module")
def scaling() -> ModuleType:
    """By its name on the path: processes that it starts find it there too."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
    try:
        return importlib.import_module("scaling")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """User u has 8 to 24 items in turn."""
    rows = [(f"u{u}", f"i{(u + step) % ITEMS}", None, step) for u in range(USERS) for step in range(8 + u % 3 * 8)]
    names = [Columns.USER, Columns.ITEM, Columns.TIME, Columns.ORDER]
    log = pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.col(Columns.TIME).cast(pl.Int64))
    catalogue = pl.DataFrame({Columns.ITEM: [f"i{i}" for i in range(ITEMS)], Columns.TITLE: ["tea"] * ITEMS})
    return Dataset("tiny", log, catalogue)


def test_each_axis_doubles_what_it_says(scaling: ModuleType, dataset: Dataset) -> None:
    axes = scaling.sizes_of(dataset, seed=0)
    assert [size.users for size in axes["users"]] == [10, 20, 40]
    assert {size.catalogue.height for size in axes["users"]} == {ITEMS}
    assert [size.catalogue.height for size in axes["items"]] == [8, 15, 30]
    assert [size.length for size in axes["lengths"]] == [4, 8, 16]
    assert len({size.users for size in axes["lengths"]}) == 1
    assert len({size.catalogue.height for size in axes["lengths"]}) == 1
    assert axes["users"][-1] is axes["items"][-1], "the whole log runs once"


def test_the_smaller_size_is_within_the_larger(scaling: ModuleType, dataset: Dataset) -> None:
    for axis, sizes in scaling.sizes_of(dataset, seed=3).items():
        for small, large in itertools.pairwise(sizes):
            pairs = [set(size.log.select(Columns.USER, Columns.ITEM).iter_rows()) for size in (small, large)]
            assert pairs[0] < pairs[1], axis


def test_nobody_is_left_with_a_handful_of_the_drawn_items(scaling: ModuleType, dataset: Dataset) -> None:
    for size in scaling.sizes_of(dataset, seed=0)["items"]:
        assert size.log.group_by(Columns.USER).len()["len"].min() >= scaling.LEAST
        assert set(size.log[Columns.ITEM]) <= set(size.catalogue[Columns.ITEM])


def test_a_cut_history_keeps_its_newest_in_order(scaling: ModuleType, dataset: Dataset) -> None:
    smallest, *_, largest = scaling.sizes_of(dataset, seed=0)["lengths"]
    for (user,), rows in smallest.log.group_by(Columns.USER):
        whole = dataset.interactions.filter(pl.col(Columns.USER) == user)[Columns.ITEM].to_list()
        assert rows[Columns.ITEM].to_list() == whole[-4:]
    assert set(largest.catalogue[Columns.ITEM]) == set(largest.log[Columns.ITEM])


def test_a_share_of_the_log_is_what_every_axis_is_drawn_from(scaling: ModuleType, dataset: Dataset) -> None:
    axes = scaling.sizes_of(dataset, seed=0, of=0.8)
    whole = axes["users"][-1]
    assert whole is axes["items"][-1] and whole.catalogue.height == 24
    assert [size.catalogue.height for size in axes["items"]] == [6, 12, 24]
    drawn = set(whole.catalogue[Columns.ITEM])
    for sizes in axes.values():
        assert all(set(size.log[Columns.ITEM]) <= drawn for size in sizes)


@pytest.mark.parametrize(
    ("sizes", "seconds", "factor"),
    [
        ([1, 2, 4], [3, 6, 12], 2.0),
        ([1, 2, 4], [1, 4, 16], 4.0),
        ([10, 20, 30], [5, 5, 5], 1.0),
        ([1, 4], [0, 1], None),
    ],
)
def test_growth_is_told_per_doubling(
    scaling: ModuleType, sizes: list[float], seconds: list[float], factor: float | None
) -> None:
    assert scaling.doubled(sizes, seconds) == (None if factor is None else pytest.approx(factor))


@pytest.fixture(scope="module")
def source(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("scaling-source")
    dataset.interactions.select(Columns.USER, Columns.ITEM).write_csv(folder / "log.csv")
    dataset.catalogue.write_csv(folder / "items.csv")
    return f"csv:{folder}"


@pytest.mark.slow  # two whole runs of the pipeline, of the bench and not of the product
def test_one_command_measures_every_stage_and_writes_the_page(
    scaling: ModuleType, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a size where nothing but the form can be right: two sizes of lengths with tiny settings."""
    monkeypatch.setattr(scaling, "LENGTHS", (8, 16))
    monkeypatch.syspath_prepend(Path(scaling.__file__).parent)
    page, sets = tmp_path / "scaling.md", [part for setting in SMALL for part in ("--set", setting)]
    words = [source, "--out", str(tmp_path / "runs"), "--of", "1", "--axes", "lengths", "--page", str(page), *sets]
    scaling.main(words)
    text = page.read_text()
    assert "- *lengths*: " in text and "- *users*: " not in text and "--axes lengths" in text
    assert "## lengths" in text and "## users" not in text and "trains one epoch" in text and "model.d_model=16" in text
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in text.splitlines() if line.startswith("| ")}
    for stage in (*scaling.STAGES, "- an epoch of it", "all"):
        assert len(rows[stage]) == 6 and all(re.fullmatch(r" [\d,.]+ ", cell) for cell in rows[stage][:2]), stage
    assert all(float(cell.replace(",", "")) > 50 for stage in scaling.STAGES for cell in rows[stage][3:5])
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("stage.json")}
    assert len(made) == 2 * len(scaling.STAGES)
    with pytest.raises(SystemExit, match="made with another seed; give a new folder"):
        scaling.main([*words, "--seed", "1"])
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_what_cannot_be_measured_is_told_before_anything_runs(
    scaling: ModuleType, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [source, "--out", str(tmp_path / "runs")]
    with pytest.raises(SystemExit, match=r"no user is left in .*take a larger log"):
        scaling.main([*words, "--of", "0.1"])
    for wrong, told in ((["--axes", "users,lenghts"], "there are users, items, lengths"), (["--of", "0"], "a share")):
        with pytest.raises(SystemExit):
            scaling.main([*words, *wrong])
        assert told in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
