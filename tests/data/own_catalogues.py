"""Catalogues of an own shop in the formats that have columns, each with a small log."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from isrf.core.config import DataSettings
from isrf.data.readers.registry import read_dataset


def write(folder: Path, kind: str, items: list[dict[str, Any]], id_field: str = "item_id") -> tuple[str, Path]:
    """A log of one purchase an item and the catalogue; its path as the source, and that of the catalogue."""
    with (folder / "log.csv").open("w", newline="") as out:
        log = csv.writer(out)
        log.writerow(["user_id", "item_id", "timestamp"])
        log.writerows([f"u{n}", str(item[id_field]), 1_500_000_000 + n] for n, item in enumerate(items))
    file = folder / f"items.{kind}"
    if kind == "csv":
        with file.open("w", newline="") as out:
            table = csv.DictWriter(out, list(items[0]))
            table.writeheader()
            table.writerows(items)
    elif kind == "json":
        file.write_text(json.dumps(items, indent=1))
    else:
        file.write_text("".join(json.dumps(item) + "\n" for item in items))
    return str(folder / "log.csv"), file


def texts(folder: Path, items: list[dict[str, Any]], kind: str = "jsonl", **settings: Any) -> dict[str, list[str]]:
    """Column -> its values, of a catalogue as it is read."""
    dataset = read_dataset(*write(folder, kind, items), DataSettings(min_interactions=0, **settings))
    return dataset.catalogue.drop("item_id").to_dict(as_series=False)
