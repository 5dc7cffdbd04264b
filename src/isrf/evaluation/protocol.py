"""Evaluation of what a split holds out: one pass over the people ranks the whole catalogue and a sample (docs/protocol.md).

Knows methods only through ``Ranker``; knows nothing about tables or files.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from isrf.core.atomic_files import replacing_binary
from isrf.core.config import EvaluationSettings
from isrf.core.documents import parse_json
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.core.progress import task as progress_task
from isrf.core.tables import open_arrays
from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries, Task
from isrf.data.splits.split import REPEATS, Split
from isrf.evaluation.metrics import full_ranks, hit, ndcg, sampled_ranks
from isrf.methods.interface import Method, Ranker

Part = Literal["valid", "test", "test, new items", "test, new users", "test, repeats"]
"""The last three: NEW_ITEMS and NEW_USERS of a split other than leave-one-out, and REPEATS, never mixed into "test"."""

REPORTED_SEPARATELY: tuple[Part, ...] = ("test, new items", "test, new users", "test, repeats")

ALL = "all"
"""Candidates of full ranking: every item that the person has not seen; of REPEATS every item."""


@dataclass(frozen=True, eq=False)
class Result:
    """How one method ranked the held-out items of one part, for one task and one kind of candidates.

    Attributes:
        method: name in tables.
        task: "sequential" or "direct".
        part: "valid", "test", or a part of test that is reported apart.
        candidates: "all", or "sampled-100" for the target among 99 drawn items (biased; never the headline); see
            ``sampled_label`` for a catalogue that has fewer.
        users: (n,) int64 user rows.
        ranks: (n,) int64 rank of each user's target, 0 = first, ties against it.
        fit_seconds: seconds that fitting took; None where the method came fitted and nobody measured it.
        rank_seconds: seconds for scoring and ranking all users, both kinds of candidates together.
        seed: of training, where a table has several runs of the method; None where it has one. Not saved.
        trained: name of the training that it ranked with, where another method may rank with the same; None for any other.
            Not saved.
    """

    method: str
    task: Task
    part: Part
    candidates: str
    users: np.ndarray
    ranks: np.ndarray
    fit_seconds: float | None
    rank_seconds: float
    seed: int | None = None
    trained: str | None = None

    def hr(self, k: int) -> float:
        """HR@k, mean over users."""
        return float(hit(self.ranks, k).mean())

    def ndcg(self, k: int) -> float:
        """NDCG@k, mean over users."""
        return float(ndcg(self.ranks, k).mean())

    @property
    def biased(self) -> bool:
        """True where the candidates are a sample."""
        return self.candidates != ALL


def evaluate(
    method: Ranker,
    split: Split,
    part: Part,
    task: Task,
    settings: EvaluationSettings,
    fit_seconds: float | None = None,
) -> tuple[Result, Result]:
    """Rank every user's held-out item with a fitted method; each user is scored once.

    Args:
        method: fitted on ``split.training``.
        split: whose ``part`` is predicted from what is known before it.
        part: which targets.
        task: "sequential" or "direct".
        settings: block size, number and seed of sampled negatives.
        fit_seconds: carried into the results.

    Returns:
        (full ranking, sampled ranking).

    Raises:
        ValueError: no user has a target, or the scores have the wrong shape or dtype, or hold NaN.
    """
    users = split.users(part)
    if not len(users):
        raise ValueError(f"no user has a target in {part}")
    targets, known = split.targets(part), split.histories(part)
    n_items = split.training.n_items
    negatives = draw_negatives(known, targets, users, n_items, settings)
    full, sampled = np.empty(len(users), dtype=np.int64), np.empty(len(users), dtype=np.int64)
    start = time.perf_counter()
    with progress_task(f"{method.name}: ranking {part}, {task}", total=len(users)) as running:
        for at in range(0, len(users), settings.block):
            block = users[at : at + settings.block]
            here = slice(at, at + len(block))
            seen = known.take(block)
            scores = method.score(Queries(split.asked(block), seen, task))
            if scores.shape != (len(block), n_items) or scores.dtype != np.float32:
                raise ValueError(
                    f"{method.name}: scores are {scores.shape} {scores.dtype}, not {(len(block), n_items)} float32"
                )
            # the repeat protocol: what a person has had is a candidate like any other
            barred = Histories.of([()] * len(block)) if part == REPEATS else seen
            full[here] = full_ranks(scores, targets[block], barred)
            sampled[here] = sampled_ranks(scores, targets[block], negatives.take(np.arange(at, at + len(block))))
            running.advance(len(block))
    seconds = time.perf_counter() - start
    label = sampled_label(negatives)
    return (
        Result(method.name, task, part, ALL, users, full, fit_seconds, seconds),
        Result(method.name, task, part, label, users, sampled, fit_seconds, seconds),
    )


def ranks_of(method: Ranker, split: Split, part: Part, task: Task, users: np.ndarray, block: int) -> np.ndarray:
    """(n,) int64 full ranks of the held-out items of some users: what early stopping needs, without a sample or a bar.

    Args:
        users: (n,) int64 user rows that have a target in ``part``.
        block: users scored at once.
    """
    targets, known = split.targets(part), split.histories(part)
    ranks = [np.zeros(0, dtype=np.int64)]
    for at in range(0, len(users), block):
        chosen = users[at : at + block]
        seen = known.take(chosen)
        ranks.append(full_ranks(method.score(Queries(chosen, seen, task)), targets[chosen], seen))
    return np.concatenate(ranks)


def save_results(results: Sequence[Result], path: Path) -> None:
    """Write the results of one method (same users in all) as npz: ranks, and everything else as JSON inside."""
    about = [
        {k: getattr(r, k) for k in ("method", "task", "part", "candidates", "fit_seconds", "rank_seconds")}
        for r in results
    ]
    users, ranks, told = results[0].users, np.stack([r.ranks for r in results]), json.dumps(about)
    with replacing_binary(path) as file:
        np.savez(file, users=users, ranks=ranks, about=np.array(told), sha256=np.array(_digest(users, ranks, told)))


def load_results(path: Path) -> list[Result]:
    """Read ``save_results``.

    Raises:
        IsrfError: the file is damaged, or an older version wrote it, which kept no digest in it.
    """
    try:
        with open_arrays(path) as arrays:
            users, ranks, told = arrays["users"], arrays["ranks"], str(arrays["about"])
            if str(arrays["sha256"]) != _digest(users, ranks, told):
                raise ValueError("not what was written")
        about = parse_json(told)
        return [Result(users=users, ranks=r, **a) for a, r in zip(about, ranks, strict=True)]
    except Exception as error:  # whatever a damaged archive makes its reader raise
        first = " ".join(str(error).split()) or type(error).__name__
        raise IsrfError(f"{path}: no ranks that can be trusted ({first}); delete it, and they are made anew") from None


def _digest(users: np.ndarray, ranks: np.ndarray, about: str) -> str:
    whole = hashlib.sha256(f"{users.dtype} {ranks.dtype} {ranks.shape}\n{about}\n".encode())
    for array in (users, ranks):
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


def evaluate_once(
    path: Path, fitted: Callable[[], tuple[Ranker, float | None]], split: Split, settings: EvaluationSettings
) -> list[Result]:
    """Results of one method on the test items, both tasks; from ``path`` where an earlier run left them there.

    Behind them those of test targets that are reported apart, in full ranking alone, where the split has any.

    Args:
        path: npz file (``save_results``); what is reported apart lies in files beside it.
        fitted: gives the method, ready to score, and the seconds that fitting it took; called only if needed.
    """
    apart = {
        p: path.with_name(f"{path.stem}-{p[6:].replace(' ', '-')}.npz")
        for p in REPORTED_SEPARATELY
        if len(split.users(p))
    }
    if (found := _earlier((path, *apart.values()))) is not None:
        return found
    method, seconds = fitted()
    for part, place in apart.items():
        save_results([evaluate(method, split, part, task, settings, seconds)[0] for task in TASKS], place)
    save_results([r for task in TASKS for r in evaluate(method, split, "test", task, settings, seconds)], path)
    return [result for place in (path, *apart.values()) for result in load_results(place)]


def _earlier(places: Sequence[Path]) -> list[Result] | None:
    """Results that an earlier run left, None where it left none or they cannot be trusted, which a line says."""
    if not places[0].exists():
        return None
    try:
        return [result for place in places for result in load_results(place)]
    except IsrfError as error:
        note(f"{error.args[0].partition(';')[0]}; the method ranks anew")
        return None


def fit(method: Method, split: Split) -> tuple[Method, float]:
    """The method, fitted on the training data, and the seconds that took."""
    start = time.perf_counter()
    method.fit(split.training)
    return method, time.perf_counter() - start


def draw_negatives(
    known: Histories, targets: np.ndarray, users: np.ndarray, n_items: int, settings: EvaluationSettings
) -> Histories:
    """Items drawn uniformly without replacement among those that are neither in a user's history nor their target.

    They depend on the split and the seed only, so every method meets the same ones. A catalogue with fewer such items
    than asked for gives all of them.

    Args:
        known: (U,) histories.
        targets: (U,) int64 item rows.
        users: (n,) int64 user rows to draw for.
        n_items: size of the catalogue.
        settings: how many, and the seed.

    Returns:
        (n,) item rows.
    """
    rng = np.random.default_rng(settings.seed)
    drawn = []
    for user in users:
        barred = np.unique(np.append(known[int(user)], targets[user]))
        free = n_items - len(barred)
        places = rng.choice(free, size=min(settings.sampled_negatives, free), replace=False)
        # the p-th free item is p plus the number of barred items before it
        drawn.append(places + np.searchsorted(barred - np.arange(len(barred)), places, side="right"))
    return Histories.of(drawn)


def sampled_label(negatives: Histories) -> str:
    """The name of sampled candidates, by how many were really drawn and the target: a small catalogue has fewer.

    >>> sampled_label(Histories.of([[1, 2], [0, 3]])), sampled_label(Histories.of([[1, 2], [0]]))
    ('sampled-3', 'sampled-2-to-3')
    """
    least, most = int(negatives.lengths.min()) + 1, int(negatives.lengths.max()) + 1
    return f"sampled-{most}" if least == most else f"sampled-{least}-to-{most}"


def fit_and_evaluate(
    makers: Iterable[Callable[[], Method]],
    split: Split,
    settings: EvaluationSettings,
    parts: Iterable[Part] = ("test",),
    tasks: Iterable[Task] = TASKS,
) -> list[Result]:
    """Fit each method on the training data and evaluate it; methods are made, used and let go one after the other."""
    results: list[Result] = []
    parts, tasks = list(parts), list(tasks)
    for make in makers:
        method, seconds = fit(make(), split)
        for part in parts:
            for task in tasks:
                results += evaluate(method, split, part, task, settings, seconds)
        del method  # ease holds gigabytes: gone before the next one is made
    return results
