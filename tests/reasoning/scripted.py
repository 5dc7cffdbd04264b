"""An HTTP server on a real socket that answers chat requests as a test tells it to: the faults of endpoints that a healthy
one cannot show.

A test gives a *behaviour*, a function from a ``Request`` and how many came before it to a ``Response``::

    with scripted(first(2, status(503), then=sensible)) as server:
        settings = server.settings(concurrency=4)     # ReasoningSettings that reach it
        ...
        assert len(server.requests) == 3

``sensible`` answers whatever fields are asked for in plain English; ``first``, ``when`` and ``status`` put faults in
front of it. Behaviours run in the server's thread, one at a time; a ``Response`` may take its time without holding up
the others. The server counts what is in flight, and can be taken down and put up again at the same address.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

from isrf.core.config import ReasoningSettings

PIECE = 64
"""Bytes of a body that are written at once where it drips."""
WHO = ("Patient", "Curious", "Busy", "Thrifty", "Young", "Careful", "Cheerful", "Serious", "Practical", "Restless")
WHOM = ("parents", "cooks", "travellers", "readers", "gardeners", "collectors", "teachers", "runners", "painters")
HOW = ("quiet", "bright", "sturdy", "simple", "long", "old", "neat", "sweet", "cheap", "modern")
WHAT = ("evenings", "colours", "tools", "food", "walks", "stories", "shelves", "journeys", "gifts")
VERBS = {"likes": "who enjoy", "dislikes": "who avoid", "feature": "will value"}


@dataclass(frozen=True)
class Request:
    """What the client sent.

    Attributes:
        path: e.g. "/v1/chat/completions".
        headers: names in lower case.
        body: the parsed JSON.
        at: when it was complete, on the clock of ``time.monotonic``.
        others: requests that were being answered at that moment.
    """

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    at: float
    others: int

    @property
    def text(self) -> str:
        """The last message."""
        return str(self.body["messages"][-1]["content"])

    @property
    def structure(self) -> str:
        """How JSON is asked for: "json_schema", "json_object", or "" where only words do."""
        return str(self.body.get("response_format", {}).get("type", ""))

    @property
    def fields(self) -> list[str]:
        """Names of the fields asked for, by the schema or else by the words of the last message."""
        if self.structure == "json_schema":
            return list(self.body["response_format"]["json_schema"]["schema"]["properties"])
        return re.findall(r'"(\w+)":', self.text.split("<data>\n")[0])


@dataclass(frozen=True)
class Response:
    """What the server does.

    Attributes:
        status, headers, body: of the HTTP response; Content-Length is the body's unless ``headers`` has one.
        delay_s: before the first byte.
        drip_s: pause after every ``PIECE`` bytes of the body.
        cut_at: so many bytes of the body are sent, then the connection ends.
        reset: end it with a reset instead of in order.
        hang: after the delay nothing is sent, and the connection stays open until the client closes it.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    cut_at: int | None = None
    reset: bool = False
    hang: bool = False


Behaviour = Callable[[Request, int], Response]
"""From a request and how many came before it to what is done."""


def chat(content: str | None, finish: str = "stop", usage: bool = True, **message: Any) -> Response:
    """A chat completion; ``message`` adds to its message, e.g. ``reasoning_content="..."``."""
    said = {"role": "assistant", "content": content, **message}
    document: dict[str, Any] = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": said}],
    }
    if usage:
        document["usage"] = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return Response(body=json.dumps(document).encode(), headers={"Content-Type": "application/json"})


def sentence(name: str, text: str) -> str:
    """A sentence of six words for one field that depends on what was asked, in plain English."""
    draw = hashlib.sha256(f"{name}\0{text}".encode()).digest()
    who, whom, how, what = (words[draw[n] % len(words)] for n, words in enumerate((WHO, WHOM, HOW, WHAT)))
    return f"{who} {whom} {VERBS.get(name, 'know about')} {how} {what}."


def answer(request: Request) -> str:
    """The JSON object that a good model would answer with."""
    known = {"colour": "blue"}
    # what distinguishes one row's questions from another's: the text of the catalogue in any of them
    asked = "\n".join(m["content"] for m in request.body["messages"] if m["role"] == "user")
    return json.dumps({name: known.get(name) or sentence(name, asked) for name in request.fields})


