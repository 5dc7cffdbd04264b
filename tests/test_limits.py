"""Limits of shells, schedulers and containers are told in one line before a library crashes at them; and waiting threads."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.commands import done, isrf, refused

from isrf.core import process_limits
from isrf.core.errors import IsrfError
from isrf.core.openmp import wait_asleep
from isrf.core.process_limits import HEAVY_NEED, LIGHT_NEED, check_limits, own_cgroups


def cold(*args: object, addresses: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """The installed command, from a cold start, perhaps with few addresses."""
    limited = partial(resource.setrlimit, resource.RLIMIT_AS, (addresses, addresses)) if addresses else None
    command = [sys.executable, "-m", "isrf", *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **env}, preexec_fn=limited, check=False
    )


@pytest.mark.parametrize(
    "command", [("train", "ws"), ("recommend", "ws"), ("data", "describe", "ws"), ("bench", "ws", "--methods", "all")]
)
@pytest.mark.parametrize("addresses", [300_000_000, 1_500_000_000])
def test_too_few_addresses_are_one_line_and_no_crash(command: tuple[str, ...], addresses: int) -> None:
    outcome = cold(*command, addresses=addresses)
    assert outcome.returncode == 2, outcome
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("isrf: address space is limited to ") and "ulimit -v" in line and " GB" in line


def test_help_and_doctor_work_where_nothing_else_does() -> None:
    assert "Usage" in cold("train", "--help", addresses=300_000_000).stdout
    found = cold("doctor", addresses=300_000_000, COLUMNS="200")
    assert found.returncode == 1 and "ulimit -v" in found.stdout and "0.3 GB" in found.stdout


def test_a_command_runs_within_what_is_said_to_suffice(untrained: Path) -> None:
    enough = int(LIGHT_NEED.addresses + LIGHT_NEED.a_core * process_limits.cores_here()) + (1 << 20)
    outcome = cold("recommend", untrained, "--user", "u1", addresses=enough)
    assert outcome.returncode == 0, outcome.stderr


def with_limits(monkeypatch: pytest.MonkeyPatch, **most: int) -> None:
    monkeypatch.setattr(
        process_limits, "soft", lambda kind: [v for name, v in most.items() if kind == getattr(resource, name)]
    )
    monkeypatch.setattr(process_limits, "own_cgroups", list)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.parametrize(
    ("most", "words"),
    [
        ({"RLIMIT_DATA": 500_000_000}, ["data segment is limited to 0.5 GB (ulimit -d)", "2.3 GB"]),
        ({"RLIMIT_NPROC": 10}, ["number of threads", "ulimit -u", "end other processes"]),
        ({"RLIMIT_AS": int(HEAVY_NEED.addresses) - 1}, ["address space", "isrf train"]),
    ],
)
def test_each_limit_is_told_by_how_it_is_set(
    most: dict[str, int], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_limits(monkeypatch, **most)
    with pytest.raises(IsrfError) as told:
        check_limits("train")
    assert all(word in str(told.value) for word in words), told.value


def test_wide_limits_and_none_are_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_limits(monkeypatch)
    assert check_limits("train") == []
    with_limits(monkeypatch, RLIMIT_AS=1 << 40, RLIMIT_DATA=1 << 40, RLIMIT_NPROC=1 << 20)
    assert check_limits("train") == [] == check_limits(None)


@pytest.mark.parametrize("name", ["memory.max", "memory.limit_in_bytes"])
def test_memory_of_a_container_is_warned_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limits(monkeypatch)
    monkeypatch.setattr(process_limits, "own_cgroups", lambda: [tmp_path])
    (tmp_path / name).write_text("max\n")
    assert check_limits("train") == []
    (tmp_path / name).write_text("400000000\n")
    (line,) = check_limits("train")
    assert "0.4 GB" in line and "1.0 GB" in line and "without a word" in line
    (tmp_path / "pids.max").write_text("9\n")
    (tmp_path / "pids.current").write_text("5\n")
    with pytest.raises(IsrfError, match=r"number of threads is limited to 4 more \(pids.max"):
        check_limits("train")


def test_control_groups_are_found_from_the_inside_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_limits, "CGROUPS", tmp_path)
    found = list(own_cgroups())
    assert all(folder == tmp_path or tmp_path in folder.parents for folder in found)


def test_the_doctor_tells_limits() -> None:
    wide = partial(resource.setrlimit, resource.RLIMIT_DATA, (1 << 40, 1 << 40))
    assert "ulimit -d" in done(isrf("doctor", env={"COLUMNS": "200"}, obstacles=[wide])).out
    narrow = partial(resource.setrlimit, resource.RLIMIT_DATA, (2_000_000_000, 1 << 40))
    found = isrf("doctor", env={"COLUMNS": "200"}, obstacles=[narrow])
    assert found.code == 1 and "2.0 GB (ulimit -d); isrf run needs about 2.3 GB" in found.out
    refused(isrf("train", "ws", obstacles=[narrow]), "data segment is limited")


# --- waiting threads ---


@pytest.mark.parametrize(
    "chosen", [{}, {"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "100"}, {"KMP_BLOCKTIME": "1"}]
)
def test_threads_wait_asleep_unless_the_user_chose(chosen: dict[str, str]) -> None:
    environment = dict(chosen)
    wait_asleep(environment)
    assert environment == (chosen or {"OMP_WAIT_POLICY": "PASSIVE"})


ASKED = """
import os, sys
import isrf, isrf.cli.main
before = os.environ.get("OMP_WAIT_POLICY"), "torch" in sys.modules
sys.argv = ["isrf", "--version"]
try:
    isrf.cli.main.main()
except SystemExit:
    print(before, os.environ.get("OMP_WAIT_POLICY"))
"""


def test_the_command_line_chooses_and_an_import_does_not() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    found = subprocess.run([sys.executable, "-c", ASKED], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "(None, False) PASSIVE"
