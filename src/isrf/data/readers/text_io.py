"""Bytes and lines of plain, gzip and zstd files, no more of them than the limit allows (``core.memory``).

Knows nothing about what the lines mean.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from isrf.core.documents import Unreadable, parse_json
from isrf.core.errors import IsrfError, out_of_memory
from isrf.core.files import fault_of, opened, shown, size
from isrf.core.memory import most_bytes, too_large

COMPRESSED = (".gz", ".zst")
BUFFER = 1 << 20
LONGEST_LINE = 1 << 28
"""Bytes of one line of a text."""
LONGEST_HEADER = 1 << 24
"""Characters of a line of column names: some hundred thousand names."""


def bare_suffix(path: Path) -> str:
    """Lower-case suffix without a compression suffix: ".csv" for "log.CSV.gz"."""
    name = path.name[: -len(path.suffix)] if is_compressed(path) else path.name
    return Path(name).suffix.lower()


def bare_stem(path: Path) -> str:
    """Name without compression and format suffixes, as text: "log" for "log.csv.gz"."""
    stem = path.stem if is_compressed(path) else path.name
    return shown(Path(stem).stem)


def is_compressed(path: Path) -> bool:
    return path.suffix.lower() in COMPRESSED


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is opened and read into one clear IsrfError."""
    try:
        yield
    except (EOFError, zlib.error, OSError, pa.ArrowException) as error:
        if out_of_memory(error) is not None:  # no fault of the file
            raise
        # pyarrow reports damaged zstd frames as an OSError
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise IsrfError(f"{shown(path)}: {fault_of(error)}; check the file or fetch it again") from None
        why = " ".join(str(error).split())
        raise IsrfError(f"{shown(path)}: the file is damaged or cut off ({why}); fetch it again") from None


class Bounded(io.RawIOBase):
    """What a stream of a file gives, until that is more than a file or a line may hold: then IsrfError.

    Args:
        file: beneath the stream, to be closed with it.
        lines: whether the text is read by line, so that one may not be longer than LONGEST_LINE.
    """

    def __init__(self, stream: BinaryIO, path: Path, file: BinaryIO, lines: bool) -> None:
        self._stream, self._path, self._file, self._lines = stream, path, file, lines
        self._most, self._given, self._line = most_bytes(), 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._stream.read(len(buffer))
        self._given += len(chunk)
        if self._given > self._most:
            raise too_large(shown(self._path), self._most, exactly=False)
        if self._lines:
            ends = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
            self._line = len(chunk) - ends - 1 if ends >= 0 else self._line + len(chunk)
            if self._line > LONGEST_LINE:
                raise IsrfError(
                    f"{shown(self._path)}: a line is longer than {size(LONGEST_LINE)}, which no row should be; check the file"
                )
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._file.close()
        super().close()


@contextmanager
def open_bytes(path: Path, lines: bool = False) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed where its name ends in .gz or .zst, as a stream; ``lines`` as in ``Bounded``.

    Raises:
        IsrfError: there is no such regular file, it is damaged, or holds more than ``core.memory.most_bytes``.
    """
    with reading(path), stream_of(path, lines) as stream:
        yield stream


def stream_of(path: Path, lines: bool = False) -> BinaryIO:
    """What ``open_bytes`` gives, to be closed by the caller; faults in the midst of it come as its libraries raise them."""
    file, suffix = opened(path), path.suffix.lower()
    held = os.fstat(file.fileno()).st_size
    if suffix not in COMPRESSED:
        if held > most_bytes():
            file.close()
            raise too_large(shown(path), held)
        if not lines or held <= LONGEST_LINE:
            return file
        stream: BinaryIO = file
    elif suffix == ".gz":
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))
    else:
        stream = cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"))
    return cast(BinaryIO, io.BufferedReader(Bounded(stream, path, file, lines), BUFFER))


def read_bytes(path: Path) -> bytes:
    """The whole file, decompressed. Raises IsrfError."""
    with open_bytes(path) as stream, reading(path):
        return stream.read()


def read_json(path: Path, remedy: str) -> Any:
    """The value of a JSON file in UTF-8, decompressed, within the same limit. Raises IsrfError, which ends in ``remedy``."""
    try:
        return parse_json(read_bytes(path).decode("utf-8-sig"))
    except (UnicodeDecodeError, Unreadable) as error:
        raise IsrfError(f"{shown(path)}: not readable as JSON ({error}); {remedy}") from None


@contextmanager
def text_lines(path: Path, errors: str = "surrogateescape") -> Iterator[io.TextIOWrapper]:
    """Lines with their ends (\\n, \\r\\n or \\r), decoded from UTF-8 with or without a byte order mark.

    Undecodable bytes become surrogates (see ``undecodable``) unless ``errors`` says otherwise. Raises IsrfError.
    """
    with open_bytes(path, lines=True) as stream:
        wrapper = io.TextIOWrapper(stream, encoding="utf-8-sig", errors=errors, newline="")
        try:
            yield wrapper
        finally:
            wrapper.detach()  # open_bytes closes the stream


def first_line(path: Path) -> str:
    """The first line without its end, "" of an empty file. Raises IsrfError, also where it is too long for column names."""
    with text_lines(path) as lines, reading(path):
        line = lines.readline(LONGEST_HEADER)
    if len(line) == LONGEST_HEADER:
        raise IsrfError(
            f"{shown(path)}: the first line is longer than {LONGEST_HEADER:,} characters, so it holds no column names; "
            "check the file"
        )
    return line.rstrip("\r\n")


def undecodable(text: str) -> str | None:
    """Why ``text``, decoded with surrogateescape, is not UTF-8; None where it is."""
    if text.isascii():
        return None
    for position, char in enumerate(text):
        if "\udc80" <= char <= "\udcff":
            return f"byte 0x{ord(char) - 0xDC00:02X} at character {position + 1} is not UTF-8; save the file as UTF-8"
    return None
