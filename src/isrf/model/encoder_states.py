"""States of a T5 encoder, as its decoder reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class EncoderStates:
    """What the decoder reads of B people.

    Attributes:
        states: (B, S, d) encoder states.
        mask: (B, S) float32, 1 where there is a token.
    """

    states: torch.Tensor
    mask: torch.Tensor

    def take(self, rows: torch.Tensor) -> EncoderStates:
        """The people at the given rows."""
        return EncoderStates(self.states[rows], self.mask[rows])
