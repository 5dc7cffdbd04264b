"""What holds for the whole suite: no hub, no paid endpoint, no settings of whoever runs it; and ``--slow``."""

from __future__ import annotations

import os

import hypothesis
import pytest

# Before any library is imported, for they read these once; processes that tests start inherit them. The embedded
# assets are the only thing a test may fetch, so ISRF_CACHE stays.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
for _name in [n for n in os.environ if n.startswith(("ISRF_", "OPENAI_")) and n != "ISRF_CACHE"]:
    del os.environ[_name]

# A shared machine may stall any example: time is judged by the suite's limit, not by each example's.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too (minutes each)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out, as if deselected by hand, unless ``--slow`` is given."""
    if config.getoption("--slow"):
        return
    slow = [item for item in items if "slow" in item.keywords]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if "slow" not in item.keywords]
