"""The structure of metrics.json is the contract; the tables are printed from it alone."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from tests.methods.contract import tiny_dataset, tiny_split

from isrf.core.config import EvaluationSettings
from isrf.evaluation.protocol import Result, fit_and_evaluate
from isrf.evaluation.results_document import dataset_block, joined, metrics_document, paired_rows
from isrf.evaluation.table import markdown_table, paired_lines
from isrf.evaluation.terminal import rich_table
from isrf.methods.itemknn import ItemKNN
from isrf.methods.popularity import Popularity
from isrf.methods.seq_itemknn import SeqItemKNN

SETTINGS = EvaluationSettings(sampled_negatives=4)


@pytest.fixture(scope="module")
def document() -> dict:
    results = fit_and_evaluate([Popularity, SeqItemKNN], tiny_split(), SETTINGS)
    return metrics_document(dataset_block(tiny_dataset()), results, SETTINGS, pairs=[("seq-itemknn", "popularity")])


def test_the_structure_is_that_of_the_contract(document: dict) -> None:
    assert list(document) == ["structure", "dataset", "results", "paired", "warnings"], "32 people prove nothing"
    about = document["dataset"]
    assert (about["users"], about["items"], about["interactions"]) == (32, 16, 192)
    assert about["digest"] == tiny_dataset().digest()
    keys = ["method", "task", "split", "candidates", "users", "HR@5", "NDCG@5", "HR@10", "NDCG@10"]
    for row in document["results"]:
        assert list(row) == [*keys, "ndcg10_ci95", "fit_seconds", "rank_seconds"]
        low, high = row["ndcg10_ci95"]
        assert low <= row["NDCG@10"] <= high
        assert row["HR@5"] <= row["HR@10"]
    assert {row["task"] for row in document["results"]} == {"sequential", "direct"}
    assert {row["candidates"] for row in document["results"]} == {"all", "sampled-5"}


def test_two_documents_make_one_and_say_so(document: dict) -> None:
    results = fit_and_evaluate([Popularity, ItemKNN], tiny_split(), SETTINGS)
    more = metrics_document(dataset_block(tiny_dataset()), results, SETTINGS, pairs=[("itemknn", "popularity")])
    both = joined(document, more | {"warnings": ["beware"], "left_out": {"ease": "too large"}})
    rows = [row["method"] for row in both["results"]]
    assert [row for row in both["results"] if row["method"] != "itemknn"] == document["results"]
    assert sorted(set(rows)) == ["itemknn", "popularity", "seq-itemknn"] and rows.count("itemknn") == 4
    compared = {tuple(row["methods"]) for row in both["paired"]}
    assert {("seq-itemknn", "popularity"), ("itemknn", "popularity")} <= compared
    assert (
        both["warnings"] == [*document["warnings"], "beware"]
        and both["left_out"]
        and both["notes"][0].startswith("itemknn: from another")
    )
    assert joined(both, document) is both, "nothing to add"
    markdown_table(both)


def test_too_few_permutations_for_so_many_comparisons_are_told() -> None:
    results = fit_and_evaluate([Popularity, SeqItemKNN, ItemKNN], tiny_split(), SETTINGS)
    pairs = [(a, b) for a in ("popularity", "seq-itemknn") for b in ("itemknn", "popularity") if a != b]

    def notes(samples: int) -> list[str]:
        few = SETTINGS.model_copy(update={"permutation_samples": samples})
        return metrics_document(dataset_block(tiny_dataset()), results, few, pairs).get("notes", [])

    family = len(pairs)
    assert (
        "cannot tell" in notes(20 * family - 1)[0] and f"permutation_samples={20 * family}" in notes(20 * family - 1)[0]
    )
    assert notes(20 * family) == []
    # over seeds p is twice a share of draws: half as many values
    results = [replace(result, seed=seed) for result in results for seed in (0, 1)]
    assert f"permutation_samples={40 * family}" in notes(40 * family - 1)[0] and notes(40 * family) == []


def test_it_survives_json_unchanged(document: dict) -> None:
    assert json.loads(json.dumps(document)) == document


def test_pairs_are_tested_where_both_were_ranked_in_full(document: dict) -> None:
    rows = document["paired"]
    assert [(row["methods"], row["task"], row["candidates"]) for row in rows] == [
        (["seq-itemknn", "popularity"], "sequential", "all"),
        (["seq-itemknn", "popularity"], "direct", "all"),
    ]
    value = {(row["method"], row["task"]): row["NDCG@10"] for row in document["results"] if row["candidates"] == "all"}
    for row in rows:
        expected = value["seq-itemknn", row["task"]] - value["popularity", row["task"]]
        assert row["ndcg10_difference"] == pytest.approx(expected)
        low, high = row["ci95"]
        assert low <= expected <= high
        assert row["effect_size"] is None or row["effect_size"] > 0  # None: everybody gains the same
        assert 0 < row["p_value"] <= row["p_holm"] <= 1
    assert rows[0]["p_value"] < 0.01


def result(method: str, users: list[int], ranks: list[int], fit_seconds: float | None = None) -> Result:
    return Result(method, "sequential", "test", "all", np.array(users), np.array(ranks), fit_seconds, 1.5)


def test_pairs_over_different_users_are_refused() -> None:
    with pytest.raises(ValueError, match="same users"):
        paired_rows([result("a", [0, 1], [0, 1]), result("b", [0, 2], [0, 1])], SETTINGS, [("a", "b")])


def test_a_method_that_is_not_there_is_not_paired() -> None:
    assert paired_rows([result("a", [0], [0])], SETTINGS, [("a", "b")]) == []


def test_markdown_shows_rounded_numbers_the_best_in_bold_and_the_warning(document: dict) -> None:
    text = markdown_table(document)
    assert "| seq-itemknn | sequential | test | all | 1.0000 | 1.0000 | 1.0000 | **1.0000** |" in text
    assert "sampled-5 (biased)" in text
    assert "biased towards popular items" in text
    assert "| seq-itemknn - popularity | sequential | test | +" in text
    assert "| p | p (Holm) |\n" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    widths = {line.count("|") for line in table[: 2 + len(document["results"])]}
    assert len(widths) == 1  # every row has every column


def test_full_ranking_comes_before_sampled(document: dict) -> None:
    kinds = [line.split("|")[4].strip() for line in markdown_table(document).splitlines()[2 : 2 + 8]]
    assert kinds == ["all"] * 4 + ["sampled-5 (biased)"] * 4


def test_the_terminal_table_holds_the_same_numbers(document: dict) -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(rich_table(document, "tiny"))
    for row in document["results"]:
        assert f"{row['NDCG@10']:.4f}" in out.getvalue()
    assert "biased towards popular items" in " ".join(out.getvalue().split())


def test_a_narrow_terminal_cuts_no_name_of_a_variant() -> None:
    name = "isrf-nogroup@model.dropout=0.25@training.epochs=5@graphs.top_k=50"
    found = metrics_document({}, [result(name, [0, 1], [0, 20])], SETTINGS)
    out = io.StringIO()
    Console(file=out, width=100).print(rich_table(found))
    lines = out.getvalue().splitlines()
    cells = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert "".join(cells) == name and "…" not in out.getvalue()


def test_fitting_that_nobody_measured_is_a_dash() -> None:
    text = markdown_table(metrics_document({}, [result("a", [0, 1], [0, 20])], SETTINGS))
    assert text.splitlines()[2].endswith("| - | 1.5 |")
    assert "biased" not in text


def close_race() -> dict:
    """ "a" is best; "b" finds the same but for one person, "c" next to nothing; "c" is compared with "b" too."""
    people = list(range(40))
    ranks = {"c": [50] * 39 + [0], "a": [0] * 40, "b": [0] * 39 + [1]}
    return metrics_document({}, [result(m, people, r) for m, r in ranks.items()], SETTINGS, [("b", "c")])


def test_the_best_is_compared_with_all_others_in_one_family() -> None:
    rows = close_race()["paired"]
    assert [row["methods"] for row in rows] == [["b", "c"], ["a", "c"], ["a", "b"]]
    ps = [row["p_value"] for row in rows]
    assert ps[2] == 1.0 and ps[0] < 0.001 and ps[1] < 0.001
    assert [row["p_holm"] for row in rows] == pytest.approx([3 * ps[0], 3 * ps[1], 1.0])
    wanted = [("a", "b")]
    assert len(paired_rows([result("a", [0], [0]), result("b", [0], [1])], SETTINGS, wanted)) == 1, "compared once"


def test_ties_are_marked_with_a_legend() -> None:
    found = close_race()
    text = markdown_table(found)
    cells = {line.split("|")[1].strip(): line.split("|")[8].strip() for line in text.splitlines()[2:5]}
    assert cells == {"c": "0.0250", "a": "**1.0000**", "b": "0.9908 ≈"}
    assert text.count("≈") == 2 and "tied with it" in text
    out = io.StringIO()
    Console(file=out, width=200).print(rich_table(found))
    assert "0.9908 ≈" in out.getvalue() and "tied with it" in " ".join(out.getvalue().split())
    alone = metrics_document({}, [result("a", [0, 1], [0, 1])], SETTINGS)
    assert "≈" not in markdown_table(alone) + str(rich_table(alone).caption)


def test_sampled_rankings_are_not_tested_and_not_marked() -> None:
    sampled = [replace(result(m, list(range(40)), [0] * 40), candidates="sampled-100") for m in ("a", "b")]
    assert metrics_document({}, sampled, SETTINGS)["paired"] == []


def with_seed(method: str, seed: int | None, ranks: list[int]) -> Result:
    return replace(result(method, list(range(len(ranks))), ranks), seed=seed)


def test_runs_with_several_seeds_are_one_row_of_means_with_their_spread() -> None:
    """Seed 0 finds the first user's item, seed 1 both: means are of metrics, tests of each user's mean."""
    runs = [with_seed("a", 0, [0, 30]), with_seed("a", 1, [0, 0]), with_seed("b", None, [30, 0])]
    found = metrics_document({}, runs, SETTINGS, [("a", "b")])
    mine, other = found["results"]
    assert (mine["method"], mine["seeds"], mine["ndcg10_by_seed"]) == ("a", [0, 1], [0.5, 1.0])
    assert (mine["NDCG@10"], mine["HR@5"], mine["rank_seconds"]) == (0.75, 0.75, 1.5)
    assert "seeds" not in other and other["NDCG@10"] == 0.5
    assert found["paired"][0]["ndcg10_difference"] == pytest.approx(0.25)
    lines = markdown_table(found).splitlines()
    assert lines[0].endswith("| NDCG@10 over seeds |")
    assert "| p | p (Holm) | p, models as given |" in "\n".join(lines)
    assert lines[2].endswith("| 0.5000 to 1.0000 (2) |") and lines[3].endswith("| - |")
    assert len({line.count("|") for line in lines[:4]}) == 1
    out = io.StringIO()
    Console(file=out, width=200).print(rich_table(found))
    assert "0.5000 to 1.0000 (2)" in out.getvalue()


def test_seeds_over_different_users_are_refused() -> None:
    with pytest.raises(ValueError, match="same users"):
        metrics_document({}, [with_seed("a", 0, [0, 1]), with_seed("a", 1, [0])], SETTINGS)


def test_what_was_left_out_is_told(document: dict) -> None:
    assert "\n\nease is left out: too large\n" in markdown_table(document | {"left_out": {"ease": "too large"}})
    assert "left out" not in markdown_table(document)


def test_warnings_stand_in_every_form_of_the_table(document: dict) -> None:
    warned = document | {"warnings": ["figures hold a leak"]}
    assert "\n\nWARNING: figures hold a leak\n" in markdown_table(warned)
    assert "WARNING: figures hold a leak" in str(rich_table(warned).caption)
    without = {key: value for key, value in document.items() if key != "warnings"}
    assert "WARNING" not in markdown_table(without) + str(rich_table(without).caption)


def test_notes_stand_in_every_form_of_the_table(document: dict) -> None:
    noted = document | {"notes": ["tiger: our sizes"]}
    assert "\n\ntiger: our sizes\n" in markdown_table(noted)
    assert "tiger: our sizes" in str(rich_table(noted).caption)


def test_paired_lines_say_what_the_test_found(document: dict) -> None:
    sequential, direct = paired_lines(document)
    assert sequential.startswith("sequential: seq-itemknn - popularity = +") and "32 users" in sequential
    assert "after Holm" in sequential
    assert sequential.endswith("significant (p < 0.05)") and direct.startswith("direct: ")


def test_the_table_says_who_reasoned(document: dict) -> None:
    shares = {"share_of_interactions_by_supplier": {"openai": 0.75, "attributes": 0.25}}
    line = "training interactions by who reasoned about their item: openai 75.0%, attributes 25.0%"
    assert markdown_table(document | shares).endswith(f"\n\n{line}\n")
    assert "reasoned" not in markdown_table(document)


def test_methods_that_rank_with_the_same_trainings_are_paired_by_seed() -> None:
    """What a seed does to both is no doubt about their difference; it is where each was trained for itself."""
    rng, n = np.random.default_rng(0), 2000
    runs: dict[str, list[Result]] = {"one": [], "other": []}
    for seed, share in enumerate((0.3, 0.5, 0.7)):  # a seed matters much
        ranks = np.where(rng.random(n) < share, 0, 99)
        worse = np.where(rng.random(n) < 0.05, 99, ranks)  # the other is a little worse, whatever the seed
        for name, found in (("one", ranks), ("other", worse)):
            made = Result(name, "sequential", "test", "all", np.arange(n), found, None, 0.0, seed, f"seed {seed}")
            runs[name].append(made)
    apart = [replace(run, trained=None) for run in runs["other"]]
    together = paired_rows([*runs["one"], *runs["other"]], SETTINGS, [])[0]
    alone = paired_rows([*runs["one"], *apart], SETTINGS, [])[0]
    assert together["ndcg10_difference"] == pytest.approx(alone["ndcg10_difference"]) and alone["ndcg10_difference"] > 0
    assert together["ci95"][0] > 0 > alone["ci95"][0] and together["p_value"] < alone["p_value"]
