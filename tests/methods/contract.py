"""The contract that every method passes, baselines and ours, on a tiny log with a known answer.

Use it from any test module::

    @pytest.mark.parametrize(("check", "fitted"), contract_cases({"mine": lambda training: ...}))
    def test_contract(check, fitted):
        check(fitted)

where ``fitted`` takes a ``TrainingData`` and gives back a fitted method.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from isrf.core.arrays import unit_rows
from isrf.data.dataset import Columns, Dataset
from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.data.splits.split import Split
from isrf.data.training_data import Catalogue, TrainingData
from isrf.methods.interface import Method
from isrf.methods.preferences import Preferences

Fitted = Callable[[TrainingData], Method]

GROUP = 8
"""Items in each of the two worlds of the tiny log, "tea" and "bread": nobody buys in both."""

HISTORY = 6
"""Interactions of each person: a walk around their world's ring of items, so that the next item is known."""


def tiny_dataset(test_step: int = 0, valid_step: int = 0) -> Dataset:
    """32 people, two for each ring position and world, who buy HISTORY items one after the other around the ring.

    ``test_step`` and ``valid_step`` replace everybody's held-out item by the one so many places further round: 1 puts
    each of the two held-out places on an item that the person does not have otherwise.
    """
    rows = []
    for world in ("tea", "bread"):
        for start in range(GROUP):
            for twin in range(2):
                steps = list(range(HISTORY))
                steps[-2] += valid_step
                steps[-1] += test_step
                for order, step in enumerate(steps):
                    rows.append((f"{world}-drinker-{start}-{twin}", f"{world}-{(start + step) % GROUP}", order))
    interactions = pl.DataFrame(
        {
            Columns.USER: [r[0] for r in rows],
            Columns.ITEM: [r[1] for r in rows],
            Columns.TIME: pl.Series([None] * len(rows), dtype=pl.Int64),
            Columns.ORDER: np.arange(len(rows)),
        }
    ).sort(Columns.USER, Columns.ORDER)
    items = [f"{world}-{i}" for world in ("tea", "bread") for i in range(GROUP)]
    titles = [f"{item.split('-')[0]} number {item.split('-')[1]}" for item in items]
    return Dataset("tiny", interactions, pl.DataFrame({Columns.ITEM: items, Columns.TITLE: titles}))


@cache
def tiny_split(test_step: int = 0, valid_step: int = 0, seed: int = 3) -> Split:
    """The same object each time, so that what was fitted to it is known; that methods leave it alone is in the contract."""
    return leave_one_out(tiny_dataset(test_step, valid_step), seed)


def once(fitted: Fitted) -> Fitted:
    """Fitted once to each training data."""
    known: dict[int, tuple[TrainingData, Method]] = {}

    def again(training: TrainingData) -> Method:
        if id(training) not in known:
            known[id(training)] = (training, fitted(training))
        return known[id(training)][1]

    return again


def someone(split: Split, *items: str, task: str = "sequential") -> Queries:
    """One person who is not in the log, with the given original item ids, oldest first."""
    rows = split.training.catalogue.rows_of(items) if items else np.zeros(0, dtype=np.int64)
    return Queries(np.array([-1]), Histories.of([rows]), task)  # type: ignore[arg-type]


def everyone(split: Split, task: str = "sequential") -> Queries:
    users = np.arange(split.training.n_users)
    return Queries(users, split.histories("test"), task)  # type: ignore[arg-type]


def check_shape_and_dtype(fitted: Fitted) -> None:
    split = tiny_split()
    method = fitted(split.training)
    assert method.name
    for task in TASKS:
        scores = method.score(everyone(split, task))
        assert scores.shape == (split.training.n_users, split.training.n_items)
        assert scores.dtype == np.float32


def check_scores_are_finite(fitted: Fitted) -> None:
    split = tiny_split()
    for task in TASKS:
        assert np.isfinite(fitted(split.training).score(everyone(split, task))).all()


def anew_first(fitted: Fitted, shared: Fitted) -> Fitted:
    """Fitted for the first who asks; whoever asks again gets the one that is shared."""
    ways = iter([fitted])
    return lambda training: next(ways, shared)(training)


def check_deterministic(fitted: Fitted) -> None:
    """Two fits give the same scores, and so does asking twice."""
    split = tiny_split()
    method = fitted(split.training)
    once = method.score(everyone(split)).copy()
    assert np.array_equal(once, method.score(everyone(split)))
    assert np.array_equal(once, fitted(split.training).score(everyone(split)))


