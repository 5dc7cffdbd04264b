"""What the client makes of every fault that an endpoint on the network can show: waits, tries again, or says one line.

Keys and prompts are canaries: after each fault nothing that was logged, printed or raised may hold a piece of them.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import random
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.reasoning.scripted import Behaviour, Request, Response, Server, always, chat, first, scripted, sensible, when
from tests.reasoning.scripted import status as error

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.llm import rate_limit
from isrf.reasoning.llm.client import Client, Endpoint
from isrf.reasoning.llm.endpoint_address import check_address
from isrf.reasoning.llm.http_errors import Refused, Unanswered, seconds_of

KEY = "sk-canary0123456789abcdefghijklmnopqrstuvwxyz"
SECRET = "Vermilion teapot of the canary's aunt, 3 litres"
NONE = "127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of hundredths of a second, and a key in the environment."""
    monkeypatch.setattr(rate_limit, "FIRST_WAIT_S", 0.005)
    monkeypatch.setattr(rate_limit, "LONGEST_WAIT_S", 0.03)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def body_of(text: str = SECRET, **more: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": "Reply with one JSON object."},
        {"role": "user", "content": f'"likes": who would enjoy this item?\n<data>\ntitle: {text}\n</data>'},
    ]
    return {"model": "m", "messages": messages, "max_tokens": 64, **more}


def endpoint_of(given: ReasoningSettings) -> Endpoint:
    return Endpoint("openai", given.base_url, "m", "m")


async def asked(given: ReasoningSettings, *bodies: dict[str, Any]) -> list[Completion | BaseException]:
    """What comes of sending all of them at once."""
    async with Client(endpoint_of(given), given) as client:
        return await asyncio.gather(*(client.complete(body) for body in bodies), return_exceptions=True)


def ask(server: Server, **changes: Any) -> Completion:
    """One request; its exception is raised."""
    given = server.settings(**changes)
    (outcome,) = asyncio.run(asked(given, body_of()))
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def ask_many(server: Server, count: int, **changes: Any) -> list[Completion | BaseException]:
    given = server.settings(**{"concurrency": count, **changes})
    return asyncio.run(asked(given, *(body_of(f"{SECRET} {n}") for n in range(count))))


def line_of(server: Server, **changes: Any) -> str:
    """The one line that a user is told."""
    with pytest.raises(IsrfError) as told:
        ask(server, **changes)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted() as server:
        completion = ask(server)
    (request,) = server.requests
    assert json.loads(completion.content).keys() == {"likes"}
    assert (completion.tokens_in, completion.tokens_out, completion.cut) == (100, 20, False)
    assert request.path == "/v1/chat/completions" and request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == body_of()


def test_a_server_of_our_own_never_sees_the_key() -> None:
    async def local(given: ReasoningSettings) -> None:
        async with Client(Endpoint("local", given.base_url, "m", "m"), given) as client:
            await client.complete(body_of())

    with scripted() as server:
        asyncio.run(local(server.settings()))
    assert "authorization" not in server.requests[0].headers


def test_tokens_are_estimated_where_they_are_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(always(chat("x" * 400, usage=False))) as server:
        completion = ask(server)
    assert completion.tokens_in == len(json.dumps(body_of())) // 4 and completion.tokens_out == 101
    assert "counts no tokens" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["none", "ollama", "EMPTY"])
def test_a_placeholder_for_a_key_changes_no_answer(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    text = f"Fans of {key}theless charming phones, second to {key}."
    with scripted(always(chat(text))) as server:
        assert ask(server).content == text


# --- asked to wait ---


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"Retry-After": "1"}, 1.0),
        ({"retry-after-ms": "300", "Retry-After": "30"}, 0.3),
        ({"Retry-After": "later"}, 0.002),
        ({}, 0.002),
    ],
)
def test_429_is_waited_out(headers: dict[str, str], least: float) -> None:
    with scripted(first(1, error(429, "slow down", headers))) as server:
        ask(server)
    early, late = (request.at for request in server.requests)
    assert least <= late - early < least + 1


def test_a_date_is_waited_for() -> None:
    until = datetime.now(UTC) + timedelta(seconds=2)
    with scripted(first(1, error(503, "", {"Retry-After": format_datetime(until, usegmt=True)}))) as server:
        ask(server)
    assert datetime.now(UTC) >= until.replace(microsecond=0)


