"""The cache of vectors gives back what was put in, or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from isrf.core.config import SemanticsSettings
from isrf.core.errors import IsrfError
from isrf.semantics import vector_store
from isrf.semantics.encode import Encoder
from isrf.semantics.vector_store import VectorCache, checksum_of

KEYS = [bytes([n]) * 32 for n in range(6)]


def unit(width: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    made = rng.normal(size=(len(KEYS), width)).astype(np.float32)
    return list(made / np.linalg.norm(made, axis=1, keepdims=True))


def filled(path: Path) -> Path:
    cache = VectorCache(path)
    cache.put(list(zip(KEYS, unit(), strict=True)))
    cache.close()
    return path


def changed(path: Path, query: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(query, values)


FALSE = {
    "NaN": np.full(8, np.nan, np.float32).tobytes(),
    "zeros": bytes(32),
    "another width": unit(4)[1].tobytes(),
    "no whole numbers": b"abc",
    "empty": b"",
    "text": "vector",
    "nothing": None,
    "a bit": bytes([unit()[1].tobytes()[0] ^ 1]) + unit()[1].tobytes()[1:],
    "that of another text": unit()[2].tobytes(),
}


@pytest.mark.parametrize("false", FALSE.values(), ids=FALSE)
def test_a_vector_that_was_not_written_is_not_there(
    false: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = filled(tmp_path / "vectors.sqlite")
    changed(path, "UPDATE vectors SET vector = ? WHERE key = ?", false, KEYS[1])
    cache = VectorCache(path)
    found = cache.get(KEYS)
    assert set(found) == {*KEYS} - {KEYS[1]} and np.array_equal(found[KEYS[2]], unit()[2])
    assert f"{path}: 1 vectors are damaged" in " ".join(capsys.readouterr().err.split())
    cache.put([(KEYS[1], unit()[1])])
    assert np.array_equal(cache.get(KEYS)[KEYS[1]], unit()[1])


def test_vectors_of_another_width_are_not_mixed_in_even_with_a_checksum(tmp_path: Path) -> None:
    path = filled(tmp_path / "vectors.sqlite")
    blob = unit(4)[1].tobytes()
    query = "UPDATE vectors SET vector = ?, checksum = ? WHERE key = ?"
    changed(path, query, blob, checksum_of(KEYS[1], blob), KEYS[1])
    assert KEYS[1] not in VectorCache(path).get(KEYS)


def test_what_the_encoder_makes_wins_over_a_cache_of_another_width(tmp_path: Path) -> None:
    path, texts = tmp_path / "vectors.sqlite", ["tea", "bread"]
    encoder = Encoder(SemanticsSettings(), path)
    wrong = VectorCache(path)
    wrong.put([(encoder._keys(texts)[0], unit(4)[0])])
    vectors = encoder(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors.shape == (2, 384)
    assert Encoder(SemanticsSettings(), path)(texts).tobytes() == vectors.tobytes()


@pytest.mark.parametrize("false", FALSE.values(), ids=FALSE)
def test_a_cache_of_an_older_isrf_is_taken_over_as_far_as_it_can_be_trusted(false: object, tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
        rows = [(key, vector.tobytes()) for key, vector in zip(KEYS, unit(), strict=True)]
        connection.executemany("INSERT INTO vectors VALUES (?, ?)", rows)
    seen = {"a bit", "that of another text"}  # what was never summed cannot be told from what was written
    changed(path, "UPDATE vectors SET vector = ? WHERE key = ?", false, KEYS[1])
    for _ in range(2):
        cache = VectorCache(path)
        found = cache.get(KEYS)
        cache.close()
        assert (KEYS[1] in found) == any(FALSE[name] == false for name in seen)
        assert all(np.array_equal(found[key], vector) for key, vector in zip(KEYS[2:], unit()[2:], strict=True))


def test_a_cache_that_another_command_writes_into_is_neither_damaged_nor_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_store, "PATIENCE_S", 0.05)
    path = filled(tmp_path / "vectors.sqlite")
    cache = VectorCache(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IsrfError, match="another command is writing into it; run again"):
            cache.put(list(zip(KEYS, unit(), strict=True)))
    cache.close()
