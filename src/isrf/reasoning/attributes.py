"""The supplier without an LLM: which attributes the buyers of an item, or a person, take more and less than others.

Counts training interactions only, writes the three fields of steps 1 and 2 (paper, section 3) in plain sentences, and
gives the same bytes for the same input. Knows nothing about prompts, models or files.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from isrf.config import ReasoningSettings
from isrf.data.dataset import LIST_SEPARATOR
from isrf.data.split import Catalogue, Histories, TrainingData
from isrf.progress import track
from isrf.reasoning.text import YEAR, clean, join, limit_words, words

BLOCK = 1024
"""Rows counted at once; bounds the memory of the attribute counts."""
TERMS_PER_ITEM = 48
"""Most attributes of one item; the rest of an endless description is not read."""
VALUE_BYTES = 60
"""Longest single attribute value; what is longer is prose and counted by its words."""
TEXT_BYTES = 2000
"""How much of one attribute's text is read."""
COMMON = 300
"""How many of the most bought attributes are looked at for what is missing: rarer ones are missing everywhere."""
OWN, TASTES, MISSING = 9, 10, 3
"""Most attributes named as an item's own, as over-represented, and as under-represented."""


@dataclass(frozen=True)
class Reasons:
    """The three fields of every row: who or what is liked, disliked, and the concise feature that reconciles both."""

    likes: list[str]
    dislikes: list[str]
    features: list[str]


