"""`isrf bench`: methods, variants and seeds in one table, nothing computed twice, nothing lost when it is killed."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tests.commands import done, isrf, refused, run_small, signal_at, stage_info

from isrf.cli.bench import HELP, seeds_named
from isrf.core.errors import IsrfError
from isrf.methods.registry import BASELINES, CARRIERS, TRAINED
from isrf.pipeline import bench as benches
from isrf.pipeline.bench import GROUPS, methods_named
from isrf.pipeline.variants import VARIANTS
from isrf.semantics.features import load_semantics
from isrf.workspace.layout import VARIANTS_FOLDER
from isrf.workspace.workspace import Workspace

OWN = ("isrf", "isrf-graph", "isrf-generator")
LOOSE = "isrf@graphs.tau=0.5"
METHODS = ("popularity", "seq-itemknn", *CARRIERS, *OWN, *VARIANTS, LOOSE)
SEMANTICS = Path("semantics", "semantics.npz")
UPSTREAM = ("dataset", "reasoning", "semantics", "graphs")
BORROWED = {"isrf-nosemantics": UPSTREAM[:2], "isrf-nopropagation": UPSTREAM[:3], LOOSE: UPSTREAM[:3]}
BORROWED |= {"tiger": UPSTREAM[:3], "elmrec": UPSTREAM[:2]}
"""Stages that a variant takes from its workspace; the others take all of UPSTREAM."""


def document(workspace: Path) -> dict[str, Any]:
    return json.loads((workspace / "bench" / "metrics.json").read_text(encoding="utf-8"))


def rows_of(workspace: Path) -> dict[str, dict[str, Any]]:
    """Method -> its row of full ranking, sequential."""
    rows = document(workspace)["results"]
    return {r["method"]: r for r in rows if (r["task"], r["candidates"]) == ("sequential", "all")}


def untimed(workspace: Path) -> dict[str, Any]:
    """The document without seconds, the command that was typed, and the digest of all."""
    found = document(workspace)
    del found["command"], found["sha256"]
    for row in found["results"]:
        del row["fit_seconds"], row["rank_seconds"]
    return found


def bench(workspace: Path, *methods: str, **kwargs: Any) -> Any:
    return isrf("bench", workspace, "--methods", ",".join(methods), **kwargs)


@pytest.fixture(scope="module")
def benched(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without a generator after a bench of everything; not to be changed."""
    workspace = Path(shutil.copytree(untrained, tmp_path_factory.mktemp("benched") / "ws"))
    done(bench(workspace, *METHODS))
    return workspace


@pytest.fixture
def here(benched: Path, tmp_path: Path) -> Path:
    """A copy of it; links between its workspaces stay links."""
    return Path(shutil.copytree(benched, tmp_path / "ws", symlinks=True))


def test_every_method_has_a_row_for_each_task(benched: Path) -> None:
    found = document(benched)
    full = [(row["method"], row["task"]) for row in found["results"] if row["candidates"] == "all"]
    assert full == [(m, task) for m in METHODS for task in ("sequential", "direct")]
    assert {row["users"] for row in found["results"]} == {60}
    assert all(row["ndcg10_ci95"][0] <= row["NDCG@10"] <= row["ndcg10_ci95"][1] for row in found["results"])
    before = sum(stage_info(benched, stage)["seconds"] for stage in ("reasoning", "semantics"))
    carried = {row["fit_seconds"] for row in found["results"] if row["method"] == "profile-text"}
    assert min(carried) > before > 0, "what a carrier reads was not there for nothing"
    table = (benched / "bench" / "table.md").read_text(encoding="utf-8")
    assert all(f"| {method} | direct | test | all |" in table for method in METHODS)


