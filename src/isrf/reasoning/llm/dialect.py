"""How one endpoint wants to be asked: found out with a question about the sky before the first real one.

Endpoints differ in how they give JSON (by schema, as any object, or only because the prompt says so), in what they call
the token limit, in parameters that they do not take, and in whether the model thinks before it answers. Knows nothing
about items or users.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.reasoning.answers.replies import Completion, fields_of
from isrf.reasoning.llm.client import Client
from isrf.reasoning.llm.http_errors import Refused, Unanswered

Structure = Literal["schema", "bare schema", "object", "prompted"]
WAYS: dict[str, tuple[Structure, ...]] = {
    "auto": ("schema", "bare schema", "object", "prompted"),
    "schema": ("schema", "bare schema"),
    "object": ("object",),
    "prompted": ("prompted",),
}
"""What is tried for each value of ``reasoning.structure``; a bare schema has no lengths, which some endpoints refuse."""
TOLD = {
    "schema": "JSON by schema",
    "bare schema": "JSON by schema without lengths",
    "object": "JSON mode without a schema",
    "prompted": "JSON because the prompt asks for it, read tolerantly",
}
LIMITS = ("max_tokens", "max_completion_tokens")
"""What endpoints call the token limit; OpenAI's newer models take the second only."""
ATTEMPTS = 2
"""So often one way is tried where the endpoint fails: some fail where others refuse, and there are more ways to try."""
PROBE: list[dict[str, str]] = [
    {"role": "system", "content": "Reply with one JSON object that has the fields asked for."},
    {"role": "user", "content": '"colour": what colour is grass? One word.'},
    {"role": "assistant", "content": '{"colour": "green"}'},
    {"role": "user", "content": '"colour": what colour is the sky on a clear day? One word.'},
]
PROBE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"colour": {"type": "string", "minLength": 1, "maxLength": 40}},
    "required": ["colour"],
    "additionalProperties": False,
}
PROBE_TOKENS = 32
FAILED = "it fails:"
"""Opens the reason where an endpoint neither answers nor refuses, which need not be the way's fault."""


@dataclass(frozen=True)
class Dialect:
    """What was found out about an endpoint.

    Attributes:
        structure: how JSON is asked for.
        limit: what the endpoint calls the token limit.
        without: parameters that it does not take ("temperature", "seed").
        thinks: whether the model thinks before it answers, so that it needs more room.
        address: base URL at the same host where it was found, "" = where it was said to be.
    """

    structure: Structure
    limit: str = LIMITS[0]
    without: tuple[str, ...] = ()
    thinks: bool = False
    address: str = ""

    def body(
        self,
        model: str,
        messages: Sequence[dict[str, str]],
        name: str,
        schema: dict[str, Any],
        parameters: dict[str, Any],
    ) -> dict[str, Any]:
        """The request: ``parameters`` has temperature, seed, max_tokens and whatever the user adds."""
        kept = {key: value for key, value in parameters.items() if key not in (*self.without, "max_tokens")}
        body: dict[str, Any] = {
            **kept,
            "model": model,
            "messages": list(messages),
            self.limit: parameters["max_tokens"],
        }
        if self.structure == "object":
            body["response_format"] = {"type": "json_object"}
        elif self.structure != "prompted":
            wanted = schema if self.structure == "schema" else without_lengths(schema)
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": wanted, "strict": True},
            }
        return body

    def document(self) -> dict[str, Any]:
        """For the store: JSON-able."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Dialect:
        """From the store."""
        return cls(**{**document, "without": tuple(document["without"])})


def without_lengths(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with any length of string allowed."""
    properties = {name: {"type": "string"} for name in schema["properties"]}
    return {**schema, "properties": properties}


