"""`isrf reason` killed again and again: nothing is asked twice, nothing is lost.

In the slow tier it asks a real llama.cpp server. Between the command and the server stands a recorder. It forwards each
question once and gives the same answer to the same question afterwards, which a model that reasons about several
questions at once does not; and it numbers the questions, in the count of tokens, so that every answer in the store says
which question it answers.
"""

from __future__ import annotations

import asyncio
import json
import pkgutil
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import polars as pl
import pytest
from aiohttp import web
from tests.commands import WORLDS, Obstacle, Running, artifacts, done, isrf, signal_at, stage_info, write_source
from tests.reasoning.conftest import short_prompts
from tests.reasoning.scripted import scripted, slowly

CONCURRENCY = 2
PROBE = "colour"
"""The field that is asked for when the way of asking is negotiated."""
SPOTS = (
    ("isrf.pipeline.reason:reason_items", True),
    ("isrf.pipeline.reason:reason_users", False),
    ("isrf.pipeline.reason:reason_users", True),
    ("isrf.core.tables:pl.DataFrame.write_parquet", False),
    ("isrf.core.tables:pl.DataFrame.write_parquet", True),
    ("isrf.pipeline.reason:coverage", True),
    ("isrf.workspace.stage:digest_of", True),
    ("isrf.workspace.stage:installed_versions", False),
    ("isrf.workspace.stage:write_atomic", False),
)
"""Where the last kills fall, before or after the call: between items and users, and in the writing of the tables."""


class Recorder:
    """A proxy that makes the model a function of the question, and remembers who asked what and when.

    Attributes:
        numbers: question -> its number.
        asked: numbers of the questions of the current run, in the order they came; the probe's is left out.
        ever: the same of all runs.
        probes: how often the current run negotiated.
    """

    def __init__(self, server: str) -> None:
        self.server, self.url = server, ""
        self.numbers: dict[bytes, int] = {}
        self.asked: list[int] = []
        self.ever: set[int] = set()
        self.probes = 0
        self._answers: dict[bytes, asyncio.Task[dict[str, Any]]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._forward: aiohttp.ClientSession | None = None
        self._listening: web.AppRunner | None = None

    def new_run(self) -> None:
        self.asked, self.probes = [], 0

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(timeout=30)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._forward = aiohttp.ClientSession()
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self._serve)
        self._listening = web.AppRunner(application)
        await self._listening.setup()
        site = web.TCPSite(self._listening, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._listening.addresses[0][1]}/v1"

    async def _stop(self) -> None:
        assert self._listening is not None and self._forward is not None
        await self._listening.cleanup()
        await self._forward.close()

    async def _serve(self, request: web.Request) -> web.Response:
        question = await request.read()
        number = self.numbers.setdefault(question, len(self.numbers) + 1)
        if PROBE in json.loads(question)["response_format"]["json_schema"]["schema"]["properties"]:
            self.probes += 1
        else:
            self.asked.append(number)
            self.ever.add(number)
        if question not in self._answers:
            self._answers[question] = asyncio.create_task(self._answer(question, number))
        # whoever asked may be dead by now; the answer is for the next one
        return web.json_response(await asyncio.shield(self._answers[question]))

    async def _answer(self, question: bytes, number: int) -> dict[str, Any]:
        assert self._forward is not None
        async with self._forward.post(f"{self.server}/chat/completions", data=question) as response:
            assert response.status == 200, await response.text()
            document: dict[str, Any] = await response.json()
        document["usage"]["prompt_tokens"] = number
        return document


@contextmanager
def recorded(server: str) -> Iterator[Recorder]:
    recorder = Recorder(server)
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.stop()


def imported(tmp_path: Path, people: int, items: int, worlds: int) -> Path:
    """A workspace of people who each bought up to four of the first ``items`` items of a world, one after the other."""
    log = {f"u{n}": [f"{WORLDS[n % worlds]}-{(n + k) % items}" for k in range(min(4, items))] for n in range(people)}
    source = write_source(tmp_path / "shop", log)
    catalogue = tmp_path / "shop" / "items.csv"
    bought = {"item_id", *(item for history in log.values() for item in history)}
    lines = [line for line in catalogue.read_text().splitlines() if line.split(",")[0] in bought]
    catalogue.write_text("\n".join(lines) + "\n")
    done(isrf("data", "import", source, "--out", tmp_path / "ws", "--set", "data.min_interactions=0"))
    return tmp_path / "ws"


def asking(url: str, prompts: Path) -> list[str]:
    """The arguments of `isrf reason` for that endpoint, with short answers."""
    chosen = {
        "supplier": "openai",
        "base_url": url,
        "model": "smollm2",
        "prompts": prompts,
        "concurrency": CONCURRENCY,
        "max_tokens": 24,
        "feature_words": 6,
        "preference_words": 6,
    }
    return [part for name, value in chosen.items() for part in ("--set", f"reasoning.{name}={value}")]


def stored(workspace: Path) -> tuple[dict[int, tuple[Any, ...]], bool]:
    """What the file of answers holds: number of the question -> whole row; and whether the way of asking is known."""
    store = workspace / "reasoning" / "answers.sqlite"
    if not store.exists():
        return {}, False
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        if not connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            return {}, False
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM answers")]
        known = connection.execute("SELECT COUNT(*) FROM dialects").fetchone()[0] == 1
    answers = {row["tokens_in"]: tuple(row.values()) for row in rows}
    assert len(answers) == len(rows), "two answers to one question"
    return answers, known


Kill = Callable[[Running, Recorder], None]


def after_seconds(seconds: float) -> Kill:
    return lambda running, recorder: time.sleep(seconds)


