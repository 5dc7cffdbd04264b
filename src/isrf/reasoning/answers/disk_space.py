"""Whether there is room to keep the answers that are asked for: what was paid for and cannot be kept is paid for again."""

from __future__ import annotations

import shutil
from pathlib import Path

from isrf.core.errors import IsrfError
from isrf.reasoning.answers.replies import CONTENT_BYTES, THINKING_BYTES

ANSWER_BYTES = CONTENT_BYTES + THINKING_BYTES + (1 << 14)
"""Most that one answer takes in the store, with its pages and their copy in the write-ahead log."""


def check_room(store: Path, answers: int) -> None:
    """IsrfError where the disk of a store has no room for so many answers.

    Quotas and limits of file size are not seen here; a write that fails for them stops the asking.
    """
    needed = answers * ANSWER_BYTES
    try:
        free = shutil.disk_usage(store.parent).free
    except OSError:  # a file system that does not say
        return
    if free < needed:
        raise IsrfError(
            f"{store}: {free / 1e6:.1f} MB are left on its disk and the {answers:,} answers that are asked for at once may "
            f"take {needed / 1e6:.1f} MB, so nothing more is asked; answers so far are kept: free some space and run again"
        )
