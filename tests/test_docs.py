"""Every command of the README and of docs/ is run, or at least understood; options, settings and links are real ones.

A block that begins with ```sh holds commands: they are run in order, page by page, in a folder that has a small log and a
finished workspace of it. ```sh parsed (why) holds those that need hours, a GPU, a language model or data that tests have
not: their options and settings are checked. CONTRIBUTING.md tells writers.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.commands import SMALL, done, isrf, small_log, write_source
from tests.reviews import write_reviews

from isrf.cli.bench import seeds_named
from isrf.cli.main import MISUNDERSTOOD, app
from isrf.core.config import Settings, load_settings
from isrf.core.errors import IsrfError
from isrf.pipeline.bench import methods_named

ROOT = Path(__file__).parent.parent
README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = [README, CHINESE, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = [page for page in PAGES if page != CHINESE]
"""The Chinese README has the commands of the English one, which a test holds."""

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
OTHERS = {"accelerate", "apt-get", "export", "make", "mlflow", "pip", "python", "tensorboard", "torchrun"}
"""Programs besides isrf that a page may name."""

ENV = {
    f"ISRF_{room.upper()}__{name.upper()}": value
    for room, name, value in (re.split(r"[.=]", setting, maxsplit=2) for setting in (*SMALL, "training.epochs=1"))
}


@dataclass(frozen=True)
class Block:
    """Commands of a page, those that are run or those that are only understood."""

    page: Path
    run: bool
    commands: tuple[tuple[str, ...], ...]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands_in(text: str) -> Iterator[tuple[str, ...]]:
    """The words of each command; comments, continued lines and && as a shell reads them."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in shlex.split(line, comments=True):
            if word in ("&&", "||", "|", ";"):
                yield tuple(words)
                words = []
            else:
                words.append(word.removeprefix(".venv/bin/") if not words else word)
        if words:
            yield tuple(words)


@cache
def blocks(page: Path) -> list[Block]:
    found = []
    for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
        language, _, more = fence["info"].strip().partition(" ")
        if language == "sh":
            assert not more or re.fullmatch(r"parsed \([^)]+\)", more), f"{named(page)}: ```sh {more}"
            found.append(Block(page, not more, tuple(commands_in(fence["text"]))))
        elif not language:
            first = {line.split()[0].removeprefix(".venv/bin/") for line in fence["text"].splitlines() if line.strip()}
            assert not first & {"isrf", *OTHERS}, (
                f"{named(page)}: begin a block of commands with ```sh (see CONTRIBUTING.md)"
            )
    return found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_are_understood(page: Path) -> None:
    """Options exist, values are of their kind, settings have that name and allow that value."""
    for block in blocks(page):
        for command in block.commands:
            understand(command)


def understand(command: tuple[str, ...]) -> None:
    """Read a command as its program would, without doing it."""
    program, *words = command
    if program == "isrf":
        understand_isrf(words)
    elif "-m" in words and words[words.index("-m") + 1] == "isrf":  # torchrun and accelerate launch
        understand_isrf(words[words.index("-m") + 2 :])
    elif program == "python" and words[0].startswith("bench/"):
        script = (ROOT / words[0]).read_text(encoding="utf-8")
        for word in words[1:]:
            assert not word.startswith("--") or f'"{word}"' in script, f"{words[0]} has no {word}"
    elif program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), command
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert all(extra in extras for word in words for extra in re.findall(r"(?<=isrf\[)\w+", word)), command
    else:
        assert program in OTHERS or "=" in program, command


def understand_isrf(words: list[str]) -> None:
    """As `isrf` reads its words; what typer does not understand, it raises."""
    command, values = parsed(typer.main.get_command(app), [*words])
    if command.name is None:
        return
    config = values.get("config")
    preset = values.get("preset")
    load_settings(preset, config if config and Path(config).exists() else None, values.get("sets") or ())
    if "methods" in values:
        methods_named(",".join(values["methods"]))
        seeds_named(",".join(values["seeds"]) or None)


