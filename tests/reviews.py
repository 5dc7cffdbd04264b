"""A small P5 folder with review explanations: a log, its catalogue, and what each person said about each item."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from tests.commands import PER_WORLD, WORLDS, small_log

CATALOGUE = [f"{world}-{n}" for world in WORLDS for n in range(PER_WORLD)]
PRAISE = ("great", "lovely", "sturdy", "cheap", "soft", "bright")

TAUGHT = ("training.explanation_epochs=0", "training.sr_per_explanation=1")
"""Settings that leave out the last passes, for tests that do not look at what is written."""

Sentence = Callable[[str, str], tuple[str, str]]
"""User and item -> sentence and feature."""


def praise(user: str, item: str) -> tuple[str, str]:
    """What everybody says about an item: all of it can be told from the item, none from who asks."""
    world, number = item.split("-")
    when = "long" if int(number) % 2 else "short"
    return f"{PRAISE[int(number) % len(PRAISE)]} {world} for {when} evenings", world


def write_reviews(folder: Path, log: dict[str, list[str]] | None = None, sentence: Sentence = praise) -> str:
    """The source as ``--data`` takes it. Integer ids do not depend on who has what; the file's own split is random."""
    log = small_log() if log is None else log
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {item: at for at, item in enumerate(CATALOGUE, 1)}
    users = {user: at for at, user in enumerate(log, 1)}
    lines = [" ".join(map(str, [users[user], *(numbers[i] for i in items)])) for user, items in log.items()]
    (folder / "sequential.txt").write_text("\n".join(lines) + "\n")
    maps = {
        "id2user": {str(n): user for user, n in users.items()},
        "id2item": {str(n): item for item, n in numbers.items()},
    }
    (folder / "datamaps.json").write_text(json.dumps(maps))
    rows = [f"{item},{item.replace('-', ' number ')},{item.split('-')[0]} house" for item in CATALOGUE]
    (folder / "items.csv").write_text("\n".join(["item_id,title,brand", *rows]) + "\n")
    records = []
    for user, items in log.items():
        for item in items:
            said, feature = sentence(user, item)
            records.append({"user": users[user], "item": numbers[item], "explanation": said, "feature": feature})
    write_records(folder, records)
    return f"p5:{folder}"


def write_records(folder: Path, records: list[dict]) -> None:
    """``explanation.json`` with the records under "train", "val" and "test", by chance."""
    shuffled = random.Random(3).sample(records, len(records))
    cut = len(records) * 8 // 10
    parts = {"train": shuffled[:cut], "val": shuffled[cut : cut + 20], "test": shuffled[cut + 20 :]}
    (folder / "explanation.json").write_text(json.dumps(parts))
