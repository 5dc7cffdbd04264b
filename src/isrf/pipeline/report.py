"""Looking into a finished workspace: bridges between people, and the report. Gathers what the stages left and hands it on.

Knows where things lie in a workspace; what is drawn or said of them is the business of ``report``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import reduce
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from isrf.core.atomic_files import output_file, replacing_binary
from isrf.core.config import ReasoningSettings, Settings
from isrf.core.documents import read_json
from isrf.core.errors import NO_PERMISSION, IsrfError
from isrf.core.progress import track
from isrf.core.provenance import installed_versions
from isrf.core.shell import argument, command_line
from isrf.data.queries import Task
from isrf.data.splits.split import TO_HOLD_OUT
from isrf.data.storage import read_training
from isrf.evaluation.results_document import joined
from isrf.evaluation.verdict import TASKS
from isrf.pipeline.evaluation_document import ranked_by, read_evaluation, read_metrics
from isrf.ranking import group_effect
from isrf.ranking.storage import load_graph_components
from isrf.reasoning.llm.prices import load_prices
from isrf.reasoning.storage import read_reasoned
from isrf.recommender.open import open_workspace
from isrf.report import account_sections
from isrf.report import curve_sections as curves
from isrf.report import graph_sections as graphs
from isrf.report import results_sections as results
from isrf.report.chart_process import missing
from isrf.report.confirmation import confirmation, confirmed_by_target
from isrf.report.page import Fact, page
from isrf.report.reasoning import reasoning_report
from isrf.report.section import Missing, Section
from isrf.workspace import findings
from isrf.workspace.layout import (
    ABOUT_DATASET_FILE,
    BENCH_FOLDER,
    METRICS_FILE,
    REPORT_FILE,
    SETTINGS_FILE,
    STAGES,
    SWEEP_FILE,
    TRAINING_LOG_FILE,
)
from isrf.workspace.workspace import Workspace


def find_bridges(workspace: Workspace, settings: Settings, task: Task, method: str | None, top: int) -> dict[str, Any]:
    """Whom the group layer matters to most, and how often held-out items confirm what crossed over.

    The document is saved in the workspace (``workspace.findings``), where the report finds it.

    Args:
        top: most people told of.

    Returns:
        {"task", "method", "of": digests of what ranked, "confirmation": {...}, "strongest": [person, ...],
        "confirmed": [...], "command"}, plain values only.

    Raises:
        IsrfError: nobody has a held-out item, or the workspace cannot recommend yet.
    """
    with workspace.unchanged():  # what is told is about the files whose digests it has
        recommender = open_workspace(workspace, settings, method)
        ranker, split = recommender.ranker, recommender.split
        people = split.users("test")
        people = people[people < split.training.n_users]  # the others have nobody like them in the graph
        if not len(people):
            raise IsrfError(f"{workspace.root}: nothing is held out: {TO_HOLD_OUT}")
        crossings = group_effect.find_list_changes(ranker, split, people, task, settings.ranking.block)
        right = confirmed_by_target(crossings, split)
        items, users = recommender.item_features, recommender.user_features

        def told(rows: np.ndarray) -> list[dict[str, Any]]:
            made = group_effect.bridges(ranker, items, users, split, crossings, rows[:top], task)
            return [asdict(one) for one in made]

        document = {
            "task": task,
            "method": ranker.name,
            findings.SOURCE_DIGESTS: ranked_by(workspace, [ranker.name]),
            "confirmation": confirmation(crossings, split, settings.evaluation).document(),
            "strongest": told(group_effect.strongest(crossings)),
            "confirmed": told(group_effect.strongest(crossings, right)),
        }
    return findings.save_findings(workspace, findings.GROUP_EFFECT_FILE, document)


def write_report(workspace: Workspace, settings: Settings, output: Path | None = None) -> Path:
    """Write the report of a workspace and say where; a section whose data is not there names the command for it.

    Args:
        output: the file; None is ``report.html`` in the workspace.

    Raises:
        IsrfError: what draws charts is not installed, a file is damaged, another command finished a stage meanwhile, or the
            report cannot be written.
    """
    if why := missing():
        raise IsrfError(f"no report: {why}")
    path = output or workspace.root / REPORT_FILE
    place = workspace.root
    with workspace.unchanged():
        about = read_json(workspace.stage("dataset").file(ABOUT_DATASET_FILE))
        document = read_results(workspace)
        made = [make() for make in track(sections_of(workspace, settings, document, place, output), "report")]
    dataset = about["name"]
    sentence = (
        f"{about['users']:,} people, {about['items']:,} items, {about['interactions']:,} interactions; "
        f"{about.get('protocol') or 'leave-one-out'}, full ranking, figures and charts from this workspace alone."
    )
    try:
        # in a workspace somebody else may have put a pipe there
        with output_file(output) if output is not None else replacing_binary(path) as file:
            file.write(page(f"ISRF on {dataset}", sentence, facts(document), made).encode())
    except OSError as error:
        if error.errno not in NO_PERMISSION:
            raise
        raise IsrfError(
            f"{path}: cannot be written ({error.strerror}); name another file with {argument('output')}"
        ) from None
    return path


def sections_of(
    workspace: Workspace, settings: Settings, document: dict[str, Any] | None, place: Path, output: Path | None
) -> list[Callable[[], Section]]:
    """What makes each section, from top to bottom; ``document`` is what ``read_results`` found."""
    model = workspace.stage("model")
    log = read_json(model.file(TRAINING_LOG_FILE)) if model.ready() and model.has(TRAINING_LOG_FILE) else None
    parts = load_graph_components(workspace, settings) if workspace.stage("graphs").ready() else None
    # a sweep of variants alone has its usual value in the other results
    varied = [
        one
        for one in (read_metrics(workspace, workspace.root / BENCH_FOLDER / SWEEP_FILE), document)
        if one is not None
    ]
    sweep = reduce(joined, varied) if varied else None
    swept = {"graphs.tau": settings.graphs.tau, "graphs.top_k": settings.graphs.top_k}
    bridges, audited = (
        findings.read_findings(workspace, findings.GROUP_EFFECT_FILE),
        findings.read_findings(workspace, findings.AUDIT_FILE),
    )

    def stale(document: dict[str, Any] | None) -> bool:
        return document is not None and not findings.is_current(workspace, document[findings.SOURCE_DIGESTS])

    def distributions() -> Section:
        if parts is None:
            return absent("graphs", "The two graphs")
        return graphs.distributions(parts, settings.evaluation.seed)

    def user_map() -> Section:
        if parts is None:
            return absent("map", "A map of people")
        people = (bridges or {}).get("confirmed") or (bridges or {}).get("strongest") or []
        rows = [
            parts.people.training.row_of[p["user_id"]] for p in people if p["user_id"] in parts.people.training.row_of
        ]
        why = "whose recommendations the group changed" if rows else "one person of many"
        features = read_reasoned(workspace)[1]["feature"].to_list()
        return graphs.user_map(parts, features, rows[0] if rows else None, why, settings.evaluation.seed)

    def absent(name: str, title: str) -> Section:
        return Section(
            name,
            title,
            "Read from the interest graphs.",
            [Missing("No graphs yet.", command_line("isrf", "graph", place))],
        )

    def reasons() -> Section:
        told = None
        if (stage := workspace.stage("reasoning")).ready():
            made = ReasoningSettings(**stage.require()["settings"])
            told = reasoning_report(read_training(workspace), *read_reasoned(workspace), None, settings=made)
        return account_sections.reasons(told, load_prices(settings.reasoning.prices), place)

    def provenance() -> Section:
        settings_file = workspace.root / SETTINGS_FILE
        text = settings_file.read_text(encoding="utf-8") if settings_file.exists() else ""
        own = command_line("isrf", "report", place, *(("--output", output) if output else ()))
        stages = {name: workspace.stage(name).info() for name in STAGES}
        made = [info for info in (*stages.values(), document, sweep, bridges, audited) if info is not None]
        commands = list(dict.fromkeys(info[findings.COMMAND] for info in made if info.get(findings.COMMAND)))
        return account_sections.provenance(stages, text, [*commands, own], versions())

    entries = log["log"] if log else None
    return [
        lambda: results.headline(document, place),
        lambda: curves.time(document, place),
        lambda: results.segments(document, place),
        lambda: account_sections.bridges(bridges, stale(bridges), place),
        user_map,
        distributions,
        lambda: curves.learning(entries, log["best_epoch"] if log else 0, place),
        lambda: curves.sweep(sweep, swept, place),
        reasons,
        lambda: account_sections.cards(document.get("cards", {}) if document else {}, place),
        lambda: account_sections.audit(audited, stale(audited), place),
        provenance,
    ]


def read_results(workspace: Workspace) -> dict[str, Any] | None:
    """The results of the last bench, and of the last evaluation those methods that the bench did not have."""
    both = (read_metrics(workspace, workspace.root / BENCH_FOLDER / METRICS_FILE), read_evaluation(workspace))
    documents = [found for found in both if found is not None]
    return reduce(joined, documents) if documents else None


def facts(document: dict[str, Any] | None) -> list[Fact]:
    """The best method of each task, for the head of the page."""
    found: list[Fact] = []
    for task, name in TASKS.items():
        rows = results.ranked(document, task) if document else []
        if rows:
            low, high = rows[0]["ndcg10_ci95"]
            found.append(
                (f"best NDCG@10, {name}", f"{rows[0]['NDCG@10']:.4f}", f"{rows[0]['method']}, {low:.4f}–{high:.4f}")
            )
            found.append((f"its HR@10, {name}", f"{rows[0]['HR@10']:.4f}", f"{rows[0]['users']:,} people"))
    return found


def versions() -> dict[str, str]:
    """Of what writes the report: what the stages record, and what draws."""
    drawn = {}
    for package in ("altair", "vl-convert-python", "scikit-learn", "jinja2"):
        try:
            drawn[package] = version(package)
        except PackageNotFoundError:
            drawn[package] = "absent"
    return installed_versions() | drawn
