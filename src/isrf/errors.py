"""The one exception that users are meant to see, and what tells a full disk. Knows nothing about any room."""

from __future__ import annotations

import errno
import re
import sqlite3

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class IsrfError(Exception):
    """Something the user can put right: the message is one clear line that says what and how.

    The command line prints it and exits with code 2; a library caller catches it like any exception.
    """


class CannotFit(IsrfError):
    """A method does not fit this data: it would take too much memory, or its training diverged.

    A comparison goes on without the method and says so; any other IsrfError ends it.
    """


def out_of_room(error: BaseException) -> bool:
    """Whether something failed because a disk, quota or file size was exhausted, whatever the library calls it."""
    if isinstance(error, OSError):
        return error.errno in NO_ROOM
    if isinstance(error, sqlite3.Error):
        # on a full disk the write-ahead log cannot grow: SQLite calls that an I/O error
        name = getattr(error, "sqlite_errorname", "")
        return name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE")
    # Rust libraries (polars, safetensors) keep the system's number in their text only, and polars not even that where
    # the footer of a Parquet file does not fit
    return "Invalid thrift: transport error" in str(error) or any(
        int(number) in NO_ROOM for number in re.findall(r"\(os error (\d+)\)", str(error))
    )
