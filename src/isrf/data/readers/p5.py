"""P5 folders (P5, POD, ELMRec, ISRF): sequential.txt and datamaps.json, with an items.csv and explanation.json or not.

Knows that the integer ids carry an order and therefore hands them on for the audit only.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.files import shown
from isrf.data import reviews as explanations
from isrf.data.dataset import Columns
from isrf.data.readers.ids import id_of
from isrf.data.readers.raw import ROW, BadRows, RawCatalogue, RawData, Table
from isrf.data.readers.text_io import read_json, text_lines, undecodable

SEQUENCES, MAPS, ITEMS = "sequential.txt", "datamaps.json", "items.csv"
LINE = "line"


def read_p5(folder: Path, items: RawCatalogue | None, bad: BadRows) -> RawData:
    """``user item item ...`` lines, oldest first, integer ids mapped back to the original ones.

    A line with a bad id is rejected whole: a history with a hole in it would be another history. Raises IsrfError.
    """
    users, originals = read_maps(folder / MAPS)
    file = folder / SEQUENCES
    texts: list[str] = []
    numbers: list[int] = []
    with text_lines(file) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if (why := undecodable(line)) is not None:
                bad.reject(file, number, "", why, remedy="")
                continue
            texts.append(line.strip())
            numbers.append(number)
    rejected = len(bad)
    if not texts and not rejected:
        raise IsrfError(f"{file}: the file is empty; each line must be 'user item item ...'")
    lines_table = pl.DataFrame({LINE: texts, ROW: numbers}, schema={LINE: pl.String, ROW: pl.Int64})
    frame = lines_table.with_columns(pl.col(LINE).str.extract_all(r"\S+").alias("ids")).with_columns(
        pl.col("ids").list.first().replace_strict(users, default=None, return_dtype=pl.String).alias(Columns.USER),
        pl.col("ids").list.slice(1).alias("tokens"),
    )
    size = int(frame["tokens"].list.len().clip(lower_bound=1).sum()) + rejected
    table = Table(file, frame)
    known_user = table.frame[Columns.USER].is_not_null()
    table = bad.drop(table, ~known_user, LINE, lambda v: f"user {v.split()[0][:40]!r} is not in id2user of {MAPS}")
    table = bad.drop(table, table.frame["tokens"].list.len() == 0, LINE, lambda _: "a user without items")
    known = table.frame.explode("tokens").with_columns(
        pl.col("tokens").replace_strict(originals, default=None, return_dtype=pl.String).alias(Columns.ITEM)
    )
    if known[Columns.ITEM].null_count():
        unknown = known.filter(pl.col(Columns.ITEM).is_null()).unique(ROW, keep="first")
        first = dict(unknown.select(LINE, "tokens").iter_rows())
        holed = table.frame[ROW].is_in(unknown[ROW].to_list())
        table = bad.drop(table, holed, LINE, lambda v: f"item {first[v][:40]!r} is not in id2item of {MAPS}")
        known = known.filter(pl.col(ROW).is_in(table.frame[ROW].to_list()))
    log = known.select(
        Columns.USER,
        Columns.ITEM,
        pl.lit(None, pl.Int64).alias(Columns.TIME),
        pl.int_range(pl.len(), dtype=pl.Int64).alias(Columns.ORDER),
    )
    by_number = sorted(originals, key=lambda token: (int(token), token))
    source_order = list(dict.fromkeys(originals[token] for token in by_number))
    reviews = folder / explanations.REVIEWS_FILE
    told = explanations.read_explanations(reviews, users, originals, bad) if reviews.is_file() else None
    return RawData(shown(folder.resolve().name), file, log, size, items, source_order, told)


def read_maps(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """id2user and id2item: integer id as in the file -> original id. Raises IsrfError."""
    maps = read_json(file, "fetch it again")
    result = []
    for key in ("id2user", "id2item"):
        mapping = maps.get(key) if isinstance(maps, dict) else None
        if not isinstance(mapping, dict) or not mapping:
            raise IsrfError(f"{file}: no {key!r}; it must map integer ids to original ids")
        for number in mapping:
            if not number.isascii() or not number.isdigit() or len(number) > 18:
                raise IsrfError(f"{file}: {key}: {number[:40]!r} is not an integer id; fix the file")
        originals = {number: id_of(original) for number, original in mapping.items()}
        lacking = next((number for number, original in originals.items() if original is None), None)
        if lacking is not None:
            raise IsrfError(f"{file}: {key}: {lacking} has no original id that can be told apart; fix the file")
        result.append({number: original for number, original in originals.items() if original is not None})
    for key, mapping in zip(("id2user", "id2item"), result, strict=True):
        if len(set(mapping.values())) < len(mapping):
            raise IsrfError(f"{file}: {key}: two integer ids map to one original id; fix the file")
    return result[0], result[1]
