"""The store of answers as one Parquet file, so that a team can share what was expensive.

A file that others wrote is read whole and checked before anything of it is kept. Dialects stay behind: they describe an
endpoint, not answers. Knows the store by its calls alone, and nothing about what answers say.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from isrf import __version__
from isrf.core.atomic_files import output_file
from isrf.core.errors import IsrfError
from isrf.core.files import opened
from isrf.core.progress import task
from isrf.reasoning.answers.replies import MOST_BYTES, Completion
from isrf.reasoning.answers.rows import Origin, Row
from isrf.reasoning.answers.store import open_store, read_store
from isrf.reasoning.llm.prompts import PLANS

FORMAT, FORMAT_VERSION = "isrf answers", 1
GROUP_CHARACTERS, GROUP_ROWS = 1 << 20, 1 << 12
"""A row group is closed at so many characters or rows: what an export holds in memory."""
KEY = re.compile("[0-9a-f]{64}")
READ_ROWS = 256
"""Rows that an import holds in memory, and keeps in one transaction."""
COLUMNS = {
    "key": (pa.string(), "SHA-256 of everything the answer depends on, 64 hex digits"),
    "supplier": (pa.string(), "who was asked"),
    "model": (pa.string(), "model, for a file with its digest"),
    "kind": (pa.string(), "item or user"),
    "ask": (pa.string(), "name of the question: likes, dislikes, feature or single"),
    "prompt_version": (pa.string(), "digest of the prompt templates"),
    "content": (pa.string(), "the answer as it was given, without thinking"),
    "thinking": (pa.string(), "what the model thought before it answered"),
    "cut": (pa.bool_(), "whether the token limit ended it"),
    "tokens_in": (pa.int64(), "tokens of the question, as the endpoint counted them"),
    "tokens_out": (pa.int64(), "tokens of thinking and answer"),
    "tokens_thinking": (pa.int64(), "tokens of thinking among them"),
    "seconds": (pa.float64(), "from sending the question to having the answer"),
}
"""Type and meaning of every column; the meanings stand in the file's metadata."""
_REPEATED = ["supplier", "model", "kind", "ask", "prompt_version"]
_ONE_OF = {"kind": ("item", "user"), "ask": tuple(name for plan in PLANS.values() for name, _ in plan)}


def export_answers(store: Path, file: Path) -> int:
    """Write all answers as Parquet, in the order of their keys; stores of equal answers give equal bytes.

    The file appears whole or not at all, and replaces one of that name. Its metadata name the format, its version, the
    isrf that wrote it and the meaning of the columns.

    Returns:
        How many answers were written.

    Raises:
        IsrfError: there is no such store, it is damaged, or the file cannot be written.
    """
    if not store.is_file():
        raise IsrfError(f"{store}: there is no store of answers; ask an LLM first, or check the path")
    if file.is_dir() or (file.exists() and file.samefile(store)):
        raise IsrfError(f"{file}: cannot be replaced by an export; name a Parquet file")
    if not file.parent.is_dir():
        raise IsrfError(f"{file}: there is no folder {file.parent}; make it first")
    about = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "made_by": f"isrf {__version__}",
        "columns": {name: meaning for name, (_, meaning) in COLUMNS.items()},
    }
    schema = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()], {"isrf": json.dumps(about)})
    try:
        with (
            read_store(store) as answers,
            output_file(file) as stream,
            pq.ParquetWriter(
                stream, schema, compression="zstd", use_dictionary=_REPEATED, write_page_checksum=True
            ) as writer,
        ):
            written = 0
            with task("exporting answers", len(answers)) as running:
                for rows in _groups(answers.rows()):
                    writer.write_batch(_batch(rows, schema))
                    written += len(rows)
                    running.advance(len(rows))
        return written
    except (OSError, pa.ArrowException) as error:
        raise IsrfError(f"{file}: cannot be written ({_line(error)}); free space or name another file") from error


def import_answers(file: Path, store: Path) -> tuple[int, int]:
    """Keep the answers of an export in a store, which is made where absent; what the store knows stays as it is.

    A file with a fault is not imported at all. A killed import leaves a store with some of the answers, each whole;
    importing again adds the others. Other processes may use the store meanwhile.

    Returns:
        How many answers were new, and how many the store knew.

    Raises:
        IsrfError: the file is missing, no Parquet, of something else, of a newer format, or has a fault, named by its
            first row and column; the store cannot be used.
    """
    with _opened(file) as parquet:
        total = parquet.metadata.num_rows
        row = 0
        with task("checking answers", total) as running:
            for batch in _batches(parquet, file):
                _check(batch, row, file)
                row += batch.num_rows
                running.advance(batch.num_rows)
        if row != total:
            raise IsrfError(f"{file}: damaged (has {row} rows, but says {total}); export the answers again")
        with open_store(store) as answers, task("importing answers", total) as running:
            added = 0
            for batch in _batches(parquet, file):
                added += answers.add(_rows(batch))
                running.advance(batch.num_rows)
    return added, row - added


