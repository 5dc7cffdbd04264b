"""Every answer an LLM ever gave, in one SQLite file keyed by what was asked, so that nothing is asked twice.

An answer is committed the moment it arrives: a killed run loses only what was in flight. Knows nothing about prompts or
endpoints; holds no key, no address and no time.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isrf.errors import IsrfError

APPLICATION_ID = 0x49535246  # "ISRF": tells our file from any other SQLite file
SCHEMA_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    answer TEXT NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Answer:
    """One answer of a model.

    Attributes:
        text: the field that was asked for, or None where the model gave nothing usable, asked twice.
        tokens_in, tokens_out: what asking cost, repeats included.
    """

    text: str | None
    tokens_in: int
    tokens_out: int


def key_of(supplier: str, model: str, parameters: dict[str, Any], prompt_version: str, prompt: Any) -> str:
    """SHA-256 (hex) of everything that an answer depends on; ``prompt`` is the rendered prompt, JSON-able."""
    content = json.dumps([supplier, model, parameters, prompt_version, prompt], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()


class AnswerStore:
    """Answers by key; made by ``open_store``. Used from one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self.path = connection, path

    def get(self, key: str) -> Answer | None:
        """The answer stored under the key, or None. Raises IsrfError where the file is damaged."""
        with self._explained():
            row = self._connection.execute(
                "SELECT answer, tokens_in, tokens_out FROM answers WHERE key = ?", (key,)
            ).fetchone()
            return None if row is None else Answer(json.loads(row[0]), int(row[1]), int(row[2]))

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer, on disk before this returns. Raises IsrfError where the disk is full or the file damaged."""
        with self._explained():
            # ASCII JSON: a lone surrogate from a model cannot be stored as UTF-8 text
            row = (key, json.dumps(answer.text), answer.tokens_in, answer.tokens_out)
            self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)
            self._connection.commit()

    def __len__(self) -> int:
        with self._explained():
            return int(self._connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def tokens(self) -> tuple[int, int]:
        """Tokens in and out of all answers."""
        with self._explained():
            query = "SELECT COALESCE(SUM(tokens_in), 0), COALESCE(SUM(tokens_out), 0) FROM answers"
            tokens_in, tokens_out = self._connection.execute(query).fetchone()
            return int(tokens_in), int(tokens_out)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise _damaged(self.path, error) from error


@contextmanager
def open_store(path: Path) -> Iterator[AnswerStore]:
    """Open or create a store; several processes may have it open.

    Raises:
        IsrfError: the file is no answer store, is damaged, is of another version, or cannot be written.
    """
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # one thread at a time uses it, but a notebook's event loop makes that another thread than this one
        connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
        _prepare(connection, path)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise _damaged(path, error) from error
    except IsrfError:
        if connection is not None:
            connection.close()
        raise
    try:
        yield AnswerStore(connection, path)
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    objects = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if objects and application != APPLICATION_ID:
        raise IsrfError(f"{path}: a SQLite file of another program, not a store of answers; name another file")
    if objects and version != SCHEMA_VERSION:
        raise IsrfError(
            f"{path}: store of answers, version {version}; this program reads version {SCHEMA_VERSION}: "
            "name another file, answers will be asked for again"
        )
    if objects and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("its pages do not hang together")
    connection.execute("PRAGMA journal_mode = WAL")
    # WAL with NORMAL: a killed process loses nothing, a power cut at most the last answers
    connection.execute("PRAGMA synchronous = NORMAL")
    if not objects:
        # one transaction: whoever looks sees an empty file or a whole store
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.commit()


def _damaged(path: Path, error: Exception) -> IsrfError:
    return IsrfError(
        f"{path}: cannot use this store of answers ({error}); free space if the disk is full, otherwise move the file "
        "away, and answers will be asked for again"
    )
