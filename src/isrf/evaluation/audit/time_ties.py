"""Ties of time: where the log does not say which of several interactions was the last, somebody's sort did.

The choice of the test item is then an accident, and a metric has a range instead of a value. Its two ends are computed
exactly for popularity, a method for which the order of everything but the last item is no matter.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from isrf.data.dataset import Columns, Dataset
from isrf.data.splits.split import Split
from isrf.evaluation.audit.counts import popularity_ranks, popularity_ranks_of
from isrf.evaluation.audit.findings import NDCG, OF_TEST, Finding
from isrf.evaluation.metrics import ndcg

PROTECTION = "ties keep the order of the source, the same for all methods of a table; differences within a table stand"


def tie_findings(dataset: Dataset, split: Split) -> list[Finding]:
    """Users whose test item is decided by the order of equal times, and popularity's range over all those orders.

    Args:
        dataset: times of the log.
        split: of it.
    """
    name = "test items that the order of equal times decides"
    if dataset.interactions[Columns.TIME].null_count():
        return [
            Finding(
                name,
                None,
                "unknown",
                "the source has an order and no times: whether it made that order up cannot be told (days in place of "
                "seconds, as in review data, make many ties)",
                OF_TEST,
                PROTECTION,
            )
        ]
    tied = tied_targets(dataset, split)
    share = len(tied) / len(split.users("test"))
    findings = [
        Finding(
            name,
            share,
            "note" if tied else "clean",
            f"{len(tied):,} users: the time of their test item has several items, any of which could be it; another sort "
            "of the same log gives another number",
            OF_TEST,
            PROTECTION,
        )
    ]
    if tied:
        worst, published, best = popularity_range(tied, split)
        for which, value in (("worst", worst), ("as published", published), ("best", best)):
            findings.append(
                Finding(
                    f"popularity over all orders of ties, {which}",
                    value,
                    "reference",
                    "each user's own ties in every order, exactly; a difference of two papers smaller than this range "
                    "may be one of sorting",
                    NDCG,
                    about="protocol",
                )
            )
    return findings


def tied_targets(dataset: Dataset, split: Split) -> dict[int, np.ndarray]:
    """Row of ``split.users("test")`` -> item rows that share the time of the target, for users with two or more.

    The target is a user's last interaction, or the first one that the split marks as test. Whoever is reported apart
    (new users, targets that are new items) has no say in the headline, and is left out.
    """
    log, training = dataset.interactions, split.training
    time = pl.col(Columns.TIME)
    if Columns.PART in log.columns:
        last = log.filter(pl.col(Columns.PART) == "test").filter(time == time.min().over(Columns.USER))
    else:
        last = log.filter(time == time.max().over(Columns.USER))
    groups = (
        last.group_by(Columns.USER, maintain_order=True).agg(Columns.ITEM).filter(pl.col(Columns.ITEM).list.len() > 1)
    )
    rows = {split.row_of[user]: training.catalogue.rows_of(items) for user, items in groups.iter_rows()}
    tested = set(split.users("test").tolist())
    return {user: items for user, items in rows.items() if user in tested and split.test[user] in items}


def popularity_range(tied: dict[int, np.ndarray], split: Split) -> tuple[float, float, float]:
    """(worst, as published, best) NDCG@10 of popularity on test, over all orders of each user's own ties.

    Other users stay as published. With an item of their tie as a user's test item, popularity counts the training
    interactions of all others: the order of the rest changes nothing. The people are those of test as published: where
    a date or the source splits, an alternative that nobody had before ranks at the bottom, though it would take its
    user out of the headline.
    """
    published = ndcg(popularity_ranks(split), 10)
    worst, best, ordered = published.copy(), published.copy(), np.sort(split.training.popularity)
    for place, user in enumerate(split.users("test").tolist()):
        if user in tied:
            gains = ndcg(popularity_ranks_of(split, user, tied[user], ordered), 10)
            worst[place], best[place] = gains.min(), gains.max()
    return float(worst.mean()), float(published.mean()), float(best.mean())
