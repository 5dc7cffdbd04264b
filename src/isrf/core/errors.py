"""The one exception that users are meant to see, and what tells a full disk or memory. Knows nothing about any room."""

from __future__ import annotations

import errno
import re
import sqlite3

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


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


MEMORY_WORDS = re.compile(
    r"out of memory|not enough memory|can(?:'t|not) allocate memory|memory allocation of \d+ bytes failed|bad_alloc"
    r"|m?alloc of size \d+ failed|unable to allocate|\(os error 12\)|can't start new thread",
    re.IGNORECASE,
)
"""What libraries say whose exceptions for that are no MemoryError: torch, faiss, polars, safetensors, Python's threads."""
REQUESTS = (
    re.compile(r"nable to allocate (?P<told>[\d.]+ \w+ for an array with shape \([\d, ]*\))"),
    re.compile(r"ried to allocate (?P<told>[\d.]+ \w+)"),
    re.compile(r"alloc(?:ation)? of (?:size )?(?P<told>\d+(?: bytes)?)"),
)


def out_of_memory(error: BaseException) -> str | None:
    """What was too large where something failed because memory was exhausted, "" where nobody says; None of other faults."""
    told = " ".join(str(error).split())
    if isinstance(error, IsrfError):
        return None
    known = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not known and (isinstance(error, OSError) or not MEMORY_WORDS.search(told)):
        return None
    asked = next((found["told"] for pattern in REQUESTS if (found := pattern.search(told))), "")
    return f"{asked} bytes" if asked.isdigit() else asked
