"""Review explanations as an import writes them, by part of the split. Loads nothing that trains or explains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isrf.core.progress import note
from isrf.data.dataset import Dataset
from isrf.data.reviews import by_part, save_explanations
from isrf.data.splits.split import Split

MET = "explanations by part"
"""Note of the dataset stage: how many explanations belong to each part of the split."""


def save_parts(dataset: Dataset, split: Split, folder: Path, notes: dict[str, Any]) -> dict[str, int]:
    """Write the explanations of each part of the split, if the source has any; returns counts for people."""
    if dataset.explanations is None:
        return {}
    parts = by_part(dataset.explanations, split)
    save_explanations(parts, folder)
    counts = {part: frame.height for part, frame in parts.items()}
    notes[MET] = counts
    note(
        f"explanations: {counts['train']:,} of training interactions, {counts['valid']:,} of validation items, "
        f"{counts['test']:,} of test items"
    )
    return {f"explanations of {name} pairs": count for name, count in counts.items()}
