"""Reading what an endpoint answered: the answer apart from the thinking, whole or cut, and the fields in it.

Knows nothing about how it was asked for, nor whether what it says is any good (``quality``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isrf.reasoning.text import clean

MOST_BYTES = 1 << 20
"""Longest response that is read; three sentences and the longest thinking fit many times over."""
THINKING_BYTES = 64_000
"""How much of a model's thinking is kept, UTF-8 bytes; its tokens are counted whole."""
CONTENT_BYTES = 16_000
"""How much of an answer is kept."""
TAG = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
"""What models put around their thinking where the server does not separate it."""
THINKING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put the thinking beside the answer: DeepSeek, llama.cpp, older vLLM; newer vLLM, Ollama."""
MESSAGE_BYTES = 200
"""How much of an error's message is shown."""
MOST_TOKENS = 1 << 40
"""No count of tokens is larger; the store could not hold it."""

ECHO, KEY_ECHO = 12, 6
"""So many letters and digits of a prompt or a key in a row make an endpoint's message unfit to be shown."""

RAN_OUT = re.compile(r"output limit was reached|try again with (?:a )?higher max_", re.IGNORECASE)
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\U00(0[0-9a-fA-F]{5}|10[0-9a-fA-F]{4})")
BREAK = re.compile(r"\\[nrt]")
"""How JSON and Python write what is no plain character."""


class BrokenReply(Exception):
    """The response is no chat completion; its text says why and quotes nothing of it."""


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
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise BrokenReply("its response is no whole JSON") from None
    try:
        choice = said["choices"][0]
        message = choice["message"]
        content = message.get("content") or ""
        found = (message[name] for name in THINKING_FIELDS if isinstance(message.get(name), str))
        beside = next((text for text in found if text.strip()), "")
        if not isinstance(content, str):
            raise TypeError
    except (KeyError, IndexError, TypeError, AttributeError):
        raise BrokenReply("its response is no chat completion") from None
    content, thinking, unclosed = _apart(content)
    thinking = "\n".join(part for part in (beside, thinking) if part)
    cut = unclosed or choice.get("finish_reason") == "length" or bool(thinking and not content.strip())
    tokens_in, tokens_out, thought = _usage(said.get("usage"), content, thinking)
    return Completion(
        _head(content, CONTENT_BYTES), _head(thinking, THINKING_BYTES), cut, tokens_in, tokens_out, thought
    )


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


def message_of(body: bytes) -> tuple[str, bool, str]:
    """What an error's body says: its message (a line, "" = none), whether the account is empty, the parameter it names."""
    try:
        said = json.loads(body)
        said = said[0] if isinstance(said, list) else said
        error = said.get("error", said)
        if isinstance(error, str):
            return clean(error, MESSAGE_BYTES), False, ""
        message, about = error.get("message") or error.get("detail"), str(error.get("param") or "")
        return (
            clean(message, MESSAGE_BYTES) if isinstance(message, str) else "",
            "insufficient_quota" in (error.get("code"), error.get("type")),
            about if re.fullmatch(r"[a-z_.]{1,40}", about) else "",
        )
    except (ValueError, IndexError, AttributeError, RecursionError):
        return "", False, ""


def ran_out(said: str) -> bool:
    """Whether a refusal says that thinking took all the room of an answer, as OpenAI's models do instead of cutting it."""
    return bool(RAN_OUT.search(said))


def quotes(said: str, prompts: Sequence[str], key: str) -> bool:
    """Whether a message holds a piece of a prompt or of the key, however it is escaped, broken or spaced."""
    said = ESCAPE.sub(lambda escape: chr(int(escape.group(1) or escape.group(2), 16)), said)
    # JSON writes what is outside of the basic plane as two halves
    said = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    plain, secret = _letters(BREAK.sub(" ", said)), _letters(key)
    if any(piece in plain for at in range(max(len(secret) - KEY_ECHO + 1, 1)) if (piece := secret[at : at + KEY_ECHO])):
        return True
    sent = [_letters(prompt) for prompt in prompts]
    return any(plain[at : at + ECHO] in text for at in range(len(plain) - ECHO + 1) for text in sent)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


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
