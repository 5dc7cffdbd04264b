"""Finding the weights of fusion: NDCG@10 of validation users, made smooth and climbed by its gradient.

NDCG itself is a step function: a climb by trial on one weight after the other jumps over optima that are narrow, such as
that of a signal that helps at a weight of 0.02 and hurts at 0.05. Here "this item is above the target" is a sigmoid of the
difference of their scores, so that all weights move together. Knows nothing of where signals come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from isrf.core.errors import IsrfError
from isrf.core.progress import track
from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries, Task
from isrf.data.splits.split import TO_HOLD_OUT, Split
from isrf.graphs.signals import masked
from isrf.ranking.fusion import Fusion, default_fusion, spread
from isrf.ranking.rankers import GENERATOR_SIGNAL, ScoringComponents

CANDIDATES = 80
"""Items kept of each signal's top when weights are fitted: what no signal ranks that high cannot reach a top ten."""

SHARPNESS = 10.0
"""Of the sigmoid, a unit of fused score: sharper is closer to NDCG@10 and has less of a slope to follow."""

STEPS, USERS_PER_STEP, RATE = 150, 2000, 0.1
"""Gradient steps, validation users in one, and the first step size of Adam on the logarithms of weights."""

OTHERS_AT_FIRST = 0.05
"""Weight of every signal but the best alone before anything is fitted, relative to the best."""


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
    """The weights of highest smooth NDCG@10; those of the best signal alone where they rank better on these users."""
    k, users = len(evidence.names), evidence.open.shape[0]
    alone = [evidence.ndcg10(row) for row in np.eye(k)]
    best = int(np.argmax(alone))
    weights = climbed(evidence, best)
    # judged as it will be stored: rounding afterwards could lose what was gained
    weights = (weights / weights.max()).round(4)
    reached = evidence.ndcg10(weights)
    if reached < alone[best]:
        weights, reached = np.eye(k)[best], alone[best]
    return Fusion(
        dict(zip(evidence.names, evidence.scales.tolist(), strict=True)),
        dict(zip(evidence.names, weights.tolist(), strict=True)),
        reached,
        users,
    )


def climbed(evidence: Evidence, best: int) -> np.ndarray:
    """(K,) float64 > 0: weights after all steps, averaged over the last third of them, as single steps are noisy.

    Args:
        evidence: signals of the users.
        best: the signal to start from.
    """
    first = torch.full((len(evidence.names),), OTHERS_AT_FIRST)
    first[best] = 1.0
    logs = first.log().requires_grad_()
    optimizer = torch.optim.Adam([logs], lr=RATE)
    draw = torch.Generator().manual_seed(0)
    target, others, there = (torch.from_numpy(a) for a in (evidence.target, evidence.others, evidence.open))
    size, kept = min(USERS_PER_STEP, len(there)), []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - 0.9 * step / STEPS)
        chosen = torch.randperm(len(there), generator=draw)[:size] if size < len(there) else slice(None)
        weights = logs.exp()
        aims = torch.tensordot(weights, target[:, chosen], 1)
        rivals = torch.tensordot(weights, others[:, chosen], 1)
        loss = -smooth_ndcg10(aims, rivals, there[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= STEPS * 2 // 3:
            kept.append(logs.detach().clone())
    return torch.stack(kept).mean(0).double().exp().numpy()


def smooth_ndcg10(target: torch.Tensor, others: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Mean over users of NDCG@10 with a sigmoid for every "is above"; a scalar with a gradient.

    Approximate NDCG (Qin, Liu and Li, 2010), cut off at ten by one more sigmoid.

    Args:
        target: (n,) float32 score of each user's target.
        others: (n, C) float32 scores of its rivals.
        there: (n, C) bool, False for candidates that are none.
    """
    above = (torch.sigmoid((others - target[:, None]) * SHARPNESS) * there).sum(1)
    return (torch.sigmoid(9.5 - above) / torch.log2(above + 2)).mean()


def stopping_users(split: Split, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Validation users in two halves that share nobody: for early stopping, and for the weights of fusion.

    Weights fitted on the users that chose the epoch would trust the generator too much.

    Raises:
        IsrfError: fewer than two users have a validation item.
    """
    if len(split.users("valid")) < 2:
        raise IsrfError(f"fewer than two users have a validation item to fit weights on: {TO_HOLD_OUT}")
    users = np.random.default_rng(seed).permutation(split.users("valid"))
    return users[: len(users) // 2], users[len(users) // 2 :]


def fit_fusions(parts: ScoringComponents, split: Split, users: np.ndarray, block: int, what: str) -> dict[Task, Fusion]:
    """Fit the weights of both tasks on the validation items of ``users``."""
    known = split.histories("valid")
    fusions: dict[Task, Fusion] = {}
    for task in TASKS:

        def blocks(task: Task = task) -> Iterator[tuple[dict[str, np.ndarray], Histories, np.ndarray]]:
            for start in track(range(0, len(users), block), f"{what}, {task}"):
                chosen = users[start : start + block]
                queries = Queries(chosen, known.take(chosen), task)
                yield parts.signals(queries), queries.histories, split.valid[chosen]

        fusions[task] = fit_fusion(collect(blocks()))
    return fusions


def generator_alone(parts: ScoringComponents, known: Histories, block: int) -> dict[Task, Fusion]:
    """Weights of both tasks by which the generator alone ranks (``ranking.fusion``); ``users`` 0: nothing is fitted."""
    users = np.arange(min(len(known), block))
    fusions: dict[Task, Fusion] = {}
    for task in TASKS:
        made = default_fusion(parts.signals(Queries(users, known.take(users), task)))
        fusions[task] = replace(made, weights=dict.fromkeys(made.weights, 0.0) | {GENERATOR_SIGNAL: 1.0})
    return fusions


def default_fusions(parts: ScoringComponents, known: Histories, block: int) -> dict[Task, Fusion]:
    """Unfitted weights of both tasks (``fusion.DEFAULT_WEIGHTS``), scaled by the signals of the first ``block`` users."""
    users = np.arange(min(len(known), block))
    return {task: default_fusion(parts.signals(Queries(users, known.take(users), task))) for task in TASKS}
