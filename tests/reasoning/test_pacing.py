"""Limits a minute and the circuit, without a network: who is let through when, on a clock of the tests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.reasoning.virtual_time import VirtualTime, run_virtually

from isrf.reasoning.llm import rate_limit
from isrf.reasoning.llm.rate_limit import TRIP, Circuit, Down, Failure, Pace, back_off


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "FIRST_WAIT_S", 0.005)
    monkeypatch.setattr(rate_limit, "LONGEST_WAIT_S", 0.02)


def circuit_of(most: int = 4, patience_s: float = 10.0, **pace: Any) -> Circuit:
    limits = {"requests_per_minute": None, "tokens_per_minute": None, **pace}
    return Circuit("http://endpoint/v1", patience_s, most, Pace(**limits))


def entered(circuit: Circuit, tokens: int = 0) -> asyncio.Task[int]:
    return asyncio.create_task(circuit.enter(tokens))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]], late: float = 0.0) -> None:
    async def within() -> None:
        await asyncio.wait_for(test(), 60)  # type: ignore[arg-type]

    loop = VirtualTime(late)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_limit, "time", loop)
        run_virtually(within, loop)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_back_off_doubles_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "FIRST_WAIT_S", 0.5)
    monkeypatch.setattr(rate_limit, "LONGEST_WAIT_S", 30.0)
    for failures, most in ((1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (10_000, 30.0)):
        assert most / 2 <= back_off(failures) <= most
    assert len({back_off(3) for _ in range(10)}) > 1, "jittered"


def test_first_come_first_served_up_to_the_most() -> None:
    async def test() -> None:
        circuit = circuit_of(most=2)
        tasks = [entered(circuit) for _ in range(4)]
        await settled()
        assert [task.done() for task in tasks] == [True, True, False, False]
        circuit.succeeded(tasks[1].result())
        await settled()
        assert [task.done() for task in tasks] == [True, True, True, False]
        circuit.left(tasks[0].result())
        await settled()
        assert tasks[3].done()

    run(test)


def test_failures_in_a_row_open_it_and_answers_close_it_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "FIRST_WAIT_S", 0.4)
    monkeypatch.setattr(rate_limit, "LONGEST_WAIT_S", 0.4)

    async def test() -> None:
        circuit = circuit_of(most=8)
        tickets = [await circuit.enter(0) for _ in range(TRIP)]
        for n, ticket in enumerate(tickets):
            circuit.failed(ticket, Failure("HTTP 500"), n)
        waiting = [entered(circuit) for _ in range(8)]
        await settled()
        assert not any(task.done() for task in waiting), "all wait"
        for answered, allowed in ((0, 1), (1, 3), (2, 5)):  # one answer, one more in flight
            if answered:
                circuit.succeeded(waiting[answered - 1].result())
                await settled()
            else:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert sum(task.done() for task in waiting) == allowed

    run(test)


def test_failures_between_answers_do_not_open_it() -> None:
    async def test() -> None:
        circuit = circuit_of()
        for n in range(50):
            ticket = await circuit.enter(0)
            if n % TRIP:
                circuit.failed(ticket, Failure("HTTP 500"), n)
            else:
                circuit.succeeded(ticket)
        began = now()
        await circuit.enter(0)
        assert now() == began and circuit.failures == TRIP - 1

    run(test)


def test_requests_of_before_make_the_wait_no_longer() -> None:
    """64 in flight fail together: that is one hiccup, not 64 in a row."""

    async def test() -> None:
        circuit = circuit_of(most=64)
        tickets = [await circuit.enter(0) for _ in range(64)]
        for n, ticket in enumerate(tickets):
            circuit.failed(ticket, Failure("HTTP 503", general=True), n)
        began = now()
        await circuit.enter(0)
        assert 0.0025 <= now() - began < 0.0051, "the first wait, not the longest"

    run(test)


def test_one_request_alone_does_not_bring_an_endpoint_down() -> None:
    async def test() -> None:
        circuit = circuit_of(patience_s=0)
        for _ in range(3 * TRIP):
            circuit.failed(await circuit.enter(0), Failure("HTTP 500"), 7)
        with pytest.raises(Down, match="HTTP 500, 16 times in a row"):
            circuit.failed(await circuit.enter(0), Failure("HTTP 500"), 8)

    run(test)


def test_down_is_for_everybody_and_for_good() -> None:
    async def test() -> None:
        circuit = circuit_of(most=1)
        ticket = await circuit.enter(0)
        waiting = [entered(circuit) for _ in range(3)]
        await settled()
        with pytest.raises(Down):
            circuit.failed(ticket, Failure("cannot be reached", unreachable=True), 0)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["cannot be reached"] * 3
        with pytest.raises(Down):
            await circuit.enter(0)

    run(test)


def test_waits_that_were_asked_for_do_not_use_up_patience() -> None:
    async def test() -> None:
        circuit = circuit_of(patience_s=0.05)
        for n in range(TRIP + 1):
            circuit.failed(await circuit.enter(0), Failure("HTTP 429", asked_s=0.04), n)
        circuit.succeeded(await circuit.enter(0))

    run(test)


def test_whoever_is_called_off_passes_the_turn_on() -> None:
    async def test() -> None:
        circuit = circuit_of(most=1)
        ticket = await circuit.enter(0)
        one, two, three = (entered(circuit) for _ in range(3))
        await settled()
        two.cancel()
        circuit.succeeded(ticket)  # the turn of one, which is cancelled before it wakes up
        one.cancel()
        await settled()
        assert one.cancelled() and two.cancelled() and three.done()

    run(test)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 16))
def test_never_two_at_once_while_it_fails_and_nobody_waits_for_ever(seed: int, most: int) -> None:
    """Random outcomes, hangs and cancellations, judged by what was sent since the circuit last opened."""
    draw = random.Random(seed)
    circuit = circuit_of(most=most)
    flying: dict[int, int] = {}

    async def request(n: int) -> None:
        for _ in range(6):
            ticket = await circuit.enter(1)
            if circuit._failing and ticket == circuit._era:
                assert ticket not in flying.values(), "another one is being tried"
            flying[n] = ticket
            try:
                await asyncio.sleep(draw.random() / 200)
            except asyncio.CancelledError:
                del flying[n]
                circuit.left(ticket)
                raise
            del flying[n]
            assert len(flying) < 6 * most
            if draw.random() < 0.3:
                return circuit.succeeded(ticket)
            asked = 0.004 if draw.random() < 0.3 else None
            circuit.failed(ticket, Failure("HTTP 503", asked, general=draw.random() < 0.5), n)
        return None

    async def test() -> None:
        tasks = [asyncio.create_task(request(n)) for n in range(30)]
        for task in draw.sample(tasks, 8):
            asyncio.get_running_loop().call_later(draw.random() / 20, task.cancel)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(o is None or isinstance(o, asyncio.CancelledError) for o in outcomes), outcomes

    run(test)


@pytest.mark.parametrize(("limit", "tokens"), [({"requests_per_minute": 6000}, 0), ({"tokens_per_minute": 60_000}, 10)])
def test_limits_spread_requests_evenly(limit: dict[str, float], tokens: int) -> None:
    """A hundred a second: 50 take half a second, less what may be made up for after a late timer."""

    async def test() -> None:
        circuit = circuit_of(most=100, **limit)
        times = []

        async def one() -> None:
            circuit.succeeded(await circuit.enter(tokens))
            times.append(now())

        began = now()
        await asyncio.gather(*(one() for _ in range(50)))
        assert times[-1] - began == pytest.approx(0.5 - rate_limit.LATE_S, abs=0.015)
        assert sum(at - began < 0.2 for at in times) <= 27, "no burst at the start"

    run(test)


def test_settling_corrects_the_count() -> None:
    """Each of ten is expected to take 100 tokens and takes 10: a tenth of the time is left."""

    async def test() -> None:
        circuit = circuit_of(most=1, tokens_per_minute=60_000)
        began = now()
        for _ in range(10):
            ticket = await circuit.enter(100)
            circuit.succeeded(ticket)
            circuit.settle(100, 10)
        assert now() - began < 0.1

    run(test)


def test_high_rates_are_reached() -> None:
    """Timers ring late by a millisecond or so: at 2,000 a second that must not halve the rate."""

    async def test() -> None:
        circuit = circuit_of(most=8, requests_per_minute=120_000)
        began = now()
        for _ in range(1000):
            circuit.succeeded(await circuit.enter(0))
        assert now() - began == pytest.approx(0.5 - rate_limit.LATE_S, abs=0.01)

    run(test, late=0.001)


def test_a_called_off_wait_takes_nothing_of_the_limit() -> None:
    async def test() -> None:
        circuit = circuit_of(requests_per_minute=600)
        await circuit.enter(0)
        waiting = [entered(circuit) for _ in range(20)]
        await settled()
        for task in waiting:
            task.cancel()
        began = now()
        await circuit.enter(0)
        assert now() - began < 0.11, "the turn of the second request"

    run(test)
