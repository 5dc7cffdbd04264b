"""Budgets while they are spent: never more than the rows in flight too much, and the same rows however it went."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from isrf.reasoning.llm.budget import Budget
from isrf.reasoning.llm.budget_tracker import Allowance
from isrf.reasoning.llm.prices import Price

PRICE = Price(input_usd_per_mtok=1_000_000.0, output_usd_per_mtok=2_000_000.0)
COSTS = st.lists(st.integers(0, 50), min_size=1, max_size=40)


def finish(allowance: Allowance, tokens: int) -> None:
    """One row from start to end."""
    allowance.spend(tokens, 0)
    allowance.rows += 1


def settled(costs: list[int], amount: int, in_flight: int, shuffle: list[int]) -> tuple[list[int], list[int]]:
    """Rows that were started and rows that count, with so many in flight, ending in any order."""
    allowance = Allowance(Budget("tokens", amount), None)
    started, counts, flying, ended, pick = 0, [], list[int](), set[int](), iter(shuffle)
    settling = 0
    while True:
        while len(flying) < in_flight and started < len(costs) and allowance.open():
            allowance.rows_in_flight += 1
            flying.append(started)
            started += 1
        if not flying:
            return list(range(started)), counts
        row = flying.pop(next(pick, 0) % len(flying))
        allowance.rows_in_flight -= 1
        finish(allowance, costs[row])
        ended.add(row)
        while settling in ended:
            if allowance.settle(costs[settling], 0):
                counts.append(settling)
            settling += 1


@given(COSTS, st.integers(1, 300), st.integers(1, 8), st.lists(st.integers(0, 7), max_size=60))
def test_which_rows_count_does_not_depend_on_how_many_were_in_flight(
    costs: list[int], amount: int, in_flight: int, shuffle: list[int]
) -> None:
    alone = [n for n in range(len(costs)) if sum(costs[:n]) < amount]
    started, counts = settled(costs, amount, in_flight, shuffle)
    assert counts == alone, "rows count as long as those before them left something"
    assert set(counts) <= set(started)


@given(COSTS, st.integers(1, 300), st.integers(1, 8), st.lists(st.integers(0, 7), max_size=60))
def test_no_more_is_spent_than_the_budget_and_the_rows_in_flight(
    costs: list[int], amount: int, in_flight: int, shuffle: list[int]
) -> None:
    started, _ = settled(costs, amount, in_flight, shuffle)
    most_rows = sorted(costs, reverse=True)[:in_flight]
    assert sum(costs[row] for row in started) < amount + sum(most_rows) + 1


def test_no_budget_and_a_budget_of_rows_are_always_open() -> None:
    for budget in (None, Budget("rows", 1)):
        allowance = Allowance(budget, None)
        finish(allowance, 10**9)
        assert allowance.open() and allowance.seconds_left is None and not allowance.by_use


def test_rows_in_flight_are_expected_to_cost_what_rows_cost() -> None:
    allowance = Allowance(Budget("tokens", 100), None)
    finish(allowance, 30)
    allowance.rows_in_flight = 2
    assert allowance.open(), "30 spent, 60 expected"
    allowance.rows_in_flight = 3
    assert not allowance.open(), "30 spent, 90 expected"


def test_before_any_row_is_complete_rows_are_expected_to_cost_what_they_may() -> None:
    """Many may be in flight, and a budget for two starts two."""
    allowance = Allowance(Budget("tokens", 100), None, expected=(40, 10))
    started = 0
    while allowance.open():
        started, allowance.rows_in_flight = started + 1, allowance.rows_in_flight + 1
    assert started == 2
    allowance.rows_in_flight = 0
    assert Allowance(Budget("tokens", 10), None, expected=(40, 10)).open(), "one row is started on any budget"


def test_money_is_counted_by_the_price_of_each_direction() -> None:
    allowance = Allowance(Budget("usd", 10), PRICE)
    allowance.spend(3, 3)
    assert allowance.open() and allowance.told() == "6 tokens, 9.00 USD"
    allowance.spend(1, 0)
    assert not allowance.open()


def test_seconds_are_those_since_the_start_and_a_usual_row_must_fit() -> None:
    allowance = Allowance(Budget("seconds", 1000), None)
    assert allowance.open() and 999 < (allowance.seconds_left or 0) <= 1000
    allowance.rows_asked, allowance.row_seconds = 1, 1001.0
    assert not allowance.open(), "the usual row takes longer than what is left"
    late = Allowance(Budget("seconds", 1000), None, started=allowance.started - 2000)
    assert not late.open() and late.seconds_left == 0


def test_a_row_that_is_asked_about_again_counts_once() -> None:
    allowance = Allowance(Budget("tokens", 100), None)
    finish(allowance, 60)
    assert allowance.settle(60, 0)
    allowance.again(60, 0)
    finish(allowance, 90)  # its first answer from the store, and a second
    assert allowance.settle(90 - 60, 0)
    assert allowance.tokens_in == 90 and allowance.rows == 1 and allowance.open()
    finish(allowance, 10)
    assert allowance.settle(10, 0), "90 were spent before it"
    assert not allowance.settle(1, 0) and not allowance.open()


def test_tokens_are_told_with_thousands() -> None:
    allowance = Allowance(None, None)
    allowance.spend(1200, 34)
    assert allowance.told() == "1,234 tokens"
