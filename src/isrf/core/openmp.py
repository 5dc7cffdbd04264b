"""How idle threads of OpenMP wait, which has to be said before torch is loaded. Loads nothing."""

from __future__ import annotations

from collections.abc import MutableMapping

CHOSEN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user says how idle threads wait: OpenMP's own, GNU's, and that of LLVM and Intel."""


def wait_asleep(environment: MutableMapping[str, str]) -> None:
    """Let idle threads sleep, in this process and those that it starts, unless the user chose how they wait.

    By default they spin, for the next piece of work to begin microseconds sooner. Where another program uses a core, the
    thread that has work waits for the one that spins, and so does the other program (``bench/spinning.py``).

    Args:
        environment: of the process, changed in place before OpenMP is loaded. A program that imports the package keeps
            its own: only the command line calls this.
    """
    if not any(name in environment for name in CHOSEN):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
