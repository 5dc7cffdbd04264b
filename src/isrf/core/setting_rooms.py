"""What every room of settings is: documented fields, frozen, no unknown names. Knows no field itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LARGEST_SEED = 2**31 - 1
"""What every library that draws random numbers here accepts."""


class Room(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
