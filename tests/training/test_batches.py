"""What one epoch shows the generator: every training interaction once in order, and sets with some items held out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.data.histories import Histories
from isrf.model.inference import padded
from isrf.training.batches import (
    DIRECT_TARGETS,
    WIDTH_STEP,
    DirectBatch,
    NextItemBatch,
    SequentialBatch,
    cuts_of,
    direct_batches,
    next_item_batches,
    sequential_batches,
    windows,
)


def logs() -> st.SearchStrategy[Histories]:
    """Histories of unique items, empty and long ones among them; every item number tells user and place."""
    lengths = st.lists(st.integers(0, 45), min_size=1, max_size=8)
    return lengths.map(lambda ns: Histories.of([range(100 * u, 100 * u + n) for u, n in enumerate(ns)]))


def some_log() -> Histories:
    return Histories.of([range(100 * u, 100 * u + n) for u, n in enumerate([1, 0, 2, 5, 3, 47, 12, 20, 21])])


def everybody(histories: Histories) -> np.ndarray:
    return np.ones(len(histories), dtype=bool)


def epoch(
    histories: Histories, seed: int, size: int = 4, width: int = 20, dropout: float = 0.5
) -> list[SequentialBatch]:
    """One epoch of SR in which everybody has a group."""
    rng = np.random.default_rng(seed)
    return list(sequential_batches(histories, width, size, rng, everybody(histories), dropout))


def sets(
    histories: Histories, seed: int, n: int, size: int = 3, width: int = 20, dropout: float = 0.5
) -> list[DirectBatch]:
    """The first n batches of DR in which everybody has a group."""
    rng = np.random.default_rng(seed)
    return list(itertools.islice(direct_batches(histories, width, size, rng, everybody(histories), dropout), n))


@given(logs(), st.integers(1, 25), st.integers(1, 5), st.integers(0, 100))
def test_every_interaction_is_read_once_an_epoch_and_a_target_where_no_group_tells_of_it(
    histories: Histories, width: int, size: int, seed: int
) -> None:
    seen: list[int] = []
    cuts = cuts_of(histories)
    for batch in epoch(histories, seed, size, width):
        assert len(batch.users) <= size and batch.items.shape[1] <= width
        assert batch.items.shape == batch.mask.shape
        seen += batch.items[batch.mask == 1].tolist()
        assert (np.diff(batch.mask, axis=1) <= 0).all(), "padding stands on the right"
        for at, user in enumerate(batch.users):
            piece, wanted = batch.items[at][batch.mask[at] == 1], batch.items[at][batch.is_target[at] == 1]
            assert (piece // 100 == user).all() and (np.diff(piece) == 1).all(), "a piece of one person's history"
            # a group was found from the items before the cut: with it, only later ones are asked for
            expected = piece[piece % 100 >= cuts[user]] if batch.with_group[at] else piece
            assert len(expected) and np.array_equal(wanted, expected)
    assert sorted(seen) == sorted(histories.items.tolist())


@given(logs(), st.integers(1, 25), st.integers(1, 5), st.integers(0, 100))
def test_one_target_an_example_and_the_items_right_before_it(
    histories: Histories, width: int, size: int, seed: int
) -> None:
    rng, cuts = np.random.default_rng(seed), cuts_of(histories)
    users: list[int] = []
    for batch in next_item_batches(histories, width, size, rng, everybody(histories), 0.5):
        assert isinstance(batch, NextItemBatch) and len(batch.users) <= size and batch.items.shape[1] <= width
        assert batch.items.shape == batch.mask.shape
        for at, user in enumerate(batch.users):
            history, target = histories[int(user)], int(batch.targets[at])
            place = target - 100 * int(user)
            read = batch.items[at][batch.mask[at] == 1]
            assert np.array_equal(read, history[max(0, place - width) : place])
            assert len(read) or len(history) == 1, "a target without a history only where there is no other"
            assert not batch.with_group[at] or place >= cuts[user], "the group was found from the items before the cut"
        users += batch.users.tolist()
    assert set(users) == set(np.flatnonzero(histories.lengths)), "everybody is an example in every epoch"


def test_over_the_epochs_every_item_but_the_first_is_a_target() -> None:
    histories = some_log()
    found: set[int] = set()
    for seed in range(200):
        for batch in next_item_batches(histories, 20, 4, np.random.default_rng(seed), everybody(histories), 0.5):
            found |= set(batch.targets.tolist())
    firsts = {int(history[0]) for history in histories if len(history) > 1}
    assert found == set(histories.items.tolist()) - firsts


@given(logs(), st.integers(0, 100))
def test_without_groups_every_interaction_is_exactly_one_target(histories: Histories, seed: int) -> None:
    nobody = np.zeros(len(histories), dtype=bool)
    batches = list(sequential_batches(histories, 20, 4, np.random.default_rng(seed), nobody, 0.0))
    targets = [item for batch in batches for item in batch.items[batch.is_target == 1].tolist()]
    assert sorted(targets) == sorted(histories.items.tolist())
    assert not any(batch.with_group.any() for batch in batches)


def test_dropout_hides_the_group_from_about_its_share_of_windows() -> None:
    histories = Histories.of([range(6)] * 600)
    shares = [np.concatenate([b.with_group for b in epoch(histories, 0, 50, dropout=d)]).mean() for d in (0.0, 0.3)]
    assert shares[0] == 1 and shares[1] == pytest.approx(0.7, abs=0.06)


def test_a_past_is_about_two_thirds_and_never_all() -> None:
    lengths = Histories.of([range(n) for n in range(8)])
    assert cuts_of(lengths).tolist() == [0, 0, 1, 2, 2, 3, 4, 4]


@given(logs(), st.integers(1, 25), st.integers(0, 100))
def test_windows_cover_each_history_without_overlap(histories: Histories, width: int, seed: int) -> None:
    users, starts, ends = windows(histories, width, np.random.default_rng(seed))
    assert (ends - starts <= width).all() and (ends > starts).all()
    covered = [place for start, end in zip(starts, ends, strict=True) for place in range(start, end)]
    assert covered == list(range(len(histories.items)))
    assert (histories.rows()[starts] == users).all() and (histories.rows()[ends - 1] == users).all()


def test_a_short_history_is_one_window_and_a_long_one_is_cut_elsewhere_each_epoch() -> None:
    histories = Histories.of([range(20), range(50)])
    cuts = {tuple(windows(histories, 20, np.random.default_rng(seed))[1].tolist()) for seed in range(10)}
    assert all(cut[0] == 0 and cut[1] == 20 for cut in cuts)
    assert len(cuts) > 5


def test_windows_of_like_length_share_a_batch() -> None:
    for batch in epoch(some_log(), 0):
        assert batch.items.shape[1] % WIDTH_STEP == 0
        assert batch.items.shape[1] - batch.mask.sum(1).min() < WIDTH_STEP


def same(one: SequentialBatch | DirectBatch, other: SequentialBatch | DirectBatch) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_the_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    one, again, other = (epoch(some_log(), seed) for seed in (5, 5, 6))
    assert all(itertools.starmap(same, zip(one, again, strict=True)))
    assert not all(same(a, b) for a, b in zip(one, other, strict=False))
    first, second = (sets(some_log(), 5, 9) for _ in range(2))
    assert all(itertools.starmap(same, zip(first, second, strict=True)))


@given(logs(), st.integers(1, 25), st.integers(0, 100))
def test_direct_targets_are_held_out_of_the_bag(histories: Histories, width: int, seed: int) -> None:
    cuts = cuts_of(histories)
    for batch in sets(histories, seed, 6, width=width):
        assert batch.bags.shape == batch.mask.shape == (len(batch.users), width)
        assert batch.targets.shape == batch.target_weights.shape == (len(batch.users), DIRECT_TARGETS)
        assert batch.target_weights.sum(1) == pytest.approx(np.ones(len(batch.users)))
        for at, user in enumerate(batch.users):
            wanted = set(batch.targets[at][batch.target_weights[at] > 0].tolist())
            bag = set(batch.bags[at][batch.mask[at] == 1].tolist())
            assert wanted and bag and not wanted & bag
            assert wanted | bag <= set(histories[int(user)].tolist())
            if batch.with_group[at]:
                assert max(item % 100 for item in bag) < cuts[user] <= min(item % 100 for item in wanted)


def test_direct_batches_pass_everybody_with_two_items_before_anybody_again() -> None:
    users = np.concatenate([b.users for b in sets(some_log(), 0, 3)])
    assert sorted(users.tolist()) == [2, 3, 4, 5, 6, 7, 8]


def test_a_bag_has_no_order() -> None:
    histories = Histories.of([range(12)] * 60)
    batch = sets(histories, 0, 1, size=60)[0]
    rising = sum(bool((np.diff(bag[mask == 1]) > 0).all()) for bag, mask in zip(batch.bags, batch.mask, strict=True))
    assert rising == 0
    assert len({tuple(sorted(t[w > 0])) for t, w in zip(batch.targets, batch.target_weights, strict=True)}) > 20


def test_without_anybody_to_hold_out_from_there_is_no_direct_batch() -> None:
    assert sets(Histories.of([[1], []]), 0, 5) == []


def test_padding_keeps_the_newest_items() -> None:
    items, mask = padded([np.array([1, 2, 3]), np.array([], dtype=np.int64), np.array([4])], 2)
    assert items.tolist() == [[2, 3], [0, 0], [4, 0]]
    assert mask.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert items.dtype == np.int64 and mask.dtype == np.float32
