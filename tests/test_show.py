"""What the command line prints of plain objects."""

from __future__ import annotations

import pytest

from isrf import show
from isrf.ranking.inspection import Neighbour, Portrait


def test_titles_with_commas_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["Princess Bride, The", "American President, The", 'Grünwald, Edition "Classic"']
    near = Neighbour("u2", 0.9, "Drama.", shared)
    told = {"likes": "Buys drama.", "dislikes": "Hardly buys noir.", "feature": "Drama.", "supplier": "attributes"}
    show.portrait("u1", Portrait(told, [], [near], 1, [], [], []))
    cells = [line.split("│")[4].strip() for line in capsys.readouterr().out.splitlines() if line.count("│") == 5]
    assert " ".join(cells) == "; ".join(shared)
