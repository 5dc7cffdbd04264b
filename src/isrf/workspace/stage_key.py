"""The key of a stage: everything that its outcome depends on, as one digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from isrf import __version__
from isrf.workspace.formulas import FORMULAS
from isrf.workspace.layout import STAGES

GRAPHS = STAGES[3]


def scored_by(graphs: dict[str, Any]) -> dict[str, Any]:
    """Settings of finished graphs that scoring reads too, from their ``stage.json``.

    What was fitted to scores depends on them and not on the graphs' file alone; it keeps them as its setting GRAPHS.
    """
    return {name: value for name, value in graphs["settings"].items() if name != "block"}


def key_of(stage: str, inputs: dict[str, str], settings: dict[str, Any]) -> str:
    """SHA-256 (hex) of what determines a stage's outcome.

    That is: digests of the files it reads, its settings, our version, and that of what it computes (``formulas``).
    """
    told: dict[str, Any] = {"isrf": __version__, "inputs": inputs, "settings": settings}
    if FORMULAS[stage] > 1:
        told["formula"] = FORMULAS[stage]
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
