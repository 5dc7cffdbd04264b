"""What the generator may and may not read, seen from its hidden states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.model.small import N_ITEMS, TEXT, group_of, padded

from isrf.core.config import ModelSettings
from isrf.data.queries import TASKS, Task
from isrf.graphs.evidence import EVIDENCE
from isrf.model.atomic_generator import GATES_AT_FIRST, AtomicGenerator, Candidates, new_atomic_generator

WIDTH = 6
SETTINGS = ModelSettings(d_model=16, heads=2, adapter_width=16, history=WIDTH, decoder_layers=2)
FEATURES = np.random.default_rng(0).normal(size=(N_ITEMS, 8)).astype(np.float32)
SAME = 1e-5
"""Float32 noise between two shapes of one computation."""


@pytest.fixture(scope="module")
def generator() -> AtomicGenerator:
    made = new_atomic_generator(SETTINGS, FEATURES, TEXT, seed=1).eval()
    with torch.no_grad():  # as after training: no part is still at its neutral start
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return made


def silence(people: int) -> torch.Tensor:
    """(K, people, I): the graphs say nothing."""
    return torch.zeros(len(EVIDENCE), people, N_ITEMS)


def states(generator: AtomicGenerator, histories: list[list[int]], width: int = WIDTH, seed: int = 0) -> torch.Tensor:
    with torch.no_grad():
        items = generator.items()
        token, _ = generator.group_token(items, group_of(len(histories), seed))
        return generator.sequential(items, *padded(histories, width), token)


def state_of_set(generator: AtomicGenerator, bags: list[list[int]], width: int = WIDTH, seed: int = 0) -> torch.Tensor:
    with torch.no_grad():
        items = generator.items()
        token, _ = generator.group_token(items, group_of(len(bags), seed))
        return generator.direct(items, *padded(bags, width), token)


def test_one_state_before_each_item_and_one_after_the_last(generator: AtomicGenerator) -> None:
    assert states(generator, [[1, 2, 3], [4]]).shape == (2, WIDTH + 1, 16)


@pytest.mark.parametrize("changed", range(WIDTH))
def test_a_state_has_read_the_items_before_it_and_no_other(generator: AtomicGenerator, changed: int) -> None:
    history = [1, 5, 3, 8, 2, 9]
    other = list(history)
    other[changed] = 11
    difference = (states(generator, [history]) - states(generator, [other])).abs().amax(-1)[0]
    assert (difference[: changed + 1] < SAME).all(), "a state has seen the item it is to predict"
    assert (difference[changed + 1 :] > 1e-3).all(), "a later state has not read the item"


def test_padding_is_not_read(generator: AtomicGenerator) -> None:
    history = [1, 5, 3]
    short, long = states(generator, [history], 3), states(generator, [history], WIDTH)
    torch.testing.assert_close(short, long[:, :4], atol=SAME, rtol=0)
    beside = states(generator, [history, [9, 8, 7, 6, 5, 4]])
    torch.testing.assert_close(beside[0, :4], long[0, :4], atol=SAME, rtol=0)
    alone, padded_set = state_of_set(generator, [history], 3), state_of_set(generator, [history], WIDTH)
    torch.testing.assert_close(alone, padded_set, atol=SAME, rtol=0)


def test_order_is_read_in_sequential_recommendation(generator: AtomicGenerator) -> None:
    forwards, backwards = states(generator, [[1, 5, 3]]), states(generator, [[3, 5, 1]])
    assert (forwards[:, 3] - backwards[:, 3]).abs().max() > 1e-2


def test_the_order_of_a_set_moves_direct_recommendation_little(generator: AtomicGenerator) -> None:
    """The encoder's relative positions see an order that says nothing; it must stay small beside another set.

    Ranking sorts every set by item row first, so an answer never depends on it.
    """
    one = state_of_set(generator, [[1, 5, 3, 8, 2]])
    orders = [[3, 1, 8, 5, 2], [2, 8, 3, 5, 1], [5, 8, 1, 2, 3]]
    moved = max(float((state_of_set(generator, [order]) - one).norm()) for order in orders)
    other = float((state_of_set(generator, [[0, 4, 6, 7, 9]]) - one).norm())
    assert 0 < moved < 0.35 * other


def test_a_person_without_items_gets_finite_states(generator: AtomicGenerator) -> None:
    assert torch.isfinite(states(generator, [[]])).all()
    assert torch.isfinite(state_of_set(generator, [[]])).all()


def test_the_group_reaches_both_tasks(generator: AtomicGenerator) -> None:
    for ask in (states, state_of_set):
        one, other = ask(generator, [[1, 5, 3]], seed=0), ask(generator, [[1, 5, 3]], seed=7)
        assert (one - other).abs().max() > 1e-3


def test_an_absent_group_is_one_token_whatever_its_profile_says(generator: AtomicGenerator) -> None:
    with torch.no_grad():
        items = generator.items()
        absent, _ = generator.group_token(items, group_of(2, seed=0, present=False))
        again, _ = generator.group_token(items, group_of(2, seed=5, present=False))
        present, interest = generator.group_token(items, group_of(2, seed=0))
    assert torch.equal(absent, again) and torch.equal(absent[0], absent[1])
    assert torch.equal(present, interest) and not torch.allclose(present, absent)


def test_logits_are_likeness_to_every_item_and_a_bias(generator: AtomicGenerator) -> None:
    with torch.no_grad():
        items, hidden = generator.items(), torch.randn(2, 16, generator=torch.Generator().manual_seed(3))
        logits = generator.logits(items, hidden, silence(2), "direct")
    assert logits.shape == (2, N_ITEMS) and logits.dtype == torch.float32
    torch.testing.assert_close(logits[1, 4], hidden[1] @ items[4] + generator.bias[4])


@pytest.mark.parametrize("task", TASKS)
def test_evidence_for_an_item_raises_its_score_and_no_other(task: Task) -> None:
    generator = new_atomic_generator(SETTINGS, FEATURES, TEXT).eval()
    hidden = torch.randn(2, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        plain = generator.logits(generator.items(), hidden, silence(2), task)
        for kind, name in enumerate(generator.evidence):
            told = silence(2)
            told[kind, 1, 4] = 0.5
            moved = generator.logits(generator.items(), hidden, told, task) - plain
            assert moved[1, 4] == pytest.approx(0.5 * GATES_AT_FIRST[name], rel=1e-3)
            assert moved.count_nonzero() == 1


def test_gates_are_learned_for_each_task_and_depend_on_the_state() -> None:
    generator = new_atomic_generator(SETTINGS, FEATURES, TEXT).eval()
    hidden = torch.randn(5, 16, generator=torch.Generator().manual_seed(3))
    told, gates = torch.rand(3, 5, N_ITEMS), generator.gate
    generator.logits(generator.items(), hidden, told, "direct")[:, 2].sum().backward()
    kinds = len(generator.evidence)
    assert gates.bias.grad is not None and gates.weight.grad is not None
    assert not gates.bias.grad[:kinds].any() and (gates.bias.grad[kinds:] != 0).all()
    with torch.no_grad():
        gates.weight += torch.randn_like(gates.weight)
        found = generator.gates(hidden, "sequential")
    assert found.shape == (5, kinds) and (found > 0).all() and (found.std(0) > 0.01).all()


def test_what_a_generator_reads_of_the_graphs_is_a_setting() -> None:
    def read(**changes: object) -> tuple[str, ...]:
        return new_atomic_generator(SETTINGS.model_copy(update=changes), FEATURES, TEXT).evidence

    assert read() == EVIDENCE
    assert read(group="aligned") == read(group="none") == EVIDENCE[:2]
    assert read(graph_evidence=False) == ()
    deaf = new_atomic_generator(SETTINGS.model_copy(update={"graph_evidence": False}), FEATURES, TEXT)
    assert not any("gate" in name for name, _ in deaf.named_parameters())
    with pytest.raises(ValueError, match="3 kinds of evidence for a generator that reads 0"):
        deaf.logits(deaf.items(), torch.zeros(1, 16), silence(1), "direct")


def test_weights_survive_a_file(generator: AtomicGenerator, tmp_path: Path) -> None:
    save_file({k: v.clone() for k, v in generator.state_dict().items()}, tmp_path / "weights.safetensors")
    other = new_atomic_generator(SETTINGS, FEATURES, TEXT, seed=9).eval()
    assert not torch.equal(states(other, [[1, 2, 3]]), states(generator, [[1, 2, 3]]))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(states(other, [[1, 2, 3]]), states(generator, [[1, 2, 3]]))


def test_the_seed_alone_decides_the_first_weights_and_nothing_else_is_seeded() -> None:
    torch.manual_seed(123)
    one = new_atomic_generator(SETTINGS, FEATURES, TEXT, seed=4)
    after = torch.rand(1)
    torch.manual_seed(321)
    two = new_atomic_generator(SETTINGS, FEATURES, TEXT, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    torch.manual_seed(123)
    assert torch.equal(after, torch.rand(1))


# scores and the loss over a part of the catalogue


def loss_over(
    generator: AtomicGenerator,
    hidden: torch.Tensor,
    chosen: list[int],
    corrections: list[float],
    excluded: torch.Tensor | None = None,
) -> torch.Tensor:
    """Loss of three targets, the last of weight zero, over candidates."""
    targets, weights = torch.tensor([1, 4, 7]), torch.tensor([1.0, 0.5, 0.0])
    told = silence(3)[:, :, : len(chosen)]
    own = torch.zeros(3, len(chosen), dtype=torch.bool) if excluded is None else excluded
    candidates = Candidates(torch.tensor(chosen), torch.tensor(corrections), told, own)
    with torch.no_grad():
        return generator.loss(generator.items(), hidden, targets, weights, candidates, "sequential")


def test_the_loss_is_weighted_cross_entropy_over_the_candidates(generator: AtomicGenerator) -> None:
    hidden = torch.randn(3, 16, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        logits = generator.logits(generator.items(), hidden, silence(3), "sequential")

    def expected(rows: list[int]) -> torch.Tensor:
        each = -logits[:, rows].log_softmax(-1)
        return each[0, rows.index(1)] + 0.5 * each[1, rows.index(4)]

    def close(a: torch.Tensor, b: torch.Tensor) -> bool:
        return torch.allclose(a, b, atol=1e-5)

    everything, some = list(range(N_ITEMS)), [1, 3, 4, 9]
    assert close(loss_over(generator, hidden, everything, [0.0] * N_ITEMS), expected(everything))
    assert close(loss_over(generator, hidden, some, [0.0] * 4), expected(some))
    filled_up = loss_over(generator, hidden, [*some, 9], [0.0] * 4 + [1e4])
    assert close(filled_up, expected(some)), "what fills up the shape does not count"
    own = torch.tensor([[False, True, False, True]] * 3)
    assert close(loss_over(generator, hidden, some, [0.0] * 4, own), expected([1, 4])), (
        "what is excluded does not count"
    )
    logits[:, 3] -= 2
    assert close(loss_over(generator, hidden, some, [0.0, 2.0, 0.0, 0.0]), expected(some)), "a correction is taken off"


def test_scores_are_cosines_over_the_temperature(generator: AtomicGenerator) -> None:
    items = generator.items()
    assert torch.allclose(items.norm(dim=-1), torch.ones(N_ITEMS), atol=1e-5)
    found = states(generator, [[1, 2, 3], [4]])
    norm = 1 / generator.settings.temperature
    assert torch.allclose(found.norm(dim=-1), torch.full(found.shape[:2], norm), rtol=1e-4)
