"""Answers as servers write them, and whatever else may arrive in their place."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.growth import assert_linear

from isrf.reasoning.answers.replies import (
    CONTENT_BYTES,
    THINKING_BYTES,
    BrokenReply,
    Completion,
    fields_of,
    read_completion,
)

FIELDS = ("likes", "dislikes", "feature")
OBJECT = '{"likes": "Tea drinkers."}'


def read(content: Any, finish: str = "stop", usage: Any = None, **message: Any) -> Completion:
    choice = {"finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    return read_completion(json.dumps({"choices": [choice], "usage": usage}).encode())


THINKING: dict[str, tuple[Completion, str, str, bool]] = {
    "a block": (read(f"<think>\nHm.\n</think>\n\n{OBJECT}"), OBJECT, "Hm.", False),
    "no start": (read(f"Hm.\n</think>{OBJECT}"), OBJECT, "Hm.", False),
    "no end": (read("<think>Hm, this"), "", "Hm, this", True),
    "no end, by the limit": (read("<think>Hm, this", finish="length"), "", "Hm, this", True),
    "an empty block": (read(f"<think>\n\n</think>{OBJECT}"), OBJECT, "", False),
    "two blocks": (read(f"<think>a</think><think>b</think>{OBJECT}"), OBJECT, "a\nb", False),
    "upper case, another name": (read(f"<THINKING>a</THINKING>{OBJECT}"), OBJECT, "a", False),
    "a block in a block": (read(f"<think>a <think>b</think>{OBJECT}"), OBJECT, "a <think>b", False),
    "DeepSeek": (read(OBJECT, reasoning_content="Hm."), OBJECT, "Hm.", False),
    "Ollama": (read(OBJECT, reasoning="Hm.", reasoning_content=""), OBJECT, "Hm.", False),
    "DeepSeek, cut": (read(None, finish="length", reasoning_content="Hm"), "", "Hm", True),
    "DeepSeek, no answer": (read("", reasoning_content="Hm."), "", "Hm.", True),
    "an odd reasoning": (read(OBJECT, reasoning={"effort": "low"}), OBJECT, "", False),
    "none": (read(OBJECT), OBJECT, "", False),
    "none, cut": (read('{"likes": "Tea dr', finish="length"), '{"likes": "Tea dr', "", True),
}


@pytest.mark.parametrize("case", THINKING)
def test_thinking_is_told_from_the_answer(case: str) -> None:
    completion, content, thinking, cut = THINKING[case]
    assert (completion.content, completion.thinking, completion.cut) == (content, thinking, cut)


THOUGHT = f"They brew tea.\n{OBJECT}"
IN_THINKING: dict[str, tuple[Completion, str, str]] = {
    "nothing else": (read(None, reasoning_content=OBJECT), OBJECT, ""),
    "behind thinking": (read("", reasoning=THOUGHT), OBJECT, "They brew tea."),
    "in a fence": (read("", reasoning_content=f"Hm.\n```json\n{OBJECT}\n```"), OBJECT, "Hm."),
    "behind a draft": (
        read(None, reasoning_content=f'{{"likes": "no"}} better: {OBJECT}'),
        OBJECT,
        '{"likes": "no"} better:',
    ),
    "another name": (read(None, thinking=OBJECT), OBJECT, ""),
    "no reason to end": (read(None, finish=None, reasoning_content=OBJECT), OBJECT, ""),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", IN_THINKING)
def test_a_whole_answer_in_the_place_of_thinking_is_the_answer(case: str) -> None:
    completion, content, thinking = IN_THINKING[case]
    assert (completion.content, completion.thinking, completion.cut) == (content, thinking, False)


@pytest.mark.parametrize("thought", [OBJECT, THOUGHT])
def test_an_answer_that_its_limit_ended_is_none(thought: str) -> None:
    assert read(None, finish="length", reasoning_content=thought).cut


@pytest.mark.parametrize(
    "thought", ["{}", f"{OBJECT} is too short, so", OBJECT[:-1], "{" * 1_000_000, '{"a":' * 200_000]
)
def test_a_draft_is_no_answer(thought: str) -> None:
    completion = read(None, reasoning_content=thought)
    assert completion.cut and not completion.content


@pytest.mark.parametrize("piece", ["{", '{"a":'])
def test_a_draft_takes_no_quadratic_time(piece: str) -> None:
    assert_linear(lambda size: read(None, reasoning_content=piece * size), 100_000)


def test_tokens_of_thinking_are_counted_or_estimated() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 100}
    counted = read(OBJECT, usage={**usage, "completion_tokens_details": {"reasoning_tokens": 80}})
    assert (counted.tokens_in, counted.tokens_out, counted.tokens_thinking) == (7, 100, 80)
    estimated = read("x" * 100, usage=usage, reasoning_content="y" * 300)
    assert estimated.tokens_thinking == 75


@pytest.mark.parametrize(
    "usage", [None, "many", [], {"prompt_tokens": -1}, {"prompt_tokens": True}, {"prompt_tokens": 10**30}]
)
def test_odd_counts_are_none(usage: Any) -> None:
    assert read(OBJECT, usage=usage).tokens_in == 0


def test_only_so_much_is_kept_and_any_database_takes_it() -> None:
    odd = "\ud800\0é" * 40_000
    completion = read(f"<think>{odd}</think>{odd}")
    assert len(completion.content.encode()) <= CONTENT_BYTES and len(completion.thinking.encode()) <= THINKING_BYTES
    connection = sqlite3.connect(":memory:")
    (back,) = connection.execute("SELECT ?", (completion.content,)).fetchone()
    assert back == completion.content


BROKEN = [b"", b"{", b"null", b"[]", b'"x"', b"<html>", b"\xff", b'{"choices": []}', b'{"choices": [{}]}']
BROKEN += [b'{"choices": {"0": 1}}', b'{"choices": [{"message": null}]}', b'{"choices": [{"message": {"content": 5}}]}']
BROKEN += [b'{"error": {"message": "no"}}', b"[" * 100_000, b"1" * 10_000, b'{"choices": [{"message": []}]}']


@pytest.mark.parametrize("body", BROKEN, ids=[repr(body[:40]) for body in BROKEN])
def test_what_is_no_completion_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(BrokenReply, match="its response is no"):
        read_completion(body)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
parts = ("choices", "message", "content", "reasoning_content", "usage", "prompt_tokens", "completion_tokens_details")
shaped = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"message": st.dictionaries(st.sampled_from(parts), values)}) | values)},
    optional={"usage": st.dictionaries(st.sampled_from(parts), values) | values},
)


@given(st.binary() | values.map(json.dumps).map(str.encode) | shaped.map(json.dumps).map(str.encode))
def test_any_bytes_are_a_completion_or_broken(body: bytes) -> None:
    with suppress(BrokenReply):
        completion = read_completion(body)
        assert 0 <= completion.tokens_thinking <= completion.tokens_out
        completion.content.encode(), completion.thinking.encode()


@given(st.text() | values.map(json.dumps), st.lists(st.sampled_from(FIELDS), unique=True))
def test_any_text_has_the_fields_or_not(content: str, fields: list[str]) -> None:
    found = fields_of(content, fields)
    assert found is None or (list(found) == fields and all(isinstance(text, str) for text in found.values()))


tags = st.lists(st.sampled_from(["<think>", "</think>", "<reasoning>", "</THINK>", "~", OBJECT, " "]), max_size=12)


@given(tags.map("".join))
def test_tags_in_any_order_lose_no_words(content: str) -> None:
    completion = read(content)
    words = "".join(c for c in completion.thinking + completion.content if c == "~")
    assert len(words) == content.count("~")


@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", "<think></think>", "<think", '{"', '{"a":', "{", '{"likes": "']
)
def test_a_long_answer_of_anything_takes_no_quadratic_time(piece: str) -> None:
    def read_it(size: int) -> None:
        body = json.dumps({"choices": [{"message": {"content": piece * (size // len(piece))}}]}).encode()
        assert fields_of(read_completion(body).content, FIELDS) is None

    assert_linear(read_it, 400_000)


around = st.text(max_size=30) | st.sampled_from(
    [
        "Sure! ",
        "```json\n",
        "\n```",
        "{",
        "}",
        '{"a": ',
        "[",
        "]",
        '{"a": {"b": {"c": {"d": [',
        "{}",
        '{"likes": 3} ',
        "\\",
    ]
)
texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40)


@given(around, st.fixed_dictionaries(dict.fromkeys(FIELDS, texts)), around, st.booleans())
def test_the_object_is_found_whatever_surrounds_it(
    before: str, answer: dict[str, str], after: str, escaped: bool
) -> None:
    content = before.replace('"likes"', "") + json.dumps(answer, ensure_ascii=escaped) + after
    assert fields_of(content, FIELDS) == answer or before.count('"') % 2, "an open string may swallow what follows"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"Likes ": "a", "other": 1}', "a"),
        ('{"answer": {"likes": "a"}}', "a"),
        ('{"answers": [{"likes": "a"}]}', "a"),
        ('{"likes": "a\nb"}', "a\nb"),
        ('{"dislikes": "b"} {"likes": "a"}', "a"),
        ('{"likes": ["a"]}', None),
        ('{"likes": "a', None),
        ("likes: a", None),
        ("{'likes': 'a'}", None),
        ("", None),
    ],
)
def test_what_is_tolerated_and_what_is_not(content: str, expected: str | None) -> None:
    assert fields_of(content, ["likes"]) == (None if expected is None else {"likes": expected})
