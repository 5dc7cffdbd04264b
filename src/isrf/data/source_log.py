"""A workspace's log and catalogue as they were read, kept so that an update can clean them anew with what is new.

Most of it is in the files of the split: what cleaning left as it was is not kept twice. Knows nothing about updates.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from isrf.core.documents import read_json
from isrf.core.errors import IsrfError
from isrf.core.shell import command_line
from isrf.core.tables import read_table, write_table
from isrf.data.dataset import Columns, Dataset, TypedColumns
from isrf.data.describe import COLUMN_FOR_FILTERS, COLUMN_LEFT_OUT
from isrf.data.item_columns import load_typed_columns
from isrf.data.readers.catalogue_texts import CLEANED
from isrf.data.readers.ratings import COUNTED
from isrf.data.readers.raw import ROW, RawCatalogue, RawData, Table
from isrf.data.storage import read_typed_columns
from isrf.workspace.layout import (
    ABOUT_DATASET_FILE,
    DROPPED_COLUMNS_FILE,
    DROPPED_ITEMS_FILE,
    INTERACTIONS_FILE,
    ITEMS_FILE,
    SOURCE_LOG_FILE,
    SOURCE_ORDER_FILE,
)
from isrf.workspace.workspace import Workspace

LOG_COLUMNS = (Columns.USER, Columns.ITEM, Columns.TIME, Columns.ORDER)
KEPT_WHOLE = "log"
"""Key of ABOUT_DATASET_FILE: the dataset has the whole log (SOURCE_LOG_FILE, or INTERACTIONS_FILE where that is all of it)."""


def save_source(raw: RawData, dataset: Dataset, folder: Path) -> None:
    """Write what the files of the split do not say of a source: rows and items that cleaning dropped, merged or weighed."""
    signals = (Columns.WEIGHT, Columns.DISLIKED, Columns.PART)
    plain = Columns.WEIGHT not in dataset.interactions.columns and not set(signals) & set(raw.log.columns)
    if raw.log.height != dataset.interactions.height or not plain:
        write_table(raw.log, folder / SOURCE_LOG_FILE)
    if raw.catalogue is None:
        return
    kept = dataset.catalogue.select(Columns.ITEM)
    first = raw.catalogue.table.frame.unique(Columns.ITEM, keep="first", maintain_order=True)
    dropped = first.join(kept, on=Columns.ITEM, how="anti", maintain_order="left")
    if dropped.height:
        write_table(dropped.drop(ROW), folder / DROPPED_ITEMS_FILE)
        rows = dropped.select(Columns.ITEM, ROW)
        if raw.catalogue.columns is not None:
            rows = rows.join(raw.catalogue.columns, on=ROW, how="left", maintain_order="left")
        write_table(rows.drop(ROW), folder / DROPPED_COLUMNS_FILE, raw.catalogue.sources)


def read_source_log(workspace: Workspace) -> RawData:
    """The log and catalogue that a workspace was made from, with every row that could be read.

    Rows of the catalogue have negative numbers (ROW), as no file has.

    Raises:
        IsrfError: an older isrf made the workspace, and cleaning dropped some of it.
    """
    stage = workspace.stage("dataset")
    about = read_json(stage.file(ABOUT_DATASET_FILE))
    counts: dict[str, int] = about["counts"]
    if KEPT_WHOLE not in about:
        again = command_line("isrf", "run", "--data", "SRC", "--out", workspace.root)
        raise IsrfError(
            f"{workspace.root}: an older isrf imported its log, and did not keep what cleaning dropped: import it again with "
            f"`{again}`, which keeps every stage that does not change, and then update"
        )
    if stage.has(SOURCE_LOG_FILE):
        log = read_table(stage.file(SOURCE_LOG_FILE))
    else:
        log = read_table(stage.file(INTERACTIONS_FILE)).select(LOG_COLUMNS)
    order = read_table(stage.file(SOURCE_ORDER_FILE))[Columns.ITEM].to_list() if stage.has(SOURCE_ORDER_FILE) else None
    read = {name: count for name, count in counts.items() if name.startswith(COUNTED)}
    return RawData(
        about["name"],
        workspace.root,
        log,
        counts["rows read"],
        _catalogue(workspace, log, counts),
        order,
        counts=read,
        id_types=about.get("id_types", {}),
    )


def _catalogue(workspace: Workspace, log: pl.DataFrame, counts: dict[str, int]) -> RawCatalogue | None:
    """The catalogue; None where the workspace has none, and its items have no texts."""
    stage = workspace.stage("dataset")
    if not counts.get("catalogue rows read"):
        return None
    texts, typed = read_table(stage.file(ITEMS_FILE)), read_typed_columns(workspace)
    typed = TypedColumns(texts.select(Columns.ITEM)) if typed is None else typed
    # an item of the log that stands in no catalogue has a row without anything
    said = pl.any_horizontal(pl.exclude(Columns.ITEM) != "")
    values = [c for c in typed.table.columns if c != Columns.ITEM]
    some = texts.select(said.alias("said"))["said"]
    if values:
        some |= (
            pl.DataFrame([typed.table[c].is_not_null() for c in values]).select(pl.any_horizontal(pl.all())).to_series()
        )
    there = some | ~texts[Columns.ITEM].is_in(log[Columns.ITEM].unique().implode())
    columns = typed.table.filter(there)
    texts = texts.filter(there)
    if stage.has(DROPPED_ITEMS_FILE):
        dropped = load_typed_columns(stage.file(DROPPED_COLUMNS_FILE))
        texts = pl.concat([texts, read_table(stage.file(DROPPED_ITEMS_FILE)).select(texts.columns)])
        columns = pl.concat([columns, dropped.table.select(columns.columns)])
    rows = pl.Series(ROW, range(-texts.height, 0), dtype=pl.Int64)
    left_out, for_filters = (
        {n.removeprefix(prefix).removesuffix(", rows"): count for n, count in counts.items() if n.startswith(prefix)}
        for prefix in (COLUMN_LEFT_OUT, COLUMN_FOR_FILTERS)
    )
    return RawCatalogue(
        Table(workspace.root, texts.with_columns(rows)),
        texts.height,
        left_out,
        counts={name: count for name, count in counts.items() if name.startswith(CLEANED)},
        columns=columns.drop(Columns.ITEM).with_columns(rows),
        sources=typed.sources,
        for_filters=for_filters,
    )
