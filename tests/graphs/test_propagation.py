"""LightGCN against its formula written out with dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isrf.graphs.propagation import normalised, propagate, propagate_bipartite


def dense_normalised(a: np.ndarray) -> np.ndarray:
    """D_r^-1/2 A D_c^-1/2, an empty row or column staying empty."""
    rows, columns = a.sum(1), a.sum(0)
    scale = np.sqrt(np.outer(rows, columns))
    return np.divide(a, scale, out=np.zeros_like(a), where=scale > 0)


def edges(max_side: int = 8) -> st.SearchStrategy[np.ndarray]:
    shape = st.tuples(st.integers(1, max_side), st.integers(1, max_side))
    return shape.flatmap(lambda s: hnp.arrays(np.float64, s, elements=st.sampled_from([0.0, 0.0, 1.0])))


def noise(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


@given(edges(), st.integers(0, 4))
def test_bipartite_propagation_is_the_mean_over_layers_of_the_whole_graph(a: np.ndarray, layers: int) -> None:
    n_users, n_items = a.shape
    users, items = noise(n_users, 3, 0), noise(n_items, 3, 1)
    # the graph as one square matrix over users and items, as the LightGCN paper writes it
    whole = np.block([[np.zeros((n_users, n_users)), a], [a.T, np.zeros((n_items, n_items))]])
    nodes = np.concatenate([users, items]).astype(np.float64)
    step = dense_normalised(whole)
    expected = sum(np.linalg.matrix_power(step, layer) @ nodes for layer in range(layers + 1)) / (layers + 1)
    z_users, z_items = propagate_bipartite(normalised(sp.csr_matrix(a)), users, items, layers)
    np.testing.assert_allclose(np.concatenate([z_users, z_items]), expected, atol=1e-5)


@given(edges(), st.integers(0, 4))
def test_propagation_over_one_kind_of_node(a: np.ndarray, layers: int) -> None:
    side = min(a.shape)
    square = np.triu(a[:side, :side], 1)
    square = square + square.T
    nodes = noise(side, 2, 2)
    step = dense_normalised(square)
    expected = sum(np.linalg.matrix_power(step, layer) @ nodes for layer in range(layers + 1)) / (layers + 1)
    np.testing.assert_allclose(propagate(normalised(sp.csr_matrix(square)), nodes, layers), expected, atol=1e-5)


def test_features_given_are_left_as_they_were() -> None:
    links, users, items = normalised(sp.csr_matrix(np.ones((2, 3)))), noise(2, 2, 3), noise(3, 2, 4)
    before = users.copy(), items.copy()
    propagate_bipartite(links, users, items, 2)
    assert np.array_equal(users, before[0]) and np.array_equal(items, before[1])


def test_a_node_without_an_edge_keeps_its_direction() -> None:
    links = normalised(sp.csr_matrix(np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])))
    nodes = noise(3, 4, 5)
    assert propagate(links, nodes, 1)[2] == pytest.approx(nodes[2] / 2)


def test_normalised_leaves_no_division_by_zero(recwarn: pytest.WarningsRecorder) -> None:
    scaled = normalised(sp.csr_matrix(np.array([[0.0, 0], [1, 0]])))
    assert np.array_equal(scaled.toarray(), [[0, 0], [1, 0]])
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]
