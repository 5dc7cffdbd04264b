"""A writer in training: what it begins from, that it learns both tasks, and that a kill costs nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.model.test_identifiers import PIECES, sentencepiece_bytes
from tests.training.test_iterative import MODEL, N_ITEMS, TEXT, TRAINING, Killed, inputs, weights

from isrf.core.config import ModelSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import table
from isrf.model.token_generator import TokenGenerator
from isrf.model.token_generator_parts import find_backbone, identifiers_of, new_token_generator, pieces_of, wording_of
from isrf.training.batches import Batch, DirectBatch, NextItemBatch
from isrf.training.loop import Trainer
from isrf.training.sequence_loss import sequence_loss

SEMANTICS = np.random.default_rng(0).normal(size=(N_ITEMS, 4)).astype(np.float32)


def settings(kind: str = "digits", **changes: object) -> ModelSettings:
    return MODEL.model_copy(update={"identifiers": kind, "alpha": 1.0, **changes})


def begun(kind: str = "digits", **changes: object) -> TokenGenerator:
    chosen = settings(kind, **changes)
    codes, wording = identifiers_of(chosen, SEMANTICS, None, None, 0), wording_of(chosen, None)
    return new_token_generator(chosen, inputs().item_features, TEXT, codes, None, 0, wording)


def trainer(
    kind: str = "digits", folder: Path | None = None, die_after: int | None = None, **changes: object
) -> Trainer:
    made = {name: changes.pop(name) for name in ("group", "group_dropout", "templates") if name in changes}
    scores = itertools.count(1)

    def validate(generator: object) -> float:
        score = next(scores)
        if die_after is not None and score > die_after:
            raise Killed
        return float(score)

    chosen = TRAINING.model_copy(update={"learning_rate": 1e-2, **changes})
    return Trainer(inputs(), settings(kind, **made), chosen, validate, folder, begun(kind, **made))


def one_batch(made: Trainer, kind: type) -> Batch:
    return next(b for b in made.schedule.batches(np.random.default_rng(0)) if isinstance(b, kind))


@pytest.mark.parametrize("kind", ["digits", "semantic"])
def test_training_learns_both_tasks(kind: str) -> None:
    made = trainer(kind, epochs=20, sr_per_dr=2)
    trained = made.run()
    log = made.progress.log
    assert isinstance(trained, TokenGenerator) and not trained.training
    assert log[-1]["loss_sr"] < 0.8 * log[0]["loss_sr"]
    assert log[-1]["loss_dr"] < log[0]["loss_dr"]
    assert log[-1]["loss_alignment"] < log[0]["loss_alignment"]


def test_batches_have_one_target_and_both_tasks_alternate() -> None:
    made = trainer(sr_per_dr=2)
    kinds = [type(batch) for batch in made.schedule.batches(np.random.default_rng(0))]
    assert set(kinds) == {NextItemBatch, DirectBatch} and kinds[:3] == [NextItemBatch, NextItemBatch, DirectBatch]
    assert len(kinds) <= made.schedule.steps_per_epoch()


@pytest.mark.parametrize("kind", [NextItemBatch, DirectBatch])
def test_the_task_loss_is_that_of_one_target_and_teaches_the_group(kind: type) -> None:
    made = trainer(group_dropout=0.0)
    made.generator.eval()  # no dropout: the same loss twice
    batch = one_batch(made, kind)
    loss, alignment, weight, _ = made.losses(batch)
    assert weight == 1.0 and alignment.item() > 0
    loss.backward()
    gradient = made.generator.group.chosen.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0
    if isinstance(batch, DirectBatch):
        batch.targets[:, 1:] = -1  # not read
        assert made.losses(batch)[0].item() == pytest.approx(loss.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("direction", "in_sr", "in_dr"),
    [("paper", True, False), ("swapped", False, True), ("open", True, True), ("detached", False, False)],
)
def test_alignment_goes_the_same_ways_as_for_atomic_identifiers(direction: str, in_sr: bool, in_dr: bool) -> None:
    """Items of the ring are in histories alone: what moves them comes through the individual side."""
    for kind, reached in ((NextItemBatch, in_sr), (DirectBatch, in_dr)):
        made = trainer(alignment_direction=direction)
        alignment = made.losses(one_batch(made, kind)).alignment
        alignment.backward()
        gradient = made.generator.items.identifier.weight.grad
        assert gradient is not None and (gradient[:8].abs().sum().item() > 0) == reached, kind


def test_targets_tell_tasks_apart() -> None:
    """The same people and items read as a sequence and as a set give different losses."""
    made = trainer()
    writer = made.generator.eval()
    batch = one_batch(made, NextItemBatch)
    assert isinstance(batch, NextItemBatch) and isinstance(writer, TokenGenerator)
    targets = np.repeat(batch.targets[:, None], 4, 1)
    places = np.zeros_like(batch.items)  # a writer does not ask for them
    as_set = DirectBatch(
        batch.users, batch.items, batch.mask, targets, targets * 0.25, batch.with_group, places, places[:, :4]
    )
    items, rows, mask = writer.items(), torch.from_numpy(batch.items), torch.from_numpy(batch.mask)
    token = writer.special.weight[1].expand(len(rows), -1)
    one, other = (sequence_loss(writer, items, rows, mask, token, b).item() for b in (batch, as_set))
    assert one != pytest.approx(other, abs=1e-4)


def test_kill_and_resume_gives_bitwise_the_weights_of_an_unbroken_run(tmp_path: Path) -> None:
    expected = weights(trainer(folder=tmp_path / "a").run())
    with pytest.raises(Killed):
        trainer(folder=tmp_path / "b", die_after=1).run()
    assert weights(trainer(folder=tmp_path / "b").run()) == expected


class TestIdentifiers:
    def test_they_come_from_semantics_or_a_seed(self) -> None:
        for kind, other in (("semantic", SEMANTICS[::-1].copy()), ("digits", SEMANTICS)):
            one, again = (identifiers_of(settings(kind), SEMANTICS, None, None, 3).tokens for _ in range(2))
            seed = 3 if kind == "semantic" else 4
            assert np.array_equal(one, again)
            assert not np.array_equal(one, identifiers_of(settings(kind), other, None, None, seed).tokens)

    def test_given_numbers_are_printed(self) -> None:
        made = identifiers_of(settings(), SEMANTICS, np.arange(1, N_ITEMS + 1), None, 0)
        assert ["".join(map(str, code)) for code in made.tokens.tolist()] == [f"{n:02}" for n in range(1, N_ITEMS + 1)]

    def test_digits_are_cut_into_the_pieces_of_the_checkpoint(self, tmp_path: Path) -> None:
        (tmp_path / "spiece.model").write_bytes(sentencepiece_bytes(PIECES))
        made = identifiers_of(settings(), SEMANTICS, None, tmp_path / "spiece.model", 0)
        assert made.pieces is not None
        (tmp_path / "spiece.model").unlink()
        with pytest.raises(IsrfError, match=r"spiece\.model: no such file"):
            identifiers_of(settings(), SEMANTICS, None, tmp_path / "spiece.model", 0)


class TestPiecesAndTemplates:
    def test_the_checkpoint_brings_its_own_pieces_and_the_setting_stands_in(self, tmp_path: Path) -> None:
        own, other = tmp_path / "spiece.model", tmp_path / "other.model"
        chosen = settings(pieces=str(other))
        assert pieces_of(settings(), None) is None
        assert pieces_of(chosen, None) == other
        assert pieces_of(chosen, tmp_path) == other, "a checkpoint without pieces"
        assert pieces_of(settings(), tmp_path) == own, "where they should lie, for whoever needs them to say so"
        own.write_bytes(sentencepiece_bytes(PIECES))
        assert pieces_of(chosen, tmp_path) == own

    def test_templates_are_off_unless_asked_for(self) -> None:
        assert wording_of(settings(), None) is None and begun().wording is None
        wording = wording_of(settings(templates="paper"), None)
        assert wording is not None and {"history", "catalogue"} <= set(wording.words)

    def test_training_with_templates_moves_their_words(self) -> None:
        made = trainer(templates="paper", sr_per_dr=1)
        writer = made.generator
        assert isinstance(writer, TokenGenerator) and writer.wording is not None
        before = writer.words.weight.detach().clone()
        steps = made.schedule.steps_per_epoch()
        with table("train", steps) as shown:
            made.epoch(steps, shown)
        moved = (writer.words.weight.detach() != before).any(1)
        assert moved.all()


class TestBackbone:
    """The whole suite runs with the hub off."""

    def test_a_folder_is_itself(self, tmp_path: Path) -> None:
        assert find_backbone(str(tmp_path)) == tmp_path

    def test_a_hub_out_of_reach_gives_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        assert find_backbone("google-t5/t5-small") is None

    @pytest.mark.parametrize("name", ["/no/such/folder", "./missing", "a/b/c", "--"])
    def test_what_is_neither_a_folder_nor_a_name_is_refused(self, name: str) -> None:
        with pytest.raises(IsrfError, match="neither a folder nor a model on the hub") as refused:
            find_backbone(name)
        assert "\n" not in str(refused.value)
