"""Whether work grows with the size of what is given or with its square; no bound on how long a machine may take."""

from __future__ import annotations

import time
from collections.abc import Callable

TIMES = 8
"""How much larger the larger of two sizes is: linear work takes so many times as much, quadratic work 64 times."""


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Work on ``size`` takes less than 24 times the processor time of work on an eighth of it, in one of five tries."""
    found = []
    while len(found) < 5 and (not found or found[-1] >= 3 * TIMES):
        small, large = taken(work, size // TIMES), taken(work, size)
        found.append(large / max(small, 1e-4))
    assert found[-1] < 3 * TIMES, f"{TIMES} times the size takes {min(found):.0f} times as much"


def taken(work: Callable[[int], object], size: int) -> float:
    """Processor seconds of this process, which no other on the machine lengthens much."""
    began = time.process_time()
    work(size)
    return time.process_time() - began
