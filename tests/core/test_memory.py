"""Memory that runs out, whichever library says so; and how much a file may hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

from isrf.core.errors import IsrfError, out_of_memory
from isrf.core.memory import most_bytes, process_memory, reading_at_most, too_large
from isrf.core.system_errors import line_of

pytestmark = pytest.mark.usefixtures("shell")

LIMITED = """
import mmap, resource, sys
import numpy as np, polars as pl, pyarrow as pa, torch, faiss, sqlite3
from isrf.core.system_errors import line_of
from isrf.core.memory import process_memory
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 400_000_000,) * 2)
assert process_memory() < 1e9
vector = faiss.Float32Vector()
asks = {
    "numpy": lambda: np.ones((100_000, 10_000)),
    "arrow": lambda: pa.allocate_buffer(10**10),
    "torch": lambda: torch.zeros(10**10),
    "faiss": lambda: vector.resize(10**10),
    "python": lambda: b"x" * 10**10,
    "sqlite": lambda: sqlite3.connect(":memory:").execute("select zeroblob(900000000)").fetchall(),
    "system": lambda: mmap.mmap(-1, 10**10),
}
for name, ask in asks.items():
    try:
        ask()
    except Exception as error:
        print(name, line_of(error))
"""


def test_every_library_that_is_refused_memory_gives_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert set(lines) == {"numpy", "arrow", "torch", "faiss", "python", "sqlite", "system"}, done.stderr
    assert all(line.startswith("not enough memory") and "this process may use" in line for line in lines.values())
    assert "7.45 GiB for an array with shape (100000, 10000) were asked for" in lines["numpy"]
    assert "10000000000 bytes" in lines["arrow"] and "40000000000 bytes" in lines["torch"]


class PanicException(BaseException):
    """As libraries written in Rust raise it."""


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (PanicException("memory allocation of 8000000000 bytes failed"), "8000000000 bytes"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"), "20.00 GiB"),
        (RuntimeError("can't start new thread"), ""),
        (MemoryError(), ""),
        (OSError(12, "Cannot allocate memory"), ""),
        (ValueError("Error while serializing: I/O error: Cannot allocate memory (os error 12)"), ""),
        (RuntimeError("shape mismatch"), None),
        (IsrfError("there is not enough memory in this sentence"), None),
        (OSError(2, "No such file: 'out of memory.csv'"), None),
    ],
)
def test_what_counts_as_memory_that_ran_out(error: BaseException, what: str | None) -> None:
    assert out_of_memory(error) == what
    assert (line_of(error) is not None) == (what is not None)


def test_the_limit_of_a_file() -> None:
    assert most_bytes() == pytest.approx(process_memory() / 4, rel=0.2)
    with reading_at_most(2.5):
        assert most_bytes() == 2.5e9
        assert "--set data.max_gigabytes=3.3" in str(too_large("log.csv", 3e9))
    assert most_bytes() != 2.5e9
