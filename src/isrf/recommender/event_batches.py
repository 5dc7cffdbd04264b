"""A batch of events is taken into an open workspace; what was opened is left as it is."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, replace
from typing import Any

from isrf.core.progress import note
from isrf.data.dataset import Columns
from isrf.recommender.ids import as_imported
from isrf.recommender.new_events import read_events
from isrf.recommender.new_rows import fitting_types
from isrf.recommender.open import OpenWorkspace


@dataclass(frozen=True)
class EventCounts:
    """How many ``events`` were added, how many of their users are ``new_users``, and how many rows wait for their item."""

    events: int
    new_users: int
    waiting: int


def with_events(opened: OpenWorkspace, rows: Any) -> tuple[OpenWorkspace, EventCounts]:
    """The workspace with more events, and what they are.

    Args:
        opened: a workspace.
        rows: a frame or a list of dictionaries with the columns of the workspace's log.

    Raises:
        IsrfError: a row or a column cannot be read.
    """
    given, lines = read_events(rows, opened.settings.data, opened.events.numbered)
    known = ChainMap[str, Any](opened.split.row_of, opened.events.of)
    told = [(as_imported(user, known), event) for user, event in given]
    new = dict.fromkeys(user for user, _ in told if user not in known)
    types = fitting_types(opened.id_types, Columns.USER, new)
    events = opened.events.having(told)
    opened.tell(lines)
    catalogue = opened.split.training.catalogue.row_of
    waiting = [event.item for _, event in told if as_imported(event.item, catalogue) not in catalogue]
    if waiting:
        note(
            f"events: {len(waiting):,} of {len(told):,} are on items that there are not, e.g. {waiting[0]!r}: they wait for "
            "add_items"
        )
    counts = EventCounts(events.count - opened.events.count, len(new), len(waiting))
    return replace(opened, events=events, id_types=types), counts
