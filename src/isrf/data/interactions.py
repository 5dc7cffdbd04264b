"""From rows of a log to interactions: what settings make of repeats, kinds of events and dislikes (docs/data.md).

An interaction is all that a user did with an item: it stands where its heaviest event first happened, and is held out whole. With
``data.repeats=all`` each moment is one. Whatever is decided about a training interaction is decided by rows that are no
later than the training part of its user, so that nothing held out changes what is trained on. Knows nothing about files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import PARTS, Columns
from isrf.data.losses import loss_line
from isrf.data.splits.predefined import PART

PLACE = "place"
"""Column: place of a row in its user's time, as ``clean`` sorts it; ascending over the whole log."""
EARLIEST, LATER = "valid place", "test place"
"""Columns of ``hold_out_places``."""
CODE = "part code"
"""Column: 0 = training, 1 = validation, 2 = test."""
PAIR = [Columns.USER, Columns.ITEM]
LEAST = 3
"""Interactions of a user that something is held out of."""
EVENTS_PROTOCOL = (
    "leave-one-out of weighted events: the last interaction of the largest weight that a user has is test, the one before it "
    "validation; lighter ones are known when they came before"
)


def usable(
    rows: pl.DataFrame, settings: DataSettings, file: Path, counts: dict[str, int], losses: list[str | None]
) -> pl.DataFrame:
    """Rows that may be interactions: no dislikes, and no events that weigh nothing. What goes is counted.

    Raises:
        IsrfError: nothing is left.
    """
    used = rows
    if Columns.DISLIKED in rows.columns:
        used = rows.filter(~pl.col(Columns.DISLIKED))
        cause = f"data.min_value={settings.min_value:g}"
        counts[f"rows rated below {cause} (dislikes)"] = rows.height - used.height
        losses.append(loss_line(cause, sizes(rows), sizes(used), "lower ratings are dislikes, and train nothing"))
    if Columns.WEIGHT in rows.columns:
        before, used = used, used.filter(pl.col(Columns.WEIGHT) > 0)
        counts["rows of events that weigh 0 (left out)"] = before.height - used.height
        losses.append(loss_line("data.event_weights", sizes(before), sizes(used), "kinds that weigh 0 are left out"))
    if not used.height:
        raise IsrfError(
            f"{file}: none of {rows.height:,} rows is left: all are dislikes or events that weigh 0; choose another "
            "data.min_value or other data.event_weights"
        )
    return used


def sizes(rows: pl.DataFrame) -> tuple[int, int, int]:
    """How many users, items and rows."""
    return rows[Columns.USER].n_unique(), rows[Columns.ITEM].n_unique(), rows.height


def settled_signals(
    log: pl.DataFrame,
    rows: pl.DataFrame,
    used: pl.DataFrame,
    settings: DataSettings,
    dates: tuple[int, int] | None,
    protocol: str | None,
    moment: str,
    counts: dict[str, int],
) -> tuple[pl.DataFrame, str | None]:
    """Interactions without those that a later dislike takes back, with WEIGHT; of weighted events with PART; the protocol.

    Args:
        log: interactions, with PART where a date or the source splits.
        rows: the whole log, ascending by PLACE.
        used: rows that may be interactions (``usable``).
        settings: of the room.
        dates: of a temporal split.
        protocol: of a split other than leave-one-out.
        moment: TIME or ORDER.
        counts: what cleaning counted; added to.
    """
    held_out = None if Columns.PART in log.columns else hold_out_places(log)

    def code(some: pl.DataFrame) -> pl.Series:
        if held_out is not None:
            return codes_by_place(some, held_out)
        return codes_of(some[Columns.PART]) if dates is None else codes_by_date(some, *dates)

    codes = code(log)
    if Columns.DISLIKED in rows.columns:
        stays = without_superseded(log, codes, rows, code(rows))
        counts["interactions that a later dislike takes back"] = log.height - int(stays.sum())
        log, codes = log.filter(stays), codes.filter(stays)
    if settings.repeats == "count":
        log = log.with_columns(weight_of_counts(log, codes, used, code(used), moment))
    if held_out is not None and Columns.WEIGHT in used.columns:
        log, protocol = log.with_columns(parts_of(codes)), EVENTS_PROTOCOL
    return log, protocol


def interactions_of(used: pl.DataFrame, repeats: str, moment: str) -> pl.DataFrame:
    """One row an interaction, by PLACE: the first of the heaviest rows of a user and an item, or of their moment.

    Args:
        used: USER, ITEM, TIME, ORDER, PLACE, with WEIGHT and PART if any; ascending by PLACE. Of a given split the earliest
            part keeps an item, whatever its weight.
        repeats: ``data.repeats``.
        moment: TIME or ORDER, by which rows of ``repeats`` "all" are told apart.
    """
    key = [*PAIR, moment] if repeats == "all" else PAIR
    if Columns.WEIGHT not in used.columns:
        return used.unique(key, keep="first", maintain_order=True)
    parts = [Columns.PART] if Columns.PART in used.columns else []
    ordered = used.sort(*parts, Columns.WEIGHT, PLACE, descending=[False] * len(parts) + [True, False])
    return ordered.unique(key, keep="first", maintain_order=True).sort(PLACE)


