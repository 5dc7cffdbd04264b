"""The rules that keep the house as it was designed; each is read from the source and names the place that breaks it."""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, wraps
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from pydantic import BaseModel

from isrf.core.config import Room, Settings

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "isrf"
MODULES = sorted(SOURCE.rglob("*.py"))

ROOMS = (
    "core",
    "workspace",
    "data",
    "reasoning",
    "semantics",
    "graphs",
    "methods",
    "model",
    "training",
    "ranking",
    "evaluation",
    "report",
    "recommender",
    "pipeline",
    "cli",
)
"""In import order: a room imports from itself and from those before it. A new room takes its place here."""

AT_THE_TOP = {"__init__.py", "__main__.py"}
"""Modules that stand in no room: the library's front door, and ``python -m isrf``."""

DECLARING = {
    *(
        SOURCE / "core" / f"{name}.py"
        for name in ("settings", "config", "data_settings", "reasoning_settings", "settings_base")
    ),
}
"""Modules that declare settings, or fill them: what they do is no reading of one."""

MOST_LINES = 300
FORBIDDEN_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"torch.load", "torch.save", "polars.read_pickle", "pandas.read_pickle"}


def name_of(module: Path) -> str:
    return str(module.relative_to(SOURCE))


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), str(module))


def room_of(module: Path) -> str:
    """The first part of the path: "data" for data/splits/split.py."""
    return module.relative_to(SOURCE).parts[0]


