"""Asking an LLM about many rows at once: each answer kept at once, judged, asked for once more where it is no good.

Rows are taken from an iterator as workers get free, and their replies go to a file, so that a million of them need
little memory. What the store knows is not asked again. Knows nothing about tables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import Task, note, task
from isrf.reasoning.answers.disk_space import check_room
from isrf.reasoning.answers.keys import Keys, meet, sampling
from isrf.reasoning.answers.quality import Gate
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.rows import Origin
from isrf.reasoning.answers.store import AnswerStore
from isrf.reasoning.answers.validation import judge
from isrf.reasoning.llm.agreed_dialect import AgreedDialect
from isrf.reasoning.llm.async_bridge import run
from isrf.reasoning.llm.budget_tracker import Allowance
from isrf.reasoning.llm.client import Client, Endpoint
from isrf.reasoning.llm.dialect import Dialect
from isrf.reasoning.llm.http_errors import KEPT, Refused, Unanswered
from isrf.reasoning.llm.prices import Price
from isrf.reasoning.llm.prompts import Ask, Field, Prompt, Question, turn
from isrf.reasoning.llm.row_results import Replies, Reply

MORE_ROOM = 4
"""So many times the room an answer gets that the token limit cut."""
REFUSALS = 8
"""So many refused requests and not one answer: the endpoint does not understand us, and going on is pointless."""


@dataclass(frozen=True)
class Asking:
    """What all rows of one kind share.

    Attributes:
        shared: keys of sentences that too many items were given; as a feature they are a fault.
        price: of a hosted model, where it is known.
    """

    prompt: Prompt
    endpoint: Endpoint
    settings: ReasoningSettings
    gate: Gate
    price: Price | None
    shared: frozenset[int] = frozenset()


def ask_all(
    questions: Iterable[Question], total: int, asking: Asking, store: AnswerStore, allowance: Allowance, into: Replies
) -> None:
    """Ask about each row in the given order until the allowance is spent; replies go ``into`` as they are complete.

    Args:
        questions: most important row first; taken one by one, never all at once.
        total: how many there are, for the progress bar.

    Raises:
        IsrfError: the endpoint is down, cannot be reached, or refuses the key, the model or everything that it is
            asked. Every answer up to then is in the store.
    """
    if total:
        run(_Session(asking, store, allowance, into).all_rows(iter(questions), total))


class _Session:
    """One ``ask_all``: what its concurrent rows share."""

    def __init__(self, asking: Asking, store: AnswerStore, allowance: Allowance, into: Replies) -> None:
        self.asking, self.store, self.allowance, self.into = asking, store, allowance, into
        self.prompt, self.endpoint, self.settings = asking.prompt, asking.endpoint, asking.settings
        self.client = Client(self.endpoint, self.settings)
        self.keys = Keys(self.prompt, self.endpoint, self.settings)
        self.dialect = AgreedDialect(self.client, self.endpoint, self.settings, store)
        self.refused = self.answered = self.known = 0  # requests refused and answered, answers from the store
        self.flying = dict[str, asyncio.Event]()  # two items may be word for word alike: the second waits
        self.sent = dict[str, asyncio.Event]()  # of these, whose question went out and whose answer is not kept yet
        self.told = set[str]()  # reasons why rows were not answered
        self.numbered = 0  # rows taken
        self.settled = 0  # rows settled, in the order in which they were taken
        self.unsettled = dict[int, tuple[int, Reply, Reply | None]]()

    async def all_rows(self, waiting: Iterator[Question], total: int) -> None:
        async with self.client:
            with task(f"reasoning about {self.prompt.kind}s with {self.endpoint.model}", total) as bar:
                workers = [
                    asyncio.create_task(self._worker(waiting, bar))
                    for _ in range(min(self.settings.concurrency, total))
                ]
                try:
                    await asyncio.gather(*workers)
                finally:
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)

    async def _worker(self, waiting: Iterator[Question], bar: Task) -> None:
        allowance = self.allowance
        while allowance.open() and (question := next(waiting, None)) is not None:
            number, self.numbered = self.numbered, self.numbered + 1
            earlier = self.into.get(question.row)
            if earlier is not None:
                allowance.again(earlier.tokens_in, earlier.tokens_out)
            allowance.rows_in_flight += 1
            asked_before = self.answered
            try:
                async with asyncio.timeout(allowance.seconds_left):
                    reply = await self._row(question)
            except TimeoutError:
                return  # the budget ran out within the row; its finished steps are in the store
            finally:
                allowance.rows_in_flight -= 1
            allowance.rows += 1
            self._keep(number, question.row, reply, earlier)
            bar.say(allowance.told())
            bar.advance()
            if self.answered == asked_before:
                await asyncio.sleep(0)  # all from the store: let Ctrl-C and the answers of others through

    def _keep(self, number: int, row: int, reply: Reply, earlier: Reply | None) -> None:
        """Put a reply; under a budget of tokens or money in the order of rows, and only what it pays for."""
        if not self.allowance.by_use:
            self.into.put(row, reply)
            return
        self.unsettled[number] = (row, reply, earlier)
        while (ready := self.unsettled.pop(self.settled, None)) is not None:
            self.settled += 1
            row, reply, earlier = ready
            before = (earlier.tokens_in, earlier.tokens_out) if earlier is not None else (0, 0)
            if self.allowance.settle(reply.tokens_in - before[0], reply.tokens_out - before[1]):
                self.into.put(row, reply)

    async def _row(self, question: Question) -> Reply:
        """All asks of the plan; each sees the questions and answers before it."""
        started, asked_before = time.monotonic(), self.answered
        talk, texts = list[dict[str, str]](), dict[Field, str]()
        faults, spent = list[str](), [0, 0, 0]
        failed = ""
        for ask in question.asks:
            found, why = await self._answer(question, ask, talk, texts, faults, spent)
            if found is None:
                failed = why
                break
            texts |= found
            talk += turn(ask.text, found)
        if self.answered > asked_before:
            self.allowance.rows_asked += 1
            self.allowance.row_seconds += time.monotonic() - started
        likes, dislikes, feature = ("" if failed else texts[f] for f in ("likes", "dislikes", "feature"))
        return Reply(likes, dislikes, feature, spent[0], spent[1], spent[2], tuple(faults), failed)

    async def _answer(
        self,
        question: Question,
        ask: Ask,
        talk: list[dict[str, str]],
        before: dict[Field, str],
        faults: list[str],
        spent: list[int],
    ) -> tuple[dict[Field, str] | None, str]:
        """The fields of one ask, asked for once more with the reason where the first answer was no good."""
        fault = ""
        for attempt in range(2):
            # before the question: a small model answers what it read last
            again = f"Rejected: {fault}. Once more:\n" if attempt else ""
            messages = [*talk, {"role": "user", "content": again + ask.text}]
            try:
                completion = await self._completion(ask, messages, attempt, spent)
            except Refused as refused:
                return None, self._lost("refuses the request, ", refused)
            except Unanswered as unanswered:
                return None, self._lost("", unanswered)
            found, fault = judge(
                completion, ask, question.data, before, self.prompt, self.asking.gate, self.asking.shared
            )
            if found is not None:
                return found, ""
            faults.append(f"{ask.name}: {fault}")
        return None, faults[-1]

    def _lost(self, what: str, error: Exception) -> str:
        """Why a row has no answer; the endpoint's own words are told once, and are no part of a table: they differ."""
        brief = what + str(error).partition(" (")[0]
        if brief not in self.told:
            self.told.add(brief)
            note(f"{self.client.url}: {what}{error}")
        return f"endpoint: {brief}"

    async def _completion(self, ask: Ask, messages: list[dict[str, str]], attempt: int, spent: list[int]) -> Completion:
        """The model's answer, with more room where its first was cut."""
        completion = await self._asked(ask, messages, attempt, None, spent)
        return await self._asked(ask, messages, attempt, completion, spent) if completion.cut else completion

    def _room(self, ask: Ask, dialect: Dialect, cut: Completion | None) -> int:
        """Longest answer, thinking included, in tokens."""
        plain, thinking = self.prompt.tokens[ask.name], self.settings.thinking_tokens
        if cut is None:
            return plain + thinking if dialect.thinks else plain
        return min(MORE_ROOM * (plain + thinking), max(MORE_ROOM * cut.tokens_out, plain + thinking))

    async def _asked(
        self, ask: Ask, messages: list[dict[str, str]], attempt: int, cut: Completion | None, spent: list[int]
    ) -> Completion:
        """From the store, or from the endpoint and then at once into the store."""
        # the same key whether or not the model was found to think: that may be found anew, or by nobody
        most = MORE_ROOM * (self.prompt.tokens[ask.name] + self.settings.thinking_tokens)
        key = self.keys.of(ask.name, messages, attempt, most if cut else None)
        meet(key)
        while (completion := self.store.get(key)) is None and key in self.flying:
            await self.flying[key].wait()
        if completion is None:
            self.flying[key] = asyncio.Event()
            try:
                completion = await self._sent(key, ask, messages, attempt, cut)
            finally:
                self.sent.pop(key, None)
                self.flying.pop(key).set()
        else:
            self.known += 1
        for n, tokens in enumerate((completion.tokens_in, completion.tokens_out, completion.tokens_thinking)):
            spent[n] += tokens
        self.allowance.spend(completion.tokens_in, completion.tokens_out)
        return completion

    async def _sent(
        self, key: str, ask: Ask, messages: list[dict[str, str]], attempt: int, cut: Completion | None
    ) -> Completion:
        """From the endpoint, and at once into the store."""
        endpoint, prompt = self.endpoint, self.prompt
        dialect = await self.dialect.current()
        parameters = sampling(self.settings, attempt) | {"max_tokens": self._room(ask, dialect, cut)}
        whole = [*prompt.opening, *messages]
        body = dialect.body(endpoint.model, whole, ask.name, prompt.schemas[ask.name], parameters)
        try:
            check_room(self.store.path, len(self.sent) + 1)
        except IsrfError:
            while self.sent:  # these are paid for, and there is room for them
                await next(iter(self.sent.values())).wait()
            raise
        self.sent[key] = self.flying[key]
        started = time.monotonic()
        try:
            completion = await self.client.complete(body)
        except Refused as refused:
            # one prompt may be too long for the model; that all are is something else
            self.refused += 1
            if self.refused >= REFUSALS and not self.answered and not self.known:
                self.dialect.forget()
                raise IsrfError(f"{self.client.url}: refuses every request, {refused}; {KEPT}") from None
            if self.refused == REFUSALS and not self.answered:
                # perhaps only the rows that it always refuses are left, perhaps it changed: a probe tells
                await self.dialect.negotiate_again()
            raise
        seconds = time.monotonic() - started
        self.answered += 1
        if completion.tokens_thinking and not dialect.thinks:
            # not about the sky, but about this: without the room every answer would be cut and paid for twice
            self.dialect.correct(dialect)
        origin = Origin(endpoint.supplier, endpoint.identity, prompt.kind, ask.name, prompt.versions[ask.name], seconds)
        try:
            return self.store.put(key, completion, origin)
        except IsrfError as error:
            lost = len(self.sent)
            told = f"{error}; nothing more is asked, and up to {lost:,} answers that were under way are lost"
            raise IsrfError(told) from error
