"""Batches of the two tasks, drawn from training histories by seed and epoch. Knows nothing about the model.

Every epoch draws from its own random stream, so a resumed run sees exactly the batches of an unbroken one. Batches
come in few shapes: compiled kernels are made once a shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isrf.data.histories import Histories
from isrf.model.inference import padded

DIRECT_TARGETS = 4
"""Most held-out items that one DR example is trained on."""


WIDTH_STEP = 5
"""Windows are padded to a multiple of this: few shapes, little padding."""


@dataclass(frozen=True)
class SequentialBatch:
    """Windows of histories.

    Attributes:
        users: (B,) int64 user rows.
        items: (B, L) int64 item rows, oldest first, padded with 0 on the right; each is a target from those before it.
        mask: (B, L) float32, 1 where there is an item.
        with_group: (B,) bool, whether the generator reads the group interest.
        is_target: (B, L) float32, 1 where the item is predicted: everywhere without the group, and only from the
            user's cut on with it, because the group was found from what came before the cut.
        begins: (B,) int64, where the window begins in the user's history.
    """

    users: np.ndarray
    items: np.ndarray
    mask: np.ndarray
    with_group: np.ndarray
    is_target: np.ndarray
    begins: np.ndarray


@dataclass(frozen=True)
class NextItemBatch:
    """Histories cut before one target each, for a generator that writes one item a person.

    Attributes:
        users: (B,) int64 user rows.
        items: (B, L) int64 item rows before the target, oldest first, padded with 0 on the right; no item where a
            user has a single one.
        mask: (B, L) float32, 1 where there is an item.
        targets: (B,) int64 item row that comes next.
        with_group: (B,) bool, whether the generator reads the group interest; only where the target comes after the
            user's cut.
        counts: (B,) float32, how much each target's interaction counts; None = each counts 1.
    """

    users: np.ndarray
    items: np.ndarray
    mask: np.ndarray
    targets: np.ndarray
    with_group: np.ndarray
    counts: np.ndarray | None = None


@dataclass(frozen=True)
class DirectBatch:
    """Histories as sets, some items held out as targets.

    Attributes:
        users: (B,) int64 user rows.
        bags: (B, L) int64 item rows in random order, padded with 0 on the right.
        mask: (B, L) float32.
        targets: (B, DIRECT_TARGETS) int64 item rows.
        target_weights: (B, DIRECT_TARGETS) float32, summing to one a user, zero where there is no target.
        with_group: (B,) bool; where it is True every target comes after the user's cut and the bag from before it.
        places: (B, L) int64, where each item of the bag stands in the user's history.
        target_places: (B, DIRECT_TARGETS) int64, likewise.
        counts: (B,) float32, how much the interaction of each first target counts; None = each counts 1.
    """

    users: np.ndarray
    bags: np.ndarray
    mask: np.ndarray
    targets: np.ndarray
    target_weights: np.ndarray
    with_group: np.ndarray
    places: np.ndarray
    target_places: np.ndarray
    counts: np.ndarray | None = None


Batch = SequentialBatch | NextItemBatch | DirectBatch


def windows(histories: Histories, width: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut each history into pieces of at most ``width``; every interaction falls into exactly one piece.

    A long history is cut at a random phase, so that over the epochs every item is seen with many contexts.

    Returns:
        (N,) user rows, (N,) starts and (N,) ends in ``histories.items``.
    """
    users, starts, ends = [], [], []
    for user in np.flatnonzero(histories.lengths > 0):
        first, last = int(histories.offsets[user]), int(histories.offsets[user + 1])
        if last - first <= width:
            cuts = [first, last]
        else:
            phase = int(rng.integers(1, width + 1))
            cuts = [first, *range(first + phase, last, width), last]
        for start, end in itertools.pairwise(cuts):
            users.append(int(user))
            starts.append(start)
            ends.append(end)
    return np.array(users, dtype=np.int64), np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)


