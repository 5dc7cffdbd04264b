"""What a method reads, declared beside it: the interest card is derived from it, the contract suite tests it.

Knows nothing about settings or workspaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Owner = Literal["nobody", "co-purchase", "reasoned preferences"]
"""Who decides that two users are alike: whom a person hears is chosen by nobody, by shared items, or by features."""

Carrier = Literal["none", "profile text", "item texts", "semantic id", "preference vectors on the interaction graph"]
"""What carries the reasoned semantics from the reasoner to the scores."""


@dataclass(frozen=True)
class Reads:
    """What decides a method's scores.

    Attributes:
        history: the items of whoever asks.
        order: the order of that history, in the sequential task.
        others: what other people bought, in training.
        identity: something that was trained for the very person, beyond their history.
        texts: semantic features of items.
        preferences: reasoned preferences of people.
        alike: who decides that two users are alike.
        carrier: of the semantics.
        bridge: how a person's explicit interests and what others like reach one another.
        coupling: where the two are refined.
        consumer: what answers when somebody asks.
    """

    history: bool = True
    order: bool = False
    others: bool = True
    identity: bool = False
    texts: bool = False
    preferences: bool = False
    alike: Owner = "nobody"
    carrier: Carrier = "none"
    bridge: str = "none"
    coupling: Literal["nowhere", "once, when fitted", "per batch"] = "nowhere"
    consumer: str = "sparse item-to-item weights"
