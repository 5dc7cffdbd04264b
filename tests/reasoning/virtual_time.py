"""An event loop whose clock stands still while there is anything to do, and then moves to the next timer at once.

What is waited for is exact, however busy the machine, and takes no time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class VirtualTime(asyncio.SelectorEventLoop):
    """Timers ring ``late`` seconds after they should, as those of a real machine do."""

    def __init__(self, late: float = 0.0) -> None:
        super().__init__()
        self._now, select = 1000.0, self._selector.select  # type: ignore[attr-defined]

        def at_once(timeout: float | None = None) -> Any:
            ready = select(0)
            if not ready and timeout is None:
                raise AssertionError("all wait, and nothing will ever wake them")
            if not ready and timeout > 0:
                self._now += timeout + late
            return ready

        self._selector.select = at_once  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now

    def monotonic(self) -> float:
        """As the module ``time`` has it: put in the place of a module's ``time``, the module goes by this clock."""
        return self._now


def run_virtually(test: Callable[[], Awaitable[None]], loop: VirtualTime) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(test())  # type: ignore[arg-type]
