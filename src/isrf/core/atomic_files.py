"""Files that appear whole or not at all, also when power fails. Knows nothing about what is in them.

Every file that replaces another, or that a later command takes for finished work, is written here: under a name that
nobody can foresee, in the same folder, opened exclusively (so no link is followed and no other file is destroyed), brought
to the disk, renamed, and removed where anything fails. Folders that are swapped as a whole, and files that move into a folder
together, are moved here too.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, TextIO, cast

UNPREDICTABLE_BYTES = 8
LONGEST_STEM = 100
"""Characters of the final name that the temporary one repeats; names of 255 bytes have no room for more beside the rest."""


TEMPORARY = re.compile(rf"\..*\.[0-9a-f]{{{2 * UNPREDICTABLE_BYTES}}}\.tmp", re.DOTALL)
"""Names of what a kill leaves behind."""
PREVIOUS = ".old"
"""Suffix of a folder that has stepped aside for a new one."""
STREAMS = ("/dev/", "/proc/", "/sys/")
MEMORY_FILES = "/dev/shm/"
"""Files under the former are no files: renaming one over them would take a terminal or a device away from everybody. Those
in memory are files like others, in a folder that everybody may write to."""


@contextmanager
def replacing_binary(path: Path) -> Iterator[BinaryIO]:
    """A stream of bytes that becomes the file ``path`` when the block ends well; see the module.

    A link at ``path`` is replaced itself; what it points to stays as it is. The mode of a file that is replaced is kept.
    So is a pipe, which somebody else may have put there: only ``output_file`` writes into one.

    Raises:
        OSError: as the system says; nothing is left behind, and what was at ``path`` before is still there.
    """
    partial, file = _opened(path)
    with _replacing(partial, path), file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """``replacing_binary`` for a file that the user named: a device, pipe or terminal is written to as it is."""
    if is_stream(path):
        with path.open("wb") as stream:
            yield stream
        return
    with replacing_binary(path) as file:
        yield file


@contextmanager
def _replacing(partial: Path, path: Path) -> Iterator[None]:
    try:
        yield
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


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """An empty folder that becomes ``folder``, in place of what was there, when the block ends well.

    What was there steps aside first, under a name of its own: a kill in between leaves one of the two whole, and
    ``recover_folder`` puts it back.

    Raises:
        OSError: as the system says; nothing is left behind, and ``folder`` is as it was.
    """
    partial = folder.with_name(_temporary(folder.name))
    partial.mkdir(parents=True)
    try:
        yield partial
        sync_tree(partial)
        previous = folder.with_name(folder.name + PREVIOUS)
        if os.path.lexists(folder):
            discard(previous)
            folder.rename(previous)
        partial.rename(folder)
    except BaseException:
        discard(partial)
        recover_folder(folder)
        raise
    sync_folder(folder.parent)
    discard(previous)


def recover_folder(folder: Path) -> None:
    """Put back what a kill left aside between the two renames of ``replacing_folder``."""
    previous = folder.with_name(folder.name + PREVIOUS)
    if not os.path.lexists(folder) and previous.is_dir() and not previous.is_symlink():
        previous.rename(folder)


def move_folder(source: Path, target: Path) -> None:
    """Rename a finished folder to a name where nothing is, all of it on the disk first; OSError where something is there."""
    sync_tree(source)
    source.rename(target)
    sync_folder(target.parent)


def move_into(folder: Path, files: Iterable[Path]) -> None:
    """Rename files that are on the disk (``sync_file``) into another folder, and bring the new names to the disk."""
    for path in files:
        path.replace(folder / path.name)
    sync_folder(folder)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file another name, where nothing is yet; a copy on the disk where the system makes no hard links.

    For files that are never written into, only replaced: both names have the same bytes.
    """
    try:
        os.link(source.resolve(), target)  # it may be a link itself
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
        sync_file(target)


def discard(path: Path) -> None:
    """Delete a file, a link itself, or a folder with all that is in it; nothing where nothing is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def leftovers(folder: Path) -> list[Path]:
    """Temporary files and folders of killed commands; only whoever holds the workspace may delete them."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if TEMPORARY.fullmatch(path.name))


def is_stream(path: Path) -> bool:
    """Whether a path that a user named is a device, pipe or terminal, maybe through links: nothing to replace."""
    place = str(path.absolute())
    if place.startswith(STREAMS) and not place.startswith(MEMORY_FILES):
        return True
    with suppress(OSError):
        mode = path.stat().st_mode
        return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
    return False


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


def sync_tree(folder: Path) -> None:
    """Bring a folder to the disk with all that is in it."""
    for place in folder.rglob("*"):
        sync_folder(place) if place.is_dir() else sync_file(place)
    sync_folder(folder)


def _opened(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside ``path`` and its stream, with the mode of ``path`` where there is such a file."""
    partial = path.with_name(_temporary(path.name))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(partial, flags, 0o666)
    with suppress(OSError):
        before = path.lstat()
        if stat.S_ISREG(before.st_mode):
            partial.chmod(stat.S_IMODE(before.st_mode))
    file: IO[bytes] = os.fdopen(descriptor, "wb")
    return partial, cast(BinaryIO, file)


def _temporary(name: str) -> str:
    stem = name.encode("utf-8", "surrogateescape")[:LONGEST_STEM].decode("utf-8", "ignore")
    return f".{stem}.{secrets.token_hex(UNPREDICTABLE_BYTES)}.tmp"