def hold_out_places(log: pl.DataFrame) -> pl.DataFrame:
    """USER, EARLIEST and LATER: places of the validation and the test target of who is held out by leave-one-out.

    Weights alike: the last two interactions of whoever has LEAST. Else of each user those of the largest weight that the
    user has alone, and something lighter may come before: without a second one validation has no target, and EARLIEST is LATER.

    Args:
        log: interactions by PLACE, with WEIGHT if kinds of events are read.
    """
    if Columns.WEIGHT not in log.columns:
        heaviest = log
    else:
        heaviest = log.filter(pl.col(Columns.WEIGHT) == pl.col(Columns.WEIGHT).max().over(Columns.USER))
    counted = log.group_by(Columns.USER).agg(pl.len().alias("length"), pl.col(PLACE).min().alias("first"))
    found = heaviest.group_by(Columns.USER).agg(pl.col(PLACE).sort().alias("places"), pl.col(PLACE).max().alias(LATER))
    found = found.join(counted, on=Columns.USER).filter(pl.col("length") >= LEAST)
    before = pl.col("places").list.get(-2, null_on_oob=True)
    # the validation target needs something before it
    found = found.with_columns(pl.when(before > pl.col("first")).then(before).otherwise(pl.col(LATER)).alias(EARLIEST))
    return found.filter(pl.col(EARLIEST) > pl.col("first")).select(Columns.USER, EARLIEST, LATER)


def codes_by_place(rows: pl.DataFrame, held_out: pl.DataFrame) -> pl.Series:
    """CODE of rows under leave-one-out: test from LATER on, validation from EARLIEST on."""
    joined = rows.select(Columns.USER, PLACE).join(held_out, on=Columns.USER, how="left", maintain_order="left")
    place = pl.col(PLACE)
    code = pl.when(place >= pl.col(LATER)).then(2).when(place >= pl.col(EARLIEST)).then(1).otherwise(0)
    return joined.select(code.cast(pl.Int8).alias(CODE))[CODE]


def codes_by_date(rows: pl.DataFrame, start: int, cut: int) -> pl.Series:
    """CODE of rows under a temporal split: validation from ``start`` on, test from ``cut`` on, ms."""
    time = pl.col(Columns.TIME)
    return rows.select(pl.when(time >= cut).then(2).when(time >= start).then(1).otherwise(0).cast(pl.Int8).alias(CODE))[
        CODE
    ]


def parts_of(codes: pl.Series) -> pl.Series:
    """PART of CODE."""
    return codes.replace_strict(dict(enumerate(PARTS)), return_dtype=PART).alias(Columns.PART)


def codes_of(parts: pl.Series) -> pl.Series:
    """CODE of PART."""
    return parts.cast(PART).to_physical().cast(pl.Int8).alias(CODE)


def without_superseded(log: pl.DataFrame, codes: pl.Series, rows: pl.DataFrame, row_codes: pl.Series) -> pl.Series:
    """(n,) bool: interactions that stay. Of training goes whatever its user disliked later, and still within training.

    Args:
        log: n interactions, and ``codes`` their CODE.
        rows: all rows of the log with DISLIKED, ascending by PLACE, and ``row_codes`` theirs.
    """
    gone = last_said(rows.filter(row_codes == 0)).with_columns(pl.lit(True).alias("gone"))
    joined = log.select(PAIR).join(gone, on=PAIR, how="left", maintain_order="left")
    return ~(joined["gone"].fill_null(False) & (codes == 0))


def last_said(rows: pl.DataFrame) -> pl.DataFrame:
    """USER and ITEM of each pair whose last row is a dislike; rows ascending by PLACE."""
    last = rows.unique(PAIR, keep="last", maintain_order=True)
    return last.filter(pl.col(Columns.DISLIKED)).select(PAIR)


def weight_of_counts(
    log: pl.DataFrame, codes: pl.Series, used: pl.DataFrame, used_codes: pl.Series, moment: str
) -> pl.Series:
    """(n,) float32 weights of ``data.repeats=count``: 1 + ln(moments), times the weight of the event if kinds are read.

    Counted are moments that are no later than the part of the interaction.
    """
    moments = used.with_columns(used_codes.alias(CODE)).unique([*PAIR, moment], keep="first", maintain_order=True)
    own = log.select(PAIR).with_columns(codes.alias("own"))
    known = moments.join(own, on=PAIR).filter(pl.col(CODE) <= pl.col("own"))
    number = own.join(known.group_by(PAIR).agg(pl.len().alias("n")), on=PAIR, how="left", maintain_order="left")["n"]
    weights = 1 + np.log(number.fill_null(1).to_numpy())
    if Columns.WEIGHT in log.columns:
        weights = weights * log[Columns.WEIGHT].to_numpy()
    return pl.Series(Columns.WEIGHT, weights.astype(np.float32))
