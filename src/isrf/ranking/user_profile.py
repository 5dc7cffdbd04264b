"""One person in full: explicit interests, people like them, group interests, and what carried each recommendation.

Knows nothing about printing; ``cli`` shows what is returned here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from isrf.core.threads import threads_for
from isrf.data.queries import Queries
from isrf.graphs.groups import GroupProfile
from isrf.ranking.candidates import EVERY_ITEM, Candidates
from isrf.ranking.rankers import GENERATOR_SIGNAL, FusedRanker
from isrf.ranking.recommend import Recommendation, lists_of, recommend
from isrf.ranking.rules import NO_RULES, Rules

MOST_NEIGHBOURS = 5
MOST_SHARED = 3
MOST_GROUP_ITEMS = 8


@dataclass(frozen=True)
class Interest:
    """An explicit interest: an item of the history, its reasoned feature, and its strength (1 = the strongest)."""

    item_id: str
    title: str
    feature: str
    strength: float


@dataclass(frozen=True)
class Neighbour:
    """A similar user: original id, cosine, core preference, titles of items both chose."""

    user_id: str
    similarity: float
    preference: str
    shared: list[str]


@dataclass(frozen=True)
class GroupChoice:
    """An implicit group interest: an item the group likes and the person has not touched; share of the group's votes."""

    item_id: str
    title: str
    share: float


@dataclass(frozen=True)
class UserProfile:
    """Everything known about one person.

    Attributes:
        preference: likes, dislikes and feature as reasoned for the user; by statistics for a new person.
        interests: strongest first.
        neighbours: most similar first.
        group_size: all linked users.
        group: what the group likes beyond the history, strongest first.
        recommendations: with shares by owner.
        without_group: item ids of the same list had the person no group, in fusion and in the generator: what the
            group changed.
    """

    preference: dict[str, str]
    interests: list[Interest]
    neighbours: list[Neighbour]
    group_size: int
    group: list[GroupChoice]
    recommendations: list[Recommendation]
    without_group: list[str]


@threads_for(1)
def describe_user(
    ranker: FusedRanker,
    item_features: Sequence[str],
    user_features: Sequence[str],
    preference: dict[str, str],
    query: Queries,
    top: int = 10,
    candidates: Candidates = EVERY_ITEM,
    rules: Rules = NO_RULES,
) -> UserProfile:
    """The portrait of the one person in ``query``.

    Args:
        ranker: ``isrf`` or ``isrf-graph``.
        item_features: (I,) reasoned feature of each item.
        user_features: (U,) core preference of each user.
        preference: likes, dislikes and feature of this person.
        query: exactly one person.
        top: recommendations.
        candidates: what may be recommended.
        rules: of the lists.
    """
    people = ranker.parts.people
    catalogue, history = people.training.catalogue, query.histories[0]
    links = people.links(query)
    order = np.argsort(-links.data, kind="stable")
    own = set(history.tolist())
    neighbours = []
    for position in order[:MOST_NEIGHBOURS]:
        other = int(links.indices[position])
        shared = [catalogue.name_of(int(i)) for i in people.training.histories[other] if int(i) in own]
        neighbours.append(
            Neighbour(
                people.training.user_ids[other],
                float(links.data[position]),
                user_features[other],
                shared[:MOST_SHARED],
            )
        )
    ballot = people.votes(query).toarray().ravel()
    ballot[history] = 0
    total = float(ballot.sum()) or 1.0
    group = [
        GroupChoice(catalogue.ids[row], catalogue.name_of(int(row)), float(ballot[row]) / total)
        for row in np.lexsort((np.arange(len(ballot)), -ballot))[:MOST_GROUP_ITEMS]
        if ballot[row] > 0
    ]
    scores = score_without_group(ranker, query)
    alone = [catalogue.ids[row] for row in lists_of(ranker, scores, query, top, candidates, rules)[0]]
    return UserProfile(
        preference,
        explicit_interests(ranker, item_features, history, query.ordered),
        neighbours,
        links.nnz,
        group,
        recommend(ranker, item_features, query, top, candidates, rules)[0],
        alone,
    )


def score_without_group(ranker: FusedRanker, query: Queries) -> np.ndarray:
    """(B, I) float32: the fused score, had nobody a neighbour; the generator then reads that there is no group."""
    parts, fusion = ranker.parts, ranker.fusions[query.task]
    has_text = parts.people.settings.semantics.item_text != "none"
    signals = parts.graphs.score(
        query,
        lambda q: sp.csr_matrix((len(q), parts.people.training.n_items), dtype=np.float32),
        has_text,
        fusion.new_items,
    )
    if parts.generator is not None and parts.items is not None:
        from isrf.model.inference import generator_scores

        nobody = GroupProfile.empty(len(query), parts.people.semantics.users.shape[1])
        signals[GENERATOR_SIGNAL] = generator_scores(
            parts.generator, parts.items, query, nobody, signals, parts.new_item_offsets(fusion.new_items)
        )
    return fusion.score(signals)


def explicit_interests(
    ranker: FusedRanker, features: Sequence[str], history: np.ndarray, ordered: bool = True
) -> list[Interest]:
    """Items of a history by how much of the history is like them (cosine of features); if ordered, recent items count more."""
    if not len(history):
        return []
    graphs, catalogue = ranker.parts.graphs, ranker.parts.people.training.catalogue
    weight = (graphs.items.settings.decay if ordered else 1.0) ** np.arange(len(history) - 1, -1, -1)
    likeness = graphs.semantics[history] @ graphs.semantics[history].T
    strength = weight * (1 + np.maximum(likeness, 0) @ weight)
    strength = strength / strength.max()
    return [
        Interest(
            catalogue.ids[history[at]], catalogue.name_of(int(history[at])), features[history[at]], float(strength[at])
        )
        for at in np.argsort(-strength, kind="stable")
    ]
