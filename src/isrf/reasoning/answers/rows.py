"""One answer as a row of the store: its key, the answer, where it came from, and checksums over all of it.

Knows nothing about files or connections.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.schema import ABOUT, TEXTS, with_sums

GIVEN = ("content", "thinking", "cut", "tokens_in", "tokens_out", "tokens_thinking")  # in the order of Completion


ORIGIN = ("supplier", "model", "kind", "ask", "prompt_version", "seconds")  # in the order of Origin


COLUMNS = f"key, {', '.join((*ABOUT, *TEXTS))}, about_sum, text_sum"


@dataclass(frozen=True)
class Origin:
    """Who gave an answer, and to what.

    Attributes:
        supplier, model: as in the key of the answer.
        kind: "item" or "user".
        ask: name of the question: "likes", "dislikes", "feature" or "single".
        prompt_version: digest of the templates (``prompts.Prompt.version``).
        seconds: from sending the question to having the whole answer.
    """

    supplier: str
    model: str
    kind: str
    ask: str
    prompt_version: str
    seconds: float


Row = tuple[str, Completion, Origin]
"""A key, the answer under it, and where that came from."""


def key_of(supplier: str, model: str, parameters: dict[str, Any], prompt_version: str, prompt: Any) -> str:
    """SHA-256 (hex) of everything that an answer depends on; ``prompt`` is the rendered prompt, JSON-able."""
    content = json.dumps([supplier, model, parameters, prompt_version, prompt], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()


def values_of(key: str, given: Completion, origin: Origin) -> tuple[Any, ...]:
    """A row of the table, its numbers of the types that they come back with."""
    tokens = (int(given.tokens_in), int(given.tokens_out), int(given.tokens_thinking))
    about = (origin.supplier, origin.model, origin.kind, origin.ask, origin.prompt_version)
    return with_sums((key, *about, int(given.cut), *tokens, float(origin.seconds), given.content, given.thinking))


def is_whole(row: Sequence[Any]) -> bool:
    return with_sums(row[:-2])[-2:] == tuple(row[-2:])


def row_of(row: Sequence[Any]) -> Row:
    found = dict(zip((*ABOUT, *TEXTS), row[1:], strict=False))
    given = [found[name] for name in GIVEN]
    given[2] = bool(given[2])
    return row[0], Completion(*given), Origin(*(found[name] for name in ORIGIN))


def unicode_text(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")