def parsed(command: Any, words: list[str]) -> tuple[Any, dict[str, Any]]:
    """The command that words lead to, and its values."""
    if hasattr(command, "resolve_command") and words and not words[0].startswith("-"):
        return parsed(command.commands[words[0]], words[1:])
    try:
        context = command.make_context(command.name or "isrf", words)
    except MISUNDERSTOOD as error:
        raise AssertionError(f"{command.name} {shlex.join(words)}: {error.format_message()}") from None
    return command, context.params


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages speak of: log.csv, items.csv, newer ones of both, a P5 folder with reviews, and ws after `isrf run`.

    Not to be changed.
    """
    folder = tmp_path_factory.mktemp("shop")
    rows = sorted({item for items in small_log().values() for item in items})
    items = {item: f"B{at:03}" for at, item in enumerate(rows, 1)}
    log = {f"U{100 + n}": [items[i] for i in chosen] for n, chosen in enumerate(small_log().values())}
    write_source(folder, log)
    catalogue = [
        f"{number},{item.replace('-', ' number ')},{item.split('-')[0]} house,{place}.50"
        for place, (item, number) in enumerate(items.items(), 1)
    ]
    (folder / "items.csv").write_text("\n".join(["item_id,title,brand,price", *catalogue]) + "\n")
    newer = ["U100,B001,1500000000", "U123,N001,1500000001", "N100,B002,1500000002", "N100,N001,1500000003"]
    (folder / "more.csv").write_text("\n".join(["user_id,item_id,timestamp", *newer]) + "\n")
    (folder / "more-items.csv").write_text("item_id,title,brand,price\nN001,tea number 99,tea house,9.50\n")
    write_reviews(folder / "p5", small_log())
    done(isrf("run", "--data", "log.csv", "--items", "items.csv", "--out", "ws", **here(folder)))
    return folder


def here(folder: Path) -> dict[str, Any]:
    return {"env": ENV, "obstacles": [partial(os.chdir, folder)]}


@pytest.mark.parametrize("page", [page for page in RUN if any(block.run for block in blocks(page))], ids=named)
def test_commands_run(page: Path, shop: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    for block in blocks(page):
        for program, *words in block.commands if block.run else ():
            assert program == "isrf", f"{program} is not run by this test: ```sh parsed (why)"
            outcome = isrf(*words, **here(folder))
            found = (
                (3,) if "--strict" in words else ()
            )  # `isrf audit --strict` says by its code that there is something
            assert outcome.code in (0, *found), f"isrf {shlex.join(words)}\n{outcome.err}"


def python_of(page: Path) -> list[str]:
    return [f["text"] for f in FENCE.finditer(page.read_text(encoding="utf-8")) if f["info"] == "python"]


@pytest.mark.parametrize("page", [page for page in RUN if python_of(page)], ids=named)
def test_python_runs(
    page: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    with contextlib.chdir(folder):
        for code in python_of(page):
            exec(compile(code, named(page), "exec"), {"__name__": "page"})
            assert capsys.readouterr().out.strip()


def test_the_readmes_run_the_same_python() -> None:
    english, chinese = ([re.sub("#.*", "", code) for code in python_of(page)] for page in (README, CHINESE))
    assert english and [code.split() for code in english] == [code.split() for code in chinese]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_options_and_settings_that_a_page_names_exist(page: Path) -> None:
    """In running text: `isrf COMMAND --option`, `room.name` and `room.name=value`."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    rooms = {name: set(type(room).model_fields) for name, room in Settings()}
    for said in re.findall(r"`([^`\n]+)`", text):
        for room, name in re.findall(r"(?<![\w./])([a-z]+)\.([a-z_0-9]+)(?=[=\s,]|$)", said):
            if room in rooms and name not in ("py", "json", "csv", "parquet", "npz", "yaml"):
                assert name in rooms[room], f"{named(page)}: {said}: {room} has no {name}"
        if said.startswith("isrf "):
            with contextlib.suppress(ValueError):  # a quotation with an open quote
                named_in_text(page, shlex.split(said)[1:])


def named_in_text(page: Path, words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{named(page)}: isrf has no {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        assert not word.startswith("--") or word.split("=")[0] in {*known, "--help"}, (
            f"{named(page)}: {command.name} {word}"
        )


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_and_files_lead_somewhere(page: Path) -> None:
    """Links, and files of the project that are named in backticks; mine.py is the reader's own."""
    for file in re.findall(r"`((?:bench|docs|src|tests)/[\w/.-]+\.\w+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / file).exists() or file.endswith("mine.py"), f"{named(page)}: {file}"
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        there = "://" in target or (page.parent / target).exists()
        assert there, f"{named(page)}: {target}"


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


def test_both_readmes_say_the_same() -> None:
    """Structure, commands and figures; words are another matter."""
    english, chinese = (page.read_text(encoding="utf-8") for page in (README, CHINESE))
    assert f"]({CHINESE.name})" in english and f"]({README.name})" in chinese
    assert [b.commands for b in blocks(README)] == [b.commands for b in blocks(CHINESE)]

    def shape(text: str) -> dict[str, list[str]]:
        plain = FENCE.sub("", text)
        return {
            "headings": re.findall(r"^#+(?= )", plain, re.MULTILINE),
            "rows of tables": [str(line.count("|")) for line in plain.splitlines() if line.startswith("|")],
            "figures": sorted(re.findall(r"\d\.\d{3,4}", plain)),
            "links": sorted(set(re.findall(r"\]\(([^)]+)\)", plain)) - {README.name, CHINESE.name}),
            "settings": sorted(set(re.findall(r"`[a-z]+\.[a-z_]+[^`]*`", plain))),
        }

    one, other = shape(english), shape(chinese)
    for what in one:
        assert one[what] == other[what], what


def test_where_things_are_names_files_that_are_there() -> None:
    """The table of CONTRIBUTING names a file for each thing that a newcomer wants to do, and at most three to change."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Where do I…")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15
    for wish, files, count in rows:
        named_files = re.findall(r"`(src/[\w/.]+)`", files)
        assert named_files and all((ROOT / file).exists() for file in named_files), wish
        assert all(int(n) <= 3 for n in re.findall(r"\d+", count)), wish


def test_this_test_can_fail() -> None:
    for wrong in (
        "recommend ws --users U1",
        "train ws --set graphs.tua=0.6",
        "bench ws --methods isfr",
        "run --out ws",
    ):
        with pytest.raises((AssertionError, IsrfError)):
            understand(("isrf", *wrong.split()))
    understand(("isrf", "recommend", "ws", "--user", "U1"))
    text = "isrf run \\\n  --out ws && isrf train ws  # why\n# nothing\nisrf bench ws"
    assert [len(command) for command in commands_in(text)] == [4, 3, 3]
