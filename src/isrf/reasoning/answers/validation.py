"""Judging one answer: its fields as clean lines, or what is wrong with it.

Knows what was asked and the gate of ``quality``; nothing about how answers come or where they are kept.
"""

from __future__ import annotations

from isrf.reasoning.answers.quality import Gate, fault_of, mended, sentence_key
from isrf.reasoning.answers.replies import Completion, fields_of
from isrf.reasoning.llm.prompts import Ask, Field, Prompt
from isrf.reasoning.text import clean, limit_words

NO_OBJECT = "no JSON object with its fields"
CUT = "cut by the token limit"
SHARED = "the same sentence for many items"


def judge(
    completion: Completion,
    ask: Ask,
    data: str,
    before: dict[Field, str],
    prompt: Prompt,
    gate: Gate,
    shared: frozenset[int],
) -> tuple[dict[Field, str] | None, str]:
    """The fields of an answer as clean lines, or None and what is wrong with it.

    Args:
        completion: the answer, as the endpoint gave it.
        ask: what was asked for.
        data: what the prompt quoted of the row.
        before: fields that earlier asks about the row were given.
        prompt: limits of every field, words and characters.
        gate: rules of the prompt (``quality.gate_of``).
        shared: keys of sentences that too many items were given; as a feature they are a fault.
    """
    if completion.cut:
        return None, CUT
    found = fields_of(completion.content, ask.fields)
    if found is None:
        return None, NO_OBJECT
    texts: dict[Field, str] = {}
    for name in ask.fields:
        longest = int(prompt.schemas[ask.name]["properties"][name]["maxLength"])
        line = clean(found[name], 8 * longest)
        if len(found[name]) == longest:  # the schema ended it within a word
            line = limit_words(line, max(1, len(line.split()) - 1))
        texts[name] = line
    fault = fault_of(texts, data, before, gate)
    if fault is not None:
        return None, fault
    texts = {name: mended(text, prompt.words[name]) for name, text in texts.items()}
    if shared and "feature" in texts and sentence_key(texts["feature"]) in shared:
        return None, SHARED
    return texts, ""
