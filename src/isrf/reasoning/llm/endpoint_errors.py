"""What an endpoint says when it does not answer: its message, of what kind the trouble is, and whether it may be shown.

Servers and gateways write errors in a dozen shapes, some of them under HTTP 200. Knows nothing about requests or retries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from isrf.reasoning.text import clean

MESSAGE_BYTES = 200
"""How much of an error's message is shown."""
HOLDERS = ("error", "errors", "detail", "base_resp")
"""Fields in which servers put the error as an object of its own: nearly all; Cloudflare; FastAPI; MiniMax."""
MESSAGES = ("message", "msg", "detail", "error_msg", "errmsg", "error_message", "status_msg", "Message", "title")
"""Fields that hold the words."""
CODES = ("code", "type", "status", "error_type", "error_code", "status_code", "http_code", "statusCode")
"""Fields that hold a number or a name of the kind."""
DEEPEST = 4
"""So many objects in one another are looked into."""
ECHO, KEY_ECHO = 12, 6
"""So many letters and digits of a prompt or a key in a row make an endpoint's message unfit to be shown."""

RAN_OUT = re.compile(r"output limit was reached|try again with (?:a )?higher max_", re.IGNORECASE)
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\U00(0[0-9a-fA-F]{5}|10[0-9a-fA-F]{4})")
BREAK = re.compile(r"\\[nrt]")
"""How JSON and Python write what is no plain character."""

KINDS: tuple[tuple[int, str], ...] = (
    (
        402,
        r"insufficient[_ ]?(quota|balance|funds|credits?)|payment[_ ]?required|billing|out of credits?|余额|欠费|arrears",
    ),
    (
        429,
        r"rate.?limit|too[_ ]many[_ ]requests|throttl|resource.?exhausted|requests? per (minute|second|day)|slow down|限流",
    ),
    (
        401,
        r"(invalid|incorrect|missing|wrong|expired|bad|no)[ _-]?.{0,20}(api[ _-]?key|credential|authentication)"
        r"|api[ _-]?key.{0,40}(invalid|incorrect|missing|required|expired|not valid|not provided)"
        r"|unauthori[sz]ed|unauthenticated|authentication|permission[ _]?denied|access denied|forbidden",
    ),
    (
        404,
        r"unexpected endpoint|(unknown|invalid|unsupported|no such) (request )?(url|path|endpoint|route)"
        r"|(url|path|endpoint|route|page|file) (was |is )?not found|cannot post|method not allowed|^not found$"
        r"|model.{0,80}(not found|not exist|unknown|no access)|(unknown|no such|invalid|unsupported) model|model_?not_?found",
    ),
    (
        503,
        r"overload|capacity|\bbusy\b|unavailable|try again|temporar|loading|warming up|time.?out|timed out|繁忙|稍后",
    ),
    (
        400,
        r"context.?length|maximum context|too (long|large)|invalid[_ ](request|value|param|argument)|bad[_ ]?request"
        r"|content.?(filter|policy)|validation|not supported|unsupported",
    ),
)
"""HTTP status -> words by which an error without one is told to be of that kind; the first that fits counts."""
UNKNOWN = 500
"""The status of an error that says nothing of its kind: the same request may well be answered."""
SAYS_MODEL = re.compile(r"\bmodel|模型", re.IGNORECASE)


@dataclass(frozen=True)
class ErrorObject:
    """An error as an endpoint wrote it.

    Attributes:
        message: one clean line, "" where there are no words.
        codes: numbers and names of its kind, as text.
        about: the parameter that it names as the reason, "" where it names none.
    """

    message: str
    codes: tuple[str, ...] = ()
    about: str = ""

    @property
    def out_of_money(self) -> bool:
        return "insufficient_quota" in self.codes

    @property
    def names_model(self) -> bool:
        """Whether it is about the model's name, and not about the address."""
        return self.about == "model" or bool(SAYS_MODEL.search(" ".join((self.message, *self.codes))))

    @property
    def status(self) -> int:
        """The HTTP status that it should have had: its own number unless its words are clearer."""
        words = " ".join((*self.codes, self.message))
        number = next((int(c) for c in self.codes if re.fullmatch(r"[45]\d\d", c)), None)
        if number not in (None, 400, 500):
            return number
        by_words = next((status for status, form in KINDS if re.search(form, words, re.IGNORECASE)), None)
        return by_words or number or UNKNOWN


