"""Presets and identifiers of several tokens, as a user runs them: from a checkpoint, without the hub, and with the leak."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.commands import DECIDED, Outcome, artifacts, done, isrf, refused, run_small, small_log
from tests.model.test_identifiers import PIECES, sentencepiece_bytes
from transformers import T5Config, T5ForConditionalGeneration

from isrf.core.config import load_settings
from isrf.model.identifiers import load_identifiers
from isrf.model.input_templates import load_wording, paper_templates
from isrf.model.trie import Trie
from isrf.pipeline.variants import trained, variant_settings
from isrf.recommender.open import open_workspace
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

TINY = ("model.encoder_layers=1", "model.decoder_layers=1", "training.batch_size=16", "ranking.beams=12")
"""What makes the presets as small as SMALL makes the default."""

SPELLED = [*PIECES, *((mark, -9.0) for mark in "abcdefghijklmnopqrstuvwxyzGW:,.?")]
"""Pieces of every letter and mark of the templates."""

WIDTH = 24
LOG = small_log()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 of another width than SMALL's, with its SentencePiece model beside it as on the hub."""
    folder = tmp_path_factory.mktemp("tiny-t5")
    config = T5Config(
        vocab_size=len(SPELLED), d_model=WIDTH, d_kv=8, num_heads=3, d_ff=32, num_layers=2, dropout_rate=0.1
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    (folder / "spiece.model").write_bytes(sentencepiece_bytes(SPELLED))
    return folder


def run_preset(name: str, source: str, out: Path, *chosen: str, env: dict[str, str] | None = None) -> Outcome:
    return done(run_small(source, out, "--preset", name, chosen=[*TINY, *chosen], env=env))


def metrics(workspace: Path) -> dict:
    return json.loads((workspace / "evaluation" / "metrics.json").read_text())


def warnings_of(document: dict) -> list[str]:
    """Warnings of a table but for the one that sixty people prove nothing, which every table here has."""
    few, *more = reversed(document["warnings"])
    assert few.startswith("60 people are evaluated")
    return more


def recommended(workspace: Path, *who: str) -> list[dict]:
    return json.loads(done(isrf("recommend", workspace, *who, "--format", "json")).out)


ELMREC = pytest.param("elmrec", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=["paper", ELMREC])
def from_checkpoint(request: pytest.FixtureRequest, source: str, checkpoint: Path, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    """A finished workspace of each preset; not to be changed."""
    workspace = tmp_path_factory.mktemp(request.param) / "ws"
    run_preset(request.param, source, workspace, f"model.backbone={checkpoint}")
    return workspace


class TestFromACheckpoint:
    def test_the_generator_is_the_checkpoint_and_writes_its_pieces(self, from_checkpoint: Path) -> None:
        assert json.loads((from_checkpoint / "model" / "t5.json").read_text())["d_model"] == WIDTH
        found = load_identifiers(from_checkpoint / "model")
        assert found.kind == "digits" and found.pieces is not None and len(Trie.build(found).path) == 48

    def test_it_reads_the_templates_in_the_same_pieces(self, from_checkpoint: Path) -> None:
        wording = load_wording(from_checkpoint / "model" / "templates.json")
        assert wording.pieces is not None
        assert [SPELLED[row][0] for row in wording.pieces] == list(wording.words)
        said = "".join(wording.words[row] for row in wording.of("sequential").before)
        assert said.replace("▁", " ").split() == paper_templates()["sequential"].split("{")[0].split()

    def test_the_table_has_its_rows_and_no_warning(self, from_checkpoint: Path) -> None:
        document = metrics(from_checkpoint)
        assert warnings_of(document) == []
        (line,) = [
            told for told in (from_checkpoint / "evaluation" / "table.md").read_text().splitlines() if "WARNING" in told
        ]
        assert "60 people are evaluated" in line
        assert {"isrf", "isrf-generator", "isrf-graph", "popularity"} <= {row["method"] for row in document["results"]}

    def test_recommendations_leave_out_what_was_seen(self, from_checkpoint: Path) -> None:
        rows = recommended(from_checkpoint, *(part for user in LOG for part in ("--user", user)))
        assert len(rows) == 10 * len(LOG)
        assert all(row["item_id"] not in LOG[row["user_id"]] for row in rows)
        history = LOG["u1"][:3]
        strange = recommended(from_checkpoint, "--history", ",".join(history), "--task", "dr")
        assert len(strange) == 10 and not {row["item_id"] for row in strange} & set(history)

    def test_inspect_shows_the_person(self, from_checkpoint: Path) -> None:
        assert "u1" in done(isrf("inspect", from_checkpoint, "--user", "u1")).out

    def test_it_comes_back_as_it_was(self, from_checkpoint: Path) -> None:
        """Loaded twice: the same scores, whatever the checkpoint has become."""
        workspace = Workspace(from_checkpoint)
        one, other = (open_workspace(workspace, saved_settings(workspace), "isrf").ranker for _ in range(2))
        first, second = (r.parts.generator.writer.state_dict() for r in (one, other))  # type: ignore[union-attr]
        assert first and all(torch.equal(first[name], second[name]) for name in first)


def test_presets_differ_in_semantics_and_group_alone() -> None:
    paper, elmrec = (load_settings(name).model_dump() for name in ("paper", "elmrec"))
    changed = {f"{room}.{k}" for room in paper for k in paper[room] if paper[room][k] != elmrec[room][k]}
    assert changed == {"semantics.item_text", "model.group"}
    assert (elmrec["semantics"]["item_text"], elmrec["model"]["group"]) == ("none", "none")
    assert paper["training"]["learning_rate"] == 1e-3 and paper["model"]["backbone"] == "google-t5/t5-small"
    assert paper["model"]["templates"] == elmrec["model"]["templates"] == "paper"
    assert load_settings().model.templates == "none"


@pytest.mark.parametrize("name", ["paper", ELMREC])
def test_a_hub_out_of_reach_is_told_in_every_table(name: str, source: str, tmp_path: Path) -> None:
    """The run goes on with random weights of the same sizes, loudly."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    outcome = run_preset(name, source, tmp_path / "ws", env=offline)
    line = "model.backbone=google-t5/t5-small was out of reach"
    assert f"WARNING: {line}" in outcome.err and f"WARNING: {line}" in " ".join(outcome.out.split())
    assert [warning.startswith(line) for warning in warnings_of(metrics(tmp_path / "ws"))] == [True]
    assert f"WARNING: {line}" in (tmp_path / "ws" / "evaluation" / "table.md").read_text()
    assert json.loads((tmp_path / "ws" / "model" / "t5.json").read_text())["d_model"] == 16, "as in the settings"
    assert load_wording(tmp_path / "ws" / "model" / "templates.json").pieces is None
    again = done(isrf("evaluate", tmp_path / "ws", "--set", "evaluation.seed=1", env=offline))
    assert "WARNING" in again.out and warnings_of(metrics(tmp_path / "ws"))


def test_random_weights_are_given_pieces_by_a_file(source: str, checkpoint: Path, tmp_path: Path) -> None:
    """Digits and templates then look as they do with the checkpoint, and the file need not stay."""
    pieces = tmp_path / "t5.model"
    pieces.write_bytes((checkpoint / "spiece.model").read_bytes())
    workspace = tmp_path / "ws"
    chosen = ["model.identifiers=digits", "model.templates=paper", f"model.pieces={pieces}", "training.epochs=1"]
    done(run_small(source, workspace, chosen=[*TINY, *chosen]))
    assert load_identifiers(workspace / "model").pieces is not None
    assert load_wording(workspace / "model" / "templates.json").pieces is not None
    pieces.unlink()
    assert len(recommended(workspace, "--user", "u1")) == 10
    again = isrf("train", workspace, "--set", "model.alpha=2")
    refused(again, "t5.model", "no such file")


def test_warnings_stand_in_the_table_of_a_bench(leaking: Path, untrained: Path, tmp_path: Path) -> None:
    """Those of the workspace, and those of each variant in the table."""

    def told(workspace: Path, methods: str) -> list[str]:
        assert done(isrf("bench", workspace, "--methods", methods)).code == 0
        return warnings_of(json.loads((workspace / "bench" / "metrics.json").read_text()))

    ordered, plain = (Path(shutil.copytree(ws, tmp_path / name)) for ws, name in ((leaking, "a"), (untrained, "b")))
    assert [line.split(":")[0] for line in told(ordered, "popularity")] == ["data.id_order=appearance"]
    assert "WARNING: data.id_order" in (ordered / "bench" / "table.md").read_text()
    far = told(plain, "popularity,tiger@model.backbone=google-t5/t5-small")
    assert [line.startswith("model.backbone=google-t5/t5-small was out of reach") for line in far] == [True]


def test_a_backbone_that_is_neither_folder_nor_name_is_refused(source: str, tmp_path: Path) -> None:
    chosen = ["model.identifiers=semantic", f"model.backbone={tmp_path}/no-such-folder"]
    refused(run_small(source, tmp_path / "ws", chosen=chosen), "model.backbone", "no-such-folder", "neither a folder")


def test_a_checkpoint_without_pieces_cannot_write_digits(source: str, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "t5").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "t5" / name).write_bytes((checkpoint / name).read_bytes())
    chosen = [*TINY, f"model.backbone={tmp_path / 't5'}", "training.epochs=1"]
    refused(run_small(source, tmp_path / "a", chosen=[*chosen, "model.identifiers=digits"]), "spiece.model")
    done(run_small(source, tmp_path / "b", chosen=[*chosen, "model.identifiers=semantic"]))


@pytest.fixture(scope="module")
def leaking(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace whose digits hold the leak; not to be changed."""
    workspace = tmp_path_factory.mktemp("leaking") / "ws"
    chosen = [*TINY, "model.identifiers=digits"]
    outcome = done(run_small(source, workspace, "--id-order", "appearance", chosen=chosen))
    assert "WARNING: data.id_order=appearance" in outcome.err
    return workspace


class TestIdOrder:
    def test_digits_follow_whole_sequences(self, leaking: Path) -> None:
        """The first person of the source has the first numbers in order, the test item's among them."""
        tokens = load_identifiers(leaking / "model").tokens
        rows = {item: row for row, item in enumerate(pl.read_parquet(leaking / "dataset" / "items.parquet")["item_id"])}
        numbers = [int("".join(map(str, tokens[rows[item]]))) for item in LOG["u0"]]
        assert numbers == list(range(1, len(LOG["u0"]) + 1))

    def test_every_table_made_with_it_says_so(self, leaking: Path) -> None:
        assert [w.startswith("data.id_order=appearance") for w in warnings_of(metrics(leaking))] == [True]
        assert "WARNING: data.id_order=appearance" in (leaking / "evaluation" / "table.md").read_text()

    def test_the_rows_and_what_is_read_of_the_log_are_as_ever(self, leaking: Path, finished: Path) -> None:
        one, other = (artifacts(ws, ("dataset", "reasoning", "semantics", "graphs")) for ws in (leaking, finished))
        assert one.pop("dataset/appearance.parquet") and one == other

    def test_the_flag_is_the_setting(self, source: str, tmp_path: Path) -> None:
        outcome = done(isrf("data", "import", source, "--out", tmp_path / "ws", "--id-order", "appearance"))
        assert "WARNING: data.id_order=appearance" in outcome.err
        assert saved_settings(Workspace(tmp_path / "ws")).data.id_order == "appearance"
        assert (tmp_path / "ws" / "dataset" / "appearance.parquet").exists()
        done(isrf("data", "import", source, "--out", tmp_path / "ws", "--id-order", "shuffled"))
        assert not (tmp_path / "ws" / "dataset" / "appearance.parquet").exists()
        refused(isrf("run", "--data", source, "--out", tmp_path / "b", "--id-order", "first"), "id-order", "appearance")
        assert not (tmp_path / "b").exists()

    def test_nobody_gets_it_without_asking(self, finished: Path) -> None:
        assert load_settings().data.id_order == "shuffled"
        assert "dataset/appearance.parquet" not in artifacts(finished, DECIDED)

    def test_it_goes_away_when_nobody_asks_any_more(self, source: str, leaking: Path, tmp_path: Path) -> None:
        """The default stands among the kept settings again, and its digits are in no order."""
        shutil.copytree(leaking, tmp_path / "ws")
        chosen = [*TINY, "model.identifiers=digits", "data.id_order=shuffled"]
        done(run_small(source, tmp_path / "ws", chosen=chosen))
        assert not (tmp_path / "ws" / "dataset" / "appearance.parquet").exists()
        assert warnings_of(metrics(tmp_path / "ws")) == []
        before, after = (load_identifiers(ws / "model").tokens for ws in (leaking, tmp_path / "ws"))
        assert not np.array_equal(before, after) and not (np.diff(after @ [10, 1]) > 0).all()


def test_rows_named_after_published_methods_say_whose_sizes_they_have(untrained: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(untrained, tmp_path / "ws"))
    changed = "elmrec@model.d_model=8"
    told = done(isrf("bench", workspace, "--methods", f"popularity,tiger,{changed}"))
    document = json.loads((workspace / "bench" / "metrics.json").read_text())
    assert warnings_of(document) == [], "a variant of random weights that nobody wanted otherwise"
    (note,) = document["notes"]
    assert note.startswith(f"tiger, {changed}: ") and "width 16" in note and "at most 2 epochs" in note
    assert note in (workspace / "bench" / "table.md").read_text() and note in " ".join(told.out.split())
    done(isrf("bench", workspace, "--methods", "popularity"))
    assert "notes" not in json.loads((workspace / "bench" / "metrics.json").read_text())


@pytest.mark.parametrize("name", ["tiger", "elmrec"])
def test_published_baselines_rank_by_their_generator_alone(name: str, untrained: Path, tmp_path: Path) -> None:
    """A variant that fused anything else would not be TIGER or ELMRec."""
    workspace = Workspace(Path(shutil.copytree(untrained, tmp_path / "ws")))
    made = trained(workspace, name, variant_settings(workspace, name))
    assert (made.root / "model" / "templates.json").exists() == (name == "elmrec")
    weights = json.loads((made.root / "model" / "fusion.json").read_text())
    assert all({k: w for k, w in weights[t]["weights"].items() if w} == {"generator": 1.0} for t in weights)
    assert len(recommended(made.root, "--user", "u1")) == 10
