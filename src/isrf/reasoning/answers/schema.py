"""The tables of the store of answers, checksums of their rows, and how a file of an older version becomes one of this.

Knows nothing about what is asked or answered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from isrf.core.errors import IsrfError
from isrf.core.progress import Task, note, task
from isrf.core.sqlite_tables import check_tables, distrust

APPLICATION_ID = 0x49535246  # "ISRF": tells our file from any other SQLite file
SCHEMA_VERSION = 3
UPGRADED = 2
"""The older version whose rows are taken over; they had no checksums."""
CHECKSUM_BYTES = 8

ABOUT = (
    *("supplier", "model", "kind", "ask", "prompt_version"),
    *("cut", "tokens_in", "tokens_out", "tokens_thinking", "seconds"),
)
TEXTS = ("content", "thinking")
"""Columns of an answer beside its key: the short ones and the long ones, each with a checksum for its own."""

# A table with row ids: answers are appended, and only the index of keys is written to at random. Without row ids, a put
# took half as much again and a get of a long answer twice as long. The long columns come last, so that a walk over the
# short ones reads no overflow pages.
_TABLES = (
    """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY NOT NULL,
    supplier TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    ask TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    cut INTEGER NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    tokens_thinking INTEGER NOT NULL,
    seconds REAL NOT NULL,
    about_sum BLOB NOT NULL,
    text_sum BLOB NOT NULL,
    content TEXT NOT NULL,
    thinking TEXT NOT NULL
)""",
    """
CREATE TABLE IF NOT EXISTS dialects (
    supplier TEXT NOT NULL,
    model TEXT NOT NULL,
    dialect TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (supplier, model)
)""",
)
TABLES = ("answers", "dialects")
PUT_ANSWER = f"""
INSERT INTO answers (key, {", ".join((*ABOUT, *TEXTS))}, about_sum, text_sum)
VALUES ({", ".join("?" * (len(ABOUT) + len(TEXTS) + 3))}) ON CONFLICT (key) DO NOTHING"""
PUT_DIALECT = "INSERT OR REPLACE INTO dialects (supplier, model, dialect, checksum) VALUES (?, ?, ?, ?)"


def checksum(*values: Any) -> bytes:
    """Eight bytes that other values, or the same ones otherwise divided, do not have but by a chance of 2^-64."""
    content = "".join([f"{len(text)}:{text}" for text in map(str, values)])
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=CHECKSUM_BYTES).digest()


def with_sums(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row (key, *ABOUT, *TEXTS) as PUT_ANSWER takes it."""
    about, texts = row[: 1 + len(ABOUT)], row[1 + len(ABOUT) :]
    return (*row, checksum(*about), checksum(row[0], *texts))


def lenient(data: bytes) -> str:
    """Text of a row; of one whose bytes are damaged text that its checksum does not fit, and no error of SQLite's."""
    return data.decode("utf-8", "backslashreplace")


def checked(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a file's tables, 0 of an empty one; changes nothing.

    Raises:
        sqlite3.Error: it is damaged.
        IsrfError: it is another program's, or of a version that cannot be used.
    """
    objects = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = _version(connection)
    if not objects:
        return 0
    if application != APPLICATION_ID:
        raise IsrfError(f"{path}: a SQLite file of another program, not a store of answers; name another file")
    if version < UPGRADED:
        raise IsrfError(
            f"{path}: store of answers of version {version}, by an older isrf; version {SCHEMA_VERSION} cannot use those "
            "answers: move the file away, and they will be asked for again"
        )
    if version > SCHEMA_VERSION:
        raise IsrfError(
            f"{path}: store of answers of version {version}, by a newer isrf than this, which reads version "
            f"{SCHEMA_VERSION}: update isrf, or move the file away, and answers will be asked for again"
        )
    check_tables(connection, TABLES)
    # half a second for a million short answers; a damaged page found now is better than one found hours later
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("its pages do not hang together")
    return version


def prepare(connection: sqlite3.Connection, path: Path, lasting: bool = True) -> None:
    """Make the tables of a new file; check those of another, and bring them to this version.

    Args:
        lasting: the connection is to the file itself, and not to a copy of it in memory.

    Raises:
        sqlite3.Error: it is damaged, or cannot be written.
        IsrfError: it is another program's, or of a version that cannot be used.
    """
    distrust(connection)
    connection.text_factory = lenient
    version = checked(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    # WAL with NORMAL: a killed process loses nothing; what a loss of power loses is bounded by ``AnswerStore``
    connection.execute("PRAGMA synchronous = NORMAL")
    # fewer and longer checkpoints: each waits for the disk twice
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA cache_size = -4000")  # KiB; the system's own file cache does the rest
    if version == SCHEMA_VERSION:
        return
    # one transaction: whoever looks sees an empty file or a whole store, that of the older version or that of this one
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) == UPGRADED:  # or another process was quicker
            _upgrade(connection, path, lasting)
        for table in _TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _upgrade(connection: sqlite3.Connection, path: Path, lasting: bool) -> None:
    """Give every row checksums: answers are expensive, so those of the older version are kept as they stand."""
    for table in TABLES:
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
    for table in _TABLES:
        connection.execute(table)
    total = connection.execute("SELECT COUNT(*) FROM answers_before").fetchone()[0]
    columns = ", ".join(("key", *ABOUT, *TEXTS))
    rows = connection.execute(f"SELECT {columns} FROM answers_before ORDER BY rowid")
    with task("giving answers checksums", total) as running:
        connection.executemany(PUT_ANSWER, _summed(rows, running))
    dialects = connection.execute("SELECT supplier, model, dialect FROM dialects_before").fetchall()
    connection.executemany(PUT_DIALECT, [(*row, checksum(*row)) for row in dialects])
    for table in TABLES:
        connection.execute(f"DROP TABLE {table}_before")
    if lasting:
        note(f"{path}: {total:,} answers of an older isrf were given checksums; that isrf cannot use the file any more")


def _summed(rows: Iterator[tuple[Any, ...]], running: Task) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        running.advance()
        yield with_sums(row)
