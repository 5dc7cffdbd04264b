"""Rows that a program hands over while a workspace is open, read as an import reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError


@contextmanager
def parquet_of(rows: Any, argument: str) -> Iterator[Path]:
    """A frame, or a list of dictionaries, as a Parquet file for the readers; errors name the argument.

    Raises:
        IsrfError: it is neither, or holds values of several types in a column, or no row.
    """
    from isrf.data.readers.frames import as_parquet, in_words_of

    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        try:
            rows = pl.DataFrame(rows, infer_schema_length=None)
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            raise IsrfError(f"{argument} is not a table ({' '.join(str(error).split())})") from None
    with TemporaryDirectory(prefix="isrf-rows-") as folder:
        path = Path(folder) / f"{argument}.parquet"
        with in_words_of({str(path): argument, path.name: argument}):
            yield as_parquet(rows, path, argument)


def without_split(settings: DataSettings) -> DataSettings:
    """The settings by which rows are read that no split is made of."""
    return settings.model_copy(
        update={"split": "leave-one-out", "split_at": None, "split_column": None, "on_bad_row": "fail"}
    )
