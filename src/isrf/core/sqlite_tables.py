"""SQLite files that may come from somebody else: nothing in them runs. Knows no table by name.

A view or a trigger in a file is run by whoever reads or writes a table, under that person's name. Our stores have tables
and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path

from isrf.core.errors import IsrfError

PATIENCE_S = 30.0
"""How long another process is waited for."""


def distrust(connection: sqlite3.Connection) -> None:
    """Functions and virtual tables that could do harm are not run from a file's schema. To be called first."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")


def check_tables(connection: sqlite3.Connection, expected: Collection[str]) -> None:
    """Whether a file has these tables, or some of them, and nothing that would run by itself. Changes nothing.

    Raises:
        sqlite3.DatabaseError: names the first thing that does not belong there.
    """
    for kind, name, table, sql in connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
    ):
        plain = kind in ("table", "index") and not str(sql).upper().startswith("CREATE VIRTUAL")
        if not plain or table not in expected:
            raise sqlite3.DatabaseError(f"it has a {kind} {name!r}, which isrf did not make")


def erased(path: Path) -> None:
    """Overwrite where deleted rows stood: pages that nothing uses, and the write-ahead log.

    Raises:
        IsrfError: another process has the file open for writing.
    """
    connection = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise IsrfError(f"{path}: another command has it open, so what was deleted may be in its log; run again")
    except sqlite3.Error as error:
        raise IsrfError(f"{path}: deleted rows could not be overwritten ({error}); run again") from None
    finally:
        connection.close()


def is_busy(error: Exception) -> bool:
    """Whether a file could not be used because another process was writing into it."""
    return str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
