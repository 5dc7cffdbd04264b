"""Files that come with a log (splits, graphs, reviews, negatives, prompts) held against what is held out of it.

Whoever trains on such a file trains on what it holds. Knows what the rows of a file say, not how they were read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.readers.companion_files import NEGATIVES, TEST, TEXTS, TRAIN, VALID, Supplied
from isrf.data.similar_ids import DECIMAL
from isrf.data.splits.split import Split
from isrf.evaluation.audit.findings import OF_TEST, Finding, held_out, pair_keys, target_keys, training_keys
from isrf.evaluation.audit.item_names import Names, text_findings

POOLED = "of files beside the log only explanations are read, and the pairs that this split holds out decide their part"


def supplied_findings(files: Sequence[Supplied], split: Split, names: Names) -> list[Finding]:
    """What each file holds of the validation and test items, its own parts against each other too.

    Raises:
        IsrfError: a file that has no user, or no item, of this log.
    """
    findings: list[Finding] = []
    for supplied in files:
        if supplied.kind == TEXTS:
            findings += text_findings(supplied.label, _texts(supplied, split), split, names, "supplied")
            continue
        keys = _keys(supplied, split)
        if supplied.kind == TRAIN:
            findings += _trained_on(supplied.label, keys, split)
        elif supplied.kind == NEGATIVES:
            findings += _negatives(supplied.label, keys, split)
        else:
            findings += _held_out_elsewhere(supplied, keys, split)
    return findings + _shared(files, split)


def _trained_on(label: str, keys: np.ndarray, split: Split) -> list[Finding]:
    """A file that is trained on, as edges, reviews or a training part."""
    findings = []
    for part, word, unit in held_out(split):
        held = target_keys(split, part)
        share = float(np.isin(held, keys).mean()) if len(held) else 0.0
        findings.append(
            Finding(
                f"{label}: {word} pairs in it",
                share,
                "leak" if share else "clean",
                f"whoever trains on this file (edges of a graph, reviews, a split) has seen them: a figure for these users "
                f"{'is memory' if part != 'valid' else 'was tuned on what it had learnt'}"
                if share
                else "it may be trained on",
                unit,
                POOLED,
                "supplied",
            )
        )
    return findings


def _negatives(label: str, keys: np.ndarray, split: Split) -> list[Finding]:
    """Items drawn as wrong answers, for 1-of-100 ranking."""
    held = target_keys(split, "test")
    share = float(np.isin(held, keys).mean())
    seen = float(np.isin(keys, training_keys(split)).mean()) if len(keys) else 0.0
    each = len(keys) / max(len(np.unique(keys // split.training.n_items)), 1)
    return [
        Finding(
            f"{label}: test items among their own negatives",
            share,
            "note" if share else "clean",
            f"about {each:.0f} negatives a user, {seen:.2%} of them bought in training: a metric among so few candidates is "
            "several times that of the full catalogue, and orders methods otherwise",
            OF_TEST,
            "full-catalogue ranking is the headline; negatives are drawn here, never the target or a seen item",
            "supplied",
        )
    ]


def _held_out_elsewhere(supplied: Supplied, keys: np.ndarray, split: Split) -> list[Finding]:
    """A held-out part of another split: what of it this split trains on."""
    share = float(np.isin(keys, training_keys(split)).mean()) if len(keys) else 0.0
    return [
        Finding(
            f"{supplied.label}: pairs that this split trains on",
            share,
            "note" if share else "clean",
            "the file's split is another than the one that is audited: its figures and those of this split are about other "
            "pairs, and a model of one must not be tested on the other",
            "share of its pairs",
            POOLED,
            "supplied",
        )
    ]


def _shared(files: Sequence[Supplied], split: Split) -> list[Finding]:
    """Pairs that stand in two parts of one file."""
    findings = []
    for file in dict.fromkeys(s.file for s in files):
        parts = [_keys(s, split) for s in files if s.file == file and s.kind in (TRAIN, VALID, TEST)]
        if len(parts) < 2:
            continue
        _, counts = np.unique(np.concatenate([np.unique(keys) for keys in parts]), return_counts=True)
        twice = int((counts > 1).sum())
        findings.append(
            Finding(
                f"{file}: pairs in two of its parts",
                float(twice),
                "leak" if twice else "clean",
                "what is in training and in test is remembered, not predicted",
                "pairs",
                POOLED,
                "supplied",
            )
        )
    return findings


def _keys(supplied: Supplied, split: Split) -> np.ndarray:
    """(n,) int64 distinct ``pair_keys`` of a file, pairs of users or items that the log does not have left out."""
    rows = supplied.frame.select(
        _rows(Columns.USER, split.row_of), _rows(Columns.ITEM, split.training.catalogue.row_of)
    )
    for column, known in ((Columns.USER, rows[Columns.USER]), (Columns.ITEM, rows[Columns.ITEM])):
        _demand_known(supplied, column, known)
    rows = rows.drop_nulls()
    return np.unique(pair_keys(rows[Columns.USER].to_numpy(), rows[Columns.ITEM].to_numpy(), split))


def _texts(supplied: Supplied, split: Split) -> dict[int, list[str]]:
    """User row -> texts."""
    rows = supplied.frame.select(_rows(Columns.USER, split.row_of), "text")
    _demand_known(supplied, Columns.USER, rows[Columns.USER])
    texts: dict[int, list[str]] = {}
    for user, text in rows.drop_nulls().iter_rows():
        texts.setdefault(user, []).append(text)
    return texts


def _rows(column: str, row_of: dict[str, int]) -> pl.Expr:
    """Int64 rows of ids, null where none is known; 100.0 is 100 where only that is known, as the log may have been read."""
    written, whole = pl.col(column), pl.col(column).str.replace(DECIMAL, "$1")
    found, read = (ids.replace_strict(row_of, default=None, return_dtype=pl.Int64) for ids in (written, whole))
    return found.fill_null(read).alias(column)


def _demand_known(supplied: Supplied, column: str, known: pl.Series) -> None:
    if len(known) and known.null_count() == len(known):
        example = supplied.frame[column][0]
        raise IsrfError(
            f"{supplied.file}: no {column} of it is in the log (it has {example!r}, for one); give a file with the ids of "
            "the log"
        )
