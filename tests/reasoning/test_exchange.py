"""Answers as Parquet: what goes out comes back, equal stores give equal bytes, and a file with a fault changes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isrf.core.errors import IsrfError
from isrf.reasoning.answers.exchange import COLUMNS, GROUP_ROWS, READ_ROWS, export_answers, import_answers
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.rows import Origin, Row, key_of
from isrf.reasoning.answers.store import open_store

counts = st.integers(0, 2**31 - 1)
texts = st.text(max_size=30)
rows_of_answers = st.lists(
    st.tuples(
        st.integers(0, 10**6).map(lambda n: key_of("s", "m", {}, "v", n)),
        st.builds(Completion, texts, texts, st.booleans(), counts, counts, counts),
        st.builds(
            Origin,
            texts,
            texts,
            st.sampled_from(["item", "user"]),
            st.sampled_from(["likes", "dislikes", "feature", "single"]),
            texts,
            st.floats(0, 1e6),
        ),
    ),
    unique_by=lambda row: row[0],
    max_size=30,
)
ORIGIN = Origin("openai", "deepseek-chat", "item", "likes", "0123456789ab", 1.5)

IMPORT = """
import sys
from pathlib import Path
from isrf.reasoning.answers.exchange import import_answers
print(*import_answers(Path(sys.argv[1]), Path(sys.argv[2])))
"""

KILLED = """
import os, signal
from contextlib import contextmanager
from isrf.reasoning.answers.store import AnswerStore
add, transaction, batches = AnswerStore.add, AnswerStore._transaction, 0

def counted(self, rows):
    global batches
    batches += 1
    return add(self, rows)

@contextmanager
def dying(self):
    with transaction(self):
        yield
        if batches == 4:
            os.kill(os.getpid(), signal.SIGKILL)

AnswerStore.add, AnswerStore._transaction = counted, dying
"""
"""Before IMPORT: the process kills itself when the fourth batch is written and not yet committed."""

PEAKS = """
import sys
from pathlib import Path
from isrf.reasoning.answers.exchange import export_answers, import_answers

def peak_mb():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

