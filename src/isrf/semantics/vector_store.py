"""Vectors of texts kept from run to run, each with a checksum. Knows nothing about encoders or what texts say."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from isrf.core.errors import IsrfError, out_of_room
from isrf.core.progress import note
from isrf.core.sqlite_reading import can_write, reading
from isrf.core.sqlite_tables import check_tables, distrust, erased, is_busy

VERSION = 1
"""``user_version`` of the file: 1 has checksums, and 0, which had none, is brought to it."""
UNIT = 1e-2
"""How far the norm of a vector may be from 1, where it has no checksum yet."""
PATIENCE_S = 30.0
"""How long another command is waited for that writes."""
AT_ONCE = 500
"""Keys of one query."""


class VectorCache:
    """Unit vectors by digest of (encoder, text) in one SQLite file; a killed run loses at most one batch.

    A vector that its checksum does not fit, or of another width than the others, counts as not there, and a line says so.

    Raises:
        IsrfError: the file is no such cache, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # where nothing may be written, vectors that are there are read in a copy, and new ones are not kept
            self._keeps = can_write(path)
            self._db = sqlite3.connect(path, timeout=PATIENCE_S) if self._keeps else in_memory(path)
            distrust(self._db)
            check_tables(self._db, ("vectors",))  # before anything is changed: it may be another program's file
            self._db.execute("PRAGMA journal_mode=WAL")
            table = "(key BLOB PRIMARY KEY, vector BLOB, checksum BLOB) WITHOUT ROWID"
            self._db.execute(f"CREATE TABLE IF NOT EXISTS vectors {table}")
            if self._version() < VERSION:
                self._upgrade()
        except sqlite3.DatabaseError as error:
            if out_of_room(error):  # the first write of a new file
                raise
            raise self._unreadable(error) from None

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """{key: (d,) float32} of the keys whose vectors are there and whole, all of one width."""
        found: dict[bytes, np.ndarray] = {}
        damaged = 0
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, vector, checksum FROM vectors WHERE key IN ({marks})"
            try:
                rows = self._db.execute(query, part).fetchall()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                raise self._unreadable(error) from None
            for key, blob, checksum in rows:
                if isinstance(blob, bytes) and checksum == checksum_of(key, blob):
                    found[key] = np.frombuffer(blob, dtype=np.float32)
                else:
                    damaged += 1
        widths = Counter(len(vector) for vector in found.values())
        usual = max(widths, key=lambda width: widths[width], default=0)
        damaged += widths.total() - widths[usual]
        if damaged:
            note(f"{self.path}: {damaged:,} vectors are damaged; their texts count as not encoded")
        return {key: vector for key, vector in found.items() if len(vector) == usual}

    def put(self, rows: Sequence[tuple[bytes, np.ndarray]]) -> None:
        """Keep vectors, in place of what is there under their keys; on the disk when this returns."""
        if not self._keeps:
            note(f"{self.path}: cannot be written to, so the vectors of {len(rows):,} texts are not kept")
            return
        blobs = [(key, vector.astype(np.float32).tobytes()) for key, vector in rows]
        try:
            with self._db:
                summed = [(key, blob, checksum_of(key, blob)) for key, blob in blobs]
                self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", summed)
        except sqlite3.DatabaseError as error:
            if is_busy(error):
                raise self._unreadable(error) from None
            raise IsrfError(f"{self.path}: cannot be written ({error}); free some space and run again") from None

    def keep_only(self, keys: Collection[bytes]) -> int:
        """Delete all vectors but those under some keys, and overwrite where they stood; how many went."""
        try:
            with self._db:
                gone = [(key,) for (key,) in self._db.execute("SELECT key FROM vectors").fetchall() if key not in keys]
                self._db.executemany("DELETE FROM vectors WHERE key = ?", gone)
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from None
        self._db.close()
        erased(self.path)
        self._db = sqlite3.connect(self.path, timeout=PATIENCE_S)
        return len(gone)

    def close(self) -> None:
        self._db.close()

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _upgrade(self) -> None:
        """Give vectors of an older isrf checksums: those that are unit vectors are kept, the others deleted."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            if self._version() == VERSION:  # another process was quicker
                return
            columns = [row[1] for row in self._db.execute("PRAGMA table_info(vectors)")]
            if "checksum" not in columns:
                self._db.execute("ALTER TABLE vectors ADD COLUMN checksum BLOB")
                self._db.create_function(
                    "isrf_sum", 2, lambda key, blob: checksum_of(key, blob) if is_unit(blob) else None
                )
                self._db.execute("UPDATE vectors SET checksum = isrf_sum(key, vector)")
                gone = self._db.execute("DELETE FROM vectors WHERE checksum IS NULL").rowcount
                if gone:
                    note(
                        f"{self.path}: {gone:,} vectors of an older isrf are damaged; their texts count as not encoded"
                    )
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _unreadable(self, error: Exception) -> IsrfError:
        if is_busy(error):
            return IsrfError(f"{self.path}: another command is writing into it; run again when it has ended")
        return IsrfError(f"{self.path}: not a readable vector cache ({error}); delete it and run again")


def in_memory(path: Path) -> sqlite3.Connection:
    """A copy of a file that may not be written, empty where there is none."""
    memory = sqlite3.connect(":memory:")
    if path.exists():
        with reading(path) as source:
            source.backup(memory)
    return memory


def checksum_of(key: bytes, blob: bytes) -> bytes:
    """Eight bytes that go with a key and its vector."""
    return blake2b(bytes(key) + blob, digest_size=8).digest()


def is_unit(blob: object) -> bool:
    """Whether bytes are those of a float32 vector of norm 1."""
    if not isinstance(blob, bytes) or not blob or len(blob) % 4:
        return False
    with np.errstate(all="ignore"):
        return bool(abs(float(np.linalg.norm(np.frombuffer(blob, dtype=np.float32))) - 1) < UNIT)
