"""Names of our own methods, in tables and on the command line. Baselines are named by their classes (``registry``)."""

from __future__ import annotations

WHOLE = "isrf"
"""Interest graphs and generator."""
GRAPH_ONLY = "isrf-graph"
"""The interest graphs, nothing trained."""
GENERATOR_ONLY = "isrf-generator"
"""The generator without fusion."""
WITHOUT_GROUP = "isrf-nogroup"
"""The whole, trained without a group."""
