"""What an endpoint refuses is told apart from what a model answers, against a small server that speaks the protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from isrf.config import ReasoningSettings
from isrf.data.split import TrainingData
from isrf.errors import IsrfError
from isrf.reasoning.reason import reason_items
from isrf.reasoning.store import open_store

Respond = Callable[[dict[str, Any], int], tuple[int, str]]
"""From a request and how many came before it to a status and the text of the message (or of the refusal)."""


@contextmanager
def served(respond: Respond) -> Iterator[tuple[ReasoningSettings, list[dict[str, Any]]]]:
    """Settings that reach the server, and the requests that it was sent."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, text = respond(requests[-1], len(requests) - 1)
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
            answered = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            body = json.dumps({**answered, "usage": usage} if status == 200 else {"error": {"message": text}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        yield ReasoningSettings(supplier="openai", base_url=url, model="m", concurrency=1, budget="3items"), requests
    finally:
        server.shutdown()
        server.server_close()


def field_of(request: dict[str, Any]) -> str:
    return request["response_format"]["json_schema"]["name"]


def sensible(request: dict[str, Any], before: int) -> tuple[int, str]:
    step = field_of(request)
    return 200, json.dumps({step: f"words of {step}"})


def kept(store: Path) -> int:
    with open_store(store) as answers:
        return len(answers)


def test_a_refused_request_is_not_kept_as_an_answer(two_tastes: TrainingData, store: Path) -> None:
    """The endpoint refuses once, two attempts of one row; the next run asks for that row again, and for no other."""

    def at_first(request: dict[str, Any], before: int) -> tuple[int, str]:
        return (400, "try another day") if before < 2 else sensible(request, before)

    with served(at_first) as (settings, requests):
        items = reason_items(two_tastes, settings, store)
        assert (items["supplier"] == "openai").sum() == 2 and kept(store) == 6 and len(requests) == 8
        items = reason_items(two_tastes, settings, store)
        assert (items["supplier"] == "openai").sum() == 3 and kept(store) == 9 and len(requests) == 11


def test_an_answer_that_cannot_be_used_is_kept(two_tastes: TrainingData, store: Path) -> None:
    """The model was asked, twice, and paid for: it is not asked the same again."""
    with served(lambda request, before: (200, "no JSON")) as (settings, requests):
        for _ in range(2):
            items = reason_items(two_tastes, settings, store)
            assert (items["supplier"] == "attributes").all() and kept(store) == 3 and len(requests) == 6


def test_half_an_answer_is_not_kept_either(two_tastes: TrainingData, store: Path) -> None:
    """Nothing usable, then a refusal of the repeat: the model has not had its second chance."""

    def only_once(request: dict[str, Any], before: int) -> tuple[int, str]:
        return (200, "no JSON") if before % 2 == 0 else (400, "the temperature is not supported")

    with served(only_once) as (settings, requests):
        reason_items(two_tastes, settings, store)
        assert kept(store) == 0 and len(requests) == 6


def test_an_endpoint_that_refuses_everything_is_not_asked_for_ever(two_tastes: TrainingData, store: Path) -> None:
    with served(lambda request, before: (400, "response_format is not supported")) as (settings, requests):
        with pytest.raises(IsrfError, match="response_format is not supported"):
            reason_items(two_tastes, settings.model_copy(update={"budget": "8items"}), store)
        assert len(requests) == 8
