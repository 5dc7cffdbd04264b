"""Reasoned preferences of people and features of items as vectors of one space: what the carriers are made from.

Knows nothing about who reasoned, or about files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from isrf.core.config import Settings
from isrf.core.errors import CannotFit
from isrf.data.histories import Histories
from isrf.data.queries import Queries
from isrf.data.storage import read_training
from isrf.reasoning.attributes.statistics import AttributeStatistics
from isrf.semantics.encode import Encoder
from isrf.semantics.features import load_semantics
from isrf.workspace.layout import SEMANTICS_FILE
from isrf.workspace.saved_settings import as_made
from isrf.workspace.workspace import Workspace


@dataclass(frozen=True)
class Preferences:
    """Semantics of one training set, made from training interactions and catalogue texts alone.

    Attributes:
        items: (I, k) float32 unit or zero: semantic item features.
        users: (U, k) float32 unit or zero: the reasoned preference of each user of the log, in the space of the items.
        of_histories: histories (B,) -> (B, k) float32, the same for people who are not in the log.
    """

    items: np.ndarray
    users: np.ndarray
    of_histories: Callable[[Histories], np.ndarray]

    def of(self, queries: Queries) -> np.ndarray:
        """(B, k) float32: everybody's preference; zero for somebody who is not in the log and has no history."""
        found = np.zeros((len(queries), self.items.shape[1]), dtype=np.float32)
        known = queries.users >= 0
        found[known] = self.users[queries.users[known]]
        strangers = np.flatnonzero(~known & (queries.histories.lengths > 0))
        if len(strangers):
            found[strangers] = self.of_histories(queries.histories.take(strangers))
        return found


def carrier_preferences(workspace: Workspace, settings: Settings) -> Preferences:
    """What the carriers are made from: features of items and users in one space, and how to get them for anybody else.

    Raises:
        CannotFit: items have no text here (``semantics.item_text=none``), so that no preference could be matched to one.
    """
    settings = as_made(workspace, settings)
    semantics = load_semantics(workspace.stage("semantics").file(SEMANTICS_FILE))
    reduction = semantics.reduction
    if reduction is None:
        raise CannotFit("carriers match preferences to item texts, and semantics.item_text=none encodes no text")
    training = read_training(workspace)

    @cache
    def tools() -> tuple[AttributeStatistics, Encoder]:
        return AttributeStatistics.fit(training, settings.reasoning), Encoder(settings.semantics)

    def reduced(vectors: np.ndarray) -> np.ndarray:
        found = reduction(vectors)
        found[~np.any(vectors != 0, axis=1)] = 0  # who has no preference is not "the average item"
        return found

    def of_histories(histories: Histories) -> np.ndarray:
        statistics, encoder = tools()
        return reduced(encoder(statistics.users(histories).features, "encode preferences"))

    return Preferences(semantics.items, reduced(semantics.users), of_histories)
