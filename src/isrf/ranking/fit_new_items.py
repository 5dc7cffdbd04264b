"""How much an item without interactions may have of what its lenders have: fitted on items that are hidden for it.

The more new items borrow the better they are found, so they get as much as the cost to everybody else allows, and that is what
people with a validation item say. A catalogue that has few new items gets some more: others lose every interaction, and the
graphs are built without them. Knows nothing about files.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isrf.core.progress import note, track
from isrf.data.histories import Histories
from isrf.data.queries import Queries, Task
from isrf.data.splits.split import Split
from isrf.data.training_data import TrainingData
from isrf.graphs.build import item_nodes
from isrf.graphs.neighbours import Neighbours
from isrf.graphs.prefix_index import PrefixIndex
from isrf.graphs.signals import InterestGraphs, masked
from isrf.ranking.fusion import Fusion
from isrf.ranking.rankers import ScoringComponents, borrowing_by, without_borrowing

NEW_SHARE = 0.1
"""Of the catalogue that is taken to be new: where fewer items are, others are hidden to make up for it."""

DISCOUNTS = np.arange(41) / 20
"""What is tried, 0 to 2; the evidence of lenders at full strength is 1."""

UNFITTED = 1.0
"""Discount where too few people can tell."""

LEAST_PEOPLE, MOST_PEOPLE = 30, 4000
"""So many people say at least, and so many at most, what recommending new items costs."""


def hidden_items(popularity: np.ndarray, seed: int) -> np.ndarray:
    """(I,) bool: items with interactions, drawn by a seed, as many as are wanting to NEW_SHARE of new ones."""
    known = np.flatnonzero(popularity > 0)
    wanting = max(round(NEW_SHARE * len(popularity)) - (len(popularity) - len(known)), 0)
    hidden = np.zeros(len(popularity), dtype=bool)
    hidden[np.random.default_rng([seed, 2]).permutation(known)[:wanting]] = True
    return hidden


def without_items(parts: ScoringComponents, hidden: np.ndarray) -> ScoringComponents:
    """The same people and graphs, counted anew as if nobody had chosen the hidden items; the generator stays.

    Args:
        parts: interest graphs and, perhaps, a generator, whose embeddings of hidden items are borrowed anew.
        hidden: (I,) bool.
    """
    if not hidden.any():
        return parts
    people, settings = parts.people, parts.people.settings.graphs
    before = people.training
    training = TrainingData(before.user_ids, before.catalogue, before.histories.kept(~hidden[before.histories.items]))
    nodes = item_nodes(training, parts.graphs.semantics, settings)
    has_text = people.settings.semantics.item_text != "none"
    graphs = InterestGraphs.build(training, parts.graphs.semantics, nodes, settings, has_text)
    moments = PrefixIndex.of(training.histories, parts.graphs.semantics, settings)
    known = Neighbours(training, people.semantics, people.graph, people.groups, moments, people.settings)
    return borrowing_by(replace(parts, people=known), graphs)


def fit_new_items(
    parts: ScoringComponents, split: Split, users: np.ndarray, fusions: dict[Task, Fusion], seed: int, what: str
) -> dict[Task, Fusion]:
    """The same weights with the discount of each task that recommends new items best at a bounded cost.

    The cost is how much NDCG@10 of people whose target is not new loses against a system in which nobody borrows, at most
    ``ranking.new_item_cost`` and one standard error: a few people cannot tell a small cost from chance. Where a tenth of the
    catalogue and more is new, it is measured as it is. Where less is, other items are hidden; a generator that was trained with
    them knows more of them than of new ones, and the cost is overestimated.

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
    hidden = hidden_items(popularity, seed)
    whole, known = without_items(parts, hidden), split.histories("valid")
    alone = without_borrowing(whole)
    histories = known.kept(~hidden[known.items])
    targets = split.valid[users]
    old = ~hidden[targets] & (popularity[targets] > 0)
    asked = users[(histories.take(users).lengths > 0) & old][:MOST_PEOPLE]
    if len(asked) < LEAST_PEOPLE:
        note(
            f"only {len(asked)} people can tell what recommending new items costs: evidence for the items nearest by text counts "
            f"{UNFITTED:g} for them, which was fitted elsewhere"
        )
        return {task: replace(fusion, new_items=UNFITTED) for task, fusion in fusions.items()}
    nobody = np.zeros_like(hidden)

    def reached(parts: ScoringComponents, task: Task, discount: float, left_out: np.ndarray) -> np.ndarray:
        found = []
        for at in range(0, len(asked), ranking.block):
            rows = asked[at : at + ranking.block]
            queries = Queries(rows, histories.take(rows), task)
            scores = fusions[task].score(parts.signals(queries, discount))
            found.append(ndcg10(scores, split.valid[rows], queries.histories, left_out))
        return np.concatenate(found)

    found: dict[Task, Fusion] = {}
    for task, fusion in fusions.items():
        without = reached(alone, task, 0.0, hidden)
        low, high = 0, len(DISCOUNTS)  # the cost grows with the discount: what is allowed ends between them
        for _ in track(range((len(DISCOUNTS) - 1).bit_length()), f"{what}, {task}"):
            middle = (low + high) // 2
            gains = reached(whole, task, float(DISCOUNTS[middle]), nobody) - without
            enough = gains.mean() + standard_error(gains) >= -ranking.new_item_cost * without.mean()
            low, high = (middle, high) if enough else (low, middle)
        found[task] = replace(fusion, new_items=float(DISCOUNTS[low]))
    return found


def standard_error(gains: np.ndarray) -> float:
    """Of the mean of (n,) paired differences."""
    return float(gains.std() / np.sqrt(len(gains)))


def ndcg10(scores: np.ndarray, targets: np.ndarray, seen: Histories, left_out: np.ndarray) -> np.ndarray:
    """(B,) float64 NDCG@10 of each target among unseen items, ties against it; ``left_out`` (I,) bool are no candidates."""
    masked(scores, seen)
    scores[:, left_out] = -np.inf
    own = scores[np.arange(len(targets)), targets]
    above = (scores >= own[:, None]).sum(1) - 1
    return np.where(above < 10, 1 / np.log2(above + 2.0), 0.0)
