"""Recommendations with reasons: the best unseen items of a person and what speaks for each. Knows nothing about files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from isrf.core.threads import threads_for
from isrf.data.histories import Histories
from isrf.data.queries import Queries, Task
from isrf.graphs.signals import OWNERS
from isrf.ranking.candidates import EVERY_ITEM, Candidates
from isrf.ranking.rankers import GENERATOR_SIGNAL, FusedRanker
from isrf.ranking.rules import NO_RULES, Rules

MOST_REASONS = 2
TELLING_SHARE = 0.15
"""A signal without evidence is named as a reason where it carries at least this share of the recommendation."""

EVIDENT_SHARE = 0.03
"""The same for a signal that can point to items or people: its evidence is worth telling sooner."""

NO_EVIDENCE = ("generator", "popularity")
"""Signals without evidence of their own to point to."""

SIMILAR_TEXT = 0.3
"""Least cosine of two items' semantic features for one to be called like the other."""


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item_id: original id.
        title: for people.
        score: fused score, boosts included; only its order means something.
        shares: owner ("generator", "individual", "group", "popularity") -> share of what lifts this item above an
            average item, summing to one; all 0 for an item that nothing lifts.
        feature: the item's reasoned feature.
        reasons: sentences, the strongest first.
        explanation: a generated sentence (``ranking.explanations``); None where none was asked for.
    """

    item_id: str
    title: str
    score: float
    shares: dict[str, float]
    feature: str
    reasons: list[str]
    explanation: str | None = None


def top_items(
    scores: np.ndarray,
    histories: Histories,
    top: int,
    candidates: Candidates = EVERY_ITEM,
    disliked: Histories | None = None,
) -> list[np.ndarray]:
    """For each of B people the rows of at most ``top`` candidates, best first, ties by row; changes ``scores``.

    Args:
        scores: (B, I) float32.
        histories: what each has had.
        top: how many.
        candidates: what may be recommended.
        disliked: (B,) what each dislikes; None = nothing.
    """
    candidates.of(scores, histories, disliked)
    kept = min(top, scores.shape[1])
    last = -np.partition(-scores, kept - 1, axis=1)[:, kept - 1]
    ranked = []
    for person, own in enumerate(scores):
        # all that tie with the last place are looked at: which of them is cut off is no accident
        rows = np.flatnonzero((own >= last[person]) & np.isfinite(own))
        ranked.append(rows[np.argsort(-own[rows], kind="stable")][:kept])
    return ranked


def lists_of(
    ranker: FusedRanker, scores: np.ndarray, queries: Queries, top: int, candidates: Candidates, rules: Rules
) -> list[np.ndarray]:
    """For each of B people the item rows of their list, in its order; boosts and what may not be come into ``scores``."""
    rules.boosted(scores)
    if not rules.reorder:
        return top_items(scores, queries.histories, top, candidates, queries.disliked)
    candidates.of(scores, queries.histories, queries.disliked)
    vectors = ranker.parts.graphs.semantics
    return [rules.chosen(own, top, vectors) for own in scores]


def rank(
    ranker: FusedRanker,
    queries: Queries,
    top: int,
    candidates: Candidates = EVERY_ITEM,
    rules: Rules = NO_RULES,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Item rows and scores of the ``top`` items of each queried person; arguments as of ``recommend``."""
    with threads_for(len(queries)):
        scores = ranker.score(queries)
        lists = lists_of(ranker, scores, queries, top, candidates, rules)
    return lists, [own[rows] for own, rows in zip(scores, lists, strict=True)]


def recommend(
    ranker: FusedRanker,
    features: Sequence[str],
    queries: Queries,
    top: int = 10,
    candidates: Candidates = EVERY_ITEM,
    rules: Rules = NO_RULES,
) -> list[list[Recommendation]]:
    """The ``top`` items of each queried person, in the order of the list, with reasons.

    Args:
        ranker: ``isrf`` or ``isrf-graph``.
        features: (I,) reasoned feature of each item.
        queries: the people, their histories and the task.
        top: how many.
        candidates: what may be recommended.
        rules: boosts, caps and diversity.
    """
    with threads_for(len(queries)):
        scores, contributions = scored(ranker, queries)
        lists = lists_of(ranker, scores, queries, top, candidates, rules)
        told = with_reasons(ranker, features, queries, contributions, scores, lists)
    if not rules.boosts:
        return told
    return [
        [replace(item, reasons=[*item.reasons, *rules.reasons(row)]) for item, row in zip(own, rows, strict=True)]
        for own, rows in zip(told, lists, strict=True)
    ]