def test_all_wait_and_one_tries_first() -> None:
    """Eight in flight, all sent away for 0.4 s: then one alone, and only after its answer the others."""

    def respond(request: Request, before: int) -> Response:
        if before < 8:
            return error(429, "", {"retry-after-ms": "400"})
        return replace(sensible(request, before), delay_s=0.1)

    with scripted(respond) as server:
        outcomes = ask_many(server, 8)
    assert all(isinstance(outcome, Completion) for outcome in outcomes) and len(server.requests) == 16
    sent_away, again = server.requests[:8], server.requests[8:]
    assert again[0].at - sent_away[-1].at >= 0.39
    assert again[1].at - again[0].at >= 0.1, "the first is answered before a second is sent"
    assert [request.others for request in again[:3]] == [0, 0, 1], "one more with each answer"


def test_an_answer_to_an_earlier_request_does_not_end_the_wait() -> None:
    def respond(request: Request, before: int) -> Response:
        if before == 0:
            return error(429, "", {"retry-after-ms": "500"})
        return replace(sensible(request, before), delay_s=0.1 if before < 4 else 0)

    with scripted(respond) as server:
        ask_many(server, 4)
        assert len(server.requests) == 5 and server.requests[4].at - server.requests[0].at >= 0.5


def test_a_wait_beyond_patience_is_not_waited() -> None:
    with scripted(always(error(429, "daily limit", {"Retry-After": "3600"}))) as server:
        line = line_of(server, patience_s=60)
    assert "HTTP 429 (daily limit), and asks to come back in 3600 s" in line and "patience_s" in line
    assert len(server.requests) == 1


def test_an_endpoint_that_asks_to_wait_for_ever_is_given_up() -> None:
    with scripted(always(error(429, "", {"retry-after-ms": "60"}))) as server:
        outcomes = ask_many(server, 4, patience_s=0.06)
    assert all("asked to wait" in str(outcome) for outcome in outcomes)
    assert len(server.requests) < 20


def test_one_request_that_is_always_sent_away_does_not_stop_the_others() -> None:
    """A prompt above the whole limit of tokens a minute is answered 429 for ever."""
    with scripted(when("teapot", error(429, "too large"))) as server:

        async def run() -> list[Any]:
            given = server.settings(concurrency=4)
            async with Client(endpoint_of(given), given) as client:
                bodies = [body_of(SECRET if n == 0 else f"tin {n}") for n in range(40)]
                return await asyncio.gather(*(client.complete(body) for body in bodies), return_exceptions=True)

        poisoned, *others = asyncio.run(run())
    assert isinstance(poisoned, Unanswered) and all(isinstance(other, Completion) for other in others)


# --- failing and down ---


@pytest.mark.parametrize("code", [500, 502, 503, 504, 529, 408])
def test_a_storm_passes(code: int) -> None:
    with scripted(first(30, error(code, b"<html><h1>Bad Gateway</h1></html>"))) as server:
        outcomes = ask_many(server, 8)
    answered = [outcome for outcome in outcomes if isinstance(outcome, Completion)]
    assert len(answered) == 8, outcomes


def test_one_request_at_a_time_while_it_fails() -> None:
    with scripted(first(20, replace(error(500), delay_s=0.02))) as server:
        ask_many(server, 8)
    in_storm = server.requests[8:21]
    assert all(request.others == 0 for request in in_storm)


def test_a_refused_connection_is_one_line_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(rate_limit, "back_off")  # nobody waits
    with scripted() as server:
        server.down()
        line = line_of(server)
    assert "cannot be reached (Connect" in line and "start it or set reasoning.base_url" in line
    assert server.url in line


def test_an_endpoint_that_goes_down_is_tried_until_patience_ends() -> None:
    with scripted() as server:

        async def run() -> tuple[list[Any], float]:
            given = server.settings(concurrency=8, patience_s=0.5)
            async with Client(endpoint_of(given), given) as client:
                await client.complete(body_of())
                await asyncio.to_thread(server.down)
                began = time.monotonic()
                outcomes = await asyncio.gather(
                    *(client.complete(body_of(str(n))) for n in range(20)), return_exceptions=True
                )
                return outcomes, time.monotonic() - began

        outcomes, seconds = asyncio.run(run())
    assert len({str(outcome) for outcome in outcomes}) == 1 and isinstance(outcomes[0], IsrfError)
    assert "times in a row" in str(outcomes[0]) and "answers so far are kept" in str(outcomes[0])
    assert seconds >= 0.5


