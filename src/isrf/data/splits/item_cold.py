"""Item-cold: some items keep their text and lose every interaction of training and validation (docs/protocol.md).

Leave-one-out by person, but for items that are drawn by a seed: whoever has one as test target is a *cold* row, ranked among
all items, cold and warm, and reported beside the others. Knows nothing about files.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.shell import setting
from isrf.data.dataset import PARTS, Columns
from isrf.data.splits.predefined import PART

TRAIN, VALID, TEST = PARTS


def cold_items(items: pl.Series, share: float, seed: int) -> pl.Series:
    """The drawn items: ``share`` of the distinct ones, at least one, whatever the order they come in."""
    distinct = items.unique().sort()
    count = max(1, round(share * len(distinct)))
    drawn = np.random.default_rng([seed, 1]).permutation(len(distinct))[:count]
    return distinct.gather(np.sort(drawn))


def item_cold_parts(
    log: pl.DataFrame, chosen: pl.Series, seed: int, counts: dict[str, int], file: str
) -> tuple[pl.DataFrame, str]:
    """The log with PART, without the interactions that cold items lose, and what was done in a sentence.

    Args:
        log: USER and ITEM as codes that follow the order of the ids; one row an interaction, sorted by user, oldest first; PART
            where its interactions have parts already.
        chosen: codes of the cold items (``cold_items``).
        seed: drew them.
        counts: get what the items lose.
        file: named in errors.

    Raises:
        IsrfError: no cold item is anybody's test target.
    """
    parted = log
    if Columns.PART not in log.columns:  # events of several weights have parts of their own
        # places from the end of each history: 0 is test, 1 validation, where the user has three or more
        behind = pl.int_range(pl.len(), dtype=pl.Int64).reverse().over(Columns.USER)
        many = pl.len().over(Columns.USER) >= len(PARTS)
        part = pl.when(many & (behind == 0)).then(pl.lit(TEST)).when(many & (behind == 1)).then(pl.lit(VALID))
        parted = log.with_columns(part.otherwise(pl.lit(TRAIN)).cast(PART).alias(Columns.PART))
    cold = pl.col(Columns.ITEM).is_in(chosen.implode())
    left = parted.filter(~cold | (pl.col(Columns.PART) == TEST))
    targets = left.filter(cold).height
    if not targets:
        raise IsrfError(
            f"{file}: data.split=item-cold: none of the {len(chosen)} items drawn is the last one of a user with "
            f"{len(PARTS)} interactions or more; draw more with {setting('data.cold_share', 0.3)}"
        )
    counts["cold items (drawn; text alone)"] = len(chosen)
    counts["interactions of cold items taken out of training and validation"] = parted.height - left.height
    told = (
        f"item-cold split: {len(chosen):,} items, drawn by seed {seed}, have no interaction before test; everybody's last item "
        f"is test, the one before validation; {targets:,} test targets are cold items, ranked among all items"
    )
    return left, told
