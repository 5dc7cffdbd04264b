"""Opening a workspace for questions: every file is read, and proven whole, once. Loads nothing that trains or imports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock

import polars as pl

from isrf.core.config import Settings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.data.histories import Histories
from isrf.data.item_columns import ItemColumns
from isrf.data.splits.split import Split
from isrf.data.storage import read_dislikes, read_id_types, read_item_columns, read_split
from isrf.methods.names import GRAPH_ONLY, WHOLE
from isrf.ranking.rankers import FusedRanker
from isrf.ranking.storage import as_fitted, has_model, load_components, load_fusions, load_graph_components
from isrf.reasoning.storage import read_reasoned
from isrf.recommender.new_events import NewEvents
from isrf.recommender.rules_file import RulesFile, read_rules
from isrf.workspace.layout import FUSION_FILE, RULES_FILE
from isrf.workspace.workspace import Workspace

METHODS = (WHOLE, GRAPH_ONLY)
"""What a workspace recommends with."""


@dataclass(frozen=True)
class OpenWorkspace:
    """What questions are answered from.

    Attributes:
        ranker: ``isrf``, or ``isrf-graph`` where no generator was trained.
        items: reasoned items in row order.
        users: reasoned users in row order.
        split: for what each user of the log has had; recommendations use everything known.
        disliked: (P,) what each user of the split dislikes and is never recommended again; None where ratings are not read.
        item_columns: what filters may read of the items; None = texts of the catalogue alone.
        rules: what every list obeys (``recommender.rules_file``).
        id_types: "user_id" and "item_id" -> polars type of the ids in the source, where it is not text.
        settings: of the workspace: how its log and catalogue were read.
        events: what happened since, in memory (``Recommender.add_events``).
        told: lines that were told already, and need not be told of each question.
        lock: held while a question is answered.
    """

    ranker: FusedRanker
    items: pl.DataFrame
    users: pl.DataFrame
    split: Split
    item_columns: ItemColumns | None = None
    rules: RulesFile = field(default_factory=RulesFile)
    id_types: dict[str, pl.DataType] = field(default_factory=dict)
    disliked: Histories | None = None
    settings: Settings = field(default_factory=Settings)
    events: NewEvents = field(default_factory=NewEvents)
    told: set[str] = field(default_factory=set, repr=False, compare=False)
    lock: RLock = field(default_factory=RLock, repr=False, compare=False)

    def tell(self, lines: Iterable[str]) -> None:
        """Note each line that was not told before."""
        for line in lines:
            if line not in self.told:
                self.told.add(line)
                note(line)

    @cached_property
    def columns(self) -> ItemColumns:
        """What filters may read of the items."""
        return self.item_columns or ItemColumns(self.split.training.catalogue)

    @cached_property
    def item_features(self) -> list[str]:
        """(I,) reasoned feature of each item."""
        return self.items["feature"].to_list()

    @cached_property
    def user_features(self) -> list[str]:
        """(U,) core preference of each user."""
        return self.users["feature"].to_list()


def open_workspace(workspace: Workspace, settings: Settings, method: str | None = None) -> OpenWorkspace:
    """Open a workspace with the best method it has, or the named one.

    Raises:
        IsrfError: the stage that the method needs is missing or damaged, there is no such method, or another command
            finished a stage meanwhile.
    """
    with workspace.unchanged():
        workspace.stage("graphs").require()
        name = method or (WHOLE if has_model(workspace) else GRAPH_ONLY)
        if name not in METHODS:
            raise IsrfError(f"method {name!r}: recommends with {' or '.join(map(repr, METHODS))}")
        split = read_split(workspace)
        if name == WHOLE:
            fusions = load_fusions(workspace.stage("model").file(FUSION_FILE))
            parts = load_components(workspace, settings, split.training)
        else:
            fusions = load_fusions(workspace.stage("ranking").file(FUSION_FILE))
            fitted = as_fitted(workspace, settings, "ranking")
            parts = load_graph_components(workspace, fitted, training=split.training)
        ranker = FusedRanker(name, parts, fusions)
        items, users = read_reasoned(workspace)
        id_types, disliked = read_id_types(workspace), read_dislikes(workspace, len(split.user_ids))
        columns = read_item_columns(workspace, split.training.catalogue)
        rules = read_rules(workspace.root / RULES_FILE)
    _ = ranker.parts.people.moments.index  # on all threads, and not within the first question
    return OpenWorkspace(ranker, items, users, split, columns, rules, id_types, disliked, settings)
