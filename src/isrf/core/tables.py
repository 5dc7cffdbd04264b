"""Parquet tables and NumPy arrays under the very name that was given. Knows nothing about what they mean."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.files import opened, shown, size
from isrf.core.memory import process_memory

ANEW = "run again to make it anew"


def read_table(path: Path, columns: Sequence[str] | None = None, rows: int | None = None) -> pl.DataFrame:
    """A Parquet file, or some of its columns or first rows. Raises IsrfError where there is no file, else as polars."""
    with opened(path) as file:
        return pl.read_parquet(file, columns=None if columns is None else list(columns), n_rows=rows)


def table_schema(path: Path) -> Mapping[str, pl.DataType]:
    """Columns of a Parquet file and their types. Raises as ``read_table``."""
    with opened(path) as file:
        return pl.read_parquet_schema(file)


def table_metadata(path: Path) -> dict[str, str]:
    """The words that ``write_table`` put beside the columns. Raises as ``read_table``."""
    with opened(path) as file:
        return {name: text for name, text in pl.read_parquet_metadata(file).items() if not name.startswith("ARROW:")}


def write_table(frame: pl.DataFrame, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a Parquet file; ``metadata`` are words beside the columns."""
    with path.open("wb") as file:
        frame.write_parquet(file, metadata=None if metadata is None else dict(metadata))


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays under names as one npz file, uncompressed."""
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the arrays for allow_pickle


@contextmanager
def open_arrays(path: Path) -> Iterator[Any]:
    """The arrays of an npz file by name, none of them pickled.

    Raises:
        IsrfError: no such file, no npz file, or it claims to hold more than the memory of this process.
    """
    with opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                held = sum(entry.file_size for entry in archive.infolist())
            file.seek(0)
            arrays = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise IsrfError(f"{shown(path)}: not readable ({error}); {ANEW}") from None
        if held > process_memory():
            raise IsrfError(f"{shown(path)}: says that it holds {size(held)}, more than this process may use; {ANEW}")
        with arrays:
            yield arrays
