"""Conditions, filters and rules against what a loop over items says; nothing that is recommended ever breaks one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.item_columns import ItemColumns
from isrf.data.training_data import Catalogue
from isrf.ranking.candidates import Candidates
from isrf.ranking.filters import Filters, candidates_of, matching
from isrf.ranking.recommend import top_items
from isrf.ranking.rules import NO_RULES, RuleArguments, Rules, rules_of

N = 7
TEXTS = ["Ace", "ace", "Bo", "Bo & Co", "7", ""]
NUMBERS = [None, -3, 0, 5, 7, 20]
DAYS = [None, date(2024, 1, 31), date(2024, 2, 1), date(2025, 1, 1)]
KINDS: dict[str, tuple[Any, list[Any]]] = {
    "whole": (pl.Int64, NUMBERS),
    "decimal": (pl.Float64, [None, -0.5, 0.0, 5.0, 7.25]),
    "day": (pl.Date, DAYS),
    "moment": (pl.Datetime("us", "UTC"), [None, *(datetime(2024, 1, 31, h, tzinfo=UTC) for h in (0, 9, 23))]),
    "flag": (pl.Boolean, [None, True, False]),
    "tags": (pl.List(pl.String), [None, ["Ace"], ["Bo", "ace"], ["x", "y", "x"]]),
    "sizes": (pl.List(pl.Int64), [None, [5], [7, 20]]),
}


def columns_of(brands: list[str], values: dict[str, list[Any]]) -> ItemColumns:
    ids = [f"i{n}" for n in range(len(brands))]
    catalogue = Catalogue(pl.DataFrame({Columns.ITEM: ids, Columns.TITLE: brands, "brand": brands}))
    typed = [pl.Series(name, values[name], dtype=KINDS[name][0]) for name in values]
    return ItemColumns(catalogue, pl.DataFrame([pl.Series(Columns.ITEM, ids), *typed]), {"Marke": "brand"})


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[ItemColumns, dict[str, list[Any]]]:
    def several(choices: list[Any]) -> list[Any]:
        return draw(st.lists(st.sampled_from(choices), min_size=N, max_size=N))

    brands = several(TEXTS)
    values = {name: several(choices) for name, (_, choices) in KINDS.items()}
    return columns_of(brands, values), {"brand": [brand or None for brand in brands], **values}


def one_value(name: str) -> st.SearchStrategy[Any]:
    choices = [text for text in TEXTS if text] if name == "brand" else KINDS[name][1]
    flat = [
        one for choice in choices if choice is not None for one in (choice if isinstance(choice, list) else [choice])
    ]
    return st.sampled_from(flat)


@st.composite
def conditions(draw: st.DrawFn, name: str, depth: int = 0) -> Any:
    value = one_value(name)
    if draw(st.booleans()) and not depth:
        return draw(st.one_of(value, st.lists(value, max_size=3)))
    operators = ["=", "==", "!=", "in", "any", "all", "missing"] + (["not"] if depth < 2 else [])
    operators += ["contains"] if name in ("brand", "tags") else []
    operators += ["<", "<=", ">", ">="] if name in ("whole", "decimal", "day", "moment", "sizes") else []
    found: dict[str, Any] = {}
    for operator in draw(st.lists(st.sampled_from(operators), min_size=1, max_size=2, unique=True)):
        if operator in ("in", "any", "all"):
            found[operator] = draw(st.lists(value, max_size=3))
        elif operator == "missing":
            found[operator] = draw(st.booleans())
        elif operator == "not":
            found[operator] = draw(conditions(name, depth + 1))
        elif operator == "contains":
            found[operator] = draw(st.sampled_from(["a", "BO", "&", "7"]))
        else:
            found[operator] = draw(value)
    return found


def fulfils(held: Any, condition: Any) -> bool:
    """What an item's value says of a condition, one item at a time."""
    values = [] if held is None else held if isinstance(held, list) else [held]
    if not isinstance(condition, dict):
        wanted = condition if isinstance(condition, list) else [condition]
        return any(value in wanted for value in values)

    def one(operator: str, value: Any) -> bool:
        if operator == "missing":
            return (not values) == value
        if not values:
            return False
        if operator in ("=", "==", "in", "any"):
            return fulfils(held, value if isinstance(value, list) else [value])
        if operator == "!=":
            return not fulfils(held, [value])
        if operator == "not":
            return not fulfils(held, value)
        if operator == "all":
            return all(fulfils(held, [each]) for each in value)
        if operator == "contains":
            return any(value.lower() in each.lower() for each in values)
        compare = {
            "<": lambda a: a < value,
            "<=": lambda a: a <= value,
            ">": lambda a: a > value,
            ">=": lambda a: a >= value,
        }
        return any(compare[operator](each) for each in values)

    return all(one(operator, value) for operator, value in condition.items())


