"""Every remedy that a message prints works as it is printed, for names of every kind; and none is written by hand."""

from __future__ import annotations

import ast
import csv
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.commands import done, isrf, refused, small_log, write_source
from tests.suggested import all_true, commands_in, settings_in, words_from
from tests.test_house import SOURCE, every_module, tree

from isrf.core.config import load_settings
from isrf.core.errors import IsrfError
from isrf.core.shell import command_line, setting
from isrf.pipeline.import_data import open_dataset
from isrf.workspace.layout import STAGES
from isrf.workspace.stage import Stage
from isrf.workspace.workspace import Workspace

ODD = (
    *(
        "No",
        "1",
        "null",
        "true",
        "1e3",
        "a b",
        "a  b",
        "it's",
        'say "hi"',
        "x=y",
        "[x]",
        "{x}",
        "-x",
        "--set",
        "#x",
        "~",
    ),
    *(
        "Größe",
        "商品",
        "$HOME",
        "`id`",
        "a;b",
        "a\\tb",
        "&x",
        "*",
        "!x",
        "a: b",
        "'q'",
        '"q"',
        "x,y",
        "2014-01-31",
        "NULL",
    ),
    *("bell\x07", "\x1b[2J", "turned\u202e"),
)
TIMES = ("time", "timestamp")

pytestmark = pytest.mark.usefixtures("shell")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_source(folder, small_log())
    return folder


def renamed(file: Path, target: Path, names: dict[str, str], separator: str = ",") -> Path:
    """A copy of a table with other names of columns."""
    with file.open(newline="", encoding="utf-8") as stream:
        head, *rows = csv.reader(stream)
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        writer.writerow([names.get(name, name) for name in head])
        writer.writerows(rows)
    return target


def told(log: Path, items: Path | None = None, *sets: str) -> list[str]:
    """What reading a source says: its refusal, or its warnings."""
    try:
        settings = load_settings(overrides=["data.min_interactions=0", *sets]).data
        return list(open_dataset(str(log), items, settings).warnings)
    except IsrfError as error:
        return [str(error)]


@pytest.mark.parametrize("name", ODD, ids=[ascii(name) for name in ODD])
def test_columns_of_any_name_are_found_as_the_message_says(name: str, shop: Path, tmp_path: Path) -> None:
    """A title and a time under that name: each warning names an option that ends it."""
    log = renamed(shop / "log.csv", tmp_path / "log.csv", {"timestamp": name})
    items = renamed(shop / "items.csv", tmp_path / "items.csv", {"title": name})
    sets = [found for line in told(log, items) for found in all_true(line)]
    assert len(sets) == 2, "a time and a title"
    assert told(log, items, *sets) == []


@pytest.mark.parametrize("name", ODD, ids=[ascii(name) for name in ODD])
def test_a_column_that_is_missing_is_named_in_a_remedy(name: str, shop: Path, tmp_path: Path) -> None:
    """Placeholders replaced by the names that the message lists."""
    name = "商品號" if name == "商品" else name  # as it is it names items
    log = renamed(shop / "log.csv", tmp_path / "log.csv", {"user_id": name, "item_id": f"{name}2"})
    (line,) = told(log)
    sets = [chosen for chosen in all_true(line) if not chosen.startswith("data.header=")]
    assert [chosen.partition("=")[0] for chosen in sets] == ["data.user_column", "data.item_column"]
    given = [command_line(chosen.replace("NAME", "")) for chosen in sets]
    assert given == ["data.user_column=", "data.item_column="]
    chosen = [
        words_from(setting(f"data.{role}_column", column), 2)[1]
        for role, column in (("user", name), ("item", f"{name}2"))
    ]
    assert not told(log, None, *chosen)


