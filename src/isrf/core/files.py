"""Files opened by the very name that was given, and only regular ones. Knows nothing about what is in them.

Libraries take a path for more than a name: ``[1]``, ``*`` and ``?`` for patterns, ``s3:`` and ``file:`` for addresses,
``.bz2`` for a request to decompress. So nobody hands them a path: a file is opened here, and they get the open file.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from isrf.core.errors import NO_PERMISSION, IsrfError
from isrf.core.terminal_text import visible

LONGEST_NAME = 255
"""Bytes of one name in a path, on nearly every file system."""

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

CHECK = "check the path"


def shown(path: str | Path) -> str:
    r"""A path as a message shows it: bytes that are no UTF-8 and control characters as escapes, impossible names cut.

    >>> shown("log\udcff.csv"), shown("two\nlines")
    ('log\\xff.csv', 'two\\nlines')
    """
    names = [n if len(n) <= LONGEST_NAME else f"{n[:40]}...{n[-20:]}" for n in str(path).split("/")]
    return visible("/".join(names).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def opened(path: Path, remedy: str = CHECK) -> BufferedReader:
    """The regular file of that very name, open for reading bytes.

    Pipes and devices are refused rather than waited for: files are read twice, for their digest and for what they say.

    Raises:
        IsrfError: one line with what is wrong with the path, and ``remedy``.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise not_regular(path, mode)
        return path.open("rb")
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in NO_PERMISSION:
            remedy = "change its permissions"
        raise IsrfError(f"{shown(path)}: {fault_of(error)}; {remedy}") from None


def not_regular(path: Path, mode: int) -> IsrfError:
    """What to say of a folder, pipe, socket or device where a file has to be."""
    kind = next((name for test, name in KINDS if test(mode)), "no regular file")
    if kind == "a folder":
        return IsrfError(f"{shown(path)}: is a folder where a file is needed; name the file")
    return IsrfError(f"{shown(path)}: is {kind} where a file is needed; write what it gives into a file and name that")


def fault_of(error: OSError | ValueError) -> str:
    """Why a path cannot be opened, in words."""
    if not isinstance(error, OSError):
        return "no file can have this name"  # a null byte
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "no such file"
    if error.errno == errno.EISDIR:
        return "is a folder where a file is needed"
    if error.errno in NO_PERMISSION:
        return "cannot be read: permission denied"
    if error.errno == errno.ENAMETOOLONG:
        return f"the name is too long (a name may have {LONGEST_NAME} bytes)"
    return f"cannot be read ({' '.join(str(error.strerror or error).split())})"


def is_there(path: Path) -> bool:
    """Whether there is anything of that name; False too for what no name can be, or for folders that may not be entered.

    ``Path.exists`` raises for a name that is too long.
    """
    return os.path.exists(path)  # noqa: PTH110


def require_text_name(path: Path, what: str) -> None:
    r"""Refuse a name that is not UTF-8 where it has to be written into files and pages.

    >>> require_text_name(Path("ws\udcff"), "--out")
    Traceback (most recent call last):
    isrf.core.errors.IsrfError: --out ws\xff: the name is not UTF-8 text; name a folder that is
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise IsrfError(f"{what} {shown(path)}: the name is not UTF-8 text; name a folder that is") from None


def size(count: float) -> str:
    """A number of bytes in words.

    >>> size(11_500_000_000), size(2_300_000), size(12)
    ('11.5 GB', '2.3 MB', '12 bytes')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} bytes"
