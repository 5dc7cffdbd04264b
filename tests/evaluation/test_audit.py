"""The audit finds the identifier-order leak where it is, and nothing where it is not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from isrf.core.config import EvaluationSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import PARTS, Columns, Dataset
from isrf.data.queries import TASKS
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import Split
from isrf.evaluation.audit.audit import audit_dataset
from isrf.evaluation.audit.findings import Finding, leaks
from isrf.evaluation.audit.id_order import chance_ndcg, first_appearance, plus_one_ranks, source_numbering
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import evaluate, fit
from isrf.methods.id_plus_one import IdPlusOne

ITEMS = 400
SETTINGS = EvaluationSettings(sampled_negatives=4)


def random_log(seed: int, naming: str = "sku-{}", source_order: bool = False) -> Dataset:
    """120 people with 5 items each, drawn at random: there is nothing to learn, so all that is found is a leak.

    ``naming`` makes an item's original id from its place in the order of first appearance, P5's numbering.
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(ITEMS, size=5, replace=False) for _ in range(120)]
    first: dict[int, int] = {}
    for item in np.concatenate([*drawn, np.arange(ITEMS)]):
        first.setdefault(int(item), len(first))
    names = {item: naming.format(place + 1) for item, place in first.items()}
    users = np.repeat([f"u{u:03}" for u in range(120)], 5)
    items = [names[int(i)] for i in np.concatenate(drawn)]
    table = {Columns.USER: users, Columns.ITEM: items, Columns.ORDER: np.arange(600)}
    interactions = pl.DataFrame(table).with_columns(pl.lit(None, dtype=pl.Int64).alias(Columns.TIME))
    in_order = sorted(names.values(), key=lambda name: int("".join(c for c in name if c.isdigit())))
    catalogue = pl.DataFrame({Columns.ITEM: sorted(names.values()), Columns.TITLE: [""] * ITEMS})
    return Dataset("random", interactions, catalogue, source_order=in_order if source_order else None)


def audited(dataset: Dataset) -> dict[str, Finding]:
    return {f.name: f for f in audit_dataset(dataset, leave_one_out(dataset), SETTINGS)}


def test_a_source_numbered_by_first_appearance_leaks() -> None:
    found = audited(random_log(0, source_order=True))
    assert {f.name for f in leaks(found.values(), workspace=False)} == {
        "id + 1, the source's numbering",
        "id + 1, the source's numbering, largest id only",
    }
    assert not leaks(found.values(), workspace=True), "nothing here reads the source's numbers"
    leak = found["id + 1, the source's numbering"]
    assert leak.verdict == "leak"
    assert leak.value > 0.2  # a third of the people have two new items at the end of their history
    assert found["id + 1, the source's numbering, largest id only"].verdict == "leak"
    assert found["id + 1, first appearance in the whole log"].value == pytest.approx(leak.value)


def test_the_rows_of_this_project_give_nothing_away() -> None:
    found = audited(random_log(0, source_order=True))["id + 1, rows of this project"]
    assert found.verdict == "clean"
    assert found.value < 0.05


def test_numbering_without_held_out_items_does_not_leak() -> None:
    found = audited(random_log(0, source_order=True))
    whole, training = (found[f"id + 1, first appearance in {log}"] for log in ("the whole log", "training"))
    assert whole.verdict == training.verdict == "reference", "nobody numbers so: yardsticks, no alarm"
    assert whole.value > 0.2 and training.value < 0.05


def test_whole_numbers_as_ids_are_a_numbering_too() -> None:
    found = audited(random_log(0, naming="{}"))
    assert found["id + 1, numeric order of the source's ids"].verdict == "leak"


def test_ids_that_are_names_have_no_numbering_but_the_log_has() -> None:
    found = audited(random_log(0))
    assert not any("source's" in name for name in found)
    assert found["id + 1, first appearance in the whole log"].value > 0.2


def test_numbers_that_carry_no_order_are_clean() -> None:
    dataset = random_log(0, source_order=True)
    shuffled = np.random.default_rng(9).permutation(dataset.source_order).tolist()  # type: ignore[arg-type]
    dataset = Dataset("random", dataset.interactions, dataset.catalogue, source_order=shuffled)
    assert audited(dataset)["id + 1, the source's numbering"].verdict == "clean"


def test_yardsticks_come_first_and_every_finding_says_what_it_means() -> None:
    findings = list(audited(random_log(0)).values())
    assert [f.name for f in findings[:3]] == ["chance", "popularity", "popularity, hits"]
    assert {f.verdict for f in findings[:3]} == {"reference"}
    assert all(f.meaning and f.unit for f in findings)
    assert all(f.protection for f in findings if f.verdict in ("leak", "order"))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("people", [0, 1])
