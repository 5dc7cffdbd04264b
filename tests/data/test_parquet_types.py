"""Parquet columns of every type that pyarrow writes: text, or left out with a word, and never the end of an import."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isrf.core.config import DataSettings
from isrf.data.dataset import Columns
from isrf.data.readers.raw import BadRows, RawCatalogue
from isrf.data.readers.registry import read_dataset
from isrf.data.readers.tabular import read_tabular_catalogue


class Own(pa.ExtensionType):
    """A type of somebody's own over text."""

    def __init__(self) -> None:
        super().__init__(pa.string(), "isrf.tests.own")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> Own:
        return cls()


RECORD = pa.struct([("id", pa.int64()), ("name", pa.string())])
TEXT, GONE = "text", "left out"
TYPES: list[tuple[Any, Any, Any]] = [
    (pa.bool_(), True, GONE), (pa.int8(), 1, GONE), (pa.uint64(), 2**63 + 1, GONE), (pa.float16(), 1.5, GONE),
    (pa.float64(), 1.5, GONE), (pa.null(), None, {"x": ""}), (pa.date32(), date(2020, 1, 1), TEXT),
    (pa.date64(), date(2020, 1, 1), TEXT), (pa.time32("s"), clock(1, 2), GONE), (pa.time64("ns"), clock(1, 2), GONE),
    (pa.timestamp("s"), datetime(2020, 1, 1), TEXT), (pa.timestamp("us", "Asia/Tokyo"), datetime(2020, 1, 1), TEXT),
    (pa.timestamp("us", "+02:00"), datetime(2020, 1, 1), TEXT), (pa.duration("us"), timedelta(1), GONE),
    (pa.decimal32(5, 2), Decimal("1.50"), GONE), (pa.decimal128(10, 2), Decimal("1.50"), GONE),
    (pa.decimal256(50, 2), Decimal("1.50"), GONE), (pa.binary(), b"\xff\x00", GONE), (pa.binary(), b"tea", {"x": "tea"}),
    (pa.large_binary(), b"\xff", GONE), (pa.binary(2), b"\xff\xfe", GONE), (pa.binary_view(), b"\xff", GONE),
    (pa.string(), "a", {"x": "a"}), (pa.large_string(), "a", {"x": "a"}), (pa.string_view(), "a", {"x": "a"}),
    (pa.dictionary(pa.int32(), pa.string()), "a", {"x": "a"}), (pa.dictionary(pa.int32(), pa.binary()), b"\xff", GONE),
    (pa.list_(pa.string()), ["a", None, "b"], {"x": "a|b"}), (pa.large_list(pa.string()), ["a"], {"x": "a"}),
    (pa.list_(pa.string(), 2), ["a", "b"], {"x": "a|b"}), (pa.list_view(pa.string()), ["a"], {"x": "a"}),
    (pa.large_list_view(pa.string()), ["a"], {"x": "a"}), (pa.list_(pa.binary()), [b"\xff"], GONE),
    (pa.list_(pa.duration("us")), [timedelta(1)], GONE), (pa.list_(pa.decimal128(5, 2)), [Decimal("1.5")], GONE),
    (pa.list_(pa.bool_()), [True], GONE), (pa.list_(pa.null()), [None], {"x": ""}),
    (pa.list_(pa.timestamp("us")), [datetime(2020, 1, 1)], TEXT),
    (pa.list_(pa.dictionary(pa.int32(), pa.string())), ["a"], {"x": "a"}),
    (pa.list_(pa.list_(pa.string())), [["a"], ["b"]], {"x": "a|b"}),
    (pa.list_(RECORD), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], {"x": "a|b"}),
    (RECORD, {"id": 1, "name": "a"}, {"x.name": "a"}),
    (pa.struct([("a", RECORD)]), {"a": {"id": 1, "name": "b"}}, {"x.a.name": "b"}),
    (pa.struct([("a", pa.binary())]), {"a": b"\xff"}, GONE),
    (pa.struct([("a", pa.list_view(RECORD))]), {"a": [{"id": 1, "name": "b"}]}, {"x": "b"}),
    (pa.map_(pa.string(), pa.string()), [("colour", "red")], {"x": "red"}),
    (pa.map_(pa.int64(), pa.string()), [(1, "red")], {"x": "red"}),
    (pa.map_(pa.string(), pa.list_(pa.string())), [("k", ["v", "w"])], {"x": "v|w"}),
    (pa.map_(pa.string(), pa.int64()), [("k", 1)], GONE),
    (pa.list_(pa.map_(pa.string(), pa.string())), [[("k", "v")]], {"x": "v"}),
    (pa.uuid(), b"\xff" * 16, GONE), (pa.json_(), '["a"]', {"x": "a"}), (Own(), "a", {"x": "a"}),
    (pa.fixed_shape_tensor(pa.int32(), [2]), [1, 2], GONE), (pa.bool8(), 1, GONE),
]  # fmt: skip


def read(folder: Path, column: Any, **settings: Any) -> RawCatalogue:
    file = folder / "items.parquet"
    pq.write_table(pa.table({"item_id": ["p1", "p2", "p3"], "title": ["a", "b", "c"], "x": column}), file)
    return read_tabular_catalogue(file, DataSettings(**settings), BadRows("fail"))


def array(kind: Any, value: Any) -> Any:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array([value, None, value], kind.storage_type))
    return pa.array([value, None, value], kind)


@pytest.mark.parametrize(("kind", "value", "wanted"), TYPES, ids=[str(kind) for kind, _, _ in TYPES])
def test_every_type(tmp_path: Path, kind: Any, value: Any, wanted: Any) -> None:
    catalogue = read(tmp_path, array(kind, value))
    frame = catalogue.table.frame
    assert frame["title"].to_list() == ["a", "b", "c"]
    found = {name: frame[name].to_list() for name in frame.columns if name.startswith("x")}
    if wanted == GONE:
        assert not found and sum((catalogue.left_out | catalogue.for_filters).values()) == 2
    elif wanted == TEXT:
        (values,) = found.values()
        assert values[0] and not values[1]
    else:
        assert found == {name: [text, "", text] for name, text in wanted.items()}


def test_what_is_left_out_for_its_type_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, array(pa.duration("us"), timedelta(1)), category_column="x")
    assert [line.split(",")[0] for line in found.warnings] == [
        "warning: data.category_column names column 'x' of items.parquet",
        "warning: items.parquet: columns of types that hold no text are left out: x (Duration(time_unit='us'))",
    ]


@pytest.mark.parametrize("chosen", [{}, {"user_column": "user.id", "item_column": "item.code"}])
def test_a_log_of_records_is_read_as_its_fields(chosen: dict[str, str], tmp_path: Path) -> None:
    """As the same log is in JSON Lines."""
    item = "code" if chosen else "id"
    rows = [(f"u{n % 3}", f"p{n % 4}", 1_500_000_000 + n) for n in range(12)]
    columns = {
        "user": [{"id": u, "country": "de"} for u, _, _ in rows],
        "item": [{item: i} for _, i, _ in rows],
        "context": [{"time": {"timestamp": t}} for _, _, t in rows],
    }
    time = {"time_column": "context.time.timestamp"}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    dataset = read_dataset(str(tmp_path / "log.parquet"), None, DataSettings(min_interactions=0, **chosen, **time))
    assert dataset.n_users == 3 and dataset.n_items == 4
    assert dataset.interactions[Columns.TIME].min() == 1_500_000_000_000
