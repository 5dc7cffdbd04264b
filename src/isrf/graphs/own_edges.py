"""What one training interaction itself put into the item graphs, where interactions weigh or items repeat.

Of the plain case, in which each item stands once in a history and counts 1, ``evidence`` needs no more than distances.
Knows nothing about who reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isrf.core.config import GraphSettings
from isrf.data.histories import Histories
from isrf.data.training_data import TrainingData
from isrf.graphs.item_graphs import ItemGraphs


@dataclass(frozen=True)
class Examples:
    """N predictions, each of one training item from others of the same person.

    Attributes:
        users: (N,) int64 user rows.
        read: (N, L) int64 item rows.
        places: (N, L) int64, where each stands in the person's training history.
        mask: (N, L) bool, False for padding.
        targets: (N,) int64 item rows.
        target_places: (N,) int64.
        with_group: (N,) bool, whether the group is heard where order does not count; elsewhere it always is.
        ordered: whether order counts (sequential recommendation).
    """

    users: np.ndarray
    read: np.ndarray
    places: np.ndarray
    mask: np.ndarray
    targets: np.ndarray
    target_places: np.ndarray
    with_group: np.ndarray
    ordered: bool

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class OwnEdges:
    """Edges between what an example reads and its target that the target's interaction alone is the reason for.

    The same item of the same person at another place is another interaction: what that put into the graphs is there when the
    person is asked about, too.

    Attributes:
        histories: of training, N interactions.
        weights: (N,) float32, how much each counts.
        totals: (N,) float32, how much all interactions of its user with its item count.
        settings: window and powers of the item graphs.
    """

    histories: Histories
    weights: np.ndarray
    totals: np.ndarray
    settings: GraphSettings

    @classmethod
    def of(cls, training: TrainingData, graphs: ItemGraphs) -> OwnEdges:
        histories, weights = training.histories, training.histories.given_weights()
        pairs = histories.rows() * training.n_items + histories.items
        _, pair = np.unique(pairs, return_inverse=True)
        return cls(histories, weights, np.bincount(pair, weights)[pair].astype(np.float32), graphs.settings)

    def following(self, examples: Examples) -> np.ndarray:
        """(N, L) float64: what the target's interaction put into the transitions from each item that is read, undamped."""
        window, items = self.settings.window, self.histories.items
        steps = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
        place = examples.target_places[:, None] + steps
        first = self.histories.offsets[:-1][examples.users][:, None]
        there = (place >= 0) & (place < self.histories.lengths[examples.users][:, None])
        at = np.where(there, first + place, 0)
        ways = np.where(steps < 0, 1.0, self.settings.backward)
        # a transition of an item to itself is read forwards and backwards
        ways = np.where(items[at] == examples.targets[:, None], 1.0 + self.settings.backward, ways)
        pull = np.abs(steps) ** -self.settings.distance_power * ways * self.weights[at] * there
        pull *= self.target_weights(examples)[:, None]
        put = np.zeros(examples.read.shape)
        for step in range(len(steps)):
            put += (examples.read == items[at[:, step]][:, None]) * pull[:, step, None]
        return put

    def together(self, examples: Examples) -> np.ndarray:
        """(N, L) float32: the same of the companions, before degrees divide it; no item is a companion of itself."""
        last = len(self.histories.items) - 1
        at = np.minimum(self.histories.offsets[:-1][examples.users][:, None] + examples.places, last)
        other = examples.read != examples.targets[:, None]
        return self.totals[at] * other * self.target_weights(examples)[:, None]

    def target_weights(self, examples: Examples) -> np.ndarray:
        """(N,) float32: how much each target's interaction counts."""
        return self.weights[self.histories.offsets[:-1][examples.users] + examples.target_places]
