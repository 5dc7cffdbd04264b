"""How much an LLM supplier may spend, and when it is spent. Knows nothing about prompts, rows, endpoints or prices.

``60items``: the 60 most bought items, and no user. ``2min``: LLM time of the whole stage in this run, 80% for items
and the rest for users; answers from the store cost none. ``100ktok``: tokens in and out, split alike; answers from the
store count, so that a resumed run stops where an unbroken one would. ``5usd`` or ``$5``: US dollars by the table of
prices (``prices``), split and counted like tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from isrf.core.errors import IsrfError

Kind = Literal["rows", "seconds", "tokens", "usd"]

ITEM_SHARE = 0.8
"""Part of a budget of time, tokens or money that items get; users get the rest."""

_UNITS: dict[str, tuple[Kind, float]] = {
    "item": ("rows", 1),
    "items": ("rows", 1),
    "s": ("seconds", 1),
    "sec": ("seconds", 1),
    "min": ("seconds", 60),
    "h": ("seconds", 3600),
    "tok": ("tokens", 1),
    "ktok": ("tokens", 1e3),
    "mtok": ("tokens", 1e6),
    "usd": ("usd", 1),
}
# "dollars" and "cents" too: those of a dozen countries are called so
_OTHER_MONEY = frozenset(
    ("eur", "euro", "euros", "gbp", "pounds", "chf", "cny", "rmb", "yuan", "jpy", "inr", "dollar", "dollars", "cents")
)
_NUMBER = r"(\d{1,12}(?:\.\d{1,6})?)"
_FORM = re.compile(rf"\s*{_NUMBER}\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)
_DOLLARS = re.compile(rf"\s*\$\s*{_NUMBER}\s*", re.ASCII)
_FOREIGN = re.compile(r"[€£¥₹₩]")


@dataclass(frozen=True)
class Budget:
    """``amount`` rows, seconds, tokens or US dollars."""

    kind: Kind
    amount: float

    def share(self, part: Literal["items", "users"]) -> Budget:
        """What one half of the stage may spend."""
        if self.kind == "rows":
            return self if part == "items" else Budget("rows", 0)
        return Budget(self.kind, self.amount * (ITEM_SHARE if part == "items" else 1 - ITEM_SHARE))


def parse_budget(text: str) -> Budget:
    """Read '60items', '2min', '90s', '1h', '100ktok', '5000tok', '0.50usd' or '$5'; fractions of items are refused.

    >>> parse_budget("2min")
    Budget(kind='seconds', amount=120.0)
    >>> parse_budget("$5") == parse_budget("5usd")
    True

    Raises:
        IsrfError: another form or unit, another currency (prices are in US dollars), or nothing to spend.
    """
    example = "write it like 60items, 2min, 100ktok or 5usd"
    match = _FORM.fullmatch(text)
    if match is not None:
        number, unit = float(match[1]), match[2].lower()
    elif (dollars := _DOLLARS.fullmatch(text)) is not None:
        number, unit = float(dollars[1]), "usd"
    elif _FOREIGN.search(text):
        raise IsrfError(f"reasoning.budget {text!r}: prices are in US dollars; write it like 5usd")
    else:
        raise IsrfError(f"reasoning.budget {text!r} is not a number and a unit; {example}")
    if unit in _OTHER_MONEY:
        raise IsrfError(f"reasoning.budget {text!r}: prices are in US dollars; write it like 5usd")
    if unit not in _UNITS:
        raise IsrfError(f"reasoning.budget {text!r} has no unit {unit!r}; {example}")
    kind, factor = _UNITS[unit]
    amount = round(number * factor, 6)
    if kind in ("rows", "tokens") and amount != int(amount):
        raise IsrfError(f"reasoning.budget {text!r} is not a whole number of {unit}; {example}")
    if amount <= 0:
        raise IsrfError(
            f"reasoning.budget {text!r} leaves nothing to spend; for no LLM set reasoning.supplier=attributes"
        )
    return Budget(kind, amount)