async def negotiate(client: Client, settings: ReasoningSettings) -> Dialect:
    """Try the ways of asking from the strictest on, and take the first that gives the object asked for and nothing else.

    Where none does (an endpoint that ignores what it is told of JSON), the last that gives it among other words.

    Raises:
        IsrfError: none does; or see ``Client.complete``.
    """
    reasons, failed = dict[str, None](), list[Structure]()
    loose: Dialect | None = None
    dialect = Dialect("prompted")
    for structure in WAYS[settings.structure]:
        # what was learned about parameters holds for the next way too
        dialect = replace(dialect, structure=structure)
        dialect, completion, reason = await _tried(client, settings, dialect)
        if completion is None:
            reasons[reason] = None
            failed += [structure] if reason.startswith(FAILED) else []
        elif structure == "prompted" or _alone(completion):
            return await _checked(client, settings, dialect, failed)
        else:
            loose = dialect
    if loose is not None:
        return await _checked(client, settings, loose, failed)
    raise IsrfError(
        f"{client.url}: {client.endpoint.model} gave no JSON in any way that was tried "
        f"({', '.join(WAYS[settings.structure])}): {'; '.join(reasons)}; try another model, or reasoning.structure"
    )


async def _checked(client: Client, settings: ReasoningSettings, found: Dialect, failed: list[Structure]) -> Dialect:
    """The way found, or a stricter one where that had failed and was perhaps not to blame."""
    for structure in failed:
        dialect, completion, _ = await _tried(client, settings, replace(found, structure=structure), attempts=1)
        if completion is not None and _alone(completion):
            found = dialect
            break
    _tell(client, found)
    return replace(found, address=client.url if client.url != client.given else "")


async def _tried(
    client: Client, settings: ReasoningSettings, dialect: Dialect, attempts: int = ATTEMPTS
) -> tuple[Dialect, Completion | None, str]:
    """Ask in one way, changing what is complained about; the answer where it holds the object, else None and why."""
    while True:  # each round but the last changes the dialect, which can be changed four times
        room = PROBE_TOKENS + (settings.thinking_tokens if dialect.thinks else 0)
        sampling = {"temperature": settings.temperature, "seed": settings.seed}
        parameters = {**sampling, **settings.extra_body, "max_tokens": room}
        body = dialect.body(client.endpoint.model, PROBE, "colour", PROBE_SCHEMA, parameters)
        try:
            completion = await client.complete(body, attempts)
        except Refused as refused:
            changed = _mended(dialect, f"{refused} {refused.about}")
            if changed is None:
                return dialect, None, str(refused)
            dialect = changed
            continue
        except Unanswered as unanswered:
            return dialect, None, f"{FAILED} {unanswered}"
        thought = bool(completion.thinking) or completion.tokens_thinking > 0
        if fields_of(completion.content, ["colour"]) is not None:  # be it cut behind the object
            return replace(dialect, thinks=dialect.thinks or thought), completion, ""
        if not completion.cut:
            return dialect, None, "it answers something else than the JSON object asked for"
        if dialect.thinks:
            return dialect, None, f"its answer does not end within {room} tokens (reasoning.thinking_tokens)"
        dialect = replace(dialect, thinks=True)  # the answer did not fit behind the thinking


def _alone(completion: Completion) -> bool:
    """Whether an answer is the object asked for and nothing else, as an endpoint writes that was told to."""
    try:
        said = json.loads(completion.content)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and set(said) == {"colour"}


def _mended(dialect: Dialect, reason: str) -> Dialect | None:
    """The dialect without what the refusal complains about; None where it names nothing that we could change."""
    if "response_format" in reason:
        return None
    for parameter in ("temperature", "seed"):
        if parameter in reason and parameter not in dialect.without:
            return replace(dialect, without=(*dialect.without, parameter))
    if LIMITS[0] in reason and dialect.limit == LIMITS[0]:
        return replace(dialect, limit=LIMITS[1])
    return None


def _tell(client: Client, dialect: Dialect) -> None:
    words = [TOLD[dialect.structure]]
    if dialect.without:
        words.append(f"does not take {' and '.join(dialect.without)}")
    if dialect.thinks:
        words.append(f"thinks before it answers and gets {client.settings.thinking_tokens} tokens more for it")
    note(f"{client.url}: {client.endpoint.model}: {'; '.join(words)}")
