"""Reasoned tables of a workspace, read back."""

from __future__ import annotations

import polars as pl

from isrf.core.tables import read_table
from isrf.workspace.layout import REASONED_ITEMS_FILE, REASONED_USERS_FILE
from isrf.workspace.workspace import Workspace


def read_reasoned(workspace: Workspace) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The reasoned tables of items and users, in row order."""
    stage = workspace.stage("reasoning")
    return read_table(stage.file(REASONED_ITEMS_FILE)), read_table(stage.file(REASONED_USERS_FILE))
