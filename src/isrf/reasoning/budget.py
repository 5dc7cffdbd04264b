"""How much an LLM supplier may spend, and when it is spent. Knows nothing about prompts, rows or endpoints.

``60items``: the 60 most bought items, and no user. ``2min``: LLM time of the whole stage in this run, 80% for items
and the rest for users; answers from the store cost none. ``100ktok``: tokens in and out, split alike; answers from the
store count, so that a resumed run stops where an unbroken one would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from isrf.errors import IsrfError

Kind = Literal["rows", "seconds", "tokens"]

ITEM_SHARE = 0.8
"""Part of a time or token budget that items get; users get the rest."""

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
}
_FORM = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]+)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """``amount`` rows, seconds or tokens."""

    kind: Kind
    amount: float

    def share(self, part: Literal["items", "users"]) -> Budget:
        """What one half of the stage may spend."""
        if self.kind == "rows":
            return self if part == "items" else Budget("rows", 0)
        return Budget(self.kind, self.amount * (ITEM_SHARE if part == "items" else 1 - ITEM_SHARE))


def parse_budget(text: str) -> Budget:
    """Read '60items', '2min', '90s', '1h', '100ktok' or '5000tok'; fractions are allowed except for items.

    >>> parse_budget("2min")
    Budget(kind='seconds', amount=120.0)

    Raises:
        IsrfError: another form or unit, money (prices are not known), or nothing to spend.
    """
    example = "write it like 60items, 2min or 100ktok"
    match = _FORM.fullmatch(text)
    if match is None:
        raise IsrfError(f"reasoning.budget {text!r} is not a number and a unit; {example}")
    number, unit = float(match[1]), match[2].lower()
    if unit in ("usd", "eur", "dollars", "dollar"):
        raise IsrfError(f"reasoning.budget {text!r}: money needs the endpoint's prices, which are not known; {example}")
    if unit not in _UNITS:
        raise IsrfError(f"reasoning.budget {text!r} has no unit {match[2]!r}; {example}")
    kind, factor = _UNITS[unit]
    amount = round(number * factor, 6)
    if kind in ("rows", "tokens") and amount != int(amount):
        raise IsrfError(f"reasoning.budget {text!r} is not a whole number of {unit}; {example}")
    if amount <= 0:
        raise IsrfError(
            f"reasoning.budget {text!r} leaves nothing to spend; for no LLM set reasoning.supplier=attributes"
        )
    return Budget(kind, amount)
