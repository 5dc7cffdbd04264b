"""New items: how far up are items that nobody has bought, and what does recommending them cost everything else?

    python bench/item_cold.py SRC... --out FOLDER [--seeds 3] [--no-train]

Each source is split by ``data.split=item-cold`` (docs/protocol.md): a tenth of the items, drawn by the seed, keep their text
and lose every interaction in training and validation. Printed for both tasks, the mean over seeds of NDCG@10 of

- *warm*: targets that have interactions, among all items;
- *tail*: those of them with at most five;
- *new*: targets that have none, among all items;
- *new among new*: the same among items without interactions alone.

Methods: the baselines that need no interaction of an item (``CONTENT``) and popularity; ``isrf-graph`` and, unless
``--no-train``, ``isrf``, each as it is and *without borrowing*: the same generator, weights fitted anew, where no item borrows
from any other. Below each table stand the two ratios by which new items are judged: ``isrf`` over the best content baseline on
new targets, and its warm row over the one without borrowing. What is finished in FOLDER is kept.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from isrf.core.config import Settings, load_settings, save_settings
from isrf.data.queries import TASKS, Queries, Task
from isrf.data.splits.split import NEW_ITEMS, Split
from isrf.data.storage import read_split
from isrf.evaluation.metrics import full_ranks, ndcg
from isrf.evaluation.protocol import fit
from isrf.methods.interface import Ranker
from isrf.methods.names import GRAPH_ONLY, WHOLE
from isrf.methods.popularity import Popularity
from isrf.methods.preferences import carrier_preferences
from isrf.methods.registry import CARRIERS
from isrf.pipeline.embed import embed
from isrf.pipeline.fit_ranking import fit_ranking
from isrf.pipeline.graph import graph
from isrf.pipeline.import_data import import_data
from isrf.pipeline.reason import reason
from isrf.pipeline.train import train
from isrf.ranking.fit_fusion import fit_fusions, stopping_users
from isrf.ranking.rankers import FusedRanker, ScoringComponents, without_borrowing
from isrf.ranking.storage import load_components, load_fusions, load_graph_components
from isrf.workspace.layout import FUSION_FILE, SETTINGS_FILE
from isrf.workspace.workspace import Workspace

CONTENT = ("semantic-knn", "profile-text")
"""Baselines that score an item by its text."""
TAIL = 5
"""Most training interactions of an item of the tail."""
WITHOUT = "without borrowing"
COLUMNS = ("warm", "tail", "new", "new among new")


def made(source: str, out: Path, seed: int, training: bool, sets: list[str]) -> tuple[Workspace, Settings]:
    """The workspace of one seed; what is finished is kept."""
    chosen = ["data.split=item-cold", "data.min_interactions=5", f"data.seed={seed}", f"training.seed={seed}", *sets]
    workspace, settings = Workspace.create(out), load_settings(overrides=chosen)
    with workspace.held():
        save_settings(settings, workspace.root / SETTINGS_FILE)
        import_data(workspace, source, None, settings)
        for stage in (reason, embed, graph, fit_ranking, *([train] if training else [])):
            stage(workspace, settings)
    return workspace, settings


def rankers(workspace: Workspace, settings: Settings, split: Split, training: bool) -> Iterator[tuple[str, Ranker]]:
    """Every method of the table, by its name there."""
    preferences = carrier_preferences(workspace, settings)
    for name in CONTENT:
        yield name, fit(CARRIERS[name](preferences), split)[0]
    yield Popularity.name, fit(Popularity(), split)[0]
    kinds = [(GRAPH_ONLY, "ranking", load_graph_components)] + ([(WHOLE, "model", load_components)] if training else [])
    for name, stage, load in kinds:
        parts: ScoringComponents = load(workspace, settings)
        yield name, FusedRanker(name, parts, load_fusions(workspace.stage(stage).file(FUSION_FILE)))
        alone = without_borrowing(parts)
        users = stopping_users(split, settings.training.seed)[1][: settings.ranking.fit_users]
        fusions = fit_fusions(alone, split, users, settings.ranking.block, f"weigh {name} {WITHOUT}")
        yield f"{name} {WITHOUT}", FusedRanker(name, alone, fusions)


def figures(method: Ranker, split: Split, task: Task, block: int) -> dict[str, float]:
    """NDCG@10 by COLUMNS."""
    popularity = split.training.popularity
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for part in ("test", NEW_ITEMS):
        users, targets, known = split.users(part), split.targets(part), split.histories(part)
        for at in range(0, len(users), block):
            chosen = users[at : at + block]
            scores = method.score(Queries(split.asked(chosen), known.take(chosen), task))
            gains = ndcg(full_ranks(scores, targets[chosen], known.take(chosen)), 10)
            if part == NEW_ITEMS:
                found["new"].append(gains)
                among = np.where(popularity == 0, scores, np.float32(-np.inf))
                found["new among new"].append(ndcg(full_ranks(among, targets[chosen], known.take(chosen)), 10))
            else:
                found["warm"].append(gains)
                found["tail"].append(gains[popularity[targets[chosen]] <= TAIL])
    return {column: float(np.concatenate(found[column]).mean()) for column in COLUMNS}


def told(rows: dict[str, list[dict[str, float]]], task: Task, source: str) -> None:
    """The table of one source and task, and its two ratios."""
    mean = {
        name: {column: float(np.mean([run[column] for run in runs])) for column in COLUMNS}
        for name, runs in rows.items()
    }
    seeds = len(next(iter(rows.values())))
    print(f"\n{source}, {task}, {seeds} seed{'s' * (seeds > 1)}, NDCG@10\n")
    print(f"| method | {' | '.join(COLUMNS)} |\n|---|{'--:|' * len(COLUMNS)}")
    for name, row in mean.items():
        print(f"| {name} | {' | '.join(f'{row[column]:.4f}' for column in COLUMNS)} |")
    best = max(mean[name]["new"] for name in CONTENT)
    for name in (GRAPH_ONLY, WHOLE):
        if name in mean:
            cost = mean[name]["warm"] / mean[f"{name} {WITHOUT}"]["warm"] - 1
            print(
                f"\n{name}: new items {mean[name]['new'] / best - 1:+.1%} against the best content baseline, warm {cost:+.2%}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sources", metavar="SRC", nargs="+", help="logs with their catalogues, as `isrf run --data` takes them"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the workspaces are")
    parser.add_argument("--seeds", type=int, default=3, help="how many draws of new items, and trainings")
    parser.add_argument("--no-train", action="store_true", help="the interest graphs alone")
    parser.add_argument(
        "--set", action="append", default=[], metavar="ROOM.NAME=VALUE", help="one setting; repeat for more"
    )
    asked = parser.parse_args()
    for source in asked.sources:
        rows: dict[Task, dict[str, list[dict[str, float]]]] = {task: defaultdict(list) for task in TASKS}
        for seed in range(asked.seeds):
            folder = asked.out / f"{Path(source).name}-{seed}"
            workspace, settings = made(source, folder, seed, not asked.no_train, asked.set)
            split = read_split(workspace)
            for name, method in rankers(workspace, settings, split, not asked.no_train):
                for task in TASKS:
                    rows[task][name].append(figures(method, split, task, settings.evaluation.block))
        for task in TASKS:
            told(rows[task], task, source)


if __name__ == "__main__":
    main()
