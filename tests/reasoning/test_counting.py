"""Counting tokens: exactly where the endpoint does so for free, else approximately, and it says which."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reasoning.scripted import Request, Response, always, chat, scripted, status

from isrf.core.config import ReasoningSettings
from isrf.reasoning.llm.client import Client, Endpoint
from isrf.reasoning.llm.token_counts import APPROXIMATE, count_tokens

SETTINGS = ReasoningSettings()
HOSTED = Endpoint("openai", None, "m", "m")
CHATS = [
    [{"role": "system", "content": "You study teas."}, {"role": "user", "content": text}]
    for text in ("tea", "<|im_end|> is no \x00 end", "Blå te 💚 " * 9)
]


def test_llama_counts_as_it_will_when_it_is_asked(local_endpoint: str) -> None:
    endpoint = Endpoint("openai", local_endpoint, "smollm2", "smollm2")
    counts = count_tokens(CHATS, endpoint, SETTINGS)

    async def really() -> list[int]:
        async with Client(endpoint, SETTINGS) as client:
            return [(await client.complete({"messages": c, "max_tokens": 1})).tokens_in for c in CHATS]

    assert counts.tokens == asyncio.run(really())
    assert counts.counted_by == "llama.cpp"


def test_a_notebook_can_count_too(local_endpoint: str) -> None:
    async def cell() -> str:
        return count_tokens(CHATS[:1], Endpoint("local", local_endpoint, "m", "m"), SETTINGS).counted_by

    assert asyncio.run(cell()) == "llama.cpp"


def like_vllm(request: Request, before: int) -> Response:
    if request.path != "/tokenize":
        return status(404)
    return Response(body=json.dumps({"count": len(request.body["messages"]), "max_model_len": 4096}).encode())


def test_vllm_is_asked_beside_the_chat_endpoint() -> None:
    with scripted(like_vllm) as server:
        counts = count_tokens(CHATS, Endpoint("openai", server.url, "m", "m"), SETTINGS)
        assert {request.body.get("model") for request in server.requests if request.path == "/tokenize"} >= {"m"}
    assert counts.tokens == [len(chat) for chat in CHATS]
    assert counts.counted_by == "vLLM"


@pytest.mark.parametrize(
    "response",
    [
        status(404),
        status(500, b"<html>"),
        chat("no count"),
        Response(body=b"[]"),
        Response(body=b"{"),
        Response(body=json.dumps({"count": True, "prompt": 3, "tokens": "3"}).encode()),
        Response(body=b"[" * 100_000),
        Response(body=b'{"count": 5}', cut_at=4),
        Response(status=307, headers={"Location": "http://127.0.0.1:9/tokenize"}),
    ],
)
def test_whatever_an_endpoint_answers_instead_there_is_a_count(response: Response) -> None:
    with scripted(always(response)) as server:
        counts = count_tokens(CHATS, Endpoint("openai", server.url, "m", "m"), SETTINGS)
    assert counts.counted_by == APPROXIMATE and counts == count_tokens(CHATS, HOSTED, SETTINGS)


def test_an_endpoint_that_stops_counting_is_not_counted_on() -> None:
    with scripted(lambda request, before: like_vllm(request, before) if before < 3 else status(503)) as server:
        assert count_tokens(CHATS, Endpoint("openai", server.url, "m", "m"), SETTINGS).counted_by == APPROXIMATE


@pytest.mark.parametrize(("supplier", "sent"), [("openai", "Bearer sk-canary"), ("local", None)])
def test_the_key_goes_where_it_belongs(supplier: str, sent: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    with scripted(like_vllm) as server:
        count_tokens(CHATS, Endpoint(supplier, server.url, "m", "m"), SETTINGS)
        assert {request.headers.get("authorization") for request in server.requests} == {sent}


def test_a_password_of_netrc_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys come from the variable that settings name and from nowhere else, also where only tokens are counted."""
    (tmp_path / ".netrc").write_text("machine shop.example login me password canary-93ab\n")
    for name in ("NO_PROXY", "no_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with scripted(like_vllm) as server:
        for name in ("http_proxy", "HTTP_PROXY"):  # a proxy gets whatever is for a host that is not there
            monkeypatch.setenv(name, server.url.removesuffix("/v1"))
        count_tokens(CHATS, Endpoint("openai", "http://shop.example/v1", "m", "m"), SETTINGS)
        assert server.requests and not [r for r in server.requests if "authorization" in r.headers]


@settings(max_examples=25)  # each reads the vocabulary anew
@given(st.text(max_size=200), st.text(max_size=200))
def test_the_stand_in_counts_more_for_more(one: str, other: str) -> None:
    chats = [[{"role": "user", "content": text}] for text in (one, f"{one} {other}")]
    short, long = count_tokens(chats, HOSTED, SETTINGS).tokens
    assert 0 < short <= long


def test_nothing_is_nothing() -> None:
    assert count_tokens([], HOSTED, SETTINGS).tokens == []


def test_long_prompts_are_counted_whole() -> None:
    (count,) = count_tokens([[{"role": "user", "content": "tea " * 3000}]], HOSTED, SETTINGS).tokens
    assert 3000 <= count < 3010
