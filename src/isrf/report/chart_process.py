"""Drawing in a process of its own: the renderer brings a JavaScript engine, which ends a process that gives it too little.

Under ``ulimit -v``, as job schedulers set it, the engine cannot reserve its address space and aborts. Then a chart is left
out, and what was computed stays. Knows nothing about what is drawn.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from isrf.core.process_limits import limits
from isrf.core.progress import note

LONGEST_S = 120.0
"""Longest wait for one chart; the first takes a second or two."""


class CannotDraw(Exception):
    """A chart cannot be drawn here; the text says why, in one line."""


def missing() -> str | None:
    """What to install before anything can be drawn; None where nothing is missing."""
    absent = [package for package in ("altair", "vl_convert") if find_spec(package) is None]
    return "charts are drawn where pip install 'isrf[report]' was run" if absent else None


class Renderer:
    """One drawing process, started with the first chart and ended with this one.

    Attributes:
        broken: why it draws no more, "" while it does: it is not started again.
    """

    def __init__(self) -> None:
        self.broken = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def svg(self, spec: dict[str, Any]) -> str:
        """The SVG of a Vega-Lite specification, the same bytes for the same one.

        Raises:
            CannotDraw: there is no renderer, it cannot run here, or it does not understand the chart.
        """
        with self._lock:
            if self.broken:
                raise CannotDraw(self.broken)
            answer = self._answer(json.dumps(spec).encode() + b"\n")
            try:
                told = json.loads(answer)
            except ValueError:
                raise self._given_up("the renderer answered with something else than a chart") from None
        if "svg" not in told:
            raise CannotDraw(str(told.get("error")))
        return str(told["svg"])

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    stream.close()  # type: ignore[union-attr]

    def _answer(self, line: bytes) -> bytes:
        if (why := missing()) is not None:
            raise CannotDraw(why)
        try:
            process = self._process = self._process or self._started()
            assert process.stdin is not None and process.stdout is not None
            answer, unsent, until = bytearray(), memoryview(line), time.monotonic() + LONGEST_S
            while not answer.endswith(b"\n"):
                inputs = [process.stdin] if unsent else []
                read, write, _ = select.select([process.stdout], inputs, [], max(until - time.monotonic(), 0))
                if not read and not write:
                    raise self._given_up(f"the renderer took longer than {LONGEST_S:.0f} s")
                if write:
                    unsent = unsent[os.write(process.stdin.fileno(), unsent) :]
                if not read:
                    continue
                part = os.read(process.stdout.fileno(), 1 << 16)
                if not part:
                    raise self._given_up(self._end_of(process))
                answer += part
        except BrokenPipeError:
            raise self._given_up(self._end_of(process)) from None
        except OSError as error:  # no further process may be started
            raise self._given_up(f"the renderer cannot be started ({error.strerror})") from None
        return bytes(answer)

    def _started(self) -> subprocess.Popen[bytes]:
        # -P: nothing of the folder that somebody works in is imported
        command = [sys.executable, "-P", str(Path(__file__).with_name("chart_renderer.py"))]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process
        )
        assert process.stdin is not None
        os.set_blocking(
            process.stdin.fileno(), False
        )  # one that does not read is given up like one that does not answer
        return process

    def _end_of(self, process: subprocess.Popen[bytes]) -> str:
        try:
            code = process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            return "the renderer stopped answering"
        how = f"exit code {code}"
        if code < 0:
            with suppress(ValueError):
                how = signal.Signals(-code).name
        room = next((limit for limit in limits(None) if limit.by == "ulimit -v"), None)
        why = (
            f"; it reserves tens of GB of addresses, and {room.amount(room.most)} are allowed ({room.by})"
            if room
            else ""
        )
        return f"the renderer ended with {how}{why}"

    def _given_up(self, why: str) -> CannotDraw:
        self.close()
        self.broken = why
        return CannotDraw(why)


RENDERER = Renderer()
atexit.register(RENDERER.close)


def drawn_or_told(spec: dict[str, Any], what: str) -> str | None:
    """The SVG of a chart; None where it cannot be drawn, which a line tells once a process for each reason.

    Args:
        what: the chart, as the line calls it.
    """
    try:
        return RENDERER.svg(spec)
    except CannotDraw as error:
        tell_once(f"WARNING: {what} is left out: {error}", str(error))
        return None


_TOLD = set[str]()


def tell_once(line: str, about: str) -> None:
    """A line to the person who watches, unless one about the same was told before."""
    if about not in _TOLD:
        _TOLD.add(about)
        note(line)
