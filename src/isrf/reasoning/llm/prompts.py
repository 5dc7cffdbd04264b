"""From rows of a catalogue to questions: three chained ones a row, or a single one for all fields.

What all questions share comes first, word for word, so that an endpoint's prompt cache holds it. Catalogue text is
delimited, cleaned and length-limited here and nowhere else. Knows nothing about endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from isrf.core.config import ReasoningSettings
from isrf.data.dataset import LIST_SEPARATOR, Columns
from isrf.data.training_data import Catalogue
from isrf.reasoning.llm.prompt_templates import CLOSE, OPEN, Templates, load_templates
from isrf.reasoning.text import clean, plain_brackets

Kind = Literal["item", "user"]
Field = Literal["likes", "dislikes", "feature"]
FIELDS: tuple[Field, ...] = ("likes", "dislikes", "feature")
"""Sub-steps of bidirectional reasoning, each seeing the ones before it (paper, section 3)."""
PLANS: dict[str, tuple[tuple[str, tuple[Field, ...]], ...]] = {
    "chained": (("likes", ("likes",)), ("dislikes", ("dislikes",)), ("feature", ("feature",))),
    "single": (("single", FIELDS),),
}
"""The questions of each plan: name of the template, and the fields that its answer holds, in the order of reasoning."""

TITLE_BYTES, ATTRIBUTE_BYTES, ITEM_BYTES = 160, 240, 640
"""Longest title, longest attribute, and all attributes of one item, UTF-8 bytes."""
PURCHASE_BYTES, HISTORY_BYTES = 200, 2400
"""Longest line of a person's history, and the whole history; the oldest lines go first."""
CHARACTERS_PER_WORD, CHARACTERS_PER_TOKEN = 7, 3
"""Room given to a word of an answer in the JSON schema, and what a token is sure to hold of plain text: an answer that
the schema ends is whole JSON, one that the token limit ends is not."""


@dataclass(frozen=True)
class Ask:
    """One question: the user message ``text``, and the fields that its answer must hold, in order."""

    name: str
    fields: tuple[Field, ...]
    text: str


@dataclass(frozen=True)
class Question:
    """All that is asked about one row.

    Attributes:
        row: item row or user row.
        data: the row's text of the catalogue as the asks quote it.
        asks: in the order of the plan; each is asked with the ones before it and their answers.
    """

    row: int
    data: str
    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Prompt:
    """What is the same for every row of one kind.

    Attributes:
        opening: system message and worked examples as chat messages.
        version: digest of all templates and examples of the plan (12 hex digits), recorded with every row.
        versions: the same of what one ask is made of, by its name: a changed template asks again only what it touches.
        schemas: JSON schema of each ask's answer, by the ask's name.
        words: most words of each field.
        tokens: longest answer to each ask, tokens, without thinking.
        wording: the templates filled with nothing from a catalogue: what an answer must not repeat.
    """

    kind: Kind
    plan: tuple[tuple[str, tuple[Field, ...]], ...]
    opening: list[dict[str, str]]
    version: str
    versions: dict[str, str]
    schemas: dict[str, dict[str, Any]]
    words: dict[Field, int]
    tokens: dict[str, int]
    wording: tuple[str, ...]
    templates: Templates

    def asks(self, **values: Any) -> tuple[Ask, ...]:
        """The questions about one row; ``values`` are its cleaned texts."""
        limits = {"preference_words": self.words["likes"], "feature_words": self.words["feature"]}
        return tuple(
            Ask(name, fields, self.templates.render(f"{self.kind}_{name}.jinja", **limits, **values))
            for name, fields in self.plan
        )


def prompt_of(kind: Kind, settings: ReasoningSettings) -> Prompt:
    """Everything that all questions about items, or all about users, have in common.

    Raises:
        IsrfError: see ``prompt_templates.load_templates``; a template that leaves catalogue text undelimited.
    """
    templates, plan = load_templates(settings.prompts), PLANS[settings.plan]
    words: dict[Field, int] = dict.fromkeys(FIELDS, settings.preference_words)
    if kind == "item":
        words["feature"] = settings.feature_words
    schemas = {name: _schema(fields, words, settings.max_tokens) for name, fields in plan}
    names = [f"{kind}_{name}.jinja" for name, _ in plan]
    version = templates.digest(kind, "system.jinja", *names)
    versions = {name: templates.digest(kind, "system.jinja", f"{kind}_{name}.jinja") for name, _ in plan}
    opening = [{"role": "system", "content": templates.render("system.jinja", domain=clean(settings.domain, 60))}]
    examples = templates.examples[kind]
    for dialogue in examples["dialogues"]:
        for n, (name, fields) in enumerate(plan):
            ask = examples["asks"][name].replace("{{ title }}", dialogue["title"])
            shown = f"{OPEN}\n{dialogue['data']}\n{CLOSE}\n{ask}" if n == 0 else ask
            opening += turn(shown, {field: dialogue[field] for field in fields})
    tokens = {name: settings.max_tokens * len(fields) for name, fields in plan}
    prompt = Prompt(kind, plan, opening, version, versions, schemas, words, tokens, (), templates)
    limits = {"preference_words": words["likes"], "feature_words": words["feature"]}
    for name in names:
        templates.check_delimited(name, limits | _filled(kind, "a" * 24), limits | _filled(kind, "b" * 24))
    blank: dict[str, Any] = {"title": "", "attributes": []} if kind == "item" else {"history": []}
    wording = (opening[0]["content"], *(ask.text for ask in prompt.asks(**blank)))
    return replace(prompt, wording=wording)


