"""Why one item is, or would be, recommended to one person."""

from __future__ import annotations

from typing import Any

import numpy as np

from isrf.core.threads import threads_for
from isrf.data.queries import Queries
from isrf.ranking.recommend import scored, with_reasons
from isrf.recommender.answer import told
from isrf.recommender.ids import Id
from isrf.recommender.open import OpenWorkspace
from isrf.recommender.request import item_rows


def explained_item(opened: OpenWorkspace, query: Queries, item: Id) -> dict[str, Any]:
    """The row of ``answer`` for one item, whatever its rank.

    Args:
        opened: the workspace.
        query: exactly one person.
        item: original id.

    Raises:
        UnknownId: the item is not in the catalogue.
    """
    row = int(item_rows(opened.split.training.catalogue, [item])[0])
    history = query.histories[0]
    with opened.lock, threads_for(1):
        scores, contributions = scored(opened.ranker, query)
        lists = with_reasons(opened.ranker, opened.item_features, query, contributions, scores, [np.array([row])])
    own = scores[0].copy()
    barred = history if query.disliked is None else np.concatenate([history, query.disliked[0]])
    own[barred] = -np.inf
    ahead = int((own > own[row]).sum() + (own[:row] == own[row]).sum())
    return {"rank": None if row in barred else ahead + 1, **told(lists[0][0], opened.ranker.name, False)}
