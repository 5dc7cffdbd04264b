"""What a filtered call costs beside an unfiltered one: the same people, the same process, calls of each kind in turns.

    python bench/filters.py WS [--calls 200] [--top 10] [--plain]

The catalogue gets columns by a seed (a price, one of 200 brands, a list of tags, a stock), whatever it has. A call is what a
server does for one request, ids in and ids out, about one user of the log; ``--plain`` leaves reasons out. CPU time is the
steadier of the two where the machine does other things; the ratio is that of the medians to an unfiltered call.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from isrf.core.progress import note, track
from isrf.data.dataset import Columns
from isrf.data.item_columns import ItemColumns
from isrf.recommender.open import OpenWorkspace
from isrf.recommender.recommender import Recommender, open_recommender
from isrf.recommender.rules_file import RulesFile
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace

TARGET = 1.3
"""Most that a filtered call may cost, in unfiltered ones."""
WARM_UP = 5
BRANDS, TAGS = 200, 50


def with_columns(opened: OpenWorkspace) -> OpenWorkspace:
    """The workspace with a catalogue of more columns, and without rules of its own."""
    rng, catalogue = np.random.default_rng(0), opened.split.training.catalogue
    count = len(catalogue)
    tags = rng.integers(0, TAGS, (count, 3))
    table = pl.DataFrame(
        {
            Columns.ITEM: catalogue.ids,
            "price": rng.gamma(2, 10, count).round(2),
            "maker": [f"brand {n}" for n in rng.integers(0, BRANDS, count)],
            "tags": [[f"tag {n}" for n in own] for own in tags],
            "shelf": rng.permutation(count) % 1000,
        }
    )
    return replace(opened, item_columns=ItemColumns(catalogue, table), rules=RulesFile())


def kinds(opened: OpenWorkspace) -> dict[str, dict[str, Any]]:
    """Name of a kind of call -> its arguments."""
    ids = opened.split.training.catalogue.ids
    return {
        "unfiltered": {},
        "where: a range of numbers": {"where": {"price": {"<=": 20, ">": 5}}},
        "where: one of 20 brands": {"where": {"maker": [f"brand {n}" for n in range(20)]}},
        "where: a value of a list column": {"where": {"tags": "tag 7"}},
        "where: a title contains a word": {"where": {"title": {"contains": "cream"}}},
        "where: 1 item in 1,000": {"where": {"shelf": 17}},
        "1,000 items excluded": {"exclude": ids[:1000]},
        "1,000 items to recommend": {"items_to_recommend": ids[:1000]},
        "seen items included": {"filter_viewed": False},
        "at most 2 of a brand": {"max_per": {"maker": 2}},
        "a boost": {"boost": {"maker": {"brand 3": 0.5}}},
        "diversity 0.3": {"diversity": 0.3},
        "five of these together": {
            "where": {"price": {"<=": 20}, "tags": ["tag 7", "tag 8", "tag 9"]},
            "exclude": ids[:100],
            "max_per": {"maker": 2},
            "boost": {"maker": {"brand 3": 0.5}},
            "diversity": 0.3,
        },
    }


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the clock and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--calls", type=int, default=200, help="of each kind")
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--plain", action="store_true", help="without reasons")
    chosen = parser.parse_args()
    workspace = Workspace.existing(chosen.workspace)
    opened = with_columns(open_recommender(workspace, saved_settings(workspace)).opened)
    recommender, asked = Recommender(opened), kinds(opened)
    users = np.random.default_rng(1).choice(opened.split.user_ids, WARM_UP + chosen.calls, replace=False).tolist()
    spent: dict[str, list[tuple[float, float]]] = {kind: [] for kind in asked}
    for place, user in enumerate(track(users, "calls")):
        for kind, arguments in asked.items():
            more = {"k": chosen.top, "explain": not chosen.plain, **arguments}
            figures = timed(lambda user=user, more=more: recommender.recommend([user], **more))  # type: ignore[misc]
            if place >= WARM_UP:
                spent[kind].append(figures)
    note(f"{opened.ranker.name}, {len(opened.split.training.catalogue):,} items, {chosen.calls} calls of each kind")
    usual = np.median(spent["unfiltered"], axis=0)
    print("| call | ms p50 | CPU ms p50 | ratio of CPU time |\n|---|--:|--:|--:|")
    ratios = {}
    for kind, all_of_kind in spent.items():
        wall, cpu = np.median(all_of_kind, axis=0)
        ratios[kind] = cpu / usual[1]
        print(f"| {kind} | {wall:.1f} | {cpu:.1f} | {ratios[kind]:.2f} |")
    worst = max(ratios, key=lambda kind: ratios[kind])
    print(f"\nlargest ratio: {ratios[worst]:.2f} ({worst}); at most {TARGET} is asked for")


if __name__ == "__main__":
    main()
