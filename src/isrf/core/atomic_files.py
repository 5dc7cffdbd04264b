"""Files that appear whole or not at all, also when power fails. Knows nothing about what is in them.

Every file that replaces another, or that a later command takes for finished work, is written here: under a name that
nobody can foresee, in the same folder, opened exclusively (so no link is followed and no other file is destroyed), brought
to the disk, renamed, and removed where anything fails.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, TextIO, cast

UNPREDICTABLE_BYTES = 8
LONGEST_STEM = 100
"""Characters of the final name that the temporary one repeats; names of 255 bytes have no room for more beside the rest."""


@contextmanager
def replacing_binary(path: Path) -> Iterator[BinaryIO]:
    """A stream of bytes that becomes the file ``path`` when the block ends well; see the module.

    A link at ``path`` is replaced itself; what it points to stays as it is. The mode of a file that is replaced is kept.

    Raises:
        OSError: as the system says; nothing is left behind, and what was at ``path`` before is still there.
    """
    partial, file = _opened(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def replacing_text(path: Path, newline: str | None = None, errors: str = "strict") -> Iterator[TextIO]:
    """``replacing_binary`` for text in UTF-8; ``newline`` and ``errors`` as in ``open``."""
    import io

    with replacing_binary(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", newline=newline, errors=errors)
        try:
            yield text
            text.flush()
        finally:
            with suppress(
                ValueError, OSError
            ):  # closed, or flushed in vain: the error that led here is the one to tell
                text.detach()


def write_atomic(path: Path, text: str) -> None:
    """Replace the text file ``path``.

    Bytes of an argument that are no UTF-8 (a file name, say) come as half a surrogate pair, which JSON can escape.

    Raises:
        OSError: as ``replacing_binary``.
    """
    with replacing_binary(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def sync_file(path: Path) -> None:
    """Bring a finished file's bytes to the disk, before a rename or a record says that they are kept."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, so that a rename in it survives a loss of power.

    Systems that cannot open a folder (Windows) or sync one (some network file systems) do without.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _opened(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside ``path`` and its stream, with the mode of ``path`` where there is such a file."""
    name = path.name.encode("utf-8", "surrogateescape")[:LONGEST_STEM].decode("utf-8", "ignore")
    partial = path.with_name(f".{name}.{secrets.token_hex(UNPREDICTABLE_BYTES)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(partial, flags, 0o666)
    with suppress(OSError):
        before = path.lstat()
        if stat.S_ISREG(before.st_mode):
            partial.chmod(stat.S_IMODE(before.st_mode))
    file: IO[bytes] = os.fdopen(descriptor, "wb")
    return partial, cast(BinaryIO, file)
