"""Drift: how far a log has moved from what the kept weights were fitted on, and when it is time to fit them again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isrf.core.config import Settings
from isrf.core.shell import command_line
from isrf.data.dataset import Columns
from isrf.data.splits.split import Split
from isrf.data.storage import read_split
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import ranks_of
from isrf.methods.names import GRAPH_ONLY, WHOLE
from isrf.pipeline.update_data import new_rows
from isrf.ranking.adapter_inputs import load_adapter_inputs
from isrf.ranking.rankers import FusedRanker
from isrf.ranking.storage import as_fitted, has_model, load_components, load_fusions, load_graph_components
from isrf.workspace.layout import ADAPTER_INPUTS_FILE, FUSION_FILE
from isrf.workspace.workspace import Workspace

MOST_PEOPLE = 1000
"""So many people say at most how well lists are; they are drawn by ``training.seed``."""
LEAST_PEOPLE = 100
"""From fewer, a figure says nothing that a retraining should go by."""
UNTRAINED_SHARE = 0.1
"""Retrain when more than this share of training interactions is on items that the generator has not met."""
LOSS = 0.2
"""Retrain when lists of the last period are worse than those of before by more than this share of NDCG@10."""


@dataclass(frozen=True)
class Drift:
    """What an update found.

    Attributes:
        method: what ranks, "isrf" or "isrf-graph".
        log_share: share of training interactions on items that the generator has not met; None without one.
        new_share: the same of the rows that the last update brought; None without any, too.
        last: NDCG@10 on the validation items of the people whom the last update brought rows of, at most MOST_PEOPLE.
        before: the same of other people.
        people: how many people ``last`` and ``before`` are from.
    """

    method: str
    log_share: float | None
    new_share: float | None
    last: float
    before: float
    people: tuple[int, int]

    @property
    def is_due(self) -> bool:
        """Whether weights should be fitted again."""
        enough = min(self.people) >= LEAST_PEOPLE
        untrained = self.log_share is not None and self.log_share > UNTRAINED_SHARE
        return untrained or (enough and self.last < (1 - LOSS) * self.before)

    def lines(self, workspace: Workspace) -> list[str]:
        """What is told, the last line says whether to retrain."""
        found = []
        if self.log_share is not None:
            new = "" if self.new_share is None else f", {self.new_share:.1%} of the new rows"
            found.append(
                f"drift: {self.log_share:.1%} of training interactions{new} are on items that the generator was not trained on"
            )
        if min(self.people):
            few = "" if min(self.people) >= LEAST_PEOPLE else f"; from fewer than {LEAST_PEOPLE}, which proves nothing"
            found.append(
                f"drift: validation NDCG@10 of {self.method} is {self.last:.4f} for people with new rows ({self.people[0]:,}) "
                f"and {self.before:.4f} for others ({self.people[1]:,}){few}"
            )
        words = ("graph", workspace.root) if self.log_share is None else ("update", workspace.root, "--retrain")
        again = command_line("isrf", *words)
        due = f"the weights are worth fitting again: `{again}`"
        found.append(due if self.is_due else "the weights need not be fitted again yet")
        return found


def drift_of(workspace: Workspace, settings: Settings) -> Drift:
    """Measure a workspace with kept weights."""
    split, trained = read_split(workspace), has_model(workspace)
    ranker = ranker_of(workspace, settings, split)
    rows = new_rows(workspace)
    log_share = new_share = None
    stage = workspace.stage("model")
    if trained:
        training = split.training
        met = training.popularity > 0
        if stage.has(ADAPTER_INPUTS_FILE):
            met = load_adapter_inputs(stage.file(ADAPTER_INPUTS_FILE)).trained
        log_share = float(1 - met[training.histories.items].mean())
        items = training.catalogue.rows_of(rows[Columns.ITEM].to_list())
        new_share = float(1 - met[items].mean()) if len(items) else None
    came = {split.row_of[user] for user in rows[Columns.USER].unique().to_list()}
    last, before = people_of(split, came, settings.training.seed)
    return Drift(
        ranker.name,
        log_share,
        new_share,
        valid_ndcg10(ranker, split, last, settings),
        valid_ndcg10(ranker, split, before, settings),
        (len(last), len(before)),
    )


def ranker_of(workspace: Workspace, settings: Settings, split: Split) -> FusedRanker:
    """The best method that a workspace has."""
    if has_model(workspace):
        parts = load_components(workspace, settings, split.training)
        return FusedRanker(WHOLE, parts, load_fusions(workspace.stage("model").file(FUSION_FILE)))
    parts = load_graph_components(workspace, as_fitted(workspace, settings, "ranking"), training=split.training)
    return FusedRanker(GRAPH_ONLY, parts, load_fusions(workspace.stage("ranking").file(FUSION_FILE)))


def people_of(split: Split, came: set[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of validation users among those who came, and of others, at most MOST_PEOPLE of each."""
    users = np.random.default_rng(seed).permutation(split.users("valid"))
    among = np.isin(users, np.array(sorted(came), dtype=np.int64))
    return np.sort(users[among][:MOST_PEOPLE]), np.sort(users[~among][:MOST_PEOPLE])


def valid_ndcg10(ranker: FusedRanker, split: Split, users: np.ndarray, settings: Settings) -> float:
    """NDCG@10 on the validation items of some people; 0 of nobody."""
    if not len(users):
        return 0.0
    return float(ndcg(ranks_of(ranker, split, "valid", "sequential", users, settings.ranking.block), 10).mean())