def test_the_list_is_walked_as_the_method_scores_it(task: str, people: int) -> None:
    """Exactly what scoring and ranking the whole catalogue gives, also where the catalogue ends before the list."""
    dataset, split = tiny() if people == 0 else (random_log(2), leave_one_out(random_log(2)))
    for numbering in (None, first_appearance(dataset, split, held_out=True)):
        method, _ = fit(IdPlusOne(numbering), split)
        scored = evaluate(method, split, "test", task, SETTINGS)[0].ranks  # type: ignore[arg-type]
        walked = plus_one_ranks(numbering, split, task)  # type: ignore[arg-type]
        assert np.array_equal(ndcg(walked, 10), ndcg(scored, 10))


def test_chance_is_what_random_scores_reach() -> None:
    split = leave_one_out(random_log(1))
    rng = np.random.default_rng(0)
    candidates = ITEMS - 4
    ranks = rng.integers(0, candidates, size=200_000)
    expected = np.where(ranks < 10, 1 / np.log2(ranks + 2.0), 0).mean()
    assert chance_ndcg(split, 10) == pytest.approx(expected, rel=0.05)


def tiny() -> tuple[Dataset, Split]:
    rows = [("a", "x"), ("a", "y"), ("a", "z"), ("b", "y"), ("b", "w"), ("b", "x")]
    table = {Columns.USER: [u for u, _ in rows], Columns.ITEM: [i for _, i in rows], Columns.ORDER: np.arange(6)}
    interactions = pl.DataFrame(table).with_columns(pl.lit(None, dtype=pl.Int64).alias(Columns.TIME))
    catalogue = pl.DataFrame({Columns.ITEM: ["v", "w", "x", "y", "z"], Columns.TITLE: [""] * 5})
    dataset = Dataset("tiny", interactions, catalogue, source_order=["z", "y", "x", "w", "v"])
    return dataset, leave_one_out(dataset)


def named(split: Split, number: np.ndarray) -> list[str]:
    """Item ids in the order of their numbers."""
    return [split.training.catalogue.ids[row] for row in np.argsort(number)]


def test_without_held_out_items_only_training_numbers_items_where_the_source_gives_the_split() -> None:
    log = [  # two test interactions of a: one of them is a target, and neither may number an item
        *(("a", "x", "train"), ("a", "y", "train"), ("a", "w", "valid"), ("a", "v", "test"), ("a", "z", "test")),
        *(("b", "z", "train"), ("b", "v", "train"), ("b", "w", "train"), ("b", "y", "valid"), ("b", "x", "test")),
    ]
    users, items, parts = zip(*log, strict=True)
    table = {Columns.USER: users, Columns.ITEM: items, Columns.ORDER: range(len(log)), Columns.PART: parts}
    dataset = Dataset(
        "given",
        pl.DataFrame(table).with_columns(
            pl.lit(None, dtype=pl.Int64).alias(Columns.TIME), pl.col(Columns.PART).cast(pl.Enum(PARTS))
        ),
        pl.DataFrame({Columns.ITEM: list("vwxyz"), Columns.TITLE: [""] * 5}),
        protocol="as the source gives it",
    )
    split = split_of(dataset, 0)
    everything, training = (named(split, first_appearance(dataset, split, held_out=h)) for h in (True, False))
    assert everything == ["x", "y", "w", "v", "z"] and training == ["x", "y", "z", "v", "w"]


def test_first_appearance_follows_the_log_with_and_without_held_out_items() -> None:
    dataset, split = tiny()
    assert named(split, first_appearance(dataset, split, held_out=True)) == ["x", "y", "z", "w", "v"]
    training_only = named(split, first_appearance(dataset, split, held_out=False))
    assert training_only[:2] == ["x", "y"]  # a's first item, b's first item
    rows = split.training.catalogue.rows_of(training_only[2:])
    assert (np.diff(rows) > 0).all()  # the rest in row order


def test_source_numbering_is_the_order_that_the_source_says() -> None:
    dataset, split = tiny()
    numbering = source_numbering(dataset, split)
    assert numbering is not None
    assert named(split, numbering[0]) == ["z", "y", "x", "w", "v"]


def test_a_log_in_which_nothing_is_held_out_cannot_be_audited() -> None:
    table = {Columns.USER: ["a", "a", "b"], Columns.ITEM: ["x", "y", "x"], Columns.ORDER: np.arange(3)}
    interactions = pl.DataFrame(table).with_columns(pl.lit(None, dtype=pl.Int64).alias(Columns.TIME))
    dataset = Dataset("short", interactions, pl.DataFrame({Columns.ITEM: ["x", "y"], Columns.TITLE: ["", ""]}))
    with pytest.raises(
        IsrfError, match=r"short: nothing is held out: leave-one-out needs users with 3 interactions.*longer histories"
    ):
        audit_dataset(dataset, leave_one_out(dataset))
