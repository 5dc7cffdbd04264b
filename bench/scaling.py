"""Write docs/scaling.md: seconds and memory of every stage, and how they grow when users, items or histories double.

    python bench/scaling.py p5:DATA/amazon-beauty-2014 --out RUNS [--of 1] [--axes users,items,lengths]

Three sizes an axis, made from one log by a seed, the smaller within the larger. The largest of users and of items is the
log itself where ``--of 1`` says so; by default it is the log restricted to a random half of its items, without the users
who have fewer than five of them left, so that all sizes together take about twelve minutes on two cores with Amazon
Beauty where a core has bfloat16, and twenty-two without it.

- users: a random 25, 50 and 100% of the users, with all items;
- items: every history restricted to a random 25, 50 and 100% of the items; users with fewer than five left are dropped,
  so users become fewer too;
- lengths: the most recent 4, 8 and 16 interactions of the users who have at least 16, with the items that they had.

Every stage of ``isrf run`` runs in a process of its own, so that its peak memory is its own. What is finished in RUNS is
kept, so a stopped run goes on, and the page can be written again in seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from isrf.core.config import DataSettings, Settings
from isrf.core.progress import note
from isrf.data.dataset import Columns, Dataset
from isrf.data.readers.registry import read_dataset
from isrf.pipeline.machine_checks import memory
from isrf.workspace.layout import STAGES, TRAINING_LOG_FILE
from isrf.workspace.stage import write_atomic
from isrf.workspace.workspace import Workspace

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"
AXES = ("users", "items", "lengths")
SHARES, LENGTHS, LEAST = (0.25, 0.5, 1.0), (4, 8, 16), 5
OF = 0.5
WHOLE = "whole"
MEASURABLE_S = 0.2
"""A stage that takes less on the smallest size has no growth factor: it is all fixed cost and noise."""

MADE_OF = "made_of.json"
"""What the logs in RUNS were made of: others are not mixed with them."""

COMMANDS = (
    ("data", "import", "{source}", "--items", "{items}", "--out", "{ws}"),
    ("reason", "{ws}"),
    ("embed", "{ws}"),
    ("graph", "{ws}"),
    ("train", "{ws}"),
    ("evaluate", "{ws}"),
)
"""The stages of ``isrf run``; ``graph`` makes two of them. The first one leaves its settings to the others."""

IMPORTED_ONCE = (
    "isrf.cli.main",
    "isrf.pipeline.run",
    "isrf.cli.printing.results",
    "sentence_transformers",
    "transformers.models.bert.modeling_bert",
    "transformers.models.t5.modeling_t5",
)
"""Each process is forked from one that has these already: their import is no part of how a stage grows."""


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


def of_items(size: Size, share: float, order: Sequence[str], name: str) -> Size:
    """A size restricted to the first items of an order; users who have fewer than LEAST of them left are dropped."""
    if share == 1:
        return Size(name, size.log, size.catalogue)
    chosen = order[: max(round(share * len(order)), 1)]
    log = size.log.filter(pl.col(Columns.ITEM).is_in(chosen)).filter(pl.len().over(Columns.USER) >= LEAST)
    return Size(name, log, size.catalogue.filter(pl.col(Columns.ITEM).is_in(chosen)))


def sizes_of(dataset: Dataset, seed: int, of: float = 1.0) -> dict[str, list[Size]]:
    """Axis -> its three sizes, smallest first; the largest of "users" and "items" is the log's share ``of`` its items."""
    everything = Size(WHOLE, dataset.interactions.select(Columns.USER, Columns.ITEM), dataset.catalogue)
    order = shuffled(dataset.catalogue[Columns.ITEM].to_list(), seed)
    whole = of_items(everything, of, order, WHOLE)
    users = shuffled(whole.log[Columns.USER].to_list(), seed)
    found: dict[str, list[Size]] = {axis: [] for axis in AXES}
    order = order[: whole.catalogue.height]
    for share in SHARES[:-1]:
        percent = f"{100 * share:.0f}"
        chosen = users[: max(round(share * len(users)), 1)]
        part = whole.log.filter(pl.col(Columns.USER).is_in(chosen))
        found["users"].append(Size(f"users-{percent}", part, whole.catalogue))
        found["items"].append(of_items(whole, share, order, f"items-{percent}"))
    found["users"].append(whole)
    found["items"].append(whole)
    long = whole.log.filter(pl.len().over(Columns.USER) >= LENGTHS[-1])
    longest = long.group_by(Columns.USER, maintain_order=True).tail(LENGTHS[-1])
    catalogue = whole.catalogue.filter(pl.col(Columns.ITEM).is_in(longest[Columns.ITEM].unique().to_list()))
    for length in LENGTHS:
        newest = long.group_by(Columns.USER, maintain_order=True).tail(length)
        found["lengths"].append(Size(f"lengths-{length}", newest, catalogue))
    return found


def run(size: Size, out: Path, sets: Sequence[str]) -> Workspace:
    """Every stage of one size in processes of their own; finished ones are kept.

    Raises:
        SystemExit: a stage failed; its own words stand above.
    """
    folder = out / size.name
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"source": f"parquet:{folder / 'log.parquet'}", "items": folder / "items.parquet", "ws": folder / "ws"}
    if not (folder / "items.parquet").exists():
        size.log.with_row_index("position").write_parquet(folder / "log.parquet")
        size.catalogue.write_parquet(folder / "items.parquet")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED_ONCE))
    for number, command in enumerate(COMMANDS):
        words = [word.format(**paths) for word in command]
        words += [part for setting in sets for part in ("--set", setting)] if number == 0 else []
        note(f"{size.name}: isrf {' '.join(words)}")
        process = context.Process(target=command_of, args=(words,))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{size.name}: isrf {words[0]} failed; mend what it says and run the same command again")
    return Workspace.existing(folder / "ws")