@dataclass(frozen=True)
class AttributeStatistics:
    """What is counted once and shared by items, users and people who are not in the log.

    Attributes:
        training: the interactions that were counted.
        settings: shrinkage, history length, word limits.
        terms: (T,) attribute values and title words, sorted.
        own: for each item the columns of ``terms`` it has, in reading order.
        has: (I, T) float32 CSR, 1 where the item has the attribute.
        share: (T,) float64, share of training interactions whose item has the attribute.
        telling: (T,) bool, attributes that two items or more share, no fragment of a word and no bare number.
        fragment: (T,) bool, a piece of a word, as automatic keywords often are; never named.
        rarity: (T,) float64, log of inverse item frequency.
    """

    training: TrainingData
    settings: ReasoningSettings
    terms: list[str]
    own: list[list[int]]
    has: sp.csr_matrix
    share: np.ndarray
    telling: np.ndarray
    fragment: np.ndarray
    rarity: np.ndarray

    @classmethod
    def fit(cls, training: TrainingData, settings: ReasoningSettings) -> AttributeStatistics:
        """Read the catalogue's attributes and count how often each is bought."""
        per_item = [_terms_of(texts) for texts in _attribute_texts(training.catalogue)]
        frequency = Counter(term for found in per_item for term in found)
        terms = sorted(frequency)
        column = {term: t for t, term in enumerate(terms)}
        own = [[column[term] for term in found] for found in per_item]
        offsets = np.concatenate([[0], np.cumsum([len(found) for found in own])]).astype(np.int64)
        columns = np.array([t for found in own for t in found], dtype=np.int64)
        has = sp.csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=(len(own), len(terms)))
        bought = has.T @ training.popularity.astype(np.float64)
        items_with = np.array([frequency[term] for term in terms], dtype=np.float64)
        fragment = _fragments(
            terms, frequency, {word for title in training.catalogue.titles for word in _words_of(title)}
        )
        # a bare number (a year, a size) is a fact about an item, but nobody's taste
        number = np.array([term.isdigit() for term in terms], dtype=bool)
        telling = (items_with >= 2) & ~fragment & ~number
        rarity = np.log(max(len(own), 1) / np.maximum(items_with, 1))
        share = bought / max(len(training.histories.items), 1)
        return cls(training, settings, terms, own, has, share, telling, fragment, rarity)

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
        """Who would enjoy each item, who would not, what it is and for whom (step 1), in item-row order."""
        matrix, lengths = self.training.matrix, self.training.histories.lengths
        bought = (matrix @ self.has).tocsr()  # (U, T): the attributes in each person's history
        buyers = matrix.T.tocsr()  # (I, U)
        others = np.asarray(buyers @ (lengths - 1.0)).ravel()
        own_weight = sp.diags(self.training.popularity).tocsr()
        reasons = Reasons([], [], [])
        for start in track(range(0, len(self.own), BLOCK), "attribute statistics of items"):
            stop = min(start + BLOCK, len(self.own))
            # a buyer's *other* items: the item itself is taken out of every buyer's history
            counts = (buyers[start:stop] @ bought - (own_weight[start:stop] @ self.has)).tocsr()
            missing = self._missing(counts, others[start:stop])
            for row in range(start, stop):
                tastes = self._over(counts, row - start, float(others[row]))
                self._write_item(reasons, row, tastes, missing[row - start])
        return reasons

    def users(self, histories: Histories) -> Reasons:
        """Likes, dislikes and core preference of each history's most recent K items (step 2), in the same order.

        Args:
            histories: (B,) item rows, oldest first; people of the log or anybody else. An empty one gets empty fields.
        """
        recent = histories.recent(self.settings.user_history)
        reasons = Reasons([], [], [])
        for start in track(range(0, len(recent), BLOCK), "attribute statistics of users"):
            part = recent.take(np.arange(start, min(start + BLOCK, len(recent))))
            counts = (part.matrix(len(self.own)) @ self.has).tocsr()
            totals = part.lengths.astype(np.float64)
            missing = self._missing(counts, totals)
            for row, history in enumerate(part):
                self._write_user(reasons, history, self._over(counts, row, totals[row]), missing[row])
        return reasons

    def _over(self, counts: sp.csr_matrix, row: int, total: float) -> list[int]:
        """Over-represented attributes of one row, most telling first: count times log lift, ties by name."""
        part = slice(counts.indptr[row], counts.indptr[row + 1])
        columns, found = counts.indices[part], counts.data[part].astype(np.float64)
        lift = self.lift(found, total, columns)
        # rounded: a different order of summation must not change which of two equals comes first
        score = np.round(np.sqrt(np.maximum(found, 0)) * np.log(lift), 6)
        keep = (lift > 1) & (found > 0) & self.telling[columns]
        columns, score = columns[keep], score[keep]
        return self._distinct(columns[np.lexsort((columns, -score))], TASTES)

    def _missing(self, counts: sp.csr_matrix, totals: np.ndarray) -> list[list[int]]:
        """For each row the common attributes that are bought least, compared with what is expected."""
        common = np.argsort(-self.share * self.telling, kind="stable")[:COMMON]
        common = common[self.telling[common]]
        found = counts[:, common].toarray().astype(np.float64)
        lift = np.round(self.lift(found, totals[:, None], common[None, :]), 6)
        ranked = np.argsort(lift, axis=1, kind="stable")[:, : 4 * MISSING]
        return [
            self._distinct(common[[c for c in order if lift[row, c] < 1]], MISSING) for row, order in enumerate(ranked)
        ]

    def _distinct(self, columns: np.ndarray, n: int) -> list[int]:
        """The first ``n`` attributes, leaving out other forms of one already taken (nail, nails)."""
        taken: list[int] = []
        for column in columns:
            if not any(_same_word(self.terms[column], self.terms[t]) for t in taken):
                taken.append(int(column))
                if len(taken) == n:
                    break
        return taken

    def _own(self, row: int) -> list[int]:
        """An item's own attributes: the rarest that are shared with another item, then the rest; in reading order."""
        whole = [t for t in self.own[row] if not self.fragment[t]]
        order = sorted(whole, key=lambda t: (not self.telling[t], -self.rarity[t], t))
        chosen = set(self._distinct(np.array(order, dtype=np.int64), OWN))
        return [t for t in whole if t in chosen]

    def _names(self, columns: list[int]) -> list[str]:
        return [self.terms[t] for t in columns]

    def _write_item(self, reasons: Reasons, row: int, tastes: list[int], missing: list[int]) -> None:
        # never the item's id: a number that carries order would reach the encoder and leak it
        title = self.training.catalogue.titles[row]
        own = self._names(self._own(row)) or _words_of(title)[:OWN]
        what = own or [text for text in [clean(title, VALUE_BYTES)] if text]
        likes, dislikes = self._names(tastes), self._names(missing)
        if not what and not likes:  # nothing is known, so nothing is said
            for texts in (reasons.likes, reasons.dislikes, reasons.features):
                texts.append("")
            return
        reasons.likes.append(_sentence("People who buy", likes or what, self.settings.preference_words))
        reasons.dislikes.append(
            _sentence("People who mostly buy", dislikes, self.settings.preference_words)
            if dislikes
            else _sentence("People who do not look for", what[:MISSING], self.settings.preference_words)
        )
        extra = [name for name in likes if name not in own]
        in_title = set(_words_of(title))
        named = " ".join(name for name in what if name in in_title)
        phrase = join([*([named] if named else []), *(name for name in what if name not in in_title)])
        reasons.features.append(_feature(phrase, extra, self.settings.feature_words))

    def _write_user(self, reasons: Reasons, history: np.ndarray, tastes: list[int], missing: list[int]) -> None:
        if not len(history):
            for texts in (reasons.likes, reasons.dislikes, reasons.features):
                texts.append("")
            return
        newest = [self._own(int(item)) for item in history[::-1]]
        lately = self._names(self._distinct(np.array([t for own in newest for t in own[:4]], dtype=np.int64), TASTES))
        likes = self._names(tastes) or lately
        if not likes:  # none of their items has a text
            for texts in (reasons.likes, reasons.dislikes, reasons.features):
                texts.append("")
            return
        reasons.likes.append(_sentence("Buys", likes, self.settings.preference_words))
        reasons.dislikes.append(
            _sentence("Hardly buys", self._names(missing), self.settings.preference_words)
            if missing
            else "Nothing in particular."
        )
        extra = [name for name in lately if name not in likes]
        reasons.features.append(_preference(likes, extra, self.settings.preference_words))