def after_questions(count: int, seconds: float) -> Kill:
    """When so many questions of this run have come, and a moment later."""

    def wait(running: Running, recorder: Recorder) -> None:
        while running.process.is_alive() and len(recorder.asked) < count:
            time.sleep(0.003)
        time.sleep(seconds)

    return wait


def at(place: str, after: bool, call: int = 1) -> Obstacle:
    return signal_at(place, signal.SIGKILL, call, after)


def crash(
    command: list[object], workspace: Path, recorder: Recorder, kill: Kill | Obstacle, by_itself: bool
) -> tuple[int, int]:
    """One run that ends with a kill, and what must hold after it.

    Returns:
        Exit code, and how many questions were asked whose answers are not in the store.
    """
    before, known = stored(workspace)
    recorder.new_run()
    running = Running(command, {}, [kill] if by_itself else [])  # type: ignore[list-item]
    if not by_itself:
        kill(running, recorder)  # type: ignore[call-arg]
        running.signal(signal.SIGKILL)
    outcome = running.end()
    assert outcome.code in (0, -signal.SIGKILL), outcome.err
    after, _ = stored(workspace)
    asked = set(recorder.asked)
    assert before.items() <= after.items(), "an answer that was kept is gone, or another"
    assert len(asked) == len(recorder.asked), "a question was asked twice within a run"
    assert not asked & before.keys(), "a question was asked whose answer was there"
    assert after.keys() - before.keys() <= asked
    lost = asked - after.keys()
    assert len(lost) <= CONCURRENCY, "more answers are missing than were under way"
    assert not (known and recorder.probes), "what was negotiated is negotiated again"
    return outcome.code, len(lost)


def survive(
    workspace: Path, undisturbed: Path, server: str, kills: list[tuple[Kill | Obstacle, bool]]
) -> dict[str, int]:
    """Kill one run after the other, let the last one end, and compare with a run that nobody disturbed; counts."""
    with recorded(server) as recorder:
        asked_so = asking(recorder.url, short_prompts(workspace.parent / "prompts"))
        killed = lost = 0
        for kill, by_itself in kills:
            code, missing = crash(["reason", workspace, *asked_so], workspace, recorder, kill, by_itself)
            killed, lost = killed + (code != 0), lost + missing
        recorder.new_run()
        done(isrf("reason", workspace, *asked_so))
        answers, _ = stored(workspace)
        assert answers.keys() == recorder.ever, "every question that was ever asked has its answer in the store"
        assert killed == len(kills), "a run ended before it was killed: give it more to do"
        assert lost <= killed * CONCURRENCY

        recorder.new_run()
        done(isrf("reason", undisturbed, *asked_so))
        assert set(recorder.asked) == answers.keys(), "the same questions"
        assert artifacts(workspace, ["reasoning"]) == artifacts(undisturbed, ["reasoning"])
        for name in ("items.parquet", "users.parquet"):
            assert (workspace / "reasoning" / name).read_bytes() == (undisturbed / "reasoning" / name).read_bytes()
        assert stage_info(workspace, "reasoning")["key"] == stage_info(undisturbed, "reasoning")["key"]

        recorder.new_run()
        assert "nothing changed, kept" in done(isrf("reason", workspace, *asked_so)).err
        assert not recorder.asked and not recorder.probes
    return {"kills": killed, "questions": len(answers), "asked again": lost}


def test_the_places_of_kills_are_there() -> None:
    """Those of the slow tier too, which is run seldom."""
    assert all(callable(pkgutil.resolve_name(place)) for place, _ in SPOTS)


def test_three_kills(tmp_path: Path) -> None:
    """Killed while it starts, while it asks, and in the writing of its tables; the endpoint is a scripted one."""
    workspace = imported(tmp_path, people=2, items=3, worlds=1)
    undisturbed = Path(shutil.copytree(workspace, tmp_path / "undisturbed"))
    draw = random.Random(7)
    kills: list[tuple[Kill | Obstacle, bool]] = [
        (after_seconds(draw.uniform(0, 0.5)), False),
        (after_questions(draw.randint(1, 4), draw.uniform(0, 0.2)), False),
        (at(*draw.choice(SPOTS)), True),
    ]
    with scripted(slowly(0.1)) as server:
        survive(workspace, undisturbed, server.url, kills)
    written = pl.read_parquet(workspace / "reasoning" / "items.parquet")
    assert written["tokens_out"].gt(0).all() and set(written["supplier"]) <= {"openai", "attributes"}


@pytest.mark.slow
def test_fifty_kills(local_endpoint: str, tmp_path: Path) -> None:
    """At any moment: in start-up, in negotiation, between an answer and its commit, after it, in the writing of tables."""
    workspace = imported(tmp_path, people=24, items=12, worlds=2)
    undisturbed = Path(shutil.copytree(workspace, tmp_path / "undisturbed"))
    draw = random.Random(3)
    kills: list[tuple[Kill | Obstacle, bool]] = [(at("isrf.reasoning.llm.agreed_dialect:negotiate", after=True), True)]
    while len(kills) < 50 - len(SPOTS):
        kind = draw.random()
        if kind < 0.25:
            kills.append((after_seconds(draw.uniform(0, 1.5)), False))
        elif kind < 0.75:
            kills.append((after_questions(draw.randint(1, 4), draw.uniform(0, 0.3)), False))
        else:
            put = at("isrf.reasoning.answers.store:AnswerStore.put", after=draw.random() < 0.5, call=draw.randint(1, 4))
            kills.append((put, True))
    kills += [(at(*spot), True) for spot in SPOTS]
    print(survive(workspace, undisturbed, local_endpoint, kills))
