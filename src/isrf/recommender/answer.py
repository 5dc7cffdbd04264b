"""Answers in the user's own ids: ranked items with scores and reasons, as rows and as a frame. Knows no printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from isrf.core.errors import IsrfError
from isrf.core.progress import note, track
from isrf.core.threads import threads_for
from isrf.data.dataset import Columns
from isrf.data.queries import Queries
from isrf.graphs.signals import OWNERS
from isrf.ranking.explanations import explain, host_of
from isrf.ranking.recommend import Recommendation, rank, recommend
from isrf.ranking.user_profile import UserProfile, describe_user
from isrf.recommender.open import OpenWorkspace
from isrf.recommender.request import Asked
from isrf.recommender.selection import Selection

MOST_NAMED = 5
"""So many people without an answer are named, the rest is counted."""


def answer(
    opened: OpenWorkspace,
    people: Asked,
    k: int,
    selection: Selection,
    explained: bool = True,
    generated: bool = False,
) -> list[dict[str, Any]]:
    """Recommendations as rows: user_id, person, rank, item_id and score; explained ones say why.

    "person" is the place of the person in the question. Explained rows also have title, shares, feature, reasons and
    method. People for whom nothing is left get no row, and a note says who they are.

    Args:
        opened: the workspace.
        people: who is asked about.
        k: most items a person.
        selection: candidates and rules.
        explained: whether rows say why.
        generated: whether each also has a generated "explanation".

    Raises:
        IsrfError: ``k`` is not positive, or the workspace was not taught to generate explanations.
    """
    if k < 1:
        raise IsrfError(f"k must be at least 1, not {k}")
    if generated:
        require_explainer(opened)
    catalogue, ranker = opened.split.training.catalogue, opened.ranker
    candidates, rules = selection.candidates, selection.rules
    if candidates.none_left:
        note(candidates.why_none(len(catalogue)))
        return []
    queries, block = people.queries, ranker.parts.people.settings.ranking.block
    starts = range(0, len(queries), block)
    rows: list[dict[str, Any]] = []
    sated: list[int] = []
    for start in track(starts, "recommend") if len(starts) > 1 else starts:
        here = np.arange(start, min(start + block, len(queries)))
        part = queries.take(here)
        with opened.lock:
            if explained:
                lists = recommend(ranker, opened.item_features, part, k, candidates, rules)
                if generated:
                    lists = with_explanations(opened, part, lists)
                found = [[told(item, ranker.name, generated) for item in own] for own in lists]
            else:
                ranked, scores = rank(ranker, part, k, candidates, rules)
                found = [
                    [{"item_id": catalogue.ids[i], "score": float(s)} for i, s in zip(items, own, strict=True)]
                    for items, own in zip(ranked, scores, strict=True)
                ]
        for person, items in zip(here.tolist(), found, strict=True):
            if not items:
                sated.append(person)
            named = {"user_id": people.users[person], "person": person}
            rows += [{**named, "rank": place, **item} for place, item in enumerate(items, 1)]
    if sated:
        names = [people.users[person] or "(history)" for person in sated]
        who = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
        said = "1 person has" if len(names) == 1 else f"{len(names):,} people have"
        what = "had every item" if candidates.eligible is None else "had every item that may be recommended"
        note(f"{said} {what}, so there is nothing left to recommend: {who}")
    return rows


def told(item: Recommendation, method: str, generated: bool) -> dict[str, Any]:
    """The part of an explained row that is about the item."""
    return {
        "item_id": item.item_id,
        "title": item.title,
        "score": item.score,
        "shares": item.shares,
        "feature": item.feature,
        "reasons": item.reasons,
        "method": method,
        **({"explanation": item.explanation} if generated else {}),
    }


def frame_of(
    opened: OpenWorkspace, rows: Sequence[dict[str, Any]], people: Asked, explained: bool, generated: bool
) -> pl.DataFrame:
    """Rows of ``answer`` as a frame; ids have the type that they have in the source, and "history" numbers those who are
    known by a history alone from 0.

    Args:
        opened: the workspace.
        rows: of ``answer``.
        people: who was asked about.
        explained, generated: as in ``answer``.
    """
    kinds: dict[str, Any] = {"user_id": pl.String, "item_id": pl.String, "rank": pl.UInt32, "score": pl.Float64}
    if explained:
        owners = rows[0]["shares"] if rows else dict.fromkeys(OWNERS.values())
        kinds |= {"title": pl.String, "shares": pl.Struct(dict.fromkeys(owners, pl.Float64))}
        kinds |= {"feature": pl.String, "reasons": pl.List(pl.String), "method": pl.String}
        kinds |= {"explanation": pl.String} if generated else {}
    frame = pl.DataFrame({name: [row[name] for row in rows] for name in kinds}, schema=kinds)
    casts = {"user_id": opened.id_types.get(Columns.USER), "item_id": opened.id_types.get(Columns.ITEM)}
    frame = frame.with_columns(pl.col(name).cast(kind) for name, kind in casts.items() if kind is not None)
    n_users = sum(user is not None for user in people.users)  # they come first
    if n_users < len(people.users):
        number = pl.Series("history", [row["person"] - n_users for row in rows], dtype=pl.Int64)
        place = number.to_frame().select(pl.when(number >= 0).then(number).cast(pl.UInt32).alias("history")).to_series()
        frame = frame.insert_column(1, place)
        if not n_users:
            frame = frame.drop("user_id")
    return frame


def require_explainer(opened: OpenWorkspace) -> None:
    """Raises IsrfError where the workspace was not taught to generate explanations."""
    if host_of(opened.ranker.parts) is None:
        raise IsrfError(
            f"{opened.ranker.name} of this workspace was not taught to generate explanations: that takes a source with review "
            "explanations (explanation.json of a P5 folder), training.sr_per_explanation above 0, and a trained generator"
        )


def with_explanations(
    opened: OpenWorkspace, queries: Queries, lists: Sequence[list[Recommendation]]
) -> list[list[Recommendation]]:
    """The same recommendations, each with the sentence that the workspace's explainer writes for it."""
    parts = opened.ranker.parts
    rows = [parts.people.training.catalogue.rows_of([item.item_id for item in found]) for found in lists]
    with threads_for(len(queries)):
        sentences = explain(parts, queries, rows)
    return [
        [replace(item, explanation=sentence) for item, sentence in zip(found, own, strict=True)]
        for found, own in zip(lists, sentences, strict=True)
    ]


