"""Every protocol end to end: run, evaluate, bench, recommend, audit; what is held out is told, what is new stays apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.commands import done, isrf, refused, run_small, small_log, write_source

START = 1_400_000_000
AT_SIX = f"data.split_at={START + 6000}"


def with_newcomers(folder: Path) -> str:
    """The small log; nora comes at the date, ned in the period of validation; tea-99 is bought after the date alone."""
    source = write_source(folder, small_log())
    rows = [("nora", "tea-1", 6), ("nora", "tea-2", 7), ("ned", "tea-3", 5), ("ned", "tea-4", 6)]
    old = [user for user, items in small_log().items() if len(items) == 6]
    rows += [(user, "tea-99", 6) for user in old[:3]]
    with (folder / "log.csv").open("a") as file:
        file.writelines(f"{user},{item},{START + 1000 * step}\n" for user, item, step in rows)
    with (folder / "items.csv").open("a") as file:
        file.write("tea-99,tea number 99,tea house 1,tea|kind 0\n")
    return source


def metrics(workspace: Path, folder: str = "evaluation") -> dict[str, Any]:
    return json.loads((workspace / folder / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after `isrf run` with a date; not to be changed."""
    root = tmp_path_factory.mktemp("temporal")
    source = with_newcomers(root / "shop")
    outcome = done(run_small(source, root / "ws", chosen=["data.split=temporal", AT_SIX, "training.epochs=1"]))
    assert "temporal split: training before 2014-05-13T18:16:40Z" in outcome.err
    return root / "ws"


def test_a_date_is_evaluated_with_what_is_new_apart(temporal: Path) -> None:
    document = metrics(temporal)
    longer = sum(len(items) > 6 for items in small_log().values())
    users = {(row["split"], row["candidates"].split("-")[0]): row["users"] for row in document["results"]}
    assert users == {
        ("test", "all"): longer + 1,  # ned has a history before the date
        ("test", "sampled"): longer + 1,
        ("test, new items", "all"): 3,
        ("test, new users", "all"): 1,
    }
    assert {row["split"] for row in document["paired"]} == {"test"}
    assert document["notes"][0].startswith("temporal split:")
    table = (temporal / "evaluation" / "table.md").read_text(encoding="utf-8")
    for words in (
        "| isrf | direct | test, new users | all |",
        document["notes"][0],
        "NDCG@10 by segment",
        "Kendall's tau",
    ):
        assert words in table
    names = {row["method"] for row in document["results"]}
    assert (
        {"isrf", "isrf-graph", "isrf-generator", "popularity"} <= names == {r["method"] for r in document["segments"]}
    )
    assert {tuple(row["methods"]) for row in document["segment_gains"]} == {("isrf", "isrf-graph")}


def test_everybody_gets_recommendations_that_they_do_not_have(temporal: Path) -> None:
    for user, had in (("nora", {"tea-1", "tea-2"}), ("ned", {"tea-3", "tea-4"}), ("u0", set(small_log()["u0"]))):
        rows = json.loads(done(isrf("recommend", temporal, "--user", user, "--format", "json")).out)
        assert rows and not had & {row["item_id"] for row in rows}
    assert "nora" in done(isrf("inspect", temporal, "--user", "nora")).out
    assert "popularity" in done(isrf("audit", temporal)).out


def test_a_bench_says_the_same_as_the_evaluation(temporal: Path) -> None:
    told = done(isrf("bench", temporal, "--methods", "isrf,isrf-graph,popularity,sasrec")).out
    assert "sequential: isrf - isrf-graph by segment:" in told and "Kendall's tau" in told
    keys = ("method", "task", "split", "candidates", "NDCG@10", "users")
    mine, theirs = (
        {tuple(row[k] for k in keys) for row in metrics(temporal, f)["results"]} for f in ("bench", "evaluation")
    )
    assert mine - theirs == {row for row in mine if row[0] == "sasrec"}
    segments = {json.dumps(row) for row in metrics(temporal)["segments"]}
    assert {json.dumps(row) for row in metrics(temporal, "bench")["segments"] if row["method"] != "sasrec"} <= segments


def test_the_generator_alone_ranks_where_people_come_later(temporal: Path, tmp_path: Path) -> None:
    """Its signals are scaled by people of training: nobody else has a row there."""
    ws = Path(shutil.copytree(temporal, tmp_path / "ws"))
    done(isrf("train", ws, "--set", "ranking.fusion=generator"))
    assert json.loads((ws / "model" / "fusion.json").read_text())["direct"]["weights"]["generator"] == 1.0


def test_a_split_of_the_source_runs_through(tmp_path: Path) -> None:
    """The same parts as leave-one-out, given by a column, make the same table."""
    source = write_source(tmp_path / "shop", small_log())
    done(run_small(source, tmp_path / "out", "--no-train"))
    place = {(u, i): len(items) - n for u, items in small_log().items() for n, i in enumerate(items)}
    header, *rows = (tmp_path / "shop" / "log.csv").read_text().splitlines()
    parts = [{1: "test", 2: "validation"}.get(place[(*row.split(",")[:2],)], "train") for row in rows]  # type: ignore[index]
    lines = [f"{row},{part}" for row, part in zip(rows, parts, strict=True)]
    (tmp_path / "shop" / "log.csv").write_text("\n".join([f"{header},split", *lines]) + "\n")
    done(run_small(source, tmp_path / "given", "--no-train", chosen=["data.split=given"]))
    tables = [
        [(r["method"], r["task"], r["candidates"], r["NDCG@10"]) for r in metrics(tmp_path / name)["results"]]
        for name in ("out", "given")
    ]
    assert tables[0] == tables[1]
    assert metrics(tmp_path / "given")["notes"][0].startswith("given split:")


def test_a_date_is_needed_and_has_to_split(source: str, tmp_path: Path) -> None:
    refused(
        run_small(source, tmp_path / "a", chosen=["data.split=temporal"]), "data.split=temporal needs data.split_at"
    )
    late = ["data.split=temporal", "data.split_at=2030-01-01"]
    refused(run_small(source, tmp_path / "b", chosen=late), "leaves nothing after it", "choose a date between")
