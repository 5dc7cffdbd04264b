"""Fusion: one weight a signal, fitted on validation only (DESIGN, section 2, ranking). Knows nothing of where signals
come from.

Each signal is divided by its own spread, so that weights compare; the fused score is their weighted sum. The weights
climb validation NDCG@10 one at a time on a shrinking grid: the objective is a step function without a gradient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from isrf.data.split import Histories
from isrf.ranking.signals import masked

CANDIDATES = 80
"""Items kept of each signal's top when weights are fitted: what no signal ranks that high cannot reach a top ten."""

STEPS = ((0.0, 0.25, 0.5, 2.0, 4.0), (0.0, 0.5, 0.7, 1.4, 2.0), (0.7, 0.85, 1.2, 1.4), (0.8, 0.9, 1.1, 1.25))
"""Factors tried on each weight, round by round."""

FIRST_GUESS = (0.05, 0.2, 0.5, 1.0)
"""Values tried for a weight that is zero, relative to the largest weight."""


@dataclass(frozen=True)
class Fusion:
    """How signals become one score.

    Attributes:
        scales: name -> spread (standard deviation over people and items) that the signal is divided by.
        weights: name -> weight, >= 0; the largest is 1.
        valid_ndcg10: what the weights reach on the users they were fitted on, among candidate items.
        users: how many users they were fitted on.
    """

    scales: dict[str, float]
    weights: dict[str, float]
    valid_ndcg10: float
    users: int

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


@dataclass(frozen=True)
class Evidence:
    """Signals of validation users at candidate items.

    Attributes:
        names: (K,) signals.
        scales: (K,) spread of each.
        target: (K, n) float32 scaled signal of each user's target.
        others: (K, n, C) float32 scaled signals of the other candidates.
        open: (n, C) bool, False for repeated, seen and target candidates.
    """

    names: list[str]
    scales: np.ndarray
    target: np.ndarray
    others: np.ndarray
    open: np.ndarray

    def ndcg10(self, weights: np.ndarray) -> float:
        """Mean NDCG@10 over users, ties against us; (K,) weights."""
        w = weights.astype(np.float32)
        target = np.tensordot(w, self.target, 1)
        others = np.tensordot(w, self.others, 1)
        above = ((others >= target[:, None]) & self.open).sum(1)
        return float(np.where(above < 10, 1 / np.log2(above + 2), 0).mean())


GIVEN = {"transitions": 0.8, "companions": 0.1, "semantics": 0.6, "neighbourhood": 1.0, "group": 0.1, "popularity": 0.2}
"""Weights for a log that is too small to fit any: round figures near those fitted on the Amazon sets."""


def given_fusion(signals: dict[str, np.ndarray]) -> Fusion:
    """Unfitted weights (GIVEN), with scales from these signals; ``users`` 0 says that nobody was fitted on."""
    scales = spread(signals)
    weights = {name: GIVEN.get(name, 0.0) for name in signals}
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


def collect(blocks: Iterable[tuple[dict[str, np.ndarray], Histories, np.ndarray]]) -> Evidence:
    """Condense blocks of (signals, histories, (B,) int64 targets) to candidates; scales come from the first block."""
    names: list[str] = []
    scales = np.zeros(0)
    targets, others, opens = [], [], []
    for signals, seen, wanted in blocks:
        if not names:
            names = list(signals)
            scales = spread(signals)
        people = np.arange(len(wanted))
        tops = []
        for name in names:
            free = masked(signals[name].copy(), seen)
            kept = min(CANDIDATES, free.shape[1])
            tops.append(np.argpartition(-free, kept - 1, axis=1)[:, :kept])
        candidates = np.sort(np.concatenate(tops, 1), 1)
        fresh = np.ones(candidates.shape, dtype=bool)
        fresh[:, 1:] = candidates[:, 1:] != candidates[:, :-1]
        was_seen = np.zeros(signals[names[0]].shape, dtype=bool)
        was_seen[seen.rows(), seen.items] = True
        fresh &= (candidates != wanted[:, None]) & ~was_seen[people[:, None], candidates]
        targets.append(np.stack([signals[n][people, wanted] / s for n, s in zip(names, scales, strict=True)]))
        picked = [signals[n][people[:, None], candidates] / s for n, s in zip(names, scales, strict=True)]
        others.append(np.stack(picked).astype(np.float32))
        opens.append(fresh)
    return Evidence(
        names, scales, np.concatenate(targets, 1).astype(np.float32), np.concatenate(others, 1), np.concatenate(opens)
    )


def fit_fusion(evidence: Evidence) -> Fusion:
    """Climb validation NDCG@10 from the best single signal; a weight changes only where that gains."""
    k = len(evidence.names)
    alone = [evidence.ndcg10(np.eye(k)[i]) for i in range(k)]
    weights = np.eye(k)[int(np.argmax(alone))]
    best = max(alone)
    # strongest signals first: a later one is weighed against what is already known
    order = np.argsort(-np.array(alone), kind="stable")
    for factors in STEPS:
        for i in order:
            values = [weights[i] * f for f in factors] if weights[i] > 0 else [weights.max() * g for g in FIRST_GUESS]
            for value in values:
                trial = weights.copy()
                trial[i] = value
                if trial.max() <= 0:
                    continue
                # judged as it will be stored: rounding afterwards could lose what was gained
                trial = (trial / trial.max()).round(4)
                score = evidence.ndcg10(trial)
                if score > best:
                    best, weights = score, trial
    return Fusion(
        dict(zip(evidence.names, evidence.scales.tolist(), strict=True)),
        dict(zip(evidence.names, weights.tolist(), strict=True)),
        best,
        evidence.open.shape[0],
    )
