"""Answers whose bytes flip count as not there; a store of the former version keeps every answer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from isrf.core.errors import IsrfError
from isrf.reasoning.answers import store as stores
from isrf.reasoning.answers.exchange import export_answers, import_answers
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.rows import Origin
from isrf.reasoning.answers.schema import ABOUT, SCHEMA_VERSION, TEXTS
from isrf.reasoning.answers.store import open_store

ANSWER = Completion('{"likes": "tea"}', "hm", False, 100, 20, 5)
ORIGIN = Origin("openai", "m", "item", "likes", "v1", 1.5)
COLUMNS = ("key", *ABOUT, *TEXTS, "about_sum", "text_sum")
OTHER = {"cut": 1, "tokens_in": 999, "tokens_out": 2, "tokens_thinking": 4, "seconds": 2.5}


def key(n: int) -> str:
    return f"{n:064x}"


def filled(path: Path, count: int = 3) -> Path:
    with open_store(path) as store:
        for n in range(count):
            store.put(key(n), replace(ANSWER, tokens_in=100 + n), ORIGIN)
        store.remember("openai", "m", {"wanted": 1})
    return path


def changed(path: Path, query: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(query, values)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_that_is_not_what_was_written_is_asked_for_again(
    column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = filled(tmp_path / "answers.sqlite")
    other = OTHER.get(column, b"x" * 8 if column.endswith("_sum") else key(9) if column == "key" else "else")
    changed(path, f"UPDATE answers SET {column} = ? WHERE key = ?", other, key(1))
    with open_store(path) as store:
        assert store.get(key(0)) == replace(ANSWER, tokens_in=100) and store.get(key(1)) is None
        assert [row[0] for row in store.rows()] == [key(0), key(2)]
        if column not in TEXTS and column != "text_sum":
            measured = store.measured("openai", "m", "item", "likes")
            assert measured is not None and (measured.count, measured.tokens_in) == (2, 101.0)
            assert store.tokens() == (202, 40)
        again = replace(ANSWER, content="asked again")
        assert store.put(key(1), again, ORIGIN) == again
    told = " ".join(capsys.readouterr().err.split())
    assert "holds damaged answers" in told and str(path) in told
    with open_store(path) as store:
        assert store.get(key(1)) == again


def test_bytes_that_are_no_text_are_a_damaged_row_and_no_damaged_store(tmp_path: Path) -> None:
    path = filled(tmp_path / "answers.sqlite")
    changed(path, "UPDATE answers SET content = CAST(x'ff41' AS TEXT) WHERE key = ?", key(1))
    with open_store(path) as store:
        assert store.get(key(1)) is None and len(list(store.rows())) == 2


def test_what_was_negotiated_is_found_out_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = filled(tmp_path / "answers.sqlite")
    for wrong in ('{"wanted": 2}', "{", "[]"):
        changed(path, "UPDATE dialects SET dialect = ?", wrong)
        with open_store(path) as store:
            assert store.remembered("openai", "m") is None and store.get(key(0)) is not None
        assert "found out again" in " ".join(capsys.readouterr().err.split())
    with open_store(path) as store:
        store.remember("openai", "m", {"wanted": 3})
        assert store.remembered("openai", "m") == {"wanted": 3}


def test_every_bit_of_a_row_counts(tmp_path: Path) -> None:
    """Flipped in the file itself: the answer that was given, none, or a store that is refused; never another answer."""
    path = filled(tmp_path / "answers.sqlite", 1)
    changed(path, "PRAGMA journal_mode = DELETE")
    whole = path.read_bytes()
    at = whole.index(b'{"likes"')
    given = {None, replace(ANSWER, tokens_in=100)}
    refused = lost = 0
    for place in range(at - 160, at + 18):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(bytes(content))
        for extra in ("-wal", "-shm"):
            path.with_name(path.name + extra).unlink(missing_ok=True)
        try:
            with open_store(path) as store:
                found = store.get(key(0))
                assert found in given, place
                lost += found is None
        except IsrfError as error:
            assert str(path) in str(error)
            refused += 1
    assert lost > 50


def test_an_import_puts_damaged_answers_right(tmp_path: Path) -> None:
    path = filled(tmp_path / "answers.sqlite")
    export_answers(path, tmp_path / "answers.parquet")
    changed(path, "UPDATE answers SET content = 'else' WHERE key = ?", key(1))
    assert import_answers(tmp_path / "answers.parquet", path) == (1, 2)
    with open_store(path) as store:
        assert store.get(key(1)) == replace(ANSWER, tokens_in=101)
    changed(path, "UPDATE answers SET content = 'else' WHERE key = ?", key(1))
    assert export_answers(path, tmp_path / "answers.parquet") == 2


FORMER = """
CREATE TABLE answers (
    key TEXT PRIMARY KEY NOT NULL, supplier TEXT NOT NULL, model TEXT NOT NULL, kind TEXT NOT NULL, ask TEXT NOT NULL,
    prompt_version TEXT NOT NULL, cut INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL,
    tokens_thinking INTEGER NOT NULL, seconds REAL NOT NULL, content TEXT NOT NULL, thinking TEXT NOT NULL
);
CREATE TABLE dialects (supplier TEXT NOT NULL, model TEXT NOT NULL, dialect TEXT NOT NULL, PRIMARY KEY (supplier, model));
PRAGMA application_id = 0x49535246;
PRAGMA user_version = 2;
"""


def former(path: Path) -> None:
    """A store as the version before wrote it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FORMER)
        connection.execute("INSERT INTO dialects VALUES ('openai', 'm', '{\"wanted\": 1}')")
        for n in range(5):
            values = (key(n), "openai", "m", "item", "likes", "v1", 0, 100 + n, 20, 5, 1.5, ANSWER.content, "hm")
            connection.execute(f"INSERT INTO answers VALUES ({', '.join('?' * 13)})", values)


def test_a_store_of_the_former_version_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "answers.sqlite"
    former(path)
    expected = [(key(n), replace(ANSWER, tokens_in=100 + n), ORIGIN) for n in range(5)]
    for _ in range(2):
        with open_store(path) as store:
            assert list(store.rows()) == expected and store.remembered("openai", "m") == {"wanted": 1}
    assert capsys.readouterr().err.count("5 answers of an older isrf were given checksums") == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {"answers", "dialects"}


def test_a_kill_while_checksums_are_given_leaves_the_former_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.sqlite"
    former(path)
    with monkeypatch.context() as patch:
        patch.setattr("isrf.reasoning.answers.schema.checksum", lambda *values: 1 / 0)
        with pytest.raises(ZeroDivisionError), open_store(path):
            pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT COUNT(*) FROM answers").fetchone() == (5,)
    with open_store(path) as store:
        assert len(store) == 5


def test_answers_are_brought_to_the_disk_while_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    now = [1000.0]
    monkeypatch.setattr(stores, "sync_file", synced.append)
    monkeypatch.setattr("isrf.reasoning.answers.store.time.monotonic", lambda: now[0])
    with open_store(tmp_path / "answers.sqlite") as store:
        for n in range(40):
            now[0] += 0.1
            store.put(key(n), ANSWER, ORIGIN)
    assert len(synced) in (3, 4) and {path.name for path in synced} == {"answers.sqlite-wal"}
