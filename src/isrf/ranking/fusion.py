"""Fusion: several signals as one score, each divided by its own spread and weighed (docs/method.md).

Knows nothing of where signals come from, nor how weights are found (``weighing``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fusion:
    """How signals become one score.

    Attributes:
        scales: name -> spread (standard deviation over people and items) that the signal is divided by.
        weights: name -> weight, >= 0; the largest is 1.
        valid_ndcg10: what the weights reach on the users they were fitted on, among candidate items.
        users: how many users they were fitted on.
        new_items: what evidence for its lenders is worth for an item without interactions (``graphs.backoff``).
    """

    scales: dict[str, float]
    weights: dict[str, float]
    valid_ndcg10: float
    users: int
    new_items: float = 0.0

    def contributions(
        self, signals: dict[str, np.ndarray], source: str, gates: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Name -> (B, I) float32: weight * signal / scale of every signal that counts.

        What signal ``source`` took from others counts for them.

        Args:
            signals: name -> (B, I) float32.
            source: the signal that holds others (the generator's).
            gates: name -> (B,) float32: the signal holds so many times that signal.
        """
        parts = {
            name: (weight / self.scales[name]) * signals[name] for name, weight in self.weights.items() if weight > 0
        }
        if source in parts:
            unit = self.weights[source] / self.scales[source]
            for name, gate in gates.items():
                taken = (unit * gate)[:, None] * signals[name]
                parts[source] = parts[source] - taken
                parts[name] = parts[name] + taken if name in parts else taken
        return parts

    def score(self, signals: dict[str, np.ndarray]) -> np.ndarray:
        """(B, I) float32: the sum of ``contributions``."""
        total: np.ndarray | None = None
        for name, weight in self.weights.items():
            if weight > 0:
                part = np.float32(weight / self.scales[name]) * signals[name]
                total = part if total is None else np.add(total, part, out=total)
        assert total is not None, "a fusion without any weight"
        return total


DEFAULT_WEIGHTS = {
    "transitions": 0.6,
    "companions": 0.05,
    "semantics": 0.3,
    "neighbourhood": 1.0,
    "group": 0.06,
    "popularity": 0.05,
}
"""Weights for a log that is too small to fit any: round figures near those fitted on the Amazon sets."""


def default_fusion(signals: dict[str, np.ndarray]) -> Fusion:
    """Unfitted weights (DEFAULT_WEIGHTS), with scales from these signals; ``users`` 0 says that nobody was fitted on."""
    scales = spread(signals)
    weights = {name: DEFAULT_WEIGHTS.get(name, 0.0) for name in signals}
    return Fusion(dict(zip(signals, scales.tolist(), strict=True)), weights, 0.0, 0)


SILENT = 1e-6
"""A signal whose spread is less than this share of its own size is constant: what is left is rounding, another on each
processor."""


def spread(signals: dict[str, np.ndarray]) -> np.ndarray:
    """(K,) float64 standard deviation of each signal; 1 for one that says nothing.

    A silent signal may speak for other people: dividing by almost zero would make it a shout.
    """
    found = []
    for signal in signals.values():
        deviation, size = float(signal.std(dtype=np.float64)), float(np.abs(signal).max(initial=0.0))
        found.append(deviation if deviation > SILENT * max(size, SILENT) else 1.0)
    return np.array(found)
