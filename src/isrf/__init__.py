"""ISRF: the Iterative Semantic Reasoning Framework for generative recommendation (arXiv 2603.13934).

>>> import isrf
>>> isrf.run("log.csv", items="items.csv", out="ws")  # doctest: +SKIP
>>> isrf.open("ws").recommend(users=["U1"], k=10)  # doctest: +SKIP

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isrf.core.config import Settings
    from isrf.core.errors import IsrfError
    from isrf.pipeline.forget import forget
    from isrf.pipeline.start import run
    from isrf.pipeline.update import roll_back, update, versions
    from isrf.recommender.recommender import Recommender, open
    from isrf.recommender.request import UnknownId

__version__ = "0.1.0"
__all__ = [
    "IsrfError",
    "Recommender",
    "Settings",
    "UnknownId",
    "__version__",
    "forget",
    "open",
    "roll_back",
    "run",
    "update",
    "versions",
]

_PLACES = {
    "IsrfError": "isrf.core.errors",
    "Recommender": "isrf.recommender.recommender",
    "Settings": "isrf.core.config",
    "UnknownId": "isrf.recommender.request",
    "forget": "isrf.pipeline.forget",
    "open": "isrf.recommender.recommender",
    "roll_back": "isrf.pipeline.update",
    "run": "isrf.pipeline.start",
    "update": "isrf.pipeline.update",
    "versions": "isrf.pipeline.update",
}
"""Public name -> the module that has it."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'isrf' has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
