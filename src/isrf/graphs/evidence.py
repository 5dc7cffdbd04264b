"""What the interest graphs say about the candidates of training examples, each example's own part taken out.

The graphs hold the edge from a person's items to the very item that is to be predicted: read as they are, they would
give the answer away in training and be missed at test. So what a person put into the item graphs is subtracted
before the person's example reads them (leave-one-out), and the group is one that was found from the past alone. Knows
nothing about the generator that weighs the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from isrf.data.training_data import TrainingData
from isrf.graphs.groups import item_votes, positive, user_item_votes
from isrf.graphs.item_graphs import ItemGraphs
from isrf.graphs.own_edges import Examples, OwnEdges
from isrf.graphs.prefix_index import PrefixIndex

EVIDENCE = ("transitions", "companions", "group")
"""What a candidate is judged by: names of ``graphs.signals``. The group comes last: not everybody reads it."""

SMALLEST = 1e-6
"""Evidence below this is what rounding leaves of an edge that was only the example's own."""


class TrainingEvidence:
    """The interest graphs of one training set, ready for examples out of it.

    Args:
        training: histories.
        graphs: item graphs of the same histories.
        links: (U, U) float32 cosine of each user to those who are like the first part of their history, heard in
            direct recommendation where an example reads the group.
        moments: of the same histories, heard in sequential recommendation at every target: other people's moments
            know nothing of a person's own choice. None leaves the group out of both.
    """

    def __init__(
        self, training: TrainingData, graphs: ItemGraphs, links: sp.csr_matrix | None, moments: PrefixIndex | None
    ) -> None:
        self.training, self.graphs = training, graphs
        self.links = None if moments is None else links
        # candidates are columns: a few thousand of them are cut out of every graph at every step
        self.transitions, self.cooccurrence = graphs.transitions.tocsc(), graphs.cooccurrence.tocsc()
        decay = graphs.settings.decay
        if moments is not None:
            self.choices = user_item_votes(training.histories, training.n_items, decay).tocsc()
            self.said = votes_at_choices(training, moments)
        self.offsets = training.histories.offsets[:-1]
        self.item_root = positive(training.popularity).astype(np.float32) ** -0.5
        self.lengths = positive(training.histories.totals()).astype(np.float32)
        self.own = None
        if training.histories.weights is not None or training.histories.repeated:
            self.own = OwnEdges.of(training, graphs)

    @property
    def kinds(self) -> int:
        """K: 2 without a group."""
        return 2 if self.links is None else 3

    def fill(self, told: np.ndarray, examples: Examples, candidates: np.ndarray) -> None:
        """Write the evidence of each kind, in the units of ``graphs.signals``, into a padded array.

        Args:
            told: (K, >= N, >= C) float32; what lies beyond N and C stays as it is.
            examples: N, whose target is among the candidates.
            candidates: (C,) int64 item rows, ascending.
        """
        # counts pile up on a few items: the root keeps their order and lets weaker evidence be heard
        for kind, found in enumerate(self._found(examples, candidates)):
            np.sqrt(found, out=told[kind, : len(examples), : len(candidates)])

    def _found(self, examples: Examples, candidates: np.ndarray) -> Iterator[np.ndarray]:
        settings = self.graphs.settings
        ahead = examples.target_places[:, None] - examples.places  # > 0: the target came later
        distance = np.maximum(np.abs(ahead), 1).astype(np.float32)
        heard = np.where(examples.mask, settings.decay ** (distance - 1) if examples.ordered else 1.0, 0.0)
        heard = heard.astype(np.float32)
        offsets = np.concatenate([[0], np.cumsum(examples.mask.sum(1))])
        shape = (len(examples), self.training.n_items)
        read = sp.csr_matrix((heard[examples.mask], examples.read[examples.mask], offsets), shape=shape)
        if self.own is None:
            near = np.where(np.abs(ahead) <= settings.window, distance**-settings.distance_power, 0.0)
            near *= np.where(ahead > 0, 1.0, settings.backward) * self.graphs.source[examples.read]
            beside = heard
        else:
            near = self.own.following(examples) * self.graphs.source[examples.read]
            beside = heard * self.own.together(examples)
        own_following = (heard * near).sum(1) * self.graphs.target[examples.targets]
        own_together = (beside * self.item_root[examples.read]).sum(1) * self.item_root[examples.targets]
        own_together /= self.lengths[examples.users]
        yield self._without_own(read, self.transitions, own_following, examples, candidates)
        yield self._without_own(read, self.cooccurrence, own_together, examples, candidates)
        if self.links is not None and examples.ordered:
            yield self.said[self.offsets[examples.users] + examples.target_places][:, candidates].toarray()
        elif self.links is not None:
            people, of_person = np.unique(examples.users, return_inverse=True)
            ballot = item_votes(self.links[people], self.choices[:, candidates]).toarray()
            yield ballot[of_person] * examples.with_group[:, None]

    @staticmethod
    def _without_own(
        read: sp.csr_matrix, graph: sp.csc_matrix, own: np.ndarray, examples: Examples, candidates: np.ndarray
    ) -> np.ndarray:
        found = (read @ graph[:, candidates].tocsr()).toarray()
        rows, places = np.arange(len(examples)), np.searchsorted(candidates, examples.targets)
        left = found[rows, places] - own
        found[rows, places] = np.where(left > SMALLEST, left, 0.0)
        return found


def votes_at_choices(training: TrainingData, moments: PrefixIndex) -> sp.csr_matrix:
    """(N, I) float32: for each of all N training interactions what other people's moments like the one before it speak for.

    Nothing for a user's first interaction, which has no moment before it.
    """
    links = moments.links(moments.vectors, moments.users, "moments like those of training")
    ballot = moments.votes(links, training.n_items)
    counts = np.zeros(len(training.histories.items), dtype=np.int64)
    counts[moments.places] = np.diff(ballot.indptr)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return sp.csr_matrix((ballot.data, ballot.indices, offsets), shape=(len(counts), training.n_items))
