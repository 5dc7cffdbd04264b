"""Asking an endpoint about many rows: what is asked, how often, what is kept, and what becomes of answers that are no good.

The endpoint is the scripted server, on a real socket, unless a test says otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.reasoning.hostile import HOSTILE, PAYLOAD
from tests.reasoning.scripted import Behaviour, Request, Response, Server, answer, chat, scripted, sensible, status

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.training_data import Catalogue, TrainingData
from isrf.reasoning.answers.disk_space import ANSWER_BYTES
from isrf.reasoning.answers.quality import gate_of
from isrf.reasoning.answers.store import AnswerStore, open_store
from isrf.reasoning.answers.validation import CUT, NO_OBJECT, SHARED
from isrf.reasoning.llm.batch_runner import Asking, ask_all
from isrf.reasoning.llm.budget_tracker import Allowance
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.prompts import Question, item_question, prompt_of
from isrf.reasoning.llm.row_results import Replies
from isrf.reasoning.reason import reason_items, reason_users
from isrf.reasoning.tables import unanswered

ANSWERS = ("likes", "dislikes", "feature")
AGAIN = "Rejected: "


def name_of(request: Request) -> str:
    """Which ask it is; "colour" is the negotiation."""
    return str(request.body["response_format"]["json_schema"]["name"])


def asks(server: Server, since: int = 0) -> list[Request]:
    """Requests about rows, in the order in which they came."""
    return [request for request in server.requests[since:] if name_of(request) != "colour"]


def kept(store: Path) -> int:
    with open_store(store) as answers:
        return len(answers)


def of_rows(then: Callable[[Request, int], Response]) -> Behaviour:
    """A behaviour for requests about rows only: numbered by themselves, the negotiation is answered."""
    seen = 0

    def respond(request: Request, before: int) -> Response:
        nonlocal seen
        if name_of(request) == "colour":
            return sensible(request, before)
        seen += 1
        return then(request, seen - 1)

    return respond


def saying(name: str, text: str) -> Behaviour:
    """A good model but for one field, which it always answers alike."""
    return of_rows(lambda request, before: chat(json.dumps(json.loads(answer(request)) | {name: text}))
                   if name in request.fields else sensible(request, before))  # fmt: skip


# what is asked


def test_chained_asks_see_the_ones_before_them(two_tastes: TrainingData, store: Path) -> None:
    with scripted() as server:
        table = reason_items(two_tastes, server.settings(budget="2items"), store)
        first, second, third = asks(server)[:3]
    assert [name_of(request) for request in (first, second, third)] == list(ANSWERS)
    shared = len(first.body["messages"]) - 1
    talk = third.body["messages"]
    assert first.body["messages"] == talk[: shared + 1]
    assert second.body["messages"] == talk[: shared + 3]
    said = [json.loads(message["content"]) for message in talk[shared:] if message["role"] == "assistant"]
    assert said == [{"likes": table["likes"][0]}, {"dislikes": table["dislikes"][0]}]


@pytest.mark.parametrize("plan", ["chained", "single"])
def test_what_requests_share_comes_first_word_for_word(two_tastes: TrainingData, store: Path, plan: str) -> None:
    """So that an endpoint's prefix cache holds it."""
    with scripted() as server:
        settings = server.settings(plan=plan)
        items = reason_items(two_tastes, settings, store)
        about_items = len(asks(server))
        reason_users(two_tastes, items, settings, store)
        found = [json.dumps(request.body["messages"], ensure_ascii=False) for request in asks(server)]
    for kind, requests in (("item", found[:about_items]), ("user", found[about_items:])):
        assert len(requests) > 7
        opening = json.dumps(prompt_of(kind, settings).opening, ensure_ascii=False)[:-1]  # type: ignore[arg-type]
        assert all(text.startswith(opening) for text in requests)


