"""A stage of a workspace: a sub-folder whose files are proven whole by its ``stage.json``.

A stage writes into a partial folder; when it is done every file is moved into place and ``stage.json`` is written
last, so a killed run leaves either the old stage or none. Knows nothing about what the stages compute.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from isrf import __version__
from isrf.core.atomic_files import write_atomic
from isrf.errors import CannotFit, IsrfError
from isrf.machine import command, installed_versions, peak_memory_mb

FORMAT = 3
"""Raised when a file's meaning changes; a workspace of another format is refused, never guessed at."""

STAGES = ("dataset", "reasoning", "semantics", "graphs", "ranking", "model", "evaluation")
FIRST_STAGES = STAGES[:4]
"""Each of them is made from those before it; the others are made from all four."""
GRAPHS = STAGES[3]
STAGE_FILE = "stage.json"
PARTIAL = ".partial"
CLAIM, RETRY, SPENT = "key", ".retry", ".seconds"
"""In a partial folder: the key of what is being built; the key of what a next attempt has to have in common with one that
could not be fitted, to go on from there; seconds that stopped runs spent on it."""
LOCK = ".lock"
LIVE_SUFFIXES = (".sqlite", ".sqlite-wal", ".sqlite-shm")
"""Stores that outlive a rebuild of their stage: answers and vectors that were paid for once."""

MADE_BY = {
    "dataset": "isrf data import SRC --out WS",
    "reasoning": "isrf reason WS",
    "semantics": "isrf embed WS",
    "graphs": "isrf graph WS",
    "ranking": "isrf graph WS",
    "model": "isrf train WS",
    "evaluation": "isrf evaluate WS",
}
"""The command that makes each stage."""


def digest_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def scored_by(graphs: dict[str, Any]) -> dict[str, Any]:
    """Settings of finished graphs that scoring reads too, from their ``stage.json``.

    What was fitted to scores depends on them and not on the graphs' file alone; it keeps them as its setting GRAPHS.
    """
    return {name: value for name, value in graphs["settings"].items() if name != "block"}