@given(st.data())
def test_a_condition_holds_for_exactly_the_items_of_which_it_is_true(data: st.DataObject) -> None:
    columns, values = data.draw(catalogues())
    name = data.draw(st.sampled_from(sorted(values)))
    condition = data.draw(conditions(name))
    expected = [fulfils(held, condition) for held in values[name]]
    assert matching({name: condition}, columns).tolist() == expected


def test_values_may_be_given_as_their_text_and_columns_by_their_names_in_the_source() -> None:
    values = {name: [choices[-1]] * 2 for name, (_, choices) in KINDS.items()}
    columns = columns_of(["Ace", "7"], values)
    for where in (
        {"Marke": "7"}, {"BRAND": 7}, {"whole": "20"}, {"whole": 20.0}, {"decimal": {"<=": "7.25"}}, {"flag": "no"}, {"flag": 0},
        {"day": "2025-01-01"}, {"day": {">=": "2024-12-31T23:00"}}, {"moment": "2024-01-31"}, {"moment": {"<=": "2024-01-31"}},
        {"moment": {">": "2024-01-31T22:00:00Z"}}, {"sizes": "7"}, {"tags": {"all": ["x", "y"]}}, {"whole": np.int64(20)},
    ):  # fmt: skip
        assert matching(where, columns)[1], where
    for where in (
        {"moment": {">": "2024-01-31"}},
        {"whole": {"in": []}},
        {"whole": 2**70},
        {"decimal": {">": 1e300}},
    ):
        assert not matching(where, columns).any(), where


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (
            {"colour": 1},
            "where: no column 'colour'; the columns are title, brand, whole, decimal, day, moment, flag, tags, sizes",
        ),
        ({"whole": "cheap"}, "where: whole: holds numbers, and cheap is none"),
        ({"whole": True}, "where: whole: holds numbers, and True is none"),
        ({"whole": None}, "where: whole: a value is missing; items without one are found with {'missing': true}"),
        ({"brand": 1.5}, "where: brand: holds text, and 1.5 is none"),
        ({"brand": {"<": "B"}}, "where: brand: < is for numbers and dates, and this column holds text"),
        ({"flag": "perhaps"}, "where: flag: true or false is needed here, not perhaps"),
        ({"day": "31.01.2024"}, "where: day: holds dates, and 31.01.2024 is none; write dates like 2024-01-31"),
        ({"whole": {"contains": "1"}}, "where: whole: contains is for texts, and this column holds numbers"),
        ({"brand": {"contain": "A"}}, "where: brand: no operator contain; did you mean contains?"),
        ({"brand": {}}, "where: brand: an empty condition"),
        ("brand", "where: must be a mapping of columns and conditions"),
        ([{"brand": "Ace"}], "where: must be a mapping of columns and conditions"),
    ],
)
def test_what_is_no_condition_is_said_in_one_line(where: Any, told: str) -> None:
    columns = columns_of(["Ace"], {name: [choices[-1]] for name, (_, choices) in KINDS.items()})
    with pytest.raises(IsrfError) as error:
        matching(where, columns)
    assert str(error.value).startswith(told) and "\n" not in str(error.value)


def test_a_workspace_by_an_older_isrf_filters_texts_and_says_how_to_get_the_rest() -> None:
    known = columns_of(["Ace", "Bo"], {})
    texts = known.catalogue.table.with_columns(categories=pl.Series(["Hair|Skin", "Hair"]))
    columns = ItemColumns(Catalogue(texts), remedy="import it again with `isrf data import SRC --out ws`")
    assert matching({"categories": {"all": ["Hair", "Skin"]}}, columns).tolist() == [True, False]
    assert matching({"categories": "Hair"}, columns).tolist() == [True, True]
    assert matching({"brand": "Ace"}, columns).tolist() == [True, False]
    with pytest.raises(
        IsrfError,
        match=r"no column 'price'; the columns are title, brand, categories; numbers, dates .* `isrf data import",
    ):
        matching({"price": 5}, columns)


@pytest.mark.parametrize(
    ("at", "left"),
    [
        ("2024-01-31", [0, 3]),
        ("2024-02-01", [0, 1, 3]),
        (datetime(2024, 2, 1, 5, tzinfo=UTC), [0, 1, 3]),
        ("2024-02-02", [1, 3]),
    ],
)
def test_availability_is_from_a_day_to_the_end_of_another(at: Any, left: list[int]) -> None:
    days = [date(2024, 1, 30) + timedelta(n) for n in range(5)]
    columns = columns_of([""] * 5, {})
    columns.table = pl.DataFrame(
        {
            Columns.ITEM: columns.catalogue.ids,
            "available_from": [days[1], days[2], days[0], None, None],
            "available_to": [days[2], None, days[0], None, days[0]],
            "In Stock": [3.0, None, 1.0, 0.5, 0.0],
        }
    )
    found, lines = candidates_of(Filters(at=at), columns)
    assert found.eligible is not None and np.flatnonzero(found.eligible).tolist() == left
    assert lines[0].startswith(f"availability: {5 - len(left)} of 5 items cannot be had at ")
    everything, lines = candidates_of(Filters(at=at, availability=False), columns)
    assert everything.eligible is None and not lines