def test_single_asks_once_and_its_schema_orders_the_fields(two_tastes: TrainingData, store: Path) -> None:
    with scripted() as server:
        table = reason_items(two_tastes, server.settings(plan="single"), store)
        requests = asks(server)
    assert len(requests) == two_tastes.n_items and set(table["supplier"]) == {"openai"}
    for request in requests:
        schema = request.body["response_format"]["json_schema"]["schema"]
        assert list(schema["properties"]) == schema["required"] == list(ANSWERS)
        assert request.body["max_tokens"] == 3 * 160


# nothing twice, nothing lost


@pytest.mark.parametrize("plan", ["chained", "single"])
def test_a_second_run_asks_nothing_and_gives_an_equal_table(two_tastes: TrainingData, store: Path, plan: str) -> None:
    with scripted(saying("dislikes", "none")) as server:
        settings = server.settings(plan=plan, concurrency=4)
        one = reason_items(two_tastes, settings, store)
        before = len(server.requests)
        assert reason_items(two_tastes, settings, store).equals(one)
        assert len(server.requests) == before, "not even how to ask is asked again"


def test_a_second_run_needs_no_endpoint(two_tastes: TrainingData, store: Path) -> None:
    with scripted() as server:
        settings = server.settings()
        one = reason_items(two_tastes, settings, store)
        server.down()
        assert reason_items(two_tastes, settings, store).equals(one)


def test_items_that_are_word_for_word_alike_are_asked_about_once(
    build: Callable[..., TrainingData], store: Path
) -> None:
    training = build(["green tea"] * 4, [[0, 1, 2, 3]])
    with scripted(lambda request, before: Response(**vars(sensible(request, before)) | {"delay_s": 0.05})) as server:
        table = reason_items(training, server.settings(concurrency=4), store)
        assert len(asks(server)) == 3 and set(table["supplier"]) == {"openai"}
    assert table["feature"].n_unique() == 1


def test_half_an_exchange_is_not_lost(two_tastes: TrainingData, store: Path) -> None:
    """The first answer is no good, then the endpoint goes away: the next run sends the second attempt only."""

    def at_first(request: Request, before: int) -> Response:
        return chat("no JSON") if before == 0 else status(401, "who are you")

    with scripted(of_rows(at_first)) as server:
        settings = server.settings(budget="1items")
        with pytest.raises(IsrfError):
            reason_items(two_tastes, settings, store)
        server.respond = sensible
        before = len(server.requests)
        table = reason_items(two_tastes, settings, store)
        sent = asks(server, before)
    assert [name_of(request) for request in sent] == list(ANSWERS) and AGAIN in sent[0].text
    assert table["faults"][0] == f"likes: {NO_OBJECT}" and table["fallback"][0] == ""


