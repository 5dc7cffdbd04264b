"""Under which key the store has an answer: everything that the answer depends on. Knows nothing about asking."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from isrf.core.config import ReasoningSettings
from isrf.reasoning.answers.rows import key_of
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.prompts import Prompt

WARMER = 0.7
"""Sampling temperature of the repeat, where the first answer was no good."""


MET: list[set[str]] = []
"""Get the key of every answer that is wanted, where somebody wants to know (``answers.erasure.keys_met``)."""

LOCAL_SAMPLING = {"repeat_penalty": 1.1}
"""What llama.cpp is told beside: without it a small model writes the likes over again as dislikes. ``reasoning.extra_body``
goes over it."""


class Keys:
    """Names under which the store has the answers to a prompt's questions; what all rows share is digested once."""

    def __init__(self, prompt: Prompt, endpoint: Endpoint, settings: ReasoningSettings) -> None:
        self.prompt, self.endpoint, self.settings = prompt, endpoint, settings
        self._opening = digest(prompt.opening)
        self._schemas = {name: digest(schema) for name, schema in prompt.schemas.items()}

    def of(self, ask: str, messages: list[dict[str, str]], attempt: int = 0, room: int | None = None) -> str:
        """The key of one answer.

        Args:
            ask: its name.
            messages: of the row, without the opening.
            attempt: 0 = first, 1 = with the reason why the first was no good.
            room: most tokens of an answer that got more room, None = of one that got the usual. How much room thinking
                usually gets is no part of it: a whole answer stays good when that changes.
        """
        limit = {"max_tokens": self.prompt.tokens[ask] if room is None else room}
        parameters = sampling(self.settings, attempt) | limit
        content = [self._opening, messages, self._schemas[ask]]
        who = (self.endpoint.supplier, self.endpoint.identity)
        return key_of(*who, parameters, self.prompt.versions[ask], content)


def sampling(settings: ReasoningSettings, attempt: int) -> dict[str, Any]:
    """What a request says beside the prompt and its limit; a repeat is warmer, so that it differs."""
    temperature = max(settings.temperature, WARMER) if attempt else settings.temperature
    own = LOCAL_SAMPLING if settings.supplier == "local" else {}
    return {"temperature": temperature, "seed": settings.seed + attempt, **own, **settings.extra_body}


def digest(value: Any) -> str:
    """SHA-256 (hex) of something JSON-able."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def meet(key: str) -> None:
    """Tell whoever wants to know that an answer is wanted."""
    for met in MET:
        met.add(key)
