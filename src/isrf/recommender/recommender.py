"""``isrf.Recommender``: a workspace opened once, asked from any thread, in the user's own ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import polars as pl

from isrf.core.config import Settings
from isrf.core.errors import IsrfError
from isrf.data.queries import Task
from isrf.ranking.filters import Where
from isrf.ranking.similar_items import By
from isrf.ranking.user_profile import UserProfile
from isrf.recommender.answer import answer, frame_of, profile_of, require_explainer
from isrf.recommender.event_batches import EventCounts, with_events
from isrf.recommender.explain_item import explained_item
from isrf.recommender.ids import Id
from isrf.recommender.new_items import ItemCounts, with_items
from isrf.recommender.open import OpenWorkspace, open_workspace
from isrf.recommender.request import Asked, asked
from isrf.recommender.selection import Wishes, selection_of
from isrf.recommender.similar import similar_frame, similar_rows
from isrf.workspace.saved_settings import saved_settings
from isrf.workspace.workspace import Workspace


def open_recommender(workspace: Workspace, settings: Settings, method: str | None = None) -> Recommender:
    """A workspace as a recommender; arguments and errors as of ``open_workspace``."""
    opened = open_workspace(workspace, settings, method)
    selection_of(opened)  # what is wrong with its rules is told before any question
    return Recommender(opened)


def open(workspace: str | Path | Workspace, method: str | None = None) -> Recommender:
    """Open a workspace that `isrf run` or ``isrf.run`` made; takes seconds, and answers take milliseconds.

    Args:
        workspace: its folder.
        method: "isrf" or "isrf-graph"; None = the best the workspace has.

    Raises:
        IsrfError: the folder is no workspace, is not finished, or is damaged.
    """
    opened = workspace if isinstance(workspace, Workspace) else Workspace.existing(Path(workspace))
    return open_recommender(opened, saved_settings(opened), method)


class Recommender:
    """Recommendations, similar items and profiles from one workspace; safe to ask from several threads.

    Ids are those of the source, in its type. Frames are polars; ``.to_pandas()`` is one call.

    Attributes:
        opened: what answers are made from.
    """

    def __init__(self, opened: OpenWorkspace) -> None:
        self.opened = opened
        self._adding = Lock()

    @property
    def method(self) -> str:
        """ "isrf", or "isrf-graph" where no generator was trained."""
        return self.opened.ranker.name

    def recommend(
        self,
        users: Sequence[Id] | None = None,
        histories: Sequence[Sequence[Id]] | None = None,
        *,
        k: int = 10,
        filter_viewed: bool | None = None,
        items_to_recommend: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
        where: Where | Sequence[Where] | None = None,
        max_per: Mapping[str, int] | None = None,
        boost: Any = None,
        diversity: float | None = None,
        availability: bool = True,
        at: Any = None,
        explain: bool = False,
        generate: bool = False,
        task: Task = "sequential",
    ) -> pl.DataFrame:
        """The ``k`` best items of each person, best first. Filters come before the top is taken; docs/serving.md has them all.

        What the workspace's ``rules.yaml`` says holds too.

        Args:
            users: ids of users of the log; with neither users nor histories, everybody.
            histories: item ids of people who are not in the log, oldest first.
            k: most items a person; fewer come back where fewer are left, and a line says so where nobody is.
            filter_viewed: leave out what a person has had; None = as the rules say, else yes.
            items_to_recommend: ids of the only items to recommend; None = the catalogue.
            exclude: ids of items not to recommend.
            where: column of the catalogue -> value, list of values, or mapping of operators, e.g.
                ``{"category": ["Hair"], "price": {"<=": 20}, "title": {"contains": "shampoo"}}``; or a list of such
                mappings, all of which have to hold.
            max_per: column -> most items of one value in a list, e.g. ``{"brand": 2}``.
            boost: column -> {value: spreads of the person's scores to add}, e.g. ``{"brand": {"X": 0.5}}``; or a list of
                ``{"where": ..., "by": ...}``.
            diversity: 0 (off) to 1: maximal marginal relevance over semantic features; None = as the rules say, else 0.
            availability: honour the columns available_from, available_to and in_stock.
            at: the moment for which these count: a date, a time (UTC), or either as ISO text; None = now.
            explain: add title, shares, feature, reasons and method.
            generate: with ``explain``, add a generated sentence, where the workspace was taught to.
            task: "sequential" (the order of a history counts) or "direct" (it does not).

        Returns:
            user_id (of users), history (0, 1, ..., of histories), item_id, rank (from 1) and score. Ranks follow the scores
            unless ``diversity`` is asked for.

        Raises:
            UnknownId: a user or an item of a history that the workspace does not know.
            IsrfError: ``k`` is not positive, a history is empty, a filter names a column that there is not or a value that
                does not fit it, or ``generate`` is asked for in vain.
        """
        opened = self.opened
        people = self._asked(opened, users, histories, task)
        wishes = Wishes(items_to_recommend, exclude, where, filter_viewed, availability, at, max_per, boost, diversity)
        selection = selection_of(opened, wishes)
        rows = answer(opened, people, k, selection, explain, explain and generate)
        return frame_of(opened, rows, people, explain, explain and generate)

    def similar_items(
        self,
        items: Sequence[Id],
        *,
        k: int = 10,
        by: By = "fused",
        items_to_recommend: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
        where: Where | Sequence[Where] | None = None,
        availability: bool = True,
        at: Any = None,
    ) -> pl.DataFrame:
        """The ``k`` items most like each given one: item_id, similar_item_id, title, rank, score and reasons.

        Args:
            items: original ids.
            k: how many.
            by: "semantics" (cosine), "buyers" (who chose both), "next" (what follows), or "fused": the sum of the three,
                each divided by its largest value.
            items_to_recommend, exclude, where, availability, at: as of ``recommend``; so are the filters of the rules.

        Raises:
            UnknownId: an item is not in the catalogue.
            IsrfError: ``k`` is not positive, there is no such ``by``, or a filter is wrong as in ``recommend``.
        """
        if isinstance(items, str):
            raise IsrfError("items must be a list, not a string")
        wishes = Wishes(items_to_recommend, exclude, where, availability=availability, at=at)
        opened = self.opened
        candidates = selection_of(opened, wishes).candidates
        return similar_frame(opened, similar_rows(opened, items, k, by, candidates))

    def profile(
        self, user: Id | None = None, history: Sequence[Id] | None = None, *, k: int = 10, task: Task = "sequential"
    ) -> UserProfile:
        """One person in full: explicit interests, similar people, group interests and recommendations with shares.

        The recommendations obey the rules of the workspace and the availability of items, as those of ``recommend`` do.

        Raises:
            UnknownId: as ``recommend``.
            IsrfError: not exactly one of ``user`` and ``history`` is given.
        """
        opened = self.opened
        person = self._one(opened, user, history, task).queries
        return profile_of(opened, person, k, selection_of(opened))

    def explain(
        self,
        user: Id | None = None,
        item: Id | None = None,
        *,
        history: Sequence[Id] | None = None,
        task: Task = "sequential",
    ) -> pl.DataFrame:
        """Why one item is, or would be, recommended to one person: one row as of ``recommend(explain=True)``.

        Its rank is that among everything the person has not had, whatever filters and rules say; null for an item that they
        have had, or dislike.

        Raises:
            UnknownId: as ``recommend``.
            IsrfError: not exactly one of ``user`` and ``history`` is given, or no item.
        """
        if item is None:
            raise IsrfError("explain: name an item")
        opened = self.opened
        person = self._one(opened, user, history, task)
        row = {"user_id": person.users[0], "person": 0, **explained_item(opened, person.queries, item)}
        return frame_of(opened, [row], person, True, False)

    def add_events(self, events: Any) -> EventCounts:
        """Let events count from the next call on, in memory; the files stay as they are (`isrf update` adds to them).

        They stand behind the log in the histories of their people, those of one call and of several by time; what says the
        same at the same time counts once. Graphs are as the workspace counted them; who is like a person is asked of the
        history as it is now.

        Args:
            events: a frame of polars, pandas or Arrow, or a list of dictionaries, with the columns of the log; ratings and
                kinds of events are read where the workspace reads them.

        Returns:
            What was taken in. Events on items that there are not wait for ``add_items``.

        Raises:
            IsrfError: a row or a column cannot be read; nothing is added then.
        """
        with self._adding:
            self.opened, counts = with_events(self.opened, events)
        return counts

    def add_items(self, items: Any) -> ItemCounts:
        """Let items be recommended from the next call on, in memory; one that is known gets the new text and columns.

        Their features are made of what the workspace's catalogue says about attributes, without a language model. A column
        that is not given stays as it is of items that are known.

        Args:
            items: a frame of polars, pandas or Arrow, or a list of dictionaries, with columns of the catalogue.

        Raises:
            IsrfError: a row or a column cannot be read; nothing is added then.
        """
        with self._adding:
            self.opened, counts = with_items(self.opened, items)
        return counts

    def require_explainer(self) -> None:
        """Raises IsrfError where the workspace was not taught to generate explanations."""
        require_explainer(self.opened)

    def _asked(
        self, opened: OpenWorkspace, users: Sequence[Id] | None, histories: Sequence[Sequence[Id]] | None, task: Task
    ) -> Asked:
        for name, given in (("users", users), ("histories", histories)):
            if isinstance(given, str):
                raise IsrfError(f"{name} must be a list, not a string")
        return asked(opened, users, histories, task)

    def _one(self, opened: OpenWorkspace, user: Id | None, history: Sequence[Id] | None, task: Task) -> Asked:
        if (user is None) == (history is None):
            raise IsrfError("give either a user or a history")
        return self._asked(opened, None if user is None else [user], None if history is None else [history], task)