def _attribute_texts(catalogue: Catalogue) -> Iterator[tuple[str, list[str]]]:
    """Title and attribute texts of each item, in column order."""
    columns = [catalogue.table[name].to_list() for name in catalogue.attribute_columns]
    for row, title in enumerate(catalogue.titles):
        yield title, [column[row] for column in columns if column[row]]


def _words_of(title: str) -> list[str]:
    return words(clean(title, TEXT_BYTES))


PATH_STEP = re.compile(r"\s+>\s+")
"""Between the levels of a category path, as in "Home > Kitchen > Kettle": each level is an attribute of its own."""


def _terms_of(texts: tuple[str, list[str]]) -> list[str]:
    """Title words, then attribute values (words, where a value is prose), lower case, in reading order, no repeats."""
    title, attributes = texts
    found = _words_of(title)
    for text in attributes:
        for value in PATH_STEP.split(text[: 4 * TEXT_BYTES].replace(LIST_SEPARATOR, " > ")):
            value = clean(value, TEXT_BYTES).lower()
            if len(value.encode()) > VALUE_BYTES:
                found += words(value)
            elif YEAR.fullmatch(value) or (any(c.isalpha() for c in value) and (" " in value or words(value))):
                found.append(value)
    return list(dict.fromkeys(found))[:TERMS_PER_ITEM]


def _same_word(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and len(long) - len(short) <= 2


def _fragments(terms: list[str], frequency: Counter[str], title_words: set[str]) -> np.ndarray:
    """(T,) bool: single words of no title that begin a commoner word, e.g. "cultiv" beside "cultivated"."""
    found = np.zeros(len(terms), dtype=bool)
    for t, (term, after) in enumerate(pairwise([*terms, ""])):
        if " " in term or term in title_words or not after.startswith(term):
            continue
        stop = bisect_right(terms, term + "\uffff", lo=t)
        found[t] = max(frequency[other] for other in terms[t + 1 : stop]) > frequency[term]
    return found


def _sentence(opening: str, names: list[str], most_words: int) -> str:
    return limit_words(f"{opening} {join(names)}.", most_words)


def _feature(what: str, tastes: list[str], most_words: int) -> str:
    """What it is, and for whom: as many tastes as the word limit leaves room for."""
    kept, room = [], most_words - len(what.split()) - 2
    for name in tastes:
        if len(name.split()) > room:
            break
        kept.append(name)
        room -= len(name.split())
    text = f"{what} for {join(kept)} buyers.".lstrip() if kept else f"{what}."
    return limit_words(text[:1].upper() + text[1:], most_words)


def _preference(likes: list[str], lately: list[str], most_words: int) -> str:
    text = f"{join(likes)}, lately {join(lately)}." if lately else f"{join(likes)}."
    return limit_words(text[:1].upper() + text[1:], most_words)
