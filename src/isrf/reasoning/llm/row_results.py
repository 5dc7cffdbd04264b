"""What became of each row that an LLM was asked about, out of memory. Knows nothing about how it was asked."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import IO, Self

import numpy as np


@dataclass(frozen=True)
class Reply:
    """What became of one row.

    Attributes:
        likes, dislikes, feature: the answers, "" where the row has none.
        tokens_in, tokens_out, tokens_thinking: what asking cost, repeats included.
        faults: why attempts were rejected, "ask: reason" each.
        failed: why the row has no answer, "" where it has one: a fault, or "endpoint: ..." where it was not answered.
    """

    likes: str
    dislikes: str
    feature: str
    tokens_in: int
    tokens_out: int
    tokens_thinking: int
    faults: tuple[str, ...]
    failed: str


class Replies:
    """Replies by row, in a temporary file; memory is eight bytes a row. Use as ``with Replies(n) as replies``."""

    def __init__(self, rows: int) -> None:
        self._at = np.full(rows, -1, dtype=np.int64)
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._end = 0
        self._at_end = True  # a seek empties the write buffer, even one to where the file already is

    def put(self, row: int, reply: Reply) -> None:
        """Keep a reply; a later one of the same row takes its place."""
        r = reply
        used = (r.tokens_in, r.tokens_out, r.tokens_thinking)
        line = json.dumps((r.likes, r.dislikes, r.feature, *used, r.faults, r.failed)).encode() + b"\n"
        if not self._at_end:
            self._file.seek(self._end)
            self._at_end = True
        self._file.write(line)
        self._at[row], self._end = self._end, self._end + len(line)

    def get(self, row: int) -> Reply | None:
        """The reply about a row, None where it was not asked about."""
        if self._at[row] < 0:
            return None
        self._file.seek(int(self._at[row]))
        self._at_end = False
        likes, dislikes, feature, n_in, n_out, thought, faults, failed = json.loads(self._file.readline())
        return Reply(likes, dislikes, feature, n_in, n_out, thought, tuple(faults), failed)

    def rows(self) -> np.ndarray:
        """(n,) int64: rows that were asked about, ascending."""
        return np.flatnonzero(self._at >= 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
