"""What settings drop of a log: nothing by default, and much only loudly, at the import and in every table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.commands import done, run_small

from isrf.core.config import DataSettings, Settings, load_settings
from isrf.data.dataset import Dataset
from isrf.data.describe import told_of
from isrf.data.losses import loss_line
from isrf.data.readers.registry import read_dataset
from isrf.evaluation.results_document import FEW, few_people
from isrf.report.results_sections import headline
from isrf.report.section import Line, Section

CHAIN = [row for n in range(30) for row in (f"u{n},i{n}", f"u{n + 1},i{n}")]
"""Nobody has more than two interactions, and no item."""
CORE = [f"{user},{item}" for user in "abc" for item in "xyz"]


def read(folder: Path, rows: list[str], **settings: object) -> Dataset:
    (folder / "log.csv").write_text("\n".join(["user,item", *rows]))
    return read_dataset(str(folder / "log.csv"), None, DataSettings(**settings))  # type: ignore[arg-type]


def test_nothing_is_lost_by_default(tmp_path: Path) -> None:
    dataset = read(tmp_path, CHAIN + CORE)
    assert (dataset.n_users, dataset.n_items, dataset.interactions.height) == (34, 33, 69)
    assert not dataset.losses and not any("WARNING" in line for line in told_of(dataset))
    assert Settings().data.min_interactions == load_settings("fast").data.min_interactions == 0


def test_presets_of_research_take_the_5_core() -> None:
    assert load_settings("paper").data.min_interactions == load_settings("elmrec").data.min_interactions == 5


def test_a_core_that_takes_much_is_loud(tmp_path: Path) -> None:
    (line,) = read(tmp_path, CHAIN + CORE, min_interactions=3).losses
    assert line.startswith("data.min_interactions=3 drops 31 of 34 people (91%), 30 of 33 items (91%) and 60 of 69 ")
    assert "--set data.min_interactions=0" in line


def test_items_of_the_catalogue_that_a_core_leaves_out_count(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item,title\nx,X\ny,Y\nz,Z\nw,W\n")
    (tmp_path / "log.csv").write_text("\n".join(["user,item", *CORE]))
    kept = read_dataset(str(tmp_path), None, DataSettings())
    assert kept.n_items == 4 and not kept.losses
    (line,) = read_dataset(str(tmp_path), None, DataSettings(min_interactions=2)).losses
    assert "drops 1 of 4 items (25%);" in line


def test_rows_that_are_skipped_count(tmp_path: Path) -> None:
    rows = [*CORE, ",x", ",y"]
    (line,) = read(tmp_path, rows, on_bad_row="skip").losses
    assert line.startswith("data.on_bad_row=skip drops 2 of 11 interactions (18%); ")
    assert not read(tmp_path, [*CORE, *CHAIN, ",x"], on_bad_row="skip").losses


@pytest.mark.parametrize(("left", "loud"), [(90, False), (89, True), (0, True)])
def test_a_tenth_is_the_bound(left: int, loud: bool) -> None:
    assert (loss_line("k", (100, 100, 100), (100, left, 100), "r") is not None) == loud


def test_few_people_prove_nothing() -> None:
    assert few_people(FEW) == [] and "1 person is evaluated" in few_people(1)[0]


def test_the_table_and_the_report_say_what_the_import_said(tmp_path: Path) -> None:
    """A 3-core of a small log: the warning is told before reasoning begins, and stands under the table and in the report."""
    people = [f"p{n},i{(n + k) % 12},{k}" for n in range(40) for k in range(5)]
    rows = [*people, *(f"u{n},only-{n},0" for n in range(60))]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]))
    outcome = done(
        run_small(str(tmp_path / "log.csv"), tmp_path / "ws", "--no-train", chosen=["data.min_interactions=3"])
    )
    line = "data.min_interactions=3 drops 60 of 100 people (60%)"
    assert f"WARNING: {line}" in outcome.err
    assert outcome.err.index(line) < outcome.err.index("reasoning:")
    assert line in " ".join(outcome.out.split()) and "40 people are evaluated" in " ".join(outcome.out.split())
    document = json.loads((tmp_path / "ws" / "evaluation" / "metrics.json").read_text())
    assert [line in told for told in document["warnings"]] == [True, False]
    assert f"WARNING: {line}" in (tmp_path / "ws" / "evaluation" / "table.md").read_text()
    assert [line in told for told in lines_of(headline(document, tmp_path))] == [True, False]


def lines_of(section: Section) -> list[str]:
    return [part.text for part in section.parts if isinstance(part, Line) and part.text.startswith("Warning")]
