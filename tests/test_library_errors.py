"""Errors of the library speak of arguments and settings; the words of a shell are the command line's."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.commands import isrf as command
from tests.commands import refused
from tests.test_house import every_module, name_of, tree
from tests.test_remedies import ODD, literals

import isrf
from isrf.core.config import load_settings
from isrf.core.shell import argument, run_call, setting
from isrf.pipeline.start import as_typed
from isrf.reasoning.llm import consent

OPTION = re.compile(r"(?<![\w-])--?[a-z]")
"""An option of a command, wherever it stands in a message."""
LOG = "user_id,item_id,timestamp\n" + "".join(f"u{u},i{(u + n) % 7},{1000 + n}\n" for u in range(9) for n in range(4))


def log(folder: Path, text: str = LOG) -> Path:
    file = folder / "log.csv"
    file.write_text(text, encoding="utf-8")
    return file


def run(folder: Path, data: Any = None, out: str = "ws", **arguments: Any) -> None:
    settings = {"data.min_interactions": 0} | arguments.pop("settings", {})
    isrf.run(log(folder) if data is None else data, out=folder / out, settings=settings, train=False, **arguments)


def other_files(folder: Path) -> None:
    (folder / "ws").mkdir()
    (folder / "ws" / "x").write_text("")
    run(folder)


def folder_of_two_logs(folder: Path) -> None:
    (folder / "data").mkdir()
    for name in ("a.csv", "b.csv"):
        (folder / "data" / name).write_text(LOG)
    run(folder, folder / "data")


def of_old_format(folder: Path) -> None:
    record = folder / "ws" / "dataset" / "stage.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"format": 1}')
    isrf.open(folder / "ws")


RUNS: dict[str, Callable[[Path], object]] = {
    "no such log": lambda folder: run(folder, folder / "none.csv"),
    "a name that no format has": lambda folder: run(folder, log(folder).rename(folder / "log.xyz")),
    "no columns that are known": lambda folder: run(folder, log(folder, "a,b\nx,y\n")),
    "no header": lambda folder: run(folder, log(folder, LOG.partition("\n")[2])),
    "another separator": lambda folder: run(folder, log(folder, LOG.replace(",", "^"))),
    "a bad row": lambda folder: run(folder, log(folder, f"{LOG}u1,,5\n")),
    "ids that stand for missing values": lambda folder: run(folder, log(folder, f"{LOG}nan,i1,5\n" * 9)),
    "dates of two readings": lambda folder: run(folder, log(folder, re.sub(r"1\d\d\d\n", "02/03/2024\n", LOG))),
    "a column that serves twice": lambda folder: run(folder, settings={"data.user_column": "item_id"}),
    "no times for a split": lambda folder: run(
        folder, log(folder, re.sub(r",\d+\n", ",\n", LOG)), settings={"data.split": "temporal", "data.split_at": 0.9}
    ),
    "a log too large": lambda folder: run(folder, settings={"data.max_gigabytes": 1e-9}),
    "nothing left": lambda folder: run(folder, settings={"data.min_interactions": 1000}),
    "a catalogue that is a folder": lambda folder: run(folder, items=folder),
    "no such catalogue": lambda folder: run(folder, items=folder / "items.csv"),
    "a folder of two logs": folder_of_two_logs,
    "a frame of no table": lambda folder: run(folder, 5),
    "a preset that is none": lambda folder: run(folder, preset="fats"),
    "a setting that is none": lambda folder: run(folder, settings={"graphs.tua": 1}),
    "a setting without a room": lambda folder: run(folder, settings={"tau": 1}),
    "a value that is none": lambda folder: run(folder, settings={"graphs.tau": "high"}),
    "a list that is none": lambda folder: run(folder, settings={"data.event_weights": "[1"}),
    "an endpoint without a model": lambda folder: run(folder, settings={"reasoning.supplier": "openai"}),
    "a budget that is none": lambda folder: run(folder, settings={"reasoning.budget": "lots"}),
    "out is a file": lambda folder: run(folder, out="log.csv"),
    "out holds other files": other_files,
    "out is no text": lambda folder: run(folder, out="ws\udcff"),
}
ASKED: dict[str, Callable[[Path, Any], object]] = {
    "no workspace": lambda folder, _: isrf.open(folder / "none"),
    "a workspace that is a file": lambda folder, _: isrf.open(log(folder)),
    "a workspace of another format": lambda folder, _: of_old_format(folder),
    "a stage that is not there": lambda folder, _: isrf.open(imported(folder)),
    "an unknown user": lambda _, asked: asked.recommend(["nobody"]),
    "users that are a string": lambda _, asked: asked.recommend("u1"),
    "a history of no known item": lambda _, asked: asked.recommend(histories=[["nothing"]]),
    "an empty history": lambda _, asked: asked.recommend(histories=[[]]),
    "k of 0": lambda _, asked: asked.recommend(["u1"], k=0),
    "a column that is not there": lambda _, asked: asked.recommend(["u1"], where={"colour": "red"}),
    "an operator that is none": lambda _, asked: asked.recommend(["u1"], where={"title": {"like": "x"}}),
    "a boost that is none": lambda _, asked: asked.recommend(["u1"], boost={"title": {"x": "much"}}),
    "diversity of 2": lambda _, asked: asked.recommend(["u1"], diversity=2),
    "a time that is none": lambda _, asked: asked.recommend(["u1"], at="soon"),
    "a task that is none": lambda _, asked: asked.recommend(["u1"], task="both"),
    "an item that is not there": lambda _, asked: asked.similar_items(["nothing"]),
    "likeness that is none": lambda _, asked: asked.similar_items(["tea-1"], by="magic"),
    "an item to explain that is not there": lambda _, asked: asked.explain("u1", "nothing"),
    "a profile of nobody": lambda _, asked: asked.profile("nobody"),
}


def imported(folder: Path) -> Path:
    """A workspace with its first stage alone."""
    from isrf.pipeline.import_data import import_data
    from isrf.workspace.workspace import Workspace

    workspace = Workspace.create(folder / "first")
    with workspace.held():
        import_data(workspace, str(log(folder)), None, load_settings(overrides=["data.min_interactions=0"]))
    return folder / "first"


def told(call: Callable[[], object]) -> str:
    with pytest.raises((isrf.IsrfError, ValueError, TypeError)) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("fault", RUNS)
def test_run_speaks_of_its_arguments(fault: str, tmp_path: Path) -> None:
    line = told(lambda: RUNS[fault](tmp_path))
    assert not OPTION.search(line.replace(str(tmp_path), "")), line


@pytest.fixture(scope="module")
def asked(untrained: Path) -> isrf.Recommender:
    return isrf.open(untrained)


@pytest.mark.parametrize("fault", ASKED)
def test_questions_speak_of_their_arguments(fault: str, asked: isrf.Recommender, tmp_path: Path) -> None:
    line = told(lambda: ASKED[fault](tmp_path, asked))
    assert not OPTION.search(line.replace(str(tmp_path), "")), line


def test_agreements_are_asked_for_in_the_words_of_whoever_reads(tmp_path: Path) -> None:
    settings = load_settings(overrides=["reasoning.supplier=openai", "reasoning.model=m"]).reasoning
    line = told(lambda: consent.require(tmp_path, settings))
    assert (
        "give isrf.run" in line
        and "reasoning.supplier='openai'" in line
        and not OPTION.search(line.replace(str(tmp_path), ""))
    )


def test_the_command_line_says_the_same_in_options(tmp_path: Path) -> None:
    missing = refused(command("run", "--data", log(tmp_path, "a,b\nx,y\n"), "--out", tmp_path / "ws"))
    assert "--set data.user_column=NAME --set data.item_column=NAME" in missing
    file = log(tmp_path, f"{LOG}u1,,5\n")
    assert "--on-bad-row skip" in refused(command("run", "--data", file, "--out", tmp_path / "ws"))
    assert "--out" in refused(command("run", "--data", log(tmp_path), "--out", tmp_path / "log.csv"))


@pytest.mark.parametrize("value", [*ODD, None, True, 0.5, 3.0, 7, ["a", "b"], {"view": 0.2}], ids=ascii)
def test_a_suggested_setting_is_one_of_python(value: Any) -> None:
    """What stands behind the name is the value, for ``settings={...}``."""
    name, _, written = setting("data.title_column", value).partition("=")
    assert name == "data.title_column" and ast.literal_eval(written) == value
    if isinstance(value, str):
        assert load_settings(overrides=as_typed({name: ast.literal_eval(written)})).data.title_column == value


def test_a_suggested_call_is_one(tmp_path: Path) -> None:
    call = ast.parse(run_call(tmp_path / "my 'ws'"), mode="eval").body
    assert isinstance(call, ast.Call) and ast.unparse(call.func) == "isrf.run"
    assert {k.arg: ast.literal_eval(k.value) for k in call.keywords} == {"out": str(tmp_path / "my 'ws'")}
    assert argument("items") == "items"


SHELL_ONLY = ("core/shell.py", "core/assets.py", "reasoning/llm/local_server.py")
"""The one place that writes options of `isrf`, and modules that start other programs."""


@every_module
def test_no_room_but_the_command_line_writes_an_option(module: Path) -> None:
    """A literal that is nothing but an option is a word of ``command_line``."""
    own = name_of(module)
    if own in SHELL_ONLY or own.startswith("cli/"):
        return
    for line, text in literals(tree(module)):
        found = re.search(r"(?<![\w(-])--[a-z]|(?<!var)\(--[a-z]", text)
        assert found is None or re.fullmatch(r"--[a-z-]+", text), (
            f"line {line}: {text!r}: name the argument with core.shell"
        )
