"""A workspace: a folder with one sub-folder a stage. Knows nothing about what the stages hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from isrf.core.files import is_there, require_text_name
from isrf.errors import IsrfError, out_of_room
from isrf.stage import STAGES, Stage


@dataclass(frozen=True)
class Workspace:
    """A folder of stages."""

    root: Path

    def stage(self, name: str) -> Stage:
        assert name in STAGES, name
        return Stage(self.root, name)

    @classmethod
    def existing(cls, root: Path) -> Workspace:
        """An existing workspace; IsrfError where the folder is none."""
        require_text_name(root, "the workspace")
        if is_there(root) and root.is_file():
            raise IsrfError(f"{root}: is a file; a workspace is the folder that `isrf run --data SRC --out WS` makes")
        if not is_there(root / "dataset") or not (root / "dataset").is_dir():
            raise IsrfError(
                f"{root}: not a workspace (no dataset/ in it); make one with `isrf run --data SRC --out {root}`"
            )
        return cls(root)

    @classmethod
    def create(cls, root: Path) -> Workspace:
        """The workspace at ``root``, made if need be; a folder with other things in it is refused."""
        require_text_name(root, "--out")
        if is_there(root) and not root.is_dir():
            raise IsrfError(f"{root}: is a file; --out names a folder")
        if is_there(root) and not (root / "dataset").is_dir() and any(root.iterdir()):
            raise IsrfError(f"{root}: holds other files and is no workspace; name a new or empty folder with --out")
        try:
            (root / "dataset").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if out_of_room(error):
                raise
            raise IsrfError(
                f"{root}: cannot be made ({error.strerror}: {error.filename}); choose another folder with --out"
            ) from None
        if not os.access(root, os.W_OK):
            raise IsrfError(f"{root}: may not be written to; choose another folder with --out")
        return cls(root)
