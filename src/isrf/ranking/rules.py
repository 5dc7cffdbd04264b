"""Rules of a shop about lists: boosts before the top is taken, caps and diversity while it is. Knows nothing about people.

- A *boost* of b adds b times the spread (standard deviation over the catalogue) of a person's own fused scores to the
  items that it is about: 0 changes nothing, 1 is worth one spread, -1 takes as much away. Boosts of one item add up.
- A *cap* of n lets at most n items of one value of a column into a list; items without a value are not capped. The list
  is filled from the best item on, and an item whose value is full is passed over.
- *Diversity* d (0 to 1) is maximal marginal relevance: the next item is the one with the largest
  (1 - d) * relevance - d * likeness, where relevance is its score scaled to 0..1 over the best items in question and
  likeness the largest cosine of its semantic features with those of an item that is in the list already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isrf.core.errors import IsrfError
from isrf.data.item_columns import ItemColumns
from isrf.ranking.filters import conditions, matching
from isrf.ranking.predicates import in_words, number, shown

LEAST_POOL, POOL_PER_ITEM, MOST_POOL = 100, 10, 1000
"""Items that diversity chooses among: so many for each item of the list, within these bounds; then the next so many."""
LARGEST_BOOST = 1e6


@dataclass(frozen=True)
class Cap:
    """At most ``most`` items of each value of a column.

    Attributes:
        values: item row -> numbers of its values; () where it has none.
        most: >= 1.
    """

    values: Sequence[tuple[int, ...]]
    most: int


@dataclass(frozen=True)
class Rules:
    """Boosts, caps and diversity of one question.

    Attributes:
        units: (I,) float64, what boosts add in spreads of a person's scores; None = nothing.
        boosts: (words, (I,) bool) of each boost above 0, to be told as reasons.
        caps: all of them hold.
        diversity: 0 to 1; 0 = off.
    """

    units: np.ndarray | None = None
    boosts: tuple[tuple[str, np.ndarray], ...] = ()
    caps: tuple[Cap, ...] = ()
    diversity: float = 0.0

    def boosted(self, scores: np.ndarray) -> np.ndarray:
        """The (B, I) finite scores with boosts, in place."""
        if self.units is not None:
            spread = scores.std(axis=1, dtype=np.float64)
            spread[spread == 0] = 1.0  # whom nothing tells apart
            scores += (spread[:, None] * self.units).astype(scores.dtype)
        return scores

    @property
    def reorder(self) -> bool:
        """Whether a list is more than the best items in their order."""
        return bool(self.caps) or self.diversity > 0

    def reasons(self, row: int) -> list[str]:
        """What boosts say about an item."""
        return [f"a rule of the shop puts it forward ({words})" for words, mask in self.boosts if mask[row]]

    def chosen(self, scores: np.ndarray, top: int, vectors: np.ndarray) -> np.ndarray:
        """At most ``top`` item rows of one person, in the order of the list.

        Args:
            scores: (I,) float32, -inf for what may not be recommended.
            vectors: (I, k) float32 unit or zero: semantic features.
        """
        rows = np.flatnonzero(np.isfinite(scores))
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        taken: list[int] = []
        held: list[dict[int, int]] = [{} for _ in self.caps]
        if not self.diversity:
            for row in rows.tolist():
                if len(taken) == top:
                    break
                self._take(row, taken, held)
            return np.array(taken, dtype=np.int64)
        pool = min(max(LEAST_POOL, POOL_PER_ITEM * min(top, MOST_POOL)), MOST_POOL)
        for start in range(0, len(rows), pool):
            self._diverse(rows[start : start + pool], scores, vectors, top, taken, held)
            if len(taken) == top:
                break
        return np.array(taken, dtype=np.int64)

    def _take(self, row: int, taken: list[int], held: list[dict[int, int]]) -> bool:
        """Put an item into the list unless a cap is against it."""
        for cap, counts in zip(self.caps, held, strict=True):
            if any(counts.get(value, 0) >= cap.most for value in cap.values[row]):
                return False
        for cap, counts in zip(self.caps, held, strict=True):
            for value in cap.values[row]:
                counts[value] = counts.get(value, 0) + 1
        taken.append(row)
        return True

    def _diverse(
        self,
        pool: np.ndarray,
        scores: np.ndarray,
        vectors: np.ndarray,
        top: int,
        taken: list[int],
        held: list[dict[int, int]],
    ) -> None:
        """Take from (P,) item rows, best first, by maximal marginal relevance until the list is full."""
        own = scores[pool].astype(np.float64)
        relevance = (own - own.min()) / (np.ptp(own) or 1.0)
        known = vectors[pool]
        likeness = np.full(len(pool), -1.0)
        if taken:
            likeness = np.maximum(likeness, (known @ vectors[taken].T).max(axis=1))
        left = np.ones(len(pool), dtype=bool)
        while len(taken) < top and left.any():
            # of the first item there is nothing that it could be like
            worth = (1 - self.diversity) * relevance - self.diversity * likeness if taken else relevance
            best = int(np.where(left, worth, -np.inf).argmax())
            left[best] = False
            if self._take(int(pool[best]), taken, held):
                likeness = np.maximum(likeness, known @ known[best])


NO_RULES = Rules()


@dataclass(frozen=True)
class RuleArguments:
    """Rules as an argument or a file gives them, under the name that messages use.

    Attributes:
        max_per: column -> most items of one value.
        boost: column -> {value: spreads}, or a list of {"where": conditions, "by": spreads}.
        diversity: None = not given.
        name: put before what is wrong, e.g. "rules.yaml: "; "" for arguments.
    """

    max_per: Mapping[str, Any] = field(default_factory=dict)
    boost: Any = ()
    diversity: Any = None
    name: str = ""


def rules_of(given: Sequence[RuleArguments], columns: ItemColumns) -> Rules:
    """All rules together: every cap, the sum of boosts, and the last diversity.

    Raises:
        IsrfError: a column that there is not, or a number that is none or out of bounds.
    """
    units = np.zeros(len(columns.catalogue))
    told: list[tuple[str, np.ndarray]] = []
    caps: list[Cap] = []
    diversity = 0.0
    for rules in given:
        for column, most in caps_of(rules):
            try:
                read = columns.column(column)
            except IsrfError as error:
                raise IsrfError(f"{rules.name}max_per: {error}") from None
            caps.append(Cap(read.codes_of_items, most))
        for where, by in boosts_of(rules.boost, f"{rules.name}boost"):
            mask = matching(where, columns, f"{rules.name}boost")
            units += by * mask
            if by > 0:
                told.append((", ".join(in_words(*one) for one in conditions(where)), mask))
        diversity = diversity if rules.diversity is None else bounded(rules)
    return Rules(units if units.any() else None, tuple(told), tuple(caps), diversity)


def caps_of(rules: RuleArguments) -> list[tuple[str, int]]:
    """Column and most items of each cap. Raises IsrfError."""
    if not isinstance(rules.max_per, Mapping):
        raise IsrfError(f"{rules.name}max_per: must be a mapping of columns and numbers, like {{'brand': 2}}")
    found = []
    for column, given in rules.max_per.items():
        most = None if isinstance(given, bool) else number(given)
        if not isinstance(most, int) or most < 1:
            raise IsrfError(f"{rules.name}max_per: {column}: a whole number from 1 on is needed, not {shown(given)}")
        found.append((str(column), most))
    return found


def boosts_of(boost: Any, name: str) -> list[tuple[Mapping[str, Any], float]]:
    """Conditions and spreads of each boost. Raises IsrfError."""
    if isinstance(boost, Mapping):
        if any(not isinstance(values, Mapping) for values in boost.values()):
            raise IsrfError(f"{name}: must give a number for each value of a column, like {{'brand': {{'X': 0.5}}}}")
        pairs = [({column: value}, by) for column, values in boost.items() for value, by in values.items()]
    elif isinstance(boost, Sequence) and not isinstance(boost, str):
        pairs = []
        for one in boost:
            if not isinstance(one, Mapping) or set(one) != {"where", "by"}:
                raise IsrfError(
                    f"{name}: a list of boosts holds mappings like {{'where': {{'brand': 'X'}}, 'by': 0.5}}, not {shown(one)}"
                )
            pairs.append((one["where"], one["by"]))
    else:
        raise IsrfError(f"{name}: must be a mapping of columns, or a list of conditions; not {shown(boost)}")
    return [(where, spreads(by, name)) for where, by in pairs]


def spreads(given: Any, name: str) -> float:
    """A boost as a number. Raises IsrfError."""
    found = None if isinstance(given, bool) else number(given)
    if found is None or abs(found) > LARGEST_BOOST:
        raise IsrfError(
            f"{name}: {shown(given)} is not a number of spreads; 1 adds one standard deviation of the scores"
        )
    return float(found)


def bounded(rules: RuleArguments) -> float:
    """Diversity as a number from 0 to 1. Raises IsrfError."""
    found = None if isinstance(rules.diversity, bool) else number(rules.diversity)
    if found is None or not 0 <= found <= 1:
        raise IsrfError(f"{rules.name}diversity: {shown(rules.diversity)} is not a number from 0 to 1")
    return float(found)
