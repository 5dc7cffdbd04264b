"""SQLite files that are only looked into, in folders that cannot be written to among them. Knows no table."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def can_write(path: Path) -> bool:
    """Whether a file, and what SQLite keeps beside it, can be written: the real one, where it is a link."""
    real = path.resolve()
    folder = next((parent for parent in real.parents if parent.exists()), real.parent)
    return os.access(folder, os.W_OK) and (not real.exists() or os.access(real, os.W_OK))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing, neither in the file nor in its folder.

    Where nothing may be written there, a file without a write-ahead log is read as it lies; one with a log, which SQLite
    reads only where it may make an index, is read in a copy.

    Raises:
        sqlite3.Error: the file is absent or no SQLite file.
    """
    real = path.resolve()
    log = real.with_name(f"{real.name}-wal")
    if can_write(path):
        yield from _connected(real, "mode=ro")
    elif log.exists() and log.stat().st_size:
        with tempfile.TemporaryDirectory(prefix="isrf-") as folder:
            for file in (real, log):
                shutil.copyfile(file, Path(folder) / file.name)
            yield from _connected(Path(folder) / real.name, "mode=rw")
    else:
        yield from _connected(real, "mode=ro&immutable=1")


def _connected(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    # as an address, in which "?", "#" and "%" of a path are escaped
    connection = sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False)
    try:
        yield connection
    finally:
        connection.close()
