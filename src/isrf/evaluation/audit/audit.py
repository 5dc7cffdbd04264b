"""The audit of a log and its split: what a published number on them may owe to leaks, counting and accidents.

The front door of what ``audit_order``, ``audit_counting``, ``audit_ties``, ``audit_overlap`` and ``audit_naming`` measure;
``audit_rebuilt`` looks at what a workspace made. Knows nothing about files or trained models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from isrf.core.config import EvaluationSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.readers.companion_files import Supplied
from isrf.data.splits.split import TO_HOLD_OUT, Split
from isrf.evaluation.audit.counts import dropped_repeats, kept_repeats, repeat_finding, split_findings, yardsticks
from isrf.evaluation.audit.findings import Finding
from isrf.evaluation.audit.id_order import numbering_findings
from isrf.evaluation.audit.item_names import Names, catalogue_findings
from isrf.evaluation.audit.overlap import supplied_findings
from isrf.evaluation.audit.time_ties import tie_findings


def audit_dataset(
    dataset: Dataset,
    split: Split,
    settings: EvaluationSettings | None = None,
    log: pl.DataFrame | None = None,
    supplied: Sequence[Supplied] = (),
    numbers: np.ndarray | None = None,
) -> list[Finding]:
    """Everything that can be said of a log, its split and the files that came with it.

    Args:
        dataset: that ``split`` was made from.
        split: what is trained on and what is held out.
        settings: bootstrap samples and seed; None = defaults.
        log: the log before cleaning (USER, ITEM, TIME, ORDER, and PART where the dataset has it), where it is at hand:
            tells of repeats.
        supplied: files beside the log, in its ids.
        numbers: (I,) int64 permutation that a workspace's identifiers are written with; None = the item rows.

    Returns:
        Findings, yardsticks first.

    Raises:
        IsrfError: nobody has a test item; a supplied file shares no id with the log.
    """
    if not len(split.users("test")):
        raise IsrfError(f"{dataset.name}: nothing is held out: {TO_HOLD_OUT}; audit a log with longer histories")
    settings = settings or EvaluationSettings()
    measures = yardsticks(split)
    popularity = next(f.value for f in measures if f.name == "popularity")
    assert popularity is not None
    names = Names.of(split.training.catalogue)
    repeats = dataset.repeated
    return [
        *measures,
        *numbering_findings(dataset, split, settings, popularity, numbers),
        *split_findings(split, dataset if repeats else None),
        kept_repeats(split)
        if repeats
        else dropped_repeats(dataset)
        if log is None or (Columns.PART in dataset.interactions.columns and Columns.PART not in log.columns)
        else repeat_finding(log, dataset, split),
        *tie_findings(dataset, split),
        *catalogue_findings(split, names),
        *supplied_findings(supplied, split, names),
    ]
