"""The commands `isrf embed`, `graph`, `train` and `evaluate`: one stage of a workspace each. Parse, call, print."""

from __future__ import annotations

from pathlib import Path

from isrf.cli.options import (
    Config,
    Preset,
    Sets,
    Where,
)
from isrf.core import distributed

NEXT = {"embed": ("graph",), "graph": ("recommend", "train", "evaluate"), "train": ("evaluate",)}
"""Commands that make use of what a stage wrote, the usual one first."""
ROOMS = {
    "embed": ("semantics",),
    "graph": ("graphs", "ranking"),
    "train": ("model", "training", "ranking"),
    "evaluate": ("evaluation",),
}
"""Command -> rooms of settings that it reads."""


def embed(ws: Where, preset: Preset = None, config: Config = None, sets: Sets = []) -> None:  # noqa: B006
    """Sentences to vectors: semantic features of items and users."""
    _run("embed", ws, preset, config, sets)


def graph(ws: Where, preset: Preset = None, config: Config = None, sets: Sets = []) -> None:  # noqa: B006
    """The semantic interaction graph and the similar-user graph; after this, `recommend` works."""
    _run("graph", ws, preset, config, sets)


def train(ws: Where, preset: Preset = None, config: Config = None, sets: Sets = []) -> None:  # noqa: B006
    """The generator, by iterative batch optimisation; resumes where it was stopped (paper, step 3).

    Several processes: torchrun --nproc_per_node 2 -m isrf train WS
    """
    _run("train", ws, preset, config, sets)


def evaluate(ws: Where, preset: Preset = None, config: Config = None, sets: Sets = []) -> None:  # noqa: B006
    """Every method on the test items of the same users: one table, with intervals and paired tests."""
    _run("evaluate", ws, preset, config, sets)


def _run(name: str, ws: Path, preset: str | None, config: Path | None, sets: list[str]) -> None:
    """Run the stage of a command, or help the main process with it."""
    from isrf.pipeline.stage_settings import settings_for, trying
    from isrf.workspace.workspace import Workspace

    workspace = Workspace.existing(ws)
    if distributed.rank():  # the main process holds the workspace, remembers the settings, and tells
        from isrf.pipeline import run as pipeline

        pipeline.train(workspace, settings_for(workspace, sets, preset, config, ROOMS[name], keep=False))
        return
    with workspace.held():
        from isrf.pipeline import run as pipeline

        with trying(workspace, sets, preset, config, rooms=ROOMS[name]) as settings:
            stages = {
                "embed": (pipeline.embed,),
                "graph": (pipeline.graph, pipeline.fit_ranking),
                "train": (pipeline.train,),
                "evaluate": (pipeline.evaluate_methods,),
            }
            for stage in stages[name]:
                stage(workspace, settings)
        if name == "evaluate":
            from isrf.cli.printing.results import print_results

            print_results(workspace)
        else:
            from isrf.cli.printing.screen import print_next_step

            print_next_step(workspace, *NEXT[name])
