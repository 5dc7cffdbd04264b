"""Little files that hold much: refused by what they hold when they are read, which a setting bounds."""

from __future__ import annotations

import gzip
import resource
import uuid
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.memory import reading_at_most
from isrf.data.dataset import Columns
from isrf.data.readers import text_io as text
from isrf.data.readers.companion_files import read_supplied
from isrf.data.readers.parquet import read_parquet
from isrf.data.readers.registry import read_dataset, source_digest
from isrf.data.readers.text_io import read_bytes, text_lines

SMALL = DataSettings(min_interactions=0, max_gigabytes=0.002)
"""2 MB, decompressed."""
ROWS = b"u1,i1,1500000000\n" * 200_000


def packed(content: bytes, kind: str) -> bytes:
    if kind == "gz":
        return gzip.compress(content, 1)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(content)
    return sink.getvalue().to_pybytes()


def refused(src: Path, items: Path | None = None, settings: DataSettings = SMALL) -> str:
    with pytest.raises(IsrfError) as caught:
        read_dataset(str(src), items, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["gz", "zst", ""])
def test_text_that_decompresses_to_more_than_the_limit(tmp_path: Path, kind: str) -> None:
    suffix = f".{kind}" if kind else ""
    line = b'{"reviewerID": "u", "asin": "i", "unixReviewTime": 1500000000}\n'
    for name, content in (
        ("log.csv", b"user,item,time\n" + ROWS),
        ("reviews.jsonl", line * 40_000),
        ("one_line.jsonl", b'{"reviewerID": "' + b"a" * 2_500_000),
        ("array.json", b"[" + line.strip() * 40_000),
    ):
        file = tmp_path / f"{name}{suffix}"
        file.write_bytes(packed(content, kind) if kind else content)
        message = refused(file)
        assert file.name in message and "limit: data.max_gigabytes, 2.0 MB" in message
        assert "--set data.max_gigabytes=0.0" in message
    log, items = tmp_path / "small.csv", tmp_path / f"items.csv{suffix}"
    log.write_text("user,item\na,b\n")
    content = b"item,title\n" + b"b,x\n" * 600_000
    items.write_bytes(packed(content, kind) if kind else content)
    assert "data.max_gigabytes" in refused(log, items)
    pairs = tmp_path / f"pairs.csv{suffix}"
    pairs.write_bytes(
        packed(b"user,item\n" + b"a,b\n" * 600_000, kind) if kind else b"user,item\n" + b"a,b\n" * 600_000
    )
    with pytest.raises(IsrfError, match=r"data\.max_gigabytes"):
        read_supplied(pairs, SMALL)


def test_the_remedy_works(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress(b"user,item,time\n" + ROWS, 1))
    value = refused(file).rpartition("=")[2]
    assert read_dataset(str(file), None, SMALL.model_copy(update={"max_gigabytes": float(value)})).n_users == 1


def test_a_sparse_file_of_a_terabyte(tmp_path: Path) -> None:
    for name in ("log.csv", "reviews.jsonl", "u.data", "log.inter"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 << 40)
        assert "a quarter of this process's memory" in refused(tmp_path / name, settings=DataSettings())


def test_an_endless_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LONGEST_LINE", 1_000_000)
    for name, content in (("a.jsonl", b"x" * 5_000_000), ("a.jsonl.gz", gzip.compress(b"a\n" + b"x" * 5_000_000, 1))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(IsrfError, match=r"a line is longer than 1\.0 MB"), text_lines(tmp_path / name) as lines:
            list(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((b"x" * 900_000 + b"\n") * 5, 1))
    with text_lines(tmp_path / "a.jsonl.gz") as lines:
        assert len(list(lines)) == 5


def dictionary_bomb(file: Path, rows: int, width: int) -> None:
    """Rows that say one long text each, written once a row group."""
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array(["x" * width]))
    pq.write_table(pa.table({"user_id": texts, "item_id": texts, "timestamp": np.zeros(rows, dtype=np.int64)}), file)


