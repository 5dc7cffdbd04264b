"""Frames of polars, pandas and Arrow as sources: written as Parquet, from where they are read like any file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from isrf.core.atomic_files import replacing_binary
from isrf.core.errors import IsrfError


def is_frame(given: Any) -> bool:
    """Whether it is a table that Arrow can take over (its PyCapsule interface), or a lazy one of polars."""
    return hasattr(given, "__arrow_c_stream__") or type(given).__name__ == "LazyFrame"


def write_frame(frame: Any, path: Path, name: str) -> None:
    """Write a frame as a Parquet file.

    Args:
        frame: as ``is_frame``.
        path: the file.
        name: of the argument, for errors.

    Raises:
        IsrfError: a column holds values of several types, or the frame has no rows.
    """
    try:
        table = pa.table(frame.collect() if type(frame).__name__ == "LazyFrame" else frame)
    except (ValueError, TypeError, pa.ArrowException) as error:
        told = " ".join(str(error).split())
        raise IsrfError(
            f"{name} is not a table ({told}); column names must differ, and each column must hold one type"
        ) from None
    if not table.num_rows:
        raise IsrfError(f"{name} has no rows")
    with replacing_binary(path) as file, pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table)


@contextmanager
def in_words_of(frames: Mapping[str, str]) -> Iterator[None]:
    """Errors name the argument that a frame came in by, not the file that it was written to."""
    try:
        yield
    except IsrfError as error:
        told = str(error)
        for path, argument in frames.items():
            told = told.replace(path, argument)
        if told == str(error):
            raise
        raise IsrfError(told) from None


def as_parquet(frame: Any, path: Path, argument: str) -> Path:
    """A frame as a Parquet file. Raises IsrfError where it is none."""
    if not is_frame(frame):
        raise IsrfError(f"{argument} must be a path or a frame of polars, pandas or Arrow, not {type(frame).__name__}")
    write_frame(frame, path, argument)
    return path
