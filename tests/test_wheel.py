"""What is published works where nothing but it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.commands import small_log, write_source

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "isrf"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: what an earlier build left beside the sources would be packed too."""
    folder, tree = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tree)
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(tree)], check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.slow
def test_a_wheel_holds_every_module_and_every_file_that_they_read(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.removeprefix("isrf/") for name in archive.namelist() if name.startswith("isrf/")}
    here = {str(path.relative_to(SRC)) for path in SRC.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert packed == here


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment_runs_the_example_of_the_readme(wheel: Path, tmp_path: Path) -> None:
    """Takes minutes: the libraries are installed anew, of the versions that the tests ran with."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # else pip finds it there
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], env=alone, check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    subprocess.run(install, env=alone, check=True)
    write_source(tmp_path, small_log())
    isrf = str(python.with_name("isrf"))
    run = [isrf, "run", "--data", "log.csv", "--items", "items.csv", "--out", "ws", "--no-train"]
    done = subprocess.run(
        [*run, "--set", "data.min_interactions=0"], cwd=tmp_path, env=alone, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ask = [isrf, "recommend", "ws", "--user", "u1", "--top", "3", "--format", "json"]
    said = subprocess.run(ask, cwd=tmp_path, env=alone, capture_output=True, text=True, check=True).stdout
    assert said.count('"item_id"') == 3
