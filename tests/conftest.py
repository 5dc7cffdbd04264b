"""What holds for the whole suite: no hub, no paid endpoint, no settings of whoever runs it; and ``--slow``."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock
from tests.commands import done, run_small, small_log, write_source

from isrf.core.shell import speak_to_shell

# Before any library is imported, for they read these once; processes that tests start inherit them. The embedded
# assets are the only thing a test may fetch, so ISRF_CACHE stays.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models of 16 dimensions: threads would wait for each other
os.environ.pop("COLUMNS", None)  # tables in pipes follow it, and libraries of terminals set it for processes of a suite
for _name in [n for n in os.environ if n.startswith(("ISRF_", "OPENAI_")) and n != "ISRF_CACHE"]:
    del os.environ[_name]

# what a test agrees to is nothing that whoever runs the tests has agreed to, and the other way round
_AGREEMENTS = tempfile.TemporaryDirectory(prefix="isrf-config-", ignore_cleanup_errors=True)
os.environ["ISRF_CONFIG"] = _AGREEMENTS.name

# A shared machine may stall any example: time is judged by the suite's limit, not by each example's.
hypothesis.settings.register_profile("slow", deadline=None)
hypothesis.settings.register_profile("house", deadline=None, max_examples=40)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-formulas", action="store_true", help="write down what stages compute (test_formulas)")
    parser.addoption(
        "--slow", action="store_true", help="run the tests marked slow too, and 100 examples of a property"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is imported: properties that name no number of examples take it from here."""
    hypothesis.settings.load_profile("slow" if config.getoption("--slow") else "house")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out, as if deselected by hand, unless ``--slow`` is given.

    Files of whole commands come first: none of several processes shall be left alone with one of them at the end.
    """
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)
    slow = [item for item in items if "slow" in item.keywords]
    for item in slow:
        item.add_marker(pytest.mark.timeout(7200))
    if config.getoption("--slow"):
        return
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if "slow" not in item.keywords]


def pytest_collection_finish() -> None:
    """Libraries stay: no garbage collection of a test need walk through them, which takes half a second each time."""
    gc.collect()
    gc.freeze()


def made_once(name: str, make: Callable[[Path], object], factory: pytest.TempPathFactory) -> Path:
    """A folder that one process of the suite makes; each of the others takes a copy, and none sees another's changes."""
    own = factory.mktemp(name) / name
    if "PYTEST_XDIST_WORKER" not in os.environ:
        make(own)
        return own
    shared = factory.getbasetemp().parent / "made-once"
    shared.mkdir(exist_ok=True)
    with FileLock(shared / f"{name}.lock"):
        if not (shared / name).exists():
            make(own)
            Path(shutil.copytree(own, shared / f"{name}.partial")).replace(shared / name)
            return own
    return Path(shutil.copytree(shared / name, own))


@pytest.fixture(scope="module")
def shell() -> Iterator[None]:
    """Messages of this process are in the words of the command line, as in a process of ``isrf``."""
    speak_to_shell()
    yield
    speak_to_shell(False)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The small log and its catalogue, as ``--data`` takes them; not to be changed."""
    return write_source(tmp_path_factory.mktemp("source") / "shop", small_log())


def unchanged(workspace: Path) -> Iterator[Path]:
    """The workspace, for all tests of a process; afterwards an error names what one of them added, took or changed."""

    def files() -> set[tuple[str, int]]:
        kept = (path for path in workspace.rglob("*") if path.is_file() and ".sqlite" not in path.name)
        return {(str(path.relative_to(workspace)), path.stat().st_mtime_ns) for path in kept}

    before = files()
    yield workspace
    assert files() == before, f"a test changed {workspace}: {sorted(files() ^ before)}; let it take a copy"


@pytest.fixture(scope="session")
def finished(source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace after ``isrf run`` on the small log; not to be changed."""
    yield from unchanged(made_once("finished", lambda ws: done(run_small(source, ws)), tmp_path_factory))


@pytest.fixture(scope="session")
def untrained(source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same after ``isrf run --no-train``: the interest graphs only; not to be changed."""
    yield from unchanged(made_once("untrained", lambda ws: done(run_small(source, ws, "--no-train")), tmp_path_factory))


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished workspace."""
    return Path(shutil.copytree(finished, tmp_path / "ws"))
