"""Taking answers out of a store for good. Knows nothing about whom they are about."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isrf.core.errors import IsrfError
from isrf.core.sqlite_tables import PATIENCE_S, erased
from isrf.reasoning.answers.keys import MET
from isrf.reasoning.answers.store import open_store


@contextmanager
def keys_met() -> Iterator[set[str]]:
    """Keys of all answers that are wanted within the block."""
    met = set[str]()
    MET.append(met)
    try:
        yield met
    finally:
        MET.remove(met)


def keep_answers(path: Path, kind: str, keys: set[str]) -> int:
    """Delete all answers of a kind but those under some keys, and overwrite where they stood; how many went.

    Raises:
        IsrfError: as ``open_store``, or another process has the file open.
    """
    with open_store(path):  # looks whether it is one, and of this version
        pass
    connection = sqlite3.connect(path, timeout=PATIENCE_S)
    try:
        with connection:
            found = [row[0] for row in connection.execute("SELECT key FROM answers WHERE kind = ?", (kind,))]
            gone = [(key,) for key in found if key not in keys]
            connection.executemany("DELETE FROM answers WHERE key = ?", gone)
    except sqlite3.Error as error:
        raise IsrfError(f"{path}: answers could not be deleted ({error}); run again") from None
    finally:
        connection.close()
    erased(path)
    return len(gone)
