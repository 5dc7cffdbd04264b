"""Standard output and error that cannot fail a command: what cannot be written is counted as lost, and told at the end.

A character that the encoding of a terminal lacks is written as its escape. A reader that went away (``| head``), a closed
stream, a full disk behind a redirection: the work goes on, and ``unwritten`` says what became of the output.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import Any, TextIO

STREAMS = {"stdout": 1, "stderr": 2}
"""Name in ``sys`` -> its file descriptor."""


class Tolerant(io.RawIOBase):
    """Raw bytes to a stream; the first error is remembered, and everything behind it is dropped.

    Attributes:
        error: what ended the stream, None while everything was written.
    """

    def __init__(self, inner: Any, descriptor: int, owner: Any = None) -> None:
        """``inner`` is the raw stream, None where the process was started without one; ``owner`` would close it if freed."""
        self.inner, self.descriptor, self.owner = inner, descriptor, owner
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return self.inner is not None and os.isatty(self.descriptor)

    def write(self, data: Any) -> int:
        if self.inner is None and self.error is None:
            self.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self.error is not None:
            return len(data)
        try:
            while (written := self.inner.write(data)) is None:  # a pipe that does not block, and is full
                select.select([], [self.descriptor], [])
        except (OSError, ValueError) as error:
            self.error = error if isinstance(error, OSError) else OSError(errno.EIO, str(error))
            return len(data)
        return int(written)


_tolerant: dict[str, Tolerant] = {}
_kept: list[str] = []


def tolerate() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr`` by streams that never raise; those of a test that captures stay."""
    _tolerant.clear()
    _kept.clear()
    for name, descriptor in STREAMS.items():
        stream: TextIO | None = getattr(sys, name)
        raw: Any = None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
            buffer = getattr(stream, "buffer", None)
            raw = getattr(buffer, "raw", buffer)
            if not isinstance(raw, io.RawIOBase):
                continue
        else:
            occupy(descriptor)
        _tolerant[name] = tolerant = Tolerant(raw, descriptor, stream)
        wrapper = io.TextIOWrapper(
            io.BufferedWriter(tolerant),
            encoding=getattr(stream, "encoding", None) or "utf-8",
            errors="backslashreplace",
            line_buffering=name == "stderr" or tolerant.isatty(),
        )
        setattr(sys, name, wrapper)


def occupy(descriptor: int) -> None:
    """Let a closed descriptor lead nowhere, so that no file that is opened later gets its number, and the output."""
    try:
        os.fstat(descriptor)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def unwritten() -> OSError | None:
    """Why something printed on standard output did not arrive, None where all of it did."""
    for name in STREAMS:
        stream = getattr(sys, name)
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    return _tolerant["stdout"].error if "stdout" in _tolerant else None


def found_again(remedy: str) -> None:
    """What is printed from here on is kept: the words say where, for whoever could not read it here."""
    _kept.append(remedy)


def still_there() -> str | None:
    """Where the answer of this command is found besides standard output, None where nowhere."""
    return _kept[-1] if _kept else None


def speaks_unicode() -> bool:
    """Whether standard output takes every character as it is."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").replace("_", "").startswith("utf")
