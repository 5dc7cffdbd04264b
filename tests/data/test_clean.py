"""Cleaning: duplicates, repeats, the k-core and the catalogue, each on an example with a known answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.config import DataSettings
from isrf.data.clean import k_core
from isrf.data.dataset import Columns
from isrf.data.describe import describe
from isrf.data.readers.registry import read_dataset


def naive_core(pairs: list[tuple[int, int]], k: int) -> list[bool]:
    """The k-core by its definition: drop one poor user or item at a time until there is none."""
    alive = [True] * len(pairs)
    while True:
        poor = None
        for side in (0, 1):
            for code in {p[side] for p, a in zip(pairs, alive, strict=True) if a}:
                if sum(a and p[side] == code for p, a in zip(pairs, alive, strict=True)) < k:
                    poor = (side, code)
        if poor is None:
            return alive
        alive = [a and p[poor[0]] != poor[1] for p, a in zip(pairs, alive, strict=True)]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), unique=True, max_size=50), st.integers(0, 4))
def test_k_core_is_the_fixed_point(pairs: list[tuple[int, int]], k: int) -> None:
    users, items = (np.array([p[side] for p in pairs], dtype=np.uint32) for side in (0, 1))
    assert k_core(users, items, k).tolist() == naive_core(pairs, k)


def test_k_core_runs_until_nothing_changes(tmp_path: Path) -> None:
    """A chain u1-i1-u2-i2-...: each drop makes the next one poor, so a single pass would leave most of it."""
    rows = [row for n in range(50) for row in (f"u{n},i{n}", f"u{n + 1},i{n}")]
    core = ["a,x", "a,y", "b,x", "b,y"]
    (tmp_path / "log.csv").write_text("\n".join(["user,item", *rows, *core]))
    dataset = read_dataset(str(tmp_path / "log.csv"), None, DataSettings(min_interactions=2))
    assert dataset.interactions.select(Columns.USER, Columns.ITEM).rows() == [
        ("a", "x"),
        ("a", "y"),
        ("b", "x"),
        ("b", "y"),
    ]
    assert dataset.counts["interactions under k dropped"] == 100
    assert dataset.counts["users under k dropped"] == 51 and dataset.counts["items under k dropped"] == 50


def test_duplicates_and_repeats(tmp_path: Path) -> None:
    """The same moment twice is a duplicate; a later one is a repeat, and the earliest is kept."""
    (tmp_path / "log.csv").write_text("user,item,time\na,x,30\na,y,20\na,x,10\na,x,10\n")
    dataset = read_dataset(str(tmp_path / "log.csv"), None, DataSettings(min_interactions=0))
    rows = dataset.interactions.select(Columns.ITEM, Columns.TIME).rows()
    assert rows == [("x", 10_000), ("y", 20_000)]
    assert dataset.counts["exact duplicates dropped"] == 1
    assert dataset.counts["repeat interactions dropped (earliest kept)"] == 1


def test_items_never_bought_stay_candidates_only_without_a_core(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\na,x\nb,x\na,y\n")
    (tmp_path / "items.csv").write_text("item,title\nx,X\ny,Y\nz,Z\n")
    kept = read_dataset(str(tmp_path), None, DataSettings(min_interactions=0))
    assert kept.catalogue[Columns.ITEM].to_list() == ["x", "y", "z"]
    assert kept.counts["catalogue items never bought (kept as candidates)"] == 1
    core = read_dataset(str(tmp_path), None, DataSettings(min_interactions=1))
    assert core.catalogue[Columns.ITEM].to_list() == ["x", "y"]
    assert core.counts["catalogue items never bought (left out)"] == 1


def test_describe_names_columns_and_every_count(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,date\na,x,2014-02-04\na,y,2014-02-06\n")
    (tmp_path / "items.csv").write_text("item,title,tags\nx,X,\n")
    dataset = read_dataset(str(tmp_path), None, DataSettings(min_interactions=0))
    rows = dict(describe(dataset))
    assert rows["users"] == "1" and rows["items"] == "2" and rows["density"] == "100.0000%"
    assert rows["time span"] == "2014-02-04 to 2014-02-06 (2 days)"
    assert rows["items with text"] == "1 (50.0%)"
    assert rows["catalogue columns"] == "title (50%), tags (0%)"
    assert set(dataset.counts) <= set(rows)