def command_of(words: list[str]) -> None:
    """``isrf`` with these words in this process, without its standard output."""
    from isrf.cli.main import main

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["isrf", *words]
    main()


def claim(out: Path, made_of: dict[str, Any]) -> None:
    """Write down what the logs in a folder are made of.

    Raises:
        SystemExit: those that it has were made of something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    kept = out / MADE_OF
    if kept.exists() and (before := json.loads(kept.read_text(encoding="utf-8"))) != made_of:
        changed = [name for name, value in made_of.items() if before.get(name) != value]
        raise SystemExit(f"{out}: was made with another {', '.join(changed)}; give a new folder with --out")
    write_atomic(kept, json.dumps(made_of, indent=1))


def epoch_seconds(workspace: Workspace) -> float:
    """Mean seconds of an epoch of training, its validation included."""
    log = json.loads(workspace.stage("model").file(TRAINING_LOG_FILE).read_text(encoding="utf-8"))["log"]
    return float(np.mean([epoch["seconds"] for epoch in log]))


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
        if stage == "model":
            lines.append(_row("- an epoch of it", along, [epoch_seconds(w) for w in workspaces], None))
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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SRC", help="a log with its catalogue, as `isrf run --data` takes it")
    parser.add_argument("--out", type=Path, required=True, metavar="RUNS", help="folder of the logs and workspaces")
    parser.add_argument("--of", type=float, default=OF, metavar="SHARE", help="of the items; 1 is the whole log")
    parser.add_argument("--axes", default=",".join(AXES), help="those that are measured, with commas between")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of training; the page tells seconds an epoch too")
    parser.add_argument(
        "--set", action="append", default=[], dest="sets", metavar="ROOM.NAME=VALUE", help="as for isrf"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the users and items that are drawn")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that is written")
    asked = parser.parse_args(arguments)
    chosen = [axis for axis in asked.axes.split(",") if axis]
    if not chosen or set(chosen) - set(AXES):
        parser.error(f"--axes {asked.axes}: there are {', '.join(AXES)}")
    if not 0 < asked.of <= 1:
        parser.error(f"--of {asked.of}: a share is above 0 and at most 1")
    dataset = read_dataset(asked.source, None, DataSettings(min_interactions=5))
    axes = {axis: sizes for axis, sizes in sizes_of(dataset, asked.seed, asked.of).items() if axis in chosen}
    empty = [size.name for sizes in axes.values() for size in sizes if not size.log.height]
    if empty:
        raise SystemExit(f"{asked.source}: no user is left in {', '.join(empty)}; take a larger log or a larger --of")
    about = {"digest": dataset.digest(), "of": asked.of, "seed": asked.seed, "epochs": asked.epochs, "set": asked.sets}
    claim(asked.out, about)
    sets = ["data.min_interactions=0", f"training.epochs={asked.epochs}", *asked.sets]
    by_name = {size.name: size for sizes in axes.values() for size in sizes}
    made = {name: run(size, asked.out, sets) for name, size in by_name.items()}
    versions = next(iter(made.values())).stage("model").require()["versions"]
    share = "the whole log" if asked.of == 1 else f"the log restricted to a random {asked.of:.0%} of its items"
    head = HEAD.format(
        name=dataset.name,
        options=("" if chosen == list(AXES) else f" --axes {asked.axes}")
        + "".join(f" --set {setting}" for setting in asked.sets),
        of=asked.of,
        settings=" and ".join(["default settings", *(f"`{setting}`" for setting in asked.sets)]),
        machine=f"{os.cpu_count()} cores, {memory()}, {platform.machine()}, OMP_NUM_THREADS "
        f"{os.environ.get('OMP_NUM_THREADS', 'not set')}",
        versions=", ".join(f"{package} {version}" for package, version in versions.items()),
        epochs="one epoch" if asked.epochs == 1 else f"{asked.epochs} epochs",
        most=Settings().training.epochs,
        about="\n".join(ABOUT[axis].format(share=share, least=LEAST, longest=LENGTHS[-1]) for axis in axes),
    )
    sections = [table(axis, sizes, [made[size.name] for size in sizes]) for axis, sizes in axes.items()]
    asked.page.write_text("\n".join([head, *sections]), encoding="utf-8")
    print("\n".join(sections))
    print(f"written: {asked.page}")


ABOUT = {
    "users": "- *users*: a random part of those of {share}, the largest size being all of them; the catalogue stays whole.",
    "items": "- *items*: the histories of {share}, restricted to a random part of the items. Users with fewer than {least} left "
    "are dropped, so their number shrinks too.",
    "lengths": "- *lengths*: users with at least {longest} interactions, each keeping the most recent ones; the "
    "catalogue is the items in them.",
}
"""What a page says of each axis on it."""

HEAD = """# How time and memory grow

Written by `python bench/scaling.py SRC --out RUNS --of {of:g}{options}` from {name}. Every stage of `isrf run` with
{settings}, each in a separate process. The stage `model` finds the groups, trains {epochs} and fits the fusion
weights; the row below it is one epoch with its validation, of which a whole training takes at most {most}. Seconds exclude
the start of the process; memory is the peak of the whole process, including its libraries (the same in every size).
"Times a doubling" is the factor between the smallest and the largest size, scaled to one doubling: 2 is linear, 4
quadratic, 1 constant.

{about}

Machine: {machine}, no accelerator. Versions: {versions}.
"""

if __name__ == "__main__":
    main()