def key_of(inputs: dict[str, str], settings: dict[str, Any]) -> str:
    """SHA-256 (hex) of what determines a stage's outcome: digests of the files it reads, its settings, and our version."""
    text = json.dumps({"isrf": __version__, "inputs": inputs, "settings": settings}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold a workspace's lock, or IsrfError: two commands that write into one workspace would mix their files."""
    lock = FileLock(root / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise IsrfError(f"{root}: another isrf command is writing into it; wait for its end") from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Stage:
    """One stage of one workspace.

    Attributes:
        root: the workspace's folder.
        name: one of STAGES; also the sub-folder.
    """

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.root / self.name

    @property
    def partial(self) -> Path:
        """Where a build in progress writes; survives a kill, so that checkpoints in it can be resumed."""
        return self.folder / PARTIAL

    def info(self) -> dict[str, Any] | None:
        """What ``stage.json`` says, None where the stage is not finished.

        Raises:
            IsrfError: the file is unreadable or was written by another format of workspace.
        """
        path = self.folder / STAGE_FILE
        if not path.exists():
            return None
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            written = info["format"]
        except (ValueError, KeyError, TypeError):
            raise IsrfError(
                f"{path}: not a readable stage.json; delete the folder {self.folder} and run again"
            ) from None
        if written == FORMAT and not all(is_plain(name) for name in info.get("files", ())):
            raise IsrfError(
                f"{path}: names files outside of its folder, so isrf did not write it; do not use this workspace"
            )
        if written != FORMAT:
            raise IsrfError(
                f"{path}: written by isrf {info.get('versions', {}).get('isrf', '?')} as workspace format {written}, this "
                f"isrf reads format {FORMAT}; run again into a new folder with `isrf run --out NEW`"
            )
        return info

    def require(self) -> dict[str, Any]:
        """``info``, or IsrfError that names the command that makes the stage, or makes it anew."""
        info = self.info()
        if info is None:
            # whatever it would be made from comes first: each is made from all of these before it
            missing = next(
                n for n in (*FIRST_STAGES, self.name) if n == self.name or Stage(self.root, n).info() is None
            )
            raise IsrfError(f"{self.root}: stage {missing!r} is not there yet; make it with `{self.command(missing)}`")
        outdated = self.outdated()
        if outdated is not None:
            stage, changed = outdated
            raise IsrfError(
                f"{self.root}: stage {stage!r} was made from another {changed}; bring it up to date with "
                f"`{self.command(stage)}`"
            )
        return info

    def command(self, stage: str) -> str:
        """The command that makes a stage of this workspace, ready to be typed."""
        return MADE_BY[stage].replace("WS", shlex.quote(str(self.root)))

    def outdated(self) -> tuple[str, str] | None:
        """The first stage, this one or one it was made from, whose inputs have changed since, and the changed file.

        None where everything hangs together, and for a stage that is not finished.
        """
        info = self.info()
        for path, digest in (info["inputs"] if info else {}).items():
            name, _, file = path.partition("/")
            # a file of the source, which need not be there any more; and no stage is made from a later one
            if name not in STAGES[: STAGES.index(self.name)]:
                continue
            before = Stage(self.root, name)
            found = before.outdated()
            if found is not None:
                return found
            made = before.info()
            if made is None or made["files"].get(file, {}).get("sha256") != digest:
                return self.name, path
        fitted_to = info["settings"].get(GRAPHS) if info else None
        graphs = Stage(self.root, GRAPHS).info() if fitted_to is not None else None
        if graphs is not None and fitted_to != scored_by(graphs):
            return self.name, f"{GRAPHS}/{STAGE_FILE}"
        return None

    def ready(self) -> bool:
        """Whether the stage is finished and up to date."""
        return self.info() is not None and self.outdated() is None

    def file(self, name: str) -> Path:
        """Path of a finished artifact, its bytes checked against ``stage.json``.

        Raises:
            IsrfError: the stage is unfinished or outdated, the file is missing, or its bytes are not those that were written.
        """
        recorded = self.require()["files"].get(name)
        path = self.folder / name
        if recorded is None or not path.exists():
            raise IsrfError(f"{path}: missing; delete {self.folder / STAGE_FILE} and run again to make it anew")
        if path.stat().st_size != recorded["bytes"] or digest_of(path) != recorded["sha256"]:
            raise IsrfError(
                f"{path}: corrupted (its bytes are not the ones that were written); delete {self.folder / STAGE_FILE} "
                f"and run again to make it anew"
            )
        return path

    def has(self, name: str) -> bool:
        """Whether the finished stage recorded a file of that name."""
        info = self.info()
        return info is not None and name in info["files"]

    def digests(self, *names: str) -> dict[str, str]:
        """{"stage/name": sha256} of finished files, as the next stage records its inputs."""
        files = self.require()["files"]
        missing = [n for n in names if n not in files]
        if missing:
            raise IsrfError(f"{self.folder / missing[0]}: not recorded in {STAGE_FILE}; run the stage again")
        return {f"{self.name}/{n}": files[n]["sha256"] for n in names}

    def is_current(self, key: str) -> bool:
        """Whether the stage is finished, was made from exactly these inputs and settings, and its files are whole."""
        info = self.info()
        if info is None or info["key"] != key:
            return False
        for name in info["files"]:
            self.file(name)
        return True

    @contextmanager
    def building(
        self,
        inputs: dict[str, str],
        settings: dict[str, Any],
        notes: dict[str, Any],
        retried: dict[str, Any] | None = None,
    ) -> Iterator[Path]:
        """Give a partial folder to write into; publish its files when the block ends without an exception.

        A partial folder left by a killed run with the same inputs and settings is handed out again, else emptied.
        ``notes`` is read when the block ends, so the block may fill it (coverage, summaries) for ``stage.json``.

        Args:
            retried: the part of the settings that must be the same for an attempt that ended with CannotFit to be taken
                up by this one; None takes none up under other settings.
        """
        with alone(self.root):
            yield from self._build(inputs, settings, notes, retried)

    def _build(
        self, inputs: dict[str, str], settings: dict[str, Any], notes: dict[str, Any], retried: dict[str, Any] | None
    ) -> Iterator[Path]:
        key, common = key_of(inputs, settings), "" if retried is None else key_of(inputs, retried)
        claim, retry, spent = (self.partial / name for name in (CLAIM, RETRY, SPENT))
        if not (claim.exists() and claim.read_text() == key):
            if not (common and retry.exists() and retry.read_text() == common):
                shutil.rmtree(self.partial, ignore_errors=True)
                self.partial.mkdir(parents=True)
            claim.write_text(key)
            retry.unlink(missing_ok=True)  # good for one attempt; another divergence writes it again
        start = time.perf_counter()
        # empty where the disk was full when it was written
        before = float(spent.read_text() or 0) if spent.exists() else 0.0
        try:
            yield self.partial
        except BaseException as error:
            # what a stopped run spent counts when the stage is finished by another one
            with suppress(OSError):
                spent.write_text(str(before + time.perf_counter() - start))
                if common and isinstance(error, CannotFit):
                    retry.write_text(common)
            raise
        seconds = before + time.perf_counter() - start
        written = sorted(
            p for p in self.partial.iterdir() if p.is_file() and not p.name.startswith(".") and p.name != CLAIM
        )
        files = {p.name: {"bytes": p.stat().st_size, "sha256": digest_of(p)} for p in written}
        info = {
            "format": FORMAT,
            "stage": self.name,
            "key": key,
            "inputs": inputs,
            "settings": settings,
            "command": command(),
            "versions": installed_versions(),
            "seconds": round(seconds, 2),
            "resumed": before > 0,
            "peak_memory_mb": round(peak_memory_mb()),
            "files": files,
            "notes": notes,
        }
        told = json.dumps(info, indent=2, ensure_ascii=False, default=str)
        # from here on the stage counts as unfinished, and the partial folder keeps its checkpoint and its claim: a kill
        # before stage.json is there makes the stage run again from that checkpoint
        (self.folder / STAGE_FILE).unlink(missing_ok=True)
        clear(self.folder)
        for path in written:
            path.replace(self.folder / path.name)
        write_atomic(self.folder / STAGE_FILE, told)
        shutil.rmtree(self.partial)


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in the folder itself, on any system."""
    return name not in ("", ".", "..") and not any(character in "/\\\0:" for character in name)


def clear(folder: Path) -> None:
    """Delete the artifacts of a stage, stores that commands go on writing into aside."""
    for old in folder.iterdir():
        if old.is_file() and old.suffix not in LIVE_SUFFIXES:
            old.unlink()
