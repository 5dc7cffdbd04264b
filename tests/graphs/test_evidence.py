"""Evidence of training examples: as ranking would read it, but for what the example itself put into the graphs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from isrf.core.config import GraphSettings
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.queries import Queries
from isrf.data.training_data import Catalogue, TrainingData
from isrf.graphs.evidence import EVIDENCE, Examples, TrainingEvidence
from isrf.graphs.groups import item_votes
from isrf.graphs.item_graphs import ItemGraphs
from isrf.graphs.prefix_index import PrefixIndex, present_interests
from isrf.graphs.signals import InterestGraphs

N_ITEMS, N_USERS = 9, 7


TASTES = np.random.default_rng(5).normal(size=(N_ITEMS, 4)).astype(np.float32)
"""What each item is like."""

NOBODY = sp.csr_matrix((N_USERS, N_USERS), dtype=np.float32)
"""Users that nobody is like."""


def moments_of(training: TrainingData) -> PrefixIndex:
    return PrefixIndex.of(training.histories, TASTES, GraphSettings())


def log_of(histories: list[list[int]]) -> TrainingData:
    table = pl.DataFrame({Columns.ITEM: [f"i{i}" for i in range(N_ITEMS)], Columns.TITLE: [""] * N_ITEMS})
    return TrainingData([f"u{u}" for u in range(len(histories))], Catalogue(table), Histories.of(histories))


@st.composite
def logs(draw: st.DrawFn) -> TrainingData:
    """People with two to nine different items each."""
    one = st.lists(st.integers(0, N_ITEMS - 1), min_size=2, max_size=N_ITEMS, unique=True)
    return log_of(draw(st.lists(one, min_size=N_USERS, max_size=N_USERS)))


graph_settings = st.builds(
    GraphSettings,
    window=st.integers(1, 8),
    backward=st.sampled_from([0.0, 0.3, 1.0]),
    distance_power=st.sampled_from([0.0, 0.5, 1.0]),
    source_power=st.sampled_from([0.0, 0.4]),
    target_power=st.sampled_from([0.0, 0.1]),
    decay=st.sampled_from([0.5, 1.0]),
)


def example(training: TrainingData, user: int, target_place: int, ordered: bool, heard: bool = True) -> Examples:
    """One person's item at a place, predicted from what came before it, or from all their other items as a set."""
    history = training.histories[user]
    places = np.arange(target_place) if ordered else np.delete(np.arange(len(history)), target_place)
    width = N_ITEMS + 2  # some padding, of item 0 at place 0
    row = np.zeros((3, width), dtype=np.int64)
    row[0, : len(places)], row[1, : len(places)], row[2, : len(places)] = history[places], places, 1
    return Examples(
        np.array([user]),
        row[:1],
        row[1:2],
        row[2:] > 0,
        history[[target_place]],
        np.array([target_place]),
        np.array([heard]),
        ordered,
    )


def told(evidence: TrainingEvidence, asked: Examples) -> np.ndarray:
    """(K, I): evidence about the whole catalogue."""
    found = np.zeros((evidence.kinds, 2, N_ITEMS + 1), dtype=np.float32)
    evidence.fill(found, asked, np.arange(N_ITEMS))
    assert not found[:, 1:].any() and not found[:, :, N_ITEMS:].any(), "what fills up the shape stays as it was"
    return found[:, 0, :N_ITEMS]


def as_ranked(training: TrainingData, settings: GraphSettings, asked: Examples) -> np.ndarray:
    """(2, I): what ranking reads for somebody new with the same items."""
    nothing = np.zeros((N_ITEMS, 2), dtype=np.float32)
    graphs = InterestGraphs.build(training, nothing, nothing, settings)
    known = Histories.of([asked.read[0][asked.mask[0]]])
    found = graphs.evidence(Queries(np.array([-1]), known, "sequential" if asked.ordered else "direct"), None)
    return np.stack([found[name][0] for name in EVIDENCE[:2]])


@given(logs(), graph_settings, st.data())
@examples(max_examples=60, deadline=None)
def test_all_but_the_target_is_judged_as_ranking_judges_it(
    training: TrainingData, settings: GraphSettings, data: st.DataObject
) -> None:
    user, ordered = data.draw(st.integers(0, N_USERS - 1)), data.draw(st.booleans())
    place = data.draw(st.integers(0, int(training.histories.lengths[user]) - 1))
    asked = example(training, user, place, ordered)
    found = told(TrainingEvidence(training, ItemGraphs.build(training, settings), None, None), asked)
    others = np.delete(np.arange(N_ITEMS), asked.targets)
    np.testing.assert_allclose(found[:, others], as_ranked(training, settings, asked)[:, others], rtol=1e-4, atol=1e-6)