def module_name(module: Path) -> str:
    """ "data.splits.split" for data/splits/split.py; "data" for data/__init__.py."""
    return ".".join(module.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def imported(code: ast.Module) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of every import, those inside functions too; "isrf.data.splits.split" for a name of that module."""
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


def every_module(rule: Callable[[Path], None]) -> Callable[[], None]:
    """A rule for one module as one test of all of them, which tells of every one that breaks it."""

    @wraps(rule, assigned=("__name__", "__doc__", "__module__"))
    def test() -> None:
        faults = []
        for module in MODULES:
            try:
                rule(module)
            except AssertionError as error:
                faults.append(f"{name_of(module)}: {error}")
        assert not faults, "\n".join(faults)

    del test.__wrapped__  # type: ignore[attr-defined]  # pytest would ask for its argument
    return test


def modules_imported(module: Path, code: ast.Module, names: Collection[str]) -> Iterator[tuple[str, int]]:
    """(module of the package, line) of every import, those under TYPE_CHECKING and within functions too."""
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "isrf":
            base = node.module.removeprefix("isrf").removeprefix(".")
            for alias in node.names:
                one = f"{base}.{alias.name}".removeprefix(".")
                if one in names or base:
                    yield (one if one in names else base), node.lineno
        elif isinstance(node, ast.Import):
            yield from ((a.name.removeprefix("isrf."), node.lineno) for a in node.names if a.name.startswith("isrf."))


def faults_of(modules: Mapping[Path, ast.Module]) -> list[str]:
    """What breaks the order of the rooms: loose modules, upward imports, circles."""
    names = {module_name(module) for module in modules}
    faults = [
        f"{name_of(m)}: stands in no room; move it into one of {', '.join(ROOMS)}"
        for m in modules
        if (m.parent == SOURCE and m.name not in AT_THE_TOP) or (m.parent != SOURCE and room_of(m) not in ROOMS)
    ]
    imports: dict[str, set[str]] = {}
    for module, code in modules.items():
        own = module_name(module)
        for name, line in modules_imported(module, code, names):
            imports.setdefault(own, set()).add(name)
            if module.parent == SOURCE or (room := name.split(".")[0]) not in ROOMS or room_of(module) not in ROOMS:
                continue
            if ROOMS.index(room) > ROOMS.index(room_of(module)):
                faults.append(f"{name_of(module)}, line {line}: {room_of(module)} may not import {name}")
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        faults.append(f"import each other: {', '.join(sorted(set(error.args[1])))}")
    return faults


def test_every_module_stands_in_a_room_and_imports_downwards_without_circles() -> None:
    assert {room_of(m) for m in MODULES if m.parent != SOURCE} == set(ROOMS)
    faults = faults_of({module: tree(module) for module in MODULES})
    assert not faults, "\n".join(faults)


REFERENCE = re.compile(r"``([a-z_]+(?:\.[A-Za-z_]\w*)+)(?:\(\))?``")
OF_FILES = (".json", ".npz", ".html", ".yaml", ".sqlite", ".parquet", ".csv")


def test_docstrings_name_modules_and_settings_that_are_there() -> None:
    """``graphs.signals``, ``evaluation.protocol.REPORTED_SEPARATELY``, ``data.time_format``: what begins with a room."""
    known = {module_name(module): module for module in MODULES}
    folders = {name.rpartition(".")[0] for name in known}
    settings, faults = set(settings_fields()), []
    for module in MODULES:
        for number, line in enumerate(module.read_text(encoding="utf-8").splitlines(), 1):
            for name in REFERENCE.findall(line):
                own = max((n for n in known if name == n or name.startswith(f"{n}.")), key=len, default="")
                rest = name[len(own) + 1 :].split(".")[0] if own else ""
                defined = own and (not rest or re.search(rf"\b{rest}\b", known[own].read_text(encoding="utf-8")))
                fine = defined or name in settings or name in folders or name.endswith(OF_FILES)
                if name.split(".")[0] in ROOMS and not fine:
                    faults.append(f"{name_of(module)}, line {number}: {name}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"loose.py": ""}, "loose.py: stands in no room"),
        ({"attic/old.py": ""}, "attic/old.py: stands in no room"),
        ({"core/a.py": "from isrf.data.b import c", "data/b.py": ""}, "core/a.py, line 1: core may not import data.b"),
        (
            {"core/a.py": "def f():\n    import isrf.cli.main", "cli/main.py": ""},
            "line 2: core may not import cli.main",
        ),
        (
            {"data/a.py": "if TYPE_CHECKING:\n    from isrf.data.b import B", "data/b.py": "from isrf.data import a"},
            "import each other: data.a, data.b",
        ),
    ],
)
def test_what_breaks_the_order_is_found(files: dict[str, str], fault: str) -> None:
    faults = faults_of({SOURCE / name: ast.parse(text) for name, text in files.items()})
    assert any(fault in one for one in faults) and len(faults) == 1, faults


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


REPLACING = "core/atomic_files.py"
IN_A_BUILD = {
    "model/storage.py": {"save_generator"},
    "ranking/storage.py": {"save_fusions"},
    "core/assets.py": {"_extract"},
    "core/tables.py": {"save_arrays", "write_table"},
    "data/splits/storage.py": {"save_split"},
    "model/explainer_storage.py": {"save_explainer"},
    "pipeline/train.py": {"fit_generator"},
    "model/identifiers.py": {"save_identifiers"},
    "model/input_templates.py": {"save_wording"},
    "pipeline/evaluate.py": {"work"},
    "model/token_generator_storage.py": {"save_token_generator"},
}
"""Module -> functions that write new files into a folder that nobody reads before it is renamed, or recorded, as a whole:
the partial folder of a stage, or one with an unforeseeable name."""
ON_A_TEMPORARY_NAME = {
    "cli/printing/recommendation_files.py": {"write"},
    "training/checkpoints.py": {"save_checkpoint"},
    "pipeline/variants.py": {"share_stores"},
}
"""Module -> functions that write what ``core.atomic_files`` gave them to write into, or bring it to the disk themselves."""
WRITES = {
    *("write_text", "write_bytes", "write_parquet", "write_csv", "write_ipc", "sink_parquet"),
    *("savez", "savez_compressed", "save_file", "save_pretrained", "tofile"),
    *("copyfile", "copy", "copy2", "copytree", "symlink", "symlink_to", "link", "hardlink_to"),
}
OPENED = {"file", "stream", "out", "raw"}
"""What a file that somebody has opened is called: whoever did answers for it."""
MOVES = {"rename", "renames", "replace", "move", "rmtree"}


def writes(code: ast.Module) -> Iterator[tuple[str, str, int]]:
    """(function it stands in, what is called, line) of every call that may write, replace or move a file."""

    def within_of(node: ast.AST, function: str) -> Iterator[tuple[str, str, int]]:
        for child in ast.iter_child_nodes(node):
            inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            if isinstance(child, ast.Call) and (name := write_of(child)):
                yield inside, name, child.lineno
            yield from within_of(child, inside)

    return within_of(code, "")


def write_of(call: ast.Call) -> str:
    """What a call writes or moves by, "" for any other."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
    owner = dotted(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name == "open":
        given = [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
        modes = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        return "open" if any(set(mode) & set("wax+") and len(mode) <= 3 for mode in modes) else ""
    if name in MOVES:
        # of a text, which takes two, or of a table or column, which takes a map
        of_a_path = owner in ("os", "shutil") or (len(call.args) == 1 and not call.keywords)
        return name if of_a_path and not is_map(call.args[0]) and not of_a_column(call) else ""
    into_a_stream = bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id in OPENED
    return name if name in WRITES and call.args and not into_a_stream and (name != "copy" or owner == "shutil") else ""


def is_map(given: ast.expr) -> bool:
    made = isinstance(given, ast.Call) and dotted(given.func) == "dict"
    return made or isinstance(given, ast.Dict | ast.DictComp)


def of_a_column(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).startswith("pl.")


@every_module
def test_files_are_replaced_in_one_place(module: Path) -> None:
    """There they get an unforeseeable name, follow no link, reach the disk, and are removed where anything fails."""
    own = name_of(module)
    if own == REPLACING:
        return
    allowed = IN_A_BUILD.get(own, set()) | ON_A_TEMPORARY_NAME.get(own, set())
    for function, name, line in writes(tree(module)):
        assert function in allowed, (
            f"line {line}: {function} calls {name}; let core.atomic_files write or move the file"
        )


def test_the_list_of_functions_that_write_is_no_longer_than_need_be() -> None:
    for own, functions in (IN_A_BUILD | ON_A_TEMPORARY_NAME).items():
        assert functions <= {function for function, _, _ in writes(tree(SOURCE / own))}, own


WRITING = """
import os, shutil, numpy as np
def moves(path, frame, text):
    path.replace(target), path.rename(path.with_name("x")), os.replace(a, b), shutil.move(a, b), shutil.rmtree(a)
    text.replace("a", "b"), frame.rename({"a": "b"}), frame.rename(dict(a="b")), replace(settings, tau=1)
def writes(path, frame, file):
    path.write_text("x"), path.open("w"), open(path, "ab"), frame.write_parquet(path), np.savez(path, a=1)
    path.open(), path.open("rb"), frame.write_parquet(file), frame.write_csv(), settings.copy()
"""


def test_what_writes_or_moves_is_found() -> None:
    found = [(function, name) for function, name, _ in writes(ast.parse(WRITING))]
    assert found == [
        *(("moves", name) for name in ("replace", "rename", "replace", "move", "rmtree")),
        *(("writes", name) for name in ("write_text", "open", "open", "write_parquet", "savez")),
    ]


def rooms_of_settings() -> dict[str, type[BaseModel]]:
    return {name: type(room) for name, room in Settings()}


def settings_fields() -> list[str]:
    return [f"{room}.{field}" for room, kind in rooms_of_settings().items() for field in kind.model_fields]


MOST_ROUNDS = 10
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Kinds:
    """Which class an expression is of, as far as annotations say: parameters, fields, results, and what is made of these.

    A name that is bound to several things in a function is of no known class, and so is whatever is not followed: what
    is in a container, and names of more than one meaning in the package.
    """

    def __init__(self, codes: Sequence[ast.Module]) -> None:
        self.bases = {
            node.name: [dotted(base) for base in node.bases]
            for code in codes
            for node in ast.walk(code)
            if isinstance(node, ast.ClassDef)
        }
        given = {("Settings", room): kind.__name__ for room, kind in rooms_of_settings().items()}
        self.bases |= {name: [] for name in ("Settings", *given.values())}
        self.members: dict[tuple[str, str], str] = {}
        """(class, attribute) -> class; a method, as "name()", and a function, of the class "", -> the class of its result."""
        self.known = given
        """The same as it was found in the round before: what is known of one class is used for the next."""
        self.read: set[tuple[str, str]] = set()
        """(class, attribute) of every attribute that is read of an expression of a known class."""
        for _ in range(MOST_ROUNDS):
            self.members, self.read = dict(given), set()
            for code in codes:
                self.scope(code, {}, "")
            if self.members == self.known:
                return
            self.known = self.members
        raise AssertionError(f"classes are not settled after {MOST_ROUNDS} rounds")

    def member(self, kind: str, name: str) -> str:
        if (kind, name) in self.known or not kind:
            return self.known.get((kind, name), "")
        return next((found for base in self.bases.get(kind, ()) if (found := self.member(base, name))), "")

    def of(self, node: ast.expr | None, names: Mapping[str, str]) -> str:
        match node:
            case ast.Name(id=name):
                return names.get(name, "")
            case ast.Attribute(value=owner, attr=name):
                return self.member(self.of(owner, names), name)
            case ast.Call(func=ast.Name(id=name)):
                return "" if name in names else name if name in self.bases else self.member("", f"{name}()")
            case ast.Call(func=ast.Attribute(value=owner, attr="model_copy")):
                return self.of(owner, names)
            case ast.Call(func=ast.Attribute(value=owner, attr=name)):
                made = dotted(owner) if dotted(owner) in self.bases else self.of(owner, names)
                return self.member(made, f"{name}()") if made else ""
            case ast.BoolOp(values=choices):
                return one_of(self.of(choice, names) for choice in choices)
            case ast.IfExp(body=one, orelse=other):
                return one_of(self.of(choice, names) for choice in (one, other))
        return ""

    def scope(self, scope: ast.AST, outer: Mapping[str, str], owner: str) -> None:
        """Go through a module, class or function, and what stands in it; ``owner`` is the class it stands in."""
        own: dict[str, str] = {}
        names = ChainMap(own, outer)  # type: ignore[arg-type]
        if isinstance(scope, FUNCTIONS):
            listed = scope.args
            for number, given in enumerate([*listed.posonlyargs, *listed.args, *listed.kwonlyargs]):
                own[given.arg] = owner if owner and not number and given.arg == "self" else named_by(given.annotation)
        inside = list(within(scope))
        for _ in range(2):  # a name may get a second meaning below its use
            for node in inside:
                for target, kind in self.bound(node, names):
                    if isinstance(target, ast.Name):
                        remember(own, target.id, kind)
                        if isinstance(scope, ast.ClassDef) and isinstance(node, ast.AnnAssign):
                            remember(self.members, (scope.name, target.id), kind)
                    elif isinstance(target, ast.Attribute) and dotted(target.value) == "self" and owner:
                        remember(self.members, (owner, target.attr), kind)
        for node in inside:
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Load)
                and (kind := self.of(node.value, names))
            ):
                self.read.add((kind, node.attr))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                of, gives = scope.name if isinstance(scope, ast.ClassDef) else "", named_by(node.returns)
                marks = {dotted(mark) for mark in node.decorator_list}
                called = node.name if marks & {"property", "cached_property"} else f"{node.name}()"
                remember(self.members, (of, called), of if gives == "Self" else gives)
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                inner = scope.name if isinstance(scope, ast.ClassDef) else owner
                # names of a class are not those of its methods
                seen = outer if isinstance(scope, ast.ClassDef) else names
                self.scope(node, seen, inner)

    def bound(self, node: ast.AST, names: Mapping[str, str]) -> Iterator[tuple[ast.expr, str]]:
        """What a statement binds, with its class."""
        pairs: list[tuple[ast.expr, ast.expr | None]] = []
        match node:
            case ast.AnnAssign(target=target, annotation=annotation):
                yield target, named_by(annotation)
            case ast.Assign(targets=targets, value=value):
                pairs = [(target, value) for target in targets]
            case ast.NamedExpr(target=target, value=value):
                pairs = [(target, value)]
            case ast.withitem(optional_vars=ast.expr() as target, context_expr=value):
                pairs = [(target, value)]
            case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
                pairs = [(target, None)]
        while pairs:
            target, value = pairs.pop()
            if isinstance(target, ast.Tuple | ast.List):
                alike = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
                values = value.elts if alike else [None] * len(target.elts)  # type: ignore[union-attr]
                pairs += zip(target.elts, values, strict=True)
            elif isinstance(target, ast.expr):
                yield target, self.of(value, names)


def within(scope: ast.AST) -> Iterator[ast.AST]:
    """Everything of a module, class or function but what is inside another one in it, in the order of the text."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield from within(node)


def named_by(annotation: ast.expr | None) -> str:
    """The class that an annotation names, alone or beside None; of an iterator, as context managers are, what it gives."""
    text = "" if annotation is None else ast.unparse(annotation).strip("'\"")
    choices = [part.strip() for part in re.sub(r"^Iterator\[(\w+)\]$", r"\1", text).split("|")]
    named = [part for part in choices if part != "None"]
    return named[0] if len(named) == 1 and named[0].isidentifier() else ""


def remember(known: dict[Any, str], key: object, kind: str) -> None:
    """What has two kinds has none."""
    known[key] = kind if known.get(key, kind) == kind else ""


def one_of(kinds: Iterable[str]) -> str:
    found = set(kinds)
    return found.pop() if len(found) == 1 else ""


def settings_read(codes: Sequence[ast.Module]) -> set[str]:
    """ "room.field" of every attribute that is read of a room's settings."""
    classes = {kind.__name__: room for room, kind in rooms_of_settings().items()}
    return {f"{classes[kind]}.{name}" for kind, name in Kinds(codes).read if kind in classes}


def test_every_setting_is_described() -> None:
    for room, kind in rooms_of_settings().items():
        assert issubclass(kind, Room), f"{room}: not a Room, so unknown keys would pass"
        for name, field in kind.model_fields.items():
            assert field.description, f"{room}.{name} has no description"


def code_that_reads() -> list[ast.Module]:
    return [tree(module) for module in MODULES if module not in DECLARING]


def test_every_setting_is_read() -> None:
    found = settings_read(code_that_reads())
    unread = sorted(set(settings_fields()) - found)
    assert not unread, f"settings that nothing reads: {', '.join(unread)}"
    # names that the package uses for other things, in the modules that have the room's settings too
    made_up = {"model.items", "model.device", "graphs.weights", "graphs.users", "evaluation.method", "semantics.exists"}
    assert not made_up & found


READING = """
class Part:
    settings: GraphSettings
    whole: Settings | None

    def __init__(self, model: ModelSettings, other) -> None:
        self.model, self.other = model, other

    def reads(self) -> None:
        self.settings.tau, self.model.heads, self.whole.data.seed, self.other.layers
        graphs, alias = self.whole.graphs, other
        graphs.top_k + alias.window
        [lambda: graphs.decay for _ in alias]

    @property
    def sizes(self) -> ModelSettings:
        return self.model

def of_others(part: Part, graphs: Graphs, settings: Settings, limits: EvaluationSettings | None = None) -> None:
    part.settings.layers, part.sizes.alpha, graphs.backward, part.tau, settings.tau, model.dropout
    limits = limits or EvaluationSettings()
    limits.block, made(settings).epochs
    with tried() as kept:
        kept.ranking.beams

def two_meanings(semantics: Semantics, settings: SemanticsSettings, training: TrainingSettings) -> None:
    semantics.encoder
    training.batch_size
    training = semantics
    settings.dimensions = 3
    def nested(settings: Path) -> None:
        settings.item_text

def made(settings: Settings) -> TrainingSettings:
    return settings.training.model_copy(update={})

def tried() -> Iterator[Settings]:
    yield Settings()
"""


def test_what_only_looks_like_a_setting_is_not_read() -> None:
    """Other things with a setting's name, of a room's name, or in the place of its settings."""
    assert settings_read([ast.parse(READING)]) == {
        "graphs.tau",
        "model.heads",
        "data.seed",
        "graphs.top_k",
        "graphs.decay",
        "graphs.layers",
        "model.alpha",
        "evaluation.block",
        "training.epochs",
        "training.model_copy",
        "ranking.beams",
    }


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


OPENED_BY_PATH = {
    "polars": ("read_", "scan_"),
    "pyarrow": ("input_stream", "output_stream", "memory_map", "OSFile"),
    "pyarrow.csv": ("read_csv", "open_csv", "write_csv"),
    "pyarrow.parquet": ("read_", "write_table", "ParquetFile", "ParquetWriter", "ParquetDataset"),
    "pyarrow.dataset": ("dataset",),
    "numpy": ("load", "save", "fromfile", "genfromtxt", "memmap"),
}
"""What takes a path for a pattern or an address: module -> beginnings of its functions' names."""
OPEN_FILES = ("file", "stream", "out")
"""What a file that is open already is called; ``pa.PythonFile`` of one counts too."""


def opened_by_path(code: ast.Module) -> Iterator[tuple[str, int]]:
    """(function, line) of every call of a library that is not handed an open file."""
    names = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(code)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for node in ast.walk(code):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        module, name = names.get(dotted(node.func.value), ""), node.func.attr
        reads = any(name.startswith(start) for start in OPENED_BY_PATH.get(module, ()))
        writes = name in ("write_parquet", "sink_parquet", "write_ipc", "write_ndjson", "sink_csv")
        if not reads and not writes and not (name == "write_csv" and node.args):
            continue
        first = node.args[0] if node.args else None
        wrapped = isinstance(first, ast.Call) and dotted(first.func) == "pa.PythonFile"
        if not wrapped and not (isinstance(first, ast.Name) and first.id in OPEN_FILES):
            yield name, node.lineno


@every_module
def test_libraries_are_handed_open_files_and_no_paths(module: Path) -> None:
    """A path is a pattern or an address to many of them: ``log[1].parquet`` is read as ``log1.parquet``."""
    for name, line in opened_by_path(tree(module)):
        raise AssertionError(f"line {line}: {name} is handed a path; open it with isrf.core.files or isrf.core.tables")


def test_calls_that_open_paths_are_found() -> None:
    code = (
        "import polars as pl, numpy as np, pyarrow.parquet as pq\npl.read_parquet(path)\nnp.load(folder / 'a')\n"
        "pq.ParquetFile(file)\nframe.write_parquet(partial)\nframe.write_csv()\nnp.savez(stream, a=a)\npl.scan_csv('x')\n"
    )
    assert [line for _, line in opened_by_path(ast.parse(code))] == [2, 3, 5, 8]