store, file, other = map(Path, sys.argv[1:])
before = peak_mb()
export_answers(store, file)
import_answers(file, other)
print(peak_mb() - before)
"""


def some_answers(count: int) -> list[Row]:
    """Answers that differ, in the order of their keys."""
    rows = [
        (
            key_of("openai", "m", {}, "v", n),
            Completion(f"answer {n} " + "x" * (n % 90), "", n % 2 == 0, n, 40, 0),
            ORIGIN,
        )
        for n in range(count)
    ]
    return sorted(rows, key=lambda row: row[0])


def stored(path: Path, rows: list[Row]) -> Path:
    with open_store(path) as store:
        store.add(rows)
    return path


def content(path: Path) -> list[Row]:
    with open_store(path) as store:
        return list(store.rows())


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """An export of five answers."""
    export_answers(stored(tmp_path / "from.sqlite", some_answers(5)), tmp_path / "answers.parquet")
    return tmp_path / "answers.parquet"


def importing(file: Path, store: Path, code: str = IMPORT) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, str(file), str(store)], stdout=subprocess.PIPE, text=True)


# --- there and back


@given(rows_of_answers)
@settings(max_examples=20)
def test_what_goes_out_comes_back(rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, other, file = Path(folder, "a.sqlite"), Path(folder, "b.sqlite"), Path(folder, "answers.parquet")
        assert export_answers(stored(one, rows), file) == len(rows)
        assert import_answers(file, other) == (len(rows), 0)
        assert content(other) == content(one) == sorted(rows, key=lambda row: row[0])
        first = file.read_bytes()
        export_answers(other, file)
        assert file.read_bytes() == first


def test_equal_stores_give_equal_bytes_in_whatever_order_they_were_filled(tmp_path: Path) -> None:
    rows = some_answers(GROUP_ROWS + 100)
    export_answers(stored(tmp_path / "a.sqlite", rows), tmp_path / "a.parquet")
    export_answers(stored(tmp_path / "b.sqlite", rows[::-1]), tmp_path / "b.parquet")
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups == 2
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_the_file_says_what_it_is(exported: Path) -> None:
    about = json.loads(pq.read_schema(exported).metadata[b"isrf"])
    assert about["format"] == "isrf answers" and about["version"] == 1 and about["made_by"].startswith("isrf ")
    assert list(about["columns"]) == pq.read_schema(exported).names == list(COLUMNS)


def test_dialects_stay_behind(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.sqlite") as store:
        store.remember("openai", "m", {"structure": "schema"})
    assert export_answers(tmp_path / "a.sqlite", tmp_path / "a.parquet") == 0
    assert import_answers(tmp_path / "a.parquet", tmp_path / "b.sqlite") == (0, 0)
    with open_store(tmp_path / "b.sqlite") as store:
        assert store.remembered("openai", "m") is None


def test_the_first_answer_wins_over_an_imported_one(tmp_path: Path, exported: Path) -> None:
    key, answer, origin = some_answers(5)[2]
    mine = replace(answer, content="mine")
    store = stored(tmp_path / "mine.sqlite", [(key, mine, origin)])
    assert import_answers(exported, store) == (4, 1)
    with open_store(store) as answers:
        assert answers.get(key) == mine
    assert import_answers(exported, store) == (0, 5), "importing again adds nothing"


def test_an_export_replaces_an_older_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    store, file = stored(tmp_path / "a.sqlite", some_answers(3)), tmp_path / "out" / "answers.parquet"
    file.parent.mkdir()
    export_answers(store, file)
    stored(store, some_answers(4))
    assert export_answers(store, file) == 4
    assert list(file.parent.iterdir()) == [file]


# --- several processes, some of them killed


def test_two_processes_import_at_once(tmp_path: Path) -> None:
    rows = some_answers(2_000)
    export_answers(stored(tmp_path / "a.sqlite", rows), tmp_path / "a.parquet")
    children = [importing(tmp_path / "a.parquet", tmp_path / "b.sqlite") for _ in range(2)]
    told = [tuple(map(int, child.communicate()[0].split())) for child in children]
    assert sum(added for added, _ in told) == 2_000, "each answer was new to one of them"
    assert all(added + known == 2_000 for added, known in told)
    assert content(tmp_path / "b.sqlite") == rows


def test_a_killed_import_leaves_whole_answers_and_can_be_finished(tmp_path: Path) -> None:
    rows = some_answers(6 * READ_ROWS)
    file, store = tmp_path / "a.parquet", tmp_path / "b.sqlite"
    export_answers(stored(tmp_path / "a.sqlite", rows), file)
    child = importing(file, store, KILLED + IMPORT)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert content(store) == rows[: 3 * READ_ROWS], "batches of an import are kept whole"
    assert import_answers(file, store) == (3 * READ_ROWS, 3 * READ_ROWS)
    assert content(store) == rows


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_no_number_of_answers_fills_memory(tmp_path: Path) -> None:
    """200,000 answers of 600 characters, 120 MB: exporting and importing them takes less than 64 MB."""
    rows = some_answers(200_000)
    for start in range(0, len(rows), 10_000):
        part = [(key, replace(given, thinking=(key * 9)[:560]), origin) for key, given, origin in rows[start:][:10_000]]
        stored(tmp_path / "a.sqlite", part)
    command = [sys.executable, "-c", PEAKS, *(str(tmp_path / name) for name in ("a.sqlite", "a.parquet", "b.sqlite"))]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 64, f"{grown:.0f} MB"


# --- files with a fault


def rewritten(file: Path, changes: dict[int, dict[str, Any]], types: dict[str, pa.DataType] | None = None) -> None:
    """The file with some cells changed, by row (0-based) and column, and some columns of another type."""
    table = pq.read_table(file)
    lines = table.to_pylist()
    for row, cells in changes.items():
        lines[row].update(cells)
    schema = pa.schema([(f.name, (types or {}).get(f.name, f.type)) for f in table.schema], table.schema.metadata)
    pq.write_table(pa.Table.from_pylist(lines, schema), file)


FAULTS = [
    ("key", "12", "is not 64 hex digits"),
    ("key", "A" * 64, "is not 64 hex digits"),
    ("key", "a" * 64 + "\n", "is not 64 hex digits"),
    ("key", None, "is empty"),
    ("content", None, "is empty"),
    ("content", "x" * (1 << 20) + "x", "is longer than 1,048,576 characters"),
    ("kind", "person", "is none of item, user"),
    ("ask", "", "is none of likes, dislikes, feature, single"),
    ("tokens_in", -1, "is -1, which is not a number of tokens or seconds"),
    ("seconds", float("nan"), "is nan, which is not a number of tokens or seconds"),
    ("seconds", float("inf"), "is inf, which is not a number of tokens or seconds"),
]


@pytest.mark.parametrize(("column", "value", "what"), FAULTS)
def test_the_first_fault_is_named_and_nothing_is_imported(
    tmp_path: Path, exported: Path, column: str, value: object, what: str
) -> None:
    rewritten(exported, {3: {column: value}, 4: {"key": "also wrong"}})
    with pytest.raises(IsrfError) as caught:
        import_answers(exported, tmp_path / "b.sqlite")
    told = str(caught.value)
    assert told.startswith(f"{exported}: row 4, column '{column}': {what}; ") and "\n" not in told
    assert not (tmp_path / "b.sqlite").exists()


def test_a_fault_far_down_is_found_before_anything_is_kept(tmp_path: Path) -> None:
    file, store = tmp_path / "a.parquet", stored(tmp_path / "b.sqlite", some_answers(1))
    export_answers(stored(tmp_path / "a.sqlite", some_answers(3 * READ_ROWS)), file)
    rewritten(file, {2 * READ_ROWS + 6: {"key": "0"}})
    with pytest.raises(IsrfError, match=f"row {2 * READ_ROWS + 7}, column 'key'"):
        import_answers(file, store)
    assert content(store) == some_answers(1)


def test_bytes_that_are_no_text_are_named(tmp_path: Path, exported: Path) -> None:
    table = pq.read_table(exported)
    cells = [b"fine", b"\xff\xfe", b"fine", b"fine", b"fine"]
    offsets = pa.py_buffer(b"".join(sum(map(len, cells[:n])).to_bytes(4, "little") for n in range(6)))
    broken = pa.StringArray.from_buffers(5, offsets, pa.py_buffer(b"".join(cells)))
    at = table.schema.get_field_index("thinking")
    pq.write_table(table.set_column(at, "thinking", broken), exported)
    with pytest.raises(IsrfError, match="row 2, column 'thinking': is not UTF-8 text"):
        import_answers(exported, tmp_path / "b.sqlite")


@pytest.mark.parametrize(
    ("types", "told"),
    [
        ({"tokens_in": pa.float64()}, "column 'tokens_in' is double, not int64"),
        ({"content": pa.binary()}, "column 'content' is binary, not string"),
    ],
)
def test_a_column_of_another_type_is_named(
    tmp_path: Path, exported: Path, types: dict[str, pa.DataType], told: str
) -> None:
    rewritten(exported, {}, types)
    with pytest.raises(IsrfError, match=told):
        import_answers(exported, tmp_path / "b.sqlite")


def test_a_missing_column_is_named(tmp_path: Path, exported: Path) -> None:
    pq.write_table(pq.read_table(exported).drop_columns(["cut"]), exported)
    with pytest.raises(IsrfError, match="column 'cut' is missing"):
        import_answers(exported, tmp_path / "b.sqlite")


def test_parquet_of_something_else_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": ["u1"], "item_id": ["i1"]}), tmp_path / "log.parquet")
    with pytest.raises(IsrfError, match=r"log\.parquet: Parquet, but no export of answers"):
        import_answers(tmp_path / "log.parquet", tmp_path / "b.sqlite")


def test_a_newer_format_is_refused(tmp_path: Path, exported: Path) -> None:
    about = json.dumps({"format": "isrf answers", "version": 7})
    pq.write_table(pq.read_table(exported).replace_schema_metadata({"isrf": about}), exported)
    with pytest.raises(IsrfError, match=r"format 7, by a newer isrf.*update isrf"):
        import_answers(exported, tmp_path / "b.sqlite")


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.parquet").write_text("likes, dislikes, feature\n" * 100)
    (tmp_path / "empty.parquet").touch()
    for name, told in (
        ("notes.parquet", "cannot be read as Parquet"),
        ("empty.parquet", "cannot be read as Parquet"),
        ("absent.parquet", "no such file"),
        (".", "a folder"),
    ):
        with pytest.raises(IsrfError, match=told) as caught:
            import_answers(tmp_path / name, tmp_path / "b.sqlite")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "b.sqlite").exists()


@cache
def forty_exported() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        export_answers(stored(Path(folder, "a.sqlite"), some_answers(40)), Path(folder, "a.parquet"))
        return Path(folder, "a.parquet").read_bytes()


@given(at=st.floats(0, 1, exclude_max=True), flipped=st.integers(0, 255))
@settings(max_examples=3 * settings.default.max_examples)  # 300 in the slow tier
def test_a_damaged_file_is_refused_or_harmless(at: float, flipped: int) -> None:
    """One byte changed, or the end cut off (0): an answer is never imported that was not exported, and none is missed."""
    damaged = bytearray(forty_exported())
    place = int(at * len(damaged))
    if flipped:
        damaged[place] ^= flipped
    else:
        del damaged[place:]
    with tempfile.TemporaryDirectory() as folder:
        file, store = Path(folder, "a.parquet"), Path(folder, "b.sqlite")
        file.write_bytes(damaged)
        try:
            import_answers(file, store)
        except IsrfError as error:
            assert "\n" not in str(error) and str(error).startswith(str(file))
            assert not store.exists()
        else:
            assert content(store) == some_answers(40)


# --- exports that cannot be made


def test_an_absent_store_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=r"a\.sqlite: there is no store of answers"):
        export_answers(tmp_path / "a.sqlite", tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


def test_an_export_never_replaces_the_store_or_a_folder(tmp_path: Path) -> None:
    store = stored(tmp_path / "a.sqlite", some_answers(2))
    for file in (store, tmp_path):
        with pytest.raises(IsrfError, match="cannot be replaced by an export"):
            export_answers(store, file)
    assert content(store) == some_answers(2)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    store = stored(tmp_path / "a.sqlite", some_answers(2))
    with pytest.raises(IsrfError, match=r"there is no folder .*absent; make it first") as caught:
        export_answers(store, tmp_path / "absent" / "answers.parquet")
    assert "\n" not in str(caught.value)
