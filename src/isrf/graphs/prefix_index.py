"""The similar-user graph at the resolution of moments: users with a similar history so far, and what they chose next.

A person's interests move: two people need not be alike on the whole for one of them to know what the other will want.
So beside the graph of whole users (``graphs.similar_users``) each training interaction is kept as a moment: what its user was
interested in before it, and what was chosen. A person is linked to the top_k moments of other people by cosine
of semantic features (paper, step 2), and the farther a moment the less it counts, so that tau cuts nothing here.
Interests are read from item features alone, never from the interaction graph, which holds the edge to the very item that
was chosen. Knows nothing about who reads the votes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from isrf.core.arrays import unit_rows
from isrf.core.config import GraphSettings
from isrf.core.progress import track
from isrf.core.tables import open_arrays, save_arrays
from isrf.data.histories import Histories
from isrf.semantics.index import VectorIndex, cell_index, exact_index, find_cells
from isrf.workspace.layout import PREFIX_CELLS_FILE

TEMPERATURE = 0.06
"""Votes weigh exp((cosine - 1) / this): a moment just like the present one counts 1, one at a cosine of 0.7 next to
nothing."""

WIDTH = 128
"""Leading principal components that moments are compared by: as good as all, and three times as fast."""

OWN_MOMENTS = 32
"""Moments looked for beyond top_k: a person's own are like the present one, and are left out."""

SEARCHED_WHOLE = 20_000
"""More moments than this are searched by cells, which finds nearly all of the nearest in a fraction of the time."""


CELL_SAMPLE, CELL_ROUNDS, CELLS_SEARCHED = 40, 8, 0.015
"""Of the cells: moments a cell that k-means looks at, its rounds, and the share of cells that a question looks into."""

LOOKED_AT = 10
"""Moments that a question compares, at least, for each one that it wants."""


def interests(histories: Histories, semantics: np.ndarray, decay: float) -> np.ndarray:
    """(N, d) float32 unit or zero: what each person was interested in *after* each entry of their history.

    Args:
        histories: N interactions in all.
        semantics: (I, k) float32 item features; d is k, at most WIDTH.
        decay: weight of an item relative to the one after it.
    """
    own = unit_rows(semantics[histories.items, :WIDTH])
    if histories.weights is not None:
        own *= histories.weights[:, None]
    found = np.empty_like(own)
    place = np.arange(len(histories.items)) - np.repeat(histories.offsets[:-1], histories.lengths)
    order = np.argsort(place, kind="stable")
    for at, rows in enumerate(np.split(order, np.cumsum(np.bincount(place))[:-1]) if len(place) else ()):
        found[rows] = own[rows] if at == 0 else own[rows] + decay * found[rows - 1]
    return unit_rows(found)


def present_interests(histories: Histories, semantics: np.ndarray, decay: float) -> np.ndarray:
    """(B, d) float32 unit or zero: the last of ``interests`` of each history; zero for an empty one."""
    found = np.zeros((len(histories), min(semantics.shape[1], WIDTH)), dtype=np.float32)
    some = histories.lengths > 0
    found[some] = interests(histories, semantics, decay)[histories.offsets[1:][some] - 1]
    return found


