"""Reading what an endpoint answered: the answer apart from the thinking, whole or cut, and the fields in it.

Knows nothing about how it was asked for, nor whether what it says is any good (``quality``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isrf.reasoning.llm.endpoint_errors import ErrorObject, error_in

MOST_BYTES = 1 << 20
"""Longest response that is read; three sentences and the longest thinking fit many times over."""
THINKING_BYTES = 64_000
"""How much of a model's thinking is kept, UTF-8 bytes; its tokens are counted whole."""
CONTENT_BYTES = 16_000
"""How much of an answer is kept."""
TAG = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
"""What models put around their thinking where the server does not separate it."""
THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Where servers put the thinking beside the answer: DeepSeek, llama.cpp, older vLLM; newer vLLM; Ollama."""
AFTER_OBJECT = re.compile(r"[\s`.]*|\s*</answer>\s*", re.IGNORECASE)
"""What may stand behind an answer that fills the place of the thinking."""
FENCE = re.compile(r"```(?:json)?\s*$", re.IGNORECASE)
"""What may stand right before it."""
EVENT = re.compile(rb"^data:[ ]?(.*?)\r?$", re.MULTILINE)
"""One event of a response that is streamed though nobody asked for that."""
MOST_TOKENS = 1 << 40
"""No count of tokens is larger; the store could not hold it."""


class BrokenReply(Exception):
    """The response is no chat completion; its text says why and quotes nothing of it.

    Attributes:
        error: the error that it holds instead, None where it holds none.
        page: whether it is a web page.
    """

    def __init__(self, reason: str, error: ErrorObject | None = None, page: bool = False) -> None:
        super().__init__(reason)
        self.error, self.page = error, page


@dataclass(frozen=True)
class Completion:
    """One answer of a model, as it was given.

    Attributes:
        content: what it answered, without its thinking.
        thinking: what it thought before, "" where it did not or does not show it.
        cut: whether the token limit ended it: inside the answer, or before there was one.
        tokens_in, tokens_out: as the endpoint counted them; out includes thinking.
        tokens_thinking: the part of ``tokens_out`` that was thinking, estimated by length where it is not counted.
    """

    content: str
    thinking: str
    cut: bool
    tokens_in: int
    tokens_out: int
    tokens_thinking: int


def read_completion(body: bytes) -> Completion:
    """The answer in the body of a 200 response.

    Raises:
        BrokenReply: the body is no JSON (cut off by a lost connection, or no endpoint at all), or no chat completion.
    """
    said = _parsed(body)
    try:
        choice = said["choices"][0]
        if choice.get("error"):
            raise _broken(choice)
        message = choice["message"]
        content, thought = _texts(message.get("content"))
        found = [thought, *(message[name] for name in THINKING_FIELDS if isinstance(message.get(name), str))]
        beside = next((text for text in found if text.strip()), "")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _broken(said) from None
    if not (content.strip() or beside) and isinstance(said, dict) and said.get("error"):
        raise _broken(said)
    content, thinking, unclosed = _apart(content)
    thinking = "\n".join(part for part in (beside, thinking) if part)
    cut = unclosed or choice.get("finish_reason") == "length" or bool(thinking and not content.strip())
    if cut and not unclosed and choice.get("finish_reason") != "length":
        # some servers put a whole answer where thinking belongs; one that its limit ended is none
        content, thinking = _answer_behind(thinking)
        cut = not content
    tokens_in, tokens_out, tokens_thinking = _usage(said.get("usage"), content, thinking)
    return Completion(
        _head(content, CONTENT_BYTES), _head(thinking, THINKING_BYTES), cut, tokens_in, tokens_out, tokens_thinking
    )


def _parsed(body: bytes) -> Any:
    """The JSON of a response, put together where it comes as events."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        if body.lstrip()[:6].startswith((b"data:", b"event:", b":")):
            return _put_together([event for event in EVENT.findall(body) if event.strip() not in (b"", b"[DONE]")])
        page = body.lstrip()[:1] == b"<"
        raise BrokenReply(
            "its response is not complete JSON" + (", but a web page" if page else ""), page=page
        ) from None


