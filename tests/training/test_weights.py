"""Training targets count as much as their interactions do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training import test_writing
from tests.training.test_iterative import inputs
from tests.training.test_scoring import KINDS, batches_of

from isrf.data.histories import Histories
from isrf.model.token_generator import TokenGenerator
from isrf.training.batches import NextItemBatch, direct_batches, next_item_batches
from isrf.training.item_loss import ScoringLoss, predictions_of
from isrf.training.sequence_loss import sequence_loss


def weighed(histories: Histories) -> Histories:
    rng = np.random.default_rng(0)
    return replace(histories, weights=rng.choice([0.1, 0.5, 1.0, 3.0], len(histories.items)).astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_targets_of_a_scoring_loss_count_as_their_interactions(kind: type) -> None:
    training = inputs().training
    heavy = replace(training, histories=weighed(training.histories))
    plain, loss = (ScoringLoss(data, 0, None) for data in (training, heavy))
    assert heavy.histories.weights is not None
    for batch in batches_of(kind):
        found, _, _, before = predictions_of(batch)
        drawn = loss.drawn(batch, np.random.default_rng(0), torch.device("cpu"))
        at = heavy.histories.offsets[:-1][found.users] + found.target_places
        wanted = before * heavy.histories.weights[at]
        np.testing.assert_allclose(drawn.weights, wanted / wanted.sum(), rtol=1e-5)
        alike = plain.drawn(batch, np.random.default_rng(0), torch.device("cpu"))
        assert np.array_equal(alike.weights, before)


@pytest.mark.parametrize("make", [next_item_batches, direct_batches])
def test_batches_of_one_target_know_what_it_counts(make) -> None:  # type: ignore[no-untyped-def]
    histories = weighed(inputs().training.histories)
    nobody = np.zeros(len(histories), dtype=bool)
    for batch, _ in zip(make(histories, 8, 16, np.random.default_rng(0), nobody, 0.0), range(3), strict=False):
        first = batch.targets if isinstance(batch, NextItemBatch) else batch.targets[:, 0]
        for user, target, count in zip(batch.users, first, batch.counts, strict=True):
            own = slice(histories.offsets[user], histories.offsets[user + 1])
            assert histories.weights is not None
            assert count in histories.weights[own][histories.items[own] == target]


def test_a_writer_loses_as_much_as_its_targets_count() -> None:
    """Counts of one change nothing; a target that counts nothing might as well not be there."""
    made = test_writing.trainer()
    writer, batch = made.generator.eval(), test_writing.one_batch(made, NextItemBatch)
    assert isinstance(batch, NextItemBatch) and isinstance(writer, TokenGenerator) and batch.counts is None
    items, half = writer.items(), len(batch.users) // 2

    def loss(chosen: NextItemBatch) -> float:
        rows, mask = torch.from_numpy(chosen.items), torch.from_numpy(chosen.mask)
        token = writer.special.weight[1].expand(len(rows), -1)
        return float(sequence_loss(writer, items, rows, mask, token, chosen).item())

    ones = np.ones(len(batch.users), dtype=np.float32)
    assert loss(replace(batch, counts=ones)) == pytest.approx(loss(batch), rel=1e-5)
    silent = np.where(np.arange(len(ones)) < half, ones, 0).astype(np.float32)
    kept = NextItemBatch(*(getattr(batch, name)[:half] for name in ("users", "items", "mask", "targets", "with_group")))
    assert loss(replace(batch, counts=silent)) == pytest.approx(loss(kept), rel=1e-4)
