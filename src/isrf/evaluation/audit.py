"""What the order of item ids gives away: the leak that a predictor without parameters can collect.

Where a source numbered its items in order of first appearance over whole sequences, test items included, "largest id in
the history + 1" finds the next item without knowing anything about people or items (DESIGN, known leaks). This measures
it on the numberings that a data set carries. Knows nothing about trained models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from isrf.baselines.id_plus_one import IdPlusOne
from isrf.baselines.method import Method
from isrf.baselines.popularity import Popularity
from isrf.config import EvaluationSettings
from isrf.data.dataset import Columns, Dataset
from isrf.data.queries import Task
from isrf.data.split import Split
from isrf.errors import IsrfError
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import evaluate
from isrf.evaluation.significance import bootstrap_interval

Verdict = Literal["leak", "order", "clean", "reference"]

LEAK_FACTOR = 2.0
"""Id order is a leak from this many times what popularity reaches: it then beats knowledge of every sale."""

ORDER_FACTOR = 5.0
"""Id order carries something from this many times what a random ranking reaches."""


@dataclass(frozen=True)
class Finding:
    """One measured number and what it means.

    Attributes:
        name: what was measured.
        value: NDCG@10 on test, full ranking, ties against the target.
        verdict: "leak", "order" (more than chance, less than a leak), "clean", or "reference" for a yardstick.
        meaning: one sentence for people.
    """

    name: str
    value: float
    verdict: Verdict
    meaning: str


def audit_dataset(dataset: Dataset, split: Split, settings: EvaluationSettings | None = None) -> list[Finding]:
    """Measure "id + 1, + 2, ..." under each numbering of the items, beside popularity and chance.

    Numberings: the source's own (where it has one); order of first appearance in the whole log; the same recomputed
    without held-out interactions; the rows of this project. A numbering is a leak where it reaches ``LEAK_FACTOR``
    times popularity, carries order where the whole interval lies above chance and the value is ``ORDER_FACTOR``
    times chance, and is clean otherwise.

    Args:
        dataset: that ``split`` was made from.
        split: its leave-one-out split.
        settings: block size, bootstrap samples and seed; None = defaults.

    Returns:
        Findings, yardsticks first.

    Raises:
        IsrfError: nobody has three items, so nothing is held out.
    """
    if not len(split.users("test")):
        raise IsrfError(
            f"{dataset.name}: no user has 3 interactions, so nothing is held out that ids could give away; "
            "audit a log with longer histories"
        )
    settings = settings or EvaluationSettings()
    gains = _gains(Popularity(), split, "sequential", settings)
    popularity, chance = float(gains.mean()), chance_ndcg(split, 10)
    findings = [
        Finding("chance", chance, "reference", "what a random ranking of the unseen items reaches"),
        Finding("popularity", popularity, "reference", "what knowing every training sale and no person reaches"),
    ]

    def measure(name: str, numbering: np.ndarray | None, task: Task, meaning: str) -> Finding:
        gains = _gains(IdPlusOne(numbering), split, task, settings)
        value = float(gains.mean())
        low, _ = bootstrap_interval(gains, settings.bootstrap_samples, settings.seed)
        return Finding(name, value, verdict(value, low, popularity, chance), meaning)

    source = source_numbering(dataset, split)
    if source is not None:
        number, what = source
        findings += [
            measure(
                f"id + 1, {what}",
                number,
                "sequential",
                "what ids of the source give away to any model that reads them as numbers or splits them into digits",
            ),
            measure(
                f"id + 1, {what}, largest id only",
                number,
                "direct",
                "the same without knowing which item came last: what direct recommendation collects",
            ),
        ]
    findings += [
        measure(
            "id + 1, first appearance in the whole log",
            first_appearance(dataset, split, held_out=True),
            "sequential",
            "what ids would give away if they were assigned along the log, held-out items included",
        ),
        measure(
            "id + 1, first appearance in training",
            first_appearance(dataset, split, held_out=False),
            "sequential",
            "the same with held-out interactions left out: the difference to the line above is the leak itself",
        ),
        measure("id + 1, rows of this project", None, "sequential", "what the numbers used here give away"),
    ]
    return findings


def verdict(value: float, low: float, popularity: float, chance: float) -> Verdict:
    """Judge one numbering (see ``audit_dataset``); all arguments are NDCG@10, ``low`` the lower end of the interval.

    >>> verdict(0.0497, 0.0470, popularity=0.0053, chance=0.0004)
    'leak'
    >>> verdict(0.0040, 0.0035, popularity=0.0053, chance=0.0004)
    'order'
    >>> verdict(0.0003, 0.0001, popularity=0.0053, chance=0.0004)
    'clean'
    """
    above_chance = low > chance and value >= ORDER_FACTOR * chance
    if above_chance and value >= LEAK_FACTOR * popularity:
        return "leak"
    return "order" if above_chance else "clean"


def chance_ndcg(split: Split, k: int) -> float:
    """Expected NDCG@k on test of a random ranking of each user's unseen items.

    A target is at each of the c places of c candidates with probability 1 / c, so the expectation is
    sum_{r < min(k, c)} 1 / log2(r + 2) / c.
    """
    candidates = split.training.n_items - split.histories("test").lengths[split.users("test")]
    gain = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))])
    return float((gain[np.minimum(k, candidates)] / candidates).mean())


def source_numbering(dataset: Dataset, split: Split) -> tuple[np.ndarray, str] | None:
    """((I,) int64 number of each item row, where it comes from), or None where the source's ids carry no numbers.

    The source's own numbering where it has one (``Dataset.source_order``), else the numeric order of its ids where all
    of them are whole numbers.
    """
    rows = split.training.catalogue.row_of
    if dataset.source_order is not None:
        ranked = [item for item in dataset.source_order if item in rows]
        return _numbered(split, ranked), "the source's numbering"
    if all(item.isascii() and item.isdigit() for item in rows):
        return _numbered(split, sorted(rows, key=int)), "numeric order of the source's ids"
    return None


def first_appearance(dataset: Dataset, split: Split, held_out: bool) -> np.ndarray:
    """(I,) int64: items numbered as they first appear in the log, in the source's own order of interactions.

    Items that never appear follow in row order, which carries nothing.

    Args:
        dataset: the whole log.
        split: says which interactions are held out.
        held_out: False leaves held-out interactions out of the numbering.
    """
    log = dataset.interactions.select(Columns.USER, Columns.ITEM, Columns.ORDER)
    if not held_out:
        for part in ("valid", "test"):
            users = split.users(part)
            pairs = {
                Columns.USER: [split.user_ids[u] for u in users],
                Columns.ITEM: [split.training.catalogue.ids[i] for i in split.targets(part)[users]],
            }
            log = log.join(pl.DataFrame(pairs), on=[Columns.USER, Columns.ITEM], how="anti")
    ordered = log.sort(Columns.ORDER)[Columns.ITEM].unique(maintain_order=True).to_list()
    return _numbered(split, ordered)


def _numbered(split: Split, ordered: list[str]) -> np.ndarray:
    """(I,) int64 number of each item row: its place in ``ordered``, items that are not in it behind in row order."""
    catalogue = split.training.catalogue
    rows = catalogue.rows_of(ordered)
    rest = np.setdiff1d(np.arange(len(catalogue)), rows)
    number = np.empty(len(catalogue), dtype=np.int64)
    number[np.concatenate([rows, rest])] = np.arange(len(catalogue))
    return number


def _gains(method: Method, split: Split, task: Task, settings: EvaluationSettings) -> np.ndarray:
    """(n,) float64 NDCG@10 of each test user."""
    method.fit(split.training)
    full, _ = evaluate(method, split, "test", task, settings)
    return ndcg(full.ranks, 10)
