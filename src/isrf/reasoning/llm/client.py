"""Talking to one OpenAI-compatible endpoint over HTTP: a chat in, a ``Completion`` out, whatever the network does.

The same code talks to a hosted model and to the local llama.cpp server. The key is read from the environment, sent to
the endpoint alone, and is in no message, log or file; neither is any prompt. Knows nothing about items, users, budgets
or the store.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.reasoning.answers.replies import MOST_BYTES, BrokenReply, Completion, read_completion
from isrf.reasoning.llm.chat_path import REQUEST, base_of, others_than, versioned
from isrf.reasoning.llm.endpoint_address import KEY_LENGTH, LOOPBACK, check_address, key_for, proxy_for
from isrf.reasoning.llm.endpoint_errors import ErrorObject, message_of, ran_out
from isrf.reasoning.llm.http_errors import KEPT, Asked, NotHere, Refused, Unanswered, meaning_of
from isrf.reasoning.llm.rate_limit import Circuit, Down, Failure, Pace, back_off
from isrf.reasoning.text import clean

OPENAI = "https://api.openai.com/v1"
ATTEMPTS, SLOW_ATTEMPTS, GENERAL_ATTEMPTS = 6, 3, 12
"""So often one request is sent before its row is left to attribute statistics: where it fails on its own, takes longer
than ``timeout_s`` each time, and meets an endpoint that wants nothing from anybody while others are answered."""
ERROR_BYTES = 1 << 16
"""How much of an error's page is read."""
CHARACTERS_PER_TOKEN = 4
"""Where an endpoint counts no tokens."""


@dataclass(frozen=True)
class Endpoint:
    """Who is asked.

    Attributes:
        supplier: "openai" or "local", recorded with every row.
        base_url: None = OpenAI's own.
        model: as the endpoint names it; recorded with every row.
        identity: model as the store's key has it: the name, or for a file the name and a digest.
    """

    supplier: str
    base_url: str | None
    model: str
    identity: str


