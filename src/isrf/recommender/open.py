"""From the files of a workspace back to objects that recommend: the one place that knows both. Computes nothing new."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from isrf.core.config import Settings
from isrf.core.errors import IsrfError
from isrf.data.splits.split import Split
from isrf.data.storage import read_split
from isrf.ranking.rankers import FusedRanker
from isrf.ranking.storage import as_fitted, has_model, load_components, load_fusions, load_graph_components
from isrf.reasoning.storage import read_reasoned
from isrf.workspace.layout import FUSION_FILE
from isrf.workspace.workspace import Workspace


@dataclass(frozen=True)
class Recommender:
    """A workspace opened for recommending.

    Attributes:
        ranker: ``isrf``, or ``isrf-graph`` where no generator was trained.
        items: reasoned items in row order.
        users: reasoned users in row order.
        split: for what each user of the log has had; recommendations use everything known.
    """

    ranker: FusedRanker
    items: pl.DataFrame
    users: pl.DataFrame
    split: Split


def open_recommender(workspace: Workspace, settings: Settings, method: str | None = None) -> Recommender:
    """Open a workspace with the best method it has, or the named one.

    Raises:
        IsrfError: the stage that the method needs is missing or damaged, there is no such method, or another command
            finished a stage meanwhile.
    """
    with workspace.unchanged():
        workspace.stage("graphs").require()
        name = method or ("isrf" if has_model(workspace) else "isrf-graph")
        if name not in ("isrf", "isrf-graph"):
            raise IsrfError(f"--method {name}: recommends with 'isrf' or 'isrf-graph'")
        if name == "isrf":
            fusions = load_fusions(workspace.stage("model").file(FUSION_FILE))
            ranker = FusedRanker(name, load_components(workspace, settings), fusions)
        else:
            fusions = load_fusions(workspace.stage("ranking").file(FUSION_FILE))
            ranker = FusedRanker(
                name, load_graph_components(workspace, as_fitted(workspace, settings, "ranking")), fusions
            )
        items, users = read_reasoned(workspace)
        split = read_split(workspace)
    _ = ranker.parts.people.moments.index  # on all threads, and not within the first question
    return Recommender(ranker, items, users, split)
