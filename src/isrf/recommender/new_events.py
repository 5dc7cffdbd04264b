"""Events that came after a workspace was made: kept in memory, and part of what is known of their people at once.

They change histories, not what was counted: graphs, neighbours and popularity are as the workspace has them, until an update.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from isrf.core.config import DataSettings
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.recommender.ids import as_imported
from isrf.recommender.new_rows import parquet_of, without_split


class Event(NamedTuple):
    """What somebody did.

    Attributes:
        item: id as it was given.
        time: milliseconds since 1970 UTC; infinite where no time was given, so that it comes last.
        number: place among all events that were added.
        weight: how much it counts.
        liked: False for a rating below ``data.min_value``.
    """

    item: str
    time: float
    number: int
    weight: float
    liked: bool


@dataclass(frozen=True)
class NewEvents:
    """Events by user, on top of a log.

    Attributes:
        of: original user id -> events, earliest first.
        count: of all.
        numbered: numbers that were given out, those of events that were sent again among them.
    """

    of: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    count: int = 0
    numbered: int = 0

    def having(self, rows: Sequence[tuple[str, Event]]) -> NewEvents:
        """These and more, each once: what says the same at the same time was sent again. What was there is shared, not copied."""
        found = dict(self.of)
        fresh: dict[str, dict[Hashable, Event]] = {}
        for user, event in rows:
            if user not in fresh:
                fresh[user] = {same(own): own for own in found.get(user, ())}
            fresh[user].setdefault(same(event), event)
        added = 0
        for user, events in fresh.items():
            added += len(events) - len(found.get(user, ()))
            found[user] = tuple(sorted(events.values(), key=lambda event: (event.time, event.number)))
        return NewEvents(found, self.count + added, self.numbered + len(rows))


def same(event: Event) -> Hashable:
    """What two events have in common that are one; without a time each is one of its own."""
    return event.number if math.isinf(event.time) else (event.item, event.time, event.weight, event.liked)


def read_events(rows: Any, settings: DataSettings, first: int) -> tuple[list[tuple[str, Event]], list[str]]:
    """User and event of each row, in the order of the rows, and lines on what was not read, or could be read otherwise.

    Args:
        rows: a frame or a list of dictionaries with the columns of the workspace's log.
        settings: by which the log was read.
        first: number of the first event.

    Raises:
        IsrfError: a row or a column cannot be read.
    """
    from isrf.data.readers.raw import BadRows
    from isrf.data.readers.tabular import read_tabular

    bad = BadRows("fail")
    with parquet_of(rows, "events") as path:
        log = read_tabular(path, "parquet", None, without_split(settings), bad).log
    columns = {name: log[name].to_list() for name in log.columns}
    times = [math.inf if time is None else float(time) for time in columns[Columns.TIME]]
    weights = columns.get(Columns.WEIGHT, [1.0] * log.height)
    disliked = columns.get(Columns.DISLIKED, [False] * log.height)
    users, items = columns[Columns.USER], columns[Columns.ITEM]
    found = [
        (users[n], Event(items[n], times[n], first + n, float(weights[n]), not disliked[n])) for n in range(log.height)
    ]
    return found, bad.told


def followed(
    known: Histories,
    disliked: Histories | None,
    events: Sequence[Sequence[Event]],
    row_of: Mapping[str, int],
    repeats: str,
) -> tuple[Histories, Histories | None]:
    """What is known of some people once their new events have happened: histories, and dislikes.

    Events come behind the log, whatever their time says: the log has been counted. One on an item that its person has had
    counts as ``data.repeats`` says; a dislike takes the item out of the history, and liking it later brings it back.

    Args:
        known: (B,) of the log.
        disliked: (B,) of the log; None = nobody disliked anything.
        events: (B,) earliest first.
        row_of: item id -> item row; events on other items wait.
        repeats: ``data.repeats``.
    """
    people = np.array([person for person, own in enumerate(events) if own], dtype=np.int64)
    if not len(people):
        return known, disliked
    histories, weights, unwanted = [], list[float](), []
    for person in people.tolist():
        items = known[person].tolist()
        at = slice(int(known.offsets[person]), int(known.offsets[person + 1]))
        counted = [1.0] * len(items) if known.weights is None else known.weights[at].tolist()
        hated = [] if disliked is None else disliked[person].tolist()
        for event in events[person]:
            row = row_of.get(as_imported(event.item, row_of))
            if row is None or (event.liked and event.weight <= 0):
                continue
            if not event.liked:
                there = [n for n, item in enumerate(items) if item != row]
                items, counted = [items[n] for n in there], [counted[n] for n in there]
                hated += [row] if row not in hated else []
                continue
            if row in hated:
                hated.remove(row)
            if row not in items or repeats == "all":
                items.append(row)
                counted.append(event.weight)
                continue
            place = items.index(row)
            if repeats == "count":
                times = math.exp(max(counted[place] / event.weight - 1, 0))
                counted[place] = max(counted[place], event.weight * (1 + math.log(times + 1)))
            elif event.weight > counted[place]:  # an interaction stands where its heaviest event first happened
                del items[place], counted[place]
                items.append(row)
                counted.append(event.weight)
        histories.append(items)
        weights += counted
        unwanted.append(hated)
    found = Histories.of(histories)
    if any(weight != 1 for weight in weights):
        found = Histories(found.offsets, found.items, np.array(weights, dtype=np.float32))
    if disliked is None and any(unwanted):
        disliked = Histories.of([()] * len(known))
    return known.having(people, found), None if disliked is None else disliked.having(people, Histories.of(unwanted))
