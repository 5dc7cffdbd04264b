"""Every answer an LLM ever gave, in one SQLite file keyed by what was asked, so that nothing is asked twice.

Answers are kept raw: what is made of them can change without asking again. An answer is committed the moment it arrives:
a killed run loses only what was in flight. Knows nothing about prompts, endpoints or Parquet (``exchange``); holds no
key of an account, no address and no time of day.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isrf.core.sqlite_reading import reading
from isrf.errors import IsrfError
from isrf.reasoning.replies import Completion

APPLICATION_ID = 0x49535246  # "ISRF": tells our file from any other SQLite file
SCHEMA_VERSION = 2
PATIENCE_S = 30
"""How long a write waits for another process that is writing, seconds."""
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
    content TEXT NOT NULL,
    thinking TEXT NOT NULL
)""",
    """
CREATE TABLE IF NOT EXISTS dialects (
    supplier TEXT NOT NULL,
    model TEXT NOT NULL,
    dialect TEXT NOT NULL,
    PRIMARY KEY (supplier, model)
)""",
)
_GIVEN = "content, thinking, cut, tokens_in, tokens_out, tokens_thinking"  # in the order of Completion
_ORIGIN = "supplier, model, kind, ask, prompt_version, seconds"  # in the order of Origin
_GET = f"SELECT {_GIVEN} FROM answers WHERE key = ?"
_PUT = f"""
INSERT INTO answers (key, {_GIVEN}, {_ORIGIN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO NOTHING"""


@dataclass(frozen=True)
class Origin:
    """Who gave an answer, and to what.

    Attributes:
        supplier, model: as in the key of the answer.
        kind: "item" or "user".
        ask: name of the question: "likes", "dislikes", "feature" or "single".
        prompt_version: digest of the templates (``prompts.Prompt.version``).
        seconds: from sending the question to having the whole answer.
    """

    supplier: str
    model: str
    kind: str
    ask: str
    prompt_version: str
    seconds: float


@dataclass(frozen=True)
class Measured:
    """What the answers to one sort of question took: how many there are, and means of tokens and seconds over them."""

    count: int
    tokens_in: float
    tokens_out: float
    seconds: float


Row = tuple[str, Completion, Origin]
"""A key, the answer under it, and where that came from."""


