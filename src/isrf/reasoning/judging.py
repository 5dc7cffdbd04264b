"""Judging one answer: its fields as clean lines, or what is wrong with it.

Knows what was asked and the gate of ``quality``; nothing about how answers come or where they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from isrf.config import ReasoningSettings
from isrf.reasoning.client import Endpoint
from isrf.reasoning.prices import Price
from isrf.reasoning.prompts import Ask, Field, Prompt
from isrf.reasoning.quality import Gate, fault_of, mended, sentence_key
from isrf.reasoning.replies import Completion, fields_of
from isrf.reasoning.text import clean, limit_words

NO_OBJECT = "no JSON object with its fields"
CUT = "cut by the token limit"
SHARED = "the same sentence for many items"


@dataclass(frozen=True)
class Asking:
    """What all rows of one kind share.

    Attributes:
        shared: keys of sentences that too many items were given; as a feature they are a fault.
        price: of a hosted model, where it is known.
    """

    prompt: Prompt
    endpoint: Endpoint
    settings: ReasoningSettings
    gate: Gate
    price: Price | None
    shared: frozenset[int] = frozenset()


def judge(
    completion: Completion, ask: Ask, data: str, before: dict[Field, str], asking: Asking
) -> tuple[dict[Field, str] | None, str]:
    """The fields of an answer as clean lines, or None and what is wrong with it."""
    if completion.cut:
        return None, CUT
    found = fields_of(completion.content, ask.fields)
    if found is None:
        return None, NO_OBJECT
    texts: dict[Field, str] = {}
    for name in ask.fields:
        longest = int(asking.prompt.schemas[ask.name]["properties"][name]["maxLength"])
        line = clean(found[name], 8 * longest)
        if len(found[name]) == longest:  # the schema ended it within a word
            line = limit_words(line, max(1, len(line.split()) - 1))
        texts[name] = line
    fault = fault_of(texts, data, before, asking.gate)
    if fault is not None:
        return None, fault
    texts = {name: mended(text, asking.prompt.words[name]) for name, text in texts.items()}
    if asking.shared and "feature" in texts and sentence_key(texts["feature"]) in asking.shared:
        return None, SHARED
    return texts, ""
