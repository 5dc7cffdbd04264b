"""What the order of item ids gives away: the leak that a predictor without parameters can collect.

Where a source numbered its items in order of first appearance over whole sequences, test items included, "largest id in
the history + 1" finds the next item without knowing anything about people or items (docs/leaks.md). This measures
it on the numberings that a data set carries. Knows nothing about trained models.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from isrf.core.config import EvaluationSettings
from isrf.data.dataset import Columns, Dataset
from isrf.data.queries import Task
from isrf.data.splits.split import Split
from isrf.evaluation.audit.findings import About, Finding, Verdict
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.significance import bootstrap_interval

LEAK_FACTOR = 2.0
"""Id order is a leak from this many times what popularity reaches: it then beats knowledge of every sale."""

ORDER_FACTOR = 5.0
"""Id order carries something from this many times what a random ranking reaches."""

SHUFFLED = "items are numbered by a seeded permutation of their sorted ids"


def numbering_findings(
    dataset: Dataset, split: Split, settings: EvaluationSettings, popularity: float, own: np.ndarray | None = None
) -> list[Finding]:
    """Measure "id + 1, + 2, ..." under each numbering of the items.

    Numberings: the source's own (where it has one); order of first appearance in the whole log; the same recomputed
    without held-out interactions; the rows of this project, or the numbers that a workspace writes instead. A numbering
    is a leak where it reaches ``LEAK_FACTOR`` times popularity, carries order where the whole interval lies above chance
    and the value is ``ORDER_FACTOR`` times chance, and is clean otherwise. Those that nobody uses are yardsticks.

    Args:
        dataset: that ``split`` was made from.
        split: says what is held out.
        settings: bootstrap samples and seed.
        popularity: NDCG@10 of popularity on test.
        own: (I,) int64, numbers of the item rows that a workspace's identifiers are written with; None = the rows.
    """
    chance = chance_ndcg(split, 10)

    def measure(name: str, numbering: np.ndarray | None, task: Task, meaning: str, about: About) -> Finding:
        gains = ndcg(plus_one_ranks(numbering, split, task), 10)
        low, _ = bootstrap_interval(gains, settings.bootstrap_samples, settings.seed)
        value = float(gains.mean())
        found = verdict(value, low, popularity, chance) if about != "protocol" else "reference"
        return Finding(name, value, found, meaning, protection=SHUFFLED if about == "source" else "", about=about)

    findings = []
    source = source_numbering(dataset, split)
    if source is not None:
        number, what = source
        findings += [
            measure(
                f"id + 1, {what}",
                number,
                "sequential",
                "what counting reaches: a model that reads these ids as numbers or digits can collect as much, and a "
                "published figure below it proves nothing",
                "source",
            ),
            measure(
                f"id + 1, {what}, largest id only",
                number,
                "direct",
                "the same without knowing which item came last: what direct recommendation can collect",
                "source",
            ),
        ]
    findings += [
        measure(
            "id + 1, first appearance in the whole log",
            first_appearance(dataset, split, held_out=True),
            "sequential",
            "what ids give away if they are assigned along the log, held-out items included",
            "protocol",
        ),
        measure(
            "id + 1, first appearance in training",
            first_appearance(dataset, split, held_out=False),
            "sequential",
            "the same with held-out interactions left out: the difference to the line above is the leak itself",
            "protocol",
        ),
    ]
    rows = "what the numbers give away that this project writes for items"
    if own is None:
        findings.append(measure("id + 1, rows of this project", None, "sequential", rows, "workspace"))
    else:
        asked = f"{rows}: data.id_order=appearance asked for a numbering with held-out items in it"
        findings.append(measure("id + 1, numbers of this workspace", own, "sequential", asked, "workspace"))
    return findings


def plus_one_ranks(numbering: np.ndarray | None, split: Split, task: Task, k: int = 10) -> np.ndarray:
    """(n,) int64: rank of each user's test item as ``IdPlusOne`` and ``full_ranks`` give it, found by walking its list.

    Ranks from k on are all k: nobody looks further down the list.

    Args:
        numbering: (I,) int64 permutation of 0..I-1; None = the item rows.
        split, task: whose test items, with the newest item known or not.
        k: places of the list that matter.
    """
    n = split.training.n_items
    number = np.arange(n) if numbering is None else numbering
    users, known = split.users("test"), split.histories("test")
    ranks = np.full(len(users), k, dtype=np.int64)
    for place, user in enumerate(users.tolist()):
        numbers = number[known[user]].tolist()
        if not numbers:
            continue
        target, passed = int(number[split.test[user]]), set(numbers)
        ranks[place] = min(k, n - len(passed) - 1)  # at the bottom, where all that the list does not hold tie
        starts = (max(numbers), numbers[-1]) if task == "sequential" else (max(numbers),)
        rank, step = 0, 1
        while rank < k and min(starts) + step < n:
            for start in starts:
                if (candidate := start + step) >= n or candidate in passed:
                    continue
                if candidate == target and rank < k:
                    ranks[place] = rank
                    rank = k
                passed.add(candidate)
                rank += 1
            step += 1
    return ranks


def verdict(value: float, low: float, popularity: float, chance: float) -> Verdict:
    """Judge one numbering (see ``numbering_findings``); all arguments are NDCG@10, ``low`` the lower end of the interval.

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
    log = dataset.interactions
    if not held_out and Columns.PART in log.columns:
        log = log.filter(pl.col(Columns.PART) == "train")  # more than a target a person may be held out
    elif not held_out:
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
