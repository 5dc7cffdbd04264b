"""A workspace: a folder with one sub-folder a stage, of each version. Knows nothing about what the stages hold."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isrf.core.atomic_files import discard, leftovers
from isrf.core.errors import IsrfError, out_of_room
from isrf.core.files import is_there, require_text_name
from isrf.core.locks import held
from isrf.core.progress import note
from isrf.core.shell import argument, run_call
from isrf.workspace.layout import (
    BENCH_FOLDER,
    CURRENT_FILE,
    FINDINGS_FOLDER,
    RANKS_FOLDER,
    SETTINGS_FILE,
    STAGE_FILE,
    STAGES,
)
from isrf.workspace.links import check_links
from isrf.workspace.partial_folder import PARTIAL, is_spent
from isrf.workspace.snapshot import read_once
from isrf.workspace.stage import Stage
from isrf.workspace.stage_files import artifacts_in
from isrf.workspace.stage_record import seal_record
from isrf.workspace.versions import FIRST, Current, home_of, read_current, versions_there, write_current

KEPT_FOLDERS = (BENCH_FOLDER, f"{BENCH_FOLDER}/{RANKS_FOLDER}", FINDINGS_FOLDER)
"""Beside those of the stages: what benches and looks into the workspace leave."""
LAST = "ranking"
"""The stage that an update builds last."""


@dataclass(frozen=True)
class Workspace:
    """A folder of stages, those of one version.

    Attributes:
        root: the folder, as the user named it: settings, rules, stores, benches and reports of all versions.
        version: whose stages these are; 0 at first = the one that counts now.
    """

    root: Path
    version: int = 0

    def __post_init__(self) -> None:
        if not self.version:
            object.__setattr__(self, "version", read_current(self.root).version)

    @property
    def home(self) -> Path:
        """Folder that the stages of the version stand in."""
        return home_of(self.root, self.version)

    def stage(self, name: str) -> Stage:
        assert name in STAGES, name
        return Stage(self.root, name, self.home)

    @contextmanager
    def held(self, updating: bool = False) -> Iterator[None]:
        """Let no other command write into the workspace until the block ends; what killed commands left is cleared away.

        Args:
            updating: keep what an update left that was killed, for whoever goes on with it.

        Raises:
            IsrfError: another command is writing into it, or made another version of it count meanwhile.
        """
        with held(self.root) as outermost:
            if outermost:
                if read_current(self.root).version != self.version:
                    raise IsrfError(f"{self.root}: another isrf command made a new version of it; run again")
                self.tidy(updating)
            yield

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Read in a block what belongs together; IsrfError where another command finished a stage meanwhile."""
        before = self._state()

        def changed() -> IsrfError:
            return IsrfError(
                f"{self.root}: another isrf command changed it while it was read; run again when that command has ended"
            )

        try:
            with read_once():
                yield
        except Exception as error:
            if self._state() != before:  # a file that was just replaced is no damaged one
                raise changed() from error
            raise
        if self._state() != before:
            raise changed()

    def _state(self) -> list[tuple[int, int, int] | None]:
        found: list[tuple[int, int, int] | None] = []
        for name in STAGES:
            try:
                about = (self.home / name / STAGE_FILE).stat()
                found.append((about.st_ino, about.st_mtime_ns, about.st_size))
            except OSError:
                found.append(None)
        return found

    def next_version(self) -> Workspace:
        """The version that an update builds: one that was begun and never counted, else a new one."""
        kept = read_current(self.root).kept
        begun = [number for number in versions_there(self.root) if number > max(kept)]
        return Workspace(self.root, begun[0] if begun else max(kept) + 1)

    def make_current(self, previous: int | None) -> None:
        """Let this version count from now on, and keep one more; all others are deleted."""
        write_current(self.root, Current(self.version, previous))
        self._discard_versions({self.version, previous} - {None})

    def _discard_versions(self, kept: Collection[int | None]) -> None:
        """Delete all versions but some; of the first, which stands at the top, its stages but not the stores."""
        for number in versions_there(self.root):
            if number not in kept and number != FIRST:
                discard(home_of(self.root, number))
        if FIRST in kept or not (self.root / CURRENT_FILE).exists():
            return
        for stage in STAGES:
            folder = self.root / stage
            for path in (folder / STAGE_FILE, folder / PARTIAL, *artifacts_in(folder)):
                discard(path)

    def tidy(self, updating: bool = False) -> None:
        """Delete what nobody can use any more: temporary files of killed commands, builds that were finished, old versions.

        Records of stages by an older isrf get a digest of themselves. Only for whoever holds the workspace.
        """
        kept = read_current(self.root).kept
        begun = {number for number in versions_there(self.root) if number > max(kept)}
        if not updating and (self.root / CURRENT_FILE).exists():
            begun = set()
        elif not updating:  # where that file was lost, a finished version stays: nobody knows whether it counted
            begun = {number for number in begun if (home_of(self.root, number) / LAST / STAGE_FILE).exists()}
        self._discard_versions(kept | begun)
        sealed = 0
        for stage in map(self.stage, STAGES):
            record, finished = stage.folder / STAGE_FILE, None
            if record.is_file():
                try:
                    sealed += seal_record(record)
                    finished = (stage.info() or {}).get("key")
                except IsrfError:  # whoever reads it says so; a build beside it may be all that is left
                    continue
            if is_spent(stage.partial, finished):
                discard(stage.partial)
        for place in (*STAGES, *KEPT_FOLDERS):
            for folder in {self.root / place, self.home / place}:
                for path in leftovers(folder):
                    discard(path)
        for path in leftovers(self.root):
            if path.name.startswith((f".{SETTINGS_FILE}.", f".{CURRENT_FILE}.")):  # a report may be on its way
                discard(path)
        if sealed:
            note(f"{self.root}: {sealed} records of stages by an older isrf were given a digest of themselves")

    @classmethod
    def existing(cls, root: Path) -> Workspace:
        """An existing workspace; IsrfError where the folder is none, or has links that lead out of it."""
        require_text_name(root, "the workspace")
        if is_there(root) and root.is_file():
            raise IsrfError(f"{root}: is a file; a workspace is the folder that `{making('WS')}` makes")
        if not is_there(root / "dataset") or not (root / "dataset").is_dir():
            # a folder that holds other things would be refused
            taken = is_there(root) and root.is_dir() and any(root.iterdir())
            raise IsrfError(
                f"{root}: not a workspace (no dataset/ in it); make one with `{making('WS' if taken else root)}`"
            )
        check_links(root)
        return cls(root)

    @classmethod
    def create(cls, root: Path) -> Workspace:
        """The workspace at ``root``, made if need be; a folder with other things in it is refused."""
        require_text_name(root, argument("out"))
        if is_there(root) and not root.is_dir():
            raise IsrfError(f"{root}: is a file; {argument('out')} names a folder")
        if is_there(root) and not (root / "dataset").is_dir() and any(root.iterdir()):
            raise IsrfError(
                f"{root}: holds other files and is not a workspace; name a new or empty folder with {argument('out')}"
            )
        check_links(root)
        try:
            (root / "dataset").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if out_of_room(error):
                raise
            raise IsrfError(
                f"{root}: cannot be made ({error.strerror}: {error.filename}); choose another folder with {argument('out')}"
            ) from None
        if not os.access(root, os.W_OK):
            raise IsrfError(f"{root}: may not be written to; choose another folder with {argument('out')}")
        return cls(root)


def making(root: Path | str) -> str:
    """What makes a workspace."""
    return run_call(root)
