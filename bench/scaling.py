"""Write docs/scaling.md: seconds and memory of every stage, and how they grow when users, items or histories double.

    python bench/scaling.py p5:DATA/amazon-beauty-2014 --out RUNS

Three sizes an axis, made from one log by a seed, the smaller within the larger:

- users: a random 25, 50 and 100% of the users, with the whole catalogue;
- items: every history restricted to a random 25, 50 and 100% of the items; users with fewer than five left are dropped,
  so users become fewer too;
- lengths: the most recent 5, 10 and 20 interactions of the users who have at least 20, with the whole catalogue.

Every stage of ``isrf run`` runs in a process of its own, so that its peak memory is its own; training is two epochs. What
is finished in RUNS is kept, so a stopped run goes on, and the page can be written again in seconds.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from isrf.config import Settings
from isrf.data.dataset import Columns, Dataset
from isrf.data.source import read_dataset
from isrf.doctor import memory
from isrf.progress import note
from isrf.workspace import STAGES, Workspace

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"
SHARES, LENGTHS, LEAST = (0.25, 0.5, 1.0), (5, 10, 20), 5
EPOCHS = 2
WHOLE = "whole"
MEASURABLE_S = 0.2
"""A stage that takes less on the smallest size has no growth factor: it is all fixed cost and noise."""

COMMANDS = (
    ("data", "import", "{source}", "--items", "{items}", "--out", "{ws}", "--set", "data.min_interactions=0"),
    ("reason", "{ws}"),
    ("embed", "{ws}"),
    ("graph", "{ws}"),
    ("train", "{ws}", "--set", f"training.epochs={EPOCHS}"),
    ("evaluate", "{ws}"),
)
"""The stages of ``isrf run``; ``graph`` makes two of them."""


@dataclass(frozen=True)
class Size:
    """One log of an axis.

    Attributes:
        name: of its folder.
        log: USER and ITEM, a user's rows oldest first.
        catalogue: of the items that may be recommended.
    """

    name: str
    log: pl.DataFrame
    catalogue: pl.DataFrame

    @property
    def users(self) -> int:
        return self.log[Columns.USER].n_unique()

    @property
    def length(self) -> float:
        """Mean interactions of a user."""
        return self.log.height / self.users


def shuffled(ids: Sequence[str], seed: int) -> list[str]:
    """The distinct ids in an order that only the seed decides."""
    distinct = sorted(set(ids))
    return [distinct[n] for n in np.random.default_rng(seed).permutation(len(distinct))]


def sizes_of(dataset: Dataset, seed: int) -> dict[str, list[Size]]:
    """Axis -> its three sizes, smallest first; the largest of "users" and "items" is the whole log."""
    log, catalogue = dataset.interactions.select(Columns.USER, Columns.ITEM), dataset.catalogue
    whole = Size(WHOLE, log, catalogue)
    users, items = shuffled(log[Columns.USER].to_list(), seed), shuffled(catalogue[Columns.ITEM].to_list(), seed)
    found: dict[str, list[Size]] = {"users": [], "items": [], "lengths": []}
    for share in SHARES[:-1]:
        chosen = users[: max(round(share * len(users)), 1)]
        part = log.filter(pl.col(Columns.USER).is_in(chosen))
        found["users"].append(Size(f"users-{share:.0%}".rstrip("%"), part, catalogue))
        chosen = items[: max(round(share * len(items)), 1)]
        part = log.filter(pl.col(Columns.ITEM).is_in(chosen)).filter(pl.len().over(Columns.USER) >= LEAST)
        kept = catalogue.filter(pl.col(Columns.ITEM).is_in(chosen))
        found["items"].append(Size(f"items-{share:.0%}".rstrip("%"), part, kept))
    found["users"].append(whole)
    found["items"].append(whole)
    long = log.filter(pl.len().over(Columns.USER) >= LENGTHS[-1])
    for length in LENGTHS:
        newest = long.group_by(Columns.USER, maintain_order=True).tail(length)
        found["lengths"].append(Size(f"lengths-{length}", newest, catalogue))
    return found


def run(size: Size, out: Path) -> Workspace:
    """Every stage of one size in processes of their own; finished ones are kept.

    Raises:
        SystemExit: a stage failed; its own words stand above.
    """
    if not size.log.height:
        raise SystemExit(f"{size.name}: no user is left; take a larger log")
    folder = out / size.name
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"source": f"parquet:{folder / 'log.parquet'}", "items": folder / "items.parquet", "ws": folder / "ws"}
    if not (folder / "items.parquet").exists():
        size.log.with_row_index("position").write_parquet(folder / "log.parquet")
        size.catalogue.write_parquet(folder / "items.parquet")
    for command in COMMANDS:
        words = [word.format(**paths) for word in command]
        note(f"{size.name}: isrf {' '.join(words)}")
        if subprocess.run(
            [sys.executable, "-m", "isrf.cli", *words], stdout=subprocess.DEVNULL, check=False
        ).returncode:
            raise SystemExit(f"{size.name}: isrf {words[0]} failed; mend what it says and run the same command again")
    return Workspace.existing(folder / "ws")


def doubled(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """By what a value is multiplied when the size doubles, between the smallest and the largest size.

    >>> doubled([100, 200, 400], [1.0, 2.0, 4.0])
    2.0
    >>> doubled([100, 400], [3.0, 3.0])
    1.0

    None where sizes or values are too small to tell.
    """
    if min(values) <= 0 or sizes[-1] <= sizes[0]:
        return None
    return float(2 ** (math.log(values[-1] / values[0]) / math.log(sizes[-1] / sizes[0])))


def measure(axis: str, size: Size) -> float:
    """How large a size is along its axis."""
    return {"users": size.users, "items": size.catalogue.height, "lengths": size.length}[axis]


def table(axis: str, sizes: Sequence[Size], workspaces: Sequence[Workspace]) -> str:
    """One axis as Markdown."""
    along = [measure(axis, size) for size in sizes]
    numbers = [f"{value:,.0f}" for value in along]
    lines = [
        f"## {axis}",
        "",
        "| | " + " | ".join(numbers) + " |",
        "|---|" + "--:|" * len(sizes),
        "| users | " + " | ".join(f"{size.users:,}" for size in sizes) + " |",
        "| items | " + " | ".join(f"{size.catalogue.height:,}" for size in sizes) + " |",
        "| interactions | " + " | ".join(f"{size.log.height:,}" for size in sizes) + " |",
        "| mean history | " + " | ".join(f"{size.length:.1f}" for size in sizes) + " |",
        "",
        f"| stage | {' | '.join(f'seconds at {n}' for n in numbers)} | times a doubling | "
        f"{' | '.join(f'MB at {n}' for n in numbers)} | times a doubling |",
        "|---|" + "--:|" * (2 * len(sizes) + 2),
    ]
    total = np.zeros(len(sizes))
    for stage in STAGES:
        infos = [workspace.stage(stage).require() for workspace in workspaces]
        seconds, peaks = [i["seconds"] for i in infos], [i["peak_memory_mb"] for i in infos]
        total += seconds
        lines.append(_row(stage, along, seconds, peaks))
    lines.append(_row("all", along, total.tolist(), None))
    return "\n".join([*lines, ""])


def _row(name: str, along: Sequence[float], seconds: Sequence[float], peaks: Sequence[float] | None) -> str:
    growth = doubled(along, seconds) if seconds[0] >= MEASURABLE_S else None
    cells = [name, *(f"{s:,.1f}" for s in seconds), "-" if growth is None else f"{growth:.2f}"]
    if peaks is None:
        cells += ["-"] * (len(seconds) + 1)
    else:
        growth = doubled(along, peaks)
        cells += [*(f"{p:,}" for p in peaks), "-" if growth is None else f"{growth:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SRC", help="a log with its catalogue, as `isrf run --data` takes it")
    parser.add_argument("--out", type=Path, required=True, metavar="RUNS", help="folder of the logs and workspaces")
    parser.add_argument("--seed", type=int, default=0, help="of the users and items that are drawn")
    parser.add_argument("--only", metavar="NAME", help="run this size alone, e.g. users-25, and write no page")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that is written")
    asked = parser.parse_args()
    dataset = read_dataset(asked.source, None, Settings().data)
    axes = sizes_of(dataset, asked.seed)
    by_name = {size.name: size for sizes in axes.values() for size in sizes}
    if asked.only:
        if asked.only not in by_name:
            parser.error(f"--only {asked.only}: there are {', '.join(by_name)}")
        run(by_name[asked.only], asked.out)
        return
    made = {name: run(size, asked.out) for name, size in by_name.items()}
    versions = made[WHOLE].stage("model").require()["versions"]
    head = HEAD.format(
        name=dataset.name,
        machine=f"{os.cpu_count()} cores, {memory()}, {platform.machine()}, OMP_NUM_THREADS "
        f"{os.environ.get('OMP_NUM_THREADS', 'not set')}",
        versions=", ".join(f"{package} {version}" for package, version in versions.items()),
        epochs=EPOCHS,
        least=LEAST,
        longest=LENGTHS[-1],
    )
    sections = [table(axis, sizes, [made[size.name] for size in sizes]) for axis, sizes in axes.items()]
    asked.page.write_text("\n".join([head, *sections]), encoding="utf-8")
    print("\n".join(sections))
    print(f"written: {asked.page}")


HEAD = """# How time and memory grow

Written by `python bench/scaling.py SRC --out RUNS` from {name}. Every stage of `isrf run` with default settings, each in
a process of its own; the seconds of `model` are for {epochs} epochs and for fitting the weights of fusion, so they say how
training grows and not how long it takes. Seconds leave out the start of the process; memory is the peak of the whole
process, its libraries included. "Times a doubling" is the factor between the smallest and the largest size, taken to the
power that one doubling makes: 2 is linear, 4 quadratic, 1 does not grow.

Along *users* and *lengths* the catalogue stays whole. Along *items* histories are restricted to the items drawn and users
with fewer than {least} left are dropped, so users become fewer as well. Along *lengths* the users are those with at
least {longest} interactions, and each keeps the most recent ones.

Machine: {machine}, no accelerator. Versions: {versions}.
"""

if __name__ == "__main__":
    main()
