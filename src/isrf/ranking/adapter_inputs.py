"""What a generator reads of items that an update brought: it was trained on fewer items, and by another reduction of texts.

Semantic features are reduced by a PCA that every import fits anew; a trained adapter understands the one that it was trained
by. So an update writes down what that one makes of every item, and which items the generator has been trained on. Knows
nothing about how it is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isrf.core.tables import open_arrays, save_arrays
from isrf.data.training_data import TrainingData
from isrf.graphs.backoff import BackOff
from isrf.graphs.build import item_nodes
from isrf.ranking.rankers import ScoringComponents
from isrf.semantics.reduce import Reduction
from isrf.workspace.layout import ADAPTER_INPUTS_FILE

if TYPE_CHECKING:
    import torch

    from isrf.core.config import GraphSettings

OF_ITEMS = ("items.identifier.weight", "bias")
"""Weights of an atomic generator that have a row an item."""


@dataclass(frozen=True)
class AdapterInputs:
    """Items as a trained generator reads them.

    Attributes:
        features: (I, 2k) float32 (``model.interests.item_features``).
        trained: (I,) bool, items that the generator has met in training.
        reduction: the PCA that it was trained by; None where items have no text (``semantics.item_text=none``).
    """

    features: np.ndarray
    trained: np.ndarray
    reduction: Reduction | None

    def untrained(self, parts: ScoringComponents) -> BackOff | None:
        """What the items borrow that it has not met: all, from the nearest that it has; None where nobody has chosen them."""
        settings, popularity = parts.people.settings, parts.people.training.popularity
        if np.array_equal(self.trained, popularity > 0):
            return None
        has_text = settings.semantics.item_text != "none"
        texts = parts.graphs.semantics if has_text else np.zeros_like(parts.graphs.semantics)
        return BackOff.of(np.where(self.trained, np.maximum(popularity, 1), 0), texts, settings.graphs)


def adapter_inputs(
    training: TrainingData,
    vectors: np.ndarray,
    reduction: Reduction | None,
    trained: np.ndarray,
    settings: GraphSettings,
) -> AdapterInputs:
    """Features of all items of a training set as an earlier reduction makes them.

    Args:
        training: the set as it is now.
        vectors: (I, d) float32 encoded texts, zero for an item without any; (I, k) features where there is no reduction.
        reduction: of the generator's training.
        trained: (J,) bool with J <= I; items behind them are new.
        settings: of the interaction graph.
    """
    from isrf.model.interests import item_features

    semantics = vectors
    if reduction is not None:
        semantics = reduction(vectors)
        semantics[~np.any(vectors != 0, axis=1)] = 0
    features = item_features(semantics, item_nodes(training, semantics, settings))
    met = np.zeros(training.n_items, dtype=bool)
    met[: len(trained)] = trained
    return AdapterInputs(features, met, reduction)


def with_rows(weights: dict[str, torch.Tensor], items: int) -> dict[str, torch.Tensor]:
    """Weights of a generator with rows of zeros for the items behind those that it has; the adapter alone speaks there."""
    import torch

    found = dict(weights)
    for name in set(OF_ITEMS) & set(weights):
        own = weights[name]
        found[name] = torch.cat([own, own.new_zeros(items - len(own), *own.shape[1:])])
    return found


def save_adapter_inputs(inputs: AdapterInputs, folder: Path) -> None:
    """Write ADAPTER_INPUTS_FILE into the folder."""
    arrays = {"features": inputs.features, "trained": inputs.trained}
    if inputs.reduction is not None:
        arrays |= {"mean": inputs.reduction.mean, "components": inputs.reduction.components}
        arrays["variance_kept"] = np.array(inputs.reduction.variance_kept)
    save_arrays(folder / ADAPTER_INPUTS_FILE, **arrays)


def load_adapter_inputs(path: Path) -> AdapterInputs:
    """Read ADAPTER_INPUTS_FILE."""
    with open_arrays(path) as arrays:
        reduction = None
        if "mean" in arrays:
            reduction = Reduction(arrays["mean"], arrays["components"], float(arrays["variance_kept"]))
        return AdapterInputs(arrays["features"], arrays["trained"], reduction)