@dataclass(frozen=True)
class IVFCells:
    """Where many moments lie, so that a question need not look at all of them.

    Attributes:
        centres: (C, d) float32; none where there are so few moments that all are looked at.
        of: (N,) int64 cell of each moment; empty without cells.
    """

    centres: np.ndarray
    of: np.ndarray

    @classmethod
    def among(cls, vectors: np.ndarray) -> IVFCells:
        """Spherical k-means of (N, d) float32 vectors; no cells for N up to SEARCHED_WHOLE."""
        size, width = vectors.shape
        if size <= SEARCHED_WHOLE:
            return cls(np.zeros((0, width), dtype=np.float32), np.zeros(0, dtype=np.int64))
        count = min(int(4 * size**0.5), size // CELL_SAMPLE)
        return cls(*find_cells(vectors, count, CELL_ROUNDS, CELL_SAMPLE))

    def save(self, folder: Path) -> None:
        """Write ``moments.npz`` into the folder."""
        save_arrays(folder / PREFIX_CELLS_FILE, centres=self.centres, of=self.of)

    @classmethod
    def load(cls, path: Path) -> IVFCells:
        """Read ``moments.npz``."""
        with open_arrays(path) as kept:
            return cls(kept["centres"], kept["of"])


@dataclass(frozen=True)
class PrefixIndex:
    """N moments of training histories: all interactions but each user's first.

    Attributes:
        vectors: (N, d) float32 unit or zero, interests right before the choice.
        users: (N,) int64 user rows.
        chosen: (N,) int64 item rows.
        places: (N,) int64, where in ``histories.items`` the choice stands.
        cells: they lie in.
        settings: top_k, decay and block.
        weights: (N,) float32, how much each choice counts; None = each counts 1.
    """

    vectors: np.ndarray
    users: np.ndarray
    chosen: np.ndarray
    places: np.ndarray
    cells: IVFCells
    settings: GraphSettings
    weights: np.ndarray | None = None

    @classmethod
    def of(
        cls, histories: Histories, semantics: np.ndarray, settings: GraphSettings, cells: IVFCells | None = None
    ) -> PrefixIndex:
        """All moments of training histories.

        Args:
            histories: of training.
            semantics: (I, d) float32 unit or zero.
            settings: top_k, decay and block.
            cells: found before for the same moments; None finds them, which takes seconds for a hundred thousand.
        """
        users = histories.rows()
        first = np.zeros(len(histories.items), dtype=bool)
        first[histories.offsets[:-1][histories.lengths > 0]] = True
        places = np.flatnonzero(~first)
        vectors = interests(histories, semantics, settings.decay)[places - 1]
        cells = IVFCells.among(vectors) if cells is None else cells
        weights = None if histories.weights is None else histories.weights[places]
        return cls(vectors, users[places], histories.items[places], places, cells, settings, weights)

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def index(self) -> VectorIndex:
        """Inner products: exact for few moments, by cells for many."""
        cells = len(self.cells.centres)
        if not cells:
            return exact_index(self.vectors)
        wanted = LOOKED_AT * (self.settings.top_k + OWN_MOMENTS)
        searched = min(cells, max(1, round(CELLS_SEARCHED * cells), -(-wanted * cells // len(self))))
        return cell_index(self.vectors, self.cells.centres, self.cells.of, searched)

    def links(self, vectors: np.ndarray, users: np.ndarray, what: str | None = None) -> sp.csr_matrix:
        """(B, N) float32 CSR: weight in (0, 1] of each moment that speaks to a person.

        Args:
            vectors: (B, d) float32 unit or zero, present interests.
            users: (B,) user rows, whose own moments do not speak to them; -1 = not in the log.
            what: name of the progress bar; None shows none.
        """
        block, parts = self.settings.block, []
        starts = range(0, len(vectors), block)
        for start in track(starts, what) if what else starts:
            parts.append(self._links(vectors[start : start + block], users[start : start + block]))
        return sp.csr_matrix(sp.vstack(parts) if parts else sp.csr_matrix((0, len(self)), dtype=np.float32))

    def _links(self, vectors: np.ndarray, users: np.ndarray, beyond: int = OWN_MOMENTS) -> sp.csr_matrix:
        most = min(self.settings.top_k + beyond, len(self))
        if not most:
            return sp.csr_matrix((len(vectors), len(self)), dtype=np.float32)
        cosine, rows = self.index.search(np.ascontiguousarray(vectors, dtype=np.float32), most)
        own = (rows >= 0) & (self.users[rows] == users[:, None])
        if most < len(self) and (own.sum(1) > beyond).any():  # own moments took places of others
            return self._links(vectors, users, 4 * beyond)
        usable = (rows >= 0) & (cosine > 0) & ~own
        usable &= np.cumsum(usable, axis=1) <= self.settings.top_k
        weights = np.exp((np.minimum(cosine[usable], 1) - 1) / TEMPERATURE).astype(np.float32)
        people = np.repeat(np.arange(len(vectors)), usable.sum(1))
        return sp.csr_matrix((weights, (people, rows[usable])), shape=(len(vectors), len(self)))

    def votes(self, links: sp.csr_matrix, n_items: int) -> sp.csr_matrix:
        """(B, I) float32: how strongly the linked moments speak for each item. Not shared out to sum to one: many close
        moments are better evidence than one distant one.
        """
        strength = links.data if self.weights is None else links.data * self.weights[links.indices]
        said = (strength, self.chosen[links.indices], links.indptr)
        found = sp.csr_matrix(said, shape=(links.shape[0], n_items), dtype=np.float32, copy=True)
        found.sum_duplicates()
        return found
