"""Negotiation with endpoints that are particular in the ways of known ones, and with a real llama.cpp server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.reasoning.scripted import (
    Behaviour,
    Request,
    Response,
    Server,
    always,
    answer,
    chat,
    first,
    scripted,
    sensible,
)
from tests.reasoning.scripted import status as error

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.reasoning.llm import rate_limit
from isrf.reasoning.llm.client import Client, Endpoint
from isrf.reasoning.llm.dialect import PROBE_SCHEMA, Dialect, negotiate


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "FIRST_WAIT_S", 0.005)
    monkeypatch.setattr(rate_limit, "LONGEST_WAIT_S", 0.03)


def agreed(given: ReasoningSettings) -> Dialect:
    async def run() -> Dialect:
        async with Client(Endpoint("openai", given.base_url, str(given.model), "m"), given) as client:
            return await negotiate(client, given)

    return asyncio.run(run())


def lengths(request: Request) -> bool:
    return "Length" in json.dumps(request.body.get("response_format", {}))


def openai_strict(request: Request, before: int) -> Response:
    """A reasoning model of OpenAI's: hides its thinking, takes neither lengths nor max_tokens nor another temperature."""
    body = request.body
    if "max_tokens" in body:
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return error(400, message, param="max_tokens", code="unsupported_parameter")
    if body.get("temperature", 1) != 1:
        message = (
            "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) is supported."
        )
        return error(400, message, param="temperature", code="unsupported_value")
    if lengths(request):
        message = "Invalid schema for response_format 'colour': In context=('colour',), 'maxLength' is not permitted."
        return error(400, message, param="response_format")
    if body["max_completion_tokens"] < 200:
        return chat("", finish="length")
    response = json.loads(chat(answer(request)).body)
    response["usage"]["completion_tokens_details"] = {"reasoning_tokens": 15}
    return Response(body=json.dumps(response).encode())


def openai_refuses_what_it_cannot_finish(request: Request, before: int) -> Response:
    """The same, but an answer that thinking leaves no room for is refused, not cut."""
    if 0 < request.body.get("max_completion_tokens", 0) < 200 and not lengths(request):
        message = (
            "Could not finish the message because max_tokens or model output limit was reached. Please try again with "
            "higher max_tokens."
        )
        return error(400, message, type="invalid_request_error")
    return openai_strict(request, before)


def deepseek_chat(request: Request, before: int) -> Response:
    if request.structure == "json_schema":
        return error(400, "This response_format type is unavailable now", type="invalid_request_error")
    return sensible(request, before)


def deepseek_reasoner(request: Request, before: int) -> Response:
    if request.structure == "json_schema":
        return error(400, "This response_format type is unavailable now", type="invalid_request_error")
    if request.body["max_tokens"] < 200:
        return chat("", finish="length", reasoning_content="The sky, hm")
    return chat(answer(request), reasoning_content="The sky, hm, is blue.")


def qwen_on_vllm(request: Request, before: int) -> Response:
    """Thinks in its content, which no schema holds back."""
    if request.body["max_tokens"] < 200:
        return chat("<think>The sky, hm", finish="length")
    return chat(f"<think>The sky, hm, is blue.</think>{answer(request)}")


def takes_no_seed(request: Request, before: int) -> Response:
    return error(422, "extra fields not permitted: seed") if "seed" in request.body else sensible(request, before)


def ignores_it(request: Request, before: int) -> Response:
    return chat(f"Sure! Here it is:\n```json\n{answer(request)}\n```\nAnything else?")


def fails_at_schemas(request: Request, before: int) -> Response:
    return error(500, "grammar") if request.structure == "json_schema" else sensible(request, before)


