"""Asynchronous work from code that is not: in a script, and in a notebook, where an event loop runs already."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar, cast

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, also where a loop already runs (a notebook); Ctrl-C cancels the work and is passed on."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> T:
        running.append((asyncio.get_running_loop(), cast(asyncio.Task[Any], asyncio.current_task())))
        return await work

    with ThreadPoolExecutor(1) as beside:  # a loop of its own; leaving the block waits for its orderly end
        done = beside.submit(asyncio.run, main())
        try:
            # looked at now and then: polars has Ctrl-C resume a wait without an end
            while not wait([done], timeout=0.2).done:
                pass
        except BaseException:
            for loop, main_task in running:
                loop.call_soon_threadsafe(main_task.cancel)
            raise
        return done.result()
