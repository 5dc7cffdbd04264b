"""What a stage records of where it ran: versions of libraries, and memory. Knows nothing about stages."""

from __future__ import annotations

import platform
import resource
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

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
