"""Addresses as people write them: without the version, of Ollama's own protocol, or of the whole request."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reasoning.scripted import Request, Response, Server, scripted, sensible
from tests.reasoning.scripted import status as error
from tests.reasoning.test_client import ask, fast, line_of  # noqa: F401 (a fixture)

from isrf.data.training_data import TrainingData
from isrf.reasoning.llm.chat_path import base_of, others_than
from isrf.reasoning.reason import reason_items

NOTHING: dict[str, Response] = {
    "plain 404": error(404, b"404 page not found"),
    "a 404 of FastAPI": Response(404, b'{"detail": "Not Found"}'),
    "a 404 of llama.cpp": error(404, "File Not Found", type="not_found_error", code=404),
    "405": error(405, b"<html></html>"),
    "LM Studio": Response(200, b'{"error": "Unexpected endpoint or method. (POST /chat/completions)"}'),
    "a web page": Response(200, b"<!doctype html><html></html>"),
}


def only_at(path: str, otherwise: Response) -> Callable[[Request, int], Response]:
    return lambda request, before: sensible(request, before) if request.path == path else otherwise


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_version_that_is_missing_is_found(nothing: str, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(only_at("/v1/chat/completions", NOTHING[nothing])) as server:
        root = server.url.removesuffix("/v1")
        assert "likes" in ask(server, base_url=root).content
        told = capsys.readouterr().err.replace("\n", "")
        assert f"{root}: is not a chat endpoint, but {server.url} is" in told and "set reasoning.base_url" in told


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("", "/v1"),
        ("/", "/v1"),
        ("/v1/", "/v1"),
        ("/v1/chat/completions", "/v1"),
        ("/v1/chat/completions/", "/v1"),
        ("/v1/chat", "/v1"),
        ("/v1/models", "/v1"),
        ("/v1/v1", "/v1"),
        ("/api", "/v1"),
        ("/api/chat", "/v1"),
        ("/api/generate", "/v1"),
        ("/api", "/api/v1"),
        ("/openai", "/openai/v1"),
        ("/openai/v1", "/openai/v1"),
        ("", "/openai/v1"),
        ("/v1", ""),
        ("/v1beta", "/v1beta/openai"),
        ("/team/a", "/team/a/v1"),
        ("/models", "/models"),
    ],
)
def test_the_endpoint_is_found_where_it_is(given: str, there: str) -> None:
    with scripted(only_at(f"{there}/chat/completions", error(404, b"404 page not found"))) as server:
        root = server.url.removesuffix("/v1")
        assert "likes" in ask(server, base_url=root + given).content
        assert len(server.requests) <= 8


def test_what_is_nowhere_is_told_with_all_that_was_tried() -> None:
    with scripted(lambda request, before: error(404, b"404 page not found")) as server:
        line = line_of(server, base_url=server.url.removesuffix("/v1"))
    assert "is not a chat endpoint (HTTP 404)" in line and "/v1" in line.split(server.url)[-1] and "base URL" in line


def test_a_model_that_is_not_there_is_not_looked_for_elsewhere() -> None:
    with scripted(lambda request, before: error(404, "model 'm' not found, try pulling it first")) as server:
        assert "does not know model 'm'" in line_of(server, base_url=server.url.removesuffix("/v1"))
        assert len(server.requests) == 1


def test_a_key_that_is_asked_for_at_the_right_place_is_told_there() -> None:
    def respond(request: Request, before: int) -> Response:
        return error(401, "no key") if request.path.startswith("/v1/") else error(404, b"404 page not found")

    with scripted(respond) as server:
        line = line_of(server, base_url=server.url.removesuffix("/v1"))
    assert line.startswith(f"{server.url}: does not accept the key")


def run_at(server: Server, base_url: str, store: Path, build: Callable[..., TrainingData], **more: Any) -> None:
    training = build(["Green tea pot", "Iron kettle", "Tea whisk of bamboo", "Trail shoes"], [[0, 1], [2, 3]])
    reason_items(training, server.settings(base_url=base_url, plan="single", **more), store)


def test_what_was_found_is_remembered(store: Path, build: Callable[..., TrainingData]) -> None:
    with scripted(only_at("/v1/chat/completions", error(404, b"404 page not found"))) as server:
        root = server.url.removesuffix("/v1")
        run_at(server, root, store, build, budget="2items")
        before = len(server.requests)
        run_at(server, root, store, build, concurrency=4)
        assert {request.path for request in server.requests[before:]} == {"/v1/chat/completions"}
        # the server has moved since
        server.respond = only_at("/chat/completions", error(404, b"404 page not found"))
        run_at(server, root, store, build, seed=7, concurrency=4)
        assert server.requests[-1].path == "/chat/completions"


def test_what_a_store_of_others_remembers_leads_to_no_other_host() -> None:
    from isrf.reasoning.llm.client import Client, Endpoint

    with scripted() as server:
        given = server.settings()
        client = Client(Endpoint("openai", server.url, "m", "m"), given)
        client.found_at("http://elsewhere.invalid/v1")
        assert client.url == server.url


paths = st.lists(st.sampled_from(["v1", "api", "chat", "completions", "openai", "models", "a b", "v4", ""]), max_size=6)


@given(paths.map("/".join), st.sampled_from(["http://h", "https://h:8443", "http://[::1]:80"]))
def test_only_the_path_ever_changes(path: str, host: str) -> None:
    url = base_of(f"{host}/{path}")
    found = others_than(url)
    assert len(found) == len(set(found)) <= 24 and url not in found
    assert all(urlsplit(other)[:2] == urlsplit(host)[:2] and not other.endswith("/") for other in found)
    assert json.dumps(found)
