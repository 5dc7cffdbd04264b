"""Ids as people give them, in the spelling that the import wrote."""

from __future__ import annotations

import re
from collections.abc import Container

Id = str | int
"""An id as it stands in the source."""


def as_imported(given: Id, known: Container[str]) -> str:
    """The id as the import wrote it: without blanks around it, and 100 for 100.0 where that alone is known."""
    text = str(given)
    found = text if text in known else text.strip()
    whole = re.sub(r"^(-?\d+)\.0+$", r"\1", found)
    return whole if found not in known and whole in known else found