def test_the_whole_is_tested_against_every_other_row_in_both_tasks(benched: Path) -> None:
    paired = [(*row["methods"], row["task"]) for row in document(benched)["paired"]]
    others = [method for method in METHODS if method != "isrf"]
    full = [row for row in document(benched)["results"] if row["candidates"] == "all"]
    wanted: list[tuple[str, str, str]] = []
    for task in ("sequential", "direct"):
        wanted += [("isrf", other, task) for other in others]
        best = max((row for row in full if row["task"] == task), key=lambda row: row["NDCG@10"])["method"]
        wanted += [(best, other, task) for other in METHODS if best != "isrf" and other not in (best, "isrf")]
    assert paired == wanted, "isrf against all, then the best of the task against all"


def test_every_method_has_a_card_of_what_it_reads(benched: Path) -> None:
    cards = document(benched)["cards"]
    assert list(cards) == list(METHODS)
    assert cards["isrf-nogroup"]["interest_scope"] == ["individual"] and "group" in cards["isrf"]["interest_scope"][1]
    assert "evidence" not in " ".join(cards["isrf-noevidence"]["explicit_implicit_bridge"])
    assert (
        "semantic id" in cards["tiger"]["semantic_graph_carrier"] and "digits" in cards["elmrec"]["serving_consumer"][0]
    )
    assert not any("fusion" in said for said in cards["isrf-generator"]["serving_consumer"])
    assert cards["profile-text"]["semantic_graph_carrier"] == ["profile text"]
    told = done(isrf("inspect", benched, "--card")).out
    assert "interest card of isrf" in told and "semantic interaction graph" in told
    assert "counts" in done(isrf("inspect", benched, "--card", "--method", "popularity")).out
    refused(isrf("inspect", benched, "--card", "--method", "isrf-nogroup"), "isrf-nogroup", "semantic-id")
    refused(isrf("inspect", benched, "--card", "--user", "u1"), "--card")


