"""What readers say is tested in the words of the command line, where most people meet them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def words_of_the_shell(shell: None) -> None:
    """Of every module here."""
