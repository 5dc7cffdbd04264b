"""What every room of settings is: documented fields, frozen, no unknown names. Knows no field itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LARGEST_SEED = 2**31 - 1
"""What every library that draws random numbers here accepts."""


class Room(BaseModel):
    """Documented fields, frozen, no unknown names. Every number has bounds, generous ones: what lies beyond them is a slip
    of the keyboard, and would end in an error of some library, or in no memory left."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
