"""Taking answers out of a store for good. Knows nothing about whom they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isrf.core.sqlite_tables import erased
from isrf.reasoning.answers import store as stores
from isrf.reasoning.answers.store import open_store


@contextmanager
def keys_met() -> Iterator[set[str]]:
    """Keys of all answers that are looked up or kept within the block, by any store of this process."""
    before, met = stores.MET, set[str]()
    stores.MET = met
    try:
        yield met
    finally:
        stores.MET = before


def keep_answers(path: Path, kind: str, keys: set[str]) -> int:
    """Delete all answers of a kind but those under some keys, and overwrite where they stood; how many went.

    Raises:
        IsrfError: as ``open_store``.
    """
    with open_store(path) as store:
        gone = store.delete_others(kind, keys)
    erased(path)
    return gone