@pytest.mark.parametrize(
    "separator", [" ", "~", "#", ":", "\t", "^", "!", "*", "&", "@", "$", "%", "/", "=", "\\", ">"]
)
def test_the_separator_of_a_remedy_works_when_pasted(separator: str, shop: Path, tmp_path: Path) -> None:
    """Read with a comma, where the message proposes the right one."""
    log = renamed(shop / "log.csv", tmp_path / "log.csv", {}, separator)
    (line,) = told(log, None, "data.separator=,")
    (chosen,) = all_true(line)
    assert chosen.startswith("data.separator="), line
    assert told(log, None, chosen) == []


def test_a_separator_that_cannot_be_one_is_not_proposed(tmp_path: Path) -> None:
    for sign in ("；", "\u00a6", "::"):
        (tmp_path / "log.csv").write_text(f"user_id{sign}item_id{sign}timestamp\nu{sign}i{sign}1\n", encoding="utf-8")
        (line,) = told(tmp_path / "log.csv")
        assert "replace it by ','" in line and not settings_in(line)


def test_the_way_out_of_a_split_by_time_is_complete(shop: Path, tmp_path: Path) -> None:
    log = renamed(shop / "log.csv", tmp_path / "log.csv", {"timestamp": "what"})
    log.write_text(re.sub(r",\d+$", ",x", log.read_text(), flags=re.MULTILINE))
    asked = ("data.split=temporal", "data.split_at=0.9")
    ws = tmp_path / "ws"
    line = refused(isrf("data", "import", log, "--out", ws, *sets_of("data.min_interactions=0", *asked)), "needs times")
    way_out = [chosen for chosen in settings_in(line) if "NAME" not in chosen]
    done(isrf("data", "import", log, "--out", ws, *sets_of("data.min_interactions=0", *asked, *way_out)))


def sets_of(*chosen: str) -> list[str]:
    return [word for one in chosen for word in ("--set", one)]


HOSTILE = "I3,';touch PWNED;'$(touch PWNED)`touch PWNED`\"&|"


