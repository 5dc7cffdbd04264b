"""Which of the processes that were started together this one is. Starts none; does not know what they exchange.

``torchrun`` and ``accelerate launch`` tell each process by the environment.
"""

from __future__ import annotations

import os

from isrf.core.errors import IsrfError
from isrf.core.shell import command_line


def count() -> int:
    """Processes that were started together; 1 for a plain command."""
    return int(os.environ["WORLD_SIZE"]) if {"WORLD_SIZE", "RANK"} <= set(os.environ) else 1


def rank() -> int:
    """The number of this process, 0 to ``count() - 1``; 0 is the main one, which alone writes files and tells."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def check_shared(command: str | None) -> None:
    """Raises IsrfError where several processes were started with a command that does not share its work out."""
    if count() > 1 and command != "train":
        raise IsrfError(
            f"isrf {command} runs in one process, and {count()} were started; only `{command_line('isrf', 'train')}` shares "
            "its work out"
        )