def test_the_structure_is_that_of_an_evaluation_and_so_are_the_figures(benched: Path) -> None:
    """Same split, same users: `isrf evaluate` says the same of what both have."""
    done(isrf("evaluate", benched))
    evaluated = json.loads((benched / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    mine = document(benched)
    del mine["command"], mine["sha256"]  # an evaluation has them in its stage.json
    for found in (mine, evaluated):
        del found["notes"]  # of a bench also on published methods
    assert list(mine) == list(evaluated) and mine["dataset"] == evaluated["dataset"]
    shared = {"popularity", "seq-itemknn", *OWN}

    def figures(found: dict[str, Any]) -> list[tuple[Any, ...]]:
        keys = ("method", "task", "candidates", "NDCG@10", "HR@5", "ndcg10_ci95")
        return sorted([tuple(str(r[k]) for k in keys) for r in found["results"] if r["method"] in shared])

    assert figures(mine) == figures(evaluated)


def test_a_variant_borrows_what_its_settings_do_not_touch(benched: Path) -> None:
    """The same stages to the second they took: nothing was computed again."""
    for variant in (*VARIANTS, LOOSE):
        home, borrowed = benched / VARIANTS_FOLDER / variant, BORROWED.get(variant, UPSTREAM)
        for stage in UPSTREAM:
            theirs, mine = stage_info(benched, stage), stage_info(home, stage)
            assert (mine == theirs) == (stage in borrowed), (variant, stage)
        if borrowed == UPSTREAM:
            assert (home / "graphs" / "graphs.npz").samefile(benched / "graphs" / "graphs.npz")
        assert stage_info(home, "model")["key"] != stage_info(benched, "model")["key"]
        # texts that one of them encodes are known to all
        assert (home / "semantics" / "vectors.sqlite").samefile(benched / "semantics" / "vectors.sqlite")


def test_a_variant_is_a_workspace_of_its_own(benched: Path) -> None:
    home = benched / VARIANTS_FOLDER / "isrf-nogroup"
    assert "group: none" in (home / "settings.yaml").read_text(encoding="utf-8")
    rows = json.loads(done(isrf("recommend", home, "--user", "u1", "--format", "json")).out)
    assert len(rows) == 10 and {row["method"] for row in rows} == {"isrf"}
    assert not any("group" in row["shares"] for row in rows)


def test_what_is_finished_is_kept_and_a_longer_list_adds_to_it(here: Path) -> None:
    """Whatever would train, or rank again, is killed on the spot."""
    times = {path: path.stat().st_mtime_ns for path in here.rglob("stage.json")}
    known, before = untimed(here), rows_of(here)
    obstacles = [signal_at(f"isrf.{at}", signal.SIGKILL) for at in ("training.loop:Trainer.epoch",)]
    done(bench(here, *METHODS, obstacles=[*obstacles, signal_at("isrf.evaluation.protocol:evaluate", signal.SIGKILL)]))
    assert untimed(here) == known
    few = ("popularity", "isrf", "isrf-nogroup", LOOSE)
    done(bench(here, *few, "itemknn", obstacles=obstacles))
    assert list(rows_of(here)) == [*few, "itemknn"]
    assert all(rows_of(here)[method]["NDCG@10"] == before[method]["NDCG@10"] for method in few)
    assert {path: path.stat().st_mtime_ns for path in here.rglob("stage.json")} == times


def test_a_killed_bench_goes_on_where_it_was(untrained: Path, benched: Path, tmp_path: Path) -> None:
    """Killed in the middle of the training of a variant, behind another that is finished."""
    workspace = Path(shutil.copytree(untrained, tmp_path / "ws"))
    methods = ("popularity", "isrf", "isrf-nogroup")
    at = "isrf.training.loop:save_checkpoint"
    killed = bench(workspace, *methods, obstacles=[signal_at(at, signal.SIGKILL, call=3, after=True)])
    assert killed.code == -signal.SIGKILL and not (workspace / "bench" / "metrics.json").exists()
    whole = (workspace / "model" / "stage.json").stat().st_mtime_ns
    again = done(bench(workspace, *methods))
    assert "training resumes after epoch 1" in again.err
    assert (workspace / "model" / "stage.json").stat().st_mtime_ns == whole
    for method, row in rows_of(workspace).items():
        assert row["NDCG@10"] == rows_of(benched)[method]["NDCG@10"], method


def test_a_stage_that_was_made_anew_is_borrowed_anew(here: Path) -> None:
    """The variant follows the workspace: other graphs there are other graphs here, and another model."""
    done(isrf("graph", here, "--set", "graphs.top_k=5"))
    done(bench(here, "isrf", "isrf-nogroup"))
    home = here / VARIANTS_FOLDER / "isrf-nogroup"
    assert stage_info(home, "graphs") == stage_info(here, "graphs")
    assert stage_info(home, "graphs")["settings"]["top_k"] == 5


def test_seeds_give_means_and_spread(here: Path) -> None:
    told = done(isrf("bench", here, "--methods", "isrf,lightgcn,popularity,isrf-nogroup", "--seeds", "0,1"))
    assert "over seeds" in told.out
    rows = rows_of(here)
    for method in ("isrf", "lightgcn", "isrf-nogroup"):
        assert rows[method]["seeds"] == [0, 1]
        one, other = rows[method]["ndcg10_by_seed"]
        assert rows[method]["NDCG@10"] == pytest.approx((one + other) / 2)
    assert rows["lightgcn"]["ndcg10_by_seed"][0] != rows["lightgcn"]["ndcg10_by_seed"][1]
    assert "seeds" not in rows["popularity"]
    # seed 0 is the workspace's own: its model serves, and the other one is a variant
    assert not (here / VARIANTS_FOLDER / "isrf@training.seed=0").exists()
    other_model = stage_info(here / VARIANTS_FOLDER / "isrf@training.seed=1", "model")
    assert other_model["settings"]["training"]["seed"] == 1
    assert (here / VARIANTS_FOLDER / "isrf-nogroup@training.seed=1").is_dir()


def test_seeds_draw_the_vectors_of_items_without_meaning(here: Path) -> None:
    """Their spread over seeds would be too small otherwise; what is drawn once is kept."""
    done(bench(here, "isrf-nosemantics", "isrf-nogroup@semantics.item_text=none@training.epochs=1"))
    methods = ("--methods", "isrf-nosemantics", "--seeds", "0,1")
    done(isrf("bench", here, *methods))
    homes = [here / VARIANTS_FOLDER / name for name in ("isrf-nosemantics", "isrf-nosemantics@training.seed=1")]
    one, other = (load_semantics(home / SEMANTICS).items for home in homes)
    assert one.shape == other.shape == (48, 384) and abs((one * other).sum(1)).max() < 0.3
    own = load_semantics(
        here / VARIANTS_FOLDER / "isrf-nogroup@semantics.item_text=none@training.epochs=1" / SEMANTICS
    ).items
    assert own.tobytes() == one.tobytes(), "the same seed draws the same"
    done(isrf("bench", here, *methods, obstacles=[signal_at("isrf.semantics.features:embed", signal.SIGKILL)]))


def test_a_variant_of_another_seed_borrows_no_vectors_that_were_drawn(source: str, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    done(run_small(source, workspace, "--no-train", chosen=["semantics.item_text=none", "training.epochs=1"]))
    for _ in range(2):
        done(isrf("bench", workspace, "--methods", "isrf", "--seeds", "1"))
        home = workspace / VARIANTS_FOLDER / "isrf@training.seed=1"
        assert stage_info(home, "dataset") == stage_info(workspace, "dataset")
        assert stage_info(home, "semantics")["key"] != stage_info(workspace, "semantics")["key"]
        assert stage_info(home, "graphs")["inputs"] != stage_info(workspace, "graphs")["inputs"]


def test_a_method_that_cannot_be_fitted_is_left_out_and_the_table_says_so(here: Path) -> None:
    diverging = "isrf@training.learning_rate=1e18"
    told = done(bench(here, "popularity", diverging))
    found = document(here)
    assert {row["method"] for row in found["results"]} == {"popularity"}
    assert "training" in found["left_out"][diverging]
    line = f"{diverging} is left out"
    assert line in told.out and line in (here / "bench" / "table.md").read_text(encoding="utf-8")
    refused(bench(here, diverging), "no method could be fitted")


def test_variants_of_several_benches_are_gathered_while_the_model_is_the_same(here: Path) -> None:
    sweep = here / "bench" / "sweep.json"

    def gathered() -> tuple[set[str], dict[str, str]]:
        found = json.loads(sweep.read_text(encoding="utf-8"))
        return {row["method"] for row in found["results"]}, found["of"]

    other = "isrf-noevidence@graphs.layers=0"
    sweep.unlink()
    done(bench(here, "isrf", LOOSE))
    done(bench(here, other))
    methods, of = gathered()
    assert methods == {"isrf", LOOSE, other} and set(of) == {"graphs/graphs.npz", "model/fusion.json"}
    done(bench(here, "popularity"))
    assert gathered() == (methods, of)
    sweep.unlink()
    done(bench(here, other))
    assert gathered() == ({other}, of), "variants alone are about this model and these graphs too"
    done(isrf("train", here, "--set", "training.epochs=1"))
    told = done(bench(here, LOOSE))
    assert "another model" in " ".join(told.err.split()) and gathered()[0] == {LOOSE}


def test_a_model_of_other_graphs_costs_a_bench_without_it_nothing(here: Path) -> None:
    done(bench(here, "isrf"))
    done(isrf("graph", here, "--set", "graphs.tau=0.6"))
    done(bench(here, "popularity", "isrf-nogroup", "isrf-nogroup@training.epochs=1"))
    assert set(rows_of(here)) == {"popularity", "isrf-nogroup", "isrf-nogroup@training.epochs=1"}


def test_rows_of_two_states_are_no_table(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command may change the workspace between two trainings of a bench."""
    workspace, found = Workspace(here), benches.results_of

    def changing(*args: Any) -> Any:
        results = found(*args)
        settings = here / "settings.yaml"
        settings.write_text(settings.read_text().replace("epochs: 2", "epochs: 3"))
        return results

    monkeypatch.setattr(benches, "results_of", changing)
    with pytest.raises(IsrfError, match="the workspace changed during the benchmark"):
        benches.bench(workspace, ["popularity", "itemknn"])


def test_groups_of_methods() -> None:
    assert methods_named("baselines") == [*BASELINES, *TRAINED] == list(GROUPS["baselines"])
    assert methods_named("ablations") == [*OWN, *VARIANTS]
    assert methods_named("carriers") == list(CARRIERS)
    assert methods_named("all") == [*BASELINES, *TRAINED, *CARRIERS, *OWN, *VARIANTS]
    assert methods_named(" ease , baselines,ease,") == ["ease", *(m for m in GROUPS["baselines"] if m != "ease")]
    both = "isrf-nogroup@graphs.tau=0.5@graphs.top_k=10"
    assert methods_named(both) == [both]


def test_the_help_names_every_method_and_group() -> None:
    for name in (*methods_named("all"), *GROUPS):
        assert name in HELP, name


def test_every_trained_baseline_has_a_seed() -> None:
    assert all("seed" in vars(make()) for make in TRAINED.values())


def test_what_is_mistyped_is_refused_in_one_line_before_anything_is_done(here: Path, untrained: Path) -> None:
    shutil.rmtree(here / "bench")
    refused(bench(here, "isrf-nogrup"), "did you mean isrf-nogroup?", "popularity", "ablations")
    refused(bench(here, "ease@graphs.tau=0.5"), "ease@graphs.tau=0.5", "isrf@graphs.tau=0.5")
    refused(bench(here, "isrf", "isrf@graphs.tua=0.5"), "isrf@graphs.tua=0.5", "graphs.tau")
    refused(bench(here, "isrf@graphs.tau=2"), "graphs.tau=2")
    refused(bench(here, "isrf@graphs"), "isrf@graphs", "room.name=value")
    refused(bench(here, "isrf@data.seed=1"), "'data'", "same split")
    refused(bench(here, "isrf@evaluation.seed=1"), "'evaluation'")
    refused(bench(here, "isrf@reasoning.supplier=openai"), "reasoning.model")
    told = refused(bench(here, "isrf@reasoning.key_variable=sk-secret"), "reasoning.key_variable", "cannot differ")
    assert "sk-secret" not in told
    refused(bench(here, "isrf", env={"ISRF_GRAPHS__TAU": "0.99"}), "other settings", "isrf graph")
    refused(bench(here, ","), "names no method")
    refused(isrf("bench", here, "--methods", "isrf", "--seeds", "one"), "one", "0,1,2")
    refused(isrf("bench", here, "--methods", "isrf@training.seed=1", "--seeds", "1"), "--seeds", "one of them")
    refused(isrf("bench", here), "--methods")
    refused(isrf("bench", here.parent, "--methods", "ease"), "not a workspace")
    assert not (here / "bench").exists()


def test_a_workspace_that_is_not_that_far_says_what_to_run(source: str, tmp_path: Path) -> None:
    done(isrf("data", "import", source, "--out", tmp_path / "ws"))
    refused(bench(tmp_path / "ws", "ease"), "isrf reason")


def test_two_benches_do_not_mix(here: Path) -> None:
    with FileLock(here / "bench" / ".lock"):
        refused(bench(here, "popularity"), "another isrf command")


@pytest.mark.parametrize(("text", "seeds"), [("0,1,2", [0, 1, 2]), (" 7 ,7,", [7]), ("010", [10])])
def test_seeds_are_numbers(text: str, seeds: list[int]) -> None:
    assert seeds_named(text) == seeds
    assert seeds_named(None) == []


@pytest.mark.parametrize("text", ["", ",", "-1", "1.5", "a", "\u0661"])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(IsrfError, match="--seeds"):
        seeds_named(text)


@pytest.mark.parametrize("text", ["2147483648", "0,99999999999", "9" * 5000])
def test_seeds_too_large_for_a_random_generator_are_refused_before_anything_is_trained(text: str) -> None:
    assert seeds_named("2147483647, 002147483646") == [2147483647, 2147483646]
    with pytest.raises(IsrfError, match=r"--seeds \d+: a seed is at most 2147483647"):
        seeds_named(text)
