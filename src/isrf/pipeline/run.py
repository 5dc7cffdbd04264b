"""The method from log to table, one stage after the other (docs/method.md); reads like the paper.

Each stage is a file beside this one: a function that takes a workspace and the settings, reads what earlier stages wrote,
and skips itself when nothing that it reads has changed. The work is done by the rooms on plain objects.
"""

from __future__ import annotations

from pathlib import Path

from isrf.core.config import Settings
from isrf.core.progress import note
from isrf.core.shell import command_line
from isrf.data.splits.split import TO_HOLD_OUT
from isrf.data.storage import can_hold_out
from isrf.pipeline.embed import embed
from isrf.pipeline.evaluate import evaluate_methods
from isrf.pipeline.fit_ranking import fit_ranking
from isrf.pipeline.graph import graph
from isrf.pipeline.import_data import import_data
from isrf.pipeline.reason import reason
from isrf.pipeline.train import train
from isrf.workspace.workspace import Workspace


def run(workspace: Workspace, src: str, items: Path | None, settings: Settings, training: bool = True) -> bool:
    """Every stage in order; without ``training`` the interest graphs alone recommend.

    Returns:
        Whether there is a table. A log from which nothing can be held out is neither trained on nor evaluated, and a
        line says so; it still recommends.
    """
    with workspace.held():
        import_data(workspace, src, items, settings)
        reason(workspace, settings)
        embed(workspace, settings)
        graph(workspace, settings)
        fit_ranking(workspace, settings)
        if not can_hold_out(workspace):
            note(
                f"no generator and no table, as fewer than two users have a validation item ({TO_HOLD_OUT}); "
                f"`{command_line('isrf', 'recommend', workspace.root)}` works all the same"
            )
            return False
        if training:
            train(workspace, settings)
        evaluate_methods(workspace, settings)
        return True
