"""What is recorded of where and how something was made: the command, versions of libraries, memory. Knows no stages."""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from isrf.core.shell import command_line

RECORDED_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "faiss-cpu",
    "numpy",
    "scipy",
    "polars",
    "sacrebleu",
    "rouge-score",
)


def peak_memory_mb() -> float:
    """Largest resident size so far of this process or of one that it started (llama.cpp's server), MB."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


@cache
def installed_versions() -> dict[str, str]:
    """Versions of what can change an artifact's bytes; read once a process."""
    found = {"python": platform.python_version(), "isrf": version("isrf")}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


WITHHELD: list[str] = []
"""Words of this process's command that no record may hold."""


@contextmanager
def withheld(words: Sequence[str]) -> Iterator[None]:
    """What is recorded within the block does not name these words of the command."""
    WITHHELD[:] = words
    try:
        yield
    finally:
        WITHHELD.clear()


def command() -> str | None:
    """The command that this process is, ready to be typed; None where isrf was imported by some other program."""
    program = Path(sys.argv[0])
    if program.stem != "isrf" and program.parent.name != "isrf":  # the installed script, or ``python -m isrf``
        return None

    def told(word: str) -> str:
        return "(withheld)" if {word.strip(), word.partition("=")[2].strip()} & set(WITHHELD) else word

    return command_line("isrf", *map(told, sys.argv[1:]))
