"""The supplier without an LLM: which attributes the buyers of an item, or a person, take more and less than others.

Counts training interactions only, writes the three fields of steps 1 and 2 (paper, section 3) in plain sentences, and
gives the same bytes for the same input. Works through rows in blocks, so that memory does not grow with their number
where a caller does not keep the sentences. Knows nothing about prompts, models or files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from isrf.core.config import ReasoningSettings
from isrf.core.progress import track
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue, TrainingData
from isrf.reasoning.attributes.function_words import Wording
from isrf.reasoning.attributes.terms import VALUE_BYTES, Terms, read_terms, reading_of
from isrf.reasoning.sentences import Reasons, feature, preference, sentence
from isrf.reasoning.text import clean, join

BLOCK = 1024
"""Rows whose sentences are made and given out together."""
CELLS = 1 << 20
"""Counts held at once, about 64 bytes each with what is computed from them; one popular item alone may need more."""
COMMON = 300
"""How many of the most bought attributes are looked at for what is missing: rarer ones are missing everywhere."""
OWN, TASTES, MISSING = 9, 10, 3
"""Most attributes named as an item's own, as over-represented, and as under-represented."""
LATELY = 4
"""Attributes named of each of a person's newest items."""


@dataclass(frozen=True)
class AttributeStatistics:
    """What is counted once and shared by items, users and people who are not in the log.

    Attributes:
        training: the interactions that were counted.
        settings: shrinkage, history length, word limits.
        terms: T attribute values and title words, and which item has which.
        share: (T,) float64, share of training interactions whose item has the attribute.
        telling: (T,) bool, attributes that two items or more share, no fragment of a word, no word of most items and no bare
            number.
        place: (T,) int32, place of the attribute in the order in which an item's own are chosen: those that are shared
            with another item before the rest, rare before frequent, ties by name.
        common: (C,) int64, the most bought telling attributes, most bought first, C <= ``COMMON``.
    """

    training: TrainingData
    settings: ReasoningSettings
    terms: Terms
    share: np.ndarray
    telling: np.ndarray
    place: np.ndarray
    common: np.ndarray

    @classmethod
    def fit(cls, training: TrainingData, settings: ReasoningSettings) -> AttributeStatistics:
        """Read the catalogue's attributes and count how often each is bought; each item of a user counts once."""
        training = replace(training, histories=training.histories.plain())
        terms = read_terms(training.catalogue)
        bought = np.zeros(len(terms.names))
        for start in range(0, training.n_items, 64 * BLOCK):  # in float64 and by parts: exact, and small
            part = terms.has[start : start + 64 * BLOCK]
            times = np.repeat(training.popularity[start : start + 64 * BLOCK], np.diff(part.indptr))
            bought += np.bincount(part.indices, weights=times, minlength=len(bought))
        share = bought / max(len(training.histories.items), 1)
        # a bare number (a year, a size) is a fact about an item, but nobody's taste
        number = np.fromiter((term.isdigit() for term in terms.names), dtype=bool, count=len(terms.names))
        telling = (terms.items_with >= 2) & ~terms.fragment & ~terms.everywhere & ~number
        place = np.empty(len(terms.names), dtype=np.int32)
        place[np.lexsort((terms.items_with, ~telling))] = np.arange(len(place))
        common = np.argsort(-share * telling, kind="stable")[:COMMON]
        return cls(training, settings, terms, share, telling, place, common[telling[common]])

    def lift(self, counts: np.ndarray, total: np.ndarray | float, columns: np.ndarray) -> np.ndarray:
        """How much more often than expected an attribute is bought, pulled towards 1.

        Args:
            counts: interactions with the attribute.
            total: all interactions looked at, same shape as ``counts`` or a number.
            columns: the attribute of each count.

        Returns:
            (counts + k) / (total * share + k), k = ``lift_shrinkage`` in interactions; 1 = as expected.
        """
        k = self.settings.lift_shrinkage
        return (counts + k) / (total * self.share[columns] + k)

    def items(self) -> Reasons:
        """All of ``items_in_blocks`` at once, with progress."""
        blocks = -(-self.training.n_items // BLOCK)
        return Reasons.joined(track(self.items_in_blocks(), "attribute statistics of items", blocks))

    def items_in_blocks(self, only: np.ndarray | None = None) -> Iterator[Reasons]:
        """Who would enjoy each item, who would not, what it is and for whom (step 1).

        Args:
            only: (n,) int64 item rows; None = all.

        Yields:
            ``BLOCK`` rows at a time (the last block holds the rest), in that order. Shows no progress: a caller that takes the
            blocks has its own.
        """
        wanted = np.arange(self.training.n_items) if only is None else only
        lengths = self.training.histories.lengths
        others = np.asarray(self._buyers @ (lengths - 1.0)).ravel()
        # most counts that a row can have: an item bought with it, or an attribute of one
        touched = others + self.training.popularity
        width = self.terms.has.nnz / max(self.training.n_items, 1)
        cells = np.minimum(touched, self.training.n_items) + np.minimum(touched * width, len(self.terms.names))
        for first in range(0, len(wanted), BLOCK):
            reasons = Reasons([], [], [])
            for start, stop in _parts(cells[wanted], first, min(first + BLOCK, len(wanted))):
                part = wanted[start:stop]
                rows = zip(part.tolist(), *self._tastes(self._bought_beside(part), others[part]), strict=True)
                for row, tastes, missing in rows:
                    self._write_item(reasons, row, tastes, missing)
            yield reasons

    def users(self, histories: Histories) -> Reasons:
        """All of ``users_in_blocks`` at once, with progress."""
        blocks = -(-len(histories) // BLOCK)
        return Reasons.joined(track(self.users_in_blocks(histories), "attribute statistics of users", blocks))

    def users_in_blocks(self, histories: Histories) -> Iterator[Reasons]:
        """Likes, dislikes and core preference of each history's most recent K items (step 2).

        Args:
            histories: (B,) item rows, oldest first; people of the log or anybody else. An empty one gets empty fields.

        Yields:
            ``BLOCK`` rows at a time (the last block holds the rest), in the order of ``histories``, without progress.
        """
        for start in range(0, len(histories), BLOCK):
            part = histories.take(np.arange(start, min(start + BLOCK, len(histories))))
            part = part.plain().recent(self.settings.user_history)
            counts = (part.matrix(self.training.n_items) @ self.terms.has).tocsr()
            reasons = Reasons([], [], [])
            for history, tastes, missing in zip(part, *self._tastes(counts, part.lengths.astype(float)), strict=True):
                self._write_user(reasons, history, tastes, missing)
            yield reasons

    def with_items(self, batch: Catalogue, order: np.ndarray, training: TrainingData) -> AttributeStatistics:
        """The same counts with more items, of which nothing is counted: what is known of attributes tells what they are.

        ``batch`` and ``order`` are those of ``Terms.with_items``, ``training`` has all items.
        """
        terms = self.terms.with_items(batch, order, *self._reading)
        found = replace(self, training=replace(training, histories=self.training.histories), terms=terms)
        found.__dict__["_reading"] = self._reading
        return found

    @cached_property
    def _reading(self) -> tuple[list[str], Wording]:
        return reading_of(self.training.catalogue)

    @cached_property
    def _buyers(self) -> sp.csr_matrix:
        """(I, U) float32: who bought each item."""
        return self.training.matrix.T.tocsr()

    def _bought_beside(self, rows: np.ndarray) -> sp.csr_matrix:
        """(n, T) float32: how often the buyers of n items bought each attribute elsewhere."""
        n, n_items = len(rows), self.training.n_items
        # a buyer's *other* items: the item itself is taken out of every buyer's history
        itself = (self.training.popularity[rows], (np.arange(n), rows))
        # whole numbers in float32 are exact, so the order of the products changes no count
        together = self._buyers[rows] @ self.training.matrix - sp.csr_matrix(itself, shape=(n, n_items))
        return (together @ self.terms.has).tocsr()

    def _tastes(self, counts: sp.csr_matrix, totals: np.ndarray) -> tuple[list[list[int]], list[list[int]]]:
        """For each row the attributes that are bought more, and those bought less, than expected.

        Args:
            counts: (B, T) interactions with each attribute.
            totals: (B,) float64, all interactions that were counted.
        """
        return self._over(counts, totals), self._missing(counts, totals)

    def _over(self, counts: sp.csr_matrix, totals: np.ndarray) -> list[list[int]]:
        """Over-represented attributes of each row, most telling first: count times log lift, ties by name."""
        kept = np.flatnonzero(self.telling[counts.indices] & (counts.data > 0))
        rows = np.repeat(np.arange(len(totals), dtype=np.int32), np.diff(counts.indptr))[kept]
        columns, found = counts.indices[kept], counts.data[kept].astype(np.float64)
        lift = self.lift(found, totals[rows], columns)
        more = lift > 1
        rows, columns = rows[more], columns[more]
        # rounded: a different order of summation must not change which of two equals comes first
        score = -np.round(np.sqrt(found[more]) * np.log(lift[more]), 6)
        ends = np.searchsorted(rows, np.arange(len(totals) + 1)).tolist()
        return [self._first(columns[a:b], score[a:b]) for a, b in pairwise(ends)]

    def _first(self, columns: np.ndarray, score: np.ndarray) -> list[int]:
        """The ``TASTES`` distinct attributes of lowest score, ties by name."""
        if len(columns) > 8 * TASTES:  # sorting thousands for the sake of ten is most of the work on dense logs
            head = score <= np.partition(score, 4 * TASTES)[4 * TASTES]
            if head.sum() < len(head) and len(first := self._first(columns[head], score[head])) == TASTES:
                return first
        return self._distinct(columns[np.lexsort((columns, score))].tolist(), TASTES)

    def _missing(self, counts: sp.csr_matrix, totals: np.ndarray) -> list[list[int]]:
        """For each row the common attributes that are bought least, compared with what is expected."""
        found = counts[:, self.common].toarray().astype(np.float64)
        lift = np.round(self.lift(found, totals[:, None], self.common[None, :]), 6)
        ranked = np.argsort(lift, axis=1, kind="stable")[:, : 4 * MISSING]
        below = (np.take_along_axis(lift, ranked, axis=1) < 1).sum(axis=1).tolist()
        return [
            self._distinct(least[:n], MISSING) for least, n in zip(self.common[ranked].tolist(), below, strict=True)
        ]

    def _distinct(self, columns: Iterable[int], n: int) -> list[int]:
        """The first ``n`` attributes, leaving out other forms of one already taken (nail, nails): up to two letters."""
        taken: list[int] = []
        names, shorter = set[str](), set[str]()
        for column in columns:
            name = self.terms.names[column]
            if name in names or name in shorter or name[:-1] in names or name[:-2] in names:
                continue
            taken.append(column)
            if len(taken) == n:
                break
            names.add(name)
            shorter.update((name[:-1], name[:-2]))
        return taken

    def _own(self, row: int) -> list[int]:
        """An item's own attributes: the rarest that are shared with another item, then the rest; in reading order."""
        found = self.terms.of(row)
        whole = found[~(self.terms.fragment | self.terms.everywhere)[found]]
        chosen = set(self._distinct(whole[np.argsort(self.place[whole])].tolist(), OWN))
        return [t for t in whole.tolist() if t in chosen]

    def _lately(self, own: list[list[int]]) -> list[str]:
        """Names of the first attributes of each of a person's items, the newest item first."""
        return self._names(self._distinct((t for item in own for t in item[:LATELY]), TASTES))

    def _names(self, columns: list[int]) -> list[str]:
        return [self.terms.names[t] for t in columns]

    def _write_item(self, reasons: Reasons, row: int, tastes: list[int], missing: list[int]) -> None:
        own = self._names(self._own(row))
        likes, dislikes = self._names(tastes), self._names(missing)
        what = own
        if not own:  # never the item's id: a number that carries order would reach the encoder and leak it
            title = clean(self.training.catalogue.table[Columns.TITLE][row], VALUE_BYTES)
            what = [title] if title else []
        if not what and not likes:
            reasons.add()
            return
        extra = [name for name in likes if name not in own]
        in_title = set(self._names(self.terms.of(row)[: self.terms.titled[row]].tolist()))
        named = " ".join(name for name in what if name in in_title)
        phrase = join([*([named] if named else []), *(name for name in what if name not in in_title)])
        most = self.settings.preference_words
        reasons.add(
            sentence("People who buy", likes or what, most),
            sentence("People who mostly buy", dislikes, most)
            if dislikes
            else sentence("People who do not look for", what[:MISSING], most),
            feature(phrase, extra, self.settings.feature_words),
        )

    def _write_user(self, reasons: Reasons, history: np.ndarray, tastes: list[int], missing: list[int]) -> None:
        own = [self._own(item) for item in history[::-1].tolist()]
        lately = self._lately([[t for t in item if not self.terms.number[t]] for item in own])
        # of whose items nothing but numbers is known, these are better than nothing
        likes = self._names(tastes) or lately or self._lately(own)
        if not likes:  # no items, or none of them has a text
            reasons.add()
            return
        most = self.settings.preference_words
        extra = [name for name in lately if name not in likes]
        # less than others buy it, but some: nobody is told to dislike what is named as theirs
        theirs = {part for name in (*likes, *lately) for part in (name, *name.split())}
        dislikes = [name for name in self._names(missing) if name not in theirs]
        reasons.add(
            sentence("Buys", likes, most),
            sentence("Hardly buys", dislikes, most) if dislikes else "Nothing in particular.",
            preference(likes, extra, most),
        )


def _parts(cells: np.ndarray, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut rows ``start`` to ``stop`` where the next would bring a part above ``CELLS``; a part has at least one row."""
    ends = np.cumsum(cells[start:stop])
    done, spent = 0, 0.0
    while done < len(ends):
        end = max(int(np.searchsorted(ends, spent + CELLS, side="right")), done + 1)
        yield start + done, start + end
        done, spent = end, float(ends[end - 1])
