"""Where an answer is written, and as what: ``--output`` and ``--format``. Knows no command and nothing of what is written."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from isrf.core.errors import IsrfError

ENDINGS = {
    ".txt": "table",
    ".md": "markdown",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".html": "html",
    ".htm": "html",
}
"""What a file of that name holds."""
COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".zip", ".lz4", ".br")
OTHER = (".tsv", ".xlsx", ".xls", ".ods", ".pdf", ".yaml", ".yml", ".xml", ".feather", ".arrow", ".orc", ".avro")
"""Endings of files that nothing here writes: under such a name nobody would look for anything else."""


def format_of(output: Path | None, asked: str | None, known: Collection[str], otherwise: str) -> str:
    """The format that was asked for, else the one that the ending of ``output`` names, else ``otherwise``.

    Args:
        known: the formats that the command writes.
        otherwise: of standard output, and of a file whose name has no ending.

    Raises:
        IsrfError: the ending names another format than the one asked for, or one that the command does not write.
    """
    if output is None:
        return asked or otherwise
    ending = (output.suffix or (output.name if output.name.startswith(".") else "")).lower()
    meant = ENDINGS.get(ending)
    endings = ", ".join(one for one, format in ENDINGS.items() if format in known)
    if ending in COMPRESSED:
        raise IsrfError(
            f"--output {output}: nothing is compressed here; write {output.with_suffix('').name} and compress that"
        )
    if ending in OTHER or (meant is not None and meant not in known):
        raise IsrfError(f"--output {output}: this command writes no {ending}; name a file that ends in {endings}")
    if asked is not None and meant is not None and asked != meant:
        raise IsrfError(
            f"--format {asked} and --output {output} contradict each other, as {ending} is {meant}; give one of them, or "
            f"name the file otherwise"
        )
    if ending and meant is None and asked is None and len(known) > 1:
        raise IsrfError(
            f"--output {output}: the ending {ending} names no format; name a file that ends in {endings}, or give --format"
        )
    return asked or meant or otherwise


def check_output(output: Path | None) -> None:
    """Raises IsrfError where a file of that name cannot be written, before any work is done."""
    if output is None:
        return
    if str(output) == "-":
        raise IsrfError("--output - is not a file; without --output the answer goes to standard output")
    if output.is_dir():
        raise IsrfError(f"--output {output}: is a folder; name a file in it")
    if not output.parent.is_dir():
        raise IsrfError(f"--output {output}: there is no folder {output.parent}; make it first")
