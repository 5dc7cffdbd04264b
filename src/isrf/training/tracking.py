"""Figures of every epoch for TensorBoard or MLflow. Knows nothing about training, and cannot end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from isrf.core.errors import IsrfError
from isrf.core.progress import note

LONGEST_S = 60.0
"""Longest wait for a tracker after training, seconds."""
EXTRAS = {"tensorboard": "tracking", "mlflow": "mlflow"}
"""Package -> the extra that brings it."""

GROUPS = ("loss", "gradient_norm", "alignment_norm")
"""What figures are grouped by, where a tracker groups: what stands before the first of the rest of their names."""


def named(figure: str) -> str:
    """The name of a figure for a tracker: "loss/sr" for "loss_sr"."""
    for group in GROUPS:
        if figure.startswith(f"{group}_"):
            return f"{group}/{figure.removeprefix(f'{group}_')}"
    return figure


@contextmanager
def tracked(tracker: str, folder: Path, run: str, settings: Mapping[str, Any]) -> Iterator[Callable[[dict], None]]:
    """Give a call that takes the record of an epoch; what it is called with is kept when the block ends.

    A tracker works in a process of its own, and whatever becomes of it is a warning: training goes on, and waits for it at
    its end only, for LONGEST_S at most. A training that goes on after a stop goes on in TensorBoard's run; in MLflow it is
    a run of its own, of the same name.

    Args:
        tracker: "none", "tensorboard" or "mlflow" (``training.tracking``).
        folder: ``tensorboard/`` or ``mlflow.db`` is made in it; MLflow's own MLFLOW_TRACKING_URI, where it is set, wins.
        run: name of the run.
        settings: name -> value, kept with the run.

    Raises:
        IsrfError: the package is not installed, which is found before anything is trained.
    """
    if tracker == "none":
        yield lambda record: None
        return
    if find_spec(tracker) is None:
        raise IsrfError(
            f"training.tracking={tracker} needs the package {tracker}: run pip install 'isrf[{EXTRAS[tracker]}]', or set "
            "training.tracking=none"
        )
    with tempfile.TemporaryFile() as said:
        process = Process(tracker, said)
        process.put({"tracker": tracker, "folder": str(folder), "run": run, "settings": dict(settings)})
        try:
            yield lambda record: process.put({named(k): v for k, v in record.items()})
        finally:
            process.end()


class Process:
    """The process that talks to a tracker, as far as it lives.

    Args:
        tracker: its name.
        said: where it writes what went wrong.
    """

    def __init__(self, tracker: str, said: IO[bytes]) -> None:
        self.tracker, self.said = tracker, said
        self.lost = False
        # -P: nothing of the folder that somebody works in is imported
        command = [sys.executable, "-P", str(Path(__file__).with_name("tracker_process.py"))]
        try:
            self.process: subprocess.Popen[bytes] | None = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # Ctrl-C is for the training, which then ends it
            )
            assert self.process.stdin is not None
            os.set_blocking(self.process.stdin.fileno(), False)  # training waits for nobody
        except OSError as error:
            self.process = None
            self.warn(f"its process cannot be started ({error.strerror})")

    def put(self, told: dict[str, Any]) -> None:
        """Hand over one line, or say that it cannot be."""
        if self.process is None or self.lost:
            return
        assert self.process.stdin is not None
        line = json.dumps(told, default=str).encode() + b"\n"
        try:
            if os.write(self.process.stdin.fileno(), line) < len(line):
                raise BlockingIOError
        except BlockingIOError:
            self.warn("it takes no more figures")
        except OSError:
            self.warn(self.reason())

    def end(self) -> None:
        """Let it finish, or end it where it does not."""
        if self.process is None:
            return
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            if self.process.wait(0 if self.lost else LONGEST_S):
                self.warn(self.reason())
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.warn(f"it did not take its figures within {LONGEST_S:g} s")

    def reason(self) -> str:
        """Why the process is over: the last line that it said, or how it ended."""
        assert self.process is not None
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.said.seek(0)
        lines = [line for line in self.said.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else f"its process ended with code {self.process.returncode}"

    def warn(self, why: str) -> None:
        """One line, once."""
        if not self.lost:
            note(f"WARNING: training.tracking={self.tracker}: {why}; training goes on, and its log has every figure")
        self.lost = True
