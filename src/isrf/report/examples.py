"""Random rows in full, each beside the rows that its feature is nearest to: what a person reads to judge a supplier.

Knows nothing about how the reasons came to be, nor how examples are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from isrf.data.dataset import LIST_SEPARATOR
from isrf.data.training_data import Catalogue
from isrf.reasoning.llm.prompts import Field, Kind
from isrf.reasoning.tables import ReasonColumns
from isrf.reasoning.text import clean

Encode = Callable[[Sequence[str], str], np.ndarray]
"""(N,) texts and what to call the work -> (N, d) float32 of unit norm, zero for an empty text."""

NEAREST = 3
"""Neighbours of an example."""
SEARCHED = 20_000
"""Most rows among which the nearest are searched: all of a larger catalogue would take minutes to encode."""
ATTRIBUTE, ABOUT, TITLE, SENTENCE = 80, 240, 80, 1000
"""Longest attribute, all attributes, title and sentence of an example, characters; the last cuts none that passed the
quality gate, but a table may come from elsewhere."""
RECENT = 5
"""Newest training items named of a person."""


@dataclass(frozen=True)
class Neighbour:
    """A row near an example: an item's title, or a user's id and core preference; cosine of the two features."""

    id: str
    name: str
    cosine: float


@dataclass(frozen=True)
class Example:
    """One row in full beside what is known of it: an item's attributes, a user's newest training items."""

    id: str
    title: str
    about: str
    likes: str
    dislikes: str
    feature: str
    supplier: str
    model: str
    nearest: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Side:
    """Items or users: their reasons, and how a row is shown.

    Attributes:
        table: ``ReasonColumns``, one row an id, in row order.
        carried: (n,) float64 training interactions of each row.
        limits: most words of each field.
        title, about, neighbour: from a row to its name, to what is known of it, and to its name beside another row.
    """

    kind: Kind
    table: pl.DataFrame
    ids: list[str]
    carried: np.ndarray
    limits: dict[Field, int]
    title: Callable[[int], str]
    about: Callable[[int], str]
    neighbour: Callable[[int], str]


def shortened(text: str, most: int) -> str:
    """One printable line of at most ``most`` characters, an ellipsis where it was cut, between words if there are any."""
    line = clean(text, 4 * most + 8)  # bytes; what is too long is still too long after it
    if len(line) <= most:
        return line
    head = line[: most - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[most // 2 :] else head).rstrip(" ,;:.") + "…"


def attributes_of(catalogue: Catalogue, row: int) -> str:
    """ "brand: Acme; categories: Tea, Kitchen", each attribute and the whole shortened."""
    values = ((name, catalogue.table[name][row] or "") for name in catalogue.attribute_columns)
    told = (
        f"{name}: {shortened(text[: 8 * ATTRIBUTE].replace(LIST_SEPARATOR, ', '), ATTRIBUTE)}"
        for name, text in values
        if text.strip()
    )
    return shortened("; ".join(told), ABOUT)


def random_examples(
    side: Side, by_statistics: np.ndarray, encode: Encode | None, seed: int, examples: int
) -> tuple[tuple[Example, ...], int, int]:
    """Random rows beside their nearest, how many rows were searched, and how many have a feature.

    Args:
        encode: None leaves out what is nearest.
        by_statistics: (n,) bool, rows that attribute statistics wrote; they are shown only where no other is.
        seed: of the rows, and of the sample that is searched in a large catalogue.
    """
    features, random = side.table[ReasonColumns.FEATURE], np.random.default_rng(seed)
    written = np.flatnonzero(~by_statistics)
    pool = written if len(written) else np.arange(side.table.height)
    chosen = random.choice(pool, min(examples, len(pool)), replace=False)
    told = np.flatnonzero((features != "").to_numpy())
    among = told
    if len(told) > SEARCHED:
        here, others = np.intersect1d(told, chosen), np.setdiff1d(told, chosen)
        among = np.sort(np.concatenate([here, random.choice(others, SEARCHED - len(here), replace=False)]))
    nearest: dict[int, list[tuple[int, float]]] = {}
    if encode is not None and len(among):
        nearest = _nearest(chosen, among, features, encode, f"encode features of {side.kind}s")
    shown = []
    for row in map(int, chosen):
        record = side.table.row(row, named=True)
        shown.append(
            Example(
                id=side.ids[row],
                title=side.title(row),
                about=side.about(row),
                likes=shortened(record[ReasonColumns.LIKES], SENTENCE),
                dislikes=shortened(record[ReasonColumns.DISLIKES], SENTENCE),
                feature=shortened(record[ReasonColumns.FEATURE], SENTENCE),
                supplier=record[ReasonColumns.SUPPLIER],
                model=record[ReasonColumns.MODEL],
                nearest=tuple(
                    Neighbour(side.ids[other], side.neighbour(other), cosine) for other, cosine in nearest.get(row, ())
                ),
            )
        )
    return tuple(shown), len(among), len(told)


def _nearest(
    chosen: np.ndarray, among: np.ndarray, features: pl.Series, encode: Encode, what: str
) -> dict[int, list[tuple[int, float]]]:
    """The ``NEAREST`` rows by cosine of each chosen row that has a feature, exact, ties by row.

    Args:
        chosen: (c,) int64 rows.
        among: (n,) int64 rows with a feature, ascending, the chosen ones that have one among them.
    """
    vectors = encode(features.gather(among).to_list(), what)
    rows = np.intersect1d(among, chosen)
    cosines = vectors[np.searchsorted(among, rows)] @ vectors.T
    found = {}
    for row, values in zip(rows.tolist(), cosines, strict=True):
        best = np.argsort(-values, kind="stable")[: NEAREST + 1]
        others = [(int(among[n]), float(values[n])) for n in best if among[n] != row]
        found[row] = others[:NEAREST]
    return found
