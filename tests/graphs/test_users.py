"""The similar-user graph against brute force over all pairs."""

from __future__ import annotations

import resource
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from isrf.core.config import GraphSettings
from isrf.graphs.similar_users import UserGraph, build_user_graph, nearest, suggested_tau
from isrf.semantics.index import exact_index

pytestmark = pytest.mark.usefixtures("shell")


def unit_vectors(n: int, d: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def brute_force(vectors: np.ndarray, tau: float, top_k: int) -> np.ndarray:
    """(U, U) bool: each is among the other's top_k and their cosine is at least tau; zero vectors have no cosine."""
    present = np.any(vectors != 0, axis=1)
    cosine = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    cosine[:, ~present] = cosine[~present] = -np.inf
    np.fill_diagonal(cosine, -np.inf)
    chosen = np.zeros(cosine.shape, dtype=bool)
    for user, row in enumerate(cosine):
        best = np.argsort(-row)[:top_k]
        chosen[user, best[row[best] >= tau]] = True
    return chosen & chosen.T


@given(
    n=st.integers(1, 40),
    seed=st.integers(0, 10_000),
    tau=st.sampled_from([-1.0, -0.5, 0.0, 0.3, 0.6, 0.9]),
    top_k=st.integers(1, 12),
    zeros=st.integers(0, 5),
)
@examples(max_examples=60)
def test_links_are_exactly_those_of_brute_force(n: int, seed: int, tau: float, top_k: int, zeros: int) -> None:
    vectors = unit_vectors(n, 6, seed)
    vectors[np.random.default_rng(seed).permutation(n)[:zeros]] = 0
    links = build_user_graph(vectors, GraphSettings(tau=tau, top_k=top_k)).links
    assert np.array_equal(links.toarray() != 0, brute_force(vectors, tau, top_k))


def test_weights_are_cosines_and_the_graph_is_symmetric_without_self_links() -> None:
    vectors = unit_vectors(60, 5, 1)
    links = build_user_graph(vectors, GraphSettings(tau=0.2, top_k=10)).links
    dense = links.toarray()
    assert links.dtype == np.float32 and links.nnz > 50
    assert np.array_equal(dense, dense.T)  # to the last bit
    assert not dense.diagonal().any()
    np.testing.assert_allclose(links.data, (vectors @ vectors.T)[links.nonzero()], atol=1e-6)
    assert np.diff(links.indptr).max() <= 10
    assert links.has_sorted_indices


def test_users_without_a_feature_are_linked_to_nobody_even_where_tau_allows_everything() -> None:
    vectors = unit_vectors(30, 4, 2)
    vectors[[3, 7, 8]] = 0
    graph = build_user_graph(vectors, GraphSettings(tau=-1.0, top_k=29))
    degree = np.diff(graph.links.indptr)
    assert (degree[[3, 7, 8]] == 0).all() and (graph.best[[3, 7, 8]] == -1).all()
    assert (np.delete(degree, [3, 7, 8]) == 26).all()


def test_copies_of_one_vector_are_all_linked_with_each_other_and_never_with_themselves() -> None:
    vectors = np.concatenate([np.repeat(unit_vectors(1, 8, 3), 6, 0), unit_vectors(20, 8, 4)])
    dense = build_user_graph(vectors, GraphSettings(tau=0.99, top_k=6)).links.toarray()
    assert ((dense[:6, :6] > 0.999) == ~np.eye(6, dtype=bool)).all()
    assert dense.max() <= 1


def test_more_copies_than_top_k_keep_the_bounds() -> None:
    vectors = np.repeat(unit_vectors(1, 8, 5), 30, 0)
    links = build_user_graph(vectors, GraphSettings(tau=0.5, top_k=4, block=7)).links
    degree = np.diff(links.indptr)
    assert 0 < degree.max() <= 4
    assert not links.diagonal().any() and (links != links.T).nnz == 0


@pytest.mark.parametrize("block", [1, 7, 19, 20, 21, 64, 1000])
def test_blocks_of_any_size_give_the_same_graph(block: int) -> None:
    vectors = unit_vectors(150, 16, 6)
    vectors[10] = 0
    whole = build_user_graph(vectors, GraphSettings(tau=0.1, top_k=15))
    other = build_user_graph(vectors, GraphSettings(tau=0.1, top_k=15, block=block))
    assert np.array_equal(whole.links.indices, other.links.indices)
    assert np.array_equal(whole.links.indptr, other.links.indptr)
    np.testing.assert_allclose(whole.links.data, other.links.data, atol=1e-6)
    np.testing.assert_allclose(whole.best, other.best, atol=1e-6)


def test_best_is_the_nearest_other_user_linked_or_not() -> None:
    vectors = unit_vectors(25, 4, 7)
    graph = build_user_graph(vectors, GraphSettings(tau=1.0))
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -1)
    assert graph.links.nnz == 0
    np.testing.assert_allclose(graph.best, cosine.max(1), atol=1e-6)