def test_a_column_of_availability_that_cannot_be_read_is_told_of() -> None:
    columns = columns_of(["", ""], {})
    columns.table = pl.DataFrame(
        {Columns.ITEM: columns.catalogue.ids, "in_stock": ["few", "many"], "available_to": ["soon", "31.1."]}
    )
    found, lines = candidates_of(Filters(), columns)
    assert found.eligible is None and [line.split(":")[0] for line in lines] == [
        "WARNING", "WARNING",
    ]  # fmt: skip
    assert "available_to is not honoured: it holds no dates" in lines[0]


def test_the_filter_that_took_the_last_items_is_named() -> None:
    columns = columns_of(["Ace", "Bo", "Cy"], {})
    rows = np.arange(3)
    filters = Filters(
        lists=(("items_to_recommend", rows[:2]),),
        excluded=(("exclude", rows[:1]),),
        where=(("where", {"brand": "cy"}),),
    )
    found, _ = candidates_of(filters, columns)
    assert found.none_left and found.why_none(3) == (
        "nothing to recommend: where brand = cy took away the last 1 item; no item has 'cy', but some have 'Cy'"
    )
    nothing, _ = candidates_of(Filters(lists=(("items_to_recommend", rows[:0]),)), columns)
    assert nothing.why_none(3) == "nothing to recommend: items_to_recommend leaves none of the 3 items"


SCORES = st.lists(st.lists(st.integers(-3, 3).map(float), min_size=N, max_size=N), min_size=1, max_size=3)


@given(st.data())
def test_filtered_before_the_top_is_taken_is_everything_scored_and_then_filtered(data: st.DataObject) -> None:
    columns, values = data.draw(catalogues())
    name = data.draw(st.sampled_from(sorted(values)))
    where = {name: data.draw(conditions(name))}
    rows = np.array(data.draw(st.lists(st.integers(0, N - 1), unique=True)), dtype=np.int64)
    viewed, top = data.draw(st.booleans()), data.draw(st.integers(1, 2 * N))
    scores = np.array(data.draw(SCORES), dtype=np.float32)
    histories = Histories.of([data.draw(st.lists(st.integers(0, N - 1), unique=True)) for _ in scores])
    candidates, _ = candidates_of(
        Filters(excluded=(("exclude", rows),), where=(("where", where),), filter_viewed=viewed), columns
    )
    everything = top_items(scores.copy(), histories, N, Candidates(filter_viewed=False))
    fine = matching(where, columns)
    for person, found in enumerate(top_items(scores.copy(), histories, top, candidates)):
        had = set(histories[person].tolist()) if viewed else set()
        wanted = [row for row in everything[person].tolist() if fine[row] and row not in {*rows.tolist(), *had}]
        assert found.tolist() == wanted[:top]


def in_turn(rules: Rules, scores: list[float], top: int, vectors: np.ndarray | None = None) -> list[int]:
    own = np.array(scores, dtype=np.float32)
    return rules.chosen(own, top, np.eye(len(scores), dtype=np.float32) if vectors is None else vectors).tolist()


def test_a_cap_passes_over_items_whose_value_is_full() -> None:
    columns = columns_of(
        ["Ace", "Ace", "Ace", "", "", "Bo"], {"tags": [["x"], ["x", "y"], None, ["y"], None, ["z", "x"]]}
    )
    scores = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert in_turn(rules_of([RuleArguments({"brand": 2})], columns), scores, 5) == [0, 1, 3, 4, 5]
    assert in_turn(rules_of([RuleArguments({"tags": 1})], columns), scores, 6) == [0, 2, 3, 4]
    both = rules_of([RuleArguments({"brand": 2}), RuleArguments({"tags": 1}, name="rules.yaml: ")], columns)
    assert in_turn(both, scores, 9) == [0, 2, 3, 4]
    assert in_turn(both, [*scores[:5], -np.inf], 9) == [0, 2, 3, 4], "what may not be recommended is not"


