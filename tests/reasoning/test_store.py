"""The store of answers: a map whose first answer wins, that survives its process, and refuses files not its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from isrf.core.errors import IsrfError
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.rows import Origin, key_of
from isrf.reasoning.answers.store import Measured, open_store

counts = st.integers(0, 2**31 - 1)
texts = st.text(max_size=40)  # NULs and everything else that is Unicode
completions = st.builds(Completion, texts, texts, st.booleans(), counts, counts, counts)
origins = st.builds(
    Origin,
    texts,
    texts,
    st.sampled_from(["item", "user"]),
    st.sampled_from(["likes", "dislikes", "feature", "single"]),
    texts,
    st.floats(0, 1e6),
)

ANSWER = Completion('{"likes": "Fans of red."}', "Red, then.", False, 100, 20, 5)
ORIGIN = Origin("openai", "deepseek-chat", "item", "likes", "0123456789ab", 1.5)

PUT_AND_WAIT = """
import sys, time
from pathlib import Path
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.rows import Origin
from isrf.reasoning.answers.store import open_store
origin = Origin("openai", "m", "item", "likes", "v", 1.0)
with open_store(Path(sys.argv[1])) as store:
    for n in range(int(sys.argv[2])):
        store.put(f"key {n}", Completion(sys.argv[3], "", False, 3, 4, 0), origin)
        print(n, flush=True)
    time.sleep(float(sys.argv[4]))
"""


def putting(path: Path, count: int, content: str, then_wait_s: float) -> subprocess.Popen[bytes]:
    """A process that puts ``count`` answers under the same keys as any other such process, telling each when it is in."""
    command = [sys.executable, "-c", PUT_AND_WAIT, str(path), str(count), content, str(then_wait_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


class StoreIsAMap(RuleBasedStateMachine):
    """Whatever was put first under a key comes back, also after closing and opening again."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "answers.sqlite"
        self.model: dict[str, Completion] = {}
        self.origins: dict[str, Origin] = {}
        self.open()

    def open(self) -> None:
        self.context = open_store(self.path)
        self.store = self.context.__enter__()

    @rule(key=st.sampled_from("abc"), completion=completions, origin=origins)
    def put(self, key: str, completion: Completion, origin: Origin) -> None:
        kept = self.store.put(key, completion, origin)
        assert kept == self.model.setdefault(key, completion)
        self.origins.setdefault(key, origin)

    @rule(rows=st.lists(st.tuples(st.sampled_from("bcde"), completions, origins), max_size=6))
    def add(self, rows: list[tuple[str, Completion, Origin]]) -> None:
        before = len(self.model)
        added = self.store.add(rows)
        for key, completion, origin in rows:
            self.model.setdefault(key, completion)
            self.origins.setdefault(key, origin)
        assert added == len(self.model) - before

    @rule()
    def reopen(self) -> None:
        self.context.__exit__(None, None, None)
        self.open()

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "store"):
            assert {key: self.store.get(key) for key in "abcde"} == {key: self.model.get(key) for key in "abcde"}
            assert len(self.store) == len(self.model)
            assert list(self.store.rows()) == [(k, self.model[k], self.origins[k]) for k in sorted(self.model)]
            tokens = [(answer.tokens_in, answer.tokens_out) for answer in self.model.values()]
            assert self.store.tokens() == (sum(t for t, _ in tokens), sum(t for _, t in tokens))

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)
            self.folder.cleanup()


StoreIsAMap.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestStoreIsAMap = StoreIsAMap.TestCase


# --- keys


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5)), unique=True, max_size=20))
def test_different_questions_have_different_keys(asked: list[tuple[str, str, str]]) -> None:
    keys = {key_of("openai", model, {"seed": 0}, version, prompt) for model, version, prompt in asked}
    assert len(keys) == len(asked)


def test_a_key_ignores_the_order_of_parameters() -> None:
    assert key_of("s", "m", {"a": 1, "b": 2}, "v", []) == key_of("s", "m", {"b": 2, "a": 1}, "v", [])


def test_a_key_is_64_hex_digits_whatever_the_prompt_holds() -> None:
    key = key_of("s", "m", {}, "v", [{"role": "user", "content": "lone \udc80 surrogate, \0 and \U0001f600"}])
    assert len(key) == 64 and set(key) <= set("0123456789abcdef")


# --- texts that SQLite could trip over


def test_a_lone_surrogate_becomes_a_question_mark_at_once_and_for_good(tmp_path: Path) -> None:
    odd = replace(ANSWER, content="half \ud83d of an emoji", thinking="\udc80")
    with open_store(tmp_path / "a.sqlite") as store:
        kept = store.put("k", odd, replace(ORIGIN, model="model\udcff.gguf"))
        assert kept == replace(ANSWER, content="half ? of an emoji", thinking="?"), "what later runs will read"
        assert store.get("k") == kept
        assert store.measured("openai", "model\udcff.gguf", "item", "likes") == Measured(1, 100, 20, 1.5)


