"""The sizes of ``bench/scaling.py``: drawn from one log, the smaller within the larger; and what a doubling costs."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from isrf.data.dataset import Columns, Dataset

USERS, ITEMS = 40, 30


@pytest.fixture(scope="module")
def scaling() -> ModuleType:
    path = Path(__file__).parent.parent / "bench" / "scaling.py"
    spec = importlib.util.spec_from_file_location("scaling", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)

    sys.modules["scaling"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


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
    assert [size.length for size in axes["lengths"]] == [5, 10, 20]
    assert len({size.users for size in axes["lengths"]}) == 1
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
    smallest = scaling.sizes_of(dataset, seed=0)["lengths"][0]
    for (user,), rows in smallest.log.group_by(Columns.USER):
        whole = dataset.interactions.filter(pl.col(Columns.USER) == user)[Columns.ITEM].to_list()
        assert rows[Columns.ITEM].to_list() == whole[-5:]


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
