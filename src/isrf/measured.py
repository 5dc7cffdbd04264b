"""What an evaluation and a bench both add to their results: the protocol, segments, and what sampling would have changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from isrf.config import EvaluationSettings
from isrf.data.split import ABOUT, Split
from isrf.evaluation.document import NOTES
from isrf.evaluation.protocol import Result
from isrf.evaluation.sampling import bias_lines
from isrf.evaluation.segments import by_segment, classes_of, segment_lines
from isrf.evaluation.table import markdown_table
from isrf.graphs.build import FILE, load_graphs
from isrf.workspace import Workspace

APART = (
    "rows of 'test, new items' and 'test, new users' are targets that nobody had before test, and people of whom nothing "
    "was known before it: they are not in 'test'"
)


def segmented(
    workspace: Workspace, split: Split, results: Sequence[Result], settings: EvaluationSettings
) -> dict[str, list[dict[str, Any]]]:
    """Segments of the document, and gains by segment, by the similar-user graph of this workspace."""
    links = load_graphs(workspace.stage("graphs").file(FILE)).users.links
    return by_segment(results, classes_of(split, links), settings)


def tell_protocol(workspace: Workspace, document: dict[str, Any]) -> None:
    """Say in the notes of a document what was held out, where it is not everybody's last items."""
    about = json.loads(workspace.stage("dataset").file(ABOUT).read_text(encoding="utf-8"))
    if about.get("protocol"):
        document[NOTES] = [about["protocol"], APART, *document.get(NOTES, [])]


def whole_table(document: dict[str, Any]) -> str:
    """The Markdown of a document: its table, segments, and the bias of sampled candidates."""
    bias = [line for told in bias_lines(document) for line in ("", told)]
    return "\n".join([markdown_table(document).rstrip("\n"), *segment_lines(document), *bias]) + "\n"
