"""Parquet tables of anybody's making: how much they hold is found before they are read, and ids of raw bytes become text.

A Parquet file of a megabyte may hold a table of many gigabytes, as repeated values are written once. polars ends the
process where memory runs out, so that nothing could be said then. Knows nothing about what the columns mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pac
import pyarrow.parquet as pq

from isrf.core.errors import IsrfError, out_of_memory
from isrf.core.files import opened, shown
from isrf.core.memory import most_bytes, too_large
from isrf.core.progress import note
from isrf.core.tables import read_table, table_schema
from isrf.data.readers import arrow_columns
from isrf.data.readers.nested import structs_as_columns
from isrf.data.readers.raw import ROW, Table
from isrf.data.readers.text_io import reading

UUID_BYTES = 16
NUMBER_BYTES, VIEW_BYTES = 8, 16
"""Memory of a number, and of a text beside its characters."""
WRITTEN_OUT = {"PLAIN", "RLE", "BIT_PACKED"}
"""Encodings of texts that write every value in full (the last two are of nulls); others repeat what was written."""
BATCH, CAREFUL_BATCH = 1 << 16, 1 << 10
"""Rows decoded at once while their texts are measured; fewer of those that cannot be left in a dictionary."""


def parquet_columns(path: Path) -> list[str]:
    """Column names of a Parquet file. Raises IsrfError where it is none."""
    with reading(path):
        try:
            with opened(path) as file:
                odd = arrow_columns.columns_of(file)
            return list(table_schema(path)) if odd is None else odd
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException) as error:
            raise _unreadable(path, error) from None


def parquet_fields(path: Path) -> dict[str, str]:
    """Columns of a Parquet log -> the file's column that holds each: fields of a record are columns, as in JSON Lines.

    Raises:
        IsrfError: it is no Parquet file.
    """
    names = parquet_columns(path)
    with opened(path) as file:
        if arrow_columns.columns_of(file) is not None:  # polars does not know all of its types
            return {name: name for name in names}
    fields: dict[str, str] = {}
    for name, kind in table_schema(path).items():
        for field in structs_as_columns(pl.DataFrame(schema={name: kind})).columns:
            fields.setdefault(field, name)
    return fields


def read_fields(path: Path, fields: dict[str, str], columns: list[str], ids: Sequence[str | None] = ()) -> Table:
    """The named columns of a log, which may be ``fields`` of records, and ROW. Arguments and errors as of ``read_parquet``."""
    tops = list(dict.fromkeys(fields[column] for column in columns))
    table = read_parquet(path, tops, ids=ids)
    if tops == columns:
        return table
    frame = structs_as_columns(table.frame)[[*columns, ROW]]
    for column in ids:
        if column in columns and frame.schema[column] == pl.Binary:
            frame = frame.with_columns(ids_as_text(frame[column], path))
    return table.having(frame)


def read_parquet(path: Path, columns: list[str], rows: int | None = None, ids: Sequence[str | None] = ()) -> Table:
    """The named columns of a Parquet file, and ROW; of at most so many rows.

    Args:
        ids: columns of ids: raw bytes in them become text.

    Raises:
        IsrfError: it is no readable Parquet file, holds no rows or more than the limit, or ids of bytes without a text form.
    """
    with reading(path):
        try:
            _check_size(path, columns, rows)
            with opened(path) as file:
                odd = arrow_columns.columns_of(file) is not None
                frame = arrow_columns.read_columns(file, columns, rows) if odd else None
            if frame is None:
                frame = read_table(path, columns, rows)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowInvalid) as error:
            if out_of_memory(error) is not None:
                raise
            raise _unreadable(path, error) from None
    if not frame.height:
        raise IsrfError(f"{shown(path)}: holds no rows; check the file")
    for column in dict.fromkeys(ids):
        if column in frame.columns and frame.schema[column] == pl.Binary:
            frame = frame.with_columns(ids_as_text(frame[column], path))
    return Table(path, frame.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW)), is_text=False)


def ids_as_text(values: pl.Series, path: Path) -> pl.Series:
    """Ids of raw bytes as text: UUIDs (16 bytes each) in their usual form, which is said; else as UTF-8.

    Raises:
        IsrfError: they are neither.
    """
    lengths = values.bin.size()
    if values.null_count() < len(values) and (lengths.drop_nulls() == UUID_BYTES).all() and not _is_text(values):
        digits = pl.col(values.name).bin.encode("hex")
        parts = [digits.str.slice(start, length) for start, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
        texts = values.to_frame().select(pl.concat_str(parts, separator="-").alias(values.name)).to_series()
        first = texts.drop_nulls()[0]
        note(f"{shown(path.name)}: column {values.name} holds ids of 16 raw bytes, read as UUIDs like {first}")
        return texts
    if _is_text(values):
        return values.cast(pl.String)
    example = values.drop_nulls()[0]
    raise IsrfError(
        f"{shown(path)}: column {values.name} holds ids of raw bytes like 0x{example[:UUID_BYTES].hex()}, which are neither "
        f"UUIDs ({UUID_BYTES} bytes) nor text; write them as text, for example in hexadecimal digits"
    )


def _is_text(values: pl.Series) -> bool:
    """Whether all bytes are UTF-8 without control characters."""
    try:
        texts = values.cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return texts.null_count() == values.null_count() and not texts.str.contains(r"[\x00-\x08\x0e-\x1f\x7f]").any()


def _check_size(path: Path, columns: Sequence[str], rows: int | None) -> None:
    """Raise IsrfError where the columns take more than ``most_bytes`` once they are read."""
    with opened(path) as file:
        parquet = pq.ParquetFile(file)
        about = parquet.metadata
        wanted = set(columns)
        share = 1.0 if rows is None or not about.num_rows else min(1.0, rows / about.num_rows)
        held: float = about.num_rows * NUMBER_BYTES
        repeated: dict[str, bool] = {}
        most_repeated = 0.0
        for group in range(about.num_row_groups):
            for at in range(about.num_columns):
                chunk = about.row_group(group).column(at)
                if chunk.path_in_schema.split(".")[0] not in wanted and chunk.path_in_schema not in wanted:
                    continue
                if chunk.physical_type != "BYTE_ARRAY":
                    held += chunk.num_values * _width(about.schema.column(at))
                    continue
                held += chunk.num_values * VIEW_BYTES + chunk.total_uncompressed_size
                encodings = set(chunk.encodings)
                if encodings - WRITTEN_OUT:
                    only_dictionary = encodings <= {*WRITTEN_OUT, "RLE_DICTIONARY", "PLAIN_DICTIONARY"}
                    repeated[chunk.path_in_schema] = repeated.get(chunk.path_in_schema, True) and only_dictionary
                    most_repeated += chunk.num_values * chunk.total_uncompressed_size
    if held * share > most_bytes():
        raise too_large(shown(path), held * share)
    if rows is None and held + most_repeated > most_bytes():
        held += _measured(path, [n for n, d in repeated.items() if d], True, held)
        held += _measured(path, [n for n, d in repeated.items() if not d], False, held)


def _measured(path: Path, leaves: list[str], dictionaries: bool, held: float) -> float:
    """Bytes of all texts in columns (paths of their leaves) that repeat them; IsrfError once ``held`` and they are too many."""
    if not leaves:
        return 0.0
    found, most = 0.0, most_bytes()
    with opened(path) as file:
        parquet = pq.ParquetFile(file, read_dictionary=leaves if dictionaries else None)
        tops = list(dict.fromkeys(leaf.split(".")[0] for leaf in leaves))
        for batch in parquet.iter_batches(BATCH if dictionaries else CAREFUL_BATCH, columns=tops, use_threads=False):
            found += sum(_text_bytes(column) for column in batch.columns)
            if held + found > most:
                raise too_large(shown(path), most, exactly=False)
    return found


def _text_bytes(values: Any) -> int:
    """Bytes of the texts in an Arrow array of any type, those of a dictionary counted as often as they occur."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        if not (pa.types.is_string(kind.value_type) or pa.types.is_binary(kind.value_type)):
            return 0
        counts = pac.value_counts(values.indices.drop_null())
        lengths = pac.binary_length(values.dictionary)
        each = pac.multiply(lengths.take(counts.field("values")).cast(pa.int64()), counts.field("counts"))
        return pac.sum(each).as_py() or 0
    if pa.types.is_nested(kind):
        if pa.types.is_map(kind):
            return _text_bytes(values.keys) + _text_bytes(values.items)
        return sum(map(_text_bytes, values.flatten())) if pa.types.is_struct(kind) else _text_bytes(values.flatten())
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return pac.sum(pac.binary_length(values)).as_py() or 0
    return 0


def _width(column: Any) -> int:
    """Bytes of a value that is not text."""
    if column.physical_type == "BOOLEAN":
        return 1
    return int(column.length) + VIEW_BYTES if column.physical_type == "FIXED_LEN_BYTE_ARRAY" else NUMBER_BYTES


def _unreadable(path: Path, error: BaseException) -> IsrfError:
    first = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return IsrfError(f"{shown(path)}: not a readable Parquet file ({first}); write it again")