def check_rows_do_not_depend_on_the_batch(fitted: Fitted) -> None:
    split = tiny_split()
    method, whole = fitted(split.training), everyone(split)
    together = method.score(whole).copy()
    for row in (0, 7, len(whole) - 1):
        users = whole.users[row : row + 1]
        alone = method.score(Queries(users, whole.histories.take(np.array([row]))))
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-4, atol=1e-5)


def check_people_who_are_not_in_the_log(fitted: Fitted) -> None:
    """users = -1, with a history, with one item, and with none at all."""
    split = tiny_split()
    method = fitted(split.training)
    for items in (("tea-1", "tea-2"), ("tea-1",), ()):
        for task in TASKS:
            scores = method.score(someone(split, *items, task=task))
            assert scores.shape == (1, split.training.n_items)
            assert np.isfinite(scores).all()


def check_inputs_are_left_alone(fitted: Fitted) -> None:
    split = tiny_split()
    training, queries = split.training, everyone(split)
    arrays = (training.histories.items, training.histories.offsets, training.popularity, training.matrix.data)
    arrays += (queries.users, queries.histories.items, queries.histories.offsets)
    before = [array.copy() for array in arrays]
    method = fitted(training)
    method.score(queries)[:] = -1  # a caller may write into what it was given: the next answer is not affected
    again = method.score(queries)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert not (again == -1).all()
    assert np.array_equal(again, fitted(training).score(queries))


def check_direct_task_ignores_order(fitted: Fitted) -> None:
    split = tiny_split()
    method = fitted(split.training)
    forwards = method.score(someone(split, "tea-1", "tea-2", "tea-5", task="direct"))
    backwards = method.score(someone(split, "tea-5", "tea-2", "tea-1", task="direct"))
    assert np.array_equal(forwards, backwards)


def check_direct_task_has_no_newest_item(fitted: Fitted) -> None:
    """A method that read row order as recency would notice the same people under another numbering of the items."""
    orders = []
    for seed in range(4):
        split = tiny_split(seed=seed)
        scores = fitted(split.training).score(someone(split, "tea-1", "tea-4", task="direct"))[0]
        rows = split.training.catalogue.rows_of([f"tea-{i}" for i in range(GROUP)])
        orders.append(scores[rows])
    for other in orders[1:]:
        np.testing.assert_allclose(orders[0], other, rtol=1e-4, atol=1e-5)


def check_held_out_items_are_not_seen(fitted: Fitted) -> None:
    """Everybody's test item, then everybody's validation item too, replaced: the scores stay byte-identical."""
    splits = [tiny_split(), tiny_split(test_step=1), tiny_split(test_step=2, valid_step=2)]
    assert not np.array_equal(splits[0].test, splits[1].test)
    assert not np.array_equal(splits[0].valid, splits[2].valid)
    queries = Queries(np.arange(splits[0].training.n_users), splits[0].training.histories)
    scores = [fitted(split.training).score(queries) for split in splits]
    assert scores[0].tobytes() == scores[1].tobytes() == scores[2].tobytes()


def check_known_answer(fitted: Fitted) -> None:
    """A tea drinker's unseen teas stand above every bread, and the other way round."""
    split = tiny_split()
    method, catalogue = fitted(split.training), split.training.catalogue
    for mine, other in (("tea", "bread"), ("bread", "tea")):
        own = catalogue.rows_of([f"{mine}-{i}" for i in (0, 4)])
        foreign = catalogue.rows_of([f"{other}-{i}" for i in range(GROUP)])
        for task in TASKS:
            scores = method.score(someone(split, f"{mine}-1", f"{mine}-2", f"{mine}-3", task=task))[0]
            assert scores[own].min() > scores[foreign].max()


CHECKS: tuple[Callable[[Fitted], None], ...] = (
    check_shape_and_dtype,
    check_scores_are_finite,
    check_deterministic,
    check_rows_do_not_depend_on_the_batch,
    check_people_who_are_not_in_the_log,
    check_inputs_are_left_alone,
    check_direct_task_ignores_order,
    check_held_out_items_are_not_seen,
)

ANEW = (check_deterministic, check_inputs_are_left_alone)
"""Checks of fitting itself: a fit of their own, held against the one that all share for each training data."""