def profile_of(opened: OpenWorkspace, query: Queries, k: int, selection: Selection) -> UserProfile:
    """The profile of the one person in ``query``; recommendations have generated explanations where the workspace can.

    Raises:
        IsrfError: ``k`` is not positive.
    """
    if k < 1:
        raise IsrfError(f"k must be at least 1, not {k}")
    candidates, rules = selection.candidates, selection.rules
    if candidates.none_left:
        note(candidates.why_none(len(opened.split.training.catalogue)))
    row = int(query.stored[0])
    if row >= 0:
        reasoned = opened.users.row(row, named=True)
        preference = {name: reasoned[name] for name in ("likes", "dislikes", "feature", "supplier")}
    else:
        with opened.lock:
            reasons = opened.ranker.parts.people.statistics.users(query.histories)
        preference = {
            "likes": reasons.likes[0],
            "dislikes": reasons.dislikes[0],
            "feature": reasons.features[0],
            "supplier": "attributes",
        }
    with opened.lock:
        features = opened.item_features, opened.user_features
        profile = describe_user(opened.ranker, *features, preference, query, k, candidates, rules)
        if host_of(opened.ranker.parts) is not None:
            lists = with_explanations(opened, query, [profile.recommendations])
            profile = replace(profile, recommendations=lists[0])
    return profile
