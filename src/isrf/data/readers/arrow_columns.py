"""Parquet columns of types that polars does not read: by pyarrow, each on its own, so that one cannot end an import.

polars panics over views of lists anywhere in a file, and refuses decimals of more than 38 digits. Knows nothing about what
the columns mean.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from isrf.data.readers.nested import listed

DIGITS = 38
"""Most digits of a decimal in polars."""


def columns_of(stream: BinaryIO) -> list[str] | None:
    """Column names of a file that polars cannot read as a whole; None where it can, or where it will say what is wrong."""
    try:
        schema = pq.read_schema(stream)
    except (pa.ArrowException, OSError):
        return None
    return list(schema.names) if any(not _is_read(field.type) for field in schema) else None


def read_columns(stream: BinaryIO, columns: list[str], rows: int | None = None) -> pl.DataFrame:
    """The named columns, of at most so many rows; of a type that neither library reads, only where there is a value (bool).

    Raises:
        pa.ArrowException: the file is damaged.
    """
    file = pq.ParquetFile(stream)
    groups = range(file.num_row_groups)
    if rows is not None:
        counts = [file.metadata.row_group(group).num_rows for group in groups]
        groups = range(next((n for n in groups if sum(counts[: n + 1]) >= rows), len(counts) - 1) + 1)
    try:
        read = [_series(file.read_row_groups(list(groups), columns=[name]), name) for name in columns]
    except OSError as error:  # so pyarrow reports damaged pages, in several lines
        raise pa.ArrowInvalid(str(error).splitlines()[0]) from None
    return pl.DataFrame(read).head(rows if rows is not None else file.metadata.num_rows)


def _series(table: pa.Table, name: str) -> pl.Series:
    column = table.column(name)
    try:
        if _is_read(column.type):
            read = pl.from_arrow(table.select([name]))
            return read.to_series() if isinstance(read, pl.DataFrame) else read.alias(name)
        values: list[Any] = column.to_pylist()
        if pa.types.is_decimal(column.type):
            return pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
        return listed(name, values)
    except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError):
        return pl.Series(name, [True if there else None for there in column.is_valid().to_pylist()], dtype=pl.Boolean)


def _is_read(kind: pa.DataType) -> bool:
    """Whether polars reads a type, whatever is nested in it."""
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return False
    if pa.types.is_decimal(kind) and kind.precision > DIGITS:
        return False
    if isinstance(kind, pa.BaseExtensionType):
        return _is_read(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _is_read(kind.value_type)
    return all(_is_read(kind.field(at).type) for at in range(kind.num_fields))