def test_a_long_answer_with_long_thinking_comes_back_whole(tmp_path: Path) -> None:
    long = replace(ANSWER, content="ü" * 8_000, thinking="think \0" * 9_000)
    with open_store(tmp_path / "a.sqlite") as store:
        store.put("k", long, ORIGIN)
        assert store.get("k") == long


# --- what is measured and remembered


def test_means_are_of_one_supplier_model_kind_and_ask(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.sqlite") as store:
        store.put("1", replace(ANSWER, tokens_in=100, tokens_out=10), replace(ORIGIN, seconds=1.0))
        store.put("2", replace(ANSWER, tokens_in=200, tokens_out=40), replace(ORIGIN, seconds=2.0))
        for n, other in enumerate(({"supplier": "local"}, {"model": "other"}, {"kind": "user"}, {"ask": "single"})):
            store.put(f"other {n}", replace(ANSWER, tokens_in=9999), replace(ORIGIN, **other))
        assert store.measured("openai", "deepseek-chat", "item", "likes") == Measured(2, 150.0, 25.0, 1.5)
        assert store.measured("openai", "deepseek-chat", "item", "feature") is None


def test_the_last_dialect_of_an_endpoint_is_remembered(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.sqlite") as store:
        assert store.remembered("openai", "m") is None
        store.remember("openai", "m", {"structure": "schema"})
        store.remember("openai", "m", {"structure": "object", "seed": False})
        store.remember("local", "m", {"structure": "prompted"})
    with open_store(tmp_path / "a.sqlite") as store:
        assert store.remembered("openai", "m") == {"structure": "object", "seed": False}
        assert len(store) == 0, "a dialect is no answer"


# --- several processes, some of them killed


def test_answers_survive_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    child = putting(path, 100_000, "kept", 0)
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(50)]
    os.kill(child.pid, signal.SIGKILL)
    told += [int(line) for line in child.communicate()[0].splitlines(keepends=True) if line.endswith(b"\n")]
    with open_store(path) as store:
        assert len(store) >= len(told)
        assert all(store.get(f"key {n}") == Completion("kept", "", False, 3, 4, 0) for n in told)


def test_of_two_processes_the_first_answer_wins(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    children = [putting(path, 300, content, 0) for content in ("one", "other")]
    with open_store(path) as store:  # a third, which sees answers once and for all while the two are at it
        seen: dict[str, Completion] = {}
        while any(child.poll() is None for child in children):
            for n in range(0, 300, 10):
                answer = store.get(f"key {n}")
                if answer is not None:
                    assert seen.setdefault(f"key {n}", answer) == answer
        assert [child.wait() for child in children] == [0, 0]
        assert len(store) == 300
        assert {completion.content for _, completion, _ in store.rows()} <= {"one", "other"}
    for child in children:
        child.communicate()


def test_whoever_comes_second_is_told_the_answer_that_stays(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.sqlite") as one, open_store(tmp_path / "a.sqlite") as other:
        assert one.put("k", ANSWER, ORIGIN) == ANSWER
        assert other.put("k", replace(ANSWER, content="later"), ORIGIN) == ANSWER
        assert other.get("k") == ANSWER


def test_eight_processes_may_make_one_store(tmp_path: Path) -> None:
    children = [putting(tmp_path / "new" / "answers.sqlite", 3, "x", 0) for _ in range(8)]
    assert [child.communicate() and child.returncode for child in children] == [0] * 8


def test_many_answers_are_kept_all_or_none(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.sqlite") as store:
        rows = [("a", ANSWER, ORIGIN), ("b", replace(ANSWER, content=None), ORIGIN)]  # type: ignore[arg-type]
        with pytest.raises(IsrfError, match="cannot use this store"):
            store.add(rows)
        assert len(store) == 0
        assert store.add(rows[:1]) == 1, "the store is usable after that"


# --- files that are no store


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


@pytest.mark.parametrize(
    ("version", "remedy"),
    [(1, "older isrf.*move the file away, and they will be asked for again"), (99, "newer isrf.*update isrf")],
)
def test_another_version_is_refused_with_a_remedy(tmp_path: Path, version: int, remedy: str) -> None:
    path = tmp_path / "answers.sqlite"
    with open_store(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(IsrfError, match=rf"version {version}, by an? {remedy}") as caught, open_store(path):
        pass
    assert "\n" not in str(caught.value)


def test_a_damaged_store_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with open_store(path) as store:
        for n in range(200):
            store.put(f"key {n}", replace(ANSWER, content="x" * 200), ORIGIN)
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(bytes(content))
    with pytest.raises(IsrfError, match="cannot use this store") as caught, open_store(path):
        pass
    assert "\n" not in str(caught.value)


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match="cannot use this store"), open_store(tmp_path):
        pass
