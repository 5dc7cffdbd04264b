"""The local server lives exactly as long as the run that needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isrf.core import assets
from isrf.core.config import ReasoningSettings
from isrf.reasoning.llm.local_server import gguf_of, identity_of, local_server

RUN = """
import sys, time
from pathlib import Path
from isrf.reasoning.llm.local_server import local_server
with local_server(Path(sys.argv[1]), 1) as url:
    print(url, flush=True)
    time.sleep(60)
"""


def children(pid: int) -> list[int]:
    """Servers that a process started and that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # ended meanwhile
        if int(parent) == pid and state != "Z" and b"isrf.reasoning.llm.local_server" in line:
            found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


@linux
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_server_outlives_its_run(ending: signal.Signals) -> None:
    command = [sys.executable, "-c", RUN, str(assets.fetch("smollm2"))]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert run.stdout is not None and run.stdout.readline().startswith(b"http://127.0.0.1:")
    (server,) = children(run.pid)
    os.kill(run.pid, ending)
    run.communicate(timeout=20)
    deadline = time.monotonic() + 10
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(server)


@linux
def test_the_block_owns_the_server() -> None:
    before = children(os.getpid())
    with local_server(assets.fetch("smollm2"), slots=1) as url:
        (server,) = [child for child in children(os.getpid()) if child not in before]
        assert url.endswith("/v1")
    assert not alive(server)


def test_another_file_of_the_same_name_has_another_identity(tmp_path: Path) -> None:
    for folder, content in (("a", b"GGUF one"), ("b", b"GGUF two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.gguf").write_bytes(content)
    one, two = (gguf_of(ReasoningSettings(gguf=tmp_path / folder / "m.gguf")) for folder in "ab")
    assert identity_of(one) != identity_of(two)
    assert identity_of(one).startswith("m@")
