"""When the next request may go out: limits a minute, waiting after failures, and giving up on an endpoint that is down.

Knows nothing about what is sent; the client tells it what came of each request. Used from one event loop.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass, field

from isrf.core.progress import note

TRIP = 5
"""So many failures in a row, over all requests, and the endpoint counts as failing: one request at a time tries it."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
"""Wait after the first failure, doubled after each further one up to the longest; each is drawn from its upper half."""
ASKED_TIMES = 10
"""So many times its patience an endpoint may ask to be left alone in a row: a limit by the minute frees up within that,
one by the day does not."""
LATE_S = 0.05
"""A timer rings late, and what it missed may be made up for within this time; otherwise high rates are not reached."""
TICK_S = 0.001
"""Shorter waits are none: no timer is that exact, and setting one a request would halve the highest rate."""
NOTE_EVERY_S = 30.0
"""An endpoint that asks to wait after every few answers is not told of each time."""


class Down(Exception):
    """The endpoint failed for longer than anybody wants to wait; the text says how."""


class Failure(Exception):
    """One request came to nothing, and the same one may yet be answered.

    Attributes:
        reason: what happened, safe to show.
        asked_s: how long the endpoint asks to be left alone, None where it does not say.
        throttled: whether it asks for fewer requests, so that all have to wait.
        unreachable: whether there was no connection at all.
        general: whether any other request would have fared the same; else it may be this one that cannot be answered.
        slow: whether it took the whole of the time that an answer may take.
    """

    def __init__(
        self,
        reason: str,
        asked_s: float | None = None,
        throttled: bool = False,
        unreachable: bool = False,
        general: bool = False,
        slow: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason, self.asked_s, self.throttled, self.slow = reason, asked_s, throttled or asked_s is not None, slow
        self.unreachable, self.general = unreachable, general or unreachable or self.throttled


def back_off(failures: int) -> float:
    """Seconds to wait after so many failures in a row (1 or more), jittered so that clients do not return together."""
    wait = min(FIRST_WAIT_S * 2 ** min(failures - 1, 16), LONGEST_WAIT_S)
    return wait * random.uniform(0.5, 1.0)


@dataclass
class Pace:
    """Spreads requests and tokens evenly over the minute; None = as fast as answers come."""

    requests_per_minute: float | None
    tokens_per_minute: float | None
    _next_request: float = 0.0
    _next_tokens: float = 0.0

    def ready(self) -> float:
        """When the next request may go out, on the clock of ``time.monotonic``."""
        return max(self._next_request, self._next_tokens)

    def take(self, tokens: int) -> None:
        """Count a request that goes out now and takes about so many tokens, in and out."""
        earliest = time.monotonic() - LATE_S
        if self.requests_per_minute:
            self._next_request = max(earliest, self._next_request) + 60 / self.requests_per_minute
        if self.tokens_per_minute:
            self._next_tokens = max(earliest, self._next_tokens) + 60 * tokens / self.tokens_per_minute

    def settle(self, expected: int, used: int) -> None:
        """Correct the count of a request by what it really used."""
        if self.tokens_per_minute:
            self._next_tokens += 60 * (used - expected) / self.tokens_per_minute


@dataclass
class Circuit:
    """Lets requests through first come, first served: ``most`` at once while the endpoint answers, one while it fails.

    After a failure that concerns everybody all wait, then one tries; with each answer one more may be in flight. Once the
    endpoint is down nobody is let through any more.

    Attributes:
        where: the endpoint, for messages.
        patience_s: seconds without an answer, waits that the endpoint asked for not counted, after which it is down.
        most: requests in flight while all is well.
        failures: in a row, over all requests.
    """

    where: str
    patience_s: float
    most: int
    pace: Pace
    failures: int = 0
    _queue: deque[tuple[asyncio.Future[int], int]] = field(default_factory=deque)
    _window: int = 0
    _flying: int = 0
    # requests sent before the latest opening are of an older era: they say little about how the endpoint is now
    _era: int = 0
    _failing: bool = False
    _holds: int = 0
    _resume: float = 0.0
    _since: float | None = None
    _asked: float = 0.0
    _blamed: set[int] = field(default_factory=set)
    _reached: bool = False
    _answered: bool = False
    _down: str = ""
    _noted: float | None = None
    _told: bool = False
    _timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self._window = self.most

    @property
    def answered(self) -> bool:
        """Whether it ever answered a request, or refused one for that request's own sake."""
        return self._answered

    async def enter(self, tokens: int) -> int:
        """Wait for one's turn with a request of about so many tokens.

        Returns:
            A ticket, given back by exactly one call of ``succeeded``, ``failed`` or ``left``.

        Raises:
            Down: as ``failed`` raised it.
        """
        if self._down:
            raise Down(self._down)
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append((turn, tokens))
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            # the turn may have come in the same moment: then it is passed on
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.left(turn.result())
            raise

    def succeeded(self, ticket: int) -> None:
        """The endpoint answered, be it with a refusal of one request."""
        self.failures, self._since, self._asked = 0, None, 0.0
        self._reached = self._answered = True
        self._blamed.clear()
        if ticket == self._era:
            self._flying -= 1
            self._holds = 0
            self._window = min(self._window + 1, self.most)
            if self._failing and self._told:
                note(f"{self.where}: answers again")
            self._failing = self._told = False
        self._admit()

    def left(self, ticket: int) -> None:
        """The request was called off; nothing is known of the endpoint."""
        if ticket == self._era:
            self._flying -= 1
        self._admit()

    def settle(self, expected: int, used: int) -> None:
        """Correct the tokens that ``enter`` counted."""
        self.pace.settle(expected, used)
        self._admit()

    def failed(self, ticket: int, failure: Failure, request: int) -> None:
        """The endpoint did not answer, or asked to be left alone.

        Args:
            request: the same number for the same request, so that one that is never answered is not taken for an
                endpoint that is down.

        Raises:
            Down: it could not be reached in the first place; asks for a longer wait than ``patience_s``; or has been
                failing for longer than that, whatever it was asked.
        """
        now = time.monotonic()
        self.failures += 1
        self._since = now if self._since is None else self._since
        self._blamed.update((-1, -2) if failure.general else (request,))
        if ticket == self._era:
            self._flying -= 1
        self._reached = self._reached or not failure.unreachable
        if not self._reached:
            self._give_up(failure.reason)
        asked = failure.asked_s or 0.0
        if asked > self.patience_s:
            self._give_up(f"{failure.reason}, and asks to come back in {asked:.0f} s, later than reasoning.patience_s")
        if ticket != self._era:  # what was in flight when it began makes nothing worse
            self._resume = max(self._resume, now + asked)
        elif failure.throttled or self._failing or self.failures >= TRIP:
            self._hold(now, asked, failure.reason)
        if self._asked > ASKED_TIMES * self.patience_s:
            self._give_up(f"{failure.reason}, and asked to wait for {self._asked:.0f} s in all")
        if self.failures >= TRIP and len(self._blamed) > 1 and now - self._since > self.patience_s:
            self._give_up(f"{failure.reason}, {self.failures} times in a row")
        self._admit()

    def _hold(self, now: float, asked: float, reason: str) -> None:
        self._holds += 1
        self._era += 1
        self._window, self._flying = 1, 0
        # never at once, also where it asks to come back in no time
        wait = max(asked * random.uniform(1.0, 1.1), back_off(self._holds))
        self._resume = max(self._resume, now + wait)
        if asked and self._since is not None:
            self._since += wait
            self._asked += wait
        if not self._failing and (self._noted is None or now - self._noted > NOTE_EVERY_S):
            note(f"{self.where}: {reason}; waiting {wait:.1f} s, then one request at a time until it answers")
            self._noted, self._told = now, True
        self._failing = True

    def _give_up(self, reason: str) -> None:
        self._down = reason
        for turn, _ in self._queue:
            if not turn.done():
                turn.set_exception(Down(reason))
        self._queue.clear()
        raise Down(reason)

    def _admit(self) -> None:
        """Let the first in the queue through as far as there is room and it is time; else be called again then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            turn, tokens = self._queue[0]
            if not turn.done():  # else called off while it waited
                if self._flying >= self._window:
                    return
                wait = max(self._resume, self.pace.ready()) - time.monotonic()
                if wait > TICK_S:
                    self._timer = asyncio.get_running_loop().call_later(wait, self._admit)
                    return
                self._flying += 1
                self.pace.take(tokens)
                turn.set_result(self._era)
            self._queue.popleft()
