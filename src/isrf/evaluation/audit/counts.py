"""How much of test is predicted by counting, or by nobody: popularity, repeats, items without a past, shared pairs.

None of these is a leak but pairs in two parts of a split; a published number has to be read with each. Knows nothing
about numberings, texts or files.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from isrf.data.dataset import Columns, Dataset
from isrf.data.splits.predefined import PART
from isrf.data.splits.protocols import TEST, TRAIN, date_of
from isrf.data.splits.split import NEW_ITEMS, NEW_USERS, REPEATS, Split
from isrf.evaluation.audit.findings import HIT, NDCG, OF_TEST, Finding, target_keys, training_keys
from isrf.evaluation.audit.id_order import chance_ndcg
from isrf.evaluation.metrics import hit, ndcg


def yardsticks(split: Split) -> list[Finding]:
    """Chance and popularity: NDCG@10 of both, and HR@10 of popularity, "reference" each."""
    ranks = popularity_ranks(split)
    known = "what knowing every training sale and no person reaches: the least that a method must beat"
    return [
        Finding("chance", chance_ndcg(split, 10), "reference", "what a random ranking of the unseen items reaches"),
        Finding("popularity", float(ndcg(ranks, 10).mean()), "reference", known, NDCG, about="protocol"),
        Finding(
            "popularity, hits",
            float(hit(ranks, 10).mean()),
            "reference",
            "how often the test item is among the ten best-selling items that its user does not have",
            HIT,
            about="protocol",
        ),
    ]


def popularity_ranks(split: Split) -> np.ndarray:
    """(n,) int64: rank of each user's test item by popularity, as ``full_ranks`` gives it, found by counting."""
    ordered, users = np.sort(split.training.popularity), split.users("test").tolist()
    return np.array(
        [int(popularity_ranks_of(split, u, split.test[u : u + 1], ordered)[0]) for u in users], dtype=np.int64
    )