def test_an_endpoint_that_comes_back_loses_nothing() -> None:
    with scripted() as server:

        async def run() -> list[Any]:
            given = server.settings(concurrency=8, patience_s=10)
            async with Client(endpoint_of(given), given) as client:
                await client.complete(body_of())
                await asyncio.to_thread(server.down)
                waiting = [asyncio.create_task(client.complete(body_of(str(n)))) for n in range(20)]
                await asyncio.sleep(0.5)
                await asyncio.to_thread(server.up)
                return await asyncio.gather(*waiting, return_exceptions=True)

        assert all(isinstance(outcome, Completion) for outcome in asyncio.run(run()))


def test_a_name_that_does_not_exist() -> None:
    given = ReasoningSettings(supplier="openai", base_url="http://nowhere.invalid/v1", model="m")
    (outcome,) = asyncio.run(asked(given, body_of()))
    assert isinstance(outcome, IsrfError) and "cannot be reached" in str(outcome)


def test_plain_http_where_tls_is_expected() -> None:
    with scripted() as server:
        given = server.settings(base_url=server.url.replace("http://", "https://"))
        (outcome,) = asyncio.run(asked(given, body_of()))
    assert isinstance(outcome, IsrfError) and "no secure connection" in str(outcome)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_one_poison_prompt_does_not_stop_the_others(concurrency: int) -> None:
    """Alone it looks like an endpoint that is down: patience is over after its failures, and the next one is answered."""
    with scripted(when("teapot", error(500, "worker died"))) as server:

        async def run() -> list[Any]:
            given = server.settings(concurrency=concurrency, patience_s=0.01)
            async with Client(endpoint_of(given), given) as client:
                rows = iter([SECRET if n == 2 else f"tin {n}" for n in range(12)])
                found = list[Any]()

                async def worker() -> None:
                    for text in rows:
                        found.extend(await asyncio.gather(client.complete(body_of(text)), return_exceptions=True))

                await asyncio.gather(*(worker() for _ in range(concurrency)))
                return found

        outcomes = asyncio.run(run())
    failed = [outcome for outcome in outcomes if not isinstance(outcome, Completion)]
    assert len(outcomes) == 12 and len(failed) == 1
    assert isinstance(failed[0], Unanswered) and str(failed[0]) == "HTTP 500 (worker died)"


# --- slow, cut and broken ---


def test_a_hang_ends() -> None:
    with scripted(first(2, Response(hang=True))) as server:
        ask(server, timeout_s=0.2)
        assert len(server.requests) == 3
    with scripted(always(Response(hang=True))) as server:
        with pytest.raises(Unanswered, match=r"no whole answer within 0\.2 s \(reasoning\.timeout_s\)"):
            ask(server, timeout_s=0.2)
        assert len(server.requests) == 3, "each is paid for at the other end"


def test_a_slow_drip_ends_although_bytes_keep_coming() -> None:
    with scripted(first(1, replace(chat("x" * 5000), drip_s=0.05))) as server:
        ask(server, timeout_s=0.3)
        assert len(server.requests) == 2, "the first was left in the middle"


