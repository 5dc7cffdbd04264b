"""Nothing that is printed can fail a command: other encodings, closed streams, readers that went away, full disks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.commands import (
    closed,
    done,
    encoded_as,
    installed,
    isrf,
    nobody_reads,
    output_to,
    refused,
    run_small,
    settings,
    small_log,
    write_source,
)

TITLES = {"tea number 0": "茶 🎸 Übung", "bread number 1": "Œuvre “complète” — naïve"}
ENCODINGS = (
    "ascii",
    "cp1252",
    "gbk",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("iso-8859-1", "cp437")),
)


@pytest.fixture(scope="module")
def worldly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with titles that no single old encoding has; not to be changed but by evaluations."""
    folder = tmp_path_factory.mktemp("worldly")
    source = write_source(folder / "shop", small_log())
    items = folder / "shop" / "items.csv"
    text = items.read_text(encoding="utf-8")
    for plain, odd in TITLES.items():
        text = text.replace(f"{plain},", f"{odd},")
    items.write_text(text, encoding="utf-8")
    done(run_small(source, folder / "ws", "--no-train"))
    return folder / "ws"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gets_the_whole_answer(encoding: str, worldly: Path, tmp_path: Path) -> None:
    """Tables with escapes for what it lacks, JSON that any reader understands, and files in UTF-8."""
    for format in ("table", "markdown", "json", "jsonl", "csv"):
        target = tmp_path / format
        target.write_bytes(b"")
        obstacles = [output_to(str(target)), encoded_as(encoding)]
        asked = ("--history", "tea-1,bread-2", "--top", 40, "--format", format)
        done(isrf("recommend", worldly, *asked, obstacles=obstacles))
        text = target.read_bytes().decode("utf-8" if format == "csv" else encoding)
        if format == "json":
            assert set(TITLES.values()) < {row["title"] for row in json.loads(text)}
        elif format == "jsonl":
            assert set(TITLES.values()) < {json.loads(line)["title"] for line in text.splitlines()}
        elif format == "csv":
            assert "茶 🎸 Übung" in text and "Œuvre “complète” — naïve" in text
        else:
            assert "tea-0" in text and "bread-1" in text and ("Übung" in text or "\\xdcbung" in text)


def test_an_evaluation_and_a_description_survive_an_old_encoding(worldly: Path) -> None:
    for obstacles in ([encoded_as("ascii")], [encoded_as("cp1252")]):
        assert "NDCG@10" in done(isrf("evaluate", worldly, obstacles=obstacles)).out
        assert "60" in done(isrf("data", "describe", worldly, obstacles=obstacles)).out


def test_the_environment_of_a_shell(worldly: Path) -> None:
    """Once as a user starts it, in a locale without UTF-8."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    outcome = done(installed("recommend", worldly, "--history", "tea-1", "--top", 40, "--format", "json", env=plain))
    assert TITLES["tea number 0"] in {row["title"] for row in json.loads(outcome.out)}


ASKED = ("--user", "u1", "--top", 2)


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_an_answer_that_could_not_be_written_is_told_of(format: str, untrained: Path) -> None:
    for obstacle in (closed(1), output_to("/dev/full")):
        line = refused(isrf("recommend", untrained, *ASKED, "--format", format, obstacles=[obstacle]), "lost")
        assert "--output" in line


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_a_reader_that_has_read_enough_is_no_fault(format: str, untrained: Path) -> None:
    outcome = done(isrf("recommend", untrained, *ASKED, "--format", format, obstacles=[nobody_reads]))
    assert not outcome.err


def test_results_that_are_kept_say_where(worldly: Path, tmp_path: Path) -> None:
    """The work is done and its table written, so the command succeeds."""
    for obstacle in (closed(1), output_to("/dev/full")):
        outcome = done(isrf("evaluate", worldly, obstacles=[obstacle]))
        assert str(worldly / "evaluation") in outcome.err and outcome.err.count("isrf: ") == 1
        outcome = done(isrf("bench", worldly, "--methods", "popularity,ease", obstacles=[obstacle]))
        assert "table.md" in outcome.err
    source = write_source(tmp_path / "shop", small_log())
    imported = ("data", "import", source, "--out", tmp_path / "ws", *settings())
    assert "data describe" in done(isrf(*imported, obstacles=[closed(1)])).err


def test_a_closed_standard_error_costs_nothing_but_the_notes(untrained: Path, tmp_path: Path) -> None:
    outcome = done(isrf("recommend", untrained, *ASKED, "--format", "json", obstacles=[closed(2)]))
    assert len(json.loads(outcome.out)) == 2 and not outcome.err
    outcome = isrf("recommend", untrained, "--user", "nobody", obstacles=[closed(2)])
    assert outcome.code == 2 and not outcome.out, "a message is no answer"
    target = tmp_path / "rows.json"
    done(isrf("recommend", untrained, *ASKED, "--output", target, obstacles=[closed(1, 2)]))
    assert len(json.loads(target.read_text())) == 2