def contract_cases(
    methods: Mapping[str, Fitted], impersonal: Collection[str] = (), trained: Collection[str] = ()
) -> Any:
    """(check, fitted) parameters, named "method-check".

    Args:
        methods: name -> fitted method from training data.
        impersonal: names of methods that do not learn from who bought what: no known answer is asked of them.
        trained: names of methods whose scores depend on the numbering of the rows (a seeded initialisation does).
    """
    cases = []
    for name, fitted in methods.items():
        checks = list(CHECKS)
        if name not in impersonal:
            checks.append(check_known_answer)
            if name not in trained:
                checks.append(check_direct_task_has_no_newest_item)
        shared = once(fitted)
        cases += [
            pytest.param(
                check, anew_first(fitted, shared) if check in ANEW else shared, id=f"{name}-{check.__name__[6:]}"
            )
            for check in checks
        ]
    return cases


def features(training: TrainingData, turned: str = "") -> Preferences:
    """Semantics of the tiny log without an encoder: an item's world and place, a person's mean item.

    Args:
        turned: "items" or "users" turns their vectors by a fixed rotation, and stretches those of items: other semantics of the
            same log.
    """
    wide, drawn = 8, {}
    for item in sorted(training.catalogue.ids):  # by id, so that another numbering changes nothing
        vector = np.random.default_rng([ord(letter) for letter in item]).normal(0, 0.2, wide)
        vector[0 if item.startswith("tea") else 1] += 1
        drawn[item] = vector
    items = unit_rows(np.stack([drawn[item] for item in training.catalogue.ids]))

    def of_histories(histories: Histories) -> np.ndarray:
        mean = unit_rows(histories.matrix(len(items)) @ items)
        return mean if turned != "users" else np.ascontiguousarray(mean @ rotation)

    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(wide, wide)))[0].astype(np.float32)
    stretched = unit_rows(items @ rotation * np.linspace(0.5, 2, wide, dtype=np.float32))  # other cosines too
    seen = stretched if turned == "items" else items
    return Preferences(seen, of_histories(training.histories), of_histories)


def same(one: Method, other: Method, queries: Queries, asked_otherwise: Queries | None = None) -> bool:
    """Whether two methods give the same scores, up to rounding."""
    return np.allclose(one.score(queries), other.score(asked_otherwise or queries), rtol=1e-4, atol=1e-5)


def check_claims(make: Callable[[], Method], semantic: Callable[[Preferences], Method] | None) -> None:
    """What a method says that it reads (``methods.score_inputs``) is what moves its scores, and nothing else does.

    Args:
        make: a new method.
        semantic: makes it from other semantics; None for a method that takes none.
    """
    split = tiny_split()
    training, everybody = split.training, Queries(np.arange(split.training.n_users), split.training.histories)
    reads, fitted = make().reads, fit(make, training)
    unknown = np.full(len(everybody), -1)

    turned = Histories.of([history[::-1] for history in everybody.histories])
    assert same(fitted, fitted, everybody, Queries(everybody.users, turned)) == (not reads.order), "order"

    shifted = everybody.histories.take(np.roll(everybody.users, 8))
    follows = not same(fitted, fitted, everybody, Queries(everybody.users, shifted))
    assert follows == reads.history, "history"

    if not reads.preferences:
        alike = same(fitted, fitted, everybody, Queries(unknown, everybody.histories))
        assert alike == (not reads.identity), "identity"

    # everybody else bought other things: half of the people are moved to the other world
    table = dict(zip(training.catalogue.ids, range(training.n_items), strict=True))
    moved = [
        [table[swapped(training.catalogue.ids[item])] if user % 2 else item for item in history]
        for user, history in enumerate(training.histories)
    ]
    elsewhere = replace(training, histories=Histories.of([history[:3] for history in moved]))
    assert same(fitted, fit(make, elsewhere), everybody) == (not reads.others), "others"

    renamed = training.catalogue.table.with_columns(pl.lit("another title").alias(Columns.TITLE))
    texts = replace(training, catalogue=Catalogue(renamed))
    assert same(fitted, fit(make, texts), everybody), "titles are read by nobody but the reasoner and the encoder"

    assert (semantic is not None) == (reads.texts or reads.preferences), "semantics come by way of Preferences alone"
    if semantic is not None:
        for what, claimed in (("items", reads.texts), ("users", reads.preferences)):
            other = fit(partial(semantic, features(training, turned=what)), training)
            assert same(fitted, other, everybody) == (not claimed), what


def swapped(item: str) -> str:
    world, place = item.split("-")
    return f"{'bread' if world == 'tea' else 'tea'}-{place}"


def fit(make: Callable[[], Method], training: TrainingData) -> Method:
    method = make()
    method.fit(training)
    return method
