"""What a model's tokens cost: the package's table of list prices with the user's own file over it.

Knows nothing about endpoints or what was spent, and looks nothing up: a price is what a file says.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

import yaml

from isrf.core.config import ReasoningSettings
from isrf.core.documents import MOST_YAML_BYTES, Unreadable, compose_yaml, read_text
from isrf.core.errors import IsrfError
from isrf.core.files import shown

PACKAGED = "prices.yaml"


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens.

    Attributes:
        input_usd_per_mtok: of prompts; a provider's discount for cached prompts is not counted.
        output_usd_per_mtok: of answers, thinking included.
    """

    input_usd_per_mtok: float
    output_usd_per_mtok: float

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """US dollars.

        >>> Price(0.28, 0.42).cost(1_000_000, 500_000)
        0.49
        """
        return (tokens_in * self.input_usd_per_mtok + tokens_out * self.output_usd_per_mtok) / 1e6


FREE = Price(0.0, 0.0)
"""A model that runs on the user's own machine."""
NAMES = tuple(field.name for field in fields(Price))
FORM = f"a model's line is like gpt-4o-mini: {{{NAMES[0]}: 0.15, {NAMES[1]}: 0.60}}"


def load_prices(path: Path | None) -> dict[str, Price]:
    """Prices by model name: the package's, those of the user's file in place of the ones of the same model.

    Raises:
        IsrfError: the file cannot be read, or is of another form; names file, line, model and field of the first fault.
    """
    prices = read_prices((resources.files("isrf.reasoning") / PACKAGED).read_text("utf-8"), PACKAGED)
    if path is None:
        return prices
    text = read_text(path, MOST_YAML_BYTES, "set reasoning.prices to a YAML file of prices")
    return prices | read_prices(text, shown(path))


def read_prices(text: str, name: str) -> dict[str, Price]:
    """The prices in a YAML text; ``name`` is the file's, for errors. Raises IsrfError as ``load_prices``."""
    try:
        # the tree, not its values: model names stay as they are written, and faults have a line
        root = compose_yaml(text)
    except Unreadable as error:
        raise IsrfError(f"{name}: not readable as YAML ({error}); {FORM}") from None
    if root is None:  # nothing but comments
        return {}
    return {model: _price(node, name, model) for model, node in _pairs(root, name, "the file")}


def price_of(model: str, prices: dict[str, Price]) -> Price:
    """The price of a model. Raises IsrfError that says how to give it one."""
    if model not in prices:
        line = f"{json.dumps(model, ensure_ascii=False)}: {{{NAMES[0]}: 0.28, {NAMES[1]}: 0.42}}"
        raise IsrfError(
            f"no price is known for model {model!r}; write the line  {line}  with your provider's prices into a YAML file "
            "and set reasoning.prices to it"
        )
    return prices[model]


def price_to_spend(settings: ReasoningSettings) -> Price:
    """The price that a budget in money is counted with.

    Raises:
        IsrfError: the supplier asks for no money, so that such a budget would never end; no price is known; the file of
            prices cannot be read.
    """
    instead = "limit it in items, min or tok instead, like 60items or 2min"
    if settings.supplier == "local":
        raise IsrfError(
            f"reasoning.budget {settings.budget!r}: the local supplier runs on this machine and costs no money; {instead}"
        )
    price = price_of(settings.model or "", load_prices(settings.prices))
    if price == FREE:
        raise IsrfError(
            f"reasoning.budget {settings.budget!r}: by the table of prices {settings.model!r} costs nothing; {instead}"
        )
    return price


def _price(node: yaml.Node, name: str, model: str) -> Price:
    found = dict(_pairs(node, name, f"model {model!r}"))
    for key, value in found.items():
        if key not in NAMES:
            raise IsrfError(f"{name}, line {_line(value)}: model {model!r} has an unknown field {key!r}; {FORM}")
    missing = [key for key in NAMES if key not in found]
    if missing:
        raise IsrfError(f"{name}, line {_line(node)}: model {model!r} has no {missing[0]}; {FORM}")
    amounts = [_dollars(found[key], f"{name}, line {_line(found[key])}: {model}.{key}") for key in NAMES]
    return Price(*amounts)


def _pairs(node: yaml.Node, name: str, what: str) -> list[tuple[str, yaml.Node]]:
    """Names and values of a mapping, each name once."""
    if not isinstance(node, yaml.MappingNode):
        raise IsrfError(f"{name}, line {_line(node)}: {what} holds no names with values under them; {FORM}")
    pairs: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not key.value.strip():
            raise IsrfError(f"{name}, line {_line(key)}: {what} holds something that is not a name; {FORM}")
        if key.value in pairs:
            raise IsrfError(f"{name}, line {_line(key)}: {what} holds {key.value!r} twice; remove one")
        pairs[key.value] = value
    return list(pairs.items())


def _dollars(node: yaml.Node, where: str) -> float:
    said = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
    try:
        amount = float(said)
    except ValueError:
        raise IsrfError(f"{where}: {said!r} is not a number; US dollars for a million tokens belong there") from None
    if not math.isfinite(amount) or amount < 0:
        raise IsrfError(f"{where}: {said!r} is not a price; US dollars for a million tokens, 0 or more, belong there")
    return amount


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