@given(st.data())
def test_no_list_has_more_of_a_value_than_its_cap_and_none_is_needlessly_short(data: st.DataObject) -> None:
    columns, values = data.draw(catalogues())
    names = data.draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=2, unique=True))
    most, top = data.draw(st.integers(1, 3)), data.draw(st.integers(1, N))
    diversity = data.draw(st.sampled_from([0, 0.4, 1]))
    rules = rules_of([RuleArguments(dict.fromkeys(names, most), diversity=diversity)], columns)
    vectors = np.array(
        data.draw(st.lists(st.sampled_from([[1, 0], [0, 1], [0.6, 0.8]]), min_size=N, max_size=N)), np.float32
    )
    found = in_turn(rules, data.draw(SCORES)[0], top, vectors)
    assert len(set(found)) == len(found) <= top

    def held(name: str, row: int) -> list[Any]:
        value = values[name][row]
        return [] if value is None else list(dict.fromkeys(value)) if isinstance(value, list) else [value]

    counts = {name: [one for row in found for one in held(name, row)] for name in names}
    assert all(counts[name].count(one) <= most for name in names for one in counts[name])
    if len(found) < top:  # every other item is of a value that is full
        rest = set(range(N)) - set(found)
        assert all(any(counts[name].count(one) == most for name in names for one in held(name, row)) for row in rest)


def test_boosts_add_spreads_of_a_persons_scores() -> None:
    columns = columns_of(["Ace", "Bo", "Ace", ""], {"whole": [1, 5, 7, None]})
    scores = np.array([[4.0, 3.0, 2.0, 1.0], [40.0, 30.0, 20.0, 10.0], [5.0, 5.0, 5.0, 5.0]], dtype=np.float32)
    rules = rules_of(
        [
            RuleArguments(boost={"brand": {"Bo": 1}}),
            RuleArguments(boost=[{"where": {"whole": {">": 4}}, "by": "-0.5"}]),
        ],
        columns,
    )
    spread = scores.std(axis=1, keepdims=True)
    spread[spread == 0] = 1
    expected = scores + spread * np.array([0, 0.5, -0.5, 0], dtype=np.float32)
    assert np.allclose(rules.boosted(scores.copy()), expected) and not rules.reorder
    assert rules.reasons(1) == ["a rule of the shop puts it forward (brand = Bo)"] and not rules.reasons(2)
    assert np.array_equal(NO_RULES.boosted(scores.copy()), scores)


def test_diversity_is_maximal_marginal_relevance() -> None:
    """Three that are alike and one that is not: the second of those alike comes after the one that is not."""
    vectors = np.array([[1, 0], [1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    scores = [10.0, 9.0, 8.0, 6.0]
    orders = {d: in_turn(Rules(diversity=d), scores, 4, vectors) for d in (0.0, 0.1, 0.5, 1.0)}
    assert orders == {0.0: [0, 1, 2, 3], 0.1: [0, 1, 2, 3], 0.5: [0, 3, 1, 2], 1.0: [0, 3, 2, 1]}
    relevance = [1.0, 0.75, 0.5, 0.0]  # scaled over the pool
    second = [(1 - 0.5) * relevance[row] - 0.5 * float(vectors[row] @ vectors[0]) for row in (1, 2, 3)]
    assert int(np.argmax(second)) + 1 == 3


def test_a_long_diverse_list_holds_every_item_once() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2500, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = rng.normal(size=2500).astype(np.float32)
    found = Rules(diversity=0.5).chosen(scores, 10**9, vectors)
    assert sorted(found.tolist()) == list(range(2500)) and found[0] == scores.argmax()


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (RuleArguments({"brand": 0}), "max_per: brand: a whole number from 1 on is needed, not 0"),
        (RuleArguments({"brand": 1.5}, name="rules.yaml: "), "rules.yaml: max_per: brand: a whole number from 1 on"),
        (RuleArguments({"colour": 1}), "max_per: no column 'colour'"),
        (RuleArguments(3), "max_per: must be a mapping"),  # type: ignore[arg-type]
        (RuleArguments(boost={"brand": 3}), "boost: must give a number for each value"),
        (RuleArguments(boost={"brand": {"X": "much"}}), "boost: much is not a number of spreads"),
        (RuleArguments(boost={"colour": {"X": 1}}), "boost: no column 'colour'"),
        (RuleArguments(boost=[{"where": {}}]), "boost: a list of boosts holds mappings like"),
        (RuleArguments(boost=7), "boost: must be a mapping of columns"),
        (RuleArguments(diversity=1.1), "diversity: 1.1 is not a number from 0 to 1"),
        (RuleArguments(diversity=True), "diversity: True is not a number from 0 to 1"),
    ],
)
def test_what_is_no_rule_is_said_in_one_line(rules: RuleArguments, told: str) -> None:
    with pytest.raises(IsrfError) as error:
        rules_of([rules], columns_of(["Ace"], {}))
    assert str(error.value).startswith(told) and "\n" not in str(error.value)
