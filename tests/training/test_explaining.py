"""Explanations as the third task: what batches hold, what they leave alone, and what is learned from them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.training.test_iterative import MODEL, TRAINING, inputs, never_better, weights

from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.model.vocabulary import END
from isrf.training import explainer_finetune
from isrf.training.batches import DirectBatch, SequentialBatch, cuts_of
from isrf.training.explainer_finetune import finish
from isrf.training.explanation_loss import MOST_SENTENCES, ExplanationBatch, explanation_batches, explanations_of
from isrf.training.inputs import TrainingInputs
from isrf.training.loop import Trainer

WORDS = ("soap", "lamp", "tea", "pen", "chair", "map", "kite", "drum")


def told(made: TrainingInputs) -> pl.DataFrame:
    """A sentence for every training interaction, told by the item."""
    histories = made.training.histories
    sentences = [f"good {WORDS[item % 8]}" + " for everyday use at home" * (item % 2) for item in histories.items]
    return pl.DataFrame(
        {Columns.USER_ROW: histories.rows(), Columns.ITEM_ROW: histories.items, Columns.EXPLANATION: sentences}
    )


def taught_inputs(length: int = 16) -> TrainingInputs:
    made = inputs()
    return replace(made, explanations=explanations_of(made.training, told(made), length, None))


def trainer(folder: Path | None = None, **changes: object) -> Trainer:
    return Trainer(taught_inputs(), MODEL, TRAINING.model_copy(update=changes), never_better(), folder)


def one_pass(made: TrainingInputs, dropout: float = 0.5) -> list[ExplanationBatch]:
    assert made.explanations is not None
    batches = explanation_batches(
        made.explanations, made.training.histories, 8, 16, np.random.default_rng(0), made.groups.present, dropout
    )
    found, left = [], len(made.explanations.users)
    while left > 0:
        found.append(next(batches))
        left -= len(found[-1].users)
    assert left == 0, "a pass ends with a batch"
    return found


def test_a_pass_holds_every_explanation_once_beside_the_persons_other_items() -> None:
    made = taught_inputs()
    histories, explanations = made.training.histories, made.explanations
    assert explanations is not None
    seen = []
    for batch in one_pass(made):
        for row, user in enumerate(batch.users):
            item, bag = int(batch.explained[row]), batch.bags[row][batch.mask[row] > 0].tolist()
            assert item not in bag, "the sentence would be read off the person"
            if batch.with_group[row]:
                cut = int(cuts_of(histories)[user])
                assert bag == histories[user][:cut].tolist() and histories[user].tolist().index(item) >= cut
            else:
                assert sorted([*bag, item]) == sorted(histories[user].tolist())
            assert explanations.vocabulary.text(batch.sentences[row]).startswith(f"good {WORDS[item % 8]}")
            seen.append((int(user), item))
    assert sorted(seen) == sorted(zip(histories.rows().tolist(), histories.items.tolist(), strict=True))


def test_the_group_is_read_by_a_share_and_by_nobody_where_it_is_dropped() -> None:
    made = taught_inputs()
    share = [np.concatenate([b.with_group for b in one_pass(made, dropout)]).mean() for dropout in (0.0, 0.999)]
    assert share[0] > 0.2 and share[1] < 0.05


def test_a_pair_that_is_no_training_interaction_is_refused() -> None:
    made = inputs()
    other = pl.when(pl.int_range(pl.len()) == 5).then(15).otherwise(Columns.ITEM_ROW)
    table = told(made).with_columns(other.alias(Columns.ITEM_ROW))
    with pytest.raises(IsrfError, match=r"user 'u\d+' is of item 'i15', which is not a training interaction"):
        explanations_of(made.training, table, 16, None)


def test_the_other_tasks_see_the_batches_that_they_see_without_explanations() -> None:
    with_them, without = trainer(sr_per_explanation=2), Trainer(inputs(), MODEL, TRAINING, never_better())
    mixed = list(with_them.schedule.all_batches(3))
    others = [b for b in mixed if not isinstance(b, ExplanationBatch)]
    plain = list(without.schedule.all_batches(3))
    assert [type(b) for b in others] == [type(b) for b in plain]
    for one, other in zip(others, plain, strict=True):
        assert all(np.array_equal(value, vars(other)[name]) for name, value in vars(one).items())
    sequential = sum(isinstance(b, SequentialBatch) for b in mixed)
    assert sum(isinstance(b, ExplanationBatch) for b in mixed) == sequential // 2
    assert len(mixed) <= with_them.schedule.steps_per_epoch()


def test_batches_are_small_however_large_those_of_the_others_are() -> None:
    made = taught_inputs()
    assert made.explanations is not None
    many = explanation_batches(
        made.explanations, made.training.histories, 8, 10_000, np.random.default_rng(0), made.groups.present, 0.5
    )
    assert all(len(batch.users) <= MOST_SENTENCES for batch in itertools.islice(many, 10))


def test_the_task_is_learned_and_logged() -> None:
    made = trainer(epochs=6, sr_per_explanation=1)
    made.run()
    losses = [entry["loss_explanation"] for entry in made.progress.log]
    assert losses[-1] < 0.8 * losses[0]
    assert all(entry["gradient_norm_explanation"] > 0 for entry in made.progress.log)
    assert "loss_explanation" not in Trainer(inputs(), MODEL, TRAINING, never_better()).progress.log


@pytest.mark.parametrize(
    ("direction", "reached"), [("paper", False), ("swapped", True), ("open", True), ("detached", False)]
)
def test_alignment_treats_explanations_as_direct_recommendation(direction: str, reached: bool) -> None:
    """Items of the ring are in histories alone: what moves them comes through the individual side."""
    made = trainer(alignment_direction=direction, sr_per_explanation=1)
    batch = next(b for b in made.schedule.all_batches(0) if isinstance(b, ExplanationBatch))
    alignment = made.losses(batch).alignment
    alignment.backward()
    gradient = made.generator.items.identifier.weight.grad
    assert gradient is not None and (gradient[:8].abs().sum().item() > 0) == reached
    assert gradient[8:].abs().sum() > 0, "the group side learns"


def test_kill_and_resume_gives_the_weights_of_an_unbroken_run(tmp_path: Path) -> None:
    expected = weights(trainer(tmp_path / "a").run())
    killed = trainer(tmp_path / "b")
    scores = iter([0.01, 0.02])
    killed.validate = lambda generator: next(scores)
    with pytest.raises(StopIteration):
        killed.run()
    resumed = trainer(tmp_path / "b")
    resumed.validate = lambda generator: 0.03
    assert weights(resumed.run()) == expected


def test_the_last_passes_move_the_explainer_alone_and_do_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explainer_finetune, "FEWEST_STEPS", 40)
    made = trainer(sr_per_explanation=5)
    generator = made.run()
    before = weights(generator)
    finish(generator, made.inputs, made.settings)
    after = weights(generator)
    changed = {name for name in before if before[name] != after[name]}
    assert changed and changed <= {name for name in before if name.startswith("explainer.")}
    assert not generator.training and all(p.requires_grad for p in generator.parameters())

    again = trainer(sr_per_explanation=5)
    same = again.run()
    finish(same, again.inputs, again.settings)
    assert weights(same) == after

    batch = one_pass(made.inputs)[0]
    losses = {}
    for name, model in (("after", generator), ("before", again.run())):
        made.generator = model.eval()
        losses[name] = made.losses(batch)[0].item()
    assert losses["after"] < losses["before"]


def test_nothing_is_finished_without_an_explainer_or_passes() -> None:
    plain = Trainer(inputs(), MODEL, TRAINING, never_better())
    generator = plain.run()
    before = weights(generator)
    finish(generator, plain.inputs, plain.settings)
    assert weights(generator) == before and generator.explainer is None
    made = trainer(explanation_epochs=0)
    taught = made.run()
    before = weights(taught)
    finish(taught, made.inputs, made.settings)
    assert weights(taught) == before


def test_cut_sentences_have_no_end_to_learn() -> None:
    batches = one_pass(taught_inputs(length=3))
    assert all(batch.sentences.shape[1] <= 3 for batch in batches)
    long = [s for batch in batches for s in batch.sentences if END not in s]
    assert long and any(isinstance(b, DirectBatch) for b in trainer().schedule.all_batches(0))
