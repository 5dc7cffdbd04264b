"""Review explanations as a user meets them: from a P5 folder to sentences beside recommendations, scored, without a leak."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.commands import artifacts, done, isrf, refused, run_small, small_log
from tests.model.test_identifiers import PIECES, sentencepiece_bytes
from tests.reviews import TAUGHT, praise, write_reviews
from transformers import T5Config, T5ForConditionalGeneration

from isrf.recommender.open import open_workspace
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

SPELLED = [*PIECES, *((letter, -7.0) for letter in "abcdefghijklmnopqrstuvwxyz")]
"""Pieces that cut an item's number and any word."""

SECRET = "zyzzyva"
"""Said about held-out pairs alone."""


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after ``isrf run`` on a folder with reviews; held-out ones hold a word of their own."""
    held = {(user, item) for user, items in small_log().items() for item in items[-2:]}

    def sentence(user: str, item: str) -> tuple[str, str]:
        said, feature = praise(user, item)
        return (f"{said} {SECRET}" if (user, item) in held else said), feature

    folder = tmp_path_factory.mktemp("reviewed")
    source = write_reviews(folder / "p5", sentence=sentence)
    done(run_small(source, folder / "ws", chosen=["model.d_model=32"]))
    return folder / "ws"


def scores(workspace: Path, part: str = "test") -> dict[str, dict]:
    document = json.loads((workspace / "evaluation" / "metrics.json").read_text())
    return {row["method"]: row for row in document["explanations"]["results"] if row["split"] == part}


@pytest.mark.parametrize("part", ["valid", "test"])
def test_what_is_written_beats_one_sentence_for_all(reviewed: Path, part: str) -> None:
    found = scores(reviewed, part)
    written, constant, typical = (
        found[name] for name in ("isrf, generated", "most frequent sentence", "item's typical sentence")
    )
    assert written["pairs"] == written["users"] == 60
    for score in ("BLEU-1", "BLEU-4", "ROUGE-1", "ROUGE-2", "ROUGE-L"):
        assert written[score] > constant[score] + 10, score
        assert written[score] <= typical[score] + 1e-9, "nothing more can be known than what the item is praised for"
    assert written["BLEU-4"] > 40 and written["feature named"] > 90
    assert written["unique"] > 10 * constant["unique"], "the generator says the same to everybody"
    assert constant["unique"] == pytest.approx(100 / 60)


def test_the_table_holds_the_scores(reviewed: Path) -> None:
    table = (reviewed / "evaluation" / "table.md").read_text()
    lines = [line for line in table.splitlines() if "generated |" in line]
    assert len(lines) == 2 and f"| {scores(reviewed)['isrf, generated']['BLEU-4']:.2f} |" in lines[1]


def test_a_held_out_review_is_in_no_artifact_that_training_reads_or_makes(reviewed: Path) -> None:
    spared = {"dataset/explanations_valid.parquet", "dataset/explanations_test.parquet"}
    for file in reviewed.rglob("*"):
        name = str(file.relative_to(reviewed))
        if file.suffix == ".parquet":
            told = pl.read_parquet(file).write_json()
        else:
            told = file.read_bytes().decode("utf-8", "ignore") if file.is_file() else ""
        assert (SECRET in told) == (name in spared), name
    pieces = json.loads((reviewed / "model" / "explainer.json").read_text())["pieces"]
    assert "▁evenings" in pieces and not any("z" in piece for piece in pieces), (
        "no letter that only held-out words have"
    )


def test_parts_of_the_split_hold_their_own_pairs(reviewed: Path) -> None:
    """60 people with two held-out items each; every other interaction is training, whatever the file's own split says."""
    folder = reviewed / "dataset"
    users = pl.read_parquet(folder / "users.parquet")["user_id"].to_list()
    items = pl.read_parquet(folder / "items.parquet")["item_id"].to_list()
    for part, place in (("train", slice(None, -2)), ("valid", slice(-2, -1)), ("test", slice(-1, None))):
        table = pl.read_parquet(folder / f"explanations_{part}.parquet")
        pairs = {(users[u], items[i]) for u, i in table.select("user_row", "item_row").iter_rows()}
        assert pairs == {(user, item) for user, log in small_log().items() for item in log[place]}
    counts = json.loads((folder / "dataset.json").read_text())["counts"]
    assert (
        counts["explanations of train pairs"] + 120
        == counts["explanations read"]
        == sum(map(len, small_log().values()))
    )


def test_recommend_explains_when_asked_to(reviewed: Path, tmp_path: Path) -> None:
    plain = json.loads(done(isrf("recommend", reviewed, "--user", "u3", "--format", "json")).out)
    rows = json.loads(done(isrf("recommend", reviewed, "--user", "u3", "--format", "json", "--explain")).out)
    assert all("explanation" not in row for row in plain)
    assert [{k: v for k, v in row.items() if k != "explanation"} for row in rows] == plain
    # people of this log have items of one world: of another world's item nobody like them has said anything
    near = [row for row in rows if row["item_id"].startswith("music")]
    assert near and all("music" in row["explanation"].split() for row in near)
    table = done(isrf("recommend", reviewed, "--history", "tea-1,tea-2", "--top", "3", "--explain")).out
    assert "generated explanation" in table and "evenings" in table
    assert "generated explanation" not in done(isrf("recommend", reviewed, "--user", "u3")).out
    file = tmp_path / "out.parquet"
    done(isrf("recommend", reviewed, "--user", "u3", "--explain", "--format", "parquet", "--output", file))
    assert pl.read_parquet(file)["explanation"].to_list() == [row["explanation"] for row in rows]


