"""One line for what the system refuses: memory, disk, permissions, names. Knows no command and no room."""

from __future__ import annotations

import errno
import os
from types import TracebackType

from isrf.core.errors import NO_PERMISSION, out_of_memory, out_of_room
from isrf.core.files import LONGEST_NAME, shown, size
from isrf.core.memory import process_memory

OF_NAMES = {
    errno.ENAMETOOLONG: f"the name is too long (a name may have {LONGEST_NAME} bytes); give a shorter one",
    errno.ENOTDIR: "a file stands where a folder is needed; check the path",
    errno.EISDIR: "is a folder where a file is needed; name a file in it",
    errno.ELOOP: "symbolic links lead round in a circle; fix them",
    errno.ENXIO: "is not a regular file; name one",
    errno.EILSEQ: "this file system cannot have such a name; give another one",
}
PACKAGE = "isrf"


def line_of(error: BaseException) -> str | None:
    """What to tell of an exception that is no IsrfError but nobody's fault; None where it is a fault of ours."""
    too_large = out_of_memory(error)
    if too_large is not None:
        what = f" {too_large} were asked for" if too_large else ""
        place = f" {'by' if what else 'by what'} {_place(error.__traceback__)}"
        return (
            f"not enough memory:{what}{place}{'' if what else ' does'}; this process may use {size(process_memory())}: close "
            "other programs, raise its limit (ulimit -v, a container's), lower the settings called block and batch_size, or "
            "give less data"
        )
    file = getattr(error, "filename", None)
    name = shown(os.fsdecode(file)) if isinstance(file, str | bytes | os.PathLike) else None
    if out_of_room(error):
        return f"no room left to write {name or 'the files of this command'}; free some space and run again"
    if isinstance(error, OSError) and error.errno in NO_PERMISSION:
        return f"{name}: {os.strerror(error.errno)}; check permissions"
    if isinstance(error, OSError) and error.errno in OF_NAMES and name is not None:
        return f"{name}: {OF_NAMES[error.errno]}"
    return None


def _place(trace: TracebackType | None) -> str:
    """The innermost function of this package that was at work: "isrf.graphs.prefix_index (index)"."""
    found = PACKAGE
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.split(".")[0] == PACKAGE and not module.startswith(f"{PACKAGE}.cli"):
            found = f"{module} ({trace.tb_frame.f_code.co_name})"
        trace = trace.tb_next
    return found
