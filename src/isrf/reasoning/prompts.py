"""The words an LLM is asked with: Jinja templates beside this file, versioned by their digest.

Catalogue text is delimited, cleaned and length-limited here and nowhere else. Knows nothing about endpoints.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import jinja2
import numpy as np

from isrf.config import ReasoningSettings
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.split import Catalogue
from isrf.reasoning.text import clean

Kind = Literal["item", "user"]
Step = Literal["likes", "dislikes", "feature"]
STEPS: tuple[Step, ...] = ("likes", "dislikes", "feature")
"""Sub-steps of bidirectional reasoning, each seeing the ones before it (paper, section 3)."""

TITLE_BYTES, ATTRIBUTE_BYTES, ITEM_BYTES = 160, 240, 640
"""Longest title, longest attribute, and all attributes of one item, UTF-8 bytes."""
PURCHASE_BYTES, HISTORY_BYTES = 200, 2400
"""Longest line of a person's history, and the whole history; the oldest lines go first."""
CHARACTERS_PER_WORD, CHARACTERS_PER_TOKEN = 9, 3
"""Room given to a word of an answer in the JSON schema, and what a token is sure to hold of plain text: an answer that
the schema ends is whole JSON, one that the token limit ends is not."""


@dataclass(frozen=True)
class Question:
    """One row's three chained questions.

    Attributes:
        row: item row or user row.
        asks: the three user messages, in the order of ``STEPS``.
    """

    row: int
    asks: tuple[str, str, str]


@dataclass(frozen=True)
class Prompt:
    """What is the same for every row of one kind.

    Attributes:
        opening: system message and worked examples, shared so that servers can keep them in their prompt cache.
        version: digest of templates and examples (12 hex digits), recorded with every answer.
        schemas: JSON schema of each step's answer.
    """

    kind: Kind
    opening: list[dict[str, str]]
    version: str
    schemas: dict[Step, dict[str, Any]]


@cache
def _environment() -> jinja2.Environment:
    folder = resources.files("isrf.reasoning") / "prompts"
    sources = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".jinja")}
    # plain text, not HTML: catalogue text is cleaned before it gets here, and is never itself a template
    return jinja2.Environment(
        loader=jinja2.DictLoader(sources), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@cache
def _examples() -> dict[str, list[dict[str, Any]]]:
    """Worked examples of each kind; without them a small model repeats the question."""
    return json.loads((resources.files("isrf.reasoning") / "prompts" / "examples.json").read_text("utf-8"))


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(f"{name}.jinja").render(**values).strip()


def _most_words(step: Step, kind: Kind, settings: ReasoningSettings) -> int:
    return settings.feature_words if step == "feature" and kind == "item" else settings.preference_words


def prompt_of(kind: Kind, settings: ReasoningSettings) -> Prompt:
    """Everything that all questions about items, or all about users, have in common."""
    schemas: dict[Step, dict[str, Any]] = {}
    for step in STEPS:
        # a quarter of the tokens is left for the JSON around the sentence
        by_tokens = CHARACTERS_PER_TOKEN * settings.max_tokens * 3 // 4
        longest = min(CHARACTERS_PER_WORD * _most_words(step, kind, settings), by_tokens)
        schemas[step] = {
            "type": "object",
            "properties": {step: {"type": "string", "minLength": 1, "maxLength": longest}},
            "required": [step],
            "additionalProperties": False,
        }
    loader = _environment().loader
    assert loader is not None
    digest = hashlib.sha256()
    for name in ("system", *(f"{kind}_{step}" for step in STEPS)):
        digest.update(loader.get_source(_environment(), f"{name}.jinja")[0].encode())
    examples = _examples()[kind]
    digest.update(json.dumps(examples, sort_keys=True).encode())
    opening = [{"role": "system", "content": _render("system", domain=clean(settings.domain, 60))}]
    for example in examples:
        for step, ask in zip(STEPS, _asks(kind, settings, **example["values"]), strict=True):
            opening += turn(ask, step, example[step])
    return Prompt(kind, opening, digest.hexdigest()[:12], schemas)


def turn(ask: str, step: Step, answer: str) -> list[dict[str, str]]:
    """A question and its answer as chat messages; the answer as the schema wants it."""
    said = json.dumps({step: answer}, ensure_ascii=False)
    return [{"role": "user", "content": ask}, {"role": "assistant", "content": said}]


def item_question(catalogue: Catalogue, row: int, settings: ReasoningSettings) -> Question:
    """Questions about one item: title, brand, categories, other attributes, as far as ``ITEM_BYTES`` reaches."""
    attributes, room = [], ITEM_BYTES
    for name in catalogue.attribute_columns:
        text = catalogue.table[name][row] or ""
        value = clean(text[: 4 * ATTRIBUTE_BYTES].replace(LIST_SEPARATOR, ", "), min(ATTRIBUTE_BYTES, room))
        if value:
            attributes.append((clean(name, 40), value))
            room -= len(value.encode())
        if room < 20:
            break
    asks = _asks("item", settings, title=clean(catalogue.titles[row], TITLE_BYTES), attributes=attributes)
    return Question(row, asks)


def user_question(
    catalogue: Catalogue, row: int, history: np.ndarray, item_features: Sequence[str], settings: ReasoningSettings
) -> Question:
    """Questions about one person: the most recent K training items, newest first, each with its feature.

    Args:
        history: (n,) item rows, oldest first.
        item_features: one feature an item row.
    """
    lines, room = [], HISTORY_BYTES
    for item in history[::-1][: settings.user_history]:
        # the title, never the id: a number that carries order must not reach a model
        parts = [catalogue.titles[int(item)]]
        parts += [catalogue.table[name][int(item)] or "" for name in _told(catalogue)]
        parts.append(item_features[int(item)])
        line = clean(
            "; ".join(p[:PURCHASE_BYTES].replace(LIST_SEPARATOR, ", ") for p in parts if p), min(PURCHASE_BYTES, room)
        )
        if line:
            lines.append(line)
            room -= len(line.encode())
        if room < 20:
            break
    return Question(row, _asks("user", settings, history=lines))


def _told(catalogue: Catalogue) -> list[str]:
    return [name for name in (Columns.BRAND, Columns.CATEGORIES) if name in catalogue.attribute_columns]


def _asks(kind: Kind, settings: ReasoningSettings, **values: Any) -> tuple[str, str, str]:
    limits = {"preference_words": settings.preference_words, "feature_words": settings.feature_words}
    likes, dislikes, feature = (_render(f"{kind}_{step}", **limits, **values) for step in STEPS)
    return likes, dislikes, feature
