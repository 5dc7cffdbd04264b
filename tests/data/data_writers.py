"""Writes one small log in every format that isrf reads: (user, item, seconds) rows and (item, title, keywords) rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import polars as pl

Log = list[tuple[str, str, int]]
Items = list[tuple[str, str, str]]


def write_csv(folder: Path, log: Log, items: Items) -> str:
    write_rows(folder / "log.csv", ["user_id", "item_id", "timestamp"], log)
    write_rows(folder / "items.csv", ["item_id", "title", "keywords"], items)
    return f"csv:{folder}"


def write_parquet(folder: Path, log: Log, items: Items) -> str:
    """Times as Parquet datetimes and keywords as Parquet lists: other types, the same content."""
    users, bought, seconds = ([row[i] for row in log] for i in range(3))
    frame = pl.DataFrame({"user": users, "item": bought, "time": [s * 1000 for s in seconds]})
    frame.with_columns(pl.col("time").cast(pl.Datetime("ms"))).write_parquet(folder / "log.parquet")
    lists = {
        "item": [i for i, _, _ in items],
        "title": [t for _, t, _ in items],
        "keywords": [k.split("|") if k else [] for _, _, k in items],
    }
    schema = {"item": pl.String, "title": pl.String, "keywords": pl.List(pl.String)}
    pl.DataFrame(lists, schema=schema).write_parquet(folder / "items.parquet")
    return f"parquet:{folder}"


def write_recbole(folder: Path, log: Log, items: Items) -> str:
    name = folder.name
    lines = ["user_id:token\titem_id:token\ttimestamp:float", *(f"{u}\t{i}\t{float(t)}" for u, i, t in log)]
    (folder / f"{name}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["item_id:token\ttitle:token_seq\tkeywords:token_seq"]
    lines += [f"{i}\t{t}\t{k.replace('|', ' ')}" for i, t, k in items]
    (folder / f"{name}.item").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"recbole:{folder}"


def write_p5(folder: Path, log: Log, items: Items) -> str:
    """Integer ids from 1 in order of first appearance, as the published files have them."""
    users: dict[str, int] = {}
    numbers: dict[str, int] = {}
    sequences: dict[str, list[int]] = {}
    for user, item, _ in sorted(log, key=lambda row: row[2]):
        users.setdefault(user, len(users) + 1)
        sequences.setdefault(user, []).append(numbers.setdefault(item, len(numbers) + 1))
    lines = [" ".join(map(str, [users[u], *s])) for u, s in sequences.items()]
    (folder / "sequential.txt").write_text("\n".join(lines) + "\n")
    maps = {"id2user": {str(n): u for u, n in users.items()}, "id2item": {str(n): i for i, n in numbers.items()}}
    (folder / "datamaps.json").write_text(json.dumps(maps))
    write_rows(folder / "items.csv", ["item_id", "title", "keywords"], items)
    return f"p5:{folder}"


def write_rows(file: Path, header: list[str], rows: list[tuple]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([header, *rows])
