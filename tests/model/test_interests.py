"""Individual and group interests, and the loss that lets them refine each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from isrf.model.interests import (
    GroupInterest,
    ItemEmbeddings,
    alignment_loss,
    individual_interest,
    item_features,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def entropy_of_targets(group: torch.Tensor, individual: torch.Tensor, temperature: float) -> float:
    """The least that a cross-entropy against the loss's soft targets can be."""
    g, h = F.normalize(group, dim=-1), F.normalize(individual, dim=-1)
    targets = ((g @ g.T + h @ h.T) / (2 * temperature)).softmax(-1)
    return float(-(targets * targets.clamp(min=1e-30).log()).sum(-1).mean())


@given(st.integers(2, 12), st.integers(0, 1000), st.sampled_from([0.05, 0.1, 0.5, 1.0]))
def test_alignment_treats_both_sides_alike(size: int, seed: int, temperature: float) -> None:
    g, h = noise(size, 6, seed=seed), noise(size, 6, seed=seed + 1)
    assert alignment_loss(g, h, temperature).item() == pytest.approx(alignment_loss(h, g, temperature).item(), rel=1e-5)


@given(st.integers(2, 12), st.integers(0, 1000))
def test_alignment_reaches_its_floor_exactly_when_the_sides_agree(size: int, seed: int) -> None:
    g, other = noise(size, 6, seed=seed), noise(size, 6, seed=seed + 1)
    # only directions count: lengths are no interest
    assert alignment_loss(g, 3 * g, 0.1).item() == pytest.approx(entropy_of_targets(g, g, 0.1), abs=1e-4)
    assert alignment_loss(g, other, 0.1).item() >= entropy_of_targets(g, other, 0.1) - 1e-5
    assert alignment_loss(g, -g, 0.1).item() > entropy_of_targets(g, -g, 0.1) + 0.1


def test_alignment_is_lower_with_oneself_than_with_somebody_else() -> None:
    people = noise(8, 16)
    losses = [alignment_loss(people, people.roll(shift, 0), 0.1).item() for shift in range(8)]
    assert int(np.argmin(losses)) == 0


def test_people_who_are_alike_are_partly_each_others_match() -> None:
    """Twins in a batch cost nothing beyond the doubt which of them is meant; strangers do."""
    person, other = noise(1, 16), noise(1, 16, seed=1)
    twins, strangers = torch.cat([person, person]), torch.cat([person, other])
    assert alignment_loss(twins, twins, 0.1).item() == pytest.approx(np.log(2), abs=1e-4)
    assert alignment_loss(strangers, strangers.flip(0), 0.1).item() > 1


def test_alignment_teaches_only_the_side_that_is_not_detached() -> None:
    g, h = noise(4, 8).requires_grad_(), noise(4, 8, seed=1).requires_grad_()
    alignment_loss(g, h.detach(), 0.1).backward()
    assert g.grad is not None and g.grad.abs().sum() > 0 and h.grad is None


def test_the_individual_interest_is_the_mean_of_what_is_there() -> None:
    items = noise(5, 3)
    rows = torch.tensor([[1, 2, 0], [4, 0, 0], [0, 0, 0]])
    mask = torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    found = individual_interest(items, rows, mask)
    torch.testing.assert_close(found[0], (items[1] + items[2]) / 2)
    torch.testing.assert_close(found[1], items[4])
    assert not found[2].any()  # a person without an item has no interest, not that of item 0


def test_the_group_interest_reads_choices_by_weight_and_shared_semantics() -> None:
    torch.manual_seed(0)
    group, items = GroupInterest(8, 4).eval(), noise(6, 8)
    rows, semantics = torch.tensor([[1, 2]]), noise(1, 4, seed=1)
    weights = torch.tensor([[0.7, 0.3]])
    whole = group(items, rows, weights, semantics)
    torch.testing.assert_close(whole, group(items, rows.flip(1), weights.flip(1), semantics))
    assert not torch.allclose(whole, group(items, rows, weights.flip(1), semantics))
    assert not torch.allclose(whole, group(items, rows, weights, semantics * -1))
    unread = group(items, torch.tensor([[1, 2, 5]]), torch.tensor([[0.7, 0.3, 0]]), semantics)
    torch.testing.assert_close(whole, unread)


def test_items_are_an_identifier_beside_adapted_semantics() -> None:
    torch.manual_seed(0)
    features = noise(4, 6)
    features[3] = features[2]
    items = ItemEmbeddings(features, 8, 16, dropout=0.5).eval()
    table = items()
    assert table.shape == (4, 8)
    torch.testing.assert_close(table.norm(dim=1), torch.ones(4))
    assert not torch.allclose(table[2], table[3])
    with torch.no_grad():
        items.identifier.weight[3] = items.identifier.weight[2]
    torch.testing.assert_close(items()[2], items()[3])
    assert "features" not in items.state_dict()  # read from the semantics, never from a checkpoint


def test_features_stand_side_by_side_with_unit_variance() -> None:
    semantics = np.eye(4, dtype=np.float32)
    found = item_features(semantics, -semantics)
    assert found.shape == (4, 8) and found.dtype == np.float32
    assert np.array_equal(found[:, :4], -found[:, 4:])
    assert (found[:, :4] ** 2).mean() == pytest.approx(1)


def test_items_that_are_asked_for_are_those_of_the_whole_table() -> None:
    made = ItemEmbeddings(torch.randn(9, 6), 4, 5, dropout=0.0)
    rows = torch.tensor([0, 3, 8])
    some, every = made(rows), made()
    assert torch.allclose(some[rows], every[rows], atol=1e-6) and some.shape == every.shape
    assert not some[[1, 2, 4, 5, 6, 7]].any()
    some.square().sum().backward()
    assert made.identifier.weight.grad is not None
