"""Asking an OpenAI-compatible endpoint: three chained questions a row, many rows at once, each answer kept at once.

The same code talks to a hosted model and to the local llama.cpp server. Knows nothing about items, users or budgets'
meaning beyond ``Allowance``. The key is read from the environment by the client and is written nowhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai

from isrf.config import ReasoningSettings
from isrf.errors import IsrfError
from isrf.progress import Task, task
from isrf.reasoning.budget import Budget
from isrf.reasoning.prompts import STEPS, Prompt, Question, Step, turn
from isrf.reasoning.store import Answer, AnswerStore, key_of
from isrf.reasoning.text import clean, limit_words

T = TypeVar("T")

KEY_VARIABLE = "OPENAI_API_KEY"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
WARMER = 0.7
"""Sampling temperature of the one repeat, where the first answer could not be used."""
REFUSALS = 8
"""So many refused requests and not one answer: the endpoint does not understand us, and going on is pointless."""


@dataclass(frozen=True)
class Endpoint:
    """Who is asked.

    Attributes:
        supplier: "openai" or "local", recorded with every row.
        base_url: None = the client's own default.
        model: as the endpoint names it; recorded with every row.
        identity: model as the store's key has it: the name, or for a file the name and a digest.
    """

    supplier: str
    base_url: str | None
    model: str
    identity: str


@dataclass(frozen=True)
class Reply:
    """The three answers about one row and what they cost; ``failed`` where one of them was not usable."""

    likes: str
    dislikes: str
    feature: str
    tokens_in: int
    tokens_out: int
    failed: bool


@dataclass
class Allowance:
    """What is left of a budget while it is spent."""

    budget: Budget | None
    started: float = field(default_factory=time.monotonic)
    tokens: int = 0
    rows_asked: int = 0
    row_seconds: float = 0.0

    def open(self) -> bool:
        """Whether another row may be started: it should end within the budget, judged by the rows before it."""
        if self.budget is None:
            return True
        if self.budget.kind == "tokens":
            return self.tokens < self.budget.amount
        if self.budget.kind == "seconds":
            usual = self.row_seconds / self.rows_asked if self.rows_asked else 0.0
            return time.monotonic() - self.started + usual < self.budget.amount
        return True  # rows are counted out before anything is asked

    @property
    def seconds_left(self) -> float | None:
        if self.budget is None or self.budget.kind != "seconds":
            return None
        return max(0.0, self.budget.amount - (time.monotonic() - self.started))


def client_for(endpoint: Endpoint, settings: ReasoningSettings) -> openai.AsyncOpenAI:
    """The official client; a loopback server needs no key. Raises IsrfError where a hosted one has none."""
    key = os.environ.get(KEY_VARIABLE)
    loopback = endpoint.base_url is not None and urlsplit(endpoint.base_url).hostname in LOOPBACK
    if not key and not loopback:
        raise IsrfError(
            f"set {KEY_VARIABLE} in the environment: the endpoint needs a key and it is read from nowhere else"
        )
    # never send a real key to a server on this machine that did not ask for one
    key = "none" if endpoint.supplier == "local" or not key else key
    return openai.AsyncOpenAI(api_key=key, base_url=endpoint.base_url, timeout=settings.timeout_s, max_retries=3)


def ask_all(
    questions: Sequence[Question],
    prompt: Prompt,
    endpoint: Endpoint,
    settings: ReasoningSettings,
    store: AnswerStore,
    budget: Budget | None,
) -> dict[int, Reply]:
    """Ask about each row in the given order until the budget is spent.

    Args:
        questions: what to ask, most important row first.
        budget: this call's share, or None for no limit.

    Returns:
        Replies by row, for the rows that were finished. What the store knows is not asked again.

    Raises:
        IsrfError: the endpoint cannot be reached, refuses the key or the model, or answers nothing usable at all.
            Every answer up to then is in the store.
    """
    if not questions:
        return {}
    session = _Session(prompt, endpoint, settings, store, Allowance(budget))
    return _run(session.all_rows(questions))


class _Session:
    """One ``ask_all``: what its concurrent rows share."""

    def __init__(
        self, prompt: Prompt, endpoint: Endpoint, settings: ReasoningSettings, store: AnswerStore, allowance: Allowance
    ) -> None:
        self.prompt, self.endpoint, self.settings = prompt, endpoint, settings
        self.store, self.allowance = store, allowance
        self.client = client_for(endpoint, settings)
        self.parameters = {
            "temperature": settings.temperature,
            "seed": settings.seed,
            "max_tokens": settings.max_tokens,
        }
        self.refused, self.answered = 0, 0

    async def all_rows(self, questions: Sequence[Question]) -> dict[int, Reply]:
        replies: dict[int, Reply] = {}
        waiting = iter(questions)
        async with self.client:
            with task(f"reasoning about {self.prompt.kind}s with {self.endpoint.model}", len(questions)) as bar:
                workers = [
                    asyncio.create_task(self._worker(waiting, replies, bar))
                    for _ in range(min(self.settings.concurrency, len(questions)))
                ]
                try:
                    await asyncio.gather(*workers)
                finally:
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)
        return replies

    async def _worker(self, waiting: Any, replies: dict[int, Reply], bar: Task) -> None:
        while self.allowance.open() and (question := next(waiting, None)) is not None:
            try:
                async with asyncio.timeout(self.allowance.seconds_left):
                    replies[question.row] = await self._row(question)
            except TimeoutError:
                return  # the budget ran out within the row; its finished steps are in the store
            bar.say(f"{self.allowance.tokens} tokens")
            bar.advance()

    async def _row(self, question: Question) -> Reply:
        """The three steps; each sees the questions and answers before it."""
        started, asked_before = time.monotonic(), self.answered
        messages, texts = self.prompt.opening, list[str]()
        tokens_in = tokens_out = 0
        for step, ask in zip(STEPS, question.asks, strict=True):
            answer = await self._answer([*messages, {"role": "user", "content": ask}], step, texts)
            tokens_in += answer.tokens_in
            tokens_out += answer.tokens_out
            if answer.text is None:
                return Reply("", "", "", tokens_in, tokens_out, failed=True)
            texts.append(answer.text)
            messages = [*messages, *turn(ask, step, answer.text)]
        if self.answered > asked_before:
            self.allowance.rows_asked += 1
            self.allowance.row_seconds += time.monotonic() - started
        return Reply(texts[0], texts[1], texts[2], tokens_in, tokens_out, failed=False)

    async def _answer(self, messages: list[dict[str, str]], step: Step, before: list[str]) -> Answer:
        asked = {"messages": messages, "schema": self.prompt.schemas[step]}
        key = key_of(self.endpoint.supplier, self.endpoint.identity, self.parameters, self.prompt.version, asked)
        answer = self.store.get(key)
        if answer is None:
            answer, refused = await self._ask_twice(messages, step, before)
            if not refused:  # a refusal says nothing of the model: it is asked again by the next run
                self.store.put(key, answer)
                self.answered += 1
        self.allowance.tokens += answer.tokens_in + answer.tokens_out
        return answer

    async def _ask_twice(self, messages: list[dict[str, str]], step: Step, before: list[str]) -> tuple[Answer, bool]:
        """One repeat, warmer and with another seed, where the first answer is not usable.

        Returns the answer, and whether it is none because the endpoint refused a request.
        """
        tokens_in = tokens_out = 0
        refused = False
        for attempt in range(2):
            reply = await self._ask(messages, step, attempt)
            if reply is None:
                refused = True
                continue
            text, used_in, used_out = reply
            tokens_in += used_in
            tokens_out += used_out
            # a model that says the same of likes and dislikes has not reasoned
            if text is not None and text not in before:
                return Answer(text, tokens_in, tokens_out), False
        return Answer(None, tokens_in, tokens_out), refused

    async def _ask(
        self, messages: list[dict[str, str]], step: Step, attempt: int
    ) -> tuple[str | None, int, int] | None:
        """The field of the answer, None where it is not usable, and tokens in and out; None: the request was refused."""
        schema = {"name": step, "schema": self.prompt.schemas[step], "strict": True}
        temperature = self.settings.temperature if attempt == 0 else max(self.settings.temperature, WARMER)
        request: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": messages,
            "response_format": {"type": "json_schema", "json_schema": schema},
            "temperature": temperature,
            "seed": self.settings.seed + attempt,
            "max_tokens": self.settings.max_tokens,
        }
        try:
            completion = await self.client.chat.completions.create(**request)
        except openai.BadRequestError as error:
            # one prompt may be too long for the model; that all are is something else
            self.refused += 1
            if self.refused >= REFUSALS and not self.answered:
                raise self._refusal(error) from error
            return None
        except openai.OpenAIError as error:
            raise self._refusal(error) from error
        usage = completion.usage
        used_in, used_out = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        content = completion.choices[0].message.content if completion.choices else None
        longest = int(self.prompt.schemas[step]["properties"][step]["maxLength"])
        return parse_answer(content, step, longest), used_in, used_out

    def _refusal(self, error: openai.OpenAIError) -> IsrfError:
        where = str(self.client.base_url)
        kept = "answers so far are kept, run again to go on"
        if isinstance(error, openai.APITimeoutError):
            return IsrfError(f"{where}: no answer within {self.settings.timeout_s:g} s (reasoning.timeout_s); {kept}")
        if isinstance(error, openai.APIConnectionError):
            reason = error.__cause__ or error
            return IsrfError(
                f"{where}: cannot be reached ({clean(str(reason), 200)}); start it or set reasoning.base_url; {kept}"
            )
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return IsrfError(f"{where}: does not accept the key in {KEY_VARIABLE}; {kept}")
        if isinstance(error, openai.NotFoundError):
            return IsrfError(f"{where}: does not know model {self.endpoint.model!r} or is no chat endpoint; {kept}")
        return IsrfError(f"{where}: {clean(getattr(error, 'message', str(error)), 300)}; {kept}")


def parse_answer(content: str | None, step: Step, longest: int) -> str | None:
    """The field of a JSON answer as one clean line, or None where it cannot be used: the JSON is broken, the field is
    missing or empty, or it goes round in circles (a small model's usual failure).

    >>> parse_answer('{"likes": "Fans of red."}', "likes", 100)
    'Fans of red.'
    """
    try:
        value = json.loads(content or "").get(step)
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(value, str):
        return None
    line = clean(value, 4 * longest)[:longest]
    if len(line) >= longest:  # the schema ended it within a word
        line = limit_words(line, max(1, len(line.split()) - 1))
    found = line.lower().split()
    in_circles = len(found) > 12 and len(set(found)) < 0.5 * len(found)
    return line if any(c.isalnum() for c in line) and not in_circles else None


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, also where a loop already runs (a notebook); Ctrl-C cancels the work and is passed on."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
