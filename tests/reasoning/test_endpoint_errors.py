"""Errors in the shapes that servers and gateways write them, under their own status and under HTTP 200."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reasoning.scripted import Response, always, chat, first, scripted
from tests.reasoning.test_client import ask, endpoint_of, fast  # noqa: F401 (a fixture)
from tests.reasoning.test_replies import values

from isrf.core.errors import IsrfError
from isrf.reasoning.llm.client import Client
from isrf.reasoning.llm.dialect import negotiate
from isrf.reasoning.llm.endpoint_errors import error_in, message_of, quotes
from isrf.reasoning.llm.http_errors import Refused, Unanswered

SHAPES: dict[str, tuple[Any, str]] = {
    "OpenAI": ({"error": {"message": "no\n such", "type": "x", "param": None, "code": None}}, "no such"),
    "Ollama, TGI": ({"error": "model is busy", "error_type": "overloaded"}, "model is busy"),
    "vLLM": ({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}, "too long"),
    "FastAPI": ({"detail": "Not Found"}, "Not Found"),
    "FastAPI, an object": ({"detail": {"error": {"message": "no"}}}, "no"),
    "FastAPI, a list": (
        {"detail": [{"loc": ["body", "model"], "msg": "field required", "input": "your prompt"}]},
        "body.model: field required",
    ),
    "Google": ([{"error": {"code": 429, "message": "Resource has been exhausted"}}], "Resource has been exhausted"),
    "DashScope": (
        {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "1"},
        "Invalid API-key",
    ),
    "Qianfan": ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, "Open api qps"),
    "MiniMax": ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}, "choices": None}, "login fail"),
    "Cloudflare": ({"success": False, "errors": [{"code": 7003, "message": "Could not route"}]}, "Could not route"),
    "a list of words": ({"errors": ["no such thing"]}, "no such thing"),
    "problem+json": ({"type": "about:blank", "title": "Gone", "status": 410}, "Gone"),
    "AWS": ({"Message": "User is not authorized"}, "User is not authorized"),
    "no words": ({"error": {"code": 500}}, ""),
    "an error in an error": ({"error": {"error": {"message": "inner"}, "message": ""}}, "inner"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_words_are_found_in_any_shape(shape: str) -> None:
    said, words = SHAPES[shape]
    found = error_in(said)
    assert found is not None and found.message.startswith(words) and "your prompt" not in found.message
    assert message_of(json.dumps(said).encode()) == found


@pytest.mark.parametrize(
    "said", [None, [], {}, {"choices": []}, {"error": None}, {"base_resp": {"status_code": 0}}, 5, "no"]
)
def test_what_holds_no_error_is_none(said: Any) -> None:
    assert error_in(said) is None


def test_account_and_parameter_are_told_apart() -> None:
    found = message_of(b'{"error": {"message": "no", "code": "insufficient_quota", "param": "temperature"}}')
    assert found.out_of_money and found.about == "temperature"
    assert not message_of(b'{"error": {"message": "no", "param": "messages[0].content"}}').about
    assert message_of(b"<html><h1>502 Bad Gateway</h1></html>").message == "" == message_of(b"").message


@given(st.binary() | values.map(json.dumps).map(str.encode))
def test_any_body_has_a_message_or_none(body: bytes) -> None:
    found = message_of(body)
    assert len(found.message.encode()) <= 200 and "\n" not in found.message + found.about
    assert 400 <= found.status < 600


KINDS: dict[str, tuple[Any, type[Exception], str, int]] = {
    "overloaded passes": ({"error": {"message": "model overloaded", "code": 529}}, Unanswered, "model overloaded", 12),
    "busy, in words": ({"error": "The server is busy, please retry"}, Unanswered, "server is busy", 12),
    "too many requests": ({"message": "Too Many Requests", "code": "x"}, Unanswered, "Too Many Requests", 12),
    "a key": (
        {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}},
        IsrfError,
        "the key in",
        1,
    ),
    "a key, by number": ({"code": 401, "msg": "nobody knows you"}, IsrfError, "the key in OPENAI_API_KEY", 1),
    "a model": ({"error": {"message": "The model `m` does not exist"}}, IsrfError, "does not know model 'm'", 1),
    "money": ({"error": {"code": "1113", "message": "账户余额不足"}}, IsrfError, "nothing left to spend", 1),
    "one request": ({"error": {"message": "maximum context length is 2048"}}, Refused, "context length", 1),
    "unknown": ({"error": {"message": "upstream"}}, Unanswered, "upstream", 6),
    "beside no choice": ({"choices": [], "error": {"message": "upstream"}}, Unanswered, "upstream", 6),
    "within the choice": (
        {"choices": [{"error": {"code": 502, "message": "provider died"}, "finish_reason": "error", "message": {}}]},
        Unanswered,
        "provider died",
        6,
    ),
    "beside an empty answer": (
        {"choices": [{"message": {"content": ""}}], "error": {"message": "provider died"}},
        Unanswered,
        "provider died",
        6,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_under_http_200_is_told_and_treated_as_what_it_is(kind: str) -> None:
    said, expected, words, requests = KINDS[kind]
    with scripted(always(Response(body=json.dumps(said).encode()))) as server:
        with pytest.raises(expected, match=words) as told:
            ask(server)
        assert "HTTP 200 with an error" in str(told.value) and len(server.requests) == requests
    with scripted(first(2, Response(body=json.dumps(said).encode()))) as server:
        if expected is Unanswered:
            assert "likes" in ask(server).content, "it passes"


def test_an_overloaded_model_is_waited_for_and_then_given_up() -> None:
    busy = Response(body=b'{"error": {"message": "model overloaded", "code": 529}}')

    async def agreed(server: Any, patience_s: float = 0.1) -> Any:
        given = server.settings(patience_s=patience_s)
        async with Client(endpoint_of(given), given) as client:
            return await negotiate(client, given)

    with scripted(first(8, busy)) as server:
        assert asyncio.run(agreed(server, 20.0)).structure == "schema"
    with scripted(always(busy)) as server, pytest.raises(IsrfError, match=r"model overloaded.*times in a row"):
        asyncio.run(agreed(server))


EVENTS = [{"choices": [{"delta": {"role": "assistant", "content": part}}]} for part in ('{"likes": ', '"Tea."}')]
END = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


def streamed(*events: Any) -> Response:
    lines = [": waiting", *(f"data: {json.dumps(event)}\n" for event in events), "data: [DONE]\n"]
    return Response(body="\n".join(lines).encode(), headers={"Content-Type": "text/event-stream"})


def test_a_response_in_events_is_put_together() -> None:
    with scripted(always(streamed(*EVENTS, END))) as server:
        completion = ask(server)
    assert (completion.content, completion.tokens_in, completion.cut) == ('{"likes": "Tea."}', 7, False)
    with scripted(always(streamed(*EVENTS))) as server, pytest.raises(Unanswered, match="not a complete stream"):
        ask(server)
    broken = streamed(EVENTS[0], {"error": {"message": "provider died"}})
    with (
        scripted(always(broken)) as server,
        pytest.raises(Unanswered, match=r"HTTP 200 with an error \(provider died\)"),
    ):
        ask(server)


def test_parts_of_a_content_are_put_together() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": '{"likes": "Tea."}'},
    ]
    with scripted(always(chat(parts))) as server:  # type: ignore[arg-type]
        completion = ask(server)
    assert (completion.content, completion.thinking, completion.cut) == ('{"likes": "Tea."}', "Hm.", False)


# --- what may be shown ---


@given(st.text(min_size=30, max_size=60, alphabet=st.characters(categories=("Ll", "Lo"))), st.integers(0, 10))
def test_any_piece_of_a_prompt_is_recognised(prompt: str, at: int) -> None:
    piece = prompt[at : at + 20]
    for written in (piece, repr(piece), json.dumps(piece), "  ".join(piece), f"invalid: {piece}..."):
        assert quotes(written, ["something else", prompt], ""), written


def test_ordinary_messages_are_shown() -> None:
    prompt = '"likes": who would enjoy this item, and why? At most 50 words.\n<data>\ntitle: Iron teapot\n</data>'
    for said in (
        "This model's maximum context length is 2048 tokens",
        "Unsupported value: 'temperature' does not support 0 with this model",
        "This response_format type is unavailable now",
        "",
    ):
        assert not quotes(said, [prompt], "sk-proj-abcdefghij0123456789")
