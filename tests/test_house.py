"""The rules that keep the house as it was designed; each is read from the source and names the place that breaks it."""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from pydantic import BaseModel

from isrf.config import Room, Settings

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "isrf"
MODULES = sorted(SOURCE.rglob("*.py"))

FOUNDATION = ("errors", "processes", "progress", "settings", "config", "assets")
"""What every room may import; these import no room."""

ROOMS = (
    "data",
    "reasoning",
    "semantics",
    "graphs",
    "baselines",
    "model",
    "training",
    "ranking",
    "evaluation",
    "report",
)
"""In the order the data walks through them; a new room takes its place here.

What stands beside the rooms (workspace, pipeline, cli, ...) puts them together and may import all of them.
"""

MOST_LINES = 350
FORBIDDEN_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"torch.load", "torch.save", "polars.read_pickle", "pandas.read_pickle"}


def name_of(module: Path) -> str:
    return str(module.relative_to(SOURCE))


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), str(module))


def room_of(module: Path) -> str:
    """The first part of the path: "data" for data/split.py, "config" for config.py."""
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(code: ast.Module) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of every import, those inside functions too; "isrf.data.split" for a name of that module."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write isrf.room.module"
            if node.module == "isrf":  # from isrf import assets
                yield from ((f"isrf.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield str(node.module), node.lineno


def dotted(node: ast.expr) -> str:
    """ "torch.load" for that expression, "" for anything that is not names and dots."""
    if isinstance(node, ast.Attribute):
        front = dotted(node.value)
        return f"{front}.{node.attr}" if front else ""
    return node.id if isinstance(node, ast.Name) else ""


every_module = pytest.mark.parametrize("module", MODULES, ids=name_of)


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room_of(m) for m in MODULES if m.parent != SOURCE} == set(ROOMS)


@every_module
def test_no_room_imports_a_later_one(module: Path) -> None:
    own = room_of(module)
    everything = {room_of(m) for m in MODULES}
    if own in FOUNDATION:
        allowed = set(FOUNDATION)
    elif own in ROOMS:
        allowed = {*FOUNDATION, *ROOMS[: ROOMS.index(own) + 1]}
    else:
        allowed = everything - ({"cli"} if own != "__main__" else set()) | {own}
    for name, line in imported(tree(module)):
        if name.startswith("isrf.") and (other := name.split(".")[1]) in everything:
            assert other in allowed, f"line {line}: {own} may not import {name}"


@every_module
def test_modules_stay_small(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@every_module
def test_modules_say_what_they_are_for(module: Path) -> None:
    code = tree(module)
    assert ast.get_docstring(code) or not code.body, "no docstring at the top"


@every_module
def test_nothing_is_pickled(module: Path) -> None:
    """Artifacts come from other people: reading one must not be able to run their code."""
    code = tree(module)
    for name, line in imported(code):
        assert name.split(".")[0] not in FORBIDDEN_MODULES, f"line {line}: imports {name}"
    for node in ast.walk(code):
        if not isinstance(node, ast.Call):
            continue
        assert dotted(node.func) not in FORBIDDEN_CALLS, f"line {node.lineno}: {dotted(node.func)}"
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle":
                off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                assert off, f"line {node.lineno}: allow_pickle"


def rooms_of_settings() -> dict[str, type[BaseModel]]:
    return {name: type(room) for name, room in Settings()}


def settings_fields() -> list[str]:
    return [f"{room}.{field}" for room, kind in rooms_of_settings().items() for field in kind.model_fields]


def settings_read() -> set[str]:
    """ "room.field" of every attribute that some module reads.

    Read is ``room.field`` or ``x.room.field`` anywhere, and ``x.field`` where the room's settings class is imported.
    """
    classes = {kind.__name__: room for room, kind in rooms_of_settings().items()}
    found = set()
    for module in MODULES:
        if module in (SOURCE / "settings.py", SOURCE / "config.py"):
            continue
        code = tree(module)
        names = {a.name for n in ast.walk(code) if isinstance(n, ast.ImportFrom) for a in n.names}
        here = {room for name, room in classes.items() if name in names}
        for node in ast.walk(code):
            if isinstance(node, ast.Attribute):
                found |= {f"{room}.{node.attr}" for room in here}
                if front := dotted(node.value):
                    found.add(f"{front.split('.')[-1]}.{node.attr}")
    return found


def test_every_setting_is_described() -> None:
    for room, kind in rooms_of_settings().items():
        assert issubclass(kind, Room), f"{room}: not a Room, so unknown keys would pass"
        for name, field in kind.model_fields.items():
            assert field.description, f"{room}.{name} has no description"


def test_every_setting_is_read() -> None:
    unread = sorted(set(settings_fields()) - settings_read())
    assert not unread, f"settings that nothing reads: {', '.join(unread)}"


def test_readme_opens_with_two_commands() -> None:
    opening = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
    assert set(re.findall(r"\bmake [a-z]+", opening)) == {"make demo", "make test"}
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "make test" in lines


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {plain(r.name): str(r.specifier) for r in wanted if r.url is None}


def plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    pinned = pins()
    untested = {"mlflow"}  # brings a server of its own: too much for the tests
    for text in itertools.chain(project["dependencies"], *(extras[e] for e in extras if e not in untested)):
        wanted = Requirement(text)
        pin = pinned.get(plain(wanted.name), "")
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", pin), f"{wanted.name} is not pinned in constraints.txt"
        assert wanted.specifier.contains(pin.removeprefix("==")), f"constraints.txt: {wanted.name}{pin}, not {text}"
