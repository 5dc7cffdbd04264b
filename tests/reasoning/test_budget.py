"""Budgets: what a person writes, and who gets how much of it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.errors import IsrfError
from isrf.reasoning.llm.budget import Budget, parse_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("60items", Budget("rows", 60)),
        ("1 item", Budget("rows", 1)),
        ("2min", Budget("seconds", 120)),
        ("0.5min", Budget("seconds", 30)),
        ("90s", Budget("seconds", 90)),
        ("100ktok", Budget("tokens", 100_000)),
        ("1.5Mtok", Budget("tokens", 1_500_000)),
        ("5usd", Budget("usd", 5)),
        ("0.50 USD", Budget("usd", 0.5)),
        ("$5", Budget("usd", 5)),
        ("$ 0.25", Budget("usd", 0.25)),
    ],
)
def test_readable_forms(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text",
    ["", "60", "items", "0min", "-1min", "2 hours of it", "nan min", "1.5items", "1e9tok", "$0", "$5usd", "5$", "$-1"],
)
def test_anything_else_is_one_clear_line(text: str) -> None:
    with pytest.raises(IsrfError, match=r"reasoning\.budget") as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["5eur", "5 EUR", "€5", "5€", "30cny", "¥30", "5 dollars", "50 cents"])
def test_other_money_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(IsrfError, match="prices are in US dollars; write it like 5usd"):
        parse_budget(text)


@given(st.text(max_size=30))
def test_a_budget_is_positive_or_refused(text: str) -> None:
    with suppress(IsrfError):
        assert parse_budget(text).amount > 0


@given(st.integers(1, 10**12 - 1), st.integers(0, 999_999))
def test_both_ways_to_write_money_agree(dollars: int, millionths: int) -> None:
    text = f"{dollars}.{millionths:06}"
    assert parse_budget(f"{text}usd") == parse_budget(f"${text}")
    assert parse_budget(f"{text}usd").amount == pytest.approx(dollars + millionths / 1e6)


@given(st.integers(1, 10**9), st.sampled_from(["s", "min", "tok", "ktok", "usd"]))
def test_items_and_users_share_the_whole(number: int, unit: str) -> None:
    budget = parse_budget(f"{number}{unit}")
    items, users = budget.share("items"), budget.share("users")
    assert items.kind == users.kind == budget.kind
    assert items.amount + users.amount == pytest.approx(budget.amount)
    assert items.amount > users.amount > 0


def test_an_item_budget_is_for_items_only() -> None:
    assert parse_budget("60items").share("items").amount == 60
    assert parse_budget("60items").share("users").amount == 0