whole = chat('{"likes": "Patient cooks."}')
FAULTY = {
    "closed before a byte": Response(body=b"x", cut_at=0),
    "closed within the body": replace(whole, cut_at=60),
    "reset within the body": replace(whole, cut_at=60, reset=True),
    "cut JSON": replace(whole, body=whole.body[:60]),
    "no JSON": Response(body=b"<html>Welcome to nginx!</html>"),
    "empty": Response(body=b""),
    "no choices": Response(body=b'{"choices": []}'),
    "an error with status 200": Response(body=b'{"error": {"message": "upstream"}}'),
    "no length and garbage": Response(body=b"\xff\xfe\x00", headers={"Content-Length": "-1"}),
    "says gzip, is not": replace(whole, headers={"Content-Encoding": "gzip"}),
    "shorter than it says": replace(whole, headers={"Content-Length": "100000"}, cut_at=len(whole.body)),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_broken_response_is_asked_for_again(fault: str) -> None:
    with scripted(first(2, FAULTY[fault])) as server:
        assert "likes" in ask(server).content and len(server.requests) == 3
    with scripted(always(FAULTY[fault])) as server:
        with pytest.raises(Unanswered):
            ask(server)
        assert len(server.requests) == 6


def test_ten_megabytes_are_not_read() -> None:
    huge = chat("x" * 10_000_000)
    with scripted(always(huge)) as server:
        with pytest.raises(Refused, match="longer than 1 MiB"):
            ask(server)
        assert len(server.requests) == 1 and server.sent < 8_000_000
    packed = replace(huge, body=gzip.compress(huge.body), headers={"Content-Encoding": "gzip"})
    with scripted(always(packed)) as server, pytest.raises(Refused, match="longer than 1 MiB"):
        ask(server)
    with scripted(first(1, replace(error(502), body=huge.body))) as server:
        assert "likes" in ask(server).content, "a long page of an error is still that error"


# --- refusals ---

REFUSALS: dict[str, tuple[Response, str]] = {
    "401": (error(401, f"Incorrect API key provided: {KEY[:7]}***{KEY[-4:]}"), "does not accept the key in OPENAI_API"),
    "402": (error(402, "Insufficient Balance"), r"nothing left to spend \(HTTP 402\) \(Insufficient Balance\)"),
    "403": (error(403, "forbidden"), "does not accept the key"),
    "404": (
        error(404, "no such model"),
        r"does not know model 'm' or is not a chat endpoint \(HTTP 404\) \(no such model\)",
    ),
    "405": (error(405, b"<html></html>"), "is not a chat endpoint"),
    "407": (error(407), "the proxy on the way asks for credentials"),
    "quota": (error(429, "You exceeded your quota", code="insufficient_quota"), "nothing left to spend"),
    "quota by type": (error(429, "You exceeded your quota", type="insufficient_quota"), "nothing left to spend"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_concerns_all_requests_stops_the_run(case: str) -> None:
    response, expected = REFUSALS[case]
    with scripted(always(response)) as server, pytest.raises(IsrfError, match=expected):
        ask(server)
    assert len(server.requests) == 1


def test_without_a_key_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with scripted(always(error(401, "who are you?"))) as server:
        assert "asks for a key (HTTP 401): set OPENAI_API_KEY" in line_of(server)

    async def of_openai() -> None:
        async with Client(
            Endpoint("openai", None, "m", "m"), ReasoningSettings(supplier="openai", model="m")
        ) as client:
            await client.complete({"model": "m", "messages": []})

    with pytest.raises(IsrfError, match="set OPENAI_API_KEY in the environment"):
        asyncio.run(of_openai())


def test_thinking_that_took_all_the_room_is_a_cut_answer() -> None:
    """OpenAI's thinking models refuse what they could not finish, and bill it: it counts, and gets more room."""
    told = "Could not finish the message because max_tokens or model output limit was reached. Please try again with "
    with scripted(always(error(400, told + "higher max_tokens."))) as server:
        completion = ask(server)
    assert completion.cut and not completion.content and completion.tokens_in > 0
    assert completion.tokens_out == completion.tokens_thinking == 64 and len(server.requests) == 1


@pytest.mark.parametrize("code", [400, 413, 415, 422, 451])
def test_what_concerns_one_request_refuses_it(code: int) -> None:
    with scripted(first(1, error(code, "at most 2048 tokens"))) as server:
        with pytest.raises(Refused, match=rf"^HTTP {code} \(at most 2048 tokens\)$"):
            ask(server)
        assert len(server.requests) == 1


def test_403_after_answers_is_about_one_prompt() -> None:
    """Moderation and firewalls say 403 to what they read."""
    with scripted(when("teapot", error(403, "flagged"))) as server:

        async def run() -> None:
            given = server.settings()
            async with Client(endpoint_of(given), given) as client:
                await client.complete(body_of("tin"))
                with pytest.raises(Refused, match="HTTP 403"):
                    await client.complete(body_of())

        asyncio.run(run())


def test_the_key_does_not_follow_a_redirect() -> None:
    with scripted() as other:
        there = error(307, "", {"Location": f"http://user:pass@{other.url[7:]}/chat/completions?token=abc"})
        with scripted(always(there)) as server:
            line = line_of(server)
        assert not other.requests
    assert f"redirects to {other.url}/chat/completions (HTTP 307)" in line
    for odd in ("http://[", "", "/v2", KEY):
        with scripted(always(error(301, "", {"Location": odd}))) as server:
            assert "redirects to another address" in line_of(server)


ECHOES = {
    "the prompt": SECRET,
    "the prompt in Python": repr({"content": f"title: {SECRET}\n"}),
    "the prompt in upper case": SECRET.upper(),
    "the prompt in capsules": "/".join(SECRET.split()),
    "the key": f"bad key {KEY}",
    "some of the key": f"bad key {KEY[12:24]}",
    "the end of the key": f"bad key sk-...{KEY[-8:]}",
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("code", [400, 402, 404, 429, 500])
def test_messages_that_quote_are_not_shown(echo: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(always(error(code, f"Invalid: {ECHOES[echo]}"))) as server, pytest.raises(Exception) as told:
        ask(server, patience_s=0.1)
    assert "Invalid" not in f"{told.value}{capsys.readouterr().err}" and f"HTTP {code}" in str(told.value)


def test_escaped_text_of_other_scripts_is_recognised() -> None:
    text = "紅色の大きな急須とその蓋、叔母のカナリア"
    with scripted(always(error(400, json.dumps({"input": text})))) as server, pytest.raises(Refused) as told:
        given = server.settings()
        (outcome,) = asyncio.run(asked(given, body_of(text)))
        raise outcome  # type: ignore[misc]
    assert str(told.value) == "HTTP 400"


# --- addresses and keys ---


@pytest.mark.parametrize(
    "url",
    ["localhost:11434", "ftp://a/v1", "http://", "http://[::1", "http://a:99999/v1", "http://u:p@a/v1", "http://a?k=1"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(IsrfError, match="base_url"):
        check_address(url)


@pytest.mark.parametrize("key", ["sk-canary\nX-Other: 1", "sk-canäry", "two words"])
def test_what_can_be_no_key_is_not_sent(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with scripted() as server:
        line = line_of(server)
    assert "OPENAI_API_KEY holds no usable key" in line and key not in line and not server.requests


def test_a_netrc_file_is_nobodys_business(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with scripted() as server:
        ask(server)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_proxy_is_for_hosts_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with scripted() as proxy, scripted() as server:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        ask(server)
        assert len(server.requests) == 1 and not proxy.requests
        given = server.settings(base_url="http://api.example.invalid/v1")
        assert isinstance(asyncio.run(asked(given, body_of()))[0], Completion)
        assert [request.path for request in proxy.requests] == ["http://api.example.invalid/v1/chat/completions"]
        monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
        with pytest.raises(IsrfError, match="HTTP_PROXY names no proxy"):
            asyncio.run(asked(given, body_of()))


# --- limits ---


def test_requests_a_minute_hold() -> None:
    with scripted() as server:
        ask_many(server, 31, requests_per_minute=1800.0)
    times = [request.at for request in server.requests]
    assert 0.9 <= times[-1] - times[0] <= 1.6, "30 gaps of 1/30 s"


def test_tokens_a_minute_hold_and_are_settled_by_what_was_used() -> None:
    """Each is expected to take some 130 tokens and takes 1,000: after the first answers the others wait for that."""
    costly = json.loads(chat('{"likes": "x"}').body)
    costly["usage"] = {"prompt_tokens": 900, "completion_tokens": 100}
    with scripted(always(Response(body=json.dumps(costly).encode()))) as server:
        ask_many(server, 11, concurrency=1, tokens_per_minute=600_000.0)
    times = [request.at for request in server.requests]
    assert 0.9 <= times[-1] - times[0] <= 1.8, "10 gaps of 0.1 s"


def test_no_more_in_flight_than_allowed() -> None:
    with scripted(lambda request, before: replace(sensible(request, before), delay_s=0.01)) as server:
        ask_many(server, 40, concurrency=5)
    assert server.most_in_flight == 5


# --- calling off ---


def test_calling_off_leaves_the_others_going() -> None:
    """Tasks that wait in the open circuit are cancelled, the one that tries among them; the rest is answered."""
    with scripted(always(replace(error(503), delay_s=0.05))) as server:

        async def run() -> list[Any]:
            given = server.settings(concurrency=6, patience_s=20)
            async with Client(endpoint_of(given), given) as client:
                tasks = [asyncio.create_task(client.complete(body_of(str(n)))) for n in range(12)]
                await asyncio.sleep(0.3)
                for n in (0, 2, 3, 5, 7, 11):
                    tasks[n].cancel()
                    await asyncio.sleep(0.03)
                server.respond = sensible
                return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)

        outcomes = asyncio.run(run())
    assert sum(isinstance(outcome, Completion) for outcome in outcomes) == 6
    assert sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes) == 6


def test_a_deadline_while_waiting_ends_the_wait() -> None:
    with scripted(always(error(429, "", {"Retry-After": "30"}))) as server:

        async def run() -> None:
            given = server.settings()
            async with Client(endpoint_of(given), given) as client:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await client.complete(body_of())

        asyncio.run(run())
        assert len(server.requests) == 1, "after the wait it would have asked again"


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([0.3, 0.6, 0.9, 1.0]))
def test_whatever_fails_all_requests_end(seed: int, concurrency: int, failing: float) -> None:
    """Random failures and cancellations: each of 40 requests is answered, refused, given up or called off in time."""
    draw = random.Random(seed)
    faults = [
        error(500),
        error(503),
        error(429, "", {"retry-after-ms": "5"}),
        error(400, "no"),
        replace(whole, cut_at=30, reset=True),
        Response(hang=True),
        Response(body=b"?"),
    ]

    def respond(request: Request, before: int) -> Response:
        response = draw.choice(faults) if draw.random() < failing else sensible(request, before)
        return replace(response, delay_s=draw.random() / 500)

    async def run(given: ReasoningSettings) -> list[Any]:
        async with Client(endpoint_of(given), given) as client:
            tasks = [asyncio.create_task(client.complete(body_of(str(n)))) for n in range(40)]
            for n in draw.sample(range(40), 8):
                asyncio.get_running_loop().call_later(draw.random() / 10, tasks[n].cancel)
            return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)

    with scripted(respond) as server:
        outcomes = asyncio.run(run(server.settings(concurrency=concurrency, timeout_s=0.05, patience_s=0.3)))
    kinds = (Completion, Refused, Unanswered, IsrfError, asyncio.CancelledError)
    assert all(isinstance(outcome, kinds) for outcome in outcomes), outcomes
    assert server.most_in_flight <= 2 * concurrency, "a hang that was called off may not have been noticed there yet"


# --- nothing is told ---

EVERYTHING: dict[str, Behaviour] = {
    **{name: always(response) for name, (response, _) in REFUSALS.items()},
    **{name: always(response) for name, response in FAULTY.items()},
    **{f"echo of {name}": always(error(400, text)) for name, text in ECHOES.items()},
    "an answer": sensible,
    "a redirect": always(error(302, "", {"Location": f"http://127.0.0.1/{KEY}"})),
    "429": first(1, error(429, f"slow down {KEY}", {"retry-after-ms": "50", "X-Echo": KEY})),
    "503": always(error(503, SECRET)),
    "500": always(error(500, SECRET.encode())),
    "a hang": always(Response(hang=True)),
    "10 MB": always(chat(SECRET * 200_000)),
}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.LogCaptureFixture]:
    """All loggers at their most talkative, the event loop's debug mode among them."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    logging.captureWarnings(True)
    caplog.set_level(logging.DEBUG)
    for name in ("aiohttp", "aiohttp.client", "aiohttp.internal", "asyncio", "py.warnings"):
        caplog.set_level(logging.DEBUG, logger=name)
    yield caplog
    logging.captureWarnings(False)


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("fault", EVERYTHING)
def test_no_key_and_no_prompt_is_told_to_anybody(
    fault: str, logged: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with scripted(EVERYTHING[fault]) as server:
        outcomes = ask_many(server, 3, patience_s=0.1, timeout_s=0.1)
        gc.collect()  # what was not closed or not looked at complains only now
    told = "".join("".join(traceback.format_exception(o)) for o in outcomes if isinstance(o, BaseException))
    told += logged.text + "".join(str(record.__dict__) for record in logged.records) + "".join(capfd.readouterr())
    assert "selector" in logged.text, "the loggers are on"
    letters = "".join(character for character in told.casefold() if character.isalnum())
    secrets = [KEY[7:], "vermilionteapot", "canarysaunt"]
    for secret in secrets:
        pieces = {secret[at : at + 8] for at in range(len(secret) - 7)}
        assert not [piece for piece in pieces if piece in letters]


# --- Retry-After ---


@given(st.dictionaries(st.sampled_from(["retry-after-ms", "Retry-After"]), st.text()))
def test_any_header_gives_seconds_or_nothing(headers: dict[str, str]) -> None:
    seconds = seconds_of(headers)
    assert seconds is None or 0 <= seconds <= 1e6


@given(st.datetimes().map(lambda when: format_datetime(when)) | st.floats().map(str) | st.integers().map(str))
def test_any_date_and_number_too(text: str) -> None:
    seconds = seconds_of({"Retry-After": text})
    assert seconds is None or 0 <= seconds <= 1e6


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7.5 "}, 7.5),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25),
        ({"retry-after-ms": "soon", "Retry-After": "7"}, 7),
        ({"retry-after-ms": "nan", "Retry-After": "7"}, 7),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_what_the_headers_say(headers: dict[str, str], expected: float | None) -> None:
    assert seconds_of(headers) == expected
