"""Runs ``isrf`` as a user does, each time in a process of its own; and the small log that most tests run it on.

``installed`` starts the command from nothing, as a shell does. ``isrf`` forks it from a server that has imported the
libraries already: the same ``main`` with the same arguments, five seconds sooner; texts that an earlier command of the
process encoded are not encoded again, which would be half of what a small run takes. It can also put obstacles in its way
(``signal_at``, ``full_disk``, ``without_privileges``), and encodes everything itself beside any but ENCODING_ALIKE.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import multiprocessing
import os
import pkgutil
import random
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

IMPORTED_ONCE = (
    "altair",
    "pytest",
    "isrf.recommender.answer",
    "isrf.cli.main",
    "isrf.pipeline.machine_checks",
    "isrf.evaluation.audit.audit",
    "isrf.pipeline.run",
    "isrf.workspace.saved_settings",
    "isrf.cli.printing.results",
    "rich._emoji_codes",
    "sentence_transformers",
    "sentence_transformers.models",
    "tests.preloaded",
    "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert",
    "transformers.models.t5.modeling_t5",
    "typer.rich_utils",
)

Obstacle = Callable[[], object]
"""Called in the new process before the command."""

SMALL = (
    "data.min_interactions=0",
    "graphs.tau=0.8",
    "model.d_model=16",
    "model.heads=2",
    "model.adapter_width=16",
    "training.epochs=2",
    "evaluation.bootstrap_samples=100",
    "evaluation.permutation_samples=100",
)
"""Settings that keep a whole run under two seconds."""

WORLDS, PER_WORLD, PEOPLE = ("tea", "bread", "garden", "music"), 12, 60

DECIDED = ("dataset", "reasoning", "semantics", "graphs", "ranking", "model")
"""Stages before evaluation."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code (negative: killed by that signal), standard output and error."""

    code: int
    out: str
    err: str


