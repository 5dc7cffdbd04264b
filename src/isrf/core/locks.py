"""The lock of a workspace: one command at a time writes into it. Knows nothing about what is written.

A command holds the workspace from before it remembers its settings until its result is told (``held``); each piece that
writes asks for the right to (``alone``), which a command that holds the workspace has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path

from filelock import FileLock, Timeout

from isrf.core.errors import NO_PERMISSION, IsrfError, out_of_room

LOCK = ".lock"


class NotWritable(IsrfError):
    """A folder can be read and not be written into; who only looks into it can do without the lock."""


_HELD: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())
_WRITING: ContextVar[frozenset[Path]] = ContextVar("writing", default=frozenset())
"""Folders that this thread of work holds, and those that it is writing into; other threads are as other commands."""


@contextmanager
def held(root: Path) -> Iterator[bool]:
    """Hold a folder's lock for a whole command, or IsrfError at once; within a block that holds it already, go on.

    Gives whether this block is the outermost one.
    """
    place = root.resolve()
    if place in _HELD.get():
        yield False
        return
    with _locked(root):
        token = _HELD.set(_HELD.get() | {place})
        try:
            yield True
        finally:
            _HELD.reset(token)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold a folder's lock for one thing that is written, or IsrfError: two at a time would mix their files.

    A command that holds the folder goes on, unless it is within such a block already.
    """
    place = root.resolve()
    if place in _WRITING.get():
        raise _taken(root)
    with nullcontext() if place in _HELD.get() else _locked(root):
        token = _WRITING.set(_WRITING.get() | {place})
        try:
            yield
        finally:
            _WRITING.reset(token)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    path = root / LOCK
    if path.is_symlink() or path.is_dir():  # a link would be followed by some versions of the library
        what = "link" if path.is_symlink() else "folder"
        raise IsrfError(
            f"{path}: is a {what}, and a lock is a plain file that isrf makes; delete the {what} and run again"
        )
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _taken(root) from None
    except OSError as error:
        if out_of_room(error):
            raise
        if error.errno in NO_PERMISSION:
            raise NotWritable(f"{path}: cannot be made or locked ({error.strerror}); check permissions") from None
        raise IsrfError(
            f"{path}: cannot be locked ({error.strerror or error}); check permissions, and delete the file where no other "
            "isrf command is running"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _taken(root: Path) -> IsrfError:
    return IsrfError(f"{root}: another isrf command is writing into it; wait until it has ended")
