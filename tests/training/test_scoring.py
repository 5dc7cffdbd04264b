"""What a batch predicts, and the softmax that its loss is taken over."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.training.test_iterative import MODEL, N_ITEMS, inputs, trainer

from isrf.graphs.evidence import Examples
from isrf.model.atomic_generator import AtomicGenerator, new_atomic_generator
from isrf.training.batches import DirectBatch, SequentialBatch
from isrf.training.item_loss import ScoringLoss, predictions_of, shapes

KINDS = [SequentialBatch, DirectBatch]


def batches_of(kind: type) -> list[SequentialBatch | DirectBatch]:
    made = trainer(sr_per_dr=1)
    return [b for b in made.schedule.batches(np.random.default_rng(3)) if isinstance(b, kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_items_of_a_history_from_others_of_it(kind: type) -> None:
    training = inputs().training
    for batch in batches_of(kind):
        found, rows, _, weights = predictions_of(batch)
        assert weights.sum() == pytest.approx(1, abs=1e-5) and (weights > 0).all()
        for n in range(len(found)):
            history = training.histories[int(found.users[n])]
            read, places = found.read[n][found.mask[n]], found.places[n][found.mask[n]]
            target, at = int(found.targets[n]), int(found.target_places[n])
            assert found.users[n] == batch.users[rows[n]] and history[at] == target
            assert history[places].tolist() == read.tolist()
            assert at not in places
            if found.ordered:
                assert places.tolist() == list(range(at - len(places), at)), "what came right before, oldest first"


def test_every_target_of_a_window_is_predicted_once_and_by_the_state_before_it() -> None:
    for batch in batches_of(SequentialBatch):
        assert isinstance(batch, SequentialBatch)
        found, rows, at, _ = predictions_of(batch)
        assert sorted(zip(rows, at, strict=True)) == sorted(zip(*np.nonzero(batch.is_target), strict=True))
        assert (batch.items[rows, at] == found.targets).all()
        assert (found.mask.sum(1) == at).all(), "state t has read t items"


def test_people_weigh_the_same_in_direct_recommendation() -> None:
    for batch in batches_of(DirectBatch):
        _, rows, at, weights = predictions_of(batch)
        np.testing.assert_allclose(np.bincount(rows, weights), 1 / len(batch.users), rtol=1e-5)
        assert not at.any()


@pytest.mark.parametrize("kind", KINDS)
def test_other_items_of_a_person_are_no_negatives(kind: type) -> None:
    given = inputs()
    loss = ScoringLoss(given.training, 0, given.evidence)
    for batch in batches_of(kind):
        examples, *_ = predictions_of(batch)
        candidates = loss.candidates(examples, np.random.default_rng(0), torch.device("cpu"))
        assert candidates.excluded.shape == candidates.evidence.shape[1:]
        assert all(n % shapes() == 0 for n in candidates.excluded.shape)
        for n in range(len(examples)):
            own = set(given.training.histories[int(examples.users[n])].tolist()) - {int(examples.targets[n])}
            assert set(np.flatnonzero(candidates.excluded[n].numpy()[:N_ITEMS]).tolist()) == own


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_each_prediction_by_itself(kind: type) -> None:
    """With the whole catalogue as candidates: -log softmax over what the person does not have, weighted."""
    given = inputs()
    generator: AtomicGenerator = new_atomic_generator(
        MODEL, given.item_features, given.groups.semantics.shape[1]
    ).eval()
    scoring = ScoringLoss(given.training, 0, given.evidence)
    batch = batches_of(kind)[0]
    examples, rows, at, weights = predictions_of(batch)
    task = "sequential" if kind is SequentialBatch else "direct"
    with torch.no_grad():
        items = generator.items()
        states = torch.randn(len(batch.users), int(at.max()) + 1, MODEL.d_model)
        found = scoring(generator, items, states, scoring.drawn(batch, np.random.default_rng(0), items.device))
        expected = 0.0
        for n in range(len(examples)):
            alone = Examples(*(v[n : n + 1] for v in list(vars(examples).values())[:-1]), examples.ordered)
            told = np.zeros((3, 1, N_ITEMS), dtype=np.float32)
            assert given.evidence is not None
            given.evidence.fill(told, alone, np.arange(N_ITEMS))
            logits = generator.logits(items, states[rows[n], at[n]][None], torch.from_numpy(told), task)[0]  # type: ignore[arg-type]
            own = given.training.histories[int(examples.users[n])]
            logits[own[own != examples.targets[n]]] = -torch.inf
            expected -= weights[n] * logits.log_softmax(-1)[examples.targets[n]].item()
    assert found.item() == pytest.approx(expected, rel=1e-4)
