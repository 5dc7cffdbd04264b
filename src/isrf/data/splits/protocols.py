"""Which interaction belongs to which part of a split other than leave-one-out, and the split that comes of it.

*Temporal*: one date for everybody (``data.split_at``). What happened before it is training, but for the last tenth of
those interactions, which is validation; what happened from it on is test. *Given*: the source says it of every
interaction. Either way a user's first interaction within a part is that part's target, everything before the part is
known when it is predicted, and nothing that is fitted sees an interaction, or a user, of a later part (docs/protocol.md).
Knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.shell import setting, together
from isrf.data.dataset import PARTS, Columns, Dataset
from isrf.data.histories import Histories
from isrf.data.interactions import EVENTS_PROTOCOL
from isrf.data.readers.times import moments
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.data.splits.split import NEW_ITEMS, NEW_USERS, HeldOut, Split
from isrf.data.splits.storage import histories_of
from isrf.data.training_data import NO_ROWS, Catalogue, Rows, TrainingData, seeded_rows

VALIDATION_SHARE = 0.1
"""Share of the interactions before the date that is validation: the newest, and whatever has the time of the oldest of
them."""

TRAIN, VALID, TEST = PARTS


def told_of_dates(start: int, cut: int) -> str:
    """What a temporal split is, in a sentence."""
    return (
        f"temporal split: training before {when(start)}, validation from then and before {when(cut)}, test from then on; "
        "target = a user's first interaction of a part"
    )


def temporal_dates(times: pl.Series, at: str, file: Path, time_format: str | None = None) -> tuple[int, int]:
    """Where validation begins and where test does, ms.

    Args:
        times: of interactions.
        at: ``data.split_at``.
        file: named in errors.
        time_format: ``data.time_format``, in which ``at`` may be written too.

    Raises:
        IsrfError: the log has no times, ``at`` cannot be read, or a part would be empty.
    """
    if times.null_count():
        raise IsrfError(
            f"{file}: data.split=temporal needs times, and this log has none that were recognised; name their column with "
            f"{setting('data.time_column', 'NAME')}, or take the usual split with "
            + together([setting("data.split", "leave-one-out"), setting("data.split_at", None)])
        )
    cut = date_of(times, at, time_format)
    before = times.filter(times < cut)
    first, last = int(times.min()), int(times.max())  # type: ignore[arg-type]
    if before.is_empty() or last < cut:
        raise IsrfError(
            f"{file}: data.split_at={at} leaves nothing {'before' if before.is_empty() else 'after'} it: the log goes from "
            f"{when(first)} to {when(last)}; choose a date between, or a quantile like 0.9"
        )
    start = int(before.quantile(1 - VALIDATION_SHARE, "lower"))  # type: ignore[arg-type]
    if start <= first:
        raise IsrfError(
            f"{file}: nothing is left to train on before validation, as too many interactions before "
            f"data.split_at={at} have the time {when(first)}; choose a later date"
        )
    return start, cut


def date_of(times: pl.Series, at: str, time_format: str | None = None) -> int:
    """The date of a temporal split, ms: ``at`` as a quantile of all times, or as a time. Raises IsrfError.

    >>> date_of(pl.Series([10, 20, 30, 40]), "0.5"), date_of(pl.Series([0]), "1970-01-02")
    (30, 86400000)
    """
    try:
        share = float(at)
    except ValueError:
        share = 0.0
    if 0 < share < 1:
        return int(times.quantile(share, "higher"))  # type: ignore[arg-type]
    found = moments(at, time_format)
    if len(found) > 1:
        ways = " or ".join(when(time) for time in found)
        raise IsrfError(f"data.split_at={at}: can be read as {ways}; write it as a date like 2014-01-31")
    if not found:
        raise IsrfError(
            f"data.split_at={at}: is not a date like 2014-01-31, time like 2014-01-31T12:00, epoch seconds or milliseconds, or "
            "quantile between 0 and 1"
        )
    return found[0]


def when(milliseconds: int) -> str:
    """A time for people: the day alone at midnight.

    >>> when(0), when(1_000)
    ('1970-01-01', '1970-01-01T00:00:01Z')
    """
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:  # beyond the years 1 to 9999
        return f"{milliseconds} ms"
    return f"{time:%Y-%m-%d}" if milliseconds % 86_400_000 == 0 else f"{time:%Y-%m-%dT%H:%M:%SZ}"


def check_given(log: pl.DataFrame, users: pl.Series, items: pl.Series, file: Path, repeats: bool = False) -> str:
    """Refuse a given split that contradicts itself; what it is in a sentence where it does not.

    An interaction that stands in two parts is told to the model and asked for at once. With times it is one where user,
    item and time agree, without them where user and item do.

    Args:
        log: USER and ITEM as codes, TIME, PART.
        users, items: original ids by code, for the error line.
        repeats: whether an item may come again (``data.repeats=all``); without times it may then in another part.

    Raises:
        IsrfError: the source names no parts, a part is empty, or an interaction stands in two of them.
    """
    if Columns.PART not in log.columns:
        raise IsrfError(
            f"{file}: data.split=given, but this format says nothing of parts; give a CSV, Parquet or RecBole log with a "
            "column of train, valid and test, or a folder with a file of each"
        )
    for part in PARTS:
        if not (log[Columns.PART] == part).any():
            raise IsrfError(
                f"{file}: data.split=given, but no interaction is in {part}; mark some (validation chooses epochs and weights)"
            )
    key = [Columns.USER, Columns.ITEM, *([] if log[Columns.TIME].null_count() else [Columns.TIME])]
    twice = log.group_by(key, maintain_order=True).agg(pl.col(Columns.PART).unique().sort())
    twice = twice.filter(pl.col(Columns.PART).list.len() > 1)
    if twice.height and not (repeats and Columns.TIME not in key):
        row = twice.row(0, named=True)
        raise IsrfError(
            f"{file}: user {users[row[Columns.USER]]!r} with item {items[row[Columns.ITEM]]!r} stands in "
            f"{' and '.join(row[Columns.PART])} ({twice.height} such interactions); keep each in one part"
        )
    return "given split: parts as the source names them; target = a user's first interaction of a part"


def older_than_training(log: pl.DataFrame) -> int:
    """Test interactions of a given split that are older than one of training by the same user: allowed, but told of."""
    newest = (
        log.filter(pl.col(Columns.PART) == TRAIN).group_by(Columns.USER).agg(pl.col(Columns.TIME).max().alias("newest"))
    )
    test = log.filter(pl.col(Columns.PART) == TEST).join(newest, on=Columns.USER)
    return test.filter(pl.col(Columns.TIME) < pl.col("newest")).height


def count_parts(log: pl.DataFrame, counts: dict[str, int]) -> None:
    """Add to ``counts`` how the interactions that are left lie in the parts."""
    for part in PARTS:
        counts[f"interactions in {part}"] = log.filter(pl.col(Columns.PART) == part).height
    test = log.filter(pl.col(Columns.PART) == TEST)
    counts["later test interactions of a user (no targets)"] = test.height - test[Columns.USER].n_unique()
    trained = log.filter(pl.col(Columns.PART) == TRAIN)[Columns.USER]
    counts["users without a training interaction"] = log[Columns.USER].n_unique() - trained.n_unique()


def core_of_training(users: np.ndarray, items: np.ndarray, trained: np.ndarray, core: np.ndarray) -> np.ndarray:
    """What is left where the k-core is that of training: later parts must not decide who is trained on.

    Users and items of training that its core lost go with their later interactions; those that training never met stay.

    Args:
        users, items: (N,) integer codes.
        trained: (N,) bool, interactions of training.
        core: (n,) bool, what the core keeps of these n.

    Returns:
        (N,) bool.
    """
    kept = np.ones(len(users), dtype=bool)
    kept[trained] = core
    for codes in (users, items):
        lost = np.setdiff1d(codes[trained], codes[trained & kept])
        kept &= ~np.isin(codes, lost)
    return kept


def split_of(dataset: Dataset, seed: int = 0, before: Rows = NO_ROWS) -> Split:
    """Number users and items and hold out what the dataset's PART says, or two items a user where it has none.

    Args:
        dataset: cleaned.
        seed: of the order of rows.
        before: rows of an earlier version of the same log, which stay as they are.

    Raises:
        IsrfError: nobody can be evaluated, or fewer than two users can choose epochs and weights.
    """
    if Columns.PART not in dataset.interactions.columns:
        return leave_one_out(dataset, seed, before)
    split = by_parts(dataset, seed, before)
    if dataset.protocol == EVENTS_PROTOCOL:
        return split  # of the usual split nobody need be evaluated
    if len(split.users(VALID)) < 2 or not len(split.users(TEST)):
        raise IsrfError(
            f"{dataset.name}: {dataset.protocol}: {len(split.users(VALID))} users have a validation target and "
            f"{len(split.users(TEST))} a test target with something known before it (besides {len(split.users(NEW_USERS))} "
            f"new users and {len(split.users(NEW_ITEMS))} targets that are new items); two and one are needed: choose another "
            "split or lower data.min_interactions"
        )
    return split


def by_parts(dataset: Dataset, seed: int, before: Rows = NO_ROWS) -> Split:
    """The split that PART says. Users of training get the first rows, others the rows behind, each in a seeded order.

    Users of training that have a row ``before`` keep it; the others stand behind them, and may move.
    """
    log = dataset.interactions
    trained = log.filter(pl.col(Columns.PART) == TRAIN)[Columns.USER].unique().to_list()
    user_ids = seeded_rows(trained, seed, before.users)
    strangers = seeded_rows(list(set(log[Columns.USER].unique()) - set(trained)), seed, before.users)
    catalogue = Catalogue.seeded(dataset, seed, before.items)
    user_row = {user: row for row, user in enumerate([*user_ids, *strangers])}
    found = histories_by_part(log, user_row, catalogue)
    training = TrainingData(user_ids, catalogue, found[TRAIN].take(np.arange(len(user_ids))))
    later = HeldOut(strangers, found[VALID], found[TEST])
    valid, test = first_of(later.valid), first_of(later.test)
    # epochs and weights are chosen by people and items that training has met
    valid[len(user_ids) :] = -1
    valid[(valid >= 0) & (training.popularity[valid] == 0)] = -1
    return Split(training, valid, test, later, repeats=dataset.repeated)


def histories_by_part(log: pl.DataFrame, user_row: Mapping[str, int], catalogue: Catalogue) -> dict[str, Histories]:
    """Part -> (P,) its interactions; interactions are sorted oldest first within a user (Dataset)."""
    rows = log.select(
        pl.col(Columns.USER).replace_strict(user_row, return_dtype=pl.Int64).alias(Columns.USER_ROW),
        pl.col(Columns.ITEM).replace_strict(catalogue.row_of, return_dtype=pl.Int64).alias(Columns.ITEM_ROW),
        Columns.PART,
        *([Columns.WEIGHT] if Columns.WEIGHT in log.columns else []),
    ).sort(Columns.USER_ROW, maintain_order=True)
    return {part: histories_of(rows.filter(pl.col(Columns.PART) == part), len(user_row)) for part in PARTS}


def first_of(histories: Histories) -> np.ndarray:
    """(P,) int64 oldest item of each history, -1 of an empty one."""
    found = np.full(len(histories), -1, dtype=np.int64)
    some = histories.lengths > 0
    found[some] = histories.items[histories.offsets[:-1][some]]
    return found
