"""Bridges from explicit interests to the group's: whose recommendations the group layer changed most, and with what.

The paper's case study (RQ6: a reader of mysteries whose similar users buy skin care) asked of everybody. A crossing is an
item that stands in a person's top ten and would not, had the person no group. Nothing is trained or tested here, and how a
crossing is shown, or judged by held-out items, is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isrf.core.progress import track
from isrf.core.threads import threads_for
from isrf.data.queries import Queries, Task
from isrf.data.splits.split import Split
from isrf.graphs.signals import masked
from isrf.ranking.rankers import FusedRanker
from isrf.ranking.recommend import top_items
from isrf.ranking.user_profile import GroupChoice, Interest, explicit_interests, score_without_group

TOP = 10
"""Length of the lists that are compared, items."""

MOST_INTERESTS, MOST_CHOICES = 5, 5
"""Told of a person as evidence."""


@dataclass(frozen=True)
class ListChanges:
    """All crossings of some people, C in all.

    Attributes:
        people: (P,) int64 user rows that were compared.
        change: (P,) float64 in 0..1: share of the list's weight, 1 / log2(place + 1) each, that crossings hold.
        users: (C,) int64 user row of each crossing; those of one person together, best place first.
        items: (C,) int64 the item that crossed over.
        ranks: (C,) int64 its place with the group, 0 = first.
        ranks_alone: (C,) int64 its place without.
        displaced: (C,) int64 the item that had to leave the list for it: the last leaves for the last; -1 where none had to.
    """

    people: np.ndarray
    change: np.ndarray
    users: np.ndarray
    items: np.ndarray
    ranks: np.ndarray
    ranks_alone: np.ndarray
    displaced: np.ndarray


@dataclass(frozen=True)
class Crossed:
    """One item that the group brought into the list.

    Attributes:
        rank, rank_alone: its place with and without the group, 1 = first.
        likeness: cosine of its semantic feature to that of the nearest item of the history; low = far from it.
        spoken_for: so many of the people who are like the person chose it.
        confirmed: whether it is the held-out item.
    """

    item_id: str
    title: str
    rank: int
    rank_alone: int
    likeness: float
    spoken_for: int
    confirmed: bool


@dataclass(frozen=True)
class Bridge:
    """One person whose list the group changed, with the evidence.

    Attributes:
        change: as in ``ListChanges``.
        preference: core preference as reasoned for the person.
        interests: explicit ones, strongest first.
        group: what the group likes beyond the history, strongest first.
        speakers: people who are like the person.
        crossed: best place first.
        held_out_id, held_out_title: what the person chose in truth.
        confirmed: whether that is among ``crossed``.
    """

    user_id: str
    change: float
    preference: str
    interests: list[Interest]
    group: list[GroupChoice]
    speakers: int
    crossed: list[Crossed]
    held_out_id: str
    held_out_title: str
    confirmed: bool


def find_list_changes(
    ranker: FusedRanker, split: Split, people: np.ndarray, task: Task, block: int, top: int = TOP
) -> ListChanges:
    """Compare the top of the list of each person with and without their group, before their test item.

    Args:
        ranker: ``isrf`` or ``isrf-graph``.
        split: whose test items are not looked at.
        people: (P,) int64 user rows.
        task: of the recommendation.
        block: people scored at once.
        top: length of the lists.
    """
    known = split.histories("test")
    change = np.zeros(len(people))
    found: list[tuple[int, int, int, int, int]] = []
    for start in track(range(0, len(people), block), "rankings with and without the group"):
        chosen = people[start : start + block]
        query = Queries(chosen, known.take(chosen), task)
        with threads_for(len(chosen)):
            scores, alone = ranker.score(query), score_without_group(ranker, query)
        lists, lists_alone = (top_items(s, query.histories, top) for s in (scores, alone))
        for at, (rows, own) in enumerate(zip(lists, lists_alone, strict=True)):
            places = np.flatnonzero(~np.isin(rows, own))
            left = own[~np.isin(own, rows)]
            weights = 1 / np.log2(np.arange(len(rows)) + 2)
            change[start + at] = weights[places].sum() / max(weights.sum(), 1e-12)
            for number, place in enumerate(places):
                item = int(rows[place])
                above = alone[at] > alone[at, item]
                above[:item] |= alone[at, :item] == alone[at, item]  # ties by row, as in the list
                displaced = int(left[number]) if number < len(left) else -1
                found.append((int(chosen[at]), item, int(place), int(above.sum()), displaced))
    users, items, ranks, ranks_alone, displaced_items = np.array(found, dtype=np.int64).reshape(-1, 5).T
    return ListChanges(people, change, users, items, ranks, ranks_alone, displaced_items)


def strongest(found: ListChanges, confirmed: np.ndarray | None = None) -> np.ndarray:
    """(n,) int64 user rows of the people with a crossing, most changed first, ties by row.

    Args:
        found: of these.
        confirmed: (C,) bool; given, only people with a confirmed crossing.
    """
    kept = np.unique(found.users if confirmed is None else found.users[confirmed])
    order = np.argsort(found.people)  # ``people`` need not be sorted
    change = found.change[order][np.searchsorted(found.people[order], kept)]
    return kept[np.argsort(-change, kind="stable")]


def bridges(
    ranker: FusedRanker,
    item_features: Sequence[str],
    user_features: Sequence[str],
    split: Split,
    found: ListChanges,
    users: np.ndarray,
    task: Task,
) -> list[Bridge]:
    """The evidence for some people of ``found``, in the order of ``users``.

    Args:
        item_features: (I,) reasoned feature of each item.
        user_features: (U,) core preference of each user.
        split: with the held-out items that confirm, or do not.
        users: (n,) int64 user rows, each with a crossing.
    """
    known, people = split.histories("test"), ranker.parts.people
    catalogue, semantics = people.training.catalogue, ranker.parts.graphs.semantics
    told = []
    for user in users.tolist():
        query = Queries(np.array([user]), known.take(np.array([user])), task)
        history, target = query.histories[0], int(split.test[user])
        ballot = masked(people.votes(query).toarray(), query.histories)[0]
        total = float(ballot[np.isfinite(ballot)].sum()) or 1.0
        best = [int(row) for row in np.argsort(-ballot, kind="stable")[:MOST_CHOICES] if ballot[row] > 0]
        ((speakers, _, said),) = people.voters(query)
        crossed = [
            Crossed(
                item_id=catalogue.ids[item],
                title=catalogue.name_of(item),
                rank=int(found.ranks[at]) + 1,
                rank_alone=int(found.ranks_alone[at]) + 1,
                likeness=float((semantics[history] @ semantics[item]).max()) if len(history) else 0.0,
                spoken_for=int((said == item).sum()),
                confirmed=item == target,
            )
            for at in np.flatnonzero(found.users == user)
            for item in [int(found.items[at])]
        ]
        told.append(
            Bridge(
                user_id=people.training.user_ids[user],
                change=float(found.change[found.people == user][0]),
                preference=user_features[user],
                interests=explicit_interests(ranker, item_features, history, query.ordered)[:MOST_INTERESTS],
                group=[GroupChoice(catalogue.ids[r], catalogue.name_of(r), float(ballot[r]) / total) for r in best],
                speakers=speakers,
                crossed=crossed,
                held_out_id=catalogue.ids[target],
                held_out_title=catalogue.name_of(target),
                confirmed=any(c.confirmed for c in crossed),
            )
        )
    return told
