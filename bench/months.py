"""A year of a log in monthly updates: what lists are worth in the next month, with updates alone, with retraining, and frozen.

    python bench/months.py SRC --out FOLDER [--months 12] [--first 0.4] [--set room.name=value ...]

The first share of the log's time is where a workspace begins (`isrf run`); what follows is cut into months of equal length. At
the end of each month the workspace is updated with its rows, and with the items that were first met in it. Before each month all
three are asked: *frozen* (never updated), *updates* (`isrf update`), *retraining* (`isrf update --retrain`). The protocol is
temporal: of everybody with an event in the month and something known before, the first event of the month is the target,
everything before the month is known to whoever is asked, and all items of the catalogue are candidates but those that the person
has had. A target that is not in a workspace's catalogue counts as not found: in the frozen one, everything that came since.
Prints a table and writes it, with a chart, into FOLDER. What is finished in FOLDER is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import isrf
from isrf.core.atomic_files import write_atomic
from isrf.core.config import load_settings
from isrf.core.progress import note
from isrf.data.dataset import Columns, Dataset
from isrf.data.histories import Histories
from isrf.data.queries import Queries
from isrf.data.readers.registry import read_dataset
from isrf.evaluation.metrics import full_ranks
from isrf.report.chart_process import missing
from isrf.report.charts import write
from isrf.workspace.workspace import Workspace

REGIMES = ("frozen", "updates", "retraining")
BLOCK = 256
"""People scored at once."""


def borders(times: pl.Series, first: float, months: int) -> list[int]:
    """Begin of each month, ms, and the end of the last."""
    start, end = int(times.min()), int(times.max())  # type: ignore[arg-type]
    begin = start + int(first * (end - start))
    return [int(at) for at in np.linspace(begin, end + 1, months + 1)]


def write_part(dataset: Dataset, start: int | None, end: int, folder: Path) -> tuple[Path, Path]:
    """The log from ``start`` until ``end``, and the items that are first met then, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    log = dataset.interactions.sort(Columns.TIME, Columns.ORDER)
    part = log.filter((pl.col(Columns.TIME) >= (start or 0)) & (pl.col(Columns.TIME) < end))
    earlier = log.filter(pl.col(Columns.TIME) < (start or 0))[Columns.ITEM].unique()
    met = part[Columns.ITEM].unique().to_list()
    items = dataset.catalogue.filter(pl.col(Columns.ITEM).is_in(met) & ~pl.col(Columns.ITEM).is_in(earlier.implode()))
    paths = folder / "log.csv", folder / "items.csv"
    part.select(Columns.USER, Columns.ITEM, Columns.TIME).write_csv(paths[0])
    items.write_csv(paths[1])
    return paths


def asked(dataset: Dataset, start: int, end: int) -> list[tuple[str, list[str], str]]:
    """(user, items known before, target) of everybody who is asked about in a month."""
    log = dataset.interactions
    before = log.filter(pl.col(Columns.TIME) < start)
    known: dict[str, list[str]] = {}
    for user, item in before.select(Columns.USER, Columns.ITEM).iter_rows():
        known.setdefault(user, []).append(item)
    month = log.filter((pl.col(Columns.TIME) >= start) & (pl.col(Columns.TIME) < end))
    first = month.unique(Columns.USER, keep="first", maintain_order=True)
    return [
        (user, known[user], item)
        for user, item in first.select(Columns.USER, Columns.ITEM).iter_rows()
        if user in known
    ]


def found(workspace: Path, people: list[tuple[str, list[str], str]]) -> dict[str, float]:
    """Mean NDCG@10 of a workspace, and the share of targets that it has not in its catalogue."""
    opened = isrf.open(workspace).opened
    training, ranker = opened.split.training, opened.ranker
    row_of = training.catalogue.row_of
    gains = np.zeros(len(people))
    usable = [n for n, (_, known, target) in enumerate(people) if target in row_of and any(i in row_of for i in known)]
    for start in range(0, len(usable), BLOCK):
        chosen = [people[n] for n in usable[start : start + BLOCK]]
        histories = Histories.of([[row_of[i] for i in known if i in row_of] for _, known, _ in chosen])
        users = np.array([training.row_of.get(user, -1) for user, _, _ in chosen], dtype=np.int64)
        scores = ranker.score(Queries(users, histories, "sequential"))
        targets = np.array([row_of[target] for _, _, target in chosen], dtype=np.int64)
        ranks = full_ranks(scores, targets, histories)
        gains[usable[start : start + BLOCK]] = np.where(ranks < 10, 1 / np.log2(ranks + 2.0), 0.0)
    absent = sum(target not in row_of for _, _, target in people)
    return {"NDCG@10": float(gains.mean()) if len(people) else 0.0, "absent": absent / max(len(people), 1)}


