"""Bytes and lines of plain, gzip and zstd files. Knows nothing about what the lines mean."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from isrf.errors import IsrfError

COMPRESSED = (".gz", ".zst")


def bare_suffix(path: Path) -> str:
    """Lower-case suffix without a compression suffix: ".csv" for "log.CSV.gz"."""
    name = path.name[: -len(path.suffix)] if is_compressed(path) else path.name
    return Path(name).suffix.lower()


def bare_stem(path: Path) -> str:
    """Name without compression and format suffixes: "log" for "log.csv.gz"."""
    stem = path.stem if is_compressed(path) else path.name
    return Path(stem).stem


def is_compressed(path: Path) -> bool:
    return path.suffix.lower() in COMPRESSED


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is opened and read into one clear IsrfError."""
    try:
        yield
    except FileNotFoundError:
        raise IsrfError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise IsrfError(f"{path}: is a folder where a file is needed; name the file") from None
    except PermissionError:
        raise IsrfError(f"{path}: cannot be read; change its permissions") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException) as error:
        raise IsrfError(f"{path}: the file is damaged or cut off ({error}); fetch it again") from None
    except OSError as error:  # pyarrow reports damaged zstd frames so
        raise IsrfError(f"{path}: cannot be read ({error}); check the file or fetch it again") from None


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed where its name ends in .gz or .zst, as a stream. Raises IsrfError."""
    with reading(path), _opened(path) as stream:
        yield stream


def _opened(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix.lower() == ".zst":
        path.open("rb").close()  # pyarrow's own message for a missing file names no remedy
        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")


def read_bytes(path: Path) -> bytes:
    """The whole file, decompressed. Raises IsrfError."""
    with open_bytes(path) as stream, reading(path):
        return stream.read()


@contextmanager
def text_lines(path: Path, errors: str = "surrogateescape") -> Iterator[Iterator[str]]:
    """Lines with their ends (\\n, \\r\\n or \\r), decoded from UTF-8 with or without a byte order mark.

    Undecodable bytes become surrogates (see ``undecodable``) unless ``errors`` says otherwise. Raises IsrfError.
    """
    with open_bytes(path) as stream:
        wrapper = io.TextIOWrapper(stream, encoding="utf-8-sig", errors=errors, newline="")
        try:
            yield wrapper
        finally:
            wrapper.detach()  # open_bytes closes the stream


def undecodable(text: str) -> str | None:
    """Why ``text``, decoded with surrogateescape, is not UTF-8; None where it is."""
    if text.isascii():
        return None
    for position, char in enumerate(text):
        if "\udc80" <= char <= "\udcff":
            return f"byte 0x{ord(char) - 0xDC00:02X} at character {position + 1} is not UTF-8; save the file as UTF-8"
    return None