def installed(*args: object, env: dict[str, str] | None = None) -> Outcome:
    """The installed command, from a cold start."""
    done = subprocess.run(
        [sys.executable, "-m", "isrf.cli.main", *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


ENCODED = tempfile.TemporaryDirectory(prefix="isrf-encoded-", ignore_cleanup_errors=True)
"""Has the vectors of all texts that commands of this process have encoded."""


class Running:
    """A command that is under way."""

    def __init__(self, args: Sequence[object], env: dict[str, str], obstacles: Sequence[Obstacle]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(IMPORTED_ONCE))
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._said = [Path(self._folder.name) / name for name in ("out", "err")]
        self.process = context.Process(
            daemon=True,  # whatever is left of a test that failed ends with the tests
            target=_command,
            args=([str(a) for a in args], [str(p) for p in self._said], env, list(obstacles), Path(ENCODED.name)),
        )
        self.process.start()

    def signal(self, number: int) -> None:
        """Send it a signal, unless it is over."""
        assert self.process.pid is not None
        if self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def end(self) -> Outcome:
        """Wait for it."""
        self.process.join(300)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError("the command hangs")
        assert self.process.exitcode is not None, "the command hangs"
        out, err = (p.read_text(encoding="utf-8") if p.exists() else "" for p in self._said)
        self._folder.cleanup()
        return Outcome(self.process.exitcode, out, err)


def isrf(*args: object, env: dict[str, str] | None = None, obstacles: Sequence[Obstacle] = ()) -> Outcome:
    """The command in a forked process, to its end. It draws no charts, which take a second, without ``with_charts``."""
    return Running(args, env or {}, obstacles).end()


def _command(args: list[str], said: list[str], env: dict[str, str], obstacles: list[Obstacle], encoded: Path) -> None:
    gc.freeze()  # a collection would copy every page that the server has filled: half a second, for objects that stay
    for number, path in enumerate(said, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        os.dup2(file, number)
    os.environ.pop("COLUMNS", None)  # readline sets it for whatever a process that has it starts
    os.environ.update(env)
    sys.argv = ["isrf", *args]
    from isrf.cli import main as cli

    sys.modules["vl_convert"] = None  # type: ignore[assignment]
    if all(getattr(obstacle, "func", obstacle) in ENCODING_ALIKE for obstacle in obstacles):
        _remember_vectors(encoded / "vectors.sqlite")
    for obstacle in obstacles:
        obstacle()
    cli.main()


def _remember_vectors(path: Path) -> None:
    """Let the sentence encoder of this process look into a file for vectors of texts, and add those that it makes."""
    from isrf.semantics.encode import Encoder, VectorCache

    encode = Encoder._encode

    def remembered(self: Encoder, texts: list[str], advance: Callable[[float], None]) -> np.ndarray:
        cache = VectorCache(path)
        keys = self._keys(texts)
        found = cache.get(keys)
        new = [row for row, key in enumerate(keys) if key not in found]
        if new:
            made = dict(
                zip([keys[row] for row in new], encode(self, [texts[row] for row in new], advance), strict=True)
            )
            cache.put(list(made.items()))
            found |= made
        advance(len(texts) - len(new))
        cache.close()
        return np.stack([found[key] for key in keys])

    Encoder._encode = remembered  # type: ignore[method-assign]


ENCODING_ALIKE: list[Obstacle] = [os.chdir]
"""Obstacles beside which texts need not be encoded again: they neither end a command nor touch what it encodes."""


def encoding_alike(obstacle: Any) -> Any:
    """Add one to ENCODING_ALIKE."""
    ENCODING_ALIKE.append(obstacle)
    return obstacle


@encoding_alike
def with_charts() -> None:
    """Charts are drawn, as where the extra is installed."""
    del sys.modules["vl_convert"]


def signal_at(place: str, number: int = signal.SIGINT, call: int = 1, after: bool = False) -> Obstacle:
    """The process signals itself at the ``call``-th call of "module:name", before or after what it does."""
    return partial(_signal_at, place, number, call, after)


@encoding_alike
def _signal_at(place: str, number: int, call: int, after: bool) -> None:
    module, _, name = place.partition(":")
    owner_name, _, last = name.rpartition(".")
    owner = pkgutil.resolve_name(f"{module}:{owner_name}" if owner_name else module)
    original = getattr(owner, last)
    calls = 0

    def replacement(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            os.kill(os.getpid(), number)
        result = original(*args, **kwargs)
        if calls == call and after:
            os.kill(os.getpid(), number)
        return result

    setattr(owner, last, replacement)


def full_disk(bytes_left: int) -> Obstacle:
    """No file may grow beyond ``bytes_left``: what a write to a full disk meets, for whoever may not mount one."""
    return partial(resource.setrlimit, resource.RLIMIT_FSIZE, (bytes_left, resource.RLIM_INFINITY))


def encoded_as(encoding: str) -> Obstacle:
    """Standard output and error have another encoding, as PYTHONIOENCODING or a locale makes them."""
    return partial(_encoded_as, encoding)


@encoding_alike
def _encoded_as(encoding: str) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding=encoding, errors="strict"))


def closed(*descriptors: int) -> Obstacle:
    """Standard streams are closed from the start (``>&-``)."""
    return partial(_closed, descriptors)


@encoding_alike
def _closed(descriptors: tuple[int, ...]) -> None:
    for number in descriptors:
        os.close(number)
        setattr(sys, {1: "stdout", 2: "stderr"}[number], None)


def output_to(path: str) -> Obstacle:
    """Standard output goes to a file or device."""
    return partial(_output_to, path)


@encoding_alike
def _output_to(path: str) -> None:
    os.dup2(os.open(path, os.O_WRONLY), 1)


@encoding_alike
def nobody_reads() -> None:
    """Standard output is a pipe whose other end is closed (``| head``)."""
    there, here = os.pipe()
    os.close(there)
    os.dup2(here, 1)


@encoding_alike
def without_privileges() -> None:
    """Permissions hold for this process even if it is the superuser's (Linux capabilities; others have none to drop)."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return
    overriding = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the same for capabilities over 31
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, sets) == 0
    sets[0] &= ~overriding
    sets[1] &= ~overriding
    assert libc.capset(header, sets) == 0


def refused(outcome: Outcome, *words: str) -> str:
    """Assert that a command ended with code 2 and one clear line that has the words; the line."""
    return one_line(outcome, 2, *words)


def stopped(outcome: Outcome) -> str:
    """Assert that Ctrl-C ended a command with code 130 and one line that says what is saved."""
    return one_line(outcome, 130, "saved")


def one_line(outcome: Outcome, code: int, *words: str) -> str:
    told = f"exit code {outcome.code}\n{outcome.err}"
    assert outcome.code == code, told
    assert "Traceback" not in outcome.err, told
    lines = [line for line in outcome.err.splitlines() if line.startswith("isrf: ")]
    assert len(lines) == 1 and outcome.err.rstrip("\n").endswith(lines[0]), told
    assert all(word in lines[0] for word in words), told
    return lines[0]


def done(outcome: Outcome) -> Outcome:
    """Assert that a command did its work."""
    assert outcome.code == 0, f"exit code {outcome.code}\n{outcome.err}"
    return outcome


def settings(*chosen: str) -> list[str]:
    """``--set`` for each of SMALL and ``chosen``, the latter winning."""
    return [part for setting in (*SMALL, *chosen) for part in ("--set", setting)]


def run_small(source: object, out: Path, *more: object, chosen: Sequence[str] = (), **kwargs: Any) -> Outcome:
    """``isrf run`` with small settings."""
    return isrf("run", "--data", source, "--out", out, *settings(*chosen), *more, **kwargs)


def small_log() -> dict[str, list[str]]:
    """User -> items, oldest first: each person picks 6 to 9 items of one world, those of one house rather than the other.

    No order to learn and nothing certain: every signal knows something, none knows all.
    """
    rng = random.Random(5)
    log = {}
    for person in range(PEOPLE):
        world, house = WORLDS[person % len(WORLDS)], person // len(WORLDS) % 2
        eager = {n: rng.expovariate(1.0) / (1 + n % 3) * (4 if n % 2 == house else 1) for n in range(PER_WORLD)}
        chosen = sorted(eager, key=lambda n: -eager[n])[: 6 + person % 4]
        rng.shuffle(chosen)
        log[f"u{person}"] = [f"{world}-{n}" for n in chosen]
    return log


def write_source(folder: Path, log: dict[str, list[str]]) -> str:
    """A CSV log and its catalogue in a folder; the source as ``--data`` takes it. Rows of all users by time."""
    folder.mkdir(parents=True, exist_ok=True)
    longest = max(map(len, log.values()))
    rows = [f"{u},{log[u][t]},{1_400_000_000 + 1000 * t}" for t in range(longest) for u in log if t < len(log[u])]
    (folder / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n", encoding="utf-8")
    catalogue = [
        f"{world}-{n},{world} number {n},{world} house {n % 2},{world}|kind {n % 3}"
        for world in WORLDS
        for n in range(PER_WORLD)
    ]
    lines = ["item_id,title,brand,categories", *catalogue]
    (folder / "items.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"csv:{folder}"


def stage_info(workspace: Path, stage: str) -> dict[str, Any]:
    return json.loads((workspace / stage / "stage.json").read_text(encoding="utf-8"))


def artifacts(workspace: Path, stages: Sequence[str] = DECIDED) -> dict[str, str]:
    """ "stage/file" -> SHA-256 of every artifact; of the training log, which holds times, all but those."""
    found = {}
    for stage in stages:
        for name, file in stage_info(workspace, stage)["files"].items():
            found[f"{stage}/{name}"] = file["sha256"]
    if "model" in stages:
        log = json.loads((workspace / "model" / "training_log.json").read_text(encoding="utf-8"))
        for epoch in log["log"]:
            del epoch["seconds"], epoch["users_per_second"]
        found["model/training_log.json"] = json.dumps(log)
    return found
