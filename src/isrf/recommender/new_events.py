"""Events that came after a workspace was made: kept in memory, and part of what is known of their people at once.

They change histories, not what was counted: graphs, neighbours and popularity are as the workspace has them, until an update.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from isrf.core.config import DataSettings
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue
from isrf.recommender.new_rows import parquet_of, without_split


class Event(NamedTuple):
    """What somebody did.

    Attributes:
        item: original id.
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
    """

    of: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    count: int = 0

    def having(self, rows: Sequence[tuple[str, Event]]) -> NewEvents:
        """These and more; what was there is shared, not copied."""
        found = dict(self.of)
        fresh: dict[str, list[Event]] = {}
        for user, event in rows:
            fresh.setdefault(user, []).append(event)
        for user, events in fresh.items():
            found[user] = tuple(sorted([*found.get(user, ()), *events], key=lambda event: (event.time, event.number)))
        return NewEvents(found, self.count + len(rows))

    def waiting(self, catalogue: Catalogue) -> int:
        """Events on items that the catalogue does not have (yet): they count as soon as it does."""
        return sum(event.item not in catalogue.row_of for events in self.of.values() for event in events)


def read_events(rows: Any, settings: DataSettings, first: int) -> list[tuple[str, Event]]:
    """User and event of each row, in the order of the rows.

    Args:
        rows: a frame or a list of dictionaries with the columns of the workspace's log.
        settings: by which the log was read.
        first: number of the first event.

    Raises:
        IsrfError: a row or a column cannot be read.
    """
    from isrf.data.readers.raw import BadRows
    from isrf.data.readers.tabular import read_tabular

    with parquet_of(rows, "events") as path:
        log = read_tabular(path, "parquet", None, without_split(settings), BadRows("fail")).log
    columns = {name: log[name].to_list() for name in log.columns}
    times = [math.inf if time is None else float(time) for time in columns[Columns.TIME]]
    weights = columns.get(Columns.WEIGHT, [1.0] * log.height)
    disliked = columns.get(Columns.DISLIKED, [False] * log.height)
    users, items = columns[Columns.USER], columns[Columns.ITEM]
    return [
        (users[n], Event(items[n], times[n], first + n, float(weights[n]), not disliked[n])) for n in range(log.height)
    ]


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
    if not any(events):
        return known, disliked
    weighed = known.weights is not None or repeats == "count" or any(e.weight != 1 for own in events for e in own)
    histories, weights, unwanted = [], [], []
    for person, own in enumerate(events):
        items = known[person].tolist()
        at = slice(int(known.offsets[person]), int(known.offsets[person + 1]))
        counted = [1.0] * len(items) if known.weights is None else known.weights[at].tolist()
        hated = [] if disliked is None else disliked[person].tolist()
        for event in own:
            row = row_of.get(event.item)
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
        weights.append(counted)
        unwanted.append(hated)
    found = Histories.of(histories)
    if weighed:
        flat = np.array([weight for own in weights for weight in own], dtype=np.float32)
        found = Histories(found.offsets, found.items, flat)
    return found, Histories.of(unwanted) if disliked is not None or any(unwanted) else None
