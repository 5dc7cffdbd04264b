"""Every answer an LLM ever gave, in one SQLite file keyed by what was asked, so that nothing is asked twice.

Answers are kept raw: what is made of them can change without asking again. An answer is committed the moment it arrives:
a killed run loses only what was in flight. A loss of power may also take what came after the last time that answers were
brought to the disk, which is done every second while they come, and at the end. Knows nothing about prompts, endpoints or
Parquet (``exchange``); holds no key of an account, no address and no time of day.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isrf.core.atomic_files import sync_file
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.core.sqlite_reading import reading
from isrf.core.sqlite_tables import distrust, is_busy
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.rows import COLUMNS, Origin, Row, is_whole, row_of, unicode_text, values_of
from isrf.reasoning.answers.schema import (
    ABOUT,
    PUT_ANSWER,
    PUT_DIALECT,
    UPGRADED,
    checked,
    checksum,
    lenient,
    prepare,
    with_sums,
)

PATIENCE_S = 30
"""How long a write waits for another process that is writing, seconds."""
SYNC_EVERY_S = 1.0
"""How often answers are brought to the disk, seconds: each time costs milliseconds, in which nothing else is done."""

_GET = f"SELECT {COLUMNS} FROM answers WHERE key = ?"


@dataclass(frozen=True)
class Measured:
    """What the answers to one sort of question took: how many there are, and means of tokens and seconds over them."""

    count: int
    tokens_in: float
    tokens_out: float
    seconds: float


class AnswerStore:
    """Answers by key; made by ``open_store``. Used from one thread at a time, by any number of processes.

    Every row has checksums. One that they do not fit counts as not there: it is asked for again, and a line says so.
    Every method raises IsrfError where the file is damaged beyond its rows or its disk is full.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self.path = connection, path
        self._log = path.resolve().with_name(f"{path.resolve().name}-wal")
        self._synced = time.monotonic()
        self._damaged: set[str] = set()

    def get(self, key: str) -> Completion | None:
        """The answer stored under the key, or None."""
        try:
            row = self._connection.execute(_GET, (key,)).fetchone()
        except sqlite3.Error as error:
            raise _damaged(self.path, error) from error
        if row is None:
            return None
        if not is_whole(row):
            self._tell(key)
            return None
        return row_of(row)[1]

    def put(self, key: str, completion: Completion, origin: Origin) -> Completion:
        """Keep an answer: written before this returns, so that a killed process loses nothing.

        The first answer under a key stays, also where another process gave it in the meantime.

        Returns:
            The answer that is now under the key, as ``get`` gives it. Text that is not Unicode (a lone surrogate, which
            no UTF-8 file can hold) has "?" there; ``replies`` lets none through.
        """
        values = values_of(key, completion, origin)
        try:
            if key in self._damaged:
                self._drop(key)
            try:
                kept = self._connection.execute(PUT_ANSWER, values).rowcount == 1
            except UnicodeEncodeError:
                kept = False
                plain = [unicode_text(v) if isinstance(v, str) else v for v in values[:-2]]
                self._connection.execute(PUT_ANSWER, with_sums(plain))
        except sqlite3.Error as error:
            raise _damaged(self.path, error) from error
        self._sync()
        return completion if kept else self.get(key) or completion

    def add(self, rows: Iterable[Row]) -> int:
        """Keep many answers, all or none of them, in one transaction; how many were new. First answers stay.

        Damaged ones are replaced, and count as new. Other processes wait as long as this takes: give it no more than some
        thousand at a time.
        """
        values = [values_of(*row) for row in rows]
        with self._explained(), self._transaction():
            added = self._connection.executemany(PUT_ANSWER, values).rowcount
            if added < len(values):
                for one in values:
                    if self.get(one[0]) is None:
                        self._drop(one[0])
                        added += self._connection.execute(PUT_ANSWER, one).rowcount
        self._sync()
        return added

    def rows(self) -> Iterator[Row]:
        """All answers as of now, in the order of their keys, a few in memory at a time."""
        with self._explained():
            for row in self._connection.execute(f"SELECT {COLUMNS} FROM answers ORDER BY key"):
                if is_whole(row):
                    yield row_of(row)
                else:
                    self._tell(str(row[0]))

    def measured(self, supplier: str, model: str, kind: str, ask: str) -> Measured | None:
        """What the answers to one sort of question took, None where there are none. Walks over the whole table."""
        where = "supplier = ? AND model = ? AND kind = ? AND ask = ?"
        count, sums = self._sums(
            ("tokens_in", "tokens_out", "seconds"), where, (unicode_text(supplier), unicode_text(model), kind, ask)
        )
        return Measured(count, *(total / count for total in sums)) if count else None

    def remembered(self, supplier: str, model: str) -> dict[str, Any] | None:
        """What was negotiated with an endpoint when it was last asked, None where it never was."""
        query = "SELECT supplier, model, dialect, checksum FROM dialects WHERE supplier = ? AND model = ?"
        with self._explained():
            row = self._connection.execute(query, (unicode_text(supplier), unicode_text(model))).fetchone()
            if row is None:
                return None
            if checksum(*row[:-1]) != row[-1]:
                note(f"{self.path}: what was found out about an endpoint is damaged, and is found out again")
                return None
            return dict(json.loads(row[2]))

    def remember(self, supplier: str, model: str, dialect: dict[str, Any]) -> None:
        """Keep what was negotiated with an endpoint, in place of what was known; ``dialect`` is JSON-able."""
        values = (unicode_text(supplier), unicode_text(model), json.dumps(dialect, sort_keys=True))
        with self._explained():
            self._connection.execute(PUT_DIALECT, (*values, checksum(*values)))

    def __len__(self) -> int:
        with self._explained():
            return int(self._connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def tokens(self) -> tuple[int, int]:
        """Tokens in and out of all answers. Walks over the whole table."""
        _, (tokens_in, tokens_out) = self._sums(("tokens_in", "tokens_out"))
        return int(tokens_in), int(tokens_out)

    def _sums(self, names: Sequence[str], where: str = "TRUE", values: Sequence[str] = ()) -> tuple[int, list[float]]:
        """How many undamaged answers there are, and sums of columns of ``ABOUT`` over them."""
        query = f"SELECT key, {', '.join(ABOUT)}, about_sum FROM answers WHERE {where}"
        places = [ABOUT.index(name) + 1 for name in names]
        count, sums = 0, [0.0] * len(names)
        with self._explained():
            for row in self._connection.execute(query, values):
                if checksum(*row[:-1]) == row[-1]:
                    count += 1
                    sums = [total + row[at] for total, at in zip(sums, places, strict=True)]
        return count, sums

    def tell_damaged(self) -> None:
        """Say how many damaged answers were met and not replaced, if there were any."""
        if self._damaged:
            note(f"{self.path}: damaged answers met and not replaced: {len(self._damaged):,}")

    def _drop(self, key: str) -> None:
        self._connection.execute("DELETE FROM answers WHERE key = ?", (key,))
        self._damaged.discard(key)

    def _tell(self, key: str) -> None:
        """Say once that rows are damaged; ``open_store`` says at its end how many were met."""
        if not self._damaged:
            note(
                f"{self.path}: holds damaged answers (not what was written); they count as not there and are asked for again"
            )
        self._damaged.add(key)

    def _sync(self) -> None:
        """Bring answers to the disk, now and then: a loss of power takes those of the last moments."""
        now = time.monotonic()
        if now - self._synced >= SYNC_EVERY_S:
            with suppress(OSError):  # gone, where another process has just tidied it away
                sync_file(self._log)
            self._synced = now

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
        prepare(connection, path)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise _damaged(path, error) from error
    except IsrfError:
        if connection is not None:
            connection.close()
        raise
    store = AnswerStore(connection, path)
    try:
        yield store
    finally:
        connection.close()
        store.tell_damaged()


@contextmanager
def read_store(path: Path) -> Iterator[AnswerStore]:
    """Open a store to look into it: nothing is made or changed, so that it works where nothing may be written.

    One of an older version, whose rows have no checksums yet, is brought to this one in memory.

    Raises:
        IsrfError: as ``open_store``, and there is no such file.
    """
    with ExitStack() as opened:
        try:
            connection = opened.enter_context(reading(path))
            distrust(connection)
            version = checked(connection, path)
            if version == 0:
                raise sqlite3.DatabaseError("it is empty")
            if version == UPGRADED:
                memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                opened.callback(memory.close)
                connection.backup(memory)
                connection = memory
                prepare(connection, path, lasting=False)
            connection.text_factory = lenient
        except (sqlite3.Error, OSError) as error:
            raise _damaged(path, error) from error
        store = AnswerStore(connection, path)
        try:
            yield store
        finally:
            store.tell_damaged()


def _damaged(path: Path, error: Exception) -> IsrfError:
    if is_busy(error):
        return IsrfError(f"{path}: another command is writing into it; run again when it has ended")
    return IsrfError(
        f"{path}: cannot use this store of answers ({error}); free space if the disk is full, otherwise move the file "
        "away, and answers will be asked for again"
    )
