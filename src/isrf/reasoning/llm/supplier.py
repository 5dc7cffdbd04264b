"""The supplier of reasons that settings name: whether they fit together, its endpoint, what its tokens cost.

Knows nothing about questions, rows or answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.reasoning.llm.budget import parse_budget
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.endpoint_address import check_address, check_no_key
from isrf.reasoning.llm.local_server import context_of, gguf_of, identity_of, local_server
from isrf.reasoning.llm.prices import Price, load_prices, price_to_spend
from isrf.reasoning.llm.prompts import prompt_of
from isrf.reasoning.tables import STATISTICS

OURS = frozenset(
    ("model", "messages", "max_tokens", "max_completion_tokens", "response_format", "stream", "n", "tools")
)
"""Fields of a request that are no choice: with others, answers could not be read or would be those of another model."""


def check_settings(settings: ReasoningSettings) -> None:
    """Conflicts are found before any work, not after minutes of it. Raises IsrfError."""
    if settings.supplier == "openai" and not settings.model:
        raise IsrfError("reasoning.supplier=openai needs reasoning.model, the model's name at the endpoint")
    if settings.base_url is not None:
        check_address(settings.base_url)
    check_no_key(settings)
    if settings.budget is not None:
        parse_budget(settings.budget)
    if settings.supplier == STATISTICS:
        return
    ours = sorted(OURS & settings.extra_body.keys())
    if ours:
        raise IsrfError(
            f"reasoning.extra_body must not hold {', '.join(ours)}: that is set by what is asked; remove it"
        )
    price_of(settings)
    prompt_of("item", settings)
    prompt_of("user", settings)


def price_of(settings: ReasoningSettings) -> Price | None:
    """What the tokens cost: asked for by a budget in money, else shown where it is known."""
    if settings.budget and parse_budget(settings.budget).kind == "usd":
        return price_to_spend(settings)
    prices = load_prices(settings.prices)
    return prices.get(settings.model or "") if settings.supplier == "openai" else None


def endpoint_of(settings: ReasoningSettings) -> Endpoint:
    """Who is asked; the local supplier has no address before its server runs."""
    if settings.supplier == "openai":
        assert settings.model is not None  # check_settings
        return Endpoint("openai", settings.base_url, settings.model, settings.model)
    gguf = gguf_of(settings)
    return Endpoint("local", None, gguf.stem, identity_of(gguf))


@contextmanager
def serving(endpoint: Endpoint, settings: ReasoningSettings, slots: int) -> Iterator[Endpoint]:
    """The endpoint as it can be reached; the local supplier's server runs for as long as the block, unless no slots."""
    if endpoint.supplier != "local" or not slots:
        yield endpoint
        return
    gguf = gguf_of(settings)
    with local_server(gguf, slots, context_of(gguf, settings)) as base_url:
        yield replace(endpoint, base_url=base_url)
