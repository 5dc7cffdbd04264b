"""Carriers of the semantics other than the two graphs: the shared contract, and what each computes, by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from tests.methods.contract import Fitted, check_claims, contract_cases, features, fit, tiny_split
from tests.methods.test_baselines import ask, log

from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries
from isrf.data.training_data import TrainingData
from isrf.methods.interface import Method
from isrf.methods.preferences import Preferences
from isrf.methods.profile_text import ProfileText
from isrf.methods.propagated_preference import PropagatedPreference
from isrf.methods.registry import BASELINES, CARRIERS, TRAINED
from isrf.methods.semantic_id import SemanticId
from isrf.methods.semantic_knn import SemanticKNN


def carried(name: str) -> Fitted:
    def fitted(training: TrainingData) -> Method:
        return fit(partial(CARRIERS[name], features(training)), training)

    return fitted


CASES = contract_cases(
    {name: carried(name) for name in CARRIERS},
    trained={"semantic-id"},  # k-means starts from rows, so another numbering draws other centroids
)


@pytest.mark.parametrize(("check", "fitted"), CASES)
def test_contract(check: Callable[[Fitted], None], fitted: Fitted) -> None:
    check(fitted)


@pytest.mark.parametrize("name", [*BASELINES, *TRAINED, *CARRIERS])
def test_claims(name: str) -> None:
    """The interest card of a method is derived from these claims."""
    if name in CARRIERS:
        make = CARRIERS[name]
        check_claims(partial(make, features(tiny_split().training)), make)
    else:
        check_claims((BASELINES | TRAINED)[name], None)


def test_a_false_claim_is_caught() -> None:
    class Boastful(ProfileText):
        reads = BASELINES["itemknn"]().reads

    with pytest.raises(AssertionError, match="history"):
        check_claims(partial(Boastful, features(tiny_split().training)), Boastful)


def test_carriers_are_listed_under_their_own_names() -> None:
    assert {name: make.name for name, make in CARRIERS.items()} == {name: name for name in CARRIERS}
    assert not set(CARRIERS) & {*BASELINES, *TRAINED}


def plane(items: list[list[float]], users: list[list[float]]) -> Preferences:
    """Vectors in a plane; somebody who is not in the log prefers what their last row of the catalogue is."""
    rows = np.array(items, dtype=np.float32)
    return Preferences(rows, np.array(users, dtype=np.float32), lambda h: rows[[one[-1] for one in h]])


CROSS = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]]


def test_profile_text_is_the_cosine_of_preference_and_item() -> None:
    method = fit(lambda: ProfileText(plane(CROSS, [[0.0, 1.0], [0.0, 0.0]])), log([0], [1], n_items=4))
    scores = method.score(Queries(np.array([0, 1, -1, -1]), Histories.of([[3], [3], [0], []])))
    assert scores == pytest.approx(np.array([[0, 1, 0.8, 0], [0, 0, 0, 0], [1, 0, 0.6, -1], [0, 0, 0, 0]]))


def test_semantic_knn_sums_the_likeness_to_the_history() -> None:
    """The last item counts most in the sequential task, and all alike in the direct one; nobody's purchases matter."""
    method = fit(lambda: SemanticKNN(plane(CROSS, [[0.0, 1.0]]), decay=0.5), log([0], [1], n_items=4))
    history = Histories.of([[1, 0], []])
    scores = {t: method.score(Queries(np.array([-1, -1]), history, t)) for t in TASKS}
    assert scores["sequential"][0] == pytest.approx([1.0, 0.5, 0.6 + 0.4, -1.0])
    assert scores["direct"][0] == pytest.approx([1.0, 1.0, 1.4, -1.0])
    assert not scores["direct"][1].any()


def test_one_round_of_exchange_by_hand() -> None:
    """One person with items 0 and 1: what they tell item 0 is their preference, what they hear the sum of both items."""
    preferences = plane(CROSS, [[0.0, 1.0]])
    method = fit(lambda: PropagatedPreference(preferences, rounds=1, keep=0.5), log([0, 1], n_items=4))
    items = np.array(CROSS)
    items[0] = [0.5, 0.5]  # half itself, half what it is told
    items[0] /= np.linalg.norm(items[0])
    person = 0.5 * np.array([0, 1]) + 0.5 * np.array([1, 1]) / 2**0.5  # direct: both items count alike
    person /= np.linalg.norm(person)
    scores = method.score(Queries(np.array([0]), Histories.of([[0, 1]]), "direct"))
    assert scores[0] == pytest.approx(items @ person, abs=1e-6)


def test_more_rounds_reach_farther() -> None:
    """Nobody has both item 0 and item 3; what item 0 says comes to item 3 by way of item 1, in the second round."""
    training = log([0, 1], [1, 3], n_items=4)
    zero = [[0.0, 0.0]] * 2
    near, far = (fit(partial(PropagatedPreference, plane(CROSS, zero), rounds=r), training) for r in (1, 2))
    direct = ask([0], "direct")
    assert near.score(direct)[0, 3] == pytest.approx(-1.0) and far.score(direct)[0, 3] > -0.95


def test_a_semantic_id_carries_from_an_item_to_those_like_it() -> None:
    """Nobody ever bought item 3, but it has the codes of item 1, which follows item 0."""
    items = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 1.0]]
    preferences = plane([*items, *[[-1.0, -1e-3 * i] for i in range(4)]], [[0.0, 0.0]] * 2)
    training = log([0, 1], [4, 5], n_items=8)
    scores = {d: fit(lambda d=d: SemanticId(preferences, 1, 2, depth=d), training).score(ask([0]))[0] for d in (0, 1)}
    assert scores[1][3] > 0 and scores[1][1] > scores[1][3] > scores[1][2]
    assert scores[0][3] == 0 < scores[0][1], "at the last depth alone it is the item itself that counts"


def test_people_with_the_same_identifier_are_counted_together() -> None:
    """User 1 has the deep interest of user 0, who bought item 0; user 2 has another."""
    users = [[1.0, 0.0], [1.0, 0.01], [-1.0, 0.0]]
    preferences = plane([[1.0, 0.0], [-1.0, 0.0]] * 4, users)
    training = log([0], [], [1], n_items=8)
    make = partial(SemanticId, preferences, levels=1, codes=2)
    nothing = Queries(np.array([1, 2]), Histories.of([[], []]), "direct")
    scores = fit(partial(make, interest=1.0), training).score(nothing)
    assert scores[0, 0] > 0 == scores[0, 1] and scores[1, 1] > 0 == scores[1, 0]
    assert not fit(partial(make, interest=0.0), training).score(nothing).any()


def test_nobody_without_a_preference_has_an_identifier() -> None:
    preferences = features(tiny_split().training)
    method = fit(lambda: SemanticId(preferences), tiny_split().training)
    for task in TASKS:
        assert not method.score(Queries(np.array([-1]), Histories.of([[]]), task)).any()