def of_like_width(widths: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Batches of at most ``size`` rows of one width each, in random order; a width and (n,) rows of ``widths``.

    Windows of like length share a batch, which spares most of the padding.
    """
    plan: list[tuple[int, np.ndarray]] = []
    for width in np.unique(widths):
        alike = rng.permutation(np.flatnonzero(widths == width))
        plan += [(int(width), alike[begin : begin + size]) for begin in range(0, len(alike), size)]
    for at in rng.permutation(len(plan)):
        yield plan[at]


def cuts_of(histories: Histories) -> np.ndarray:
    """(U,) int64: how many items of each history count as the past when a training group is found.

    About two thirds, at least one and all but at least one; a history of one item has no past.
    """
    return np.where(histories.lengths >= 2, np.maximum(histories.lengths * 2 // 3, 1), 0)


def sequential_batches(
    histories: Histories, width: int, size: int, rng: np.random.Generator, reads_group: np.ndarray, dropout: float
) -> Iterator[SequentialBatch]:
    """One epoch of SR over all windows.

    Windows of like length share a batch, which spares most of the padding; batches come in random order. A window reads
    the group with probability 1 - ``dropout`` where it has an item behind the user's cut; every other window has all
    its items as targets.

    Args:
        reads_group: (U,) bool, users whose past has a group.
        dropout: share of windows that read no group although they could.
    """
    users, starts, ends = windows(histories, width, rng)
    firsts = histories.offsets[:-1][users]
    cuts = firsts + cuts_of(histories)[users]
    with_group = reads_group[users] & (ends > cuts) & (rng.random(len(users)) >= dropout)
    widths = np.minimum(-(-(ends - starts) // WIDTH_STEP) * WIDTH_STEP, width)
    for padded_to, chosen in of_like_width(widths, size, rng):
        items, mask = padded([histories.items[starts[i] : ends[i]] for i in chosen], padded_to)
        position = starts[chosen][:, None] + np.arange(padded_to)
        allowed = ~with_group[chosen][:, None] | (position >= cuts[chosen][:, None])
        is_target = mask * allowed.astype(np.float32)
        begins = (starts - firsts)[chosen]
        yield SequentialBatch(users[chosen], items, mask, with_group[chosen], is_target, begins)


def next_item_batches(
    histories: Histories, width: int, size: int, rng: np.random.Generator, reads_group: np.ndarray, dropout: float
) -> Iterator[NextItemBatch]:
    """One epoch of SR with one target an example: of each window one item, drawn anew every epoch.

    A target is read from up to ``width`` items before it, also from before its window; a user's first item is one only
    where there is no other. Arguments as in ``sequential_batches``.
    """
    users, starts, ends = windows(histories, width, rng)
    firsts, lasts = histories.offsets[:-1][users], histories.offsets[1:][users]
    lowest = np.maximum(starts, np.minimum(firsts + 1, lasts - 1))
    # a window that holds a first item alone, with others behind it, gives the one right behind it
    places = rng.integers(lowest, np.maximum(ends, lowest + 1))
    cuts = firsts + cuts_of(histories)[users]
    with_group = reads_group[users] & (places >= cuts) & (rng.random(len(users)) >= dropout)
    begins = np.maximum(firsts, places - width)
    widths = np.clip(-(-(places - begins) // WIDTH_STEP) * WIDTH_STEP, 1, width)
    for padded_to, chosen in of_like_width(widths, size, rng):
        items, mask = padded([histories.items[begins[i] : places[i]] for i in chosen], padded_to)
        target = places[chosen]
        counts = None if histories.weights is None else histories.weights[target]
        yield NextItemBatch(users[chosen], items, mask, histories.items[target], with_group[chosen], counts)


def direct_batches(
    histories: Histories, width: int, size: int, rng: np.random.Generator, reads_group: np.ndarray, dropout: float
) -> Iterator[DirectBatch]:
    """Endless DR: users with at least two items, again and again, each time other items held out.

    With the group, what is held out comes from behind the user's cut and the bag from before it; without, any items.
    Arguments as in ``sequential_batches``.
    """
    eligible = np.flatnonzero(histories.lengths >= 2)
    cuts = cuts_of(histories)
    while len(eligible):
        order = rng.permutation(eligible)
        for begin in range(0, len(order), size):
            users = order[begin : begin + size]
            with_group = reads_group[users] & (rng.random(len(users)) >= dropout)
            bags, target_places = [], np.zeros((len(users), DIRECT_TARGETS), dtype=np.int64)
            weights = np.zeros((len(users), DIRECT_TARGETS), dtype=np.float32)
            for row, user in enumerate(users):
                length = int(histories.lengths[user])
                if with_group[row]:
                    held, bag = rng.permutation(np.arange(cuts[user], length)), rng.permutation(int(cuts[user]))
                else:
                    shuffled = rng.permutation(length)
                    count = int(rng.integers(1, max(2, min(DIRECT_TARGETS, length // 2) + 1)))
                    held, bag = shuffled[:count], shuffled[count:]
                held = held[:DIRECT_TARGETS]
                target_places[row, : len(held)], weights[row, : len(held)] = held, 1 / len(held)
                bags.append(bag)
            places, mask = padded(bags, width)
            offsets = histories.offsets[:-1][users][:, None]
            items = np.where(mask > 0, histories.items[offsets + places], 0)
            targets = np.where(weights > 0, histories.items[offsets + target_places], 0)
            counts = None if histories.weights is None else histories.weights[offsets[:, 0] + target_places[:, 0]]
            yield DirectBatch(users, items, mask, targets, weights, with_group, places, target_places, counts)
