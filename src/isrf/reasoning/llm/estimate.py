"""What reasoning would take, before anything is spent: calls, tokens, time and money, and how far a budget reaches.

Tokens in come from real prompts of a sample of rows, tokens out and time from answers of the same endpoint. Where an
endpoint costs nothing and never answered, it is asked about a few items, and these answers are kept for the run. Knows
nothing about workspaces or the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.core.shell import setting
from isrf.core.sqlite_reading import can_write
from isrf.data.training_data import TrainingData
from isrf.reasoning.answers.store import AnswerStore, read_store
from isrf.reasoning.llm.budget import parse_budget
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.endpoint_address import LOOPBACK, check_address
from isrf.reasoning.llm.prices import FREE, Price, load_prices, price_of
from isrf.reasoning.llm.row_samples import (
    ENOUGH,
    SAMPLED,
    Sample,
    Usual,
    chats_of,
    corrected,
    item_sample,
    known_rows,
    user_sample,
    usual_answers,
)
from isrf.reasoning.llm.supplier import check_settings, endpoint_of, serving
from isrf.reasoning.llm.token_counts import APPROXIMATE, count_tokens
from isrf.reasoning.reason import reason_items
from isrf.reasoning.tables import STATISTICS

ASKED = 8
"""Items that are asked about where asking is free and nothing is known."""


@dataclass(frozen=True)
class Part:
    """What one half of the stage would take.

    Attributes:
        rows: items or users that can be asked about.
        known: of these, rows that the store has answers about.
        calls: requests about the others.
        tokens_in, tokens_out: of these calls.
        seconds: None = not known.
        usd: US dollars; None = no price is known.
        reached: rows that the budget reaches, known ones among them; all where there is no budget; None = not known.
        share: part of the training interactions whose item or user is such a row, 0 to 1; None = not known.
        answers_from: where tokens out and time come from.
    """

    rows: int
    known: int
    calls: int
    tokens_in: int
    tokens_out: int
    seconds: float | None
    usd: float | None
    reached: int | None
    share: float | None
    answers_from: str


@dataclass(frozen=True)
class Estimate:
    """What the whole stage would take.

    Attributes:
        supplier, model, plan, budget: as set; ``budget`` None = no limit.
        items, users: the two halves.
        counted_by: who counted tokens in.
        notes: sentences on what the figures rest on and what is missing.
    """

    supplier: str
    model: str
    plan: str
    budget: str | None
    items: Part
    users: Part
    counted_by: str
    notes: tuple[str, ...]


def estimate(training: TrainingData, settings: ReasoningSettings, store: Path) -> Estimate:
    """What ``reason_items`` and ``reason_users`` would take with these settings.

    Nothing that costs money is asked. An endpoint on this machine that never answered, and whose model has no
    price, is asked about ``ASKED`` items.

    Args:
        training, settings, store: as for ``reason_items``; the store is made only where items are asked about.

    Raises:
        IsrfError: the supplier is no LLM; a setting is no good; an endpoint on this machine cannot be reached.
    """
    check_settings(settings)
    if settings.supplier == STATISTICS:
        raise IsrfError("attribute statistics ask no LLM and cost nothing; set reasoning.supplier to local or openai")
    who = endpoint_of(settings)
    here = who.supplier == "local" or (who.base_url is not None and check_address(who.base_url) in LOOPBACK)
    price, notes = _price(who, settings, here)
    free = here and price == FREE  # a gateway on this machine may well ask somebody who wants money
    samples = (item_sample(training, settings), user_sample(training, settings))
    known_enough = _answered(samples[0], who, settings, store)
    if free and not known_enough and not can_write(store):
        notes.append(f"No item was asked about, as answers could not be kept: {store.parent} cannot be written to.")
    elif free and not known_enough:
        note(f"asking about {ASKED} items, as this endpoint costs nothing; their answers are kept")
        reason_items(training, settings.model_copy(update={"budget": f"{ASKED}items"}), store)
        notes.append(f"{ASKED} items were asked about to measure tokens out and time; their answers are kept.")
    with serving(who, settings, 1) as endpoint:  # one slot is enough to count tokens
        counts = count_tokens([chat for sample in samples for chat in chats_of(sample)], endpoint, settings)
    tokens = np.array(counts.tokens, dtype=np.float64).reshape(-1, len(samples[0].prompt.plan))
    halves = np.split(tokens, [len(samples[0].positions)])
    parts, usual = list[Part](), dict[str, Usual]()
    with _opened(store) as answers:
        scaled_by = 0
        if counts.counted_by == APPROXIMATE:
            halves, scaled_by = corrected(samples, halves, who, answers)
        for sample, counted in zip(samples, halves, strict=True):
            known = known_rows(sample, who, settings, answers)
            usual = usual_answers(sample, who, answers, int(known.sum()), usual)
            parts.append(_part(sample, counted, usual, known, training, settings, price))
    by = counts.counted_by + (f", scaled to the endpoint's counts of {scaled_by:,} answers" if scaled_by else "")
    return Estimate(
        supplier=who.supplier,
        model=who.model,
        plan=settings.plan,
        budget=settings.budget,
        items=parts[0],
        users=parts[1],
        counted_by=by,
        notes=(*notes, *_notes(parts, by)),
    )


def _notes(parts: Sequence[Part], counted_by: str) -> list[str]:
    items, users = parts
    notes = [
        f"Tokens in: from up to {SAMPLED} rows of each kind, {counted_by}.",
        f"Calls, tokens out and time: items {items.answers_from}; users {users.answers_from}.",
        "Calls as measured include those for answers that were rejected; elsewhere they come on top.",
    ]
    if items.usd or users.usd:
        notes.append("Money: list prices; a provider's discount for repeated beginnings of prompts is not taken off.")
    if users.answers_from == "as measured" and not users.known:
        notes.append(
            "What users are asked quotes the items' answers, so those that were asked about before count as new."
        )
    if items.seconds is None or users.seconds is None:
        notes.append(
            f"Time is unknown until the endpoint has answered: run with {setting('reasoning.budget', '20items')} first. "
            "A model that thinks before it answers writes more than the word limits allow."
        )
    return notes


def _opened(store: Path) -> AbstractContextManager[AnswerStore | None]:
    return read_store(store) if store.exists() else nullcontext()


def _price(who: Endpoint, settings: ReasoningSettings, here: bool) -> tuple[Price | None, list[str]]:
    """None where no price is known, and the reason."""
    if who.supplier == "local":
        return FREE, []
    try:
        return price_of(who.model, load_prices(settings.prices)), []
    except IsrfError as error:
        return (FREE, []) if here else (None, [f"Money is unknown: {error}."])


def _answered(sample: Sample, who: Endpoint, settings: ReasoningSettings, store: Path) -> bool:
    """Whether the store has answers to these questions about enough items."""
    with _opened(store) as answers:
        return int(known_rows(sample, who, settings, answers).sum()) >= min(ENOUGH, len(sample.order))


def _part(
    sample: Sample,
    counted: np.ndarray,
    usual: dict[str, Usual],
    known: np.ndarray,
    training: TrainingData,
    settings: ReasoningSettings,
    price: Price | None,
) -> Part:
    """From one row to all of them.

    Args:
        counted: (s, asks) float64 tokens in of the sampled rows' chats.
        usual: the answer to each ask.
        known: (n,) bool, rows that cost nothing any more.
    """
    rows = len(sample.order)
    known_from = ", ".join(dict.fromkeys(u.known_from for u in usual.values()))
    if not rows:
        return Part(0, 0, 0, 0, 0, 0.0, 0.0, 0, 0.0, known_from)
    calls = np.array([u.calls for u in usual.values()])
    tokens_in = np.interp(np.arange(rows), sample.positions, counted @ calls)
    tokens_out = sum(u.tokens * u.calls for u in usual.values())
    seconds = _seconds(tokens_in + tokens_out, usual, settings)
    usd = None if price is None else price.cost(1, 0) * tokens_in + price.cost(0, tokens_out)
    new = ~known
    reached: int | None = rows
    if settings.budget is not None:
        budget = parse_budget(settings.budget).share("items" if sample.prompt.kind == "item" else "users")
        spent = {
            "rows": np.ones(rows),
            "tokens": tokens_in + tokens_out,
            "seconds": None if seconds is None else seconds * new,  # the only kind that known rows do not count in
            "usd": usd,
        }[budget.kind]
        reached = None if spent is None else int(np.searchsorted(np.cumsum(spent), budget.amount, side="right"))
    share = None if reached is None else float(sample.weights[:reached].sum() / max(len(training.histories.items), 1))
    return Part(
        rows=rows,
        known=int(known.sum()),
        calls=round(float(new.sum() * calls.sum())),
        tokens_in=round(float(tokens_in[new].sum())),
        tokens_out=round(float(new.sum() * tokens_out)),
        seconds=None if seconds is None else float(seconds[new].sum()),
        usd=None if usd is None else float(usd[new].sum()),
        reached=reached,
        share=share,
        answers_from=known_from,
    )


def _seconds(tokens: np.ndarray, usual: dict[str, Usual], settings: ReasoningSettings) -> np.ndarray | None:
    """(n,) float64 seconds that a row adds to the run, by latency and by the limits a minute; None = not known."""
    latency = calls = 0.0
    for answer in usual.values():
        if answer.seconds is None:
            return None
        latency += answer.seconds * answer.calls
        calls += answer.calls
    seconds = np.full(len(tokens), latency / min(settings.concurrency, len(tokens)))
    if settings.requests_per_minute:
        seconds = np.maximum(seconds, 60 * calls / settings.requests_per_minute)
    if settings.tokens_per_minute:
        seconds = np.maximum(seconds, 60 * tokens / settings.tokens_per_minute)
    return seconds


def described(estimate: Estimate) -> str:
    """The estimate as aligned lines of text, at most 100 columns wide but for its notes."""
    items, users = estimate.items, estimate.users
    lines: list[tuple[str, ...]] = [("", "items", "users", "total")]

    def row(name: str, values: tuple[float | None, float | None], shown: Callable[[float], str]) -> None:
        total = None if None in values else sum(v for v in values if v is not None)
        lines.append((name, *("unknown" if v is None else shown(v) for v in (*values, total))))

    whole = "{:,.0f}".format
    row("rows that can be asked about", (items.rows, users.rows), whole)
    row("known already", (items.known, users.known), whole)
    row("calls", (items.calls, users.calls), whole)
    row("tokens in", (items.tokens_in, users.tokens_in), whole)
    row("tokens out", (items.tokens_out, users.tokens_out), whole)
    row("time", (items.seconds, users.seconds), _time)
    row("money, USD", (items.usd, users.usd), _money)
    if estimate.budget:
        row(f"rows within {estimate.budget}", (items.reached, users.reached), whole)
        shares = ("unknown" if part.share is None else f"{part.share:.1%}" for part in (items, users))
        lines.append(("their training interactions", *shares, ""))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    table = [
        "  ".join(
            [name.ljust(widths[0]), *(value.rjust(width) for value, width in zip(values, widths[1:], strict=True))]
        )
        for name, *values in lines
    ]
    head = f"{estimate.model} ({estimate.supplier}), plan {estimate.plan}, everything that is not known already"
    return "\n".join([head, *(line.rstrip() for line in table), *estimate.notes])


def _money(usd: float) -> str:
    """Cents, and of less than a dollar two telling digits."""
    return f"{usd:,.2f}" if usd >= 1 or usd == 0 else f"{usd:.2g}"


def _time(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"
