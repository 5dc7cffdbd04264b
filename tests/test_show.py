"""What the command line prints of plain objects."""

from __future__ import annotations

from typing import Any

import pytest

from isrf.cli.printing.recommendations import recommendation_tables
from isrf.cli.printing.user_profile import print_user_profile
from isrf.core.consoles import PlainConsole
from isrf.ranking.recommend import Recommendation
from isrf.ranking.user_profile import Interest, Neighbour, UserProfile


def test_titles_with_commas_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["Princess Bride, The", "American President, The", 'Grünwald, Edition "Classic"']
    near = Neighbour("u2", 0.9, "Drama.", shared)
    told = {"likes": "Buys drama.", "dislikes": "Hardly buys noir.", "feature": "Drama.", "supplier": "attributes"}
    print_user_profile("u1", UserProfile(told, [], [near], 1, [], [], []))
    cells = [line.split("│")[4].strip() for line in capsys.readouterr().out.splitlines() if line.count("│") == 5]
    assert " ".join(cells) == "; ".join(shared)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_ids_are_whole_and_as_they_are(width: int, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """The next command needs them: not cut, and no part of them is taken for the code of an emoji."""
    monkeypatch.setenv("COLUMNS", str(width))
    item, person = "sku:100:" + "3f1c" * 9, "person:x:" + "77aa" * 9
    told = {"likes": "Buys tea.", "dislikes": "Nothing.", "feature": "Tea.", "supplier": "attributes"}
    title, feature = "Game :x: pack and more words of a title", "board games for long evenings and large tables"
    found = Recommendation(item, title, 1.0, {"generator": 0.5, "group": 0.5}, feature, ["is chosen by many people"])
    near = Neighbour(person, 0.9, feature, [title])
    print_user_profile("u1", UserProfile(told, [Interest(item, title, feature, 1.0)], [near], 1, [], [found], []))
    row = {"user_id": person, "method": "isrf", "rank": 1, "item_id": item, "title": title, "shares": found.shares}
    recommendation_tables([row | {"reasons": found.reasons}], PlainConsole(width=width))
    out = capsys.readouterr().out
    assert "\u2026" not in out and "\u274c" not in out and "\U0001f4af" not in out
    columns = [line.split("\u2502") for line in out.splitlines() if "\u2502" in line]
    whole = {"".join(cells[place].strip() for cells in columns if len(cells) > place) for place in (2, 3)}
    assert any(joined.count(item) == 3 for joined in whole) and any(person in joined for joined in whole)
    assert "generator 50%" in " ".join(out.split()) or width < 160
