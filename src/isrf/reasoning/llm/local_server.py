"""A llama.cpp server on loopback, from a GGUF file, for as long as a block runs. Knows nothing about prompts.

It lives in a child process: inference would hold up this one, llama.cpp prints and traps signals, and OpenMP has to be
told before it starts that the cores are shared. The child ends when its standard input closes, hence also when this
process is killed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from isrf.core import assets
from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.files import opened
from isrf.core.openmp import wait_asleep
from isrf.core.progress import note

CONTEXT = 3328
"""Tokens that one slot holds: system text and examples, the longest history (``prompts.HISTORY_BYTES``, each of which
may be a token in a script that the model hardly knows), three answers; a model that thinks gets more."""
THINKS = (b"<think>", b"</think>")
"""What the chat template of a model that thinks before it answers has in it."""
IDENTITY_BYTES = 1 << 24
"""How much of a GGUF is digested to tell it from another of the same name (its header and first tensors)."""
READY = "listening "


def gguf_of(settings: ReasoningSettings) -> Path:
    """The model file: ``settings.gguf`` or the embedded SmolLM2. Raises IsrfError where it is no GGUF file."""
    path = settings.gguf or assets.fetch("smollm2")
    with opened(path, "set reasoning.gguf to a GGUF file") as stream:
        magic = stream.read(4)
    if magic != b"GGUF":
        raise IsrfError(f"{path}: not a GGUF file; set reasoning.gguf to one")
    return path


def identity_of(gguf: Path) -> str:
    """Name and short digest of a model file, so that another file of the same name gets its own answers."""
    with opened(gguf) as stream:
        digest = hashlib.sha256(stream.read(IDENTITY_BYTES))
    digest.update(str(gguf.stat().st_size).encode())
    return f"{gguf.stem}@{digest.hexdigest()[:12]}"


def context_of(gguf: Path, settings: ReasoningSettings) -> int:
    """Tokens that one slot should hold: more for a model whose chat template, in the file's head, speaks of thinking."""
    with opened(gguf) as stream:
        head = stream.read(IDENTITY_BYTES)
    return CONTEXT + (settings.thinking_tokens if any(mark in head for mark in THINKS) else 0)


@contextmanager
def local_server(gguf: Path, slots: int, context: int = CONTEXT) -> Iterator[str]:
    """Serve a GGUF on a free loopback port with ``slots`` requests at once, ``context`` tokens each.

    Yields:
        The base URL, e.g. "http://127.0.0.1:40123/v1".

    Raises:
        IsrfError: xllamacpp is not installed, or the model cannot be loaded.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise IsrfError("the local supplier needs llama.cpp: run pip install 'isrf[local]'")
    command = [sys.executable, "-m", "isrf.reasoning.llm.local_server", "--gguf", str(gguf), "--slots", str(slots)]
    command += ["--context", str(context)]
    environment = dict(os.environ)
    wait_asleep(environment)
    note(f"starting llama.cpp with {gguf.name}")
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,  # Ctrl-C is for this process, which then stops the child
        )
        try:
            yield _wait(child, gguf, log) + "/v1"
        finally:
            _stop(child)


def _wait(child: subprocess.Popen[bytes], gguf: Path, log: object) -> str:
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith(READY.encode()):
            return line.decode().removeprefix(READY).strip()
    child.wait()
    log.seek(0)  # type: ignore[attr-defined]
    lines = log.read().decode(errors="replace").split("\n")  # type: ignore[attr-defined]
    said = [line.strip() for line in lines if line.strip()]
    raise IsrfError(
        f"{gguf}: llama.cpp cannot load it ({said[-1] if said else 'no reason given'}); try another GGUF file"
    )


def _stop(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None and child.stdout is not None
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()


def _serve(gguf: str, slots: int, context: int) -> None:
    """The child: load, say where, and end when standard input does."""
    import xllamacpp

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = gguf
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel = slots
    parameters.n_ctx = context * slots
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.cache_ram_mib = 0  # slots keep their own prompts; no second copy in memory
    parameters.cache_idle_slots = False
    parameters.verbosity = 1
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    print(f"{READY}{server.listening_address}", flush=True)
    sys.stdin.buffer.read()
    os._exit(0)  # nothing here is worth an orderly end, and threads of the server may be busy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve a GGUF on loopback until standard input closes.")
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    arguments = parser.parse_args()
    try:
        _serve(arguments.gguf, arguments.slots, arguments.context)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
