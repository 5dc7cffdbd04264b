"""Questions about people, in the user's own ids: from ids to queries, and back to ids. Knows nothing about printing."""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from isrf.core.config import Settings
from isrf.core.errors import IsrfError
from isrf.core.progress import note, track
from isrf.core.shell import command_line, list_of_ids, setting
from isrf.core.threads import threads_for
from isrf.data.histories import Histories
from isrf.data.queries import Queries, Task
from isrf.data.reviews import REVIEWS_FILE
from isrf.data.training_data import Catalogue
from isrf.ranking.explanations import explain, host_of
from isrf.ranking.recommend import Recommendation, recommend
from isrf.ranking.user_profile import UserProfile, describe_user
from isrf.recommender.open import Recommender, open_recommender
from isrf.workspace.workspace import Workspace

NEW_PERSON = "(history)"
"""Stands for the user id of a person who was given by a history."""

LEFT_OUT = (
    "if the log has it, it was left out for fewer than data.min_interactions interactions, and "
    f"`{command_line('isrf', 'run')}` with {setting('data.min_interactions', 0)} keeps it"
)
"""Where an id may be that is not in a workspace, which does not know the ids that the k-core took."""

MOST_NAMED = 5
"""So many people without an answer are named, the rest is counted."""


def queries_for(
    recommender: Recommender, users: Sequence[str], history: str | None, task: Task
) -> tuple[list[str], Queries]:
    """Names and queries of users of the log and of at most one history; neither gives every user.

    A user of the log is asked about with everything known of them, held-out items included: this is use, not
    evaluation. A user who is named twice is asked about once.

    Raises:
        IsrfError: an unknown user or item id.
    """
    split = recommender.split
    training = split.training
    users = list(dict.fromkeys(as_imported(user, split.row_of) for user in users))
    unknown = [u for u in users if u not in split.row_of]
    if unknown:
        raise IsrfError(f"user {unknown[0]!r} is not in this workspace; {hint_on_user(unknown[0], split.row_of)}")
    rows = np.array([split.row_of[u] for u in users], dtype=np.int64)
    if not users and history is None:
        rows = np.arange(len(split.user_ids))
    known = split.known(rows)
    names = [split.user_ids[row] for row in rows]
    rows = split.asked(rows)
    if history is not None:
        known = Histories.of([*known, history_rows(training.catalogue, history)])
        rows = np.append(rows, -1)
        names.append(NEW_PERSON)
    return names, Queries(rows, known, task)


def history_rows(catalogue: Catalogue, history: str) -> np.ndarray:
    """(n,) int64 item rows of ids with commas between, as one line of a CSV file has them.

    Raises:
        IsrfError: no id, an unknown one, or quotes that cannot be read.
    """
    try:
        fields = next(csv.reader([history], skipinitialspace=True), [])
    except csv.Error as error:
        raise IsrfError(f"--history is not one line of item ids with commas between: {error}") from None
    ids = [as_imported(item, catalogue.row_of) for item in fields if item.strip()]
    if not ids:
        example = command_line("--history", "ITEM,ITEM")
        raise IsrfError(f"--history names no item; write item ids with commas between: {example}")
    unknown = [item for item in ids if item not in catalogue.row_of]
    if unknown:
        raise IsrfError(
            f"item {unknown[0]!r} is not in the catalogue of this workspace; {hint_on(unknown[0], catalogue)}"
        )
    return catalogue.rows_of(ids)


def as_imported(given: str, known: Mapping[str, int]) -> str:
    """The id as the import wrote it: without blanks around it, and 100 for 100.0 where that alone is known."""
    found = given if given in known else given.strip()
    whole = re.sub(r"^(-?\d+)\.0+$", r"\1", found)
    return whole if found not in known and whole in known else found


def hint_on(unknown: str, catalogue: Catalogue) -> str:
    """What somebody probably meant by an id that is not in the catalogue."""
    parts = [part.strip() for part in re.split(r"[;|\t]", unknown) if part.strip()]
    if len(parts) < 2 and all(part in catalogue.row_of for part in unknown.split()):
        parts = unknown.split()  # a blank may be part of an id, so ids on both sides of it must be known
    if len(parts) > 1:
        return f"item ids are separated by commas: {command_line('--history', list_of_ids(parts))}"
    with_comma = next((item for item in catalogue.ids if "," in item and unknown in item), None)
    if with_comma is not None:
        together = command_line("--history", list_of_ids([with_comma, "ITEM"]))
        return f"an id that holds a comma is put in double quotes: {together}"
    return LEFT_OUT


