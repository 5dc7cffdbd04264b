"""Sections of the report on the graphs: how alike and how linked people and items are, and a map of people.

Reads graphs and features of training data; knows nothing about files or results.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.manifold import TSNE

from isrf.core.arrays import unit_rows
from isrf.ranking.rankers import ScoringComponents
from isrf.report.plots import histogram, people_map
from isrf.report.section import Figure, Figures, Line, Part, Section, Table
from isrf.semantics.index import kmeans

BINS = 30
PAIRS = 20_000
"""Pairs that a distribution of similarity is read from, at most."""

MAPPED, GROUPS, LINKED = 2_000, 6, 12
"""People on the map, groups that they are coloured by, and most similar people that the traced one is linked to."""

LEAST_WORD = 4
"""Letters of a word that may name a group."""


def bins(values: np.ndarray, series: str, edges: np.ndarray) -> list[dict[str, Any]]:
    """Counts between edges as rows of ``plots.histogram``."""
    counts, edges = np.histogram(values, edges)
    return [
        {"low": round(float(a), 4), "high": round(float(b), 4), "count": int(n), "series": series}
        for n, a, b in zip(counts, edges[:-1], edges[1:], strict=True)
    ]


def degree_edges(degrees: np.ndarray) -> np.ndarray:
    """Edges of equal whole width that hold nearly all degrees; the last bin takes those beyond."""
    most = max(int(np.quantile(degrees, 0.99)) + 1, 2)
    width = max(1, -(-most // BINS))
    return np.arange(0, most + width, width)


def distributions(parts: ScoringComponents, seed: int) -> Section:
    """Similarity and degree of both graphs."""
    links, training = parts.people.graph.links, parts.people.training
    semantics, following = parts.graphs.semantics, parts.graphs.items.transitions
    rng = np.random.default_rng(seed)
    degrees, items = np.diff(links.indptr), np.diff(following.indptr)
    chance = rng.integers(0, training.n_users, (2, PAIRS))
    features = parts.people.semantics.users
    random_users = np.einsum("nd,nd->n", features[chance[0]], features[chance[1]])
    sample = rng.choice(following.nnz, min(PAIRS, following.nnz), replace=False) if following.nnz else np.zeros(0, int)
    rows = np.repeat(np.arange(following.shape[0]), items)[sample]
    linked_items = np.einsum("nd,nd->n", semantics[rows], semantics[following.indices[sample]])
    pairs = rng.integers(0, training.n_items, (2, PAIRS))
    random_items = np.einsum("nd,nd->n", semantics[pairs[0]], semantics[pairs[1]])
    linked = links.data[rng.choice(links.nnz, min(PAIRS, links.nnz), replace=False)] if links.nnz else np.zeros(0)
    edges = np.linspace(min(-0.2, float(random_users.min()), float(random_items.min())), 1.0, BINS + 1)

    def shares(some: np.ndarray, name: str) -> list[dict[str, Any]]:
        """Counts as if there were PAIRS of them."""
        # float32 rounding takes the cosine of equal vectors beyond 1
        within = np.clip(some, edges[0], edges[-1])
        return [row | {"count": row["count"] * PAIRS / max(len(some), 1)} for row in bins(within, name, edges)]

    figures = [
        Figure(
            histogram(
                shares(linked, "linked people") + shares(random_users, "two random people"),
                "users-similarity",
                "Cosine of linked and of random people",
                "cosine of user features",
                "pairs of 20,000",
            ),
            "Similar-user graph: similarity",
        ),
        Figure(
            histogram(
                bins(np.minimum(degrees, degree_edges(degrees)[-1]), "people", degree_edges(degrees)),
                "users-degree",
                "Number of similar people that a person is linked to",
                "similar people",
                "people",
            ),
            "Similar-user graph: degree",
            f"{np.mean(degrees == 0):.1%} have nobody; median {np.median(degrees):.0f}.",
        ),
        Figure(
            histogram(
                shares(linked_items, "joined by transitions") + shares(random_items, "two random items"),
                "items-similarity",
                "Cosine of joined and of random items",
                "cosine of item features",
                "pairs of 20,000",
            ),
            "Item graph: similarity",
        ),
        Figure(
            histogram(
                bins(np.minimum(items, degree_edges(items)[-1]), "items", degree_edges(items)),
                "items-degree",
                "Number of items that people had right before or after",
                "items joined by transitions",
                "items",
            ),
            "Item graph: degree",
            f"{np.mean(items == 0):.1%} are joined to none; median {np.median(items):.0f}. The last bar holds all beyond it.",
        ),
    ]
    lead = (
        "Whether links mean anything: people and items that are linked should be more alike than random ones, and neither "
        "should most people have nobody nor everybody."
    )
    return Section("graphs", "The two graphs", lead, [Figures(figures)])


def user_map(parts: ScoringComponents, features: Sequence[str], traced: int | None, why: str, seed: int) -> Section:
    """People in semantic space, projected by t-SNE, coloured by k-means groups; one traced with those like them.

    Args:
        features: (U,) core preference of each user, whose words name the groups.
        traced: user row; None takes one with about LINKED similar people.
        why: who the traced person is, for the caption.
    """
    vectors, links = parts.people.semantics.users, parts.people.graph.links
    lead = (
        f"Core preferences as the sentence encoder sees them, for at most {MAPPED:,} random people. Groups are k-means "
        "clusters in the full space, named by words that set their preferences apart; the map keeps who is near whom, "
        "not how far."
    )
    told = np.flatnonzero(parts.people.present)
    if len(told) < 10:
        line = Line("Fewer than ten people have a feature: too few for a map.")
        return Section("map", "A map of people", lead, [line])
    rng = np.random.default_rng(seed)
    if traced is None:
        traced = int(np.argmin(np.abs(np.diff(links.indptr) - LINKED)))
    row = links[traced]
    near = row.indices[np.argsort(-row.data, kind="stable")][:LINKED]
    sample = rng.choice(told, min(MAPPED, len(told)), replace=False)
    people = np.unique(np.concatenate([sample, [traced], near])).astype(np.int64)
    chosen = unit_rows(vectors[people])
    groups = min(GROUPS, len(people) // 5)
    cluster, _ = kmeans(chosen, groups, seed + 1, 20, spherical=True, sampled=True)
    names = group_names([features[u] for u in people], cluster, groups)
    perplexity = min(30.0, (len(people) - 1) / 3)
    flat = TSNE(perplexity=perplexity, init="pca", metric="cosine", random_state=seed, n_jobs=1).fit_transform(chosen)
    roles = {int(u): "neighbour" for u in near} | {traced: "traced"}
    place = {int(u): n for n, u in enumerate(people)}
    points = [
        {
            "x": round(float(flat[n, 0]), 2),
            "y": round(float(flat[n, 1]), 2),
            "group": names[cluster[n]],
            "role": roles.get(int(u), ""),
        }
        for n, u in enumerate(people)
    ]
    home = points[place[traced]]
    lines = [{"x": home["x"], "y": home["y"]} | {f"{a}2": points[place[int(u)]][a] for a in "xy"} for u in near]
    ids = parts.people.training.user_ids
    caption = f"Diamond: {ids[traced]}, {why}; lines lead to the {len(near)} most similar people."
    figure = Figure(people_map(points, lines, "map-people", "Map of people by core preference"), "People", caption)
    cells = [[ids[traced], "", features[traced]]]
    cells += [[ids[u], f"{links[traced, u]:.3f}", features[u]] for u in near[:5]]
    told_of = Table(
        ("user", "cosine", "core preference"), cells, title="The traced person and the most similar", text=3
    )
    parts_made: list[Part] = [Figures([figure]), told_of]
    return Section("map", "A map of people", lead, parts_made)


def group_names(texts: Sequence[str], cluster: np.ndarray, groups: int) -> list[str]:
    """A name for each cluster: the three words that its texts have most beyond the others', and how many they are."""
    words = [set(re.findall(rf"[^\W\d_]{{{LEAST_WORD},}}", text.lower())) for text in texts]
    overall = Counter(word for some in words for word in some)
    names = []
    for group in range(groups):
        mine = [some for some, at in zip(words, cluster, strict=True) if at == group]
        counts = Counter(word for some in mine for word in some)
        gain = {w: n / max(len(mine), 1) - overall[w] / len(texts) for w, n in counts.items()}
        best = sorted(gain, key=lambda word: (-gain[word], word))[:3]
        names.append(f"{', '.join(best) or 'no words'} ({len(mine):,})")
    return [f"{name} #{at}" if names.count(name) > 1 else name for at, name in enumerate(names)]
