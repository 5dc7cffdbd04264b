"""The store of answers: a map that survives its process, and refuses files that are not its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from isrf.errors import IsrfError
from isrf.reasoning.store import Answer, key_of, open_store

answers = st.builds(Answer, st.none() | st.text(max_size=40), st.integers(0, 10**6), st.integers(0, 10**6))


class StoreIsAMap(RuleBasedStateMachine):
    """Whatever was put last under a key comes back, also after closing and opening again."""

    @initialize()
    def start(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "answers.sqlite"
        self.model: dict[str, Answer] = {}
        self.open()

    def open(self) -> None:
        self.context = open_store(self.path)
        self.store = self.context.__enter__()

    @rule(key=st.sampled_from("abc"), answer=answers)
    def put(self, key: str, answer: Answer) -> None:
        self.store.put(key, answer)
        self.model[key] = answer

    @rule()
    def reopen(self) -> None:
        self.context.__exit__(None, None, None)
        self.open()

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "store"):
            assert {key: self.store.get(key) for key in "abc"} == {key: self.model.get(key) for key in "abc"}
            assert len(self.store) == len(self.model)

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)
            self.folder.cleanup()


StoreIsAMap.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestStoreIsAMap = StoreIsAMap.TestCase


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5)), unique=True, max_size=20))
def test_different_questions_have_different_keys(asked: list[tuple[str, str, str]]) -> None:
    keys = {key_of("openai", model, {"seed": 0}, version, prompt) for model, version, prompt in asked}
    assert len(keys) == len(asked)


def test_a_key_ignores_the_order_of_parameters() -> None:
    assert key_of("s", "m", {"a": 1, "b": 2}, "v", []) == key_of("s", "m", {"b": 2, "a": 1}, "v", [])


def test_answers_survive_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    code = (
        "import sys, time; from pathlib import Path; from isrf.reasoning.store import Answer, open_store\n"
        "with open_store(Path(sys.argv[1])) as store:\n"
        "    store.put('k', Answer('kept', 3, 4)); print('put', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"put\n"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with open_store(path) as store:
        assert store.get("k") == Answer("kept", 3, 4)
        assert store.tokens() == (3, 4)


def test_two_open_stores_see_each_other(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.sqlite") as one, open_store(tmp_path / "a.sqlite") as other:
        one.put("k", Answer("yes", 1, 1))
        assert other.get("k") == Answer("yes", 1, 1)


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_text("not a database, but certainly long enough to be looked at " * 20)
    with pytest.raises(IsrfError, match=r"answers\.sqlite: cannot use this store"), open_store(path):
        pass
    assert path.read_text().startswith("not a database"), "somebody's file is left as it was"


def test_another_programs_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "photos.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(IsrfError, match="another program"), open_store(path):
        pass
    assert path.read_bytes() == before


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with open_store(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IsrfError, match="version 99"), open_store(path):
        pass


def test_a_damaged_store_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with open_store(path) as store:
        for n in range(200):
            store.put(f"key {n}", Answer("x" * 200, 1, 1))
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(bytes(content))
    with pytest.raises(IsrfError, match="cannot use this store") as caught, open_store(path):
        pass
    assert "\n" not in str(caught.value)


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match="cannot use this store"), open_store(tmp_path):
        pass
