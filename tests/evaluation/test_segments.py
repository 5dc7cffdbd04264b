"""Segments by hand, the gain of the group in each, and where sampled candidates change the order of methods."""

from __future__ import annotations

import doctest

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from isrf.core.config import EvaluationSettings
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.splits.split import Split
from isrf.data.training_data import Catalogue, TrainingData
from isrf.evaluation import sampling, segments
from isrf.evaluation.protocol import Result
from isrf.evaluation.sampling import bias_lines, sampled_bias
from isrf.evaluation.segments import by_segment, classes_of, gain_lines, segment_lines
from isrf.evaluation.significance import paired_permutation

SETTINGS = EvaluationSettings(bootstrap_samples=100, permutation_samples=100)


def world() -> tuple[Split, sp.csr_matrix]:
    """Four people; items 0 and 1 are head (4 + 2 of 9), 2 to 4 tail, 5 nobody had; people 0 and 1 are alike."""
    histories = Histories.of([[0, 1, 2], [0, 1], [0, 3], [0, 4]])
    ids = [f"i{n}" for n in range(6)]
    catalogue = Catalogue(pl.DataFrame({Columns.ITEM: ids, Columns.TITLE: ids}))
    training = TrainingData(["a", "b", "c", "d"], catalogue, histories)
    links = sp.csr_matrix(([0.9, 0.9], ([0, 1], [1, 0])), shape=(4, 4))
    return Split(training, np.array([3, 3, 1, 1]), np.array([4, 5, 2, -1])), links


def result(method: str, ranks: list[int], candidates: str = "all") -> Result:
    return Result(method, "sequential", "test", candidates, np.array([0, 1, 2]), np.array(ranks), None, 0.0)


def test_worked_example() -> None:
    failed, tried = doctest.testmod(segments)
    assert (failed, tried) == (0, 2)


def test_classes_follow_from_training() -> None:
    split, links = world()
    classes = classes_of(split, links)
    assert split.training.popularity.tolist() == [4, 2, 1, 1, 1, 0]
    assert classes["history"].tolist() == [1, 0, 0, 0], "the median user has two"
    assert classes["target"].tolist() == [1, 2, 1, -1]
    assert classes["neighbours"].tolist() == [0, 0, 1, 1]


def test_a_row_for_each_class_and_the_gain_of_the_group_in_it() -> None:
    split, links = world()
    runs = [result("isrf", [0, 0, 2]), result("isrf-nogroup", [0, 10, 0]), result("popularity", [9, 9, 9])]
    document = by_segment(runs, classes_of(split, links), SETTINGS)
    own = {
        (r["segment"], r["group"]): (r["users"], r["NDCG@10"]) for r in document["segments"] if r["method"] == "isrf"
    }
    assert own == {
        ("history", "short"): (2, 0.75),
        ("history", "long"): (1, 1.0),
        ("target", "tail"): (2, 0.75),
        ("target", "new item"): (1, 1.0),
        ("neighbours", "with neighbours"): (2, 1.0),
        ("neighbours", "without neighbours"): (1, 0.5),
    }
    gains = {r["group"]: r["ndcg10_difference"] for r in document["segment_gains"]}
    assert gains == {
        "short": 0.25,
        "long": 0,
        "tail": -0.25,
        "new item": 1,
        "with neighbours": 0.5,
        "without neighbours": -0.5,
    }
    assert {tuple(r["methods"]) for r in document["segment_gains"]} == {("isrf", "isrf-nogroup")}
    short = next(r for r in document["segment_gains"] if r["group"] == "short")
    assert short["p_value"] == paired_permutation(np.array([1.0, 0.5]), np.array([0.0, 1.0]), 100, 0)[1]
    lines = "\n".join(segment_lines(document))
    assert "| method | short history (2) | long history (1) | tail (2) |" in lines
    assert "| isrf | **0.7500** | **1.0000** | 0.7500 | **1.0000** |" in lines
    assert (
        "| isrf - isrf-nogroup | sequential | neighbours: with neighbours | 2 | +0.5000 | +0.0000 to +1.0000 | 1.0000 |"
        in lines
    )
    assert "with neighbours +0.5000" in gain_lines(document)[0]


def test_classes_hold_everybody_once() -> None:
    split, links = world()
    document = by_segment([result("isrf", [1, 2, 3])], classes_of(split, links), SETTINGS)
    for segment in segments.KINDS:
        assert sum(r["users"] for r in document["segments"] if r["segment"] == segment) == 3
    assert document["segment_gains"] == [] and gain_lines(document) == []


@pytest.mark.parametrize(
    ("sampled", "tau", "flips"),
    [
        ([0.9, 0.8, 0.7], 1.0, []),
        ([0.8, 0.9, 0.7], 1 / 3, [["a", "b"]]),
        ([0.7, 0.8, 0.9], -1.0, [["a", "b"], ["a", "c"], ["b", "c"]]),
        ([0.9, 0.9, 0.7], 2 / np.sqrt(2 * 3), []),
    ],
)
def test_where_sampled_candidates_change_the_order(sampled: list[float], tau: float, flips: list[list[str]]) -> None:
    base = {"task": "sequential", "split": "test"}
    rows = [
        base | {"method": m, "candidates": "all", "NDCG@10": v} for m, v in zip("abc", (0.3, 0.2, 0.1), strict=True)
    ]
    rows += [
        base | {"method": m, "candidates": "sampled-100", "NDCG@10": v} for m, v in zip("abc", sampled, strict=True)
    ]
    (found,) = sampled_bias({"results": rows})
    assert found["kendall_tau"] == pytest.approx(tau, abs=1e-9)
    assert found["flips"] == flips
    (line,) = bias_lines({"results": rows})
    told = f"change places in {len(flips)} of 3 pairs{': a is ahead of b in full ranking only' if flips else '. '}"
    assert line.startswith("sequential: ranked among sampled-100 candidates instead of all items, the 3 methods ")
    assert told in line and line.count(" in full ranking only") == len(flips)
    assert line.endswith(f" Kendall's tau of the two orders (1: the same, -1: the reverse) is {tau:.3f}.")
    assert sampling.sampled_bias({"results": rows[:4]}) == [], "one method has no order"


def test_an_order_of_equals_is_told_as_what_it_is() -> None:
    base = {"task": "direct", "split": "test", "NDCG@10": 0.5}
    rows = [base | {"method": m, "candidates": c} for m in "ab" for c in ("all", "sampled-100")]
    (line,) = bias_lines({"results": rows})
    assert "the 2 methods change places in 0 of 1 pairs. Kendall" in line and line.endswith(
        "is not defined, as all tie."
    )
