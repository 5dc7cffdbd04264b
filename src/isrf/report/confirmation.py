"""Are the group's crossings right? Held-out items confirm them, and controls say how often luck would.

A crossing (``ranking.group_effect``) is confirmed where the item that the group brought into the list is the one the person
chose. Two controls stand beside each: a random item that is as popular, and the item that had to leave the list for it.
Knows nothing about how crossings were found or are shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isrf.core.config import EvaluationSettings
from isrf.data.splits.split import Split
from isrf.evaluation.significance import bootstrap_interval, paired_permutation
from isrf.ranking.group_effect import ListChanges


@dataclass(frozen=True)
class Against:
    """Crossings beside one control item each.

    Attributes:
        control: what the control is.
        confirmed: crossings (of those that have a control) that are the held-out item.
        control_confirmed: controls that are it.
        crossings: of those that have a control.
        difference: confirmed crossings a person minus confirmed controls a person.
        ci95: bootstrap over people of the difference.
        p_value: paired permutation test over people.
    """

    control: str
    confirmed: int
    control_confirmed: int
    crossings: int
    difference: float
    ci95: tuple[float, float]
    p_value: float


@dataclass(frozen=True)
class Confirmation:
    """How often crossings are confirmed.

    Attributes:
        people: compared with and without their group.
        changed: of these with a crossing at all.
        crossings: in all.
        confirmed: of these, by the held-out item.
        against: for each control.
    """

    people: int
    changed: int
    crossings: int
    confirmed: int
    against: tuple[Against, ...]

    def document(self) -> dict[str, Any]:
        """The same as dicts, lists, texts and numbers."""
        return asdict(self) | {"against": [asdict(one) | {"ci95": list(one.ci95)} for one in self.against]}


def confirmed_by_target(found: ListChanges, split: Split) -> np.ndarray:
    """(C,) bool: whether each crossing is its person's test item."""
    return found.items == split.test[found.users]


def matched_controls(found: ListChanges, split: Split, seed: int) -> np.ndarray:
    """(C,) int64: for each crossing a random item with as many training interactions that its person has not had.

    The crossing itself is never its own control. Where no other item is exactly as popular, the nearest in popularity
    serves; -1 where the person has had all others.
    """
    popularity = split.training.popularity
    order = np.lexsort((np.arange(len(popularity)), popularity))
    sorted_popularity = popularity[order]
    known, rng = split.histories("test"), np.random.default_rng(seed)
    controls = np.full(len(found.items), -1, dtype=np.int64)
    for at, (user, item) in enumerate(zip(found.users, found.items, strict=True)):
        barred = np.append(known[int(user)], item)
        low = np.searchsorted(sorted_popularity, popularity[item], "left")
        high = np.searchsorted(sorted_popularity, popularity[item], "right")
        pool = np.setdiff1d(order[low:high], barred)
        if not len(pool):
            rest = np.setdiff1d(order, barred)
            gap = np.abs(popularity[rest] - popularity[item])
            pool = rest[gap == gap.min()] if len(rest) else rest
        if len(pool):
            controls[at] = rng.choice(pool)
    return controls


def confirmation(found: ListChanges, split: Split, settings: EvaluationSettings) -> Confirmation:
    """Count, and test against both controls; bootstrap and permutation samples and the seed are those of evaluation."""
    right = confirmed_by_target(found, split)
    matched = matched_controls(found, split, settings.seed)
    controls = {"a random item as popular": matched, "the item that left the list for it": found.displaced}
    return Confirmation(
        people=len(found.people),
        changed=len(np.unique(found.users)),
        crossings=len(found.items),
        confirmed=int(right.sum()),
        against=tuple(_against(name, found, split, right, control, settings) for name, control in controls.items()),
    )


def _against(
    name: str,
    found: ListChanges,
    split: Split,
    right: np.ndarray,
    control: np.ndarray,
    settings: EvaluationSettings,
) -> Against:
    there = control >= 0
    lucky = control == split.test[found.users]
    people, place = np.unique(found.users[there], return_inverse=True)
    ours = np.bincount(place, right[there], minlength=len(people))
    theirs = np.bincount(place, lucky[there], minlength=len(people))
    difference, interval, p = 0.0, (0.0, 0.0), 1.0
    if len(people):
        difference, p = paired_permutation(ours, theirs, settings.permutation_samples, settings.seed)
        interval = bootstrap_interval(ours - theirs, settings.bootstrap_samples, settings.seed)
    return Against(name, int(ours.sum()), int(theirs.sum()), int(there.sum()), difference, interval, p)