def hint_on_user(unknown: str, known: Container[str]) -> str:
    """What somebody probably meant by a user that is not in the workspace: several at once, or somebody new."""
    several = [[part.strip() for part in parts if part.strip()] for parts in split_apart(unknown)]
    meant = next((parts for parts in several if len(parts) > 1 and all(part in known for part in parts)), None)
    if meant is not None:
        together = " ".join(command_line("--user", user) for user in meant)
        return f"several users are given one by one: {together}"
    return f"somebody new is asked about with {command_line('--history', 'ITEM,ITEM')}; {LEFT_OUT}"


def split_apart(text: str) -> list[list[str]]:
    """The parts of a text by each sign that people put between ids."""
    parts = [text.split(), *(text.split(sign) for sign in ",;|\t")]
    with suppress(csv.Error):
        parts.insert(0, next(csv.reader([text], skipinitialspace=True), []))
    return parts


def answer(
    workspace: Workspace,
    settings: Settings,
    users: Sequence[str],
    history: str | None,
    top: int,
    task: Task,
    method: str | None = None,
    explained: bool = False,
) -> list[dict[str, Any]]:
    """Recommendations as flat rows: user_id, rank, item_id, title, score, shares, feature, reasons, method.

    With ``explained`` each has a generated "explanation" too. People who have had every item get no row, and a note says
    who they are.

    Raises:
        IsrfError: an unknown id or method, or a workspace that cannot recommend yet, or explain though asked to.
    """
    recommender = open_recommender(workspace, settings, method)
    if explained and host_of(recommender.ranker.parts) is None:
        raise IsrfError(
            f"--explain: {recommender.ranker.name} of this workspace was not taught to: that takes a source with review "
            f"explanations ({REVIEWS_FILE} of a P5 folder), training.sr_per_explanation above 0, and a trained generator"
        )
    names, queries = queries_for(recommender, users, history, task)
    features = recommender.items["feature"].to_list()
    block = settings.ranking.block
    starts = range(0, len(queries), block)
    rows: list[dict[str, Any]] = []
    sated: list[str] = []
    for start in track(starts, "recommend") if len(starts) > 1 else starts:
        here = np.arange(start, min(start + block, len(queries)))
        part = Queries(queries.users[here], queries.histories.take(here), task)
        lists = recommend(recommender.ranker, features, part, top)
        if explained:
            lists = with_explanations(recommender, part, lists)
        for name, found in zip(names[start : start + block], lists, strict=True):
            if not found:
                sated.append(name)
            for rank, item in enumerate(found, 1):
                rows.append(
                    {
                        "user_id": name,
                        "rank": rank,
                        "item_id": item.item_id,
                        "title": item.title,
                        "score": item.score,
                        "shares": item.shares,
                        "feature": item.feature,
                        "reasons": item.reasons,
                        "method": recommender.ranker.name,
                        **({"explanation": item.explanation} if explained else {}),
                    }
                )
    if sated:
        who = ", ".join(sated[:MOST_NAMED]) + (", ..." if len(sated) > MOST_NAMED else "")
        people = "1 person has" if len(sated) == 1 else f"{len(sated):,} people have"
        note(f"{people} had every item, so there is nothing left to recommend: {who}")
    return rows


def with_explanations(
    recommender: Recommender, queries: Queries, lists: Sequence[list[Recommendation]]
) -> list[list[Recommendation]]:
    """The same recommendations, each with the sentence that the workspace's explainer writes for it."""
    parts = recommender.ranker.parts
    rows = [parts.people.training.catalogue.rows_of([item.item_id for item in found]) for found in lists]
    with threads_for(len(queries)):
        told = explain(parts, queries, rows)
    return [
        [replace(item, explanation=sentence) for item, sentence in zip(found, own, strict=True)]
        for found, own in zip(lists, told, strict=True)
    ]


def user_profile(
    workspace: Workspace,
    settings: Settings,
    user: str | None,
    history: str | None,
    top: int,
    task: Task,
    method: str | None = None,
) -> tuple[str, UserProfile]:
    """Name and portrait of one person, a user of the log or somebody known by a history.

    Recommendations are explained where the workspace can.

    Raises:
        IsrfError: as ``answer``.
    """
    recommender = open_recommender(workspace, settings, method)
    names, query = queries_for(recommender, [user] if user is not None else [], history, task)
    row = int(query.users[0])
    if row >= 0:
        told = recommender.users.row(row, named=True)
        preference = {name: told[name] for name in ("likes", "dislikes", "feature", "supplier")}
    else:
        reasons = recommender.ranker.parts.people.statistics.users(query.histories)
        preference = {
            "likes": reasons.likes[0],
            "dislikes": reasons.dislikes[0],
            "feature": reasons.features[0],
            "supplier": "attributes",
        }
    items, users = (table["feature"].to_list() for table in (recommender.items, recommender.users))
    picture = describe_user(recommender.ranker, items, users, preference, query, top)
    if host_of(recommender.ranker.parts) is not None:
        picture = replace(picture, recommendations=with_explanations(recommender, query, [picture.recommendations])[0])
    return names[0], picture
