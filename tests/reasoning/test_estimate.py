"""Estimates: what they say before the run is what the run then takes, and nothing that costs money is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.reasoning.scripted import Behaviour, Request, Response, chat, scripted, sensible

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.data.training_data import TrainingData
from isrf.reasoning.answers.store import open_store
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.estimate import ASKED, described, estimate
from isrf.reasoning.llm.prices import Price
from isrf.reasoning.llm.prompts import PLANS
from isrf.reasoning.llm.row_samples import SAMPLED, chats_of, item_sample, known_rows, user_sample
from isrf.reasoning.llm.token_counts import APPROXIMATE
from isrf.reasoning.reason import reason_items

pytestmark = pytest.mark.usefixtures("shell")

PAID = ReasoningSettings(supplier="openai", model="gpt-4o-mini")
"""OpenAI's own endpoint, without a key: an estimate that asked anything would fail."""
COLOURS = ("red", "green", "blue", "brown", "white")
THINGS = ("teapot", "lamp", "kite", "drum", "chair", "map", "kettle", "globe")


@pytest.fixture
def shop(build: Callable[..., TrainingData]) -> TrainingData:
    """Forty items, the first bought most; thirty people with ever shorter histories."""
    titles = [f"{colour} {thing}" for colour in COLOURS for thing in THINGS]
    return build(titles, [list(range(40 - n)) for n in range(30)])


def test_a_paid_endpoint_is_estimated_without_asking_it(shop: TrainingData, store: Path) -> None:
    found = estimate(shop, PAID, store)
    assert (found.items.rows, found.users.rows) == (40, 30)
    assert (found.items.calls, found.users.calls) == (120, 90), "three questions a row"
    for part in (found.items, found.users):
        assert part.usd == pytest.approx(Price(0.15, 0.60).cost(part.tokens_in, part.tokens_out))
        assert part.seconds is None and part.known == 0
        assert part.answers_from == "at most, by the word limits"
        assert part.reached == part.rows, "no budget, no limit"
    assert found.counted_by == APPROXIMATE
    assert not store.exists()
    text = described(found)
    assert "unknown" in text and "--budget 20items" in text and APPROXIMATE in text


def test_the_plan_decides_on_calls(shop: TrainingData, store: Path) -> None:
    chained, single = (estimate(shop, PAID.model_copy(update={"plan": plan}), store) for plan in PLANS)
    assert single.items.calls == 40 and chained.items.calls == 120
    assert single.items.tokens_in < chained.items.tokens_in


def test_a_model_without_a_price_is_told_how_to_get_one(shop: TrainingData, store: Path) -> None:
    found = estimate(shop, PAID.model_copy(update={"model": "mine:7b"}), store)
    assert found.items.usd is None and found.users.usd is None
    assert any("no price is known for model 'mine:7b'" in line for line in found.notes)
    assert "money, USD" in described(found)


def test_nothing_but_an_llm_is_estimated(shop: TrainingData, store: Path) -> None:
    with pytest.raises(IsrfError, match=r"cost nothing; set reasoning\.supplier"):
        estimate(shop, ReasoningSettings(), store)


def test_nothing_to_ask_costs_nothing(build: Callable[..., TrainingData], store: Path) -> None:
    found = estimate(build(["", " "], [[]]), PAID, store)
    for part in (found.items, found.users):
        assert (part.rows, part.calls, part.tokens_in, part.tokens_out, part.usd) == (0, 0, 0, 0, 0)
    assert described(found)


@pytest.mark.parametrize(("budget", "items", "users"), [("3items", 3, 0), ("400items", 40, 0)])
def test_a_budget_in_items_reaches_those_that_are_bought_most(
    shop: TrainingData, store: Path, budget: str, items: int, users: int
) -> None:
    found = estimate(shop, PAID.model_copy(update={"budget": budget}), store)
    assert (found.items.reached, found.users.reached) == (items, users)
    most = np.sort(shop.popularity)[::-1]
    assert found.items.share == pytest.approx(most[:items].sum() / most.sum())
    assert budget in described(found)


@pytest.mark.parametrize("unit", ["ktok", "usd"])
def test_a_budget_reaches_what_it_pays_for(shop: TrainingData, store: Path, unit: str) -> None:
    whole = estimate(shop, PAID, store)
    needed = {  # four fifths of a budget go to items
        "ktok": (whole.items.tokens_in + whole.items.tokens_out) / 1000 / 0.8,
        "usd": (whole.items.usd or 0) / 0.8,
    }[unit]
    reached = []
    for part in (0.1, 0.5, 0.9, 1.1):
        amount = f"{needed * part:.0f}" if unit == "ktok" else f"{needed * part:.6f}"
        found = estimate(shop, PAID.model_copy(update={"budget": f"{amount}{unit}"}), store)
        assert found.items.reached is not None and found.items.share is not None
        assert found.items.reached == pytest.approx(min(40 * part, 40), abs=2)
        assert found.items.share >= found.items.reached / 40, "those that are bought most come first"
        assert found.items.calls == 120, "the table is of the whole; the budget has its own line"
        reached.append(found.items.reached)
    assert reached == sorted(reached)


def test_a_budget_of_time_needs_a_measured_time(shop: TrainingData, store: Path) -> None:
    found = estimate(shop, PAID.model_copy(update={"budget": "2min"}), store)
    assert found.items.reached is None and found.items.share is None
    assert "rows within 2min" in described(found)