def key_of(supplier: str, model: str, parameters: dict[str, Any], prompt_version: str, prompt: Any) -> str:
    """SHA-256 (hex) of everything that an answer depends on; ``prompt`` is the rendered prompt, JSON-able."""
    content = json.dumps([supplier, model, parameters, prompt_version, prompt], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()


class AnswerStore:
    """Answers by key; made by ``open_store``. Used from one thread at a time, by any number of processes.

    Every method raises IsrfError where the file is damaged or its disk is full.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self.path = connection, path

    def get(self, key: str) -> Completion | None:
        """The answer stored under the key, or None."""
        try:
            row = self._connection.execute(_GET, (key,)).fetchone()
        except sqlite3.Error as error:
            raise _damaged(self.path, error) from error
        return None if row is None else Completion(row[0], row[1], bool(row[2]), row[3], row[4], row[5])

    def put(self, key: str, completion: Completion, origin: Origin) -> Completion:
        """Keep an answer: written before this returns, so that a killed process loses nothing.

        The first answer under a key stays, also where another process gave it in the meantime.

        Returns:
            The answer that is now under the key, as ``get`` gives it. Text that is not Unicode (a lone surrogate, which
            no UTF-8 file can hold) has "?" there; ``replies`` lets none through.
        """
        values = _values(key, completion, origin)
        try:
            try:
                kept = self._connection.execute(_PUT, values).rowcount == 1
            except UnicodeEncodeError:
                kept = False
                self._connection.execute(_PUT, [_unicode(v) if isinstance(v, str) else v for v in values])
        except sqlite3.Error as error:
            raise _damaged(self.path, error) from error
        return completion if kept else self.get(key) or completion

    def add(self, rows: Iterable[Row]) -> int:
        """Keep many answers, all or none of them, in one transaction; how many were new. First answers stay.

        Other processes wait as long as this takes: give it no more than some thousand at a time.
        """
        values = [_values(*row) for row in rows]
        with self._explained(), self._transaction():
            return self._connection.executemany(_PUT, values).rowcount

    def rows(self) -> Iterator[Row]:
        """All answers as of now, in the order of their keys, a few in memory at a time."""
        with self._explained():
            for row in self._connection.execute(f"SELECT key, {_GIVEN}, {_ORIGIN} FROM answers ORDER BY key"):
                yield row[0], Completion(row[1], row[2], bool(row[3]), *row[4:7]), Origin(*row[7:])

    def measured(self, supplier: str, model: str, kind: str, ask: str) -> Measured | None:
        """What the answers to one sort of question took, None where there are none. Walks over the whole table."""
        query = (
            "SELECT COUNT(*), AVG(tokens_in), AVG(tokens_out), AVG(seconds) FROM answers "
            "WHERE supplier = ? AND model = ? AND kind = ? AND ask = ?"
        )
        with self._explained():
            row = self._connection.execute(query, (_unicode(supplier), _unicode(model), kind, ask)).fetchone()
            return Measured(*row) if row[0] else None

    def remembered(self, supplier: str, model: str) -> dict[str, Any] | None:
        """What was negotiated with an endpoint when it was last asked, None where it never was."""
        query = "SELECT dialect FROM dialects WHERE supplier = ? AND model = ?"
        with self._explained():
            row = self._connection.execute(query, (_unicode(supplier), _unicode(model))).fetchone()
            return None if row is None else dict(json.loads(row[0]))

    def remember(self, supplier: str, model: str, dialect: dict[str, Any]) -> None:
        """Keep what was negotiated with an endpoint, in place of what was known; ``dialect`` is JSON-able."""
        query = "INSERT OR REPLACE INTO dialects (supplier, model, dialect) VALUES (?, ?, ?)"
        content = json.dumps(dialect, sort_keys=True)
        with self._explained():
            self._connection.execute(query, (_unicode(supplier), _unicode(model), content))

    def __len__(self) -> int:
        with self._explained():
            return int(self._connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def tokens(self) -> tuple[int, int]:
        """Tokens in and out of all answers. Walks over the whole table."""
        with self._explained():
            query = "SELECT COALESCE(SUM(tokens_in), 0), COALESCE(SUM(tokens_out), 0) FROM answers"
            tokens_in, tokens_out = self._connection.execute(query).fetchone()
            return int(tokens_in), int(tokens_out)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._connection.execute("ROLLBACK")
            raise

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
        connection = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None, check_same_thread=False)
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


@contextmanager
def read_store(path: Path) -> Iterator[AnswerStore]:
    """Open a store to look into it: nothing is made or changed, so that it works where nothing may be written.

    Raises:
        IsrfError: as ``open_store``, and there is no such file.
    """
    with ExitStack() as opened:
        try:
            connection = opened.enter_context(reading(path))
            if not _checked(connection, path):
                raise sqlite3.DatabaseError("it is empty")
        except (sqlite3.Error, OSError) as error:
            raise _damaged(path, error) from error
        yield AnswerStore(connection, path)


def _checked(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file holds anything yet; IsrfError or sqlite3.Error where that is no store, or a damaged one."""
    objects = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if objects and application != APPLICATION_ID:
        raise IsrfError(f"{path}: a SQLite file of another program, not a store of answers; name another file")
    if objects and version < SCHEMA_VERSION:
        raise IsrfError(
            f"{path}: store of answers of version {version}, by an older isrf; version {SCHEMA_VERSION} cannot use those "
            "answers: move the file away, and they will be asked for again"
        )
    if objects and version > SCHEMA_VERSION:
        raise IsrfError(
            f"{path}: store of answers of version {version}, by a newer isrf than this, which reads version "
            f"{SCHEMA_VERSION}: update isrf, or move the file away, and answers will be asked for again"
        )
    # half a second for a million short answers; a damaged page found now is better than one found hours later
    if objects and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("its pages do not hang together")
    return bool(objects)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    made = _checked(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    # WAL with NORMAL: a killed process loses nothing, a power cut at most the last answers
    connection.execute("PRAGMA synchronous = NORMAL")
    # fewer and longer checkpoints: each waits for the disk twice
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA cache_size = -4000")  # KiB; the system's own file cache does the rest
    if not made:
        # one transaction: whoever looks sees an empty file or a whole store
        connection.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")


def _values(key: str, given: Completion, origin: Origin) -> tuple[Any, ...]:
    return (
        *(key, given.content, given.thinking, given.cut, given.tokens_in, given.tokens_out, given.tokens_thinking),
        *(origin.supplier, origin.model, origin.kind, origin.ask, origin.prompt_version, origin.seconds),
    )


def _unicode(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _damaged(path: Path, error: Exception) -> IsrfError:
    return IsrfError(
        f"{path}: cannot use this store of answers ({error}); free space if the disk is full, otherwise move the file "
        "away, and answers will be asked for again"
    )
