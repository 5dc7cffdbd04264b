"""An update: new rows and items join a finished workspace in a version of its own, and nothing is trained.

The stages are those of `isrf run`, on the log of before with what is new; only what is new is reasoned about and encoded, as
answers and vectors are kept for all versions. Weights are kept too (``kept_weights``), until somebody asks for others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from isrf.core.config import Settings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.core.shell import argument
from isrf.data.readers.frames import as_parquet, in_words_of
from isrf.data.storage import can_hold_out
from isrf.pipeline.drift import drift_of
from isrf.pipeline.embed import embed
from isrf.pipeline.graph import graph
from isrf.pipeline.kept_weights import keep_weights
from isrf.pipeline.reason import reason
from isrf.pipeline.update_data import More, check_updatable, taken_in, update_data
from isrf.workspace.saved_settings import as_made, saved_settings
from isrf.workspace.versions import read_current, versions_there
from isrf.workspace.workspace import Workspace


def update(
    workspace: str | Path | Workspace,
    data: Any = None,
    *,
    items: Any = None,
    reason_anew: bool = False,
    retrain: bool = False,
) -> Workspace:
    """Add rows and items to a finished workspace; the new version answers from when it is whole, and nothing is trained.

    Rows of users and items stay as they are. Reasons are written about what is new; with ``reason_anew`` all that is counted
    equals what a run from nothing on the whole log counts.

    Args:
        workspace: its folder.
        data: newer rows of the log: a path, or a frame of polars, pandas or Arrow.
        items: new items, and items with new texts, likewise.
        reason_anew: count the attribute statistics of everything anew, and encode what they say otherwise now.
        retrain: train the generator from its weights afterwards, and take it where it is not worse.

    Returns:
        The workspace with the new version, for ``isrf.open``; readers that were opened before keep theirs.

    Raises:
        IsrfError: nothing is given, what is given cannot be used, or the workspace cannot be updated; it is as it was.
    """
    with updating(workspace, data, items, reason_anew, retrain) as (updated, lines):
        for line in lines:
            note(line)
        return updated


@contextmanager
def updating(
    workspace: str | Path | Workspace, data: Any, items: Any, reason_anew: bool, again: bool
) -> Iterator[tuple[Workspace, list[str]]]:
    """``update``, and what is to be told; the workspace is held until the block ends."""
    if data is None and items is None and not again:
        data, items, alone = map(argument, ("data", "items", "retrain"))
        raise IsrfError(f"an update needs {data} or {items}, or both; {alone} alone trains on what is there")
    here = Workspace.existing(Path(workspace.root if isinstance(workspace, Workspace) else workspace))
    with ExitStack() as stack:
        frames: dict[str, str] = {}

        def place_of(given: Any, argument: str) -> str | None:
            if given is None or isinstance(given, str | Path):
                return None if given is None else str(given)
            path = Path(stack.enter_context(TemporaryDirectory(prefix="isrf-source-"))) / f"{argument}.parquet"
            frames[str(path)] = argument
            return str(as_parquet(given, path, argument))

        rows, catalogue = place_of(data, "data"), place_of(items, "items")
        stack.enter_context(here.held(updating=True))
        stack.enter_context(in_words_of(frames))
        check_updatable(here)
        if again:
            from isrf.pipeline.retrain import check_retrainable, retrain  # loads the trainer, which an update needs not

            check_retrainable(here)
        settings = as_made(here, saved_settings(here))
        lines: list[str] = []
        if rows is not None or catalogue is not None:
            more = More(rows, None if catalogue is None else Path(catalogue))
            here, lines = appended(here, more, settings, reason_anew)
        if again:
            here, line = retrain(here, settings)
            lines.append(line)
        yield here, lines


def appended(workspace: Workspace, more: More, settings: Settings, reason_anew: bool) -> tuple[Workspace, list[str]]:
    """The next version, with what is new, and what is to be told of it; the workspace as it is where it has that already."""
    digests = more.digests()
    if taken_in(workspace, digests):
        return workspace, ["these files were added by an earlier update; nothing to add"]
    following = workspace.next_version()
    update_data(workspace, following, more, digests, settings)
    reason(following, settings, before=None if reason_anew else workspace)
    embed(following, settings)
    graph(following, settings)
    keep_weights(workspace, following, settings)
    following.make_current(workspace.version)
    lines = [f"version {following.version} answers from now on; version {workspace.version} is kept"]
    if can_hold_out(following):
        lines += drift_of(following, settings).lines(following)
    return following, lines


def versions(workspace: str | Path | Workspace) -> list[int]:
    """Numbers of the versions that a workspace keeps, the one that answers first."""
    here = Workspace.existing(Path(workspace.root if isinstance(workspace, Workspace) else workspace))
    current = read_current(here.root)
    return [current.version, *(number for number in versions_there(here.root) if number == current.previous)]


def roll_back(workspace: str | Path | Workspace) -> Workspace:
    """Let the version answer that answered before the last update; doing it twice undoes it.

    Raises:
        IsrfError: there is no such version.
    """
    here = Workspace.existing(Path(workspace.root if isinstance(workspace, Workspace) else workspace))
    with here.held():
        current = read_current(here.root)
        if current.previous is None or current.previous not in versions_there(here.root):
            raise IsrfError(f"{here.root}: has no earlier version to go back to; it is at version {current.version}")
        before = Workspace(here.root, current.previous)
        before.make_current(here.version)
        return before