class Client:
    """An open connection to one endpoint: limits, retries and the circuit are shared by all requests through it.

    Use as ``async with Client(endpoint, settings) as client``.

    Attributes:
        given: the base URL as it was given, without what does not belong to it.
        url: where requests go: ``given``, or an address at the same host that was found instead.
    """

    def __init__(self, endpoint: Endpoint, settings: ReasoningSettings) -> None:
        """Raises IsrfError where the key cannot be one, or the address is none or carries a secret."""
        self.endpoint, self.settings = endpoint, settings
        self.given = self.url = base_of(endpoint.base_url or OPENAI)
        host = check_address(self.url)
        self._elsewhere = others_than(self.url)
        # a server that we started ourselves never sees a real key
        key = "" if endpoint.supplier == "local" else key_for(settings)
        # a header cannot hold anything else, and the library's complaint would quote it
        if not all("!" <= character <= "~" for character in key):
            raise IsrfError(f"{settings.key_variable} holds no usable key: line breaks, spaces or odd characters in it")
        self._key = key
        self._proxy = None if host in LOOPBACK else proxy_for(self.url, host)
        pace = Pace(settings.requests_per_minute, settings.tokens_per_minute)
        self.circuit = Circuit(self.url, settings.patience_s, settings.concurrency, pace)
        self._uncounted = self._moved = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            # the circuit counts what is in flight; waiting for a connection would eat up the time of an answer
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.settings.connect_timeout_s),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    def found_at(self, url: str) -> None:
        """Ask at an address that an earlier run found, if it is one that this one could find."""
        if url in self._elsewhere:
            self.url = url
            self._elsewhere = [self.given, *(other for other in self._elsewhere if other != url)]
            self._moved = True

    async def complete(self, body: dict[str, Any], attempts: int = ATTEMPTS) -> Completion:
        """Send one chat-completion request, again where the endpoint falters, at the pace that was set.

        Raises:
            Refused: the endpoint understood and does not want this request.
            Unanswered: it failed ``attempts`` times (half as often where each took ``timeout_s``) while the endpoint is up.
            IsrfError: the endpoint is down, cannot be reached, or does not accept the key or the model; OpenAI's own,
                and there is no key.
        """
        if not self._key and self.endpoint.base_url is None:
            # not before something is asked: whoever was given all answers needs no key
            raise IsrfError(
                f"set {self.settings.key_variable} in the environment: the endpoint needs a key and it is read from "
                "nowhere else (reasoning.key_variable names another variable)"
            )
        payload = json.dumps(body).encode()
        room = body.get("max_tokens") or body.get("max_completion_tokens") or 0
        expected = len(payload) // CHARACTERS_PER_TOKEN + int(room) // 2
        failed = spent = 0.0
        while True:
            try:
                ticket = await self.circuit.enter(expected)
            except Down as down:
                raise self._down(down) from None
            try:
                completion = self._counted(await self._sent(payload, int(room)), len(payload))
            except Failure as failure:
                try:
                    self.circuit.failed(ticket, failure, hash(payload))
                except Down as down:
                    raise self._down(down) from None
                if failure.unreachable:
                    continue  # is nothing that a request could have brought about: until the endpoint counts as down
                most = GENERAL_ATTEMPTS if failure.general else attempts
                spent += 1 / (min(most, SLOW_ATTEMPTS) if failure.slow else most)
                if spent > 0.999:
                    raise Unanswered(failure.reason) from None
                if not failure.throttled:  # else all wait in the circuit
                    failed += 1
                    await asyncio.sleep(back_off(int(failed)))
            except Refused:
                self.circuit.succeeded(ticket)
                self.circuit.settle(expected, 0)
                raise
            except BaseException:
                self.circuit.left(ticket)
                raise
            else:
                self.circuit.succeeded(ticket)
                self.circuit.settle(expected, completion.tokens_in + completion.tokens_out)
                return completion

    async def _sent(self, payload: bytes, room: int) -> Completion:
        """One request answered, at another address of the host where there is not a chat endpoint at this one."""
        while True:
            url = self.url
            try:
                return await self._posted(url, payload, room)
            except NotHere as nothing:
                if self.url == url:  # else another request has gone on meanwhile
                    self._look_elsewhere(str(nothing))

    def _look_elsewhere(self, found: str) -> None:
        """Ask at the next address that may be meant; IsrfError where there is none left."""
        tried = [self.given, *others_than(self.given)]
        if not self._elsewhere:
            self.url = self.given
            raise IsrfError(
                f"{self.given}: is not a chat endpoint ({found}), nor are the other paths that were tried there "
                f"({', '.join(urlsplit(url).path or '/' for url in tried[1:])}); set reasoning.base_url to what the "
                f"endpoint's documentation calls its base URL, which mostly ends in /v1; {KEPT}"
            )
        self.url = self._elsewhere.pop(0)

    async def _posted(self, url: str, payload: bytes, room: int) -> Completion:
        """One request, one response; ``room`` is what it leaves for the answer, tokens.

        Every failure is told in our own words: an endpoint's may quote what it was sent.
        """
        assert self._session is not None
        try:
            # a slow drip of bytes never trips a timeout between bytes, so the whole answer has one
            async with (
                asyncio.timeout(self.settings.timeout_s),
                self._session.post(
                    url + REQUEST,
                    data=payload,
                    proxy=self._proxy,
                    allow_redirects=False,  # the key goes to the host that was named, and to no other
                ) as response,
            ):
                status, headers = response.status, response.headers
                content = await _read(response, MOST_BYTES if status == 200 else ERROR_BYTES)
        except aiohttp.ConnectionTimeoutError:
            waited = f"{self.settings.connect_timeout_s:g} s (reasoning.connect_timeout_s)"
            raise Failure(f"cannot be reached (no connection within {waited})", unreachable=True) from None
        except TimeoutError:
            raise Failure(
                f"no whole answer within {self.settings.timeout_s:g} s (reasoning.timeout_s)", slow=True
            ) from None
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError):
            raise IsrfError(
                f"{self.url}: no secure connection (its certificate or TLS); check reasoning.base_url"
            ) from None
        except aiohttp.ClientConnectorError as error:
            what = clean(error.os_error.strerror or type(error.os_error).__name__, 120)
            raise Failure(f"cannot be reached ({what})", unreachable=True) from None
        except (aiohttp.InvalidURL, UnicodeError):
            raise IsrfError(f"{self.url}: no address; set reasoning.base_url like http://localhost:11434/v1") from None
        except (aiohttp.ClientError, OSError, EOFError) as error:
            raise Failure(f"the connection broke ({type(error).__name__})") from None
        if status != 200:
            told = message_of(content)
            if status == 400 and ran_out(told.message):
                # an answer that was cut before it began; it is billed all the same, and not counted
                return Completion("", "", True, len(payload) // CHARACTERS_PER_TOKEN, room, room)
            raise self._meaning(status, f"HTTP {status}", told, headers, payload)
        if len(content) > MOST_BYTES:
            raise Refused(f"its response is longer than {MOST_BYTES >> 20} MiB")
        try:
            completion = read_completion(content)
        except BrokenReply as broken:
            if broken.error is not None:
                name = "HTTP 200 with an error"
                raise self._meaning(broken.error.status, name, broken.error, headers, payload) from None
            if broken.page and not self.circuit.answered and not versioned(url):
                raise NotHere("a web page") from None
            raise Failure(str(broken)) from None
        if url != self.given and not self._moved:
            note(
                f"{self.given}: is not a chat endpoint, but {url} is and is asked instead: set reasoning.base_url to it"
            )
            self._moved = True
        return completion

    def _meaning(
        self, status: int, name: str, error: ErrorObject, headers: Mapping[str, str], payload: bytes
    ) -> Exception:
        endpoint, variable = self.endpoint, self.settings.key_variable
        asked = Asked(self.url, self.given, endpoint.base_url is None, endpoint.model, self._key, variable)
        prompts = [message["content"] for message in json.loads(payload)["messages"] if message["role"] != "system"]
        return meaning_of(status, name, error, headers, asked, prompts, self.circuit.answered)

    def _counted(self, completion: Completion, sent: int) -> Completion:
        """With its tokens estimated where they were not counted, and without the key, should the model know it."""
        told = completion.content + completion.thinking
        if self._key and len(self._key) >= KEY_LENGTH and self._key in told:
            content, thinking = (text.replace(self._key, "***") for text in (completion.content, completion.thinking))
            completion = replace(completion, content=content, thinking=thinking)
        if completion.tokens_in or completion.tokens_out:
            return completion
        if not self._uncounted:
            note(f"{self.url}: counts no tokens; they are estimated at {CHARACTERS_PER_TOKEN} characters each")
            self._uncounted = True
        return replace(
            completion,
            tokens_in=sent // CHARACTERS_PER_TOKEN,
            tokens_out=(len(completion.content) + len(completion.thinking)) // CHARACTERS_PER_TOKEN + 1,
            tokens_thinking=len(completion.thinking) // CHARACTERS_PER_TOKEN,
        )

    def _down(self, down: Down) -> IsrfError:
        unreachable = "cannot be reached" in str(down)
        remedy = "start it or set reasoning.base_url" if unreachable else "wait until it is up again"
        return IsrfError(f"{self.url}: {down}; {remedy}; {KEPT}")


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, or a little more than ``most`` bytes of it; the rest is never fetched."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > most:
            response.close()
            break
    return bytes(content)