@given(logs(), graph_settings, st.data())
@examples(max_examples=60, deadline=None)
def test_the_target_is_judged_by_everybody_else(
    training: TrainingData, settings: GraphSettings, data: st.DataObject
) -> None:
    """Against sums over all other people, pair by pair; damped by the degrees of the whole log."""
    user, ordered = data.draw(st.integers(0, N_USERS - 1)), data.draw(st.booleans())
    place = data.draw(st.integers(0, int(training.histories.lengths[user]) - 1))
    asked = example(training, user, place, ordered)
    graphs, target = ItemGraphs.build(training, settings), int(asked.targets[0])
    read = asked.read[0][asked.mask[0]]
    following = together = 0.0
    popularity = training.popularity
    for age, item in enumerate(read[::-1]):
        heard = settings.decay**age if ordered else 1.0
        for other in range(N_USERS):
            history = training.histories[other].tolist()
            if other == user or item not in history or target not in history:
                continue
            ahead = history.index(target) - history.index(item)
            if abs(ahead) <= settings.window:
                weight = abs(ahead) ** -settings.distance_power * (1 if ahead > 0 else settings.backward)
                following += heard * weight * graphs.source[item] * graphs.target[target]
            together += heard / len(history) / np.sqrt(popularity[item] * popularity[target])
    found = told(TrainingEvidence(training, graphs, None, None), asked)[:, target]
    np.testing.assert_allclose(found**2, [following, together], rtol=1e-3, atol=3e-6)


@pytest.mark.parametrize("ordered", [True, False])
def test_what_nobody_else_bought_has_no_evidence(ordered: bool) -> None:
    """The graphs hold the edge to the very item that is predicted: it must not answer for itself."""
    training = log_of([[0, 1, 2, 8], [0, 1, 3], [2, 1, 0]])
    evidence = TrainingEvidence(training, ItemGraphs.build(training, GraphSettings()), None, None)
    found = told(evidence, example(training, 0, 3, ordered))
    assert not found[:, 8].any() and found[0, 3] > 0 and found[1, 3] > 0
    ranked = as_ranked(training, GraphSettings(), example(training, 0, 3, ordered))
    assert (ranked[:, 8] > 0.1).all(), "read as they are the graphs would give it away"


def test_the_group_is_heard_where_it_may_be() -> None:
    """In direct recommendation: what neighbours chose, where the example reads the group."""
    training = log_of([[0, 1, 2], [3, 4, 5], [4, 6, 7]])
    links = sp.csr_matrix(np.array([[0, 0.9, 0.8], [0, 0, 0], [0, 0, 0]], dtype=np.float32))
    graphs = ItemGraphs.build(training, GraphSettings())
    evidence = TrainingEvidence(training, graphs, links, moments_of(training))
    heard = told(evidence, example(training, 0, 2, False))
    assert np.flatnonzero(heard[2]).tolist() == [3, 4, 5, 6, 7]
    expected = np.sqrt(item_votes(links[:1], evidence.choices.tocsr()).toarray())
    np.testing.assert_allclose(heard[2], expected[0], rtol=1e-6)
    assert not told(evidence, example(training, 0, 2, False, heard=False))[2].any()
    assert not told(evidence, example(training, 1, 2, False))[2].any(), "nobody is like this person"
    assert TrainingEvidence(training, graphs, None, None).kinds == 2


@given(logs(), st.data())
@examples(max_examples=60, deadline=None)
def test_moments_speak_to_a_target_as_they_would_to_somebody_new(training: TrainingData, data: st.DataObject) -> None:
    """The same votes as ranking reads for what came before the target, and not a word of the person's own."""
    user = data.draw(st.integers(0, N_USERS - 1))
    place = data.draw(st.integers(1, int(training.histories.lengths[user]) - 1))
    moments, asked = moments_of(training), example(training, user, place, True, heard=False)
    evidence = TrainingEvidence(training, ItemGraphs.build(training, GraphSettings()), NOBODY, moments)
    before = present_interests(Histories.of([training.histories[user][:place]]), TASTES, GraphSettings().decay)
    links = moments.links(before, np.array([user]))
    assert user not in moments.users[links.indices]
    expected = np.sqrt(moments.votes(links, N_ITEMS).toarray()[0])
    np.testing.assert_allclose(told(evidence, asked)[2], expected, rtol=1e-4, atol=1e-6)


def test_a_first_item_has_no_moment_before_it() -> None:
    training = log_of([[0, 1], [0, 1], [0, 2]])
    evidence = TrainingEvidence(
        training, ItemGraphs.build(training, GraphSettings()), NOBODY[:3, :3], moments_of(training)
    )
    assert not told(evidence, example(training, 0, 0, True))[2].any()
    assert np.flatnonzero(told(evidence, example(training, 0, 1, True))[2]).tolist() == [1, 2]
