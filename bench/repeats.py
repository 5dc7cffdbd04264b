"""Is it better to recommend again what somebody has had? Both ways on the same people, under the repeat protocol.

    python bench/repeats.py SRC --out FOLDER

The log is read with ``data.repeats=all``, so that every purchase is an event, and the interest graphs rank (``isrf-graph``:
nothing is trained). The target is everybody's last purchase, had before or not. Three lists of ten are compared:

- *left out*: what the person has had is no candidate (``filter_viewed=True``), so a repeat is never hit;
- *again*: everything is a candidate, by the same scores (``filter_viewed=False``);
- *what is due*: everything is a candidate, with a handicap for what was had that is fitted on validation targets, repeats
  among them: of what was had, items that people come back to come first (share of their buyers who bought them twice).

Prints NDCG@10 of each over everybody, over repeats and over new targets, and the paired test of the last two against the first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from isrf.core.config import EvaluationSettings, Settings, load_settings, save_settings
from isrf.data.queries import Queries
from isrf.data.splits.split import Split
from isrf.data.storage import read_split
from isrf.data.training_data import TrainingData
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.significance import bootstrap_interval, paired_test
from isrf.methods.names import GRAPH_ONLY
from isrf.pipeline.embed import embed
from isrf.pipeline.fit_ranking import fit_ranking
from isrf.pipeline.graph import graph
from isrf.pipeline.import_data import import_data
from isrf.pipeline.reason import reason
from isrf.ranking.rankers import FusedRanker
from isrf.ranking.storage import load_fusions, load_graph_components
from isrf.workspace.layout import FUSION_FILE, SETTINGS_FILE
from isrf.workspace.workspace import Workspace

STEPS = np.array([np.inf, *np.linspace(8, -4, 25)])
"""Handicaps of what was had, in standard deviations of a person's scores; infinite = left out."""
BACK = (0.0, 0.5, 1.0, 2.0)
"""Weights of how often people come back to an item, likewise."""
BLOCK = 256


def made(source: str, out: Path) -> tuple[Workspace, Settings]:
    """The workspace up to the weights of the graphs; what is finished is kept."""
    workspace, settings = Workspace.create(out), load_settings(overrides=["data.repeats=all"])
    with workspace.held():
        save_settings(settings, workspace.root / SETTINGS_FILE)
        import_data(workspace, source, None, settings)
        for stage in (reason, embed, graph, fit_ranking):
            stage(workspace, settings)
    return workspace, settings


def returns(training: TrainingData) -> np.ndarray:
    """(I,) float64 log odds that a buyer of an item buys it again in training, pulled towards those of all items."""
    histories = training.histories
    pairs, times = np.unique(histories.rows() * training.n_items + histories.items, return_counts=True)
    buyers = np.bincount(pairs % training.n_items, minlength=training.n_items)
    twice = np.bincount((pairs % training.n_items)[times > 1], minlength=training.n_items)
    share = twice.sum() / max(buyers.sum(), 1)
    chance = (twice + 10 * share) / (buyers + 10)
    return np.log(chance / share)


def ranks(ranker: FusedRanker, split: Split, part: str, back: np.ndarray) -> np.ndarray:
    """(S, R, n) ranks of everybody's target in ``part`` by STEPS and BACK; ties count against it."""
    users = np.flatnonzero(split.targets(part) >= 0)
    known = split.histories(part)
    found = np.empty((len(STEPS), len(BACK), len(users)), dtype=np.int64)
    for start in range(0, len(users), BLOCK):
        block = users[start : start + BLOCK]
        histories = known.take(block)
        scores = ranker.score(Queries(split.asked(block), histories)).astype(np.float64)
        scores /= scores.std(axis=1, keepdims=True)
        had = histories.matrix(split.training.n_items).toarray() > 0
        targets = split.targets(part)[block]
        rows = np.arange(len(block))
        for r, weight in enumerate(BACK):
            for s, step in enumerate(STEPS):
                moved = np.where(had, scores - step + (weight * back[None] if np.isfinite(step) else 0), scores)
                own = moved[rows, targets]
                at_least = (moved >= own[:, None]).sum(1) - 1
                found[s, r, start : start + len(block)] = np.where(np.isfinite(own), at_least, len(back))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SRC", help="a log with its catalogue, as `isrf run --data` takes it")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the workspace")
    asked = parser.parse_args()
    workspace, settings = made(asked.source, asked.out)
    split = read_split(workspace)
    fusions = load_fusions(workspace.stage("ranking").file(FUSION_FILE))
    ranker = FusedRanker(GRAPH_ONLY, load_graph_components(workspace, settings), fusions)
    back, evaluation = returns(split.training), EvaluationSettings()
    chosen = ndcg(ranks(ranker, split, "valid", back), 10).mean(2)
    step, weight = np.unravel_index(int(chosen.argmax()), chosen.shape)
    test = ndcg(ranks(ranker, split, "test", back), 10)
    gains = {
        "left out": test[0, 0],
        "again": test[int(np.flatnonzero(STEPS == 0)[0]), 0],
        "what is due": test[step, weight],
    }
    again = split.had_before["test"][split.test >= 0]
    print(f"{len(again):,} people, {again.sum():,} of whom ({again.mean():.1%}) bought last what they had before")
    print(
        f"fitted on validation: handicap {STEPS[step]:g} standard deviations, weight of coming back {BACK[weight]:g}\n"
    )
    print("| list | everybody | 95% interval | repeats | new targets |\n|---|--:|--:|--:|--:|")
    for name, gain in gains.items():
        low, high = bootstrap_interval(gain[None], evaluation.bootstrap_samples, evaluation.seed)
        print(
            f"| {name} | {gain.mean():.4f} | {low:.4f} to {high:.4f} | {gain[again].mean():.4f} | {gain[~again].mean():.4f} |"
        )
    print()
    for name in ("again", "what is due"):
        samples = evaluation.bootstrap_samples, evaluation.permutation_samples, evaluation.seed
        found = paired_test(gains[name][None], gains["left out"][None], *samples)
        low, high = found.interval
        print(f"{name} - left out: {found.difference:+.4f} NDCG@10 ({low:+.4f} to {high:+.4f}), p = {found.p:.4f}")


if __name__ == "__main__":
    main()
