"""MovieLens: ml-100k (u.data, u.item), ml-1m and ml-10m (.dat), ml-latest, ml-20m and later (.csv).

Knows the formats alone. Titles lose their year, which becomes an attribute of its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from isrf.core.config import DataSettings
from isrf.core.errors import IsrfError
from isrf.core.files import shown
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.readers.catalogue_texts import raw_catalogue
from isrf.data.readers.delimited import read_delimited
from isrf.data.readers.header import csv_header
from isrf.data.readers.log_columns import interactions, rating_roles
from isrf.data.readers.ratings import tell_of_ratings
from isrf.data.readers.raw import BadRows, RawCatalogue, RawData
from isrf.data.readers.tabular import read_tabular
from isrf.data.readers.text_io import read_bytes

LOGS = ("u.data", "ratings.dat", "ratings.csv")
CATALOGUES = {"u.data": "u.item", "ratings.dat": "movies.dat", "ratings.csv": "movies.csv"}
RATING = "rating"
RATING_COLUMNS = [Columns.USER, Columns.ITEM, RATING, Columns.TIME]
GENRES = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
YEAR, NO_GENRES = "year", "(no genres listed)"
UNIT = "\x1f"
"""Stands for the two-character separator '::' of .dat files while they are read; it occurs in no text."""


def read_movielens(path: Path, items: RawCatalogue | None, settings: DataSettings, bad: BadRows) -> RawData:
    """The log of a folder or ratings file, with the films beside it where ``items`` is None. Raises IsrfError."""
    file = path
    if path.is_dir():
        found = [path / name for name in LOGS if (path / name).is_file()]
        if not found:
            raise IsrfError(f"{path}: none of {', '.join(LOGS)} is here; name the folder that holds one of them")
        file = found[0]
    if file.name not in LOGS:
        raise IsrfError(f"{file}: not a MovieLens log; it must be one of {', '.join(LOGS)}")
    beside = file.with_name(CATALOGUES[file.name])
    if items is None and beside.is_file():
        items = read_films(beside, settings, bad)
    name = shown(file.resolve().parent.name)
    if file.suffix == ".csv":
        raw = read_tabular(file, "csv", items, settings, bad)
        return replace(raw, name=name)
    separator, content = ("\t", None) if file.name == "u.data" else (UNIT, _units(read_bytes(file)))
    table, rows_read = read_delimited(
        file, RATING_COLUMNS, separator, RATING_COLUMNS, bad, header=0, quoted=False, content=content
    )
    roles = rating_roles(file, RATING, (RATING,), settings)
    counts = {} if roles.value else tell_of_ratings(table.frame[RATING], RATING, file.name, bad)
    log = interactions(table, roles, settings, bad, items)
    return RawData(name, file, log, rows_read, items, counts=counts)


def read_films(file: Path, settings: DataSettings, bad: BadRows) -> RawCatalogue:
    """u.item, movies.dat or movies.csv: title, genres and year. Raises IsrfError."""
    if file.name == "u.item":
        names = [Columns.ITEM, Columns.TITLE, "release", "video", "link", *GENRES]
        content = read_bytes(file).decode("latin-1").encode()  # the format is defined so
        table, rows_read = read_delimited(file, names, "|", names, bad, header=0, quoted=False, content=content)
        flags = [pl.when(pl.col(g).str.strip_chars() == "1").then(pl.lit(g)) for g in GENRES[1:]]
        genres = pl.concat_str(flags, separator=LIST_SEPARATOR, ignore_nulls=True)
    elif file.name == "movies.dat":
        data = read_bytes(file)
        try:
            data.decode()
        except UnicodeDecodeError:  # ml-1m is Latin-1, ml-10m UTF-8
            data = data.decode("latin-1").encode()
        names = [Columns.ITEM, Columns.TITLE, "genres"]
        table, rows_read = read_delimited(file, names, UNIT, names, bad, header=0, quoted=False, content=_units(data))
        genres = pl.col("genres").str.strip_chars()
    else:
        header = csv_header(file, settings.separator)
        needed = ["movieId", "title", "genres"]
        missing = [c for c in needed if c not in header.names]
        if missing:
            raise IsrfError(
                f"{file}: no column {missing[0]!r}; its columns are {', '.join(header.names)}; fetch it again"
            )
        table, rows_read = read_delimited(file, header.names, header.separator, needed, bad, header=header.lines)
        table = table.having(table.frame.rename({"movieId": Columns.ITEM}))
        genres = pl.col("genres").str.strip_chars().replace({NO_GENRES: ""})
    title = pl.col(Columns.TITLE).str.strip_chars()
    frame = table.frame.select(
        Columns.ITEM,
        title.str.replace(r"\s*\(\d{4}\)$", "").alias(Columns.TITLE),
        genres.alias(Columns.CATEGORIES),
        title.str.extract(r"\((\d{4})\)$").fill_null("").alias(YEAR),
        table.frame.columns[-1],
    )
    named, lists = {Columns.ITEM: Columns.ITEM}, [Columns.CATEGORIES]
    return raw_catalogue(table.having(frame), rows_read, named, bad, lists, placeholders=settings.placeholders)


def _units(data: bytes) -> bytes:
    return data.replace(b"::", UNIT.encode())
