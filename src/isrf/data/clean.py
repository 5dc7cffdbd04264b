"""From rows as read to a Dataset: duplicates, repeats, k-core, catalogue join; every loss is counted, none is silent.

Knows nothing about file formats. Works on integer codes of the ids, so millions of rows take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.shell import setting
from isrf.data.catalogue_join import NEVER_BOUGHT, catalogue_of
from isrf.data.dataset import PARTS, Columns, Dataset
from isrf.data.interactions import (
    PLACE,
    codes_by_date,
    interactions_of,
    last_said,
    parts_of,
    settled_signals,
    usable,
)
from isrf.data.losses import loss_line
from isrf.data.readers.raw import BadRows, RawData
from isrf.data.reviews import settled
from isrf.data.splits.item_cold import cold_items, item_cold_parts
from isrf.data.splits.protocols import (
    check_given,
    core_of_training,
    count_parts,
    older_than_training,
    temporal_dates,
    told_of_dates,
)

EVALUATED_FROM = 3
"""A user needs this many interactions to have a training, a validation and a test part (leave-one-out)."""
REPEATS_COUNTED = {
    "first": "repeat interactions dropped (earliest kept)",
    "count": "repeat interactions that weigh (earliest kept)",
    "all": "repeat interactions (each an event)",
}
"""``data.repeats`` -> what its count is called."""


def clean(raw: RawData, settings: DataSettings, bad: BadRows, cold: Sequence[str] | None = None) -> Dataset:
    """Settle duplicates, repeats, k-core and catalogue; ``Dataset.counts`` tells all of it in this order.

    An exact duplicate has user, item and time of another row (user, item and position where there is no time). What
    becomes of repeats, kinds of events and dislikes is the business of ``interactions``. Within a user rows are ordered by
    time, then by the source's order. Where a date or the source splits, the k-core is that of training
    (``core_of_training``).

    Args:
        raw: as read.
        settings: of the room.
        bad: where rows go that contradict each other.
        cold: the cold items of an item-cold split that an earlier version of the log has; None draws them.

    Raises:
        IsrfError: nothing is left, the split cannot be made (``protocols``), log and catalogue share no id, or an item id
            stands in the catalogue twice with different texts under on_bad_row "fail".
    """
    counts = {"rows read": raw.rows_read, "rows rejected": raw.rows_read - raw.log.height, **raw.counts}
    if not raw.log.height:
        raise IsrfError(f"{raw.file}: all {raw.rows_read} rows were rejected; see the reasons, or name other columns")
    user_ids = raw.log[Columns.USER].unique().sort()
    item_ids = raw.log[Columns.ITEM].unique().sort()
    # of a given split the earliest part keeps a repeated item, whatever its time
    parts = [Columns.PART] if Columns.PART in raw.log.columns else []
    signals = [column for column in (Columns.DISLIKED, Columns.WEIGHT) if column in raw.log.columns]
    rows = raw.log.select(
        pl.col(Columns.USER).cast(pl.Enum(user_ids)).to_physical(),
        pl.col(Columns.ITEM).cast(pl.Enum(item_ids)).to_physical(),
        Columns.TIME,
        Columns.ORDER,
        *parts,
        *signals,
    ).sort(Columns.USER, *parts, Columns.TIME, Columns.ORDER, maintain_order=True)
    rows = rows.with_row_index(PLACE)
    repeats = settings.repeats
    given = settings.split == "given"
    protocol = check_given(rows, user_ids, item_ids, raw.file, repeats == "all") if given else None

    losses: list[str | None] = []
    if settings.on_bad_row == "skip":
        read, left = (0, 0, raw.rows_read), (0, 0, raw.log.height)
        losses.append(loss_line("data.on_bad_row=skip", read, left, "see dataset/rejected.csv, and fix the source"))
    used = usable(rows, settings, raw.file, counts, losses)
    moment = Columns.ORDER if used[Columns.TIME].null_count() else Columns.TIME
    distinct = used.select(Columns.USER, Columns.ITEM, moment).n_unique()
    counts["exact duplicates dropped"] = used.height - distinct
    log = interactions_of(used, repeats, moment)
    dates = None
    if settings.split_at is not None:
        dates = temporal_dates(log[Columns.TIME], settings.split_at, raw.file, settings.time_format)
        log, protocol = log.with_columns(parts_of(codes_by_date(log, *dates))), told_of_dates(*dates)
    log = log.sort(Columns.USER, Columns.TIME, Columns.ORDER, maintain_order=True)
    again = (
        log.height - log.select(Columns.USER, Columns.ITEM).n_unique() if repeats == "all" else distinct - log.height
    )
    counts[REPEATS_COUNTED[repeats]] = again
    if repeats == "first":
        sizes = (log[Columns.USER].n_unique(), log[Columns.ITEM].n_unique())
        remedy = (
            f"{setting('data.repeats', 'count')} lets them weigh, {setting('data.repeats', 'all')} makes each an event"
        )
        losses.append(loss_line("data.repeats=first", (*sizes, distinct), (*sizes, log.height), remedy))

    users, items = log[Columns.USER].to_numpy(), log[Columns.ITEM].to_numpy()
    if protocol is None:
        core = k_core(users, items, settings.min_interactions)
    else:
        trained = (log[Columns.PART] == PARTS[0]).to_numpy()
        own = k_core(users[trained], items[trained], settings.min_interactions)
        core = core_of_training(users, items, trained, own)
    kept = log.filter(core)
    counts["min_interactions (k of the k-core)"] = settings.min_interactions
    for name, column in (("users", Columns.USER), ("items", Columns.ITEM)):
        counts[f"{name} under k dropped"] = log[column].n_unique() - kept[column].n_unique()
    counts["interactions under k dropped"] = log.height - kept.height
    before_signals = kept
    if signals or repeats == "count":
        kept, protocol = settled_signals(kept, rows, used, settings, dates, protocol, moment, counts)
    if not before_signals.height:
        raise IsrfError(
            f"{raw.file}: no user and item with {settings.min_interactions} interactions each are left of {log.height}"
            " interactions; lower data.min_interactions (0 keeps all)"
        )

    bought = item_ids.gather(kept[Columns.ITEM].unique().sort())
    if settings.split == "item-cold":
        if cold is None:
            drawn = cold_items(kept[Columns.ITEM], settings.cold_share, settings.seed)
        else:
            coded = (
                pl.DataFrame({Columns.ITEM: item_ids}).with_row_index("code").cast({"code": kept.schema[Columns.ITEM]})
            )
            drawn = coded.filter(pl.col(Columns.ITEM).is_in(list(cold)))["code"]
        kept, protocol = item_cold_parts(kept, drawn, settings.seed, counts, str(raw.file))
        cold = item_ids.gather(drawn).to_list()

    interactions = kept.select(
        user_ids.gather(kept[Columns.USER]).alias(Columns.USER),
        item_ids.gather(kept[Columns.ITEM]).alias(Columns.ITEM),
        Columns.TIME,
        Columns.ORDER,
        *([] if protocol is None else [Columns.PART]),
        *([Columns.WEIGHT] if Columns.WEIGHT in kept.columns else []),
    )
    catalogue, columns = catalogue_of(raw, item_ids, bought, settings, bad, counts)
    never = counts.get(NEVER_BOUGHT, 0)
    before = (log[Columns.USER].n_unique(), log[Columns.ITEM].n_unique() + never, log.height)
    after = (before_signals[Columns.USER].n_unique(), before_signals[Columns.ITEM].n_unique(), before_signals.height)
    cause = f"data.min_interactions={settings.min_interactions}"
    losses.append(
        loss_line(cause, before, after, f"{setting('data.min_interactions', 0)} keeps everybody and everything")
    )
    texts = [c for c in catalogue.columns if c != Columns.ITEM]
    counts["items without any text"] = catalogue.filter(pl.all_horizontal(catalogue[c] == "" for c in texts)).height
    if protocol is None:
        lengths = kept[Columns.USER].value_counts()["count"]
        counts[f"users with fewer than {EVALUATED_FROM} interactions (not evaluated)"] = int(
            (lengths < EVALUATED_FROM).sum()
        )
    else:
        count_parts(kept, counts)
    if settings.split == "given":
        counts["test interactions older than one of training by their user"] = older_than_training(kept)
    order = raw.source_order
    if order is not None:
        known = set(catalogue[Columns.ITEM])
        order = [item for item in order if item in known]
    told = None if raw.explanations is None else settled(raw.explanations, interactions, counts)
    ids = {Columns.USER: interactions[Columns.USER], Columns.ITEM: catalogue[Columns.ITEM]}
    id_types = {name: kind for name, kind in raw.id_types.items() if has_type(ids[name], kind)}
    warnings = raw.warnings + (raw.catalogue.warnings if raw.catalogue is not None else ()) + tuple(bad.told)
    if again and repeats == "first":
        warnings += (
            f"warning: {again:,} of {raw.log.height:,} rows repeat an earlier one of the same user and item: the earliest "
            "alone counts",
        )
    dislikes = None
    if Columns.DISLIKED in signals:
        said = last_said(rows)
        pairs = {Columns.USER: user_ids.gather(said[Columns.USER]), Columns.ITEM: item_ids.gather(said[Columns.ITEM])}
        dislikes = pl.DataFrame(pairs).sort(Columns.USER, Columns.ITEM)
        alone = dislikes.join(interactions, on=Columns.USER, how="anti")[Columns.USER].n_unique()
        counts["users with dislikes alone (left out)"] = alone
        dislikes = dislikes.join(interactions, on=Columns.USER, how="semi").join(catalogue, on=Columns.ITEM, how="semi")
        counts["dislikes (never recommended to their user)"] = dislikes.height
    told_losses = tuple(line for line in losses if line is not None)
    return Dataset(
        raw.name,
        interactions,
        catalogue,
        counts,
        order,
        told,
        protocol,
        warnings,
        losses=told_losses,
        id_types=id_types,
        dislikes=dislikes,
        columns=columns,
        cold_items=() if cold is None else tuple(cold),
    )


def has_type(ids: pl.Series, kind: str) -> bool:
    """Whether ids that are text here can be given back as a type of ``dataset.ID_TYPES``, each as it was."""
    return bool((ids.cast(getattr(pl, kind), strict=False).cast(pl.String) == ids).fill_null(False).all())


def k_core(users: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """The largest part of a log in which every user and every item has at least k interactions.

    Args:
        users: (N,) integer codes from 0, one an interaction.
        items: (N,) likewise.
        k: least number of interactions; 0 and 1 keep all.

    Returns:
        (N,) bool: what is kept; the fixed point of dropping both sides at once, which no order of dropping changes.
    """
    kept = np.arange(len(users))
    while len(kept):
        u, i = users[kept], items[kept]
        enough = (np.bincount(u)[u] >= k) & (np.bincount(i)[i] >= k)
        if enough.all():
            break
        kept = kept[enough]
    mask = np.zeros(len(users), dtype=bool)
    mask[kept] = True
    return mask
