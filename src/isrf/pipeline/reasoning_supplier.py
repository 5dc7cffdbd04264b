"""What a person asks about who reasons: an estimate beforehand, a report afterwards, answers given to others and taken.

Knows workspaces and their files; the reasoning itself is a stage of ``pipeline``.
"""

from __future__ import annotations

from pathlib import Path

from isrf.core.config import ReasoningSettings, Settings
from isrf.core.errors import IsrfError
from isrf.core.shell import command_line, in_shell, setting
from isrf.core.sqlite_reading import can_write
from isrf.data.storage import read_training
from isrf.reasoning.answers.exchange import export_answers, import_answers
from isrf.reasoning.llm import consent
from isrf.reasoning.llm.estimate import Estimate, estimate
from isrf.reasoning.storage import read_reasoned
from isrf.report.reasoning import ReasoningReport, reasoning_report
from isrf.semantics.encode import Encoder
from isrf.workspace.layout import ANSWERS_FILE, VECTORS_FILE
from isrf.workspace.workspace import Workspace


def answers_of(workspace: Workspace) -> Path:
    """Where the answers of an LLM are kept; outlives every rebuild of the stage."""
    return workspace.stage("reasoning").store(ANSWERS_FILE)


def estimate_reasoning(workspace: Workspace, settings: Settings) -> Estimate:
    """What reasoning with these settings would take and cost; changes nothing but the store of answers.

    Raises:
        IsrfError: as ``pipeline.reason``: an endpoint is given prompts to count, and may be asked.
    """
    consent.require(workspace.root, settings.reasoning, "--estimate")
    return estimate(read_training(workspace), settings.reasoning, answers_of(workspace))


def export_reasoning(workspace: Workspace, file: Path) -> int:
    """Write every answer to a Parquet file for others; returns how many."""
    if not answers_of(workspace).exists():
        asking, supplier = command_line("isrf", "reason", workspace.root), setting("reasoning.supplier", "openai")
        again = f"`{asking} {supplier}`" if in_shell() else f"`{asking}` with {supplier}"
        raise IsrfError(f"{answers_of(workspace)}: there are no answers yet; an LLM gives some: {again}")
    return export_answers(answers_of(workspace), file)


def import_reasoning(workspace: Workspace, file: Path) -> tuple[int, int]:
    """Take the answers of such a file; returns how many were new and how many were known."""
    return import_answers(file, answers_of(workspace))


def report_reasoning(workspace: Workspace, settings: Settings) -> ReasoningReport:
    """What a person looks at to judge who reasoned."""
    items, users = read_reasoned(workspace)
    vectors = workspace.stage("semantics").store(VECTORS_FILE)
    if can_write(vectors):
        vectors.parent.mkdir(exist_ok=True)
    encoder = Encoder(settings.semantics, vectors)
    made = ReasoningSettings(**workspace.stage("reasoning").require()["settings"])
    return reasoning_report(read_training(workspace), items, users, encoder, settings=made)