def scored(ranker: FusedRanker, queries: Queries) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(B, I) float32 fused scores, and name -> (B, I) float32 of what each signal contributes to them."""
    fusion = ranker.fusions[queries.task]
    signals, gates = ranker.parts.signals_and_gates(queries, fusion.new_items)
    return fusion.score(signals), fusion.contributions(signals, GENERATOR_SIGNAL, gates)


def with_reasons(
    ranker: FusedRanker,
    features: Sequence[str],
    queries: Queries,
    contributions: dict[str, np.ndarray],
    scores: np.ndarray,
    lists: Sequence[np.ndarray],
) -> list[list[Recommendation]]:
    """What ``recommend`` tells about the items that it found.

    Args:
        ranker: ``isrf`` or ``isrf-graph``.
        features: (I,) reasoned feature of each item.
        queries: B people.
        contributions: name -> (B, I) float32 of each signal (``Fusion.contributions``).
        scores: (B, I) float32 fused scores by which the lists are ordered.
        lists: for each person the item rows to tell about.
    """
    # what an item gains over the average item of the same person: log-probabilities have no zero of their own
    means = {name: part.mean(1) for name, part in contributions.items()}
    speakers = ranker.parts.people.voters(queries)
    out = []
    for person, rows in enumerate(lists):
        history = queries.histories[person]
        heard, _, said = speakers[person]
        found = []
        for row in rows:
            lifts = {n: max(float(part[person, row] - means[n][person]), 0.0) for n, part in contributions.items()}
            total = sum(lifts.values()) or 1.0
            by_signal = {name: lift / total for name, lift in lifts.items()}
            shares = dict.fromkeys(dict.fromkeys(OWNERS[n] for n in contributions), 0.0)
            for name, share in by_signal.items():
                shares[OWNERS[name]] += share
            catalogue = ranker.parts.people.training.catalogue
            found.append(
                Recommendation(
                    catalogue.ids[row],
                    catalogue.name_of(row),
                    float(scores[person, row]),
                    {owner: round(share, 4) for owner, share in shares.items()},
                    features[row],
                    reasons_for(ranker, history, int(row), by_signal, int((said == row).sum()), heard, queries.task),
                )
            )
        out.append(found)
    return out


def reasons_for(
    ranker: FusedRanker,
    history: np.ndarray,
    row: int,
    shares: dict[str, float],
    chosen_by: int,
    neighbours: int,
    task: Task,
) -> list[str]:
    """Plain sentences for the signals that carry a recommendation: those with evidence to name first, strongest first.

    An item of the history is named once, by the strongest signal that points to it: what else points there is the same fact.
    """
    graphs, catalogue = ranker.parts.graphs, ranker.parts.people.training.catalogue
    # an item speaks as loudly as the signals hear it: less the older it is, where order counts
    decay = graphs.items.settings.decay if task == "sequential" else 1.0
    heard = decay ** np.arange(len(history))[::-1]
    sentences: list[str] = []
    named: set[str] = set()  # as the reader sees them: two items of one title are one to them
    # what names an item or people comes first: that the generator thinks so explains nothing to a person
    for name in sorted(shares, key=lambda n: (n in NO_EVIDENCE, -shares[n])):
        if len(sentences) == MOST_REASONS:
            break
        if shares[name] < (TELLING_SHARE if name in NO_EVIDENCE else EVIDENT_SHARE):
            continue
        sentence, source = None, None
        if name in ("transitions", "companions") and len(history):
            graph = graphs.items.transitions if name == "transitions" else graphs.items.cooccurrence
            evidence = np.asarray(graph[history][:, [row]].todense()).ravel()
            if evidence.max() > 0:
                source_row = int(history[int((heard * evidence).argmax())])
                forward = name == "transitions" and task == "sequential" and goes_on(ranker, source_row, row)
                verb = "often chosen next after" if forward else "often goes with"
                source = catalogue.name_of(source_row)
                sentence = f"{verb} '{source}'"
            elif lender := lender_of(ranker, history, heard, row, name):
                other, source_row = lender
                forward = name == "transitions" and task == "sequential" and goes_on(ranker, source_row, other)
                verb = "is often chosen next after" if forward else "often goes with"
                source = catalogue.name_of(source_row)
                sentence = f"is like '{catalogue.name_of(other)}', which {verb} '{source}'"
        elif name == "neighbourhood" and graphs.backoff.new_items[row]:
            continue  # nobody has bought it: it stands where items of like texts do, which the other signals tell
        elif name in ("semantics", "latest", "neighbourhood") and len(history):
            vectors = graphs.nodes if name == "neighbourhood" else graphs.semantics
            read = history[-1:] if name == "latest" else history
            likeness = vectors[read] @ vectors[row]
            carrier = int((heard[-len(read) :] * likeness).argmax())
            if likeness[carrier] >= SIMILAR_TEXT:
                source = catalogue.name_of(int(read[carrier]))
                shared = "is bought by the same kind of people as" if name == "neighbourhood" else "is much like"
                sentence = f"{shared} '{source}'"
        elif name == "group" and chosen_by:
            like = "with interests like these went on to it" if task == "sequential" else "most like this one chose it"
            sentence = f"{chosen_by} of the {neighbours} people {like}"
        elif name == "generator":
            sentence = "matches your history as a whole"
        elif name == "popularity":
            sentence = "is chosen by many"
        if sentence is None or source in named:
            continue
        sentences.append(sentence)
        if source is not None:
            named.add(source)
    return sentences or ["best remaining match"]


def lender_of(
    ranker: FusedRanker, history: np.ndarray, heard: np.ndarray, row: int, name: str
) -> tuple[int, int] | None:
    """The item that ``row`` borrows most from by a signal, and the history item that speaks for it; None without any.

    Args:
        history: (n,) int64 item rows.
        heard: (n,) how loudly each speaks.
        row: a rare or new item.
        name: "transitions" or "companions".
    """
    graphs = ranker.parts.graphs
    shares = graphs.backoff.rare[row] + graphs.backoff.new[row]
    if not shares.nnz:
        return None
    graph = graphs.items.transitions if name == "transitions" else graphs.items.cooccurrence
    told = heard[:, None] * np.asarray(graph[history][:, shares.indices].todense()) * shares.data
    source, lender = np.unravel_index(int(told.argmax()), told.shape)
    return (int(shares.indices[lender]), int(history[source])) if told[source, lender] > 0 else None


def goes_on(ranker: FusedRanker, source: int, row: int) -> bool:
    """Whether anybody in the log chose ``row`` after ``source``: transitions are read backwards too."""
    people = ranker.parts.people
    for user in np.intersect1d(people.buyers(source), people.buyers(row)):
        history = people.training.histories[int(user)]
        if np.flatnonzero(history == row).max() > np.flatnonzero(history == source).min():
            return True
    return False