def year(dataset: Dataset, out: Path, cuts: list[int], sets: dict[str, Any], train: bool) -> list[dict[str, Any]]:
    """A row a month: people, and what each regime reaches; finished months are read from FOLDER."""
    results = out / "months.json"
    rows: list[dict[str, Any]] = json.loads(results.read_text()) if results.exists() else []
    log, items = write_part(dataset, None, cuts[0], out / "months" / "00")
    regimes = REGIMES if train else REGIMES[:2]
    for regime in regimes:
        if not (out / regime / "current.json").exists():
            isrf.run(log, items=items, out=out / regime, settings=sets, train=train)
    for month in range(len(cuts) - 1):
        start, end = cuts[month], cuts[month + 1]
        if month == len(rows):
            people = asked(dataset, start, end)
            row: dict[str, Any] = {"month": month + 1, "people": len(people)}
            for regime in regimes:
                row |= {f"{regime} {name}": value for name, value in found(out / regime, people).items()}
            rows.append(row)
            write_atomic(results, json.dumps(rows, indent=1))
            note(
                " ".join(
                    f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
                    for name, value in row.items()
                )
            )
        if month == len(cuts) - 2 or month < len(rows) - 1:
            continue
        log, items = write_part(dataset, start, end, out / "months" / f"{month + 1:02}")
        new_items = items if pl.read_csv(items).height else None
        for regime in regimes[1:]:  # files that were added before are known by their digest
            isrf.update(out / regime, log, items=new_items, retrain=regime == "retraining")
    return rows


def table_of(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown, the mean of the months last."""
    regimes = [name for name in REGIMES if f"{name} NDCG@10" in rows[0]]
    lines = [
        f"| month | people | {' | '.join(regimes)} | targets unknown to the frozen one |",
        f"|--:|--:|{'--:|' * (len(regimes) + 1)}",
    ]
    for row in rows:
        figures = " | ".join(f"{row[f'{name} NDCG@10']:.4f}" for name in regimes)
        lines.append(f"| {row['month']} | {row['people']:,} | {figures} | {row['frozen absent']:.1%} |")
    means = " | ".join(f"{np.mean([row[f'{name} NDCG@10'] for row in rows]):.4f}" for name in regimes)
    lines.append(f"| mean | | {means} | {np.mean([row['frozen absent'] for row in rows]):.1%} |")
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """NDCG@10 over the months, a line each."""
    import altair as alt

    values = [
        {"month": row["month"], "NDCG@10": row[f"{name} NDCG@10"], "what": name}
        for row in rows
        for name in REGIMES
        if f"{name} NDCG@10" in row
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("month:O", title="month"),
        y=alt.Y("NDCG@10:Q", title="NDCG@10 of the month's first events"),
        color=alt.Color(
            "what:N", title="", scale=alt.Scale(domain=list(REGIMES), range=["#767676", "#0b6bcb", "#d9480f"])
        ),
    )
    write(alt.layer(base.mark_line(), base.mark_point(filled=True, size=50)).properties(width=420, height=260), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--first", type=float, default=0.4, help="share of the time that the workspace begins with")
    parser.add_argument("--set", action="append", default=[], metavar="ROOM.NAME=VALUE")
    parser.add_argument("--no-train", action="store_true", help="the interest graphs alone, without retraining")
    chosen = parser.parse_args()
    settings = load_settings(overrides=chosen.set)
    dataset = read_dataset(chosen.source, None, settings.data)
    if dataset.interactions[Columns.TIME].null_count():
        raise SystemExit(f"{chosen.source}: months need times")
    cuts = borders(dataset.interactions[Columns.TIME], chosen.first, chosen.months)
    sets = dict(one.split("=", 1) for one in chosen.set if not one.startswith("data."))
    sets |= {"data.time_format": "milliseconds"}
    chosen.out.mkdir(parents=True, exist_ok=True)
    rows = year(dataset, chosen.out, cuts, sets, not chosen.no_train)
    told = table_of(rows)
    print(told)
    write_atomic(chosen.out / "months.md", told + "\n")
    if why := missing():
        note(f"no chart: {why}")
    else:
        draw(rows, chosen.out / "months.svg")
    for regime in REGIMES[1:]:
        if (chosen.out / regime).is_dir():
            note(f"{regime}: at version {Workspace(chosen.out / regime).version}")


if __name__ == "__main__":
    main()