def expected_tokens(prompt: Prompt) -> tuple[int, int]:
    """Tokens in and out of a row that nobody was asked about yet, roughly: what all rows share, and whole answers."""
    shared = sum(len(message["content"]) for message in prompt.opening)
    return len(prompt.plan) * shared // CHARACTERS_PER_TOKEN, sum(prompt.tokens.values())


def _filled(kind: Kind, text: str) -> dict[str, Any]:
    return {"title": text, "attributes": [(text, text)]} if kind == "item" else {"history": [text, text]}


def turn(ask: str, answer: dict[Field, str]) -> list[dict[str, str]]:
    """A question and its answer as chat messages; the answer as the schema wants it."""
    said = json.dumps(answer, ensure_ascii=False)
    return [{"role": "user", "content": ask}, {"role": "assistant", "content": said}]


def quoted(text: str, max_bytes: int) -> str:
    """Catalogue text as prompts hold it: one short line without the brackets that chat templates write control tokens in.

    Angle brackets ("<|im_end|>", "<<SYS>>") and square ones ("[INST]"), and whatever looks like them, become round ones: a
    server that looks for its control tokens in the whole text finds none in what a shop's catalogue says, and no text
    closes the delimiters around it.
    """
    return clean(plain_brackets(text[: 4 * max_bytes].replace(LIST_SEPARATOR, ", ")), max_bytes).translate(_ROUND)


_ROUND = str.maketrans("[]", "()")


def item_question(prompt: Prompt, catalogue: Catalogue, row: int) -> Question:
    """Questions about one item: title, brand, categories, other attributes, as far as ``ITEM_BYTES`` reaches."""
    attributes, room = [], ITEM_BYTES
    for name in catalogue.attribute_columns:
        value = quoted(catalogue.table[name][row] or "", min(ATTRIBUTE_BYTES, room))
        if value:
            attributes.append((quoted(name, 40), value))
            room -= len(value.encode())
        if room < 20:
            break
    title = quoted(catalogue.table[Columns.TITLE][row] or "", TITLE_BYTES)
    data = "\n".join([title, *(value for _, value in attributes)])
    return Question(row, data, prompt.asks(title=title, attributes=attributes))


def user_question(
    prompt: Prompt, catalogue: Catalogue, row: int, history: np.ndarray, item_features: Sequence[str], most: int
) -> Question:
    """Questions about one person: the most recent training items, newest first, each with its feature.

    Args:
        history: (n,) item rows, oldest first.
        item_features: one feature an item row.
        most: K, items of the history that are told.
    """
    lines, room = [], HISTORY_BYTES
    told = [name for name in (Columns.BRAND, Columns.CATEGORIES) if name in catalogue.attribute_columns]
    for item in history[::-1][:most]:
        # the title, never the id: a number that carries order must not reach a model
        parts = [catalogue.titles[int(item)]]
        parts += [catalogue.table[name][int(item)] or "" for name in told]
        parts.append(item_features[int(item)])
        line = quoted("; ".join(p[:PURCHASE_BYTES] for p in parts if p), min(PURCHASE_BYTES, room))
        if line:
            lines.append(line)
            room -= len(line.encode())
        if room < 20:
            break
    return Question(row, "\n".join(lines), prompt.asks(history=lines))


def _schema(fields: tuple[Field, ...], words: dict[Field, int], max_tokens: int) -> dict[str, Any]:
    # a quarter of the tokens is left for the JSON around the sentence
    by_tokens = CHARACTERS_PER_TOKEN * max_tokens * 3 // 4
    properties = {
        field: {"type": "string", "minLength": 1, "maxLength": min(CHARACTERS_PER_WORD * words[field], by_tokens)}
        for field in fields
    }
    return {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}
