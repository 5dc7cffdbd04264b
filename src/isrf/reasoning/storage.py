"""Reasoned tables of a workspace, read back."""

from __future__ import annotations

import polars as pl

from isrf.core.tables import read_table
from isrf.recommender.open import REASONED_ITEMS, REASONED_USERS
from isrf.workspace.workspace import Workspace


def read_reasoned(workspace: Workspace) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The reasoned tables of items and users, in row order."""
    stage = workspace.stage("reasoning")
    return read_table(stage.file(REASONED_ITEMS)), read_table(stage.file(REASONED_USERS))
