"""Direct recommendation where nobody is given an order: the log itself loses it before anything is made from it.

    python bench/unordered.py --out RUNS beauty=DATA/amazon-beauty-2014 toys=DATA/amazon-toys-2014

In direct recommendation a person's items are a set, for every method. But ISRF reads other people's orders too: which
item follows which (transitions), and what similar people chose last. EASE and LightGCN read none. So that what is left
can be compared, the training items of every person of a P5 folder are shuffled by a seed, validation and test items stay
where they are, and the whole pipeline runs on that log: reasons, features, graphs, generator, fusion weights.

RUNS keeps one workspace a source (NAME-unordered); what is finished is kept.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from isrf.core.config import DataSettings, Settings, save_settings
from isrf.data.readers.p5 import SEQUENCES
from isrf.evaluation.protocol import ALL
from isrf.pipeline import run as pipeline
from isrf.pipeline.bench import bench, methods_named
from isrf.workspace.workspace import Workspace

METHODS = "isrf,isrf-generator,isrf-graph,itemknn,ease,lightgcn"
HELD_OUT = 2
"""Items at the end of a history that stay where they are: validation and test."""
CORE = DataSettings(min_interactions=5)
"""The k-core of research sets."""


def shuffled(folder: Path, target: Path, seed: int) -> Path:
    """A copy of a P5 folder in which the training items of every line stand in random order."""
    target.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.name != SEQUENCES:
            shutil.copyfile(file, target / file.name)
    rng = np.random.default_rng(seed)
    lines = []
    for line in (folder / SEQUENCES).read_text(encoding="utf-8").splitlines():
        user, *items = line.split()
        training, rest = items[:-HELD_OUT], items[-HELD_OUT:]
        lines.append(" ".join([user, *rng.permutation(np.array(training, dtype=object)), *rest]))
    (target / SEQUENCES).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="NAME=P5_FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="RUNS")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--seed", type=int, default=0, help="of the shuffling")
    arguments = parser.parse_args()
    print("| data | method | NDCG@10, direct | 95% interval | over ease |\n|---|---|--:|--:|--:|")
    for pair in arguments.sources:
        name, _, folder = pair.partition("=")
        source = shuffled(Path(folder), arguments.out / f"{name}-unordered.p5", arguments.seed)
        workspace, settings = Workspace.create(arguments.out / f"{name}-unordered"), Settings(data=CORE)
        save_settings(settings, workspace.root / "settings.yaml")
        pipeline.import_data(workspace, f"p5:{source}", None, settings)
        pipeline.reason(workspace, settings)
        pipeline.embed(workspace, settings)
        pipeline.graph(workspace, settings)
        pipeline.fit_ranking(workspace, settings)
        rows = bench(workspace, methods_named(arguments.methods))["results"]
        found = {r["method"]: r for r in rows if (r["task"], r["split"], r["candidates"]) == ("direct", "test", ALL)}
        for method, row in found.items():
            low, high = row["ndcg10_ci95"]
            gain = f"{row['NDCG@10'] / found['ease']['NDCG@10'] - 1:+.1%}" if "ease" in found else "-"
            print(f"| {name} | {method} | {row['NDCG@10']:.4f} | {low:.4f} to {high:.4f} | {gain} |", flush=True)


if __name__ == "__main__":
    main()
