"""Versions of what each stage computes: raise one when the same inputs and settings give another outcome than before.

A stage's key holds its version, so whatever was made by an older formula is made anew, with all that was made from it.
``tests/test_formulas.py`` compares a small run with recorded figures: a change that nobody raised a version for fails there.
"""

from __future__ import annotations

FORMULAS = {
    "dataset": 3,
    "reasoning": 1,
    "semantics": 1,
    "graphs": 1,
    "ranking": 2,
    "model": 2,
    "evaluation": 2,
}
"""Stage -> version. The first is not written into keys: workspaces from before there were versions stay as they are."""
