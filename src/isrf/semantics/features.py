"""Semantic item and user features: reasoned sentences turned into vectors. Knows nothing about graphs or ranking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from isrf.core.config import SemanticsSettings
from isrf.core.tables import open_arrays, save_arrays
from isrf.data.training_data import TrainingData
from isrf.semantics.encode import Encoder
from isrf.semantics.reduce import Reduction, fit_reduction
from isrf.workspace.layout import SEMANTICS_FILE


@dataclass(frozen=True)
class Semantics:
    """Vectors of one training set.

    Attributes:
        items: (I, k) float32, unit norm after PCA, zero for an item without any text (s_i in the paper).
        users: (U, d) float32, unit norm as encoded, zero for a user without a feature (s_u in the paper).
        reduction: the PCA that made ``items``, fitted on item texts alone; None where these are random vectors
            (``semantics.item_text=none``).
    """

    items: np.ndarray
    users: np.ndarray
    reduction: Reduction | None


def item_texts(training: TrainingData, reasoned: pl.DataFrame, settings: SemanticsSettings) -> list[str]:
    """(I,) what is encoded for each item: its attributes, its reasoned feature, or both (paper: a_i and f_i)."""
    features = reasoned["feature"].to_list()
    attributes = training.catalogue.texts
    if settings.item_text == "attributes":
        return attributes
    if settings.item_text == "feature":
        return features
    return [". ".join(part for part in pair if part) for pair in zip(attributes, features, strict=True)]


def user_texts(reasoned: pl.DataFrame) -> list[str]:
    """(U,) what is encoded for each user: the core preference (f_u)."""
    return reasoned["feature"].to_list()


def embed(
    training: TrainingData,
    items: pl.DataFrame,
    users: pl.DataFrame,
    settings: SemanticsSettings,
    cache: Path | None = None,
    seed: int = 0,
) -> Semantics:
    """Encode the reasoned items and users (tables of ``reasoning.reason``) and fit the PCA on the items.

    With ``semantics.item_text=none`` the seed draws the items' vectors, as wide as the PCA would have made them.
    """
    encoder = Encoder(settings, cache)
    if settings.item_text == "none":
        user_vectors = encoder(user_texts(users), "encode users")
        width = min(settings.dimensions, user_vectors.shape[1])
        return Semantics(random_vectors(training.n_items, width, seed), user_vectors, None)
    item_vectors = encoder(item_texts(training, items, settings), "encode items")
    user_vectors = encoder(user_texts(users), "encode users")
    reduction = fit_reduction(item_vectors, settings.dimensions)
    reduced = reduction(item_vectors)
    reduced[~np.any(item_vectors != 0, axis=1)] = 0  # no text says nothing: not "the average item"
    return Semantics(reduced, user_vectors, reduction)


def random_vectors(count: int, dimensions: int, seed: int) -> np.ndarray:
    """(count, dimensions) float32 of unit norm in random directions: items of which nothing is known to start with.

    ELMRec draws them with a standard deviation sigma. Here features have unit norm before propagation and after it, so
    that sigma would cancel, and there is no setting of it; what it did for the size of a whole-item embedding
    docs/presets.md says.
    """
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def save_semantics(semantics: Semantics, folder: Path) -> None:
    """Write ``semantics.npz`` into the folder."""
    arrays = {"items": semantics.items, "users": semantics.users}
    if semantics.reduction is not None:
        arrays["mean"], arrays["components"] = semantics.reduction.mean, semantics.reduction.components
        arrays["variance_kept"] = np.array(semantics.reduction.variance_kept)
    save_arrays(folder / SEMANTICS_FILE, **arrays)


def load_semantics(path: Path) -> Semantics:
    """Read ``semantics.npz``."""
    with open_arrays(path) as arrays:
        reduction = None
        if "mean" in arrays:
            reduction = Reduction(arrays["mean"], arrays["components"], float(arrays["variance_kept"]))
        return Semantics(arrays["items"], arrays["users"], reduction)