def popularity_ranks_of(split: Split, user: int, targets: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """(t,) int64: rank by popularity of each of some items of a user, were it the one that is held out.

    rank(t) = |{j not in B, j != t : c_j >= c_t}|, where B is what the user has besides t and is no candidate, and c
    counts training interactions, for t without the user's own. Leave-one-out: B are all other items of the user, as t
    changes places with the test item. Where a date or the source splits, B is what is known before test: other test
    items remain candidates.

    Args:
        split, user, targets: item rows (t,) of the user; where a date or the source splits, of test alone.
        ordered: (I,) ``split.training.popularity``, ascending.
    """
    counts = split.training.popularity
    trained = split.training.histories[user] if user < split.training.n_users else np.zeros(0, dtype=np.int64)
    held = [split.valid[user], split.test[user]] if split.later is None else split.later.valid[user]
    items = np.unique([*trained, *held])
    items = items[items >= 0].astype(np.int64)  # unique gives floats where there is nothing
    others = counts[targets] - np.isin(targets, trained)
    at_least = len(counts) - np.searchsorted(ordered, others, side="left")
    itself = ~np.isin(targets, items)  # it has its own count, and does not stand above itself
    return at_least - (counts[items][None, :] >= others[:, None]).sum(1) - itself


def split_findings(split: Split, repeated: Dataset | None = None) -> list[Finding]:
    """Pairs that stand in two parts of the split, and test items that nobody has in training.

    ``repeated`` is the log where users have items again (``data.repeats=all``): a pair may then stand in two parts, but no
    more often than it happened.
    """
    parts = {"training": training_keys(split), "validation": target_keys(split, "valid")}
    parts["test"] = target_keys(split, "test")
    twice = sum(
        len(np.intersect1d(parts[a], parts[b]))
        for a, b in (("training", "validation"), ("training", "test"), ("validation", "test"))
    )
    if repeated is not None:
        twice = more_often_than_it_happened(split, repeated)
    users = split.users("test")
    targets = split.test[users]
    untrained = split.training.popularity[targets] == 0
    # elsewhere ``valid`` has no item that training lacks
    validation = split.valid[split.users("valid")] if split.later is None else split.later.valid.items
    validated = np.isin(targets, validation)
    beside = (
        ""
        if split.later is None
        else f"; {len(split.users(NEW_ITEMS)):,} users whose target is a new item and {len(split.users(NEW_USERS)):,} new "
        "users are no part of this share: they are reported apart"
    )
    return [
        Finding(
            "pairs in two parts of the split",
            float(twice),
            "leak" if twice else "clean",
            "a held-out pair that is trained on is no longer held out, and its metric is one of memory",
            "pairs",
            "each purchase is an event of its own (data.repeats=all): counted are pairs that the parts hold more often than the "
            "log, as one that is held out must not be trained on too"
            if repeated is not None
            else "repeat interactions are dropped before the split, so that each pair of user and item stands in one part",
            "workspace",
        ),
        Finding(
            "test items that nobody has in training",
            float(untrained.mean()),
            "note" if untrained.any() else "clean",
            f"no count and no interaction graph can find these, only texts; {(untrained & ~validated).mean():.2%} are "
            f"nobody's validation item either, so they occur in test alone{beside}",
            OF_TEST,
            "they stay candidates and count as misses; texts and reasons are read for them as for all items",
            "protocol",
        ),
    ]


def more_often_than_it_happened(split: Split, dataset: Dataset) -> int:
    """Interactions in the parts of a split beyond those that the log has of the same user and item."""
    known, n_items = split.known(np.arange(len(split.user_ids))), split.training.n_items
    pairs, times = np.unique(known.rows() * n_items + known.items, return_counts=True)
    log = dataset.interactions.select(
        pl.col(Columns.USER).replace_strict(split.row_of, return_dtype=pl.Int64) * n_items
        + pl.col(Columns.ITEM).replace_strict(split.training.catalogue.row_of, return_dtype=pl.Int64)
    ).to_series()
    happened, often = np.unique(log.to_numpy(), return_counts=True)
    place = np.minimum(np.searchsorted(happened, pairs), len(happened) - 1)
    return int(np.maximum(times - np.where(happened[place] == pairs, often[place], 0), 0).sum())


def repeat_finding(log: pl.DataFrame, dataset: Dataset, split: Split) -> Finding:
    """How many test items "what they had before" predicts, in the log before repeats were dropped.

    Judged is what would be the target if repeats were kept: a user's last interaction, or the first one in test where a
    date or the source splits.

    Args:
        log: USER, ITEM, TIME, ORDER as read, repeats included, and PART where the dataset has it.
        dataset: after cleaning; users and items that it left out do not count.
        split: of the cleaned log.
    """
    pair = [Columns.USER, Columns.ITEM]
    parts = [Columns.PART] if Columns.PART in dataset.interactions.columns else []
    # where there are parts, whoever comes back for old items alone has no target in the cleaned log, and counts here
    kept = (
        dataset.interactions
        if parts
        else pl.DataFrame({Columns.USER: [split.user_ids[u] for u in split.users("test")]})
    )
    rows = (
        log.join(kept.select(Columns.USER).unique(), on=Columns.USER, how="semi")
        .join(dataset.catalogue.select(Columns.ITEM), on=Columns.ITEM, how="semi")
        .sort(Columns.USER, *parts, Columns.TIME, Columns.ORDER, maintain_order=True)
    )
    if not rows[Columns.TIME].null_count():  # the same row twice is a fault of the log, not a purchase
        rows = rows.unique([*pair, Columns.TIME], keep="first", maintain_order=True)
    again = rows.with_columns((~pl.struct(pair).is_first_distinct()).alias("again"))
    if parts:
        before = again.filter(pl.col(Columns.PART) != TEST)
        first = again.filter(pl.col(Columns.PART) == TEST).unique(Columns.USER, keep="first", maintain_order=True)
        # new users and new items are reported apart
        judged = first.join(before, on=Columns.USER, how="semi").join(before, on=Columns.ITEM, how="semi")
    else:
        judged = again.unique(Columns.USER, keep="last", maintain_order=True)
    share = float(judged["again"].mean() or 0.0)  # type: ignore[arg-type]
    return Finding(
        f"{'first test' if parts else 'last'} interaction is an item the user had before",
        share,
        "note" if share > 0 else "clean",
        "where repeats are kept, ranking the history first predicts this part of test; a published number that keeps "
        "them measures habit",
        f"{OF_TEST}, repeats kept" if parts else OF_TEST,
        "of repeat interactions the earliest is kept, and items of the history are no candidates",
    )


def parts_by_date(log: pl.DataFrame, at: str, time_format: str | None = None) -> pl.DataFrame:
    """A log as read with PART: test from the date on that cleaning finds, training before (validation among it).

    The date is that of the log without repeats, of which the earliest is kept: a quantile with them is another one.

    Args:
        log: USER, ITEM, TIME as read, repeats included; cleaning has accepted it.
        at: ``data.split_at``.
        time_format: ``data.time_format``.
    """
    earliest = log.group_by(Columns.USER, Columns.ITEM).agg(pl.col(Columns.TIME).min())[Columns.TIME]
    cut = date_of(earliest, at, time_format)
    part = pl.when(pl.col(Columns.TIME) < cut).then(pl.lit(TRAIN)).otherwise(pl.lit(TEST))
    return log.with_columns(part.cast(PART).alias(Columns.PART))


def dropped_repeats(dataset: Dataset) -> Finding:
    """What is left to tell of repeats where only the cleaned log is there: how many interactions were dropped."""
    dropped = dataset.counts.get("repeat interactions dropped (earliest kept)")
    return Finding(
        "repeat interactions in the source",
        None if dropped is None else float(dropped),
        "unknown" if dropped is None else "note" if dropped else "clean",
        "where repeats are kept, ranking the history first predicts part of test",
        "interactions",
        "of repeat interactions the earliest is kept, and items of the history are no candidates",
    )


def kept_repeats(split: Split) -> Finding:
    """How many test targets their user has had before, where each purchase is an event (``data.repeats=all``)."""
    again, usual = len(split.users(REPEATS)), len(split.users("test"))
    return Finding(
        "test targets that their user has had before",
        again / max(again + usual, 1),
        "note" if again else "clean",
        "ranking the history first predicts these; a figure that mixes them with others measures habit",
        f"{OF_TEST}, repeats kept",
        "they are evaluated apart, as 'test, repeats', with everything a candidate",
    )
