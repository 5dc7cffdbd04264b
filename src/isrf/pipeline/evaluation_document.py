"""What an evaluation and a bench both add to their results: the protocol, segments, what sampling would have changed, and
what they ranked with, by which reading them tells whether they are still about the workspace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from isrf.core.atomic_files import write_atomic
from isrf.core.config import EvaluationSettings
from isrf.core.documents import read_json
from isrf.core.progress import note
from isrf.core.sealed_documents import Unsealed, read_sealed
from isrf.core.shell import command_line
from isrf.data.splits.split import REPEATS, Split
from isrf.evaluation.protocol import Result
from isrf.evaluation.results_document import NOTES, STRUCTURE
from isrf.evaluation.sampling import bias_lines
from isrf.evaluation.segments import by_segment, classes_of, segment_lines
from isrf.evaluation.table import markdown_table
from isrf.graphs.build import load_graphs
from isrf.methods.names import GRAPH_ONLY
from isrf.methods.registry import CARRIERS
from isrf.pipeline.interest_cards import reads_of
from isrf.semantics import features
from isrf.workspace import findings
from isrf.workspace.layout import ABOUT_DATASET_FILE, FUSION_FILE, GRAPHS_FILE, METRICS_FILE
from isrf.workspace.stage import KEPT
from isrf.workspace.workspace import Workspace

NOT_IN_TABLE = (
    "rows of 'test, new items' and 'test, new users' are targets that nobody had before test, and people of whom nothing "
    "was known before it: they are not in 'test'"
)


REPEAT_PROTOCOL = (
    "rows of 'test, repeats' are targets that their user has had before (data.repeats=all): everything is a candidate there, "
    "also what the user has had; 'test' is without them"
)


def segmented(
    workspace: Workspace, split: Split, results: Sequence[Result], settings: EvaluationSettings
) -> dict[str, list[dict[str, Any]]]:
    """Segments of the document, and gains by segment, by the similar-user graph of this workspace."""
    links = load_graphs(workspace.stage("graphs").file(GRAPHS_FILE)).users.links
    return by_segment(results, classes_of(split, links), settings)


def tell_protocol(workspace: Workspace, document: dict[str, Any]) -> None:
    """Say in the notes of a document what was held out, where it is not everybody's last items."""
    about = read_json(workspace.stage("dataset").file(ABOUT_DATASET_FILE))
    if about.get("protocol"):
        document[NOTES] = [about["protocol"], NOT_IN_TABLE, *document.get(NOTES, [])]
    if any(row["split"] == REPEATS for row in document["results"]):
        document[NOTES] = [*document.get(NOTES, []), REPEAT_PROTOCOL]


def seconds_of(workspace: Workspace, method: str) -> float:
    """Seconds of every stage that stands behind a method of a workspace, its own fitting aside for a baseline or carrier."""
    if (reads := reads_of(method)) is not None:
        stages: tuple[str, ...] = ("reasoning", "semantics") if reads.texts or reads.preferences else ()
    else:
        stages = ("reasoning", "semantics", "graphs", "ranking" if method == GRAPH_ONLY else "model")
    records = [workspace.stage(stage).require() for stage in stages]
    return sum(float(record["seconds"]) + float(record["notes"].get(KEPT, {}).get("seconds", 0)) for record in records)


def ranked_by(workspace: Workspace, methods: Iterable[str]) -> dict[str, str]:
    """{"stage/file": digest} of what results of some methods are about, as far as the workspace has it.

    The graphs always, by which segments are told apart; the features that carriers read; the weights that the graphs
    alone, and the whole system, rank with. A variant has its own, and is compared with the whole system.
    """
    stages = {"graphs": GRAPHS_FILE}
    for method in methods:
        if method in CARRIERS:
            stages["semantics"] = features.SEMANTICS_FILE
        elif method == GRAPH_ONLY:
            stages["ranking"] = FUSION_FILE
        elif reads_of(method) is None:
            stages["model"] = FUSION_FILE
    found: dict[str, str] = {}
    for name, file in stages.items():
        stage = workspace.stage(name)
        if stage.ready():
            found |= stage.digests(file)
    return found


def read_metrics(workspace: Workspace, path: Path) -> dict[str, Any] | None:
    """The document of a bench, None where there is none.

    What is about other data, ranked with another model or written by another version is left out, and a line says so.

    Raises:
        IsrfError: the file is damaged, or was changed by hand.
    """
    if not path.exists() and not path.is_symlink():
        return None
    again = command_line("isrf", "bench", workspace.root, "--methods", "METHODS")
    try:
        found = read_sealed(path, f"delete it, or make it anew with `{again}`")
    except Unsealed as error:
        note(f"left out: {error}")
        return None
    return still_told(workspace, path, found)


def read_evaluation(workspace: Workspace) -> dict[str, Any] | None:
    """The document of the last evaluation, as ``read_metrics``."""
    path = workspace.stage("evaluation").left(METRICS_FILE)
    return None if path is None else still_told(workspace, path, read_json(path))


def still_told(workspace: Workspace, path: Path, found: dict[str, Any]) -> dict[str, Any] | None:
    """A document of results, None where it is not about the workspace as it is; a line says why."""
    about = read_json(workspace.stage("dataset").file(ABOUT_DATASET_FILE))
    if found["dataset"]["digest"] != about["digest"]:
        note(f"{path}: left out, it is about other data than the workspace holds now")
    elif found.get("structure") != STRUCTURE:
        note(f"{path}: left out, another version of isrf wrote it; run its command again")
    elif not findings.is_current(workspace, found[findings.SOURCE_DIGESTS]):
        note(f"{path}: left out, the workspace has another model or other graphs now")
    else:
        return found
    return None


def write_markdown(document: dict[str, Any], path: Path) -> None:
    """Write the Markdown of a document for people; a fault in that is told, as the document has all figures."""
    try:
        write_atomic(path, whole_table(document))
    except Exception as error:
        note(f"WARNING: {path.name} is left out: {' '.join(str(error).split()) or type(error).__name__}")


def whole_table(document: dict[str, Any]) -> str:
    """The Markdown of a document: its table, segments, and the bias of sampled candidates."""
    bias = [line for told in bias_lines(document) for line in ("", told)]
    return "\n".join([markdown_table(document).rstrip("\n"), *segment_lines(document), *bias]) + "\n"
