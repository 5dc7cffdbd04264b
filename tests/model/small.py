"""A group and padded histories over a dozen items, for the tests of both generators."""

from __future__ import annotations

import torch

from isrf.model.interests import Group

N_ITEMS, TEXT = 12, 5


def group_of(size: int, seed: int = 0, present: bool = True) -> Group:
    g = torch.Generator().manual_seed(seed)
    weights = torch.rand(8, 4, generator=g)
    return Group(
        torch.randint(0, N_ITEMS, (8, 4), generator=g)[:size],
        (weights / weights.sum(1, keepdim=True))[:size],
        torch.nn.functional.normalize(torch.randn(8, TEXT, generator=g), dim=-1)[:size],
        torch.full((size,), present),
    )


def padded(histories: list[list[int]], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows, mask = torch.zeros(len(histories), width, dtype=torch.int64), torch.zeros(len(histories), width)
    for i, history in enumerate(histories):
        rows[i, : len(history)] = torch.tensor(history, dtype=torch.int64)
        mask[i, : len(history)] = 1
    return rows, mask
