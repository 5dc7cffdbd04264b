"""Review explanations of a P5 folder (P5, POD, ELMRec, ISRF): sentences in which people say why they like an item.

The file brings a split of its own, which is not leave-one-out: records of all its parts are pooled, and the pair of
user and item alone decides where one belongs. Only those of training interactions are ever trained on; those of held-out
pairs lie in files of their own, which evaluation alone opens. Knows nothing about models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.tables import write_table
from isrf.data.dataset import Columns
from isrf.data.readers.markup import shown
from isrf.data.readers.raw import BadRows, RawExplanations
from isrf.data.readers.text_io import read_json
from isrf.data.splits.split import Split
from isrf.workspace.layout import REVIEW_FILES

REVIEWS_FILE = "explanation.json"
PARTS = ("train", "val", "test")
"""Keys of the file."""
PART = "part"
"""Column of the key that a record stands under."""

USER, ITEM, SENTENCE, FEATURE = "user", "item", "explanation", "feature"
"""Keys of a record; ``feature`` may be absent, and others (rating, template) are not read."""


def read_explanations(file: Path, users: dict[str, str], items: dict[str, str], bad: BadRows) -> RawExplanations:
    """Every record of ``explanation.json``, whichever of the file's own parts it stands in.

    Args:
        file: ``{"train": [...], "val": [...], "test": [...]}``, each a list of records.
        users: integer id (as str) -> original id (``id2user`` of datamaps.json).
        items: likewise of items.
        bad: records that cannot be used are rejected, named by part, number (from 1) and key.

    Raises:
        IsrfError: the file is no such JSON, or a bad record under "fail".
    """
    parts, read = read_parts(file, users, items, bad)
    return RawExplanations(parts.drop(PART), read)


def read_parts(file: Path, users: dict[str, str], items: dict[str, str], bad: BadRows) -> tuple[pl.DataFrame, int]:
    """The same with a column PART, the file's own, for whoever asks what is in it; and the number of records read."""
    rows: list[tuple[str, str, str, str, str]] = []
    read = 0
    for part, number, record in _records(file):
        read += 1
        fault = _fault(record, users, items)
        if fault is not None:
            key, why = fault
            content = json.dumps(record, sort_keys=True)[:500]
            bad.reject(file, number, f"{part}.{key}" if key else part, why, content)
            continue
        given = " ".join(record[SENTENCE].split()), " ".join((record.get(FEATURE) or "").split())
        sentence, feature = shown(given[0]), shown(given[1])
        if not sentence:
            bad.reject(file, number, f"{part}.{SENTENCE}", "holds nothing but markup or links", given[0][:500])
            continue
        rows.append((users[str(record[USER])], items[str(record[ITEM])], sentence, feature, part))
    names = (Columns.USER, Columns.ITEM, Columns.EXPLANATION, Columns.FEATURE, PART)
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row"), read


def _records(file: Path) -> Iterator[tuple[str, int, Any]]:
    """(part, number from 1, record). Raises IsrfError where the file is not what it should be."""
    content = read_json(file, "fetch it again, or take it out of the folder")
    for part in PARTS:
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise IsrfError(
                f"{file}: {part!r} is not a list of records; it must map each of {', '.join(PARTS)} to one, empty or not"
            )
    for part in PARTS:
        for number, record in enumerate(content[part], start=1):
            yield part, number, record


def _fault(record: Any, users: dict[str, str], items: dict[str, str]) -> tuple[str, str] | None:
    """The key of a record that cannot be used ("" for all of it) and why; None where it can."""
    if not isinstance(record, dict):
        return "", "is not a record with user, item and explanation"
    for key, known, maps in ((USER, users, "id2user"), (ITEM, items, "id2item")):
        value = record.get(key)
        if isinstance(value, bool) or not isinstance(value, int | str):
            return key, "is not an integer id" if key in record else "is missing"
        if str(value) not in known:
            return key, f"{key} {str(value)[:40]!r} is not in {maps} of datamaps.json"
    for key in (SENTENCE, FEATURE):
        value = record.get(key)
        if value is None and key == FEATURE:
            continue
        if not isinstance(value, str):
            return key, "is not text" if key in record else "is missing"
        if not value.isprintable() and any("\ud800" <= char <= "\udfff" for char in value):
            return key, "holds half a character (a lone surrogate)"
    return None if record[SENTENCE].strip() else (SENTENCE, "is empty")


def settled(raw: RawExplanations, interactions: pl.DataFrame, counts: dict[str, int]) -> pl.DataFrame:
    """Explanations of interactions that are left after cleaning, each sentence once a pair; every loss is counted.

    Sorted by user, item and sentence, so that neither the file's order nor its own split can tell on anything.

    Args:
        raw: as read.
        interactions: of the cleaned dataset.
        counts: what cleaning counted; added to.
    """
    counts["explanations read"] = raw.rows_read
    counts["explanations rejected"] = raw.rows_read - raw.frame.height
    pair = [Columns.USER, Columns.ITEM]
    ordered = raw.frame.sort(*pair, Columns.EXPLANATION, Columns.FEATURE, descending=[False, False, False, True])
    once = ordered.unique([*pair, Columns.EXPLANATION], keep="first", maintain_order=True)
    counts["explanation duplicates dropped"] = raw.frame.height - once.height
    kept = once.join(interactions.select(pair), on=pair, how="semi", maintain_order="left")
    counts["explanations of pairs that are no interaction here (left out)"] = once.height - kept.height
    return kept


def by_part(explanations: pl.DataFrame, split: Split) -> dict[str, pl.DataFrame]:
    """ "train", "valid" and "test" -> USER_ROW, ITEM_ROW (int64), EXPLANATION, FEATURE, sorted by rows and sentence.

    Args:
        explanations: in original ids, all of pairs that the split holds (``settled``).
        split: which pair belongs where.
    """
    training = split.training
    frame = explanations.select(
        pl.col(Columns.USER).replace_strict(training.row_of, return_dtype=pl.Int64).alias(Columns.USER_ROW),
        pl.col(Columns.ITEM).replace_strict(training.catalogue.row_of, return_dtype=pl.Int64).alias(Columns.ITEM_ROW),
        Columns.EXPLANATION,
        Columns.FEATURE,
    ).sort(Columns.USER_ROW, Columns.ITEM_ROW, Columns.EXPLANATION)
    users, items = (frame[name].to_numpy() for name in (Columns.USER_ROW, Columns.ITEM_ROW))
    trained = np.isin(users * training.n_items + items, pair_keys(split))
    # of an item that its user has had before (data.repeats=all) the sentence may be about either time: it is trained on
    parts = {part: frame.filter(~trained & (split.targets(part)[users] == items)) for part in ("valid", "test")}
    return {"train": frame.filter(trained), **parts}


def pair_keys(split: Split) -> np.ndarray:
    """(N,) int64 ``user row * items + item row`` of every training interaction."""
    histories = split.training.histories
    return histories.rows() * split.training.n_items + histories.items


def save_explanations(parts: dict[str, pl.DataFrame], folder: Path) -> None:
    """Write each part into a file of its own."""
    for part, name in REVIEW_FILES.items():
        write_table(parts[part], folder / name)
