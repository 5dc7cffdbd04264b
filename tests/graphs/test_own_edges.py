"""Evidence where interactions weigh and items repeat: graphs without the target's own interaction, and nothing else changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from tests.graphs.test_evidence import N_ITEMS, graph_settings, log_of

from isrf.core.config import GraphSettings
from isrf.data.training_data import TrainingData
from isrf.graphs.evidence import TrainingEvidence
from isrf.graphs.item_graphs import ItemGraphs, scaled, transitions
from isrf.graphs.own_edges import Examples


@st.composite
def weighted_logs(draw: st.DrawFn) -> TrainingData:
    """People with two to nine items each, any of them again, of any weight."""
    one = st.lists(st.integers(0, N_ITEMS - 1), min_size=2, max_size=N_ITEMS)
    training = log_of(draw(st.lists(one, min_size=2, max_size=5)))
    n = len(training.histories.items)
    weights = draw(st.none() | st.lists(st.sampled_from([0.2, 0.5, 1.0, 2.5]), min_size=n, max_size=n))
    held = None if weights is None else np.array(weights, dtype=np.float32)
    return replace(training, histories=replace(training.histories, weights=held))


def examples_of(training: TrainingData, ordered: bool) -> Examples:
    """Everybody's every item from what came before it (after it and before it where order does not count)."""
    found = []
    for user, history in enumerate(training.histories):
        for place in range(len(history)):
            read = [p for p in range(len(history)) if (p < place if ordered else p != place)]
            if read:
                found.append((user, place, read))
    width = max(len(read) for *_, read in found)
    places = np.array([[*read, *([0] * (width - len(read)))] for *_, read in found])
    mask = np.array([[*([True] * len(read)), *([False] * (width - len(read)))] for *_, read in found])
    users, targets = np.array([user for user, *_ in found]), np.array([place for _, place, _ in found])
    at = training.histories.offsets[:-1][users]
    items = training.histories.items
    rows = np.where(mask, items[at[:, None] + places], 0)
    nobody = np.zeros(len(users), dtype=bool)
    return Examples(users, rows, places, mask, items[at + targets], targets, nobody, ordered)


def without(training: TrainingData, graphs: ItemGraphs, user: int, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Both graphs had one interaction no weight, damped and divided as if it had."""
    histories, settings = training.histories, graphs.settings
    weights = histories.given_weights().copy()
    degrees = np.maximum(histories.totals(), 1e-9), np.maximum(training.popularity, 1e-9)
    weights[histories.offsets[user] + place] = 0
    left = replace(histories, weights=weights)
    counts = transitions(left, training.n_items, settings.window, settings.distance_power)
    following = scaled(sp.csr_matrix(counts + settings.backward * counts.T), graphs.source, graphs.target).toarray()
    links = left.matrix(training.n_items).toarray()
    root = degrees[1] ** -0.5
    together = root[:, None] * (links.T / degrees[0] @ links) * root[None]
    # the target's own item leaves the others of its user as they are
    whole = histories.matrix(training.n_items).toarray()
    one = whole.copy()
    one[user] = links[user]
    assert np.allclose(one, links)
    np.fill_diagonal(together, 0)
    return following, together


@given(weighted_logs(), graph_settings, st.booleans())
def test_only_what_the_target_itself_put_in_is_taken_out(
    training: TrainingData, settings: GraphSettings, ordered: bool
) -> None:
    graphs = ItemGraphs.build(training, settings)
    evidence = TrainingEvidence(training, graphs, None, None)
    examples = examples_of(training, ordered)
    candidates = np.arange(training.n_items)
    told = np.zeros((2, len(examples), training.n_items), dtype=np.float32)
    evidence.fill(told, examples, candidates)
    for row in range(len(examples)):
        user, place, target = (int(a[row]) for a in (examples.users, examples.target_places, examples.targets))
        following, together = without(training, graphs, user, place)
        places = examples.places[row][examples.mask[row]]
        heard = settings.decay ** (np.abs(place - places) - 1.0) if ordered else np.ones(len(places))
        items = examples.read[row][examples.mask[row]]
        for kind, graph in enumerate((following, together)):
            wanted = sum(h * graph[item, target] for h, item in zip(heard, items, strict=True))
            assert abs(told[kind, row, target] ** 2 - wanted) < 1e-4, (kind, ordered)


@given(weighted_logs())
def test_weights_of_one_and_no_repeats_are_the_plain_case(training: TrainingData) -> None:
    """The general account of own edges agrees with the short one where both hold."""
    plain = replace(training, histories=training.histories.plain())
    ones = np.ones(len(plain.histories.items), dtype=np.float32)
    weighed = replace(plain, histories=replace(plain.histories, weights=ones))
    settings = GraphSettings()
    found = []
    for data in (plain, weighed):
        if data.histories.lengths.max() < 2:
            return
        examples = examples_of(data, True)
        told = np.zeros((2, len(examples), N_ITEMS), dtype=np.float32)
        TrainingEvidence(data, ItemGraphs.build(data, settings), None, None).fill(told, examples, np.arange(N_ITEMS))
        found.append(told)
    assert np.allclose(found[0], found[1], atol=1e-5)