def _groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows in lists of a bounded size, the same lists for the same rows."""
    group: list[Row] = []
    characters = 0
    for row in rows:
        group.append(row)
        characters += len(row[1].content) + len(row[1].thinking)
        if characters >= GROUP_CHARACTERS or len(group) >= GROUP_ROWS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def _batch(rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    records = [{"key": key} | vars(given) | vars(origin) for key, given, origin in rows]
    return pa.record_batch([_array(f.type, [record[f.name] for record in records]) for f in schema], schema=schema)


def _array(kind: pa.DataType, values: list[Any]) -> pa.Array:
    # buffer by buffer: pyarrow.array loads all of pandas, where that is installed, before it looks at a list
    buffers: list[np.ndarray | bytes]
    if pa.types.is_string(kind):
        cells = [value.encode() for value in values]
        buffers = [np.cumsum([0, *map(len, cells)], dtype=np.int32), b"".join(cells)]
    elif pa.types.is_boolean(kind):
        buffers = [np.packbits(np.array(values, dtype=bool), bitorder="little")]
    else:
        buffers = [np.array(values, dtype=np.int64 if pa.types.is_integer(kind) else np.float64)]
    return pa.Array.from_buffers(kind, len(values), [None, *(pa.py_buffer(buffer) for buffer in buffers)])


def _rows(batch: pa.RecordBatch) -> list[Row]:
    values = batch.to_pydict()
    given = zip(*(values[name] for name in Completion.__dataclass_fields__), strict=True)
    origins = zip(*(values[name] for name in Origin.__dataclass_fields__), strict=True)
    return [
        (key, Completion(*completion), Origin(*origin))
        for key, completion, origin in zip(values["key"], given, origins, strict=True)
    ]


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """A file that says that it is an export and has the columns of one."""
    stream = opened(file, "name a Parquet file of answers")
    try:
        # read page by page: a row group of somebody else's making may be larger than memory
        parquet = pq.ParquetFile(stream, buffer_size=1 << 16, pre_buffer=False, page_checksum_verification=True)
        schema = parquet.schema_arrow
        names = schema.names
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # the last: a damaged name of a column
        stream.close()
        raise IsrfError(f"{file}: cannot be read as Parquet ({_line(error)}); name an export of answers") from error
    with stream, parquet:
        _check_format(schema, names, file)
        yield parquet


def _check_format(schema: pa.Schema, names: list[str], file: Path) -> None:
    try:
        about = json.loads((schema.metadata or {})[b"isrf"])
        version = about["version"] if about["format"] == FORMAT else None
    except (KeyError, ValueError, TypeError):
        version = None
    if not isinstance(version, int):
        raise IsrfError(f"{file}: Parquet, but no export of answers by isrf; name one that is")
    if version > FORMAT_VERSION:
        raise IsrfError(
            f"{file}: export of answers in format {version}, by a newer isrf than this, which reads format "
            f"{FORMAT_VERSION}; update isrf"
        )
    for name, (kind, _) in COLUMNS.items():
        found = schema.field(name).type if names.count(name) == 1 else None
        if found != kind:
            told = f"is {found}, not {kind}" if found else "is missing or stands there twice"
            raise IsrfError(f"{file}: column {name!r} {told}; export the answers again. Nothing was imported")


def _batches(parquet: pq.ParquetFile, file: Path) -> Iterator[pa.RecordBatch]:
    try:
        yield from parquet.iter_batches(READ_ROWS, columns=list(COLUMNS), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise IsrfError(f"{file}: damaged ({_line(error)}); export the answers again") from error


def _check(batch: pa.RecordBatch, before: int, file: Path) -> None:
    """Raises IsrfError that names the first row (1-based) with a fault, and its first column that has one."""
    faults = ((at, name, what) for name in COLUMNS for at, what in _faults(name, batch.column(name)))
    row, name, what = min(faults, key=lambda fault: fault[0], default=(0, "", ""))
    if name:
        raise IsrfError(
            f"{file}: row {before + row + 1}, column {name!r}: {what}; export the answers again. Nothing was imported"
        )


def _faults(name: str, column: pa.Array) -> Iterator[tuple[int, str]]:
    """The first row of a batch, 0-based, with a fault in this column, and the fault; nothing where there is none."""
    for row, cell in enumerate(column):
        try:
            value = cell.as_py()
        except UnicodeDecodeError:
            what: str | None = "is not UTF-8 text"
        else:
            what = _fault(name, value)
        if what is not None:
            yield row, what
            return


def _fault(name: str, value: str | float | bool | None) -> str | None:
    if value is None:
        return "is empty"
    if isinstance(value, str):
        if name == "key" and not KEY.fullmatch(value):
            return "is not 64 hex digits"
        if name in _ONE_OF and value not in _ONE_OF[name]:
            return f"is none of {', '.join(_ONE_OF[name])}"
        return f"is longer than {MOST_BYTES:,} characters" if len(value) > MOST_BYTES else None
    # negative, infinite or not a number
    return None if 0 <= value < math.inf else f"is {value}, which is not a number of tokens or seconds"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
