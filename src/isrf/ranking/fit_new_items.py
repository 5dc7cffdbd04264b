"""How much an item without interactions may have of what its lenders have: fitted on items that are hidden for it.

Validation holds no item that nobody chose before, so some are made: a tenth of the items lose every interaction, the graphs are
built without them, and the people whose validation item is another one say what recommending such items costs them: the more
these borrow the better they are found, so they get as much as the cost allows. Knows nothing about files.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isrf.core.progress import note, track
from isrf.data.histories import Histories
from isrf.data.queries import Queries, Task
from isrf.data.splits.split import Split
from isrf.data.training_data import TrainingData
from isrf.graphs.backoff import BackOff
from isrf.graphs.build import item_nodes
from isrf.graphs.neighbours import Neighbours
from isrf.graphs.prefix_index import PrefixIndex
from isrf.graphs.signals import InterestGraphs, masked
from isrf.ranking.fusion import Fusion
from isrf.ranking.rankers import ScoringComponents

HIDDEN_SHARE = 0.1
"""Of the items that have interactions, hidden to fit on."""

DISCOUNTS = (2.0, 1.4, 1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
"""What is tried; the evidence of lenders at full strength is 1."""

UNFITTED = 1.0
"""Discount where too few people can tell."""

LEAST_PEOPLE, MOST_PEOPLE = 30, 2000
"""So many people say at least, and so many at most, what recommending hidden items costs."""


def hidden_items(popularity: np.ndarray, seed: int) -> np.ndarray:
    """(I,) bool: items with interactions, drawn by a seed (HIDDEN_SHARE)."""
    known = np.flatnonzero(popularity > 0)
    drawn = np.random.default_rng([seed, 2]).permutation(known)[: round(HIDDEN_SHARE * len(known))]
    hidden = np.zeros(len(popularity), dtype=bool)
    hidden[drawn] = True
    return hidden


def without_items(parts: ScoringComponents, hidden: np.ndarray) -> ScoringComponents:
    """The same people and graphs, counted anew as if nobody had chosen the hidden items; the generator stays.

    Args:
        parts: interest graphs and, perhaps, a generator, whose embeddings of hidden items are borrowed anew.
        hidden: (I,) bool.
    """
    people, settings = parts.people, parts.people.settings.graphs
    before = people.training
    training = TrainingData(before.user_ids, before.catalogue, before.histories.kept(~hidden[before.histories.items]))
    nodes = item_nodes(training, parts.graphs.semantics, settings)
    has_text = people.settings.semantics.item_text != "none"
    graphs = InterestGraphs.build(training, parts.graphs.semantics, nodes, settings, has_text)
    moments = PrefixIndex.of(training.histories, parts.graphs.semantics, settings)
    known = Neighbours(training, people.semantics, people.graph, people.groups, moments, people.settings)
    items = parts.items
    if items is not None:
        import torch

        items = torch.from_numpy(graphs.backoff.placed(items.float().cpu().numpy())).to(items)
    return replace(parts, people=known, graphs=graphs, items=items)


def fit_new_items(
    parts: ScoringComponents, split: Split, users: np.ndarray, fusions: dict[Task, Fusion], seed: int, what: str
) -> dict[Task, Fusion]:
    """The same weights with the discount of each task that recommends hidden items best at a bounded cost.

    The cost is how much NDCG@10 of people whose target is not hidden loses against lists without any hidden item and without
    any borrowing, at most ``ranking.new_item_cost``. Items that really are new are in neither list: with them the lists would
    hold new items twice over.

    Args:
        parts: as they were fitted.
        split: has the validation items.
        users: (n,) int64 rows with a validation item.
        fusions: fitted weights.
        seed: draws what is hidden.
        what: name of the progress bar.
    """
    ranking, popularity = parts.people.settings.ranking, parts.people.training.popularity
    if not parts.people.settings.graphs.lenders or parts.people.settings.semantics.item_text == "none":
        return fusions
    hidden, never_chosen = hidden_items(popularity, seed), popularity == 0  # these would be paid for twice
    whole, known = without_items(parts, hidden), split.histories("valid")
    alone = replace(whole, graphs=replace(whole.graphs, backoff=BackOff.nothing(len(hidden))))
    histories = known.kept(~hidden[known.items])
    targets = split.valid[users]
    asked = users[(histories.take(users).lengths > 0) & ~hidden[targets]][:MOST_PEOPLE]
    if len(asked) < LEAST_PEOPLE:
        note(
            f"only {len(asked)} people can tell what recommending new items costs: evidence for the items nearest by text counts "
            f"{UNFITTED:g} for them, which was fitted elsewhere"
        )
        return {task: replace(fusion, new_items=UNFITTED) for task, fusion in fusions.items()}
    found: dict[Task, Fusion] = {}
    for task, fusion in fusions.items():

        def reached(parts: ScoringComponents, discount: float, left_out: np.ndarray, task: Task = task) -> float:
            found = [
                ndcg10(
                    fusions[task].score(parts.signals(queries, discount)),
                    split.valid[queries.users],
                    queries.histories,
                    left_out,
                )
                for queries in (
                    Queries(rows, histories.take(rows), task)
                    for rows in (asked[at : at + ranking.block] for at in range(0, len(asked), ranking.block))
                )
            ]
            return float(np.concatenate(found).mean())

        least = (1 - ranking.new_item_cost) * reached(alone, 0.0, hidden | never_chosen)
        chosen = next(
            (d for d in track(DISCOUNTS, f"{what}, {task}") if reached(whole, d, never_chosen) >= least), DISCOUNTS[-1]
        )
        found[task] = replace(fusion, new_items=chosen)
    return found


def ndcg10(scores: np.ndarray, targets: np.ndarray, seen: Histories, left_out: np.ndarray) -> np.ndarray:
    """(B,) float64 NDCG@10 of each target among unseen items, ties against it; ``left_out`` (I,) bool are no candidates."""
    masked(scores, seen)
    scores[:, left_out] = -np.inf
    own = scores[np.arange(len(targets)), targets]
    above = (scores >= own[:, None]).sum(1) - 1
    return np.where(above < 10, 1 / np.log2(above + 2.0), 0.0)
