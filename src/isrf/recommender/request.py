"""A question in ids becomes a query in row numbers: who is asked about."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isrf.core.errors import IsrfError
from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries, Task
from isrf.data.training_data import Catalogue
from isrf.recommender.ids import Id, as_imported
from isrf.recommender.new_events import followed
from isrf.recommender.open import OpenWorkspace


class UnknownId(IsrfError):
    """An id that a workspace does not know.

    Attributes:
        kind: "user" or "item".
        value: the id as text.
    """

    def __init__(self, kind: str, value: str) -> None:
        where = "this workspace" if kind == "user" else "the catalogue of this workspace"
        super().__init__(f"{kind} {value!r} is not in {where}")
        self.kind, self.value = kind, value


@dataclass(frozen=True)
class Asked:
    """People who are asked about.

    Attributes:
        users: (B,) original id of each, None for somebody who is known by a history alone.
        queries: (B,) the same people.
    """

    users: list[str | None]
    queries: Queries


def asked(
    opened: OpenWorkspace, users: Sequence[Id] | None, histories: Sequence[Sequence[Id]] | None, task: Task
) -> Asked:
    """Users of the log, then people who are known by a history; neither gives every user.

    A user of the log is asked about with everything known of them, held-out items included: this is use, not
    evaluation. Of whom more happened since, the history alone is read: what was computed of their row, the preference and who
    is like them, was true of another history. A user who is named twice is asked about once.

    Raises:
        UnknownId: a user or item that the workspace does not know.
        IsrfError: a history without an item, or an unknown task.
    """
    if task not in TASKS:
        raise IsrfError(f"task must be {' or '.join(TASKS)}, not {task!r}")
    split, events = opened.split, opened.events.of
    if users is None and histories is None:
        told = [*split.user_ids, *(user for user in events if user not in split.row_of)]
    else:
        either = ChainMap[str, Any](split.row_of, events)
        told = list(dict.fromkeys(as_imported(user, either) for user in users or ()))
        for name in told:
            if name not in either:
                raise UnknownId("user", name)
    rows = np.array([split.row_of.get(name, -1) for name in told], dtype=np.int64)
    logged, disliked = of_the_log(opened, rows)
    catalogue = split.training.catalogue
    own = [events.get(name, ()) for name in told] if events else []
    known, disliked = followed(logged, disliked, own, catalogue.row_of, opened.settings.data.repeats)
    changed = np.zeros(len(rows) + len(histories or ()), dtype=bool)
    changed[[person for person, some in enumerate(own) if some and not known.alike(logged, person)]] = True
    given = [item_rows(catalogue, history) for history in histories or ()]
    empty = [number for number, history in enumerate(given) if not len(history)]
    if empty:
        raise IsrfError(f"history {empty[0]} names no item")
    rows = np.concatenate([split.asked(rows), np.full(len(given), -1, dtype=np.int64)])  # -1 stays -1
    if disliked is not None:
        disliked = disliked.followed_by(Histories.of([()] * len(given)))
    everybody = Queries(
        rows, known.followed_by(Histories.of(given)), task, disliked, changed if changed.any() else None
    )
    return Asked([*told, *(None for _ in given)], everybody)


def of_the_log(opened: OpenWorkspace, rows: np.ndarray) -> tuple[Histories, Histories | None]:
    """(B,) what the log says of people, and what they dislike (None = ratings are not read); -1 is nobody of the log."""
    there = np.flatnonzero(rows >= 0)
    place = np.full(len(rows), len(there), dtype=np.int64)
    place[there] = np.arange(len(there))
    nobody = Histories.of([()])
    known = opened.split.known(rows[there])
    if opened.disliked is None:
        return (known if len(there) == len(rows) else known.followed_by(nobody).take(place)), None
    disliked = opened.disliked.take(rows[there])
    known = known.without(disliked)  # what was liked once and is disliked now says nothing for other items
    return known.followed_by(nobody).take(place), disliked.followed_by(nobody).take(place)


def item_rows(catalogue: Catalogue, items: Iterable[Id]) -> np.ndarray:
    """(n,) int64 item rows of ids. Raises UnknownId."""
    names = [as_imported(item, catalogue.row_of) for item in items]
    for name in names:
        if name not in catalogue.row_of:
            raise UnknownId("item", name)
    return np.array([catalogue.row_of[name] for name in names], dtype=np.int64)
