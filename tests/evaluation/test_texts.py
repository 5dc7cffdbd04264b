"""Scores of sentences: formulas by their examples, and what they are for: telling good from bad and varied from collapsed."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from isrf.core.errors import IsrfError
from isrf.evaluation import text_scores
from isrf.evaluation.text_scores import (
    COLUMNS,
    SCORES,
    Told,
    bleu,
    distinct,
    feature_named,
    markdown_lines,
    rouge,
    row_of,
    unique,
)
from isrf.methods import review_sentences as baselines

SAID = ["a good soap for dry hands", "a bright lamp for long evenings", "strong tea in the morning"]


@pytest.mark.parametrize("module", [text_scores, baselines], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: object) -> None:
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert tried and not failed


def test_the_same_sentence_is_worth_everything_and_another_nothing() -> None:
    references = [[sentence] for sentence in SAID]
    assert bleu(SAID, references, 1) == bleu(SAID, references, 4) == pytest.approx(100)
    assert set(rouge(SAID, references).values()) == {100.0}
    strange = ["zig zag zog"] * 3
    assert bleu(strange, references, 1) == 0 and set(rouge(strange, references).values()) == {0.0}


def test_bleu_by_hand() -> None:
    """4 of 5 words and 2 of 4 pairs are in the reference; 5 words where it has 7: a brevity of exp(1 - 7/5)."""
    sentence, reference = "the cat on the sofa", "the cat sat on the mat today"
    brevity = np.exp(1 - 7 / 5)
    assert bleu([sentence], [[reference]], 1) == pytest.approx(100 * brevity * 4 / 5)
    assert bleu([sentence], [[reference]], 2) == pytest.approx(100 * brevity * np.sqrt(4 / 5 * 2 / 4))


def test_several_references_of_a_pair_count_as_the_best_of_them() -> None:
    references = [["rather dull", SAID[0]], [SAID[1]]]
    assert bleu(SAID[:2], references, 4) == pytest.approx(100)
    assert rouge(SAID[:2], references)["ROUGE-2"] == 100


def test_capitals_do_not_count_and_letters_of_every_script_do() -> None:
    assert bleu(["Strong TEA in the morning"], [["strong tea in the morning"]], 4) == pytest.approx(100)
    assert rouge(["крепкий чай"], [["Крепкий чай"]])["ROUGE-2"] == 100


def test_a_collapsed_generator_shows() -> None:
    same = ["a good soap for hands"] * 100
    assert unique(same) == 1 and distinct(same) == 1
    assert unique(SAID) == 100 and distinct(["one"]) == 0


def test_a_feature_is_named_as_a_word() -> None:
    assert feature_named(["soapy water"], [["soap"]]) == 0
    assert feature_named(["The soap dish."], [["soap dish", "lid"]]) == 100
    assert feature_named(["fine"], [[]]) is None and feature_named(["fine"], [["..."]]) is None


def test_a_row_holds_every_column_and_is_printed() -> None:
    told = Told(np.array([3, 3, 4]), np.array([0, 1, 0]), [[s] for s in SAID], [[], [], []])
    row = row_of("mine", "test", SAID, told)
    assert tuple(row) == COLUMNS and (row["pairs"], row["users"]) == (3, 2)
    lines = markdown_lines({"explanations": {"results": [row]}})
    assert lines[3] == "| mine | test | 3 | 2 |" + " 100.00 |" * len(SCORES) + " - | 100.00 | 100.00 |"
    assert markdown_lines({"results": []}) == []


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text_scores.require_scorers()
    monkeypatch.setattr(text_scores, "NEEDED", ("no_such_library",))
    with pytest.raises(IsrfError, match=r"sacrebleu and rouge-score.*pip install 'isrf\[explanations\]'"):
        text_scores.require_scorers()


def test_the_most_typical_sentence_of_each_item() -> None:
    items = np.array([7, 7, 7, 2])
    found = baselines.typical_of_items(items, ["good soap", "good soap for hands", "arrived late", "tea"])
    assert found == {7: "good soap for hands", 2: "tea"}
    assert baselines.most_typical(["b", "a"]) == "a", "equal ones by the alphabet"
