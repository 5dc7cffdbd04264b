"""What may be recommended, and by which rules: a call's arguments and the workspace's ``rules.yaml`` together.

Library, command line and batches ask through it alone, so that a filter means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.data.training_data import Catalogue
from isrf.ranking.candidates import Candidates
from isrf.ranking.filters import Filters, Where, candidates_of, named_wheres
from isrf.ranking.rules import RuleArguments, Rules, rules_of
from isrf.recommender.ids import Id, as_imported
from isrf.recommender.open import OpenWorkspace
from isrf.workspace.layout import RULES_FILE


@dataclass(frozen=True)
class Wishes:
    """Arguments of a call that say what its lists may hold.

    Attributes:
        items_to_recommend: ids of the only items to recommend; None = the catalogue.
        exclude: ids of items not to recommend.
        where: column -> condition, or several such mappings, all of which hold (``ranking.predicates``).
        filter_viewed: whether what a person has had is left out; None = as the rules of the workspace say, else yes.
        availability: whether the columns available_from, available_to and in_stock count.
        at: the moment for which they count; None = now.
        max_per: column -> most items of one value in a list.
        boost: column -> {value: spreads}, or a list of {"where": conditions, "by": spreads}.
        diversity: 0 to 1; None = as the rules of the workspace say, else 0.
    """

    items_to_recommend: Iterable[Id] | None = None
    exclude: Iterable[Id] | None = None
    where: Where | Sequence[Where] | None = None
    filter_viewed: bool | None = None
    availability: bool = True
    at: Any = None
    max_per: Mapping[str, Any] | None = None
    boost: Any = None
    diversity: float | None = None


NO_WISHES = Wishes()


@dataclass(frozen=True)
class Selection:
    """What a question is answered with: candidates before scores, rules after them."""

    candidates: Candidates
    rules: Rules


def selection_of(opened: OpenWorkspace, wishes: Wishes = NO_WISHES) -> Selection:
    """Candidates and rules of one question; what a person should know of them is told once.

    Raises:
        IsrfError: a column that there is not, or an operator or value that does not fit it.
    """
    catalogue, kept = opened.split.training.catalogue, opened.rules
    own = f"{RULES_FILE}: "
    lists = [
        *given_rows(catalogue, kept.items_to_recommend, f"{own}items_to_recommend"),
        *given_rows(catalogue, wishes.items_to_recommend, "items_to_recommend"),
    ]
    excluded = [
        *given_rows(catalogue, kept.exclude or None, f"{own}exclude"),
        *given_rows(catalogue, wishes.exclude, "exclude"),
    ]
    viewed = (wishes.filter_viewed, kept.filter_viewed, True)
    filters = Filters(
        lists=tuple(lists),
        excluded=tuple(excluded),
        where=(*named_wheres(f"{own}where", kept.where or None), *named_wheres("where", wishes.where)),
        filter_viewed=next(value for value in viewed if value is not None),
        availability=kept.availability and wishes.availability,
        at=wishes.at,
    )
    candidates, lines = candidates_of(filters, opened.columns)
    opened.tell(lines)
    rules = [
        RuleArguments(kept.max_per, kept.boost, kept.diversity, own),
        RuleArguments(
            {} if wishes.max_per is None else wishes.max_per,
            () if wishes.boost is None else wishes.boost,
            wishes.diversity,
        ),
    ]
    return Selection(candidates, rules_of(rules, opened.columns))


def given_rows(catalogue: Catalogue, items: Iterable[Id] | None, name: str) -> list[tuple[str, np.ndarray]]:
    """(name, item rows) of a list of ids, [] where none is given; ids that are not in the catalogue are told of."""
    if items is None:
        return []
    if isinstance(items, str | bytes):
        raise IsrfError(f"{name} must be a list, not a string")
    found = list(dict.fromkeys(as_imported(item, catalogue.row_of) for item in items))
    rows = [catalogue.row_of[item] for item in found if item in catalogue.row_of]
    if len(rows) < len(found):
        first = next(item for item in found if item not in catalogue.row_of)
        note(f"{name}: {len(found) - len(rows):,} of {len(found):,} items are not in the catalogue, e.g. {first!r}")
    return [(name, np.array(rows, dtype=np.int64))]
