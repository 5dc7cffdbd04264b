"""Group votes and profiles against loops: what neighbours chose, and nothing of one's own."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from isrf.data.histories import Histories
from isrf.graphs.groups import PROFILE_ITEMS, SHARPNESS, GroupProfile, group_profile, item_votes, user_item_votes

LOG = [[0, 1], [1, 2], [2, 3], [4]]
"""Four people; 0, 1 and 2 are alike, 3 is like nobody."""

LINKS = sp.csr_matrix(np.array([[0, 0.9, 0.7, 0], [0.9, 0, 0.8, 0], [0.7, 0.8, 0, 0], [0, 0, 0, 0]], dtype=np.float32))


DECAY = 0.6


def choices(log: list[list[int]], n_items: int = 6) -> sp.csr_matrix:
    return user_item_votes(Histories.of(log), n_items, DECAY)


def counted(links: np.ndarray, log: list[list[int]], n_items: int) -> np.ndarray:
    """The votes in words: by cosine ** SHARPNESS and recency, long histories and popular items damped."""
    bought_by = [sum(item in history for history in log) for item in range(n_items)]
    ballot = np.zeros((len(links), n_items))
    for person, row in enumerate(links):
        for other, cosine in enumerate(row):
            for age, item in enumerate(reversed(log[other])):
                voice = DECAY**age / len(log[other]) ** 0.5 / bought_by[item] ** 0.25
                ballot[person, item] += max(cosine, 0) ** SHARPNESS * voice
    return ballot


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_votes_are_those_counted_by_hand(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    log = [rng.permutation(5)[: rng.integers(0, 5)].tolist() for _ in range(n)]
    links = np.triu(rng.uniform(-0.5, 1, (n, n)) * (rng.random((n, n)) < 0.5), 1)
    links = links + links.T
    found = item_votes(sp.csr_matrix(links, dtype=np.float32), choices(log, 5))
    np.testing.assert_allclose(found.toarray(), counted(links, log, 5), rtol=1e-4, atol=1e-7)


def test_own_choices_get_no_vote_of_ones_own() -> None:
    ballot = item_votes(LINKS, choices(LOG)).toarray()
    assert ballot[0, 0] == 0  # item 0 was chosen by person 0 alone
    assert ballot[0, 1] > 0  # item 1 by a neighbour too
    assert not ballot[3].any()


def test_own_interactions_never_enter_a_profile() -> None:
    """Person 0 chooses quite other things: nothing moves in their profile but through the items' popularity."""
    semantics = np.eye(4, dtype=np.float32)
    one = group_profile(LINKS, choices(LOG), semantics)
    # a new person with the same neighbours, of whom the log knows nothing, has the same votes for the same items
    stranger = group_profile(LINKS[0], choices(LOG), semantics)
    assert np.array_equal(one.items[0], stranger.items[0])
    np.testing.assert_allclose(one.weights[0], stranger.weights[0], rtol=1e-6)
    changed = group_profile(LINKS, choices([[5], *LOG[1:]]), semantics)
    assert set(changed.items[0][changed.weights[0] > 0]) == {1, 2, 3} == set(one.items[0][one.weights[0] > 0])
    assert np.array_equal(one.semantics[0], changed.semantics[0])
    assert one.semantics[0, 0] == 0


def test_a_profile_lists_the_strongest_votes_first_and_sums_to_one() -> None:
    profile = group_profile(LINKS, choices(LOG), np.eye(4, dtype=np.float32))
    assert profile.items.shape == profile.weights.shape == (4, PROFILE_ITEMS)
    assert profile.items.dtype == np.int64 and profile.weights.dtype == profile.semantics.dtype == np.float32
    assert (np.diff(profile.weights, axis=1) <= 0).all()
    assert profile.weights.sum(1) == pytest.approx([1, 1, 1, 0])
    ballot = item_votes(LINKS, choices(LOG)).toarray()[0]
    assert profile.items[0, 0] == ballot.argmax()
    assert profile.weights[0, 0] == pytest.approx(ballot.max() / ballot.sum())
    assert profile.semantics[0] == pytest.approx([0, 0.9 / 1.6, 0.7 / 1.6, 0])


def test_persons_without_neighbours_have_an_empty_profile() -> None:
    profile = group_profile(LINKS, choices(LOG), np.ones((4, 2), np.float32))
    assert profile.present.tolist() == [True, True, True, False]
    assert not profile.items[3].any() and not profile.weights[3].any() and not profile.semantics[3].any()


def test_of_a_large_group_the_most_voted_items_are_kept_ties_by_row() -> None:
    log = [[], list(range(100)), [99]]
    links = sp.csr_matrix(np.array([[0, 0.9, 0.9], [0, 0, 0], [0, 0, 0]], dtype=np.float32))
    profile = group_profile(links, choices(log, 100), np.zeros((3, 2), np.float32))
    # 99 has two voices; of the others the most recent speak loudest
    assert profile.items[0].tolist() == [99, *range(98, 99 - PROFILE_ITEMS, -1)]
    assert profile.weights[0].sum() == pytest.approx(1)


def test_taking_rows_and_nobody() -> None:
    profile = group_profile(LINKS, choices(LOG), np.eye(4, dtype=np.float32))
    taken = profile.take(np.array([2, -1, 0]))
    assert taken.present.tolist() == [True, False, True]
    assert np.array_equal(taken.items[[0, 2]], profile.items[[2, 0]])
    assert not taken.items[1].any() and not taken.weights[1].any() and not taken.semantics[1].any()
    nobody = GroupProfile.empty(2, 4)
    assert not nobody.present.any()
    assert [a.shape for a in (nobody.items, nobody.weights, nobody.semantics)] == [
        a.shape for a in (taken.items[:2], taken.weights[:2], taken.semantics[:2])
    ]


@given(st.integers(0, 10_000), st.floats(0, 0.6))
def test_the_mean_of_neighbours_is_that_over_all_users_to_the_last_bit(seed: int, density: float) -> None:
    """Only the neighbours' rows are read; a person without a neighbour has none."""
    rng = np.random.default_rng(seed)
    links = sp.random(4, 9, density, "csr", np.float32, random_state=rng)
    features = rng.normal(size=(9, 5)).astype(np.float32)
    total = np.asarray(links.sum(1)).ravel()
    share = sp.diags(np.divide(1.0, total, out=np.zeros(4), where=total > 0)) @ links
    found = group_profile(links, sp.csr_matrix((9, 3), dtype=np.float32), features)
    assert np.array_equal(found.semantics, np.asarray(share @ features, dtype=np.float32))