ENDPOINTS: dict[str, tuple[Behaviour, Dialect, int]] = {
    "vLLM, Ollama, llama.cpp": (sensible, Dialect("schema"), 1),
    "OpenAI, reasoning": (openai_strict, Dialect("bare schema", "max_completion_tokens", ("temperature",), True), 5),
    "OpenAI, refusing what it cannot finish": (
        openai_refuses_what_it_cannot_finish,
        Dialect("bare schema", "max_completion_tokens", ("temperature",), True),
        5,
    ),
    "deepseek-chat": (deepseek_chat, Dialect("object"), 3),
    "deepseek-reasoner": (deepseek_reasoner, Dialect("object", thinks=True), 4),
    "a thinking model on vLLM": (qwen_on_vllm, Dialect("schema", thinks=True), 2),
    "no seed": (takes_no_seed, Dialect("schema", without=("seed",)), 2),
    "ignores response_format": (ignores_it, Dialect("prompted"), 4),
    # two attempts for each schema, one for the object, and one more for each schema that may have failed by chance
    "fails at schemas": (fails_at_schemas, Dialect("object"), 7),
}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_each_endpoint_is_asked_as_it_wants(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    respond, expected, requests = ENDPOINTS[name]
    with scripted(respond) as server:
        assert agreed(server.settings()) == expected
    assert len(server.requests) == requests
    assert capsys.readouterr().err.count(f"{server.url}: m: JSON") == 1, "what was found out is told"


def test_what_was_found_out_is_what_is_sent() -> None:
    with scripted(openai_strict) as server:
        dialect = agreed(server.settings())
    parameters = {"temperature": 0.0, "seed": 1, "max_tokens": 50, "reasoning_effort": "low"}
    body = dialect.body("o", [{"role": "user", "content": "?"}], "colour", PROBE_SCHEMA, parameters)
    assert body.keys() == {"model", "messages", "max_completion_tokens", "seed", "reasoning_effort", "response_format"}
    assert body["response_format"]["json_schema"]["schema"]["properties"] == {"colour": {"type": "string"}}


def test_the_document_of_a_dialect_is_it() -> None:
    for _, dialect, _ in ENDPOINTS.values():
        assert Dialect.of(json.loads(json.dumps(dialect.document()))) == dialect


@pytest.mark.parametrize(
    ("structure", "asked"), [("object", "json_object"), ("prompted", ""), ("schema", "json_schema")]
)
def test_one_way_may_be_prescribed(structure: str, asked: str) -> None:
    with scripted() as server:
        agreed(server.settings(structure=structure))
    assert [request.structure for request in server.requests] == [asked]


def test_what_is_prescribed_is_not_replaced() -> None:
    with scripted(deepseek_chat) as server, pytest.raises(IsrfError, match="gave no JSON in any way that was tried"):
        agreed(server.settings(structure="schema"))


def test_a_schema_among_other_words_is_better_than_nothing() -> None:
    with scripted(ignores_it) as server:
        assert agreed(server.settings(structure="schema")) == Dialect("bare schema")


NO_USE: dict[str, tuple[Behaviour, str]] = {
    "no JSON ever": (always(chat("The sky is blue.")), "it answers something else than the JSON object asked for"),
    "empty": (always(chat("")), "something else than"),
    "thinks for ever": (
        always(chat("<think>hm", finish="length")),
        r"does not end within 4128 tokens \(reasoning.thinking",
    ),
    "a web page": (always(Response(body=b"<html></html>")), "not complete JSON"),
    "refuses": (always(error(400, "Model Not Exist")), r"HTTP 400 \(Model Not Exist\)"),
    "fails": (always(error(500)), "HTTP 500"),
    "is overloaded": (always(error(503)), "HTTP 503, [0-9]+ times in a row"),
}


@pytest.mark.parametrize("name", NO_USE)
def test_what_is_of_no_use_is_said_in_one_line(name: str) -> None:
    respond, expected = NO_USE[name]
    with scripted(respond) as server, pytest.raises(IsrfError, match=expected) as told:
        agreed(server.settings(patience_s=0.1))
    assert "\n" not in str(told.value) and str(told.value).startswith(server.url)
    assert len(server.requests) <= 40


def test_a_server_that_is_still_loading_is_waited_for() -> None:
    with scripted(first(10, error(503, "Loading model"))) as server:
        assert agreed(server.settings()) == Dialect("schema")


def test_a_passing_failure_does_not_cost_the_schema() -> None:
    """The first way fails as often as it is tried; the second would do, but the first was not to blame."""
    with scripted(first(2, error(500))) as server:
        assert agreed(server.settings()) == Dialect("schema")


def test_a_field_that_the_user_adds_is_never_dropped() -> None:
    respond: Behaviour = lambda request, before: (  # noqa: E731
        error(400, "unknown field reasoning_effort")
        if "reasoning_effort" in request.body
        else sensible(request, before)
    )
    with scripted(respond) as server, pytest.raises(IsrfError, match="unknown field reasoning_effort"):
        agreed(server.settings(extra_body={"reasoning_effort": "low"}))


@pytest.fixture
def healthy() -> Iterator[Server]:
    with scripted() as server:
        yield server


def test_the_model_and_the_messages_cannot_be_overridden(healthy: Server) -> None:
    odd: dict[str, Any] = {"model": "other", "messages": []}
    agreed(healthy.settings(extra_body=odd))
    assert healthy.requests[0].body["model"] == "m" and healthy.requests[0].body["messages"]


def test_a_real_server_takes_the_schema(asked: ReasoningSettings) -> None:
    assert agreed(asked) == Dialect("schema")
