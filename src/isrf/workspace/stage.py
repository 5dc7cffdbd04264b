"""A stage of a workspace: a sub-folder whose files are proven whole by its ``stage.json``.

A stage writes into a partial folder; when it is done every file is moved into place and ``stage.json`` is written
last, so a killed run leaves either the old stage or none. Knows nothing about what the stages compute.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from isrf.core.atomic_files import discard, move_into, sync_file, sync_folder, write_atomic
from isrf.core.errors import CannotFit, IsrfError
from isrf.core.locks import alone
from isrf.core.progress import note
from isrf.core.provenance import command, installed_versions, peak_memory_mb
from isrf.core.sealed_documents import digest_of, sealed
from isrf.core.shell import command_line, run_call
from isrf.workspace.layout import STAGE_FILE, STAGES
from isrf.workspace.partial_folder import CLAIM, PARTIAL, stop, take_up
from isrf.workspace.snapshot import KNOWN
from isrf.workspace.stage_files import artifacts_in, clear
from isrf.workspace.stage_key import GRAPHS, key_of, scored_by
from isrf.workspace.stage_record import FORMAT, read_record

FIRST_STAGES = STAGES[:4]
"""Each of them is made from those before it; the others are made from all four."""

KEPT = "kept"
"""Note of a stage whose weights were fitted on an earlier version: {"version", "inputs", "seconds"} of when they were."""

MADE_BY = {
    "dataset": ("data", "import"),
    "reasoning": ("reason",),
    "semantics": ("embed",),
    "graphs": ("graph",),
    "ranking": ("graph",),
    "model": ("train",),
    "evaluation": ("evaluate",),
}
"""The command that makes each stage; the workspace is its last word. The first needs a source too."""


@dataclass(frozen=True)
class Stage:
    """One stage of one version of a workspace.

    Attributes:
        root: the workspace's folder.
        name: one of STAGES; also the sub-folder.
        home: folder of the version; None = the workspace's own.
    """

    root: Path
    name: str
    home: Path | None = None

    @property
    def folder(self) -> Path:
        return (self.home or self.root) / self.name

    def store(self, name: str) -> Path:
        """Where the stage keeps what outlives every rebuild, for all versions alike: answers, vectors."""
        return self.root / self.name / name

    def _other(self, name: str) -> Stage:
        """Another stage of the same version."""
        return replace(self, name=name)

    @property
    def partial(self) -> Path:
        """Where a build in progress writes; survives a kill, so that checkpoints in it can be resumed."""
        return self.folder / PARTIAL

    def info(self) -> dict[str, Any] | None:
        """What ``stage.json`` says, None where the stage is not finished.

        Raises:
            IsrfError: the file is unreadable or was written by another format of workspace.
        """
        path, known = self.folder / STAGE_FILE, KNOWN.get()
        if known is not None and path in known.records:
            return known.records[path]
        if not path.exists():
            if self.is_headless():
                tell_headless(self)
            return None
        record = read_record(path, f"delete it, and make the stage anew with `{self.command(self.name)}`")
        if known is not None:
            known.records[path] = record
        return record

    def prepare(self) -> None:
        """Make the stage's folder where it is not there; IsrfError where something else has its name."""
        if (self.folder.exists() or self.folder.is_symlink()) and not self.folder.is_dir():
            raise IsrfError(f"{self.folder}: is not a folder, and the stage {self.name!r} is kept in one; move it away")
        self.folder.mkdir(parents=True, exist_ok=True)

    def is_headless(self) -> bool:
        """Whether files of a finished stage are there without the ``stage.json`` that proves them."""
        return not (self.folder / STAGE_FILE).exists() and any(artifacts_in(self.folder))

    def require(self) -> dict[str, Any]:
        """``info``, or IsrfError that names the command that makes the stage, or makes it anew."""
        info = self.info()
        if info is None:
            # whatever it would be made from comes first: each is made from all of these before it
            missing = next(n for n in (*FIRST_STAGES, self.name) if n == self.name or self._other(n).info() is None)
            if self._other(missing).is_headless():
                raise IsrfError(
                    f"{self.root}: stage {missing!r} has files and no {STAGE_FILE} that proves them; make it anew with "
                    f"`{self.command(missing)}`"
                )
            raise IsrfError(f"{self.root}: stage {missing!r} is not there yet; make it with `{self.command(missing)}`")
        outdated = self.outdated()
        if outdated is not None:
            stage, changed = outdated
            raise IsrfError(
                f"{self.root}: stage {stage!r} is out of date: {changed} changed; bring it up to date with "
                f"`{self.command(stage)}`"
            )
        return info

    def command(self, stage: str) -> str:
        """What makes a stage of this workspace, ready to be typed."""
        if stage == "dataset":
            return run_call(self.root, *MADE_BY[stage])
        return command_line("isrf", *MADE_BY[stage], self.root)

    def outdated(self) -> tuple[str, str] | None:
        """The first stage, this one or one it was made from, whose inputs have changed since, and the changed file.

        None where everything hangs together, and for a stage that is not finished.
        """
        info, made = self.info(), dict[str, dict[str, Any] | None]()
        for path, digest in (info["inputs"] if info else {}).items():
            name, _, file = path.partition("/")
            # a file of the source, which need not be there any more; and no stage is made from a later one
            if name not in STAGES[: STAGES.index(self.name)]:
                continue
            if name not in made:
                before = self._other(name)
                found = before.outdated()
                if found is not None:
                    return found
                made[name] = before.info()
            record = made[name]
            if record is None or record["files"].get(file, {}).get("sha256") != digest:
                return self.name, path
        fitted_to = info["settings"].get(GRAPHS) if info else None
        graphs = self._other(GRAPHS).info() if fitted_to is not None else None
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
        return self._proven(self.require(), name)

    def left(self, name: str) -> Path | None:
        """``file`` of a stage that may be outdated; None where it is not finished, or recorded no such file.

        Raises:
            IsrfError: the file is missing, or its bytes are not those that were written.
        """
        info = self.info()
        return None if info is None or name not in info["files"] else self._proven(info, name)

    def _proven(self, info: dict[str, Any], name: str) -> Path:
        recorded, path, known = info["files"].get(name), self.folder / name, KNOWN.get()
        if known is not None and path in known.proven:
            return path
        if recorded is None or not path.is_file():
            raise IsrfError(f"{path}: missing; delete {self.folder / STAGE_FILE} and run again to make it anew")
        if path.stat().st_size != recorded["bytes"] or digest_of(path) != recorded["sha256"]:
            raise IsrfError(
                f"{path}: corrupted (its bytes are not the ones that were written); delete {self.folder / STAGE_FILE} "
                f"and run again to make it anew"
            )
        if known is not None:
            known.proven.add(path)
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
        key = key_of(self.name, inputs, settings)
        common = "" if retried is None else key_of(self.name, inputs, retried)
        start, before = time.perf_counter(), take_up(self.partial, key, common)
        try:
            yield self.partial
        except BaseException as error:
            # what a stopped run spent counts when the stage is finished by another one
            stop(self.partial, before + time.perf_counter() - start, common if isinstance(error, CannotFit) else "")
            raise
        seconds = before + time.perf_counter() - start
        written = [path for path in artifacts_in(self.partial) if path.name != CLAIM]
        for path in written:
            sync_file(path)
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
        told = json.dumps(sealed(info), indent=2, ensure_ascii=False)
        # from here on the stage counts as unfinished, and the partial folder keeps its checkpoint and its claim: a kill
        # before stage.json is there makes the stage run again from that checkpoint. Each step is on the disk before the
        # next begins, so a loss of power is a kill
        (self.folder / STAGE_FILE).unlink(missing_ok=True)
        sync_folder(self.folder)
        clear(self.folder)
        move_into(self.folder, written)
        write_atomic(self.folder / STAGE_FILE, told)
        discard(self.partial)


@cache
def tell_headless(stage: Stage) -> None:
    """Say, once a process, that a stage counts as not made though its files are there."""
    note(
        f"{stage.folder}: has files and no {STAGE_FILE} that proves them, as after a command that was stopped while it "
        f"finished, so the stage counts as not made; `{stage.command(stage.name)}` makes it anew"
    )
