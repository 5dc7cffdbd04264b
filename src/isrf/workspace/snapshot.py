"""What was read of a workspace while it may not change: each record once, and each file proven once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Known:
    """What was read of a workspace that does not change meanwhile.

    Attributes:
        records: path of each stage's record -> what it says.
        proven: files whose bytes were those that were written.
    """

    records: dict[Path, dict[str, Any]] = field(default_factory=dict)
    proven: set[Path] = field(default_factory=set)


KNOWN: ContextVar[Known | None] = ContextVar("known", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Read each record, and prove each file, once within the block. For whoever knows that nothing changes meanwhile."""
    token = KNOWN.set(KNOWN.get() or Known())
    try:
        yield
    finally:
        KNOWN.reset(token)
