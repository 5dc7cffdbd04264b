"""One thread for a question about a person or two: threads that wait for each other cost more than they save.

The layers of one call are so small that a second thread gains next to nothing, and where another program holds the
second core, every one of dozens of layers waits for it (``bench/latency.py``: 30 times as long on two cores). Knows
nothing about what is computed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

FEW = 4
"""Up to so many people are answered on one thread; a block of people is worth all of them."""


@contextmanager
def threads_for(people: int) -> Iterator[None]:
    """Work on one thread inside the block if there are at most FEW people, on as many as before if there are more.

    Afterwards the numbers of threads are what they were before, whoever else asked at the same time. A BLAS that counts
    its threads for the whole process is limited while the first of several overlapping calls runs.
    """
    if people > FEW:
        yield
        return
    torch = sys.modules.get("torch")  # is not loaded for a question that needs no network
    if torch is not None:
        torch.get_num_threads()  # torch sets a new thread's number when it first looks at it, which would undo the limit
    with _pools(torch is not None).limit(limits=1):
        yield


@cache
def _pools(with_torch: bool) -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; finding them takes milliseconds. torch may come later."""
    return ThreadpoolController()
