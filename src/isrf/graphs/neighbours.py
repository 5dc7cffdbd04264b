"""Whoever asks: users of the log, and people known only by a few items. Finds their group either way.

A user of the log has the neighbours of the similar-user graph. Somebody else gets a core preference by attribute
statistics, the encoder turns it into a vector, and their neighbours are found exactly as for the graph; so does a user of the
log of whom more became known, who is no neighbour of their own. Knows nothing about scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import scipy.sparse as sp

from isrf.core.config import Settings
from isrf.data.histories import Histories
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.graphs.backoff import grown
from isrf.graphs.build import user_nodes
from isrf.graphs.groups import GroupProfile, group_profile, item_votes, user_item_votes
from isrf.graphs.prefix_index import PrefixIndex, present_interests
from isrf.graphs.similar_users import UserGraph, nearest
from isrf.reasoning.attributes.statistics import AttributeStatistics
from isrf.semantics.encode import Encoder
from isrf.semantics.features import Semantics
from isrf.semantics.index import VectorIndex, exact_index

REMEMBERED = 1000
"""People whose neighbours are remembered, of each kind of likeness, those of the last question in any case: encoding a
preference is half of what an answer costs, and scores and reasons ask for the same moments."""


@dataclass(frozen=True)
class Neighbours:
    """Neighbours and group profiles of anybody.

    Attributes:
        training: users, catalogue, training histories.
        semantics: item and user features.
        graph: the similar-user graph.
        groups: (U,) group profiles of users of the log.
        moments: of the same training histories: the similar-user graph for people whose order is known.
        settings: how preferences are reasoned, encoded and linked.
        vectors: cache of encoded texts; None keeps them in memory.
    """

    training: TrainingData
    semantics: Semantics
    graph: UserGraph
    groups: GroupProfile
    moments: PrefixIndex
    settings: Settings
    vectors: Path | None = None
    _users_like: dict[bytes, sp.csr_matrix] = field(default_factory=dict, init=False, repr=False, compare=False)
    _moments_like: dict[bytes, sp.csr_matrix] = field(default_factory=dict, init=False, repr=False, compare=False)
    _remembering: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def with_items(self, training: TrainingData, semantics: Semantics, statistics: AttributeStatistics) -> Neighbours:
        """The same people with more items in the catalogue; what was made once of people is shared."""
        found = replace(self, training=training, semantics=semantics)
        shared: dict[str, Any] = {
            name: self.__dict__[name] for name in ("index", "present", "node_semantics") if name in self.__dict__
        }
        choices = grown(self.choices, training.n_items, rows=False)
        found.__dict__.update(shared, encoder=self.encoder, statistics=statistics, choices=choices)
        return found

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(self.settings.semantics, self.vectors)

    @cached_property
    def statistics(self) -> AttributeStatistics:
        return AttributeStatistics.fit(self.training, self.settings.reasoning)

    @cached_property
    def index(self) -> VectorIndex:
        return exact_index(self.semantics.users)

    @cached_property
    def present(self) -> np.ndarray:
        """(U,) bool: whether the user has a semantic feature."""
        return np.any(self.semantics.users != 0, axis=1)

    @cached_property
    def by_item(self) -> sp.csc_matrix:
        """(U, I) training interactions, quick to read by item."""
        return self.training.matrix.tocsc()

    def buyers(self, item: int) -> np.ndarray:
        """(n,) user rows of who chose an item."""
        return self.by_item.indices[self.by_item.indptr[item] : self.by_item.indptr[item + 1]]

    @cached_property
    def choices(self) -> sp.csr_matrix:
        return user_item_votes(self.training.histories, self.training.n_items, self.settings.graphs.decay)

    @cached_property
    def node_semantics(self) -> np.ndarray:
        return user_nodes(self.graph, self.semantics.users, self.settings.graphs.user_layers)

    def links(self, queries: Queries) -> sp.csr_matrix:
        """(B, U) float32 cosine of each person to the users of the log that are like them."""
        n = self.training.n_users
        users = queries.stored
        known = users >= 0
        choose = sp.csr_matrix(
            (known.astype(np.float32), (np.arange(len(users)), np.maximum(users, 0))), shape=(len(users), n)
        )
        choose.eliminate_zeros()
        links = sp.csr_matrix(choose @ self.graph.links)
        for strangers, found in self._links_of_strangers(queries):
            place = sp.csr_matrix(
                (np.ones(len(strangers), np.float32), (strangers, np.arange(len(strangers)))),
                shape=(len(users), len(strangers)),
            )
            links = sp.csr_matrix(links + place @ found)
        return links

    def _links_of_strangers(self, queries: Queries) -> Iterator[tuple[np.ndarray, sp.csr_matrix]]:
        """Places in ``queries`` of those who are read by their history alone, and their links; nobody without a history."""
        strangers = (queries.stored < 0) & (queries.histories.lengths > 0)
        for in_log in (False, True):
            places = np.flatnonzero(strangers & ((queries.users >= 0) == in_log))
            if len(places):
                own = queries.users[places] if in_log else None
                yield places, self.cold_user_neighbours(queries.histories.take(places), own)

    def cold_user_neighbours(self, histories: Histories, own: np.ndarray | None = None) -> sp.csr_matrix:
        """(B, U) links of people known by their items alone; ``own`` (B,) are user rows nobody is linked to themselves."""

        def found() -> sp.csr_matrix:
            vectors = self.encoder(self.preferences(histories), "encode preferences")
            graphs = self.settings.graphs
            similarity, rows = nearest(self.index, vectors, graphs.top_k, own)
            # as in the graph, nobody without a feature is linked: neither who asks nor who answers
            usable = (similarity >= graphs.tau) & self.present[rows] & np.any(vectors != 0, axis=1)[:, None]
            people = np.repeat(np.arange(len(vectors)), usable.sum(1))
            return sp.csr_matrix(
                (np.clip(similarity[usable], -1, 1), (people, rows[usable])),
                shape=(len(vectors), self.training.n_users),
                dtype=np.float32,
            )

        return self._remember(self._users_like, histories, own, found)

    def moment_links(self, queries: Queries) -> sp.csr_matrix:
        """(B, N) float32 weight of other people's moments like the present one of each person."""
        histories, users = queries.histories, queries.users

        def found() -> sp.csr_matrix:
            present = present_interests(histories, self.semantics.items, self.settings.graphs.decay)
            return self.moments.links(present, users)

        return self._remember(self._moments_like, histories, users, found)

    def _remember(
        self,
        known: dict[bytes, sp.csr_matrix],
        histories: Histories,
        users: np.ndarray | None,
        find: Callable[[], sp.csr_matrix],
    ) -> sp.csr_matrix:
        """Links of these people, found once: scoring, profiles and reasons ask for them, and a page that is opened again."""
        key = histories.items.tobytes() + histories.offsets.tobytes() + (b"" if users is None else users.tobytes())
        key += b"" if histories.weights is None else histories.weights.tobytes()
        found = known.get(key)
        if found is None:
            found = find()
            with self._remembering:
                while known and sum(k.shape[0] for k in known.values()) + len(histories) > REMEMBERED:
                    del known[next(iter(known))]
                known[key] = found
        return found

    def votes(self, queries: Queries) -> sp.csr_matrix:
        """(B, I) float32: what the people like each person speak for.

        Where order counts, those who stood where the person stands now, for what they chose next; else those who are
        like the person on the whole, for all that they chose.
        """
        if queries.ordered:
            return self.moments.votes(self.moment_links(queries), self.training.n_items)
        return item_votes(self.links(queries), self.choices)

    def voters(self, queries: Queries) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Of each person: how many people speak to them, and who says what: (n,) user rows and (n,) item rows.

        Each pair of a user and an item comes once.
        """
        found = []
        links = self.moment_links(queries) if queries.ordered else self.links(queries)
        for person in range(len(queries)):
            told = links.indices[links.indptr[person] : links.indptr[person + 1]]
            if queries.ordered:
                users, items = self.moments.users[told], self.moments.chosen[told]
            else:
                said = self.training.histories.take(told)
                users, items = told[said.rows()], said.items
            pairs = np.unique(np.stack([users, items]), axis=1)
            found.append((len(np.unique(users)), pairs[0], pairs[1]))
        return found

    def past_groups(self, cuts: np.ndarray) -> tuple[GroupProfile, sp.csr_matrix]:
        """(U,) groups of the users of the log found from the first ``cuts[u]`` items of each history, and (U, U) links.

        The generator trains on these: it learns what a group is worth for items that the group was not found by.
        """
        histories = self.training.histories
        past = histories.kept(np.repeat(histories.lengths - cuts, histories.lengths) <= histories.age())
        links = self.cold_user_neighbours(past, np.arange(len(past)))
        return group_profile(links, self.choices, self.node_semantics), links

    def preferences(self, histories: Histories) -> list[str]:
        """(B,) core preference of each history, by attribute statistics."""
        return self.statistics.users(histories).features

    def profiles(self, queries: Queries) -> GroupProfile:
        """(B,) what each person's group chose."""
        profile = self.groups.take(queries.stored)
        for strangers, links in self._links_of_strangers(queries):
            found = group_profile(links, self.choices, self.node_semantics)
            profile.items[strangers] = found.items
            profile.weights[strangers] = found.weights
            profile.semantics[strangers] = found.semantics
        return profile


def without_neighbours(people: Neighbours) -> Neighbours:
    """The same people with the similar-user graph emptied: nobody has a neighbour (ablation)."""
    n = people.training.n_users
    empty = UserGraph(sp.csr_matrix((n, n), dtype=np.float32), np.full(n, -1.0, dtype=np.float32))
    nobody = GroupProfile.empty(n, people.groups.semantics.shape[1])
    # without features nobody in the log can be like a newcomer either
    faceless = replace(people.semantics, users=np.zeros_like(people.semantics.users))
    silent = PrefixIndex.of(Histories.of([]), people.semantics.items, people.settings.graphs)
    return Neighbours(people.training, faceless, empty, nobody, silent, people.settings)
