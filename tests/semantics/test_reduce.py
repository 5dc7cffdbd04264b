"""PCA against its definition, and what has to hold for artifacts to be reproducible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.semantics.reduce import fit_reduction


def texts_like(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Unit vectors with a few strong directions, as sentence vectors are."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)) * np.linspace(3, 0.1, d) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(n=st.integers(1, 30), d=st.integers(2, 12), k=st.integers(2, 20), seed=st.integers(0, 1000))
def test_components_are_orthonormal_and_at_most_what_the_vectors_have(n: int, d: int, k: int, seed: int) -> None:
    reduction = fit_reduction(texts_like(n, d, seed), k)
    assert reduction.components.shape == (min(k, d), d)
    np.testing.assert_allclose(reduction.components @ reduction.components.T, np.eye(min(k, d)), atol=1e-5)
    assert 0 <= reduction.variance_kept <= 1 + 1e-9


def test_components_carry_the_most_variance_largest_first() -> None:
    vectors = texts_like(200, 10)
    reduction = fit_reduction(vectors, 4)
    variance = ((vectors - vectors.mean(0)) @ reduction.components.T).var(0)
    singular = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False)
    np.testing.assert_allclose(variance, singular[:4] ** 2 / len(vectors), rtol=1e-4)
    assert reduction.variance_kept == pytest.approx((singular[:4] ** 2).sum() / (singular**2).sum(), rel=1e-4)


def test_signs_do_not_depend_on_the_order_of_the_items() -> None:
    vectors = texts_like(100, 8, 1)
    one, other = fit_reduction(vectors, 8), fit_reduction(vectors[::-1], 8)
    np.testing.assert_allclose(one.components, other.components, atol=1e-4)
    largest = one.components[np.arange(8), np.abs(one.components).argmax(1)]
    assert (largest > 0).all()


def test_two_fits_are_equal_to_the_last_bit() -> None:
    vectors = texts_like(60, 8, 2)
    assert fit_reduction(vectors, 5).components.tobytes() == fit_reduction(vectors.copy(), 5).components.tobytes()


def test_reduced_vectors_have_unit_norm_and_keep_who_is_near_whom() -> None:
    vectors = texts_like(80, 8, 3)
    reduced = fit_reduction(vectors, 8)(vectors)
    assert reduced.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(reduced, axis=1), 1, rtol=1e-5)
    centred = vectors - vectors.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(reduced @ reduced.T, centred @ centred.T, atol=1e-4)


def test_items_without_text_do_not_bend_the_fit() -> None:
    vectors = texts_like(50, 6, 4)
    with_gaps = np.concatenate([np.zeros((7, 6), np.float32), vectors])
    assert np.array_equal(fit_reduction(vectors, 3).components, fit_reduction(with_gaps, 3).components)


@pytest.mark.parametrize(
    "vectors", [np.zeros((3, 4), np.float32), np.ones((1, 4), np.float32), np.ones((5, 4), np.float32)]
)
def test_nothing_to_tell_apart_gives_zero_vectors_not_nan(vectors: np.ndarray) -> None:
    assert np.array_equal(fit_reduction(vectors, 3)(vectors), np.zeros((len(vectors), 3)))