def test_an_endpoint_on_this_machine_is_asked_and_the_answers_are_used(shop: TrainingData, store: Path) -> None:
    with scripted() as server:
        settings = server.settings(concurrency=4)
        before = estimate(shop, settings, store)
        assert before.items.known == ASKED and before.items.rows == 40
        assert before.items.seconds is not None and before.users.seconds is not None
        assert before.items.usd == 0
        assert f"{ASKED} items were asked about" in described(before)
        asked = len(server.requests)
        again = estimate(shop, settings, store)
        assert (again.items, again.users) == (before.items, before.users)
        assert len([r for r in server.requests[asked:] if r.path == "/v1/chat/completions"]) == 0, "asked once"

        asked = len(server.requests)
        table = reason_items(shop, settings, store)
        calls = len([r for r in server.requests[asked:] if r.path == "/v1/chat/completions"])
        assert calls == pytest.approx(before.items.calls, rel=0.25), "repeats included"
        # the server says 100 tokens in and 20 out, whatever it is asked
        assert before.items.tokens_in == pytest.approx(100 * before.items.calls, rel=0.05)
        assert before.items.tokens_out == pytest.approx(20 * before.items.calls, abs=1)
        assert table["tokens_out"].sum() == pytest.approx(20 * (before.items.calls + ASKED * 3), rel=0.25)

        after = estimate(shop, settings, store)
        assert (after.items.known, after.items.calls, after.items.tokens_in, after.items.seconds) == (40, 0, 0, 0)
        assert after.users.calls > 0


def rejected_once(request: Request, before: int) -> Response:
    good = request.fields == ["colour"] or request.body.get("temperature", 0) > 0  # repeats are warmer
    return sensible(request, before) if good else chat("I would rather not say.")


def rejected(request: Request, before: int) -> Response:
    return sensible(request, before) if request.fields == ["colour"] else chat("I would rather not say.")


@pytest.mark.parametrize(("behaviour", "calls_a_row"), [(rejected_once, 6), (rejected, 2)])
def test_what_a_row_takes_is_measured_with_its_repeats(
    shop: TrainingData, store: Path, behaviour: Behaviour, calls_a_row: int
) -> None:
    with scripted(behaviour) as server:
        found = estimate(shop, server.settings(concurrency=4), store)
    assert found.items.calls == pytest.approx(32 * calls_a_row, rel=0.25)
    assert found.users.calls == pytest.approx(30 * calls_a_row, rel=0.25), "as about items"
    assert found.items.seconds is not None and found.items.answers_from == "as measured"


def test_limits_a_minute_bound_the_time(shop: TrainingData, store: Path) -> None:
    with scripted() as server:
        free = estimate(shop, server.settings(), store)
        slow = estimate(shop, server.settings(requests_per_minute=30), store)
        assert slow.items.seconds == pytest.approx(2 * slow.items.calls, rel=0.05)
        frugal = estimate(shop, server.settings(tokens_per_minute=1200), store)
        assert frugal.items.seconds == pytest.approx((free.items.tokens_in + free.items.tokens_out) / 20, rel=0.05)
        assert free.items.seconds is not None and free.items.seconds < 30


@pytest.mark.slow
def test_a_real_model_is_counted_by_its_own_tokenizer(
    build: Callable[..., TrainingData], asked: ReasoningSettings, store: Path
) -> None:
    """In the other tier, ``test_reason_command`` has an estimate of a real model, as a command prints it."""
    training = build(["green tea sampler", "trail shoes"], [[0, 1], [0], [1, 0]])
    settings = asked.model_copy(update={"budget": "100ktok", "plan": "single", "max_tokens": 16})
    found = estimate(training, settings, store)
    assert found.counted_by == "llama.cpp"
    assert found.items.known == 2 and found.items.calls == 0, "two items, both of them asked about"
    assert found.users.rows == 3 and found.users.calls >= 3
    assert found.users.seconds is not None and found.users.seconds > 0
    with open_store(store) as answers:
        measured = answers.measured("openai", "smollm2", "item", "single")
    assert measured is not None and measured.tokens_out <= 3 * 16 * 4
    assert found.users.tokens_out == pytest.approx(found.users.calls * measured.tokens_out, rel=0.5)


def test_an_endpoint_that_is_down_is_one_clear_line(shop: TrainingData, store: Path) -> None:
    with scripted() as server:
        server.down()
        with pytest.raises(IsrfError, match="cannot be reached"):
            estimate(shop, server.settings(), store)


def test_rows_are_sampled_evenly_in_the_order_of_asking(build: Callable[..., TrainingData]) -> None:
    training = build([f"thing {n}" for n in range(1000)], [[n] * (n + 1) for n in range(300)])
    items, users = item_sample(training, PAID), user_sample(training, PAID)
    assert items.order[:3].tolist() == [299, 298, 297] and users.order[:3].tolist() == [299, 298, 297]
    for sample, rows in ((items, 1000), (users, 300)):
        assert len(sample.positions) == SAMPLED and sample.positions[[0, -1]].tolist() == [0, rows - 1]
        assert np.ptp(np.diff(sample.positions)) <= 1
    assert "thing 299" in chats_of(items)[0][-1]["content"] + chats_of(items)[0][-2]["content"]
    assert len(chats_of(users)) == 3 * SAMPLED


def test_known_rows_are_found_to_the_row(build: Callable[..., TrainingData], store: Path) -> None:
    training = build([f"{c} {t} {n}" for n in range(8) for c in COLOURS for t in THINGS], [[0]])
    with scripted() as server:
        settings = server.settings(concurrency=8, budget="37items", plan="single")
        reason_items(training, settings, store)
    who = Endpoint("openai", settings.base_url, "m", "m")
    with open_store(store) as answers:
        known = known_rows(item_sample(training, settings), who, settings, answers)
        assert np.flatnonzero(known).tolist() == list(range(37)), "between two sampled rows, too"
        other = settings.model_copy(update={"temperature": 0.5})
        assert not known_rows(item_sample(training, other), who, other, answers).any(), "other questions are not known"