def sensible(request: Request, before: int) -> Response:
    """A healthy endpoint with a good model: valid JSON with the fields that were asked for."""
    return chat(answer(request))


def always(response: Response) -> Behaviour:
    """The same for every request."""
    return lambda request, before: response


def status(code: int, message: str | bytes = "", headers: Mapping[str, str] | None = None, /, **error: Any) -> Response:
    """An HTTP error: a message in OpenAI's form with further ``error`` fields, or bytes as they are (a page)."""
    body = message if isinstance(message, bytes) else json.dumps({"error": {"message": message, **error}}).encode()
    return Response(code, body, headers or {})


def first(count: int, fault: Response, then: Behaviour = sensible) -> Behaviour:
    """The fault for the first so many requests, then something else."""
    return lambda request, before: fault if before < count else then(request, before)


def when(text: str, fault: Response, then: Behaviour = sensible) -> Behaviour:
    """The fault for every request in which that text stands, something else for all others."""

    def respond(request: Request, before: int) -> Response:
        return fault if text in json.dumps(request.body, ensure_ascii=False) else then(request, before)

    return respond


def slowly(seconds: float, then: Behaviour = sensible) -> Behaviour:
    """The same, so much later."""
    return lambda request, before: replace(then(request, before), delay_s=seconds)


class Server:
    """A running scripted server.

    Attributes:
        requests: all that came, in order; a list that grows.
        respond: its behaviour; may be replaced while it runs.
        in_flight, most_in_flight: requests that are being answered now, and at most so far.
        sent: bytes of bodies handed to the network.
    """

    def __init__(self, respond: Behaviour) -> None:
        self.respond = respond
        self.requests: list[Request] = []
        self.in_flight = self.most_in_flight = self.sent = 0
        self._port = 0
        self._errors: list[Exception] = []
        self._loop = asyncio.new_event_loop()
        self._listening: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    def settings(self, **changes: Any) -> ReasoningSettings:
        """Settings that reach this server, with ``changes``."""
        given = {"supplier": "openai", "base_url": self.url, "model": "m", "concurrency": 1, **changes}
        return ReasoningSettings(**given)

    def up(self) -> None:
        """Listen, at the same port as before."""
        self._do(self._up())

    def down(self) -> None:
        """Refuse connections from now on, and reset those that are open."""
        self._do(self._down())

    def start(self) -> None:
        self._thread.start()
        self.up()

    def stop(self) -> None:
        self.down()
        self._do(self._cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._errors:
            raise self._errors[0]

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _up(self) -> None:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=1 << 24)
        self._port = self._listening.sockets[0].getsockname()[1]

    async def _down(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for writer in list(self._open):
            _reset(writer)

    async def _cancel(self) -> None:
        others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (request := await self._request(reader, writer)) is not None:
                self.requests.append(request)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    try:
                        response = self.respond(request, len(self.requests) - 1)
                    except Exception as error:  # a mistake in the script: ``stop`` raises it
                        self._errors.append(error)
                        response = status(500, "the script failed")
                    if not await self._send(response, reader, writer):
                        break
                finally:
                    self.in_flight -= 1
        self._open.discard(writer)
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
        letter = await reader.read(1)
        if not letter.isalpha():  # the end, or a TLS client
            writer.write(b"HTTP/1.1 400 No HTTP\r\n\r\n" if letter else b"")
            return None
        head = (letter + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or "{}")
        return Request(start.split()[1], headers, body, time.monotonic(), self.in_flight)

    async def _send(self, response: Response, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may go on."""
        await asyncio.sleep(response.delay_s)
        if response.hang:
            await reader.read()
            return False
        headers = {"Content-Length": str(len(response.body)), **response.headers}
        lines = [f"HTTP/1.1 {response.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        body = response.body if response.cut_at is None else response.body[: response.cut_at]
        step = PIECE if response.drip_s else 1 << 16
        for at in range(0, len(body), step):
            writer.write(body[at : at + step])
            await writer.drain()
            self.sent += len(body[at : at + step])
            await asyncio.sleep(response.drip_s)
        await writer.drain()
        if response.reset:
            _reset(writer)
        return response.cut_at is None and not response.reset


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as a crashed peer or a firewall does."""
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def scripted(respond: Behaviour = sensible) -> Iterator[Server]:
    """A server with that behaviour for as long as the block runs."""
    server = Server(respond)
    server.start()
    try:
        yield server
    finally:
        server.stop()
