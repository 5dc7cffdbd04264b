"""Rows that a program hands over while a workspace is open, read as an import reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note


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


def fitting_types(types: dict[str, pl.DataType], column: str, ids: Iterable[str]) -> dict[str, pl.DataType]:
    """Types in which ids are given back, once there are more; a column is text, and a line says so, where these do not fit.

    Args:
        types: USER and ITEM -> type, where ids are not text.
        column: USER or ITEM.
        ids: those that are new.
    """
    if column not in types:
        return types
    given = pl.Series("ids", list(ids), dtype=pl.String)
    odd = given.filter((given.cast(types[column], strict=False).cast(pl.String) != given).fill_null(True))
    if not len(odd):
        return types
    note(
        f"{column} {odd[0]!r} is no {types[column]}, as those of this workspace were: ids come back as text from now on"
    )
    return {name: kind for name, kind in types.items() if name != column}


def without_split(settings: DataSettings) -> DataSettings:
    """The settings by which rows are read that no split is made of."""
    return settings.model_copy(
        update={"split": "leave-one-out", "split_at": None, "split_column": None, "on_bad_row": "fail"}
    )
