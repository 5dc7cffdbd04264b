"""What a shell, a job scheduler or a container allows this process, and whether the libraries can start within it.

numpy, torch, polars and faiss reserve gigabytes of addresses before a command does anything, and where these are limited
they end the process without a line. Looked at before they are loaded; loads none of them.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isrf.core.errors import IsrfError

GB = 1e9
HEAVY = frozenset(("run", "embed", "graph", "train", "evaluate", "bench"))
"""Commands that compute; the others only read and write."""
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Need:
    """What a command takes on a small log, as measured, bytes; ``a_core`` of each core more, by threads' own buffers.

    Attributes:
        addresses: address space (``ulimit -v``), most of it reserved and never used.
        a_core: of that.
        data: writable memory (``ulimit -d``).
        memory: really used.
    """

    addresses: float
    a_core: float
    data: float
    memory: float


LIGHT_NEED = Need(2.3 * GB, 0.2 * GB, 1.0 * GB, 0.6 * GB)
HEAVY_NEED = Need(3.7 * GB, 0.2 * GB, 2.3 * GB, 1.0 * GB)
THREADS, THREADS_A_CORE = 12, 6
"""Threads that pools of the libraries start: so many, and so many a core."""
ARENAS = 2
"""Heaps of the C library where addresses are limited; usually each thread reserves one of 128 MB."""
M_ARENA_MAX = -8


@dataclass(frozen=True)
class Limit:
    """One limit that is set.

    Attributes:
        what: what it limits.
        by: how it is set and shown, ``ulimit -v``.
        most: bytes, or threads where ``counted``.
        needed: what the command takes at least, in the same unit.
        counted: whether it counts threads.
        hard: whether the libraries cannot start beyond it; else the system ends the process when it gets there.
    """

    what: str
    by: str
    most: float
    needed: float
    counted: bool = False
    hard: bool = True

    @property
    def enough(self) -> bool:
        return self.most >= self.needed

    def told(self) -> str:
        """ "address space: 1.5 GB (ulimit -v)"."""
        return f"{self.what}: {self.amount(self.most)} ({self.by})"

    def amount(self, value: float) -> str:
        return f"{max(value, 0):.0f} more" if self.counted else f"{value / GB:.1f} GB"


def limits(command: str | None) -> list[Limit]:
    """Every limit that is set for this process, with what a command needs."""
    need, cores = HEAVY_NEED if command in HEAVY else LIGHT_NEED, cores_here()
    threads = THREADS + THREADS_A_CORE * cores
    found = [
        Limit("address space", "ulimit -v", most, need.addresses + need.a_core * cores)
        for most in soft(resource.RLIMIT_AS)
    ]
    found += [Limit("data segment", "ulimit -d", most, need.data) for most in soft(resource.RLIMIT_DATA)]
    if os.geteuid():  # the superuser's threads are not counted
        found += [
            Limit("the number of threads", "ulimit -u", most - threads_of_user(), threads, counted=True)
            for most in soft(resource.RLIMIT_NPROC)
            if most < 1 << 14  # beyond that counting everybody's takes longer than it is worth
        ]
    for folder in own_cgroups():
        if (pids := number_in(folder / "pids.max")) is not None:
            left = pids - (number_in(folder / "pids.current") or 0)
            found.append(Limit("the number of threads", "pids.max of the control group", left, threads, counted=True))
        for name in ("memory.max", "memory.limit_in_bytes"):
            most = number_in(folder / name)
            if most is not None and most < 1 << 60:
                found.append(Limit("memory", f"{name} of the control group", most, need.memory, hard=False))
    tightest: dict[tuple[str, str], Limit] = {}
    for limit in found:
        key = (limit.what, limit.by)
        tightest[key] = min(tightest.get(key, limit), limit, key=lambda one: one.most)
    return list(tightest.values())


def check_limits(command: str | None) -> list[str]:
    """What to tell of limits under which a command may be ended without a word; ends it where it cannot start.

    Where addresses are limited, and suffice, the C library is told to reserve fewer of them.

    Raises:
        IsrfError: a limit under which the libraries crash at once.
    """
    found = limits(command)
    named = f"isrf {command}" if command else "isrf"
    for limit in found:
        if limit.hard and not limit.enough:
            raise IsrfError(
                f"{limit.what} is limited to {limit.amount(limit.most)} ({limit.by}), and {named} needs about "
                f"{limit.amount(limit.needed)}: its libraries reserve that much when they start, used or not, and crash "
                f"otherwise; {remedy(limit)}"
            )
    if any(limit.by == "ulimit -v" for limit in found):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
    return [
        f"WARNING: memory of this container is limited to {limit.amount(limit.most)}, and {named} takes "
        f"{limit.amount(limit.needed)} on a small log: the system may end it without a word"
        for limit in found
        if not limit.hard and not limit.enough
    ]


def remedy(limit: Limit) -> str:
    """What to do about a limit that is too low."""
    if limit.what == "address space":
        return "raise it (`ulimit -v unlimited`), or ask the job scheduler for more, or to limit memory in use instead"
    if limit.counted:
        return "end other processes, or raise it"
    return "raise it, or ask the job scheduler for more"


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def soft(kind: int) -> Iterator[int]:
    """The soft limit of one kind, nothing where there is none."""
    with suppress(OSError, ValueError):
        most = resource.getrlimit(kind)[0]
        if most != resource.RLIM_INFINITY:
            yield most


def threads_of_user() -> int:
    """Threads of everybody's processes that run as this user; 0 where the system does not say."""
    count, user = 0, os.getuid()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, StopIteration):
            if folder.stat().st_uid == user:
                lines = (folder / "status").read_text(errors="replace").splitlines()
                count += int(next(line for line in lines if line.startswith("Threads:")).split()[1])
    return count


def own_cgroups() -> Iterator[Path]:
    """Folders of the control groups that hold this process, from its own outwards; none where there are no groups."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        for root in (CGROUPS / kinds, CGROUPS) if kinds else (CGROUPS,):
            own = root / path.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder == root or root in folder.parents)


def number_in(file: Path) -> int | None:
    """The number that a file of a control group holds, None where it is absent or says "max"."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