def test_parquet_is_measured_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    for make, limit in (
        (lambda: dictionary_bomb(file, 300_000, 1000), 0.1),
        (lambda: dictionary_bomb(file, 3_000_000, 1), 0.05),
        (lambda: pl.DataFrame({"user_id": pl.zeros(4_000_000, eager=True), "item_id": pl.zeros(4_000_000, eager=True)})
            .write_parquet(file), 0.02),
        (lambda: pq.write_table(pa.table({"user_id": ["x" * 1000] * 300_000, "item_id": ["y"] * 300_000}), file,
            use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY"), 0.1),
        (lambda: pq.write_table(pa.table({"user_id": ["a"] * 1000, "item_id": [["x" * 100] * 3000] * 1000}), file), 0.1),
    ):  # fmt: skip
        make()
        assert file.stat().st_size < 3_000_000
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        message = refused(file, settings=DataSettings(min_interactions=0, max_gigabytes=limit))
        assert "log.parquet: holds" in message and "data.max_gigabytes" in message
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000


def test_parquet_within_the_limit_is_read(tmp_path: Path) -> None:
    """Repeated texts that fit; a column that is not read does not count; a sample of a large file is one."""
    file = tmp_path / "log.parquet"
    dictionary_bomb(file, 100_000, 100)
    with reading_at_most(0.1):
        assert read_parquet(file, ["user_id", "item_id", "timestamp"]).frame.height == 100_000
    with reading_at_most(0.005):
        assert read_parquet(file, ["timestamp"]).frame.height == 100_000
        assert read_parquet(file, ["user_id", "timestamp"], 1000).frame.height == 1000


def test_what_is_no_parquet_or_damaged(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame({"user": ["a"] * 100, "item": ["b"] * 100}).write_parquet(file)
    whole = file.read_bytes()
    for content in (b"", b"PAR1", whole[:-20], whole[:50] + bytes(40) + whole[90:], b"PAR1" + bytes(100) + b"PAR1"):
        file.write_bytes(content)
        assert "log.parquet: " in refused(file, settings=DataSettings(min_interactions=0))


def uuids(count: int) -> list[uuid.UUID]:
    return [uuid.UUID(int=n * 7919 + (1 << 127)) for n in range(1, count + 1)]


@pytest.mark.parametrize("kind", ["logical", "fixed", "variable"])
def test_ids_of_raw_bytes_are_read_as_uuids(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    values = pa.array([u.bytes for u in uuids(6)], pa.binary() if kind == "variable" else pa.binary(16))
    if kind == "logical":
        values = pa.ExtensionArray.from_storage(pa.uuid(), values)
    pq.write_table(pa.table({"user_id": values, "item_id": values}), tmp_path / "log.parquet")
    pq.write_table(pa.table({"item_id": values, "title": [f"T{n}" for n in range(6)]}), tmp_path / "items.parquet")
    dataset = read_dataset(str(tmp_path / "log.parquet"), tmp_path / "items.parquet", DataSettings(min_interactions=0))
    assert set(dataset.interactions[Columns.USER]) == {str(u) for u in uuids(6)}
    assert dict(dataset.catalogue.select("item_id", "title").iter_rows())[str(uuids(1)[0])] == "T0"
    assert f"read as UUIDs like {uuids(1)[0]}" in " ".join(capsys.readouterr().err.split())


def test_ids_of_other_bytes(tmp_path: Path) -> None:
    """Text that was written without saying that it is text is text; a digest is told of."""
    file = tmp_path / "log.parquet"
    pq.write_table(pa.table({"user_id": [b"ann", "zoë".encode()], "item_id": [b"a", b"b"]}), file)
    dataset = read_dataset(str(file), None, DataSettings(min_interactions=0))
    assert set(dataset.interactions[Columns.USER]) == {"ann", "zoë"}
    pq.write_table(pa.table({"user_id": [b"\xff\x01", b"\xfe"], "item_id": [b"a", b"b"]}), file)
    message = refused(file, settings=DataSettings(min_interactions=0))
    assert (
        "log.parquet: column user_id holds ids of raw bytes like 0xff01" in message and "write them as text" in message
    )


def test_the_digest_of_a_source_reads_regular_files_alone(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\na,b\n")
    assert len(source_digest(str(tmp_path / "log.csv"), None)) == 3
    with pytest.raises(IsrfError, match="is a device"):
        source_digest("csv:/dev/zero", None)


def test_a_damaged_end_is_told_whatever_the_limit(tmp_path: Path) -> None:
    for kind in ("gz", "zst"):
        file = tmp_path / f"log.csv.{kind}"
        file.write_bytes(packed(b"user,item\n" + b"a,b\n" * 10_000, kind)[:-9])
        with pytest.raises(IsrfError, match=f"log.csv.{kind}: "):
            read_bytes(file)