def runs_nothing(line: str, folder: Path) -> None:
    """Paste every command of a message into a real shell, with ``echo`` for the program."""
    for found in [*re.findall(r"`(isrf [^`]*(?:`touch PWNED`[^`]*)*)`", line), line]:
        for at in re.finditer(r"(?:isrf |--history |--user |--out )", found):
            words = found[at.start() :]
            subprocess.run(["sh", "-c", f"echo {words}"], cwd=folder, capture_output=True, check=False, timeout=20)
    assert not list(folder.iterdir()), line


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of ids that a shell would run."""
    folder = tmp_path_factory.mktemp("hostile")
    log = {f"{user}{HOSTILE}": [f"{item}{HOSTILE}" for item in items] for user, items in small_log().items()}
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        writer.writerows(
            [user, item, at] for at in range(9) for user, items in log.items() for item in items[at : at + 1]
        )
    place = folder / "my $(touch PWNED) 'ws'"
    done(isrf("run", "--data", folder / "log.csv", "--out", place, "--no-train", *sets_of("data.min_interactions=0")))
    return place


def test_ids_and_paths_in_a_suggested_command_are_quoted(hostile: Path, tmp_path: Path) -> None:
    ws, nowhere = Workspace(hostile), tmp_path / "empty"
    nowhere.mkdir()
    evaluated = done(isrf("evaluate", hostile))
    lines = [line for line in (evaluated.out + evaluated.err).splitlines() if "isrf " in line]
    user, item = f"u1{HOSTILE}", f"tea-1{HOSTILE}"
    questions = [("--user", f"u1;{HOSTILE}"), ("--history", f"{item};{item}"), ("--history", item)]
    for asked in (*questions, ("--user", f"{user};u2{HOSTILE}")):
        lines.append(isrf("recommend", hostile, *asked).err)
    lines += [ws.stage("reasoning").command(stage) for stage in STAGES]
    lines += [str(fault) for fault in faults(tmp_path / HOSTILE.replace("/", ""))]
    assert len(lines) > 10
    for line in lines:
        runs_nothing(line, nowhere)
    # and what is suggested is what was meant
    line = refused(isrf("recommend", hostile, "--history", item), "double quotes")
    words = words_from(line[line.index("--history") :], 2)
    known = words[1].removesuffix(",ITEM")
    done(isrf("recommend", hostile, "--history", known, "--top", 1))
    (command,) = commands_in(refused(isrf("train", hostile / "none"), "not a workspace"))
    assert command[-1] == str(hostile / "none")
    assert shlex.split(ws.stage("model").command("model")) == ["isrf", "train", str(hostile)]


def faults(place: Path) -> Iterator[IsrfError]:
    """What is said of a folder that is no workspace."""
    for made in ("nothing", "folder", "file"):
        if made == "folder":
            place.mkdir()
            (place / "x").write_text("")
        try:
            Workspace.existing(place if made != "file" else place / "x")
        except IsrfError as error:
            yield error


def test_the_remedy_for_a_folder_with_other_things_names_another(tmp_path: Path) -> None:
    missing, taken, _ = [str(fault) for fault in faults(tmp_path / "my shop")]
    assert commands_in(missing)[0][-1] == str(tmp_path / "my shop") and commands_in(taken)[0][-1] == "WS"


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_that_makes_a_stage_is_one(stage: str, tmp_path: Path) -> None:
    for place in (tmp_path / "my ws", Path("-ws"), Path("WS SRC")):
        all_true(f"make it with `{Stage(place, stage).command(stage)}`")


def test_several_users_and_histories_are_given_as_the_message_says(untrained: Path) -> None:
    for together in ("u1,u2", "u1 u2", "u1;u2", "u1, u2", "u1|u2"):
        line = refused(isrf("recommend", untrained, "--user", together), "one by one")
        assert line.endswith("--user u1 --user u2")
    assert "one by one" not in refused(isrf("recommend", untrained, "--user", "u1,nobody"), "u1,nobody")
    line = refused(isrf("recommend", untrained, "--history", "tea-1", "--history", "tea-2"), "2 times")
    assert line.endswith("--history tea-1,tea-2")
    refused(isrf("inspect", untrained, "--history", "tea-1", "--history", "tea-2"), "--history tea-1,tea-2")
    refused(isrf("bench", untrained, "--methods", "ease", "--methods", "itemknn"), "--methods ease,itemknn")
    refused(isrf("bench", untrained, "--methods", "ease", "--seeds", 0, "--seeds", 1), "--seeds 0,1")
    for top in (10**20, 0, -1):
        refused(isrf("recommend", untrained, "--top", top), "--top", str(top))


COMMANDS = "data|run|reason|embed|graph|train|evaluate|bench|recommend|inspect|report|audit"
WRITTEN_BY_HAND = re.compile(rf"--set(?= |$)|`isrf (?!\{{)|^isrf ({COMMANDS}) ")
HELP = ("help", "HELP")


def literals(code: ast.Module) -> Iterator[tuple[int, str]]:
    """Text of a module but docstrings and the help of commands and options."""
    passed: set[int] = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))
        named = isinstance(node, ast.Assign) and any(getattr(target, "id", "") in HELP for target in node.targets)
        helping = isinstance(node, ast.keyword) and node.arg in HELP
        declared = isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("Option", "Argument")
        if named or helping or declared:
            passed |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(code):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            yield node.lineno, node.value


@every_module
def test_what_messages_suggest_is_quoted_in_one_place(module: Path) -> None:
    """``core.shell`` writes every ``--set`` and every command: nothing in a message is put together by hand."""
    if module == SOURCE / "core" / "shell.py":
        return
    for line, text in literals(tree(module)):
        if module.name == "config.py" and text == "--set ":  # names where a value came from
            continue
        if module.name == "main.py" and text.startswith("The generator"):  # help of a stage's command
            continue
        assert not WRITTEN_BY_HAND.search(text), f"line {line}: {text!r}: let core.shell write it"
