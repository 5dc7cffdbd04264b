"""What is left of a budget while it is spent, and which rows it pays for. Knows nothing about what it goes to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from isrf.reasoning.llm.budget import Budget
from isrf.reasoning.llm.prices import Price


@dataclass
class Allowance:
    """What is left of a budget while it is spent, by rows that are worked on at the same time.

    Two accounts. What was really spent decides whether another row is started (``open``). What the rows cost in their
    own order decides which of them count (``settle``): rows that were started before it was known that an earlier one
    would use the budget up are left out, so that a resumed run, whatever its concurrency, ends with the same rows.

    Attributes:
        expected: tokens in and out that a row is taken to cost until one is complete: without it, as many rows as may
            be in flight are started on a budget for one.
    """

    budget: Budget | None
    price: Price | None
    started: float = field(default_factory=time.monotonic)
    tokens_in: int = 0
    tokens_out: int = 0
    settled_in: int = 0
    settled_out: int = 0
    rows: int = 0
    rows_in_flight: int = 0
    rows_asked: int = 0
    row_seconds: float = 0.0
    expected: tuple[int, int] = (0, 0)

    @property
    def by_use(self) -> bool:
        """Whether tokens or money are limited, so that the order of rows decides which of them count."""
        return self.budget is not None and self.budget.kind in ("tokens", "usd")

    def open(self) -> bool:
        """Whether another row may be started: those in flight should leave something, judged by rows before."""
        if self.budget is None or self.budget.kind == "rows":  # rows are counted out before anything is asked
            return True
        if self.budget.kind == "seconds":
            usual = self.row_seconds / self.rows_asked if self.rows_asked else 0.0
            return time.monotonic() - self.started + usual < self.budget.amount
        spent = self._cost(self.tokens_in, self.tokens_out)
        usual = spent / self.rows if self.rows else self._cost(*self.expected)
        return spent + usual * self.rows_in_flight < self.budget.amount

    def spend(self, tokens_in: int, tokens_out: int) -> None:
        """Count one answer."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    def again(self, tokens_in: int, tokens_out: int) -> None:
        """Take back what a row has cost that is now asked about again: its answers are going to be counted anew."""
        self.spend(-tokens_in, -tokens_out)
        self.rows -= 1

    def settle(self, tokens_in: int, tokens_out: int) -> bool:
        """Count a whole row, in the order of rows; whether the rows before it left anything for it.

        Args:
            tokens_in, tokens_out: what it cost, less what it had cost when it was settled before.
        """
        assert self.budget is not None
        left = self._cost(self.settled_in, self.settled_out) < self.budget.amount
        self.settled_in += tokens_in
        self.settled_out += tokens_out
        return left

    @property
    def seconds_left(self) -> float | None:
        """Of a budget in time; None = no limit."""
        if self.budget is None or self.budget.kind != "seconds":
            return None
        return max(0.0, self.budget.amount - (time.monotonic() - self.started))

    def told(self) -> str:
        """For the progress bar."""
        money = f", {self.price.cost(self.tokens_in, self.tokens_out):.2f} USD" if self.price else ""
        return f"{self.tokens_in + self.tokens_out:,} tokens{money}"

    def _cost(self, tokens_in: int, tokens_out: int) -> float:
        """Tokens, or US dollars of a budget in money."""
        if self.budget is not None and self.budget.kind == "usd":
            assert self.price is not None  # reason.check_settings
            return self.price.cost(tokens_in, tokens_out)
        return tokens_in + tokens_out
