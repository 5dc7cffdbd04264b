"""Properties: every format says the same, the source's row order says nothing, and no bytes break a reader."""

from __future__ import annotations

import gzip
import io
import random
import tempfile
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.data_writers import Items, Log, write_csv, write_p5, write_parquet, write_recbole

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.readers.registry import read_dataset
from isrf.data.splits.leave_one_out import leave_one_out

KEEP_ALL = DataSettings(min_interactions=0)

words = (
    st.text(alphabet="abcdefgh, '\"éλ雪;-", min_size=1, max_size=12)
    .map(lambda t: " ".join(t.split()))
    .filter(lambda t: t and t[0] not in "\"'")
)
ids = st.text(alphabet="ABCxyz019_-é", min_size=1, max_size=6).filter(
    lambda t: t not in ("-", "--", "---")
)  # for nothing
terms = st.lists(st.text(alphabet="abcdeé", min_size=1, max_size=6), min_size=2, max_size=4)


@st.composite
def logs(draw: st.DrawFn) -> tuple[Log, Items]:
    """A log with times that are unique within a user, and a catalogue of its items."""
    users = draw(st.lists(ids, min_size=1, max_size=6, unique=True))
    items = draw(st.lists(ids, min_size=1, max_size=8, unique=True))
    times = draw(st.permutations(range(1_000_000_000, 1_000_000_000 + len(users) * len(items))))
    pairs = [(u, i) for u in users for i in items]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    log = [(u, i, times[n]) for n, (u, i) in enumerate(chosen)]
    bought = sorted({i for _, i, _ in log})
    return log, [(i, draw(words), "|".join(draw(terms))) for i in bought]


@settings(max_examples=settings.default.max_examples // 2)
@given(logs())
def test_every_format_reads_as_the_same_dataset(data: tuple[Log, Items]) -> None:
    digests = {}
    for write in (write_csv, write_parquet, write_recbole, write_p5):
        with tempfile.TemporaryDirectory() as folder:
            digests[write.__name__] = read_dataset(write(Path(folder), *data), None, KEEP_ALL).digest()
    assert len(set(digests.values())) == 1, digests


@settings(max_examples=settings.default.max_examples // 2)
@given(logs(), st.randoms(use_true_random=False))
def test_row_order_of_the_source_changes_nothing(data: tuple[Log, Items], shuffle: random.Random) -> None:
    """Row numbers, histories and targets come from ids and times alone."""
    log, items = data
    splits = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            splits.append(leave_one_out(read_dataset(write_csv(Path(folder), log, items), None, KEEP_ALL)))
        log, items = log.copy(), items.copy()
        shuffle.shuffle(log)
        shuffle.shuffle(items)
    first, second = splits
    assert first.training.user_ids == second.training.user_ids
    assert first.training.catalogue.table.equals(second.training.catalogue.table)
    assert [h.tolist() for h in first.training.histories] == [h.tolist() for h in second.training.histories]
    assert first.valid.tolist() == second.valid.tolist() and first.test.tolist() == second.test.tolist()


@settings(max_examples=settings.default.max_examples // 2)
@given(logs(), st.integers(0, 3))
def test_losses_add_up(data: tuple[Log, Items], k: int) -> None:
    """Rows read, less all that is counted as lost, are the interactions."""
    log, items = data
    doubled = log + log[::2] + [(u, i, t + 50) for u, i, t in log[::3]]
    with tempfile.TemporaryDirectory() as folder:
        source = write_csv(Path(folder), doubled, items)
        try:
            dataset = read_dataset(source, None, DataSettings(min_interactions=k))
        except IsrfError as error:
            assert "lower data.min_interactions" in str(error) and k > 1
            return
    counts = dataset.counts
    assert counts["rows read"] == len(doubled)
    assert counts["exact duplicates dropped"] == len(log[::2])
    assert counts["repeat interactions dropped (earliest kept)"] == len(log[::3])
    assert dataset.interactions.height == len(log) - counts["interactions under k dropped"]
    for column in (Columns.USER, Columns.ITEM):
        assert min(Counter(dataset.interactions[column]).values()) >= k


def parquet_bytes(**columns: list) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(columns).write_parquet(stream)
    return stream.getvalue()


SOURCES = {
    "log.csv": b"user_id,item_id,timestamp\nu,i,1\n",
    "log.csv.gz": gzip.compress(b"user_id,item_id,timestamp\nu,i,1\nv,i,2\n"),
    "log.csv.zst": pa.compress(b"user_id,item_id,timestamp\nu,i,1\nv,i,2\n", codec="zstd", asbytes=True),
    "log.parquet": parquet_bytes(user=["u", "v"], item=["i", None], time=[1, 2]),
    "log.inter": b"user_id:token\titem_id:token\ttimestamp:float\nu\ti\t1.5\n",
    "reviews.jsonl": b'{"reviewerID": "u", "asin": "i", "unixReviewTime": 1}\n',
    "u.data": b"1\t2\t3\t4\n",
    "ratings.dat": b"1::2::3::4\n",
    "sequential.txt": b"1 1 2\n",
    "datamaps.json": b'{"id2user": {"1": "u"}, "id2item": {"1": "i", "2": "j"}}',
    "u.item": b"1|Toy (1995)|x||l" + b"|0" * 19 + b"\n",
    "movies.dat": b"1::Toy (1995)::A|B\n",
    "items.jsonl": b"{'asin': '2', 'title': 'T'}\n",
    "items.csv": b'item_id,title,tags\n2,T,"a, b"\n',
    "x.item": b"item_id:token\ttitle:token_seq\n2\tT t\n",
    "items.parquet": parquet_bytes(item_id=["2", "3"], title=["T", None], tags=[["a"], []]),
}


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_give_a_dataset_or_one_clear_line(name: str, data: st.DataObject) -> None:
    """Bytes cut, replaced, inserted and at random; nothing but IsrfError may come out of a reader."""
    good = SOURCES[name]
    start = data.draw(st.integers(0, len(good)))
    stop = data.draw(st.integers(start, len(good)))
    fragments = st.sampled_from(
        [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xed\xa0\x80", b"::", b"\t", b"[[", b"1e999"]
    )
    noise = data.draw(st.one_of(st.binary(max_size=40), st.lists(fragments, max_size=4).map(b"".join)))
    damaged = data.draw(st.sampled_from([good[:start] + noise + good[stop:], noise, good[:start]]))
    policy = data.draw(st.sampled_from(["fail", "skip"]))
    with tempfile.TemporaryDirectory() as folder:
        files = {n: SOURCES[n] for n in ("sequential.txt", "datamaps.json", "u.data", "ratings.dat", "log.csv")}
        for file, content in {**files, name: damaged}.items():
            (Path(folder) / file).write_bytes(content)
        catalogue = name in ("u.item", "movies.dat", "x.item") or name.startswith("items")
        log = "sequential.txt" if name == "datamaps.json" else "u.data" if catalogue else name
        items = Path(folder) / name if catalogue else None
        try:
            dataset = read_dataset(
                str(Path(folder) / log),
                items,
                DataSettings(min_interactions=0, on_bad_row=policy),
                Path(folder) / "rejected.csv",
            )
        except IsrfError as error:
            assert "\n" not in str(error)
        else:
            assert dataset.interactions.height