def _put_together(events: list[bytes]) -> Any:
    """The completion that events tell piece by piece, or the first event that is an error."""
    pieces: dict[str, list[str]] = {name: [] for name in ("content", *THINKING_FIELDS)}
    usage = finish = None
    for event in events:
        try:
            said = json.loads(event)
            if not said.get("choices"):
                if error_in(said) is not None:
                    return said
                usage = said.get("usage") or usage
                continue
            choice = said["choices"][0]
            if choice.get("error"):
                return said
            delta = choice.get("delta") or {}
            for name, texts in pieces.items():
                texts += [delta[name]] if isinstance(delta.get(name), str) else []
            finish, usage = choice.get("finish_reason") or finish, said.get("usage") or usage
        except (ValueError, RecursionError, AttributeError, TypeError, LookupError):
            raise BrokenReply("its response is not a complete stream of JSON") from None
    if finish is None:  # it broke off: half an answer is none
        raise BrokenReply("its response is not a complete stream of JSON")
    message = {name: "".join(texts) for name, texts in pieces.items()}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _texts(content: Any) -> tuple[str, str]:
    """Answer and thinking of a message's content: text, nothing, or a list of parts of both kinds."""
    if content is None or isinstance(content, str):
        return content or "", ""
    answer, thoughts = list[str](), list[str]()
    for part in content if isinstance(content, list) else [content]:
        if part.get("type") in ("thinking", "reasoning"):
            inner = part.get("thinking") or part.get("text") or ""
            thoughts.append(inner if isinstance(inner, str) else _texts(inner)[0])
        elif isinstance(part.get("text"), str):
            answer.append(part["text"])
        else:
            raise TypeError
    return "".join(answer), "\n".join(thoughts)


def _broken(said: Any) -> BrokenReply:
    error = error_in(said)
    what = "no chat completion" if error is None else "no chat completion, but an error"
    return BrokenReply(f"its response is {what}", error)


def _answer_behind(thinking: str) -> tuple[str, str]:
    """The JSON object that ends a text, and what stands before it; ("", all of it) where none does."""
    # no answer is longer, and walking over a megabyte of braces takes long
    head, tail = thinking[:-CONTENT_BYTES], thinking[-CONTENT_BYTES:]
    decoder, at = json.JSONDecoder(strict=False), tail.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(tail, at)
        except (ValueError, RecursionError):
            at = tail.find("{", at + 1)
            continue
        if value and AFTER_OBJECT.fullmatch(tail, end):
            return tail[at:end], FENCE.sub("", head + tail[:at]).strip()
        at = tail.find("{", end)
    return "", thinking


def fields_of(content: str, fields: Sequence[str]) -> dict[str, str] | None:
    """The named string fields of the first JSON object that has them all, whatever stands around it; None = there is none.

    Code fences, words before and after, other fields, and an object around the object are tolerated; broken JSON is
    not mended: half a sentence is not an answer.

    >>> fields_of('Sure! {"likes": "Fans of red."} Anything else?', ["likes"])
    {'likes': 'Fans of red.'}
    """
    # not strict: small models put line breaks into strings
    decoder, at = json.JSONDecoder(strict=False), content.find("{")
    while at >= 0:
        try:
            value, _ = decoder.raw_decode(content, at)
        except (ValueError, RecursionError):
            value = {}
        named = {name.strip().lower(): text for name, text in value.items() if isinstance(text, str)}
        if all(field in named for field in fields):
            return {field: named[field] for field in fields}
        at = content.find("{", at + 1)  # also inside of this one
    return None


def _apart(content: str) -> tuple[str, str, bool]:
    """Answer, thinking, and whether the thinking never ended. One walk over the text: it may be a megabyte of tags."""
    answer, thoughts = list[str](), list[str]()
    at, opened = 0, -1
    for tag in TAG.finditer(content):
        if tag.group(1):
            if opened >= 0:
                thoughts.append(content[at : tag.start()])
            else:  # templates may open the block in the prompt, so that the answer holds its end alone
                thoughts.append("".join([*answer, content[at : tag.start()]]))
                answer.clear()
            opened = -1
        elif opened >= 0:
            continue
        else:
            answer.append(content[at : tag.start()])
            opened = tag.start()
        at = tag.end()
    unclosed = opened >= 0 and not "".join(answer).strip()
    if unclosed:
        thoughts.append(content[at:])
    else:
        answer.append(content[opened if opened >= 0 else at :])
    return "".join(answer).strip(), "\n".join(part for t in thoughts if (part := t.strip())), unclosed


def _usage(usage: Any, content: str, thinking: str) -> tuple[int, int, int]:
    counted = usage if isinstance(usage, dict) else {}

    def number(holder: Any, name: str) -> int:
        value = holder.get(name) if isinstance(holder, dict) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else 0

    tokens_out = number(counted, "completion_tokens")
    thought = number(counted.get("completion_tokens_details"), "reasoning_tokens")
    if not thought and thinking:
        thought = round(tokens_out * len(thinking) / (len(thinking) + len(content)))
    return number(counted, "prompt_tokens"), tokens_out, min(thought, tokens_out)


def _head(text: str, most: int) -> str:
    """At most so many bytes, whole characters, nothing that SQLite or Parquet cannot hold."""
    return text[:most].encode("utf-8", errors="replace")[:most].decode("utf-8", errors="ignore").replace("\0", "")