def test_a_changed_template_asks_again_only_what_it_touches(
    two_tastes: TrainingData, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    with scripted() as server:
        settings = server.settings(budget="3items", prompts=folder)
        one = reason_items(two_tastes, settings, store)
        before = len(server.requests)
        (folder / "item_feature.jinja").write_text('What is <data>{{ title }}</data>? Say it as "feature":')
        two = reason_items(two_tastes, settings, store)
        assert [name_of(request) for request in server.requests[before:]] == ["feature"] * 3
        assert one.select("likes", "dislikes").equals(two.select("likes", "dislikes"))

        before = len(server.requests)
        (folder / "user_likes.jinja").write_text("<data>{{ history }}</data> What does this person like?")
        assert reason_items(two_tastes, settings, store).equals(two)
        assert len(server.requests) == before, "what users are asked is no business of items"

        reason_items(two_tastes, settings.model_copy(update={"domain": "films"}), store)
        assert [name_of(request) for request in server.requests[before:]] == list(ANSWERS) * 3


def test_a_change_of_thinking_room_asks_nothing_again(two_tastes: TrainingData, store: Path) -> None:
    thinking = of_rows(sensible)

    def thinks(request: Request, before: int) -> Response:
        return chat(answer(request), reasoning_content="Let me see.") if request else thinking(request, before)

    with scripted(thinks) as server:
        one = reason_items(two_tastes, server.settings(budget="2items"), store)
        assert asks(server)[0].body["max_tokens"] == 160 + 4096
        before = len(server.requests)
        again = reason_items(two_tastes, server.settings(budget="2items", thinking_tokens=99), store)
        assert again.equals(one) and not asks(server, before)


# answers that are no good


@pytest.mark.parametrize("plan", ["chained", "single"])
def test_a_rejected_answer_is_asked_for_once_more_with_the_reason(
    two_tastes: TrainingData, store: Path, plan: str
) -> None:
    def at_first(request: Request, before: int) -> Response:
        return chat("I would say tea.") if AGAIN not in request.text else sensible(request, before)

    with scripted(of_rows(at_first)) as server:
        table = reason_items(two_tastes, server.settings(plan=plan, budget="1items"), store)
        requests = asks(server)
    names = ["single"] if plan == "single" else list(ANSWERS)
    assert [name_of(request) for request in requests] == [name for name in names for _ in range(2)]
    assert all(NO_OBJECT in request.text for request in requests[1::2])
    assert requests[1].body["temperature"] > requests[0].body["temperature"]
    assert table["faults"][0] == "; ".join(f"{name}: {NO_OBJECT}" for name in names)
    assert table["supplier"][0] == "openai" and table["fallback"][0] == ""
    assert table["tokens_in"][0] == 100 * len(requests), "rejected answers were paid for too"


def test_a_row_without_a_good_answer_falls_back_and_says_why(two_tastes: TrainingData, store: Path) -> None:
    with scripted(saying("feature", "iron teapot")) as server:
        settings = server.settings()
        table = reason_items(two_tastes, settings, store)
        row = table.row(1, named=True)
        assert row["supplier"] == "attributes" and row["fallback"] == "feature: copies the prompt"
        assert row["faults"] == "feature: copies the prompt; feature: copies the prompt"
        assert row["feature"] and row["feature"] != "iron teapot" and row["tokens_out"] == 4 * 20
        before = len(server.requests)
        assert reason_items(two_tastes, settings, store).equals(table) and len(server.requests) == before
    assert unanswered(table) == 0, "it was answered, and paid for: the same is not asked again"


def test_an_answer_that_was_cut_gets_more_room(two_tastes: TrainingData, store: Path) -> None:
    def tight(request: Request, before: int) -> Response:
        whole = answer(request)
        return chat(whole) if request.body["max_tokens"] > 160 else chat(whole[:9], finish="length")

    with scripted(of_rows(tight)) as server:
        table = reason_items(two_tastes, server.settings(budget="1items"), store)
        rooms = [request.body["max_tokens"] for request in asks(server)]
    assert rooms == [160, 160 + 4096] * 3
    assert table["faults"][0] == "" and table["supplier"][0] == "openai" and table["tokens_in"][0] == 600


def test_an_answer_that_is_always_cut_falls_back(two_tastes: TrainingData, store: Path) -> None:
    with scripted(of_rows(lambda request, before: chat('{"likes": "Peo', finish="length"))) as server:
        table = reason_items(two_tastes, server.settings(budget="1items"), store)
        assert len(asks(server)) == 4, "two attempts, each with more room once"
    assert table["fallback"][0] == f"likes: {CUT}"


def test_thinking_is_counted_and_never_becomes_the_answer(two_tastes: TrainingData, store: Path) -> None:
    thought = '<think>{"likes": "THOUGHT", "dislikes": "THOUGHT", "feature": "THOUGHT"}</think>'
    with scripted(of_rows(lambda request, before: chat(thought + answer(request)))) as server:
        table = reason_items(two_tastes, server.settings(), store)
    assert set(table["supplier"]) == {"openai"}
    assert table["tokens_thinking"].gt(0).all() and (table["tokens_thinking"] < table["tokens_out"]).all()
    assert not any("THOUGHT" in text for name in ANSWERS for text in table[name])


def test_a_think_block_without_an_end_is_asked_with_more_room(two_tastes: TrainingData, store: Path) -> None:
    def lost(request: Request, before: int) -> Response:
        return chat("<think>" + answer(request)) if request.body["max_tokens"] <= 160 else sensible(request, before)

    with scripted(of_rows(lost)) as server:
        table = reason_items(two_tastes, server.settings(budget="1items"), store)
        rooms = [request.body["max_tokens"] for request in asks(server)]
    # cut, asked with more room; from then on it is known to think, although it did not about the sky
    assert rooms == [160, 160 + 4096, 160 + 4096, 160 + 4096]
    assert table["supplier"][0] == "openai" and table["tokens_thinking"][0] > 0


# the same sentence for many


def many(build: Callable[..., TrainingData], n: int = 12) -> TrainingData:
    nouns = [
        "teapot",
        "lamp",
        "scarf",
        "shovel",
        "violin",
        "kettle",
        "ladder",
        "basket",
        "mirror",
        "pillow",
        "drum",
        "kite",
    ]
    return build([f"{nouns[row % len(nouns)]} number {row}" for row in range(n)], [list(range(n))])


SAME = "A fine gift for anyone who enjoys good things."


def same_at_first(request: Request, before: int) -> Response:
    if "feature" in request.fields and AGAIN not in request.text:
        return chat(json.dumps(json.loads(answer(request)) | {"feature": SAME}))
    return sensible(request, before)


@pytest.mark.parametrize("plan", ["chained", "single"])
def test_a_sentence_given_to_many_items_is_asked_for_once_more(
    build: Callable[..., TrainingData], store: Path, plan: str
) -> None:
    with scripted(of_rows(same_at_first)) as server:
        settings = server.settings(plan=plan, concurrency=3)
        table = reason_items(many(build), settings, store)
        repeats = [request for request in asks(server) if AGAIN in request.text]
        assert len(repeats) == 12 and all(SHARED in request.text for request in repeats)
        before = len(server.requests)
        assert reason_items(many(build), settings, store).equals(table) and len(server.requests) == before
    assert set(table["supplier"]) == {"openai"} and SAME not in set(table["feature"])
    assert set(table["faults"]) == {f"{'single' if plan == 'single' else 'feature'}: {SHARED}"}
    assert table["tokens_in"].sum() == 100 * len(asks(server)), "each answer is counted once"


def test_a_sentence_that_stays_the_same_falls_back(build: Callable[..., TrainingData], store: Path) -> None:
    with scripted(saying("feature", SAME)) as server:
        table = reason_items(many(build), server.settings(), store)
    assert set(table["fallback"]) == {f"feature: {SHARED}"} and set(table["supplier"]) == {"attributes"}


def test_nine_items_may_share_a_sentence(build: Callable[..., TrainingData], store: Path) -> None:
    with scripted(saying("feature", SAME)) as server:
        table = reason_items(many(build, 9), server.settings(), store)
    assert set(table["feature"]) == {SAME} and set(table["supplier"]) == {"openai"}


def test_repeats_count_once_in_a_budget(build: Callable[..., TrainingData], store: Path) -> None:
    """12 items at 120 tokens cost 1,440 and their repeats as much again; 80% of 2,200 pays for a few repeats only."""
    with scripted(of_rows(same_at_first)) as server:
        settings = server.settings(plan="single", budget="2200tok")
        table = reason_items(many(build), settings, store)
        assert 120 * len(asks(server)) <= 1760 + 120
        before = len(server.requests)
        assert reason_items(many(build), settings, store).equals(table) and len(server.requests) == before
    assert Counter(table["fallback"]) == {"": 3, f"feature: {SHARED}": 9}


# refusals


def test_a_refusal_is_not_kept_and_asked_again_by_the_next_run(two_tastes: TrainingData, store: Path) -> None:
    def at_first(request: Request, before: int) -> Response:
        return status(400, "try another day") if before < 1 else sensible(request, before)

    with scripted(of_rows(at_first)) as server:
        settings = server.settings(budget="3items")
        items = reason_items(two_tastes, settings, store)
        assert unanswered(items) == 1 and items["fallback"][0].startswith("endpoint: refuses the request")
        assert items["tokens_in"][0] == 0 and kept(store) == 6
        before = len(server.requests)
        items = reason_items(two_tastes, settings, store)
        assert unanswered(items) == 0 and kept(store) == 9 and len(server.requests) == before + 3


def test_an_endpoint_that_refuses_everything_is_not_asked_for_ever(
    build: Callable[..., TrainingData], store: Path
) -> None:
    with scripted(of_rows(lambda request, before: status(400, "context is too short"))) as server:
        settings = server.settings()
        for _ in range(2):  # forgets how to ask, so the second run finds out anew
            before = len(server.requests)
            with pytest.raises(IsrfError, match=r"refuses every request.*context is too short") as caught:
                reason_items(many(build), settings, store)
            assert "\n" not in str(caught.value)
            assert len(asks(server, before)) == 8 and name_of(server.requests[before]) == "colour"
        assert kept(store) == 0


def test_rows_that_are_always_refused_do_not_stop_later_runs(build: Callable[..., TrainingData], store: Path) -> None:
    """More rows than that may be refused for good, by a filter of content; the second run meets nothing but those."""

    def filtered(request: Request, before: int) -> Response:
        return (
            status(400, "filtered")
            if any(f"number {n}" in request.text for n in "23456789")
            else sensible(request, before)
        )

    with scripted(of_rows(filtered)) as server:
        settings = server.settings(plan="single")
        one = reason_items(many(build), settings, store)
        assert unanswered(one) == 8
        before = len(server.requests)
        assert reason_items(many(build), settings, store).equals(one)
        assert Counter(name_of(request) for request in server.requests[before:]) == {"single": 8, "colour": 1}


def test_another_server_is_asked_how_it_wants_to_be_asked(two_tastes: TrainingData, store: Path) -> None:
    with scripted() as one, scripted() as other:
        reason_items(two_tastes, one.settings(budget="1items"), store)
        reason_items(two_tastes, other.settings(budget="2items"), store)
        assert [name_of(request) for request in other.requests] == ["colour", *ANSWERS]


# budgets


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(("budget", "rows"), [("3items", 3), ("1500tok", 4), ("600tok", 2)])
def test_a_budget_is_not_overshot_and_ends_alike_when_resumed(
    build: Callable[..., TrainingData], store: Path, budget: str, rows: int, concurrency: int
) -> None:
    """A row of three asks costs 360 tokens, and items get 80%: 1,200 tokens are used up by the fourth row."""
    with scripted() as server:
        settings = server.settings(budget=budget, concurrency=concurrency)
        table = reason_items(many(build), settings, store)
        assert table["supplier"].eq("openai").sum() == rows
        assert len(asks(server)) <= 3 * (rows + concurrency - 1)
        assert set(table["fallback"]) == {"", "budget"}
        before = len(server.requests)
        for again in (concurrency, 1, 3):
            assert reason_items(many(build), settings.model_copy(update={"concurrency": again}), store).equals(table)
        assert len(server.requests) == before


def test_a_budget_in_money_ends_where_the_prices_say(build: Callable[..., TrainingData], store: Path) -> None:
    prices = store.parent / "prices.yaml"
    prices.write_text("m: {input_usd_per_mtok: 1000, output_usd_per_mtok: 10000}\n")
    with scripted() as server:  # an ask costs 0.10 + 0.20 USD, a row 0.90, and items get 2.40 of 3
        table = reason_items(many(build), server.settings(budget="3usd", prices=prices), store)
    assert table["supplier"].eq("openai").sum() == 3


def test_a_budget_in_seconds_ends_in_time(build: Callable[..., TrainingData], store: Path) -> None:
    with scripted(lambda request, before: Response(**vars(sensible(request, before)) | {"delay_s": 0.3})) as server:
        table = reason_items(many(build), server.settings(budget="3s", plan="single"), store)
        assert 1 <= len(asks(server)) <= 8
    by_llm = table["supplier"].eq("openai").sum()
    assert 1 <= by_llm <= 7 and table["fallback"].eq("budget").sum() == 12 - by_llm


# order


def test_items_are_asked_about_by_interactions_and_users_by_history(
    build: Callable[..., TrainingData], store: Path
) -> None:
    training = build(["tin", "cup", "", "lid"], [[1], [3, 1], [0, 1, 2]])
    with scripted() as server:
        settings = server.settings(plan="single")
        items = reason_items(training, settings, store)
        told = [request.text.split("title: ")[1].split("\n")[0] for request in asks(server)]
        assert told == ["cup", "tin", "lid"], "three, one and one interactions; ties go by item id"
        assert items["fallback"][2] == "no text" and items["supplier"][2] == "attributes"
        before = len(server.requests)
        reason_users(training, items, settings, store)
        lengths = [request.text.count("\n- ") for request in asks(server, before)]
        assert lengths == sorted(lengths, reverse=True) and len(lengths) == 3


def test_a_person_without_a_history_is_not_asked_about(build: Callable[..., TrainingData], store: Path) -> None:
    training = build(["tin", "cup"], [[], [0, 1]])
    with scripted() as server:
        settings = server.settings(plan="single")
        users = reason_users(training, reason_items(training, settings, store), settings, store)
    assert users["fallback"].to_list() == ["no text", ""]


# catalogue text is data


def test_a_hostile_catalogue_spoils_no_other_row(build: Callable[..., TrainingData], store: Path) -> None:
    """A model that obeys whatever it reads: the rows of hostile items may fall back, all others are whole."""

    def gullible(request: Request, before: int) -> Response:
        mine = request.text
        if PAYLOAD in mine:
            return chat(json.dumps(dict.fromkeys(request.fields, PAYLOAD)))
        return sensible(request, before)

    good = ["green tea sampler", "trail shoes", "oak shelf", "wool scarf"]
    training = build([*HOSTILE, *good], [list(range(len(HOSTILE) + len(good)))], description=HOSTILE[::-1] + [""] * 4)
    with scripted(of_rows(gullible)) as server:
        settings = server.settings(plan="single", concurrency=4)
        table = reason_items(training, settings, store)
        assert table["supplier"][-4:].to_list() == ["openai"] * 4
        for row in table.iter_rows(named=True):
            assert all(row[name] and row[name].isprintable() and not set(row[name]) & set("<>") for name in ANSWERS)
            if row["supplier"] == "openai":
                assert PAYLOAD not in " ".join(row[name] for name in ANSWERS)
        assert reason_items(training, settings, store).equals(table)


# memory


def questions_of(n: int, taken: list[int] | None) -> Iterator[Question]:
    prompt = prompt_of("item", ReasoningSettings(plan="single"))
    catalogue = Catalogue(pl.DataFrame({Columns.ITEM: ["i"], Columns.TITLE: ["green tea"]}))
    question = item_question(prompt, catalogue, 0)
    for row in range(n):
        if taken is not None:
            taken.append(row)
        asked = tuple(type(ask)(ask.name, ask.fields, ask.text.replace("green", f"tea{row}")) for ask in question.asks)
        yield Question(row, question.data, asked)


def asking_of(settings: ReasoningSettings) -> Asking:
    prompt = prompt_of("item", settings)
    gate = gate_of(prompt, [], settings)
    return Asking(prompt, Endpoint("openai", settings.base_url, "m", "m"), settings, gate, None)


def test_questions_are_taken_as_workers_get_free(store: Path) -> None:
    taken: list[int] = []
    ahead: list[int] = []

    def watch(request: Request, before: int) -> Response:
        ahead.append(len(taken) - before)
        return sensible(request, before)

    with scripted(of_rows(watch)) as server, open_store(store) as answers, Replies(60) as replies:
        settings = server.settings(plan="single", concurrency=5, language="any")
        ask_all(questions_of(60, taken), 60, asking_of(settings), answers, Allowance(None, None), replies)
        assert len(replies.rows()) == 60 and max(ahead) <= 5


def test_no_questions_no_request(store: Path) -> None:
    with scripted() as server, open_store(store) as answers, Replies(0) as replies:
        ask_all(iter(()), 0, asking_of(server.settings()), answers, Allowance(None, None), replies)
        assert not server.requests and np.array_equal(replies.rows(), [])


FAST = """
import asyncio, json
text = {"colour": "blue", "likes": "Patient readers who enjoy quiet evenings at home.",
        "dislikes": "Busy parents who avoid slow rituals.", "feature": "Calm choice for thoughtful people with time."}
usage = {"prompt_tokens": 100, "completion_tokens": 20}
body = json.dumps({"choices": [{"finish_reason": "stop", "message": {"content": json.dumps(text)}}], "usage": usage})
whole = f"HTTP/1.1 200 OK\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}".encode()

class Answers(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.left, self.head = transport, 0, b""

    def data_received(self, data):  # one request at a time on each connection
        if not self.left:
            self.head += data
            head, blank, data = self.head.partition(b"\\r\\n\\r\\n")
            if not blank:
                return
            self.left, self.head = int(head.lower().split(b"content-length:")[1].split(b"\\r")[0]), b""
        self.left -= len(data)
        if not self.left:
            self.transport.write(whole)

async def main():
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@pytest.mark.parametrize("rows", [3_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_rows(store: Path, rows: int) -> None:
    """Resident memory after a tenth of the rows and at the end; the server is another process."""
    page, at = os.sysconf("SC_PAGE_SIZE"), dict[int, int]()

    def watched(questions: Iterator[Question]) -> Iterator[Question]:
        for n, question in enumerate(questions):
            if n in (rows // 10, rows - 1):
                at[n] = page * int(Path("/proc/self/statm").read_text().split()[1])
            yield question

    child = subprocess.Popen([sys.executable, "-c", FAST], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        url = f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
        settings = ReasoningSettings(
            supplier="openai",
            base_url=url,
            model="m",
            plan="single",
            structure="prompted",
            concurrency=32,
            language="en",
        )
        asking = asking_of(settings)
        with open_store(store) as answers, Replies(rows) as replies:
            ask_all(watched(questions_of(rows, None)), rows, asking, answers, Allowance(None, None), replies)
            assert len(answers) == rows == len(replies.rows()) and replies.get(rows - 1).failed == ""  # type: ignore[union-attr]
    finally:
        child.kill()
        child.communicate()
    assert at[rows - 1] - at[rows // 10] < 16 << 20


# a full disk


def test_nothing_is_asked_that_a_full_disk_cannot_keep(
    two_tastes: TrainingData, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking ends before the disk does: every answer that was asked for is kept."""
    left = shutil.disk_usage(store.parent)._replace(free=5 * ANSWER_BYTES)
    with scripted() as server:

        def fills(path: Path) -> Any:
            return left._replace(free=left.free - len(server.requests) * ANSWER_BYTES // 2)

        monkeypatch.setattr(shutil, "disk_usage", fills)
        with pytest.raises(IsrfError, match=r"nothing more is asked; answers so far are kept: free some space"):
            reason_items(two_tastes, server.settings(concurrency=4), store)
        assert kept(store) == len(asks(server)) > 0


def test_after_the_first_answer_that_cannot_be_kept_nothing_more_is_asked(
    two_tastes: TrainingData, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota shows in no free space: what is under way then is lost, and said to be."""
    put, kept_before = AnswerStore.put, 6

    def full(self: AnswerStore, key: str, *given: Any) -> Any:
        if len(self) >= kept_before:
            raise IsrfError(f"{self.path}: cannot use this store of answers (database or disk is full)")
        return put(self, key, *given)

    monkeypatch.setattr(AnswerStore, "put", full)
    with scripted(lambda request, before: replace(sensible(request, before), delay_s=0.02)) as server:
        with pytest.raises(
            IsrfError, match=r"disk is full\); nothing more is asked, and up to [1-3] answers that were"
        ):
            reason_items(two_tastes, server.settings(concurrency=3), store)
        assert kept(store) == kept_before and len(asks(server)) <= kept_before + 3
