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
from email.utils import parsedate_to_datetime
from math import isfinite
from time import time
from typing import Any, Self

import aiohttp

from isrf.config import ReasoningSettings
from isrf.errors import IsrfError
from isrf.progress import note
from isrf.reasoning.addresses import LOOPBACK, check_address, key_for, place, proxy_for
from isrf.reasoning.pacing import Circuit, Down, Failure, Pace, back_off
from isrf.reasoning.replies import MOST_BYTES, BrokenReply, Completion, message_of, quotes, ran_out, read_completion
from isrf.reasoning.text import clean

OPENAI = "https://api.openai.com/v1"
ATTEMPTS, SLOW_ATTEMPTS, GENERAL_ATTEMPTS = 6, 3, 12
"""So often one request is sent before its row is left to attribute statistics: where it fails on its own, takes longer
than ``timeout_s`` each time, and meets an endpoint that wants nothing from anybody while others are answered."""
TRANSIENT = (408, 409, 425, 429)
"""HTTP statuses below 500 after which the same request may well be answered; 500 and above are all of that sort."""
ERROR_BYTES = 1 << 16
"""How much of an error's page is read."""
CHARACTERS_PER_TOKEN = 4
"""Where an endpoint counts no tokens."""
KEPT = "answers so far are kept, if there are any; run again to go on"


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


class Refused(Exception):
    """The endpoint does not want this one request; the text says why, and is safe to show.

    Attributes:
        about: the parameter that it names as the reason ("max_tokens"), "" where it names none.
    """

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason)
        self.about = about


class Unanswered(Exception):
    """This one request failed again and again while others were answered; the text says how."""


class Client:
    """An open connection to one endpoint: limits, retries and the circuit are shared by all requests through it.

    Use as ``async with Client(endpoint, settings) as client``.
    """

    def __init__(self, endpoint: Endpoint, settings: ReasoningSettings) -> None:
        """Raises IsrfError where the key cannot be one, or the address is none or carries a secret."""
        self.endpoint, self.settings = endpoint, settings
        self.url = (endpoint.base_url or OPENAI).rstrip("/")
        host = check_address(self.url)
        # a server that we started ourselves never sees a real key
        key = "" if endpoint.supplier == "local" else key_for(settings)
        # a header cannot hold anything else, and the library's complaint would quote it
        if not all("!" <= character <= "~" for character in key):
            raise IsrfError(f"{settings.key_variable} holds no usable key: line breaks, spaces or odd characters in it")
        self._key = key
        self._proxy = None if host in LOOPBACK else proxy_for(self.url, host)
        pace = Pace(settings.requests_per_minute, settings.tokens_per_minute)
        self.circuit = Circuit(self.url, settings.patience_s, settings.concurrency, pace)
        self._uncounted = False
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
        """One request, one response; ``room`` is what it leaves for the answer, tokens.

        Every failure is told in our own words: an endpoint's may quote what it was sent.
        """
        assert self._session is not None
        try:
            # a slow drip of bytes never trips a timeout between bytes, so the whole answer has one
            async with (
                asyncio.timeout(self.settings.timeout_s),
                self._session.post(
                    f"{self.url}/chat/completions",
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
        if status == 400 and ran_out(message_of(content)[0]):
            # an answer that was cut before it began; it is billed all the same, and not counted
            return Completion("", "", True, len(payload) // CHARACTERS_PER_TOKEN, room, room)
        if status != 200:
            raise self._told(status, content, headers, payload)
        if len(content) > MOST_BYTES:
            raise Refused(f"its response is longer than {MOST_BYTES >> 20} MiB")
        try:
            return read_completion(content)
        except BrokenReply as broken:
            raise Failure(str(broken)) from None

    def _told(self, status: int, content: bytes, headers: Mapping[str, str], payload: bytes) -> Exception:
        """What a status other than 200 means for this request or for all of them."""
        said, out_of_money, about = message_of(content)
        prompts = [message["content"] for message in json.loads(payload)["messages"] if message["role"] != "system"]
        said = f" ({said})" if said and not quotes(said, prompts, self._key) else ""
        name = f"HTTP {status}"
        if status == 401 or (status == 403 and not self.circuit.answered):
            if not self._key:
                return IsrfError(f"{self.url}: asks for a key ({name}): set {self.settings.key_variable}; {KEPT}")
            return IsrfError(f"{self.url}: does not accept the key in {self.settings.key_variable} ({name}); {KEPT}")
        if status == 402 or (status == 429 and out_of_money):
            return IsrfError(f"{self.url}: the account has nothing left to spend ({name}){said}; {KEPT}")
        if status in (404, 405):
            return IsrfError(
                f"{self.url}: does not know model {self.endpoint.model!r} or is no chat endpoint ({name}){said}; "
                f"check reasoning.model and reasoning.base_url; {KEPT}"
            )
        if status == 407:
            return IsrfError(f"{self.url}: the proxy on the way asks for credentials ({name}); set them in HTTPS_PROXY")
        if 300 <= status < 400:
            where = place(headers.get("Location", ""))
            if quotes(where, prompts, self._key):
                where = ""
            return IsrfError(
                f"{self.url}: sends on to {where or 'another address'} ({name}); set reasoning.base_url to it"
            )
        if status in TRANSIENT or status >= 500:
            asked_s = seconds_of(headers) if status in (429, 503) else None
            return Failure(name + said, asked_s, throttled=status == 429, general=status == 503)
        return Refused(name + said, about)

    def _counted(self, completion: Completion, sent: int) -> Completion:
        """With its tokens estimated where they were not counted, and without the key, should the model know it."""
        if self._key and self._key in completion.content + completion.thinking:
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


def seconds_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` (seconds or a date) or ``retry-after-ms`` asks for; None where neither can be read."""
    for name, unit in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        try:
            seconds = float(str(headers.get(name, ""))) * unit
        except ValueError:
            continue
        if isfinite(seconds):
            return min(max(seconds, 0.0), 1e6)
    try:
        seconds = parsedate_to_datetime(str(headers.get("Retry-After", ""))).timestamp() - time()
        return min(max(seconds, 0.0), 1e6)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, or a little more than ``most`` bytes of it; the rest is never fetched."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > most:
            response.close()
            break
    return bytes(content)
