"""What an update of a workspace costs beside a run from nothing on the same log.

    python bench/update.py WS [--events 1000] [--items 50] [--reason-anew]

A copy of a finished workspace gets new events and items, which are drawn from those that it has: new items are like old ones, one
event in ten is somebody new's, one in seven is on a new item, the others go to items by how often they are chosen. Prints the
seconds from the call until the new version answers, what each stage took of them, and the seconds of every stage of a run from
nothing on the same log, in the same process. Vectors and answers of the workspace are those of before for the update, and none
for the run from nothing. Each is run in a process of its own, so that loading libraries and models counts.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from isrf.core.progress import note
from isrf.data.dataset import Columns
from isrf.data.storage import read_dataset_of
from isrf.workspace.layout import VERSIONS_FOLDER
from isrf.workspace.workspace import Workspace

TARGET = 20.0
"""Seconds that an update may take."""


def newer(workspace: Workspace, events: int, items: int, seed: int = 3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows and a catalogue to add: USER, ITEM and TIME where the log has times."""
    draw = random.Random(seed)
    dataset = read_dataset_of(workspace)
    log, catalogue = dataset.interactions, dataset.catalogue
    rows = [catalogue.row(draw.randrange(catalogue.height), named=True) for _ in range(items)]
    new_items = [
        {**row, Columns.ITEM: f"new-{n}", Columns.TITLE: f"{row[Columns.TITLE] or 'thing'} edition {n}"}
        for n, row in enumerate(rows)
    ]
    counts = dict(log[Columns.ITEM].value_counts().iter_rows())
    known, users = sorted(counts), log[Columns.USER].unique().sort().to_list()
    drawn = draw.choices(known, weights=[counts[item] for item in known], k=events)
    pairs: dict[tuple[str, str], None] = {}
    for n, item in enumerate(drawn):
        user = draw.choice(users) if n % 10 else f"new person {n // 30}"
        pairs[user, item if n % 7 else f"new-{draw.randrange(items)}"] = None
    frame = pl.DataFrame(list(pairs), schema=[Columns.USER, Columns.ITEM], orient="row")
    if not log[Columns.TIME].null_count():
        last = int(log[Columns.TIME].max())  # type: ignore[arg-type]
        frame = frame.with_columns((pl.int_range(pl.len()) * 1000 + last).alias(Columns.TIME))
    return frame, pl.DataFrame(new_items)


def whole_log(workspace: Workspace, rows: pl.DataFrame, items: pl.DataFrame, folder: Path) -> None:
    """The log of a workspace with what is new, as a source."""
    dataset = read_dataset_of(workspace)
    log = dataset.interactions.sort(Columns.ORDER).select(rows.columns)
    pl.concat([log, rows]).write_csv(folder / "log.csv")
    pl.concat([dataset.catalogue, items.select(dataset.catalogue.columns)]).write_csv(folder / "items.csv")


def timed(*words: str | Path) -> tuple[float, list[str]]:
    """Seconds of a command, and what it noted."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "isrf", *map(str, words)], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, done.stdout.splitlines()


def stages_of(workspace: Workspace, names: tuple[str, ...]) -> dict[str, float]:
    """Stage -> seconds that its record says."""
    return {name: float(workspace.stage(name).require()["seconds"]) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--reason-anew", action="store_true")
    parser.add_argument("--only-update", action="store_true", help="without the run from nothing, which takes minutes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isrf-bench-") as place:
        folder = Path(place)
        before = Workspace(Path(shutil.copytree(chosen.workspace, folder / "ws")))
        rows, items = newer(before, chosen.events, chosen.items)
        rows.write_csv(folder / "more.csv")
        items.write_csv(folder / "more-items.csv")
        (folder / "both").mkdir()
        whole_log(before, rows, items, folder / "both")
        anew = ["--reason-anew"] if chosen.reason_anew else []
        start = time.time()
        whole, told = timed(
            "update", before.root, "--data", folder / "more.csv", "--items", folder / "more-items.csv", *anew
        )
        updated = Workspace(before.root)
        answers = (before.root / "current.json").stat().st_mtime - start
        for line in told:
            note(line)
        made = ("dataset", "reasoning", "semantics", "graphs", "ranking")
        print(f"{rows.height:,} events, {items.height:,} items, version {updated.version} in {VERSIONS_FOLDER}/")
        print("| what | seconds |\n|---|--:|")
        print(f"| update, until the new version answers | {answers:.1f} |")
        print(f"| update, with drift | {whole:.1f} |")
        for name, seconds in stages_of(updated, made).items():
            print(f"| of these: {name} | {seconds:.1f} |")
        if not chosen.only_update:
            kept = before.stage("dataset").require()["settings"]
            core = f"data.min_interactions={kept['min_interactions']}"
            source = f"csv:{folder / 'both'}"
            words = ("--data", source, "--out", folder / "nothing", "--no-train", "--set", core)
            nothing, _ = timed("run", *words)
            other = Workspace(folder / "nothing")
            upto = sum(stages_of(other, made).values())
            print(f"| run from nothing, until it answers | {upto:.1f} |")
            print(f"| run from nothing, with its table | {nothing:.1f} |")
            for name, seconds in stages_of(other, made).items():
                print(f"| of these: {name} | {seconds:.1f} |")
            print(f"\nratio: {upto / answers:.1f}")
        print(f"\n{answers:.1f} s until the new version answers; {TARGET:.0f} are asked for")


if __name__ == "__main__":
    main()