def test_inspect_shows_what_was_generated(reviewed: Path, finished: Path) -> None:
    assert "generated explanation" in done(isrf("inspect", reviewed, "--user", "u3", "--top", "2")).out
    assert "generated explanation" not in done(isrf("inspect", finished, "--user", "u3", "--top", "2")).out


def test_explaining_is_refused_where_nothing_was_taught(reviewed: Path, finished: Path) -> None:
    for workspace, method in ((finished, "isrf"), (reviewed, "isrf-graph")):
        outcome = isrf("recommend", workspace, "--user", "u3", "--explain", "--method", method)
        refused(outcome, "--explain", "explanation.json")


def test_the_same_ranking_with_and_without_the_last_passes(reviewed: Path, tmp_path: Path) -> None:
    """They move the explainer alone: what ranks has the bytes of a run without them."""
    workspace = Workspace(Path(shutil.copytree(reviewed, tmp_path / "ws")))
    done(isrf("train", workspace.root, "--set", "training.explanation_epochs=0"))
    one, other = (
        open_workspace(w, saved_settings(w)).ranker.parts.generator.state_dict()
        for w in (Workspace(reviewed), workspace)
    )
    changed = {name for name in one if not one[name].equal(other[name])}
    assert changed and all(name.startswith("explainer.") for name in changed)


def test_a_source_without_reviews_of_training_interactions_is_not_taught(tmp_path: Path) -> None:
    log = small_log()
    source = write_reviews(tmp_path / "p5", log)
    file = tmp_path / "p5" / "explanation.json"
    told = json.loads(file.read_text())
    maps = json.loads((tmp_path / "p5" / "datamaps.json").read_text())
    last = {
        part: [r for r in rows if maps["id2item"][str(r["item"])] == log[maps["id2user"][str(r["user"])]][-1]]
        for part, rows in told.items()
    }
    file.write_text(json.dumps(last))
    outcome = done(run_small(source, tmp_path / "ws"))
    assert "nothing explains" in outcome.err
    assert not (tmp_path / "ws" / "model" / "explainer.json").exists()
    assert "explanations" not in json.loads((tmp_path / "ws" / "evaluation" / "metrics.json").read_text())


def test_the_task_can_be_left_out(tmp_path: Path, reviewed: Path) -> None:
    """The model is then that of the same folder without reviews, byte for byte."""
    with_reviews = write_reviews(tmp_path / "with")
    without = write_reviews(tmp_path / "without")
    (tmp_path / "without" / "explanation.json").unlink()
    done(run_small(with_reviews, tmp_path / "a", chosen=["training.sr_per_explanation=0"]))
    done(run_small(without, tmp_path / "b"))
    one, other = artifacts(tmp_path / "a"), artifacts(tmp_path / "b")
    assert {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} == {
        "dataset/dataset.json",
        *(f"dataset/explanations_{part}.parquet" for part in ("train", "valid", "test")),
    }


def test_a_writer_explains_with_the_pieces_of_its_checkpoint(tmp_path: Path) -> None:
    """Served without the checkpoint that it began from."""
    folder = tmp_path / "t5"
    config = T5Config(vocab_size=len(SPELLED), d_model=24, d_kv=8, num_heads=3, d_ff=32, num_layers=1)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    (folder / "spiece.model").write_bytes(sentencepiece_bytes(SPELLED))
    ws = tmp_path / "ws"
    sizes = ("model.identifiers=digits", f"model.backbone={folder}", "training.batch_size=16", "ranking.beams=12")
    told = done(run_small(write_reviews(tmp_path / "p5"), ws, chosen=[*sizes, *TAUGHT])).err
    assert "of the checkpoint" in told
    shutil.rmtree(folder)
    pieces = json.loads((ws / "model" / "explainer.json").read_text())["pieces"]
    assert {"e", "v"} < set(pieces) < {piece for piece, _ in SPELLED}
    rows = json.loads(done(isrf("recommend", ws, "--user", "u3", "--explain", "--format", "json")).out)
    assert all(isinstance(row["explanation"], str) for row in rows)
    assert scores(ws)["isrf, generated"]["pairs"] == 60


def test_scoring_without_its_libraries_is_told_before_anything_is_ranked(reviewed: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(reviewed, tmp_path / "ws"))
    outcome = isrf("evaluate", workspace, obstacles=[hide_scorers])
    refused(outcome, "sacrebleu", "pip install 'isrf[explanations]'")


def hide_scorers() -> None:
    import isrf.evaluation.text_scores as texts

    texts.NEEDED = ("a_library_that_is_not_there",)


def test_bad_records_are_named_or_set_aside(tmp_path: Path) -> None:
    source = write_reviews(tmp_path / "p5")
    file = tmp_path / "p5" / "explanation.json"
    told = json.loads(file.read_text())
    told["val"][4]["item"] = 999
    file.write_text(json.dumps(told))
    outcome = isrf("data", "import", source, "--out", tmp_path / "ws", "--set", "data.min_interactions=0")
    refused(outcome, "explanation.json", "row 5", "val.item", "999", "--on-bad-row skip")
    done(isrf("data", "import", source, "--out", tmp_path / "ws", "--on-bad-row", "skip"))
    rejected = pl.read_csv(tmp_path / "ws" / "dataset" / "rejected.csv")
    assert rejected["column"].to_list() == ["val.item"] and '"item": 999' in rejected["content"][0]
