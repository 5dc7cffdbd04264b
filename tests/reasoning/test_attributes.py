"""Attribute statistics: known answers on tiny logs, properties of the lift, and that blocks change nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.config import ReasoningSettings
from isrf.data.histories import Histories
from isrf.data.training_data import TrainingData
from isrf.reasoning.attributes import statistics as attributes
from isrf.reasoning.attributes.statistics import BLOCK, AttributeStatistics
from isrf.reasoning.llm.prompts import item_question, prompt_of
from isrf.reasoning.sentences import Reasons
from isrf.reasoning.text import words

SETTINGS = ReasoningSettings()


def test_an_item_is_liked_by_those_who_buy_its_kind(two_tastes: TrainingData) -> None:
    reasons = AttributeStatistics.fit(two_tastes, SETTINGS).items()
    for row in range(4):
        assert "leaf" in reasons.likes[row] and "kitchen" in reasons.likes[row]
        assert "ridge" not in reasons.likes[row]
        assert any(word in reasons.dislikes[row] for word in ("ridge", "outdoor", "running"))
    for row in range(4, 8):
        assert "outdoor" in reasons.likes[row] and "leaf" not in reasons.likes[row]


def test_a_feature_names_the_item_first(two_tastes: TrainingData) -> None:
    features = AttributeStatistics.fit(two_tastes, SETTINGS).items().features
    assert features[1].startswith("Iron teapot, leaf")
    assert len(set(features)) == 8, "features tell items apart"


def test_a_person_likes_what_they_buy_more_than_others(two_tastes: TrainingData) -> None:
    reasons = AttributeStatistics.fit(two_tastes, SETTINGS).users(two_tastes.histories)
    assert "leaf" in reasons.likes[0] and "ridge" not in reasons.likes[0]
    assert "tea" not in reasons.dislikes[0]
    assert any(word in reasons.dislikes[0] for word in ("ridge", "outdoor", "running", "trail"))
    assert "ridge" in reasons.features[-1].lower() and "leaf" not in reasons.features[-1]


def test_lift_has_the_value_worked_out_by_hand(build: Callable[..., TrainingData]) -> None:
    # 4 interactions, 3 of them red: share 3/4. Two reds in two purchases, k = 2: (2 + 2) / (2 * 3/4 + 2) = 8/7
    training = build(["red one", "red two", "blue"], [[0, 1], [1, 2]])
    statistics = AttributeStatistics.fit(training, ReasoningSettings(lift_shrinkage=2))
    red = statistics.terms.names.index("red")
    assert statistics.share[red] == pytest.approx(3 / 4)
    assert statistics.lift(np.array([2.0]), 2.0, np.array([red]))[0] == pytest.approx(8 / 7)


def test_an_item_does_not_vouch_for_itself(build: Callable[..., TrainingData]) -> None:
    # whoever buys item 0 buys nothing else that is purple: purple must not be a taste of its buyers
    training = build(["purple hat", "green sock", "green glove", "purple bag"], [[0, 1, 2]] * 5 + [[3]] * 5)
    likes = AttributeStatistics.fit(training, SETTINGS).items().likes
    assert "green" in likes[0] and "purple" not in likes[0]


def test_only_the_most_recent_items_of_a_person_count(build: Callable[..., TrainingData]) -> None:
    training = build(["wool hat", "wool bag", "blue pen", "blue ink"], [[0, 1, 2, 3], [0, 1], [0, 1]])
    statistics = AttributeStatistics.fit(training, ReasoningSettings(user_history=2))
    feature = statistics.users(training.histories).features[0].lower()
    assert "blue" in feature and "hat" not in feature and "bag" not in feature


@given(
    counts=st.lists(st.integers(0, 50), min_size=2, max_size=2),
    total=st.integers(50, 500),
    shrinkage=st.floats(0.1, 1000),
)
def test_lift_grows_with_the_count_and_shrinks_towards_one(
    two_tastes: TrainingData, counts: list[int], total: int, shrinkage: float
) -> None:
    low, high = sorted(counts)
    column = np.array([0])

    def lift(count: int, k: float) -> float:
        statistics = AttributeStatistics.fit(two_tastes, ReasoningSettings(lift_shrinkage=k))
        return float(statistics.lift(np.array([float(count)]), float(total), column)[0])

    assert lift(low, shrinkage) <= lift(high, shrinkage)
    assert lift(low, shrinkage) > 0
    assert abs(lift(high, 2 * shrinkage) - 1) <= abs(lift(high, shrinkage) - 1) + 1e-12


def test_fragments_of_words_are_not_named(build: Callable[..., TrainingData]) -> None:
    titles = ["shimmer gloss", "shimmer stick", "shimmer powder", "matte stick"]
    keywords = ["shim|glitter", "shim|glitter", "glitter", "plain"]
    training = build(titles, [[0, 1, 2], [0, 1, 2], [3, 1]], keywords=keywords)
    reasons = AttributeStatistics.fit(training, SETTINGS).items()
    assert not any("shim," in text or "shim " in text for text in [*reasons.likes, *reasons.dislikes])
    assert "shimmer" in reasons.likes[0] and "glitter" in reasons.likes[0]


@pytest.mark.parametrize("row_kind", ["items", "users"])
def test_words_are_limited(two_tastes: TrainingData, row_kind: str) -> None:
    short = ReasoningSettings(feature_words=6, preference_words=7)
    statistics = AttributeStatistics.fit(two_tastes, short)
    reasons = statistics.items() if row_kind == "items" else statistics.users(two_tastes.histories)
    limit = 6 if row_kind == "items" else 7
    assert all(0 < len(text.split()) <= limit for text in reasons.features)
    assert all(0 < len(text.split()) <= 7 for text in [*reasons.likes, *reasons.dislikes])


def test_every_row_with_a_text_is_filled_even_without_buyers(build: Callable[..., TrainingData]) -> None:
    training = build(["", "lonely lamp", "12 34", "chair"], [[0], [3, 0]])
    statistics = AttributeStatistics.fit(training, SETTINGS)
    for reasons in (statistics.items(), statistics.users(training.histories)):
        for texts in (reasons.likes, reasons.dislikes, reasons.features):
            # the first item has no text, and the first person has nothing but it
            assert texts[0] == "" and all(any(c.isalnum() for c in text) for text in texts[1:])


def test_an_empty_history_has_no_reasons(two_tastes: TrainingData) -> None:
    reasons = AttributeStatistics.fit(two_tastes, SETTINGS).users(Histories.of([[], [1]]))
    assert (reasons.likes[0], reasons.dislikes[0], reasons.features[0]) == ("", "", "")
    assert reasons.features[1]


def test_a_person_outside_the_log_is_reasoned_alike(two_tastes: TrainingData) -> None:
    statistics = AttributeStatistics.fit(two_tastes, SETTINGS)
    everybody = statistics.users(two_tastes.histories)
    stranger = statistics.users(Histories.of([two_tastes.histories[5]]))
    assert stranger.features == [everybody.features[5]]


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); from conftest import training_of, TEA, RUN\n"
        "from isrf.core.config import ReasoningSettings; from isrf.reasoning.attributes.statistics import AttributeStatistics\n"
        "t = training_of(TEA + RUN, [[0, 1, 5], [2, 4], [6, 7, 3]], tags=list('abcabcab'))\n"
        "s = AttributeStatistics.fit(t, ReasoningSettings()); print(s.items(), s.users(t.histories))\n"
    )
    here = str(Path(__file__).parent)
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code, here],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] and b"teapot" in outputs[0]


def test_an_item_without_text_is_not_spoken_of_by_its_number(build: Callable[..., TrainingData]) -> None:
    # ids are often numbers in order of first appearance: encoded, neighbours in number would become neighbours in meaning
    training = build(["", "", "red hat", "red shoe"], [[0, 1], [0, 1], [2, 3]])
    statistics = AttributeStatistics.fit(training, SETTINGS)
    items, users = statistics.items(), statistics.users(training.histories)
    said = [*items.likes, *items.dislikes, *items.features, *users.likes, *users.features]
    for item in training.catalogue.ids:
        assert not any(item.lower() in text.lower() for text in said), item
    assert items.features[0] == "" and users.features[0] == "", "nothing is known, so nothing is said"
    prompt = prompt_of("item", SETTINGS)
    for row in range(4):
        asked = [ask.text for ask in item_question(prompt, training.catalogue, row).asks]
        assert not any(f" {training.catalogue.ids[row]}" in text for text in asked)


def test_numbers_are_nobodys_taste(build: Callable[..., TrainingData]) -> None:
    training = build(["war 1994", "love 1994", "farce 1994", "noir 1950"], [[0, 1, 2]] * 3 + [[3]])
    reasons = AttributeStatistics.fit(training, SETTINGS).items()
    assert reasons.likes[0] and not any("1994" in text for text in reasons.likes)


COLOURS, THINGS = ["red", "blue", "green", "grey", "pink"], ["hat", "sock", "glove", "scarf", "belt", "shoe", "bag"]


def shop(build: Callable[..., TrainingData], n_items: int, n_users: int) -> TrainingData:
    """Items of 5 colours, 7 kinds and 11 makers; everybody buys 6, the first items far more often than the last."""
    random = np.random.default_rng(0)
    titles = [f"{COLOURS[n % 5]} {THINGS[n % 7]} model{n % 97}" for n in range(n_items)]
    bought = (random.random((n_users, 6)) ** 3 * n_items).astype(int)
    makers = [f"maker {n % 11}" for n in range(n_items)]
    return build(titles, [sorted({*row}) for row in bought.tolist()], brand=makers)


def test_blocks_are_the_whole_in_row_order(build: Callable[..., TrainingData]) -> None:
    training = shop(build, 2 * BLOCK + 5, BLOCK + 3)
    statistics = AttributeStatistics.fit(training, SETTINGS)
    items, users = list(statistics.items_in_blocks()), list(statistics.users_in_blocks(training.histories))
    assert [len(block.features) for block in items] == [BLOCK, BLOCK, 5]
    assert [len(block.features) for block in users] == [BLOCK, 3]
    assert Reasons.joined(items) == statistics.items() and Reasons.joined(users) == statistics.users(training.histories)
    for title, feature in zip(training.catalogue.titles, statistics.items().features, strict=True):
        assert feature.lower().startswith(title), "each sentence belongs to its item"


@pytest.mark.parametrize("cells", [1, 40, 300, 5000])
def test_how_many_counts_are_held_at_once_changes_no_sentence(
    build: Callable[..., TrainingData], monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    statistics = AttributeStatistics.fit(shop(build, 40, 30), SETTINGS)
    whole = statistics.items()
    monkeypatch.setattr(attributes, "CELLS", cells)
    assert statistics.items() == whole


@given(
    histories=st.lists(st.lists(st.integers(0, 7), unique=True, max_size=8), min_size=1, max_size=12),
    start=st.integers(0, 7),
)
def test_counts_are_what_counting_one_by_one_gives(
    build: Callable[..., TrainingData], histories: list[list[int]], start: int
) -> None:
    tags = ["a b|c d", "c d", "", "e f|a b", "e f", "c d|e f", "a b", "g h"]
    statistics = AttributeStatistics.fit(build([f"thing {n}" for n in range(8)], histories, tags=tags), SETTINGS)
    counts = statistics._bought_beside(np.arange(start, 8)).toarray()
    has = statistics.terms.has.toarray()
    for item in range(start, 8):
        beside = [other for history in histories if item in history for other in history if other != item]
        assert counts[item - start].tolist() == sum((has[other] for other in beside), np.zeros(has.shape[1])).tolist()


def test_memory_does_not_grow_with_the_rows_that_were_told(build: Callable[..., TrainingData]) -> None:
    training = shop(build, 4 * BLOCK, 4 * BLOCK)
    assert training.matrix.nnz and len(training.popularity)  # made once, and held by the training data
    AttributeStatistics.fit(build(["thing"], [[0]]), SETTINGS)  # lists of function words are loaded once
    tracemalloc.start()
    try:
        statistics = AttributeStatistics.fit(training, SETTINGS)
        fitted, most = tracemalloc.get_traced_memory()
        assert fitted < 120 * training.n_items, "5 attributes at 8 bytes, and what there is of each item once"
        assert most < 300 * training.n_items
        for blocks in (statistics.items_in_blocks(), statistics.users_in_blocks(training.histories)):
            held = []
            for block in blocks:
                said = sum(map(sys.getsizeof, [*block.likes, *block.dislikes, *block.features]))
                held.append(tracemalloc.get_traced_memory()[0])
            assert len(held) >= 4 and said > 200_000
            assert max(held[1:]) - held[1] < 200_000, "less than the sentences of one block"
    finally:
        tracemalloc.stop()


def test_nobody_dislikes_what_is_named_as_theirs(build: Callable[..., TrainingData]) -> None:
    """Most buy drama, and so does this person, if less than others: "lately drama" and "hardly buys drama" are at odds."""
    titles = [f"film{n}" for n in range(12)]
    genres = ["drama"] * 6 + ["comedy|noir", "comedy", "comedy", "comedy", "crime", "crime"]
    training = build(titles, [[6, 7, 8, 9, 0]] + [[n % 6, (n + 1) % 6, 10, 11] for n in range(30)], genres=genres)
    statistics = AttributeStatistics.fit(training, SETTINGS)
    users = statistics.users(training.histories)
    assert "lately" in users.features[0] and "drama" in users.features[0]
    assert users.dislikes[0] == "Hardly buys crime."
    for likes, dislikes, feature in zip(users.likes, users.dislikes, users.features, strict=True):
        theirs = set(words(likes)) | set(words(feature))
        assert not theirs & set(words(dislikes.removeprefix("Hardly buys"))), (dislikes, feature)


def test_sentences_of_a_catalogue_are_not_named_whole(build: Callable[..., TrainingData]) -> None:
    made = [("Samen", "Alpina", "Garten"), ("Rechen", "Hausmann", "Garten"), ("Topf", "Alpina", "Küche")] * 4
    texts = [f"{what} aus dem Hause {maker}; für {place}." for what, maker, place in made]
    training = build(
        [what for what, _, _ in made], [[n % 12, (n + 3) % 12, (n + 6) % 12] for n in range(12)], text=texts
    )
    statistics = AttributeStatistics.fit(training, SETTINGS)
    for reasons in (statistics.items(), statistics.users(training.histories)):
        said = [*reasons.likes, *reasons.dislikes, *reasons.features]
        assert not any(".." in text or "; " in text or "aus dem hause" in text for text in said), said


# years


def films(build: Callable[..., TrainingData], **columns: list[str]) -> TrainingData:
    titles = ["Slow river", "Fast river", "Quiet harbour", "Loud harbour"]
    return build(titles, [[0, 1], [2, 3], [0, 2, 3], [1, 3]], genres=["Drama|War", "Drama", "War", "Comedy"], **columns)


@pytest.mark.parametrize(
    "years", [["1994", "1995", "1994", "1995"], ["1994", "1995|1996", "1994", ""], ["1994-95"] * 4]
)
def test_years_are_facts_about_items_and_nobodys_interest(build: Callable[..., TrainingData], years: list[str]) -> None:
    training = films(build, year=years)
    statistics = AttributeStatistics.fit(training, SETTINGS)
    told = statistics.users(training.histories)
    assert not re.search(r"\d{4}", " ".join([*told.likes, *told.dislikes, *told.features]))
    assert all(told.features)


def test_a_brand_that_is_a_number_is_a_brand(build: Callable[..., TrainingData]) -> None:
    training = films(build, brand=["1928", "Ridge", "1928", "Leaf"], year=["2001", "2002", "2001", "2002"])
    told = AttributeStatistics.fit(training, SETTINGS).users(training.histories)
    assert "1928" in told.features[2] and "2001" not in " ".join(told.features)


def test_where_nothing_but_years_is_known_they_are_told(build: Callable[..., TrainingData]) -> None:
    training = build(["", "", ""], [[0, 1], [1, 2]], year=["1994", "1994", "1996"])
    told = AttributeStatistics.fit(training, SETTINGS).users(training.histories)
    assert "1994" in told.features[0]
