"""Residual quantisation: every level describes what the levels before it left."""

from __future__ import annotations

import numpy as np

from isrf.semantics.quantise import fit_quantiser


def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)


def test_each_level_leaves_less() -> None:
    quantiser, codes = fit_quantiser(vectors(), levels=3, codes=8, seed=1)
    left = vectors()
    sizes = [np.square(left).sum()]
    for level, centroids in enumerate(quantiser.levels):
        left = left - centroids[codes[:, level]]
        sizes.append(np.square(left).sum())
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.5 * sizes[0]


def test_new_vectors_get_the_codes_of_the_same_centroids() -> None:
    quantiser, codes = fit_quantiser(vectors(), levels=3, codes=8, seed=1)
    assert np.array_equal(quantiser(vectors()), codes)
    assert np.array_equal(quantiser(vectors()[3:4]), codes[3:4])


def test_the_seed_decides() -> None:
    one, again, other = (fit_quantiser(vectors(), 2, 8, seed)[1] for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes() != other.tobytes()
