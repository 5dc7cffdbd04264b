"""How much memory this process may use, and how much of a file is read. Knows nothing about files.

Reading is bounded by what a file holds when it is decompressed, as little bytes can hold much: one limit for every file of
a source, ``data.max_gigabytes``, which ``reading_at_most`` sets for what runs inside its block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from isrf.core.errors import IsrfError
from isrf.core.files import size
from isrf.core.process_limits import number_in, own_cgroups
from isrf.core.shell import setting

GIGABYTE = 1e9
SHARE = 0.25
"""Of this process's memory that a file may hold where nobody says how much: reading takes about three times its size."""
CGROUP_LIMITS = ("memory.max", "memory.limit_in_bytes")
"""Files of a control group; they hold "max", or a number beyond all memory, where there is no limit."""
UNKNOWN = 8 * GIGABYTE
"""Memory of a machine that does not tell."""

_most: ContextVar[float | None] = ContextVar("most gigabytes of a file", default=None)


def process_memory() -> float:
    """Bytes that this process may come to use: the machine's, or less by a container's limit or by ``ulimit -v``."""
    found = [UNKNOWN]
    with suppress(ValueError, OSError, AttributeError):
        found = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    limits = (number_in(folder / name) for folder in own_cgroups() for name in CGROUP_LIMITS)
    found += [float(limit) for limit in limits if limit is not None]
    with suppress(ImportError, OSError, ValueError, IndexError):
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])  # libraries take addresses that they never use
            found.append(max(0.0, soft - pages * os.sysconf("SC_PAGE_SIZE")))
    return min(found)


@contextmanager
def reading_at_most(gigabytes: float | None) -> Iterator[None]:
    """Bound every file that is read inside the block; None = a quarter of ``process_memory``."""
    before = _most.set(gigabytes)
    try:
        yield
    finally:
        _most.reset(before)


def most_bytes() -> float:
    """Bytes that one file may hold, decompressed."""
    chosen = _most.get()
    return SHARE * process_memory() if chosen is None else chosen * GIGABYTE


def too_large(file: str, held: float, exactly: bool = True) -> IsrfError:
    """What to say of a file that holds ``held`` bytes, or that many and more, when that is over ``most_bytes``."""
    most = size(most_bytes())
    limit = f"data.max_gigabytes, {most}" if _most.get() is not None else f"{most}, a quarter of this process's memory"
    more = float(f"{held / GIGABYTE * (1.1 if exactly else 2):.3g}")
    return IsrfError(
        f"{file}: holds {'' if exactly else 'more than '}{size(held)} when it is read (limit: {limit}); if it is meant to be "
        f"that large, raise the limit: {setting('data.max_gigabytes', more)}"
    )