def error_in(said: Any) -> ErrorObject | None:
    """The error that a parsed response holds in any of the usual shapes; None where it holds none.

    >>> error_in({"error": {"message": "model overloaded", "code": 529}})
    ErrorObject(message='model overloaded', codes=('529',), about='')
    >>> error_in({"detail": [{"loc": ["body", "model"], "msg": "field required", "input": "x"}]}).message
    'body.model: field required'
    """
    levels = list(_levels(said))
    message = next((words for level in reversed(levels) if (words := _words(level))), "")
    codes = tuple(dict.fromkeys(code for level in reversed(levels) for code in _codes(level)))
    about = next((str(level["param"]) for level in reversed(levels) if level.get("param")), "")
    named = any(level.get(holder) for level in levels for holder in HOLDERS)
    if not (named or message) or (set(codes) <= {"0", "200", "success"} and not message):
        return None
    return ErrorObject(message, codes, about if re.fullmatch(r"[a-z_.]{1,40}", about) else "")


def message_of(body: bytes) -> ErrorObject:
    """What the body of an error says; an empty object where nothing in it can be read."""
    try:
        return error_in(json.loads(body)) or ErrorObject("")
    except (ValueError, RecursionError):
        return ErrorObject("")


def _levels(said: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The object, and those in it that hold the error itself, from the outside in."""
    if isinstance(said, list):
        said = said[0] if said else None
    if not isinstance(said, dict) or depth == DEEPEST:
        return
    yield said
    for holder in HOLDERS:
        inner = said.get(holder)
        if isinstance(inner, dict) or (isinstance(inner, list) and holder != "detail"):
            yield from _levels(inner, depth + 1)


def _words(level: dict[str, Any]) -> str:
    for name in ("error", "errors", *MESSAGES):
        value = level.get(name)
        if isinstance(value, list) and value and isinstance(value[0], str):
            value = value[0]
        if isinstance(value, str) and value.strip():
            return clean(value, MESSAGE_BYTES)
    faults = level.get("detail")
    if isinstance(faults, list):  # of FastAPI: where and what, never the input that it quotes beside
        told = [
            ": ".join(part for part in (".".join(map(str, f.get("loc") or ())), str(f["msg"])) if part)
            for f in faults
            if isinstance(f, dict) and isinstance(f.get("msg"), str) and isinstance(f.get("loc") or [], list)
        ]
        return clean("; ".join(told), MESSAGE_BYTES)
    return ""


def _codes(level: dict[str, Any]) -> list[str]:
    values = (level.get(name) for name in CODES)
    return [str(v)[:60] for v in values if isinstance(v, str | int) and not isinstance(v, bool) and str(v).strip()]


def ran_out(said: str) -> bool:
    """Whether a refusal says that thinking took all the room of an answer, as OpenAI's models do instead of cutting it."""
    return bool(RAN_OUT.search(said))


def quotes(said: str, prompts: Sequence[str], key: str) -> bool:
    """Whether a message holds a piece of a prompt or of the key, however it is escaped, broken or spaced.

    A key of fewer than KEY_ECHO letters ("none", "EMPTY") is a word like others.
    """
    said = ESCAPE.sub(lambda escape: chr(int(escape.group(1) or escape.group(2), 16)), said)
    # JSON writes what is outside of the basic plane as two halves
    said = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    plain, secret = _letters(BREAK.sub(" ", said)), _letters(key)
    if any(secret[at : at + KEY_ECHO] in plain for at in range(len(secret) - KEY_ECHO + 1)):
        return True
    sent = [_letters(prompt) for prompt in prompts]
    return any(plain[at : at + ECHO] in text for at in range(len(plain) - ECHO + 1) for text in sent)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
