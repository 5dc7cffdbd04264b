"""Templates cut into tokens: where they are cut, that pieces are T5's own, and that a damaged file is told of."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.model.test_identifiers import SPECIAL, sentencepiece_bytes

from isrf.core.errors import IsrfError
from isrf.data.queries import TASKS
from isrf.model.input_templates import (
    Cut,
    Wording,
    cut_templates,
    load_wording,
    paper_templates,
    parts_of,
    save_wording,
)
from isrf.workspace.layout import TEMPLATES_FILE

SHORT = {"sequential": "for user_{user}: {items}, what next?", "direct": "{user} {items}"}
"""The shortest forms: with words everywhere, and with none at all."""

SPELLABLE = [*SPECIAL, ("▁", -2.0), ("▁for", -3.0), ("▁user", -3.0), ("_", -3.5), ("▁item", -3.0), ("▁what", -3.0)]
SPELLABLE += [("▁next", -3.0), (":", -4.0), (",", -4.0), ("?", -4.0)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "spiece.model"
    path.write_bytes(sentencepiece_bytes(SPELLABLE))
    return path


def spelled(wording: Wording, task: str) -> list[list[str]]:
    cut = wording.of(task)  # type: ignore[arg-type]
    return [[wording.words[row] for row in rows] for rows in (cut.before, cut.between, cut.behind)]


def test_the_package_has_a_template_for_each_task() -> None:
    templates = paper_templates()
    assert set(templates) == set(TASKS)
    before, between, behind = parts_of(templates["sequential"])
    assert before.startswith("Given the following purchase history of user_") and (between, behind[:2]) == (": ", ", ")
    wording = cut_templates(templates)
    assert len(set(wording.words)) == len(wording.words) and all(wording.of(task).before for task in TASKS)


@pytest.mark.parametrize(
    "wrong", ["{items} {user}", "{user}", "{items}", "", "{user} {items} {user}", "{user}{items}{items}"]
)
def test_a_template_names_person_and_history_once_each(wrong: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        parts_of(wrong)


def test_without_a_model_words_and_marks_are_tokens() -> None:
    wording = cut_templates(SHORT)  # type: ignore[arg-type]
    assert wording.pieces is None
    assert spelled(wording, "sequential") == [["for", "user_"], [":"], [",", "what", "next", "?"]]
    assert spelled(wording, "direct") == [[], [], []]


def test_pieces_are_those_of_the_whole_text(model: Path) -> None:
    """A mark behind an identifier begins no word, as it would by itself."""
    wording = cut_templates(SHORT, model)  # type: ignore[arg-type]
    assert spelled(wording, "sequential") == [["▁for", "▁user", "_"], [":"], [",", "▁what", "▁next", "?"]]
    assert wording.pieces is not None
    assert [SPELLABLE[row][0] for row in wording.pieces] == list(wording.words)


def test_a_word_without_pieces_is_named(model: Path) -> None:
    with pytest.raises(IsrfError, match=r"spiece\.model: has no pieces for .*model\.templates=none"):
        cut_templates({**SHORT, "direct": "whom {user} {items}"}, model)  # type: ignore[dict-item]


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(IsrfError, match=r"none\.model: no such file"):
        cut_templates(paper_templates(), tmp_path / "none.model")


@pytest.mark.parametrize("pieces", [None, (7, 3)])
def test_they_come_back_from_a_file(tmp_path: Path, pieces: tuple[int, ...] | None) -> None:
    wording = Wording(("a", "▁ü"), (Cut((0, 1), (), (1,)), Cut((), (1,), (0,))), pieces)
    save_wording(wording, tmp_path)
    assert load_wording(tmp_path / TEMPLATES_FILE) == wording


@pytest.mark.parametrize("damaged", ["", "{}", '{"words": ["a"], "cuts": [{"before": 1}], "pieces": null}', "[]"])
def test_a_damaged_file_is_one_line(tmp_path: Path, damaged: str) -> None:
    (tmp_path / TEMPLATES_FILE).write_text(damaged)
    with pytest.raises(IsrfError, match=r"templates\.json: (unreadable templates|not readable as JSON)"):
        load_wording(tmp_path / TEMPLATES_FILE)