def test_one_user_and_nobody_at_all_are_graphs_too() -> None:
    assert build_user_graph(unit_vectors(1, 4, 0), GraphSettings()).links.shape == (1, 1)
    assert build_user_graph(np.zeros((3, 4), np.float32), GraphSettings()).links.nnz == 0


def test_nearest_leaves_out_oneself_only_where_asked() -> None:
    vectors = unit_vectors(10, 4, 8)
    index = exact_index(vectors)
    _, with_self = nearest(index, vectors, 3)
    _, others = nearest(index, vectors, 3, np.arange(10))
    assert np.array_equal(with_self[:, 0], np.arange(10))
    assert np.array_equal(with_self[:, 1:], others[:, :2])


def test_an_empty_graph_warns_with_a_tau_that_links_half_of_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    vectors = unit_vectors(400, 32, 9)
    vectors[:50] = 0  # nobody's neighbours: they must not pull the suggestion down
    graph = build_user_graph(vectors, GraphSettings(tau=0.99))
    tau = suggested_tau(graph.best)
    assert f"graphs.tau={tau}" in capsys.readouterr().err.replace("\n", " ")
    again = build_user_graph(vectors, GraphSettings(tau=tau))
    linked = (np.diff(again.links.indptr)[50:] > 0).mean()
    assert 0.4 <= linked <= 0.7


def test_users_without_any_feature_are_told_so_and_no_tau_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    build_user_graph(np.zeros((5, 4), np.float32), GraphSettings())
    told = capsys.readouterr().err
    assert "no two users have a feature" in told and "--set" not in told


def test_a_saturated_graph_warns_with_a_higher_tau(capsys: pytest.CaptureFixture[str]) -> None:
    centre = unit_vectors(1, 16, 10)
    vectors = centre + 0.3 * unit_vectors(200, 16, 11)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    build_user_graph(vectors, GraphSettings(tau=0.2, top_k=10))
    told = " ".join(capsys.readouterr().err.split())
    assert "saturated" in told
    tau = float(told.split("graphs.tau=")[2].split()[0])
    assert 0.2 < tau <= 1
    build_user_graph(vectors, GraphSettings(tau=tau, top_k=10))
    assert "saturated" not in capsys.readouterr().err


@pytest.mark.parametrize("people", [3, 10, 51])
def test_a_small_log_in_which_everybody_is_like_everybody_warns_too(
    people: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody can find top_k others; one more without a feature has nobody to be compared with and does not count."""
    vectors = unit_vectors(1, 16, 14) + 0.05 * unit_vectors(people + 1, 16, 15)
    vectors[0] = 0
    build_user_graph(vectors.astype(np.float32), GraphSettings(tau=0.2, top_k=50))
    told = " ".join(capsys.readouterr().err.split())
    assert f"saturated at graphs.tau=0.2: nearly every user finds {people - 1} others" in told


def test_two_people_who_are_alike_are_no_saturated_graph(capsys: pytest.CaptureFixture[str]) -> None:
    build_user_graph(np.repeat(unit_vectors(1, 4, 16), 2, 0), GraphSettings(tau=0.5))
    assert "warning" not in capsys.readouterr().err


def test_a_sound_graph_does_not_warn(capsys: pytest.CaptureFixture[str]) -> None:
    build_user_graph(unit_vectors(200, 8, 12), GraphSettings(tau=0.7, top_k=50))
    assert "warning" not in capsys.readouterr().err


def test_summary_counts_pairs_once() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    summary = build_user_graph(vectors, GraphSettings(tau=0.5)).summary()
    assert summary["edges"] == 1
    assert summary["share_without_neighbour"] == pytest.approx(1 / 3)
    assert "1 edges, 33.3% of users without a neighbour" in build_user_graph(vectors, GraphSettings()).described()


def resident_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def test_memory_never_holds_a_user_by_user_matrix() -> None:
    n = 20_000  # n * n cosines would be 1,600 MB
    before = resident_mb()
    graph: UserGraph = build_user_graph(unit_vectors(n, 4, 13), GraphSettings(tau=0.9, top_k=10))
    assert graph.links.nnz > n
    assert resident_mb() - before < 300
