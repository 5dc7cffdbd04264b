"""An audit from files: which source or workspace, what lies beside it, and what a workspace made of it.

Opens things and hands them to ``evaluation.audit.audit``; measures nothing itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl

from isrf.core.config import GraphSettings, ReasoningSettings, SemanticsSettings, Settings
from isrf.core.shell import argument
from isrf.core.tables import read_table
from isrf.data.appearance_numbers import NUMBER
from isrf.data.clean import clean
from isrf.data.dataset import Columns
from isrf.data.readers.companion_files import BESIDE, TRAIN, Supplied, beside_p5, in_ids_of, read_supplied
from isrf.data.readers.raw import BadRows
from isrf.data.readers.registry import open_source, parse_source
from isrf.data.splits.protocols import split_of
from isrf.data.splits.split import Split
from isrf.data.storage import read_dataset_of, read_split
from isrf.evaluation.audit.audit import audit_dataset
from isrf.evaluation.audit.counts import parts_by_date
from isrf.evaluation.audit.findings import Finding
from isrf.evaluation.audit.item_names import Names
from isrf.evaluation.audit.llm_questions import question_finding
from isrf.evaluation.audit.recomputation import (
    graph_findings,
    input_finding,
    reason_findings,
    reason_text_findings,
    reduction_finding,
)
from isrf.graphs.build import load_graphs
from isrf.pipeline.reason import COUNTED
from isrf.pipeline.reasoning_supplier import answers_of
from isrf.reasoning.answers.store import read_store
from isrf.reasoning.storage import read_reasoned
from isrf.reasoning.tables import ReasonColumns
from isrf.semantics.encode import Encoder
from isrf.semantics.features import item_texts, load_semantics
from isrf.workspace import findings
from isrf.workspace.layout import (
    APPEARANCE_FILE,
    GRAPHS_FILE,
    HELD_OUT_FILE,
    INTERACTIONS_FILE,
    NEW_USERS_FILE,
    REASONED_ITEMS_FILE,
    REVIEW_FILES,
    SEMANTICS_FILE,
    TEST_FILE,
    VECTORS_FILE,
)
from isrf.workspace.workspace import Workspace

PICKLES = (".pkl", ".pickle", ".pth", ".pt")
BEFORE_EVALUATION = ("reasoning", "semantics", "graphs", "ranking", "model")


def audit_source(
    src: str, items: Path | None, against: Sequence[Path], settings: Settings
) -> tuple[str, list[Finding]]:
    """Name and findings of a source, of what lies beside it, and of files that are named.

    Raises:
        IsrfError: the source or a file cannot be read, or nothing can be held out.
    """
    format, path = parse_source(src)
    supplied, unread = supplied_by(against, settings), list[Finding]()  # first: a wrong name is found in no time
    bad = BadRows(settings.data.on_bad_row)
    raw = open_source(src, items, settings.data, bad)
    dataset = clean(raw, settings.data, bad)
    if format == "p5":
        folder = path if path.is_dir() else path.parent
        supplied = [*beside_p5(folder, settings.data), *(in_ids_of(part, folder) for part in supplied)]
        unread = unread_findings(folder)
    split = split_of(dataset, settings.data.seed)
    # a date marks parts in cleaning alone; where the source splits, the log was read with them
    log = raw.log.filter(~pl.col(Columns.DISLIKED)) if Columns.DISLIKED in raw.log.columns else raw.log
    if settings.data.split_at is not None:
        log = parts_by_date(log, settings.data.split_at, settings.data.time_format)
    return dataset.name, [*audit_dataset(dataset, split, settings.evaluation, log, supplied), *unread]


def audit_workspace(workspace: Workspace, against: Sequence[Path], settings: Settings) -> tuple[str, list[Finding]]:
    """Name and findings of a workspace: its log and split, and every artifact that training alone must explain.

    The findings are also saved in the workspace (``workspace.findings``), for its report.

    Raises:
        IsrfError: an artifact is damaged or outdated, a file cannot be read, or nothing can be held out.
    """
    with workspace.unchanged():
        dataset, split = read_dataset_of(workspace), read_split(workspace)
        stage = workspace.stage("dataset")
        supplied = [*supplied_by(against, settings), *explanations_of(workspace, split)]
        numbers = None
        if stage.has(APPEARANCE_FILE):
            numbers = read_table(stage.file(APPEARANCE_FILE))[NUMBER].to_numpy().astype(np.int64) - 1
        found = audit_dataset(dataset, split, settings.evaluation, None, supplied, numbers)
        found += artifact_findings(workspace, split)
        about = findings.digests_of_stages(workspace, ("dataset", *BEFORE_EVALUATION))
    findings.save_findings(
        workspace, findings.AUDIT_FILE, {findings.SOURCE_DIGESTS: about, "findings": [asdict(f) for f in found]}
    )
    return dataset.name, found


def supplied_by(against: Sequence[Path], settings: Settings) -> list[Supplied]:
    """The parts of all files that are named, each file once; files of one name, or of a name that a P5 folder has, by path.

    Raises:
        IsrfError: a file cannot be read.
    """
    files = list(dict.fromkeys(against))
    names = Counter([*(file.name for file in files), *BESIDE])
    return [
        replace(part, file=str(file)) if names[file.name] > 1 else part
        for file in files
        for part in read_supplied(file, settings.data)
    ]


def artifact_findings(workspace: Workspace, split: Split) -> list[Finding]:
    """What of the finished stages before evaluation cannot be made from training interactions alone."""
    stages = {name: info for name in BEFORE_EVALUATION if (info := workspace.stage(name).info()) is not None}
    findings: list[Finding] = []
    if "reasoning" in stages:
        items, users = read_reasoned(workspace)
        reasoning = ReasoningSettings(**stages["reasoning"]["settings"])
        counted = stages["reasoning"]["notes"].get(COUNTED)
        findings += reason_findings(split.training, items, users, reasoning, counted)
        findings += reason_text_findings(users, split, Names.of(split.training.catalogue))
        if answers_of(workspace).exists():
            with read_store(answers_of(workspace)) as store:
                rows = [
                    (key, (origin.supplier, origin.model)) for key, _, origin in store.rows() if origin.kind == "user"
                ]
            if rows:
                features = items[ReasonColumns.FEATURE].to_list()
                asked = list(dict.fromkeys(who for _, who in rows))
                findings.append(question_finding(split, features, {key for key, _ in rows}, asked, reasoning))
    if "semantics" in stages:
        stage = workspace.stage("semantics")
        semantics, made = (
            load_semantics(stage.file(SEMANTICS_FILE)),
            SemanticsSettings(**stages["semantics"]["settings"]),
        )
        items = read_table(workspace.stage("reasoning").file(REASONED_ITEMS_FILE))
        cache = stage.store(VECTORS_FILE)
        vectors = Encoder(made, cache).known(item_texts(split.training, items, made)) if cache.exists() else None
        findings.append(reduction_finding(vectors, semantics))
        if "graphs" in stages:
            graphs = load_graphs(workspace.stage("graphs").file(GRAPHS_FILE))
            findings += graph_findings(split.training, semantics, graphs, GraphSettings(**stages["graphs"]["settings"]))
    if stages:
        inputs = {name: list(info["inputs"]) for name, info in stages.items()}
        held_out = [
            f"dataset/{name}"
            for name in (
                TEST_FILE,
                HELD_OUT_FILE,
                NEW_USERS_FILE,
                APPEARANCE_FILE,
                REVIEW_FILES["test"],
                INTERACTIONS_FILE,
            )
        ]
        findings.append(input_finding(inputs, held_out))
    return findings


def explanations_of(workspace: Workspace, split: Split) -> list[Supplied]:
    """The sentences that the workspace trains on, as pairs; none where the source had no reviews."""
    stage, training = workspace.stage("dataset"), split.training
    if not stage.has(REVIEW_FILES["train"]):
        return []
    rows = read_table(stage.file(REVIEW_FILES["train"]))
    pairs = {
        Columns.USER: [training.user_ids[u] for u in rows[Columns.USER_ROW]],
        Columns.ITEM: [training.catalogue.ids[i] for i in rows[Columns.ITEM_ROW]],
    }
    schema = {Columns.USER: pl.String, Columns.ITEM: pl.String}  # where there is none, nothing else tells
    return [Supplied(REVIEW_FILES["train"], TRAIN, pl.DataFrame(pairs, schema=schema))]


def unread_findings(folder: Path) -> list[Finding]:
    """Files of a P5 folder that cannot be looked into: reading a pickle would run what is in it."""
    files = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in PICKLES)
    meaning = (
        "a pickle: opening it would run whatever it holds; write its users and items as CSV and give it with "
        f"{argument('against')}"
    )
    return [Finding(f"{name}: not looked into", None, "unknown", meaning, about="supplied") for name in files]
