"""One pass over the people: what is known, what is excluded, what is sampled, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from tests.methods.contract import GROUP, tiny_split

from isrf.core.config import EvaluationSettings
from isrf.data.histories import Histories
from isrf.data.queries import Queries
from isrf.data.splits.split import Split
from isrf.data.training_data import TrainingData
from isrf.evaluation.metrics import full_ranks
from isrf.evaluation.protocol import draw_negatives, evaluate, fit_and_evaluate, sampled_label
from isrf.methods.popularity import Popularity
from isrf.methods.seq_itemknn import SeqItemKNN

SETTINGS = EvaluationSettings(sampled_negatives=4, block=5)


class Written:
    """Scores from a function of the queries, to see what evaluation asks and does with the answer."""

    name = "written"

    def __init__(self, score) -> None:  # type: ignore[no-untyped-def]
        self.score, self.asked = self._recorded(score), []

    def fit(self, training: TrainingData) -> None:
        self.training = training

    def _recorded(self, score):  # type: ignore[no-untyped-def]
        def recorded(queries: Queries) -> np.ndarray:
            self.asked.append(queries)
            return score(queries)

        return recorded


def oracle(split: Split, part: str) -> Written:
    targets = split.targets(part)

    def score(queries: Queries) -> np.ndarray:
        scores = np.zeros((len(queries), split.training.n_items), dtype=np.float32)
        scores[np.arange(len(queries)), targets[queries.users]] = 1
        for row, history in enumerate(queries.histories):
            scores[row, history] = 2  # seen items above everything: they must not count
        return scores

    return Written(score)


@pytest.mark.parametrize("part", ["valid", "test"])
@pytest.mark.parametrize("task", ["sequential", "direct"])
def test_an_oracle_is_first_everywhere_because_seen_items_are_no_candidates(part, task) -> None:  # type: ignore[no-untyped-def]
    split = tiny_split()
    full, sampled = evaluate(oracle(split, part), split, part, task, SETTINGS)
    assert full.hr(5) == full.ndcg(10) == sampled.ndcg(10) == 1.0
    assert (full.candidates, sampled.candidates) == ("all", "sampled-5")
    assert (full.biased, sampled.biased) == (False, True)


def test_a_method_that_knows_nothing_is_last_everywhere() -> None:
    split = tiny_split()
    nothing = Written(lambda queries: np.zeros((len(queries), split.training.n_items), dtype=np.float32))
    full, sampled = evaluate(nothing, split, "test", "sequential", SETTINGS)
    unseen = split.training.n_items - split.histories("test").lengths
    assert np.array_equal(full.ranks, unseen - 1)
    assert (sampled.ranks == 4).all()


def test_each_person_is_asked_about_once_with_what_is_known_before_the_target() -> None:
    split = tiny_split()
    method = oracle(split, "test")
    evaluate(method, split, "test", "sequential", SETTINGS)
    asked = np.concatenate([queries.users for queries in method.asked])
    assert sorted(asked.tolist()) == list(range(split.training.n_users))
    for queries in method.asked:
        assert len(queries) <= SETTINGS.block
        for user, history in zip(queries.users, queries.histories, strict=True):
            expected = [*split.training.histories[int(user)], split.valid[user]]
            assert history.tolist() == expected


def test_the_direct_task_shows_no_order() -> None:
    split = tiny_split()
    method = oracle(split, "test")
    evaluate(method, split, "test", "direct", SETTINGS)
    assert all((np.diff(history) > 0).all() for queries in method.asked for history in queries.histories)
    assert not any(queries.ordered for queries in method.asked)


def test_people_without_a_target_are_left_out() -> None:
    split = tiny_split()
    valid, test = split.valid.copy(), split.test.copy()
    valid[3] = test[3] = -1
    full, _ = evaluate(oracle(split, "test"), Split(split.training, valid, test), "test", "sequential", SETTINGS)
    assert 3 not in full.users
    assert len(full.ranks) == split.training.n_users - 1


def test_ranks_do_not_depend_on_the_block() -> None:
    split = tiny_split()
    method = SeqItemKNN()
    method.fit(split.training)
    small = evaluate(method, split, "test", "sequential", SETTINGS)
    large = evaluate(method, split, "test", "sequential", SETTINGS.model_copy(update={"block": 1000}))
    for a, b in zip(small, large, strict=True):
        assert np.array_equal(a.ranks, b.ranks)
    targets = split.targets("test")
    by_hand = full_ranks(
        method.score(Queries(small[0].users, split.histories("test"))), targets, split.histories("test")
    )
    assert np.array_equal(small[0].ranks, by_hand)


def test_negatives_are_unseen_distinct_and_the_same_for_every_method() -> None:
    split = tiny_split()
    known, targets, users = split.histories("test"), split.targets("test"), split.users("test")
    drawn = draw_negatives(known, targets, users, split.training.n_items, SETTINGS)
    for user, items in zip(users, drawn, strict=True):
        assert len(set(items.tolist())) == len(items) == 4
        assert not set(items.tolist()) & ({int(targets[user])} | set(known[int(user)].tolist()))
    again = draw_negatives(known, targets, users, split.training.n_items, SETTINGS)
    assert np.array_equal(drawn.items, again.items)
    other = SETTINGS.model_copy(update={"seed": 1})
    assert not np.array_equal(drawn.items, draw_negatives(known, targets, users, 2 * GROUP, other).items)


def test_negatives_are_uniform_over_the_free_items() -> None:
    people = 20_000
    known = Histories.of([[0, 5]] * people)
    settings = EvaluationSettings(sampled_negatives=2)
    drawn = draw_negatives(known, np.full(people, 3), np.arange(people), 8, settings)
    share = np.bincount(drawn.items, minlength=8) / people
    assert share[[0, 3, 5]].tolist() == [0, 0, 0]
    assert share[[1, 2, 4, 6, 7]] == pytest.approx(2 / 5, abs=0.02)  # five free items, two drawn; 0.02 = 6 sigma


def test_a_small_catalogue_gives_all_the_negatives_it_has() -> None:
    drawn = draw_negatives(Histories.of([[0, 1]]), np.array([2]), np.array([0]), 5, EvaluationSettings())
    assert sorted(drawn[0].tolist()) == [3, 4]


def test_scores_of_the_wrong_kind_are_refused() -> None:
    split = tiny_split()
    n = split.training.n_items
    wrong = {
        "float64": lambda queries: np.zeros((len(queries), n)),
        r"\(5, 3\)": lambda queries: np.zeros((len(queries), 3), dtype=np.float32),
        "NaN": lambda queries: np.full((len(queries), n), np.nan, dtype=np.float32),
    }
    for message, score in wrong.items():
        with pytest.raises(ValueError, match=message):
            evaluate(Written(score), split, "test", "sequential", SETTINGS)


def test_a_log_in_which_nobody_has_three_interactions_is_refused() -> None:
    split = tiny_split()
    none = np.full(split.training.n_users, -1)
    with pytest.raises(ValueError, match="no user has a target in test"):
        evaluate(Popularity(), Split(split.training, none, none), "test", "sequential", SETTINGS)


def test_fit_and_evaluate_measures_every_method_part_and_task() -> None:
    results = fit_and_evaluate([Popularity, SeqItemKNN], tiny_split(), SETTINGS, parts=("valid", "test"))
    assert [(r.method, r.part, r.task, r.biased) for r in results[:4]] == [
        ("popularity", "valid", "sequential", False),
        ("popularity", "valid", "sequential", True),
        ("popularity", "valid", "direct", False),
        ("popularity", "valid", "direct", True),
    ]
    assert len(results) == 16
    assert all(r.fit_seconds is not None and r.rank_seconds > 0 for r in results)
    best = {r.method: r.ndcg(10) for r in results if (r.part, r.task, r.biased) == ("test", "sequential", False)}
    assert best["seq-itemknn"] == 1.0  # around the ring the next item is certain
    assert best["popularity"] < 0.6


def test_sampled_candidates_are_called_by_how_many_there_were() -> None:
    """16 items, 5 known before the target: ten negatives are all there are, whatever was asked for."""
    split = tiny_split()
    known = set(split.histories("test").lengths.tolist())
    assert known == {5} and split.training.n_items == 16
    many = SETTINGS.model_copy(update={"sampled_negatives": 99})
    full, sampled = evaluate(oracle(split, "test"), split, "test", "sequential", many)
    assert sampled.candidates == "sampled-11"
    assert np.array_equal(full.ranks, sampled.ranks)


def test_sampled_candidates_of_uneven_histories_are_called_by_both_ends() -> None:
    assert sampled_label(Histories.of([[1, 2, 3]] * 2)) == "sampled-4"
    assert sampled_label(Histories.of([[1, 2, 3], [1], [2, 3]])) == "sampled-2-to-4"
