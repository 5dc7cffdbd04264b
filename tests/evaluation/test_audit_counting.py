"""Popularity, repeats, items without a past, pairs in two parts, and ties of time, each against a way to do it by hand."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import polars as pl
import pytest

from isrf.core.config import EvaluationSettings
from isrf.data.dataset import Columns, Dataset
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.evaluation.audit.audit import audit_dataset
from isrf.evaluation.audit.counts import popularity_ranks, repeat_finding, split_findings
from isrf.evaluation.audit.findings import Finding
from isrf.evaluation.audit.time_ties import popularity_range, tie_findings, tied_targets
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import evaluate, fit
from isrf.methods.popularity import Popularity

SETTINGS = EvaluationSettings(sampled_negatives=4)

Rows = list[tuple[str, str, int | None]]


def log_of(rows: Rows, extra: tuple[str, ...] = ()) -> Dataset:
    """User, item, time; sorted as a Dataset is, ties in the order given."""
    table = pl.DataFrame(
        {
            Columns.USER: [r[0] for r in rows],
            Columns.ITEM: [r[1] for r in rows],
            Columns.TIME: pl.Series([r[2] for r in rows], dtype=pl.Int64),
            Columns.ORDER: np.arange(len(rows)),
        }
    ).sort(Columns.USER, Columns.TIME, Columns.ORDER, maintain_order=True)
    items = sorted({r[1] for r in rows} | set(extra))
    return Dataset("log", table, pl.DataFrame({Columns.ITEM: items, Columns.TITLE: [""] * len(items)}))


def random_rows(seed: int, days: int, catalogue: int = 60) -> Rows:
    """40 people, 4 to 7 items each, bought on few days: many ties."""
    rng, weights = np.random.default_rng(seed), np.arange(catalogue, 0.0, -1.0)
    rows: Rows = []
    for user in range(40):
        items = rng.choice(catalogue, size=rng.integers(4, 8), replace=False, p=weights / weights.sum())
        rows += [(f"u{user}", f"i{i}", int(rng.integers(days))) for i in items]
    return rows


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {f.name: f for f in findings}


def test_popularity_is_counted_as_it_is_evaluated() -> None:
    split = leave_one_out(log_of(random_rows(0, 1000)))
    method, _ = fit(Popularity(), split)
    assert np.array_equal(popularity_ranks(split), evaluate(method, split, "test", "sequential", SETTINGS)[0].ranks)


def test_an_item_that_occurs_in_test_alone() -> None:
    rows: Rows = [(u, i, t) for u in "ab" for t, i in enumerate("wxyz")]
    rows += [("c", i, t) for t, i in enumerate("wxv")] + [("d", i, t) for t, i in enumerate("wqz")]
    found = by_name(split_findings(leave_one_out(log_of(rows))))["test items that nobody has in training"]
    # z, z, v, z: none of them is trained on; v and z are nobody's validation item
    assert found.value == 1.0 and found.verdict == "note" and "100.00% are" in found.meaning


def test_a_pair_in_two_parts_is_a_leak() -> None:
    split = leave_one_out(log_of(random_rows(1, 1000)))
    clean = by_name(split_findings(split))["pairs in two parts of the split"]
    assert (clean.value, clean.verdict) == (0.0, "clean")
    training = dataclasses.replace(split.training, histories=split.training.histories.appended(split.test))
    leaking = dataclasses.replace(split, training=training)
    leak = by_name(split_findings(leaking))["pairs in two parts of the split"]
    assert (leak.value, leak.verdict) == (40.0, "leak")


def test_repeat_purchases_are_counted_before_they_are_dropped() -> None:
    """One of two people buys last what they had before; a row that merely stands there twice is no purchase."""
    rows: Rows = [("a", i, t) for t, i in enumerate("wxyzw")] + [("b", i, t) for t, i in enumerate("wxyz")]
    rows.append(("b", "z", 3))
    once = pl.DataFrame(rows, schema=["u", "i", "t"], orient="row").unique(
        ["u", "i"], keep="first", maintain_order=True
    )
    dataset = log_of(once.rows())
    raw = pl.DataFrame(
        [(u, i, t, n) for n, (u, i, t) in enumerate(rows)],
        schema=[Columns.USER, Columns.ITEM, Columns.TIME, Columns.ORDER],
        orient="row",
    )
    found = repeat_finding(raw, dataset, leave_one_out(dataset))
    assert (found.value, found.verdict) == (0.5, "note")


def test_repeats_in_a_log_without_times() -> None:
    rows = [("a", i) for i in "wxyzx"]
    raw = pl.DataFrame(
        {
            Columns.USER: [u for u, _ in rows],
            Columns.ITEM: [i for _, i in rows],
            Columns.TIME: pl.Series([None] * 5, dtype=pl.Int64),
            Columns.ORDER: range(5),
        }
    )
    dataset = log_of([("a", i, None) for i in "wxyz"])
    assert repeat_finding(raw, dataset, leave_one_out(dataset)).value == 1.0


def test_the_range_over_ties_is_what_trying_every_order_gives() -> None:
    """Every order of some people's rows, the log sorted and split anew each time; others stay as published."""
    rows = random_rows(3, 3, catalogue=20)
    dataset = log_of(rows)
    split = leave_one_out(dataset)
    tied, lengths = tied_targets(dataset, split), split.histories("test").lengths
    few = {user: items for user, items in sorted(tied.items()) if lengths[user] == 3}
    assert len(tied) > 10 and len(few) >= 3
    worst, best = ndcg(popularity_ranks(split), 10), ndcg(popularity_ranks(split), 10)
    for user in few:
        name = split.training.user_ids[user]
        own, others = ([r for r in rows if (r[0] == name) == mine] for mine in (True, False))
        tried = [leave_one_out(log_of([*others, *order])) for order in itertools.permutations(own)]
        gains = [ndcg(popularity_ranks(other), 10)[user] for other in tried]  # everybody is a test user
        worst[user], best[user] = min(gains), max(gains)
    published = ndcg(popularity_ranks(split), 10).mean()
    assert worst.mean() < published < best.mean()
    assert popularity_range(few, split) == pytest.approx((worst.mean(), published, best.mean()))


def test_ties_are_told_with_their_range() -> None:
    dataset = log_of(random_rows(3, 3))
    found = by_name(tie_findings(dataset, leave_one_out(dataset)))
    assert found["test items that the order of equal times decides"].verdict == "note"
    ends = [found[f"popularity over all orders of ties, {w}"].value for w in ("worst", "as published", "best")]
    assert ends == sorted(ends) and ends[0] < ends[2]
    assert ends[1] == by_name(audit_dataset(dataset, leave_one_out(dataset), SETTINGS))["popularity"].value


def test_a_log_of_seconds_has_no_ties_and_one_without_times_is_unknown() -> None:
    distinct = [(u, i, n) for n, (u, i, _) in enumerate(random_rows(3, 3))]
    dataset = log_of(distinct)
    (found,) = tie_findings(dataset, leave_one_out(dataset))
    assert (found.value, found.verdict) == (0.0, "clean")
    dataset = log_of([(u, i, None) for u, i, _ in distinct])
    (found,) = tie_findings(dataset, leave_one_out(dataset))
    assert (found.value, found.verdict, found.told()) == (None, "unknown", "-")
