"""ISRF: the Iterative Semantic Reasoning Framework for generative recommendation (arXiv 2603.13934)."""

__version__ = "0.1.0"
