"""Retraining: the generator goes on from its weights on the log as it is now, in a version beside the one that answers."""

from __future__ import annotations

from isrf.core.atomic_files import discard
from isrf.core.config import ModelSettings, Settings
from isrf.core.errors import IsrfError
from isrf.core.shell import argument, command_line
from isrf.data.storage import read_split
from isrf.pipeline.drift import ranker_of, valid_ndcg10
from isrf.pipeline.fit_ranking import fit_ranking
from isrf.pipeline.train import train
from isrf.pipeline.warm_start import WarmStart
from isrf.ranking.fit_fusion import stopping_users
from isrf.ranking.storage import has_model
from isrf.workspace.layout import ADAPTER_INPUTS_FILE
from isrf.workspace.lend import lend
from isrf.workspace.stage import FIRST_STAGES
from isrf.workspace.workspace import Workspace

TOLERANCE = 0.01
"""New weights are taken where validation NDCG@10 is at most this share below that of the kept ones."""


def check_retrainable(workspace: Workspace) -> None:
    """Raise IsrfError where there is no generator to go on from."""
    if has_model(workspace):
        return
    graph, train = (command_line("isrf", name, workspace.root) for name in ("graph", "train"))
    raise IsrfError(
        f"{workspace.root}: {argument('retrain')} goes on from a generator's weights, and there is none: `{train}` trains one, "
        f"and `{graph}` fits the weights of the graphs again"
    )


def retrain(workspace: Workspace, settings: Settings) -> tuple[Workspace, str]:
    """Train from the kept weights and fit all weights of fusion again, in the next version; which one answers, and why.

    Both are judged on the validation items of the people who choose the epoch: no weights of fusion were fitted on these.

    Args:
        workspace: held, its generator kept by an update.
        settings: as the workspace was made; those of training as it keeps them now.
    """
    if not workspace.stage("model").has(ADAPTER_INPUTS_FILE):
        return workspace, "retraining: the generator was trained on this very log, so there is nothing to learn"
    made = workspace.stage("model").require()["settings"]["model"]
    settings = settings.model_copy(update={"model": ModelSettings(**made)})
    following = workspace.next_version()
    for name in FIRST_STAGES:
        following.stage(name).prepare()
        lend(workspace.stage(name), following.stage(name))
    train(following, settings, WarmStart.of(workspace))
    fit_ranking(following, settings)
    split = read_split(following)
    people = stopping_users(split, settings.training.seed)[0][: settings.ranking.fit_users]
    before, after = (
        valid_ndcg10(ranker_of(one, settings, split), split, people, settings) for one in (workspace, following)
    )
    figures = f"validation NDCG@10 is {after:.4f} with new weights and {before:.4f} with the kept ones ({len(people):,} people)"
    if after < (1 - TOLERANCE) * before:
        discard(following.home)
        return workspace, f"retraining: {figures}: worse, so the kept weights go on answering"
    following.make_current(workspace.version)
    return following, f"retraining: {figures}: the new weights answer from now on (version {following.version})"
