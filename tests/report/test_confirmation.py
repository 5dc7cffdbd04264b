"""How often crossings are confirmed, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tests.methods.contract import tiny_split

from isrf.core.config import EvaluationSettings
from isrf.data.splits.split import Split
from isrf.ranking.group_effect import ListChanges
from isrf.report.bridge_tables import lines
from isrf.report.confirmation import confirmation, matched_controls

SETTINGS = EvaluationSettings(bootstrap_samples=200, permutation_samples=200)


@pytest.fixture(scope="module")
def split() -> Split:
    return tiny_split()


def crossings(split: Split, right: int) -> ListChanges:
    """One for each test user, of an item that the person has not had: the target for the first ``right``."""
    users = split.users("test")
    known = split.histories("test")
    items = np.array([np.setdiff1d(np.arange(split.training.n_items), [*known[u], split.test[u]])[0] for u in users])
    displaced = items.copy()
    items[:right] = split.test[users[:right]]
    ranks = np.zeros(len(users), dtype=np.int64)
    return ListChanges(users, np.ones(len(users)), users, items, ranks, ranks + 20, displaced)


def test_a_control_is_as_popular_unseen_and_another_item(split: Split) -> None:
    found = crossings(split, 5)
    controls = matched_controls(found, split, seed=0)
    popularity, known = split.training.popularity, split.histories("test")
    for user, item, control in zip(found.users, found.items, controls, strict=True):
        assert control != item and control not in known[int(user)]
        free = np.setdiff1d(np.arange(split.training.n_items), [*known[int(user)], item])
        assert abs(popularity[control] - popularity[item]) == np.abs(popularity[free] - popularity[item]).min()
    assert np.array_equal(controls, matched_controls(found, split, seed=0))
    assert not np.array_equal(controls, matched_controls(found, split, seed=1))


def test_confirmed_crossings_are_counted_and_tested_against_both_controls(split: Split) -> None:
    right = 12
    told = confirmation(crossings(split, right), split, SETTINGS)
    people = len(split.users("test"))
    assert (told.people, told.changed, told.crossings, told.confirmed) == (people, people, people, right)
    matched, left = told.against
    assert left.control_confirmed == 0 and left.confirmed == right  # displaced items are never the target here
    assert left.difference == pytest.approx(right / people) and left.p_value < 0.05
    assert left.ci95[0] <= left.difference <= left.ci95[1]
    assert matched.confirmed == right and matched.difference == pytest.approx(
        (right - matched.control_confirmed) / people
    )
    assert f"confirm {right}" in lines(told.document())[0] and "significant (p < 0.05)" in lines(told.document())[2]


def test_nobody_changed(split: Split) -> None:
    none = np.zeros(0, dtype=np.int64)
    told = confirmation(ListChanges(split.users("test"), np.zeros(9), none, none, none, none, none), split, SETTINGS)
    assert told.confirmed == 0 and [one.p_value for one in told.against] == [1.0, 1.0]
    assert "nobody's top ten" in lines(told.document())[0]
