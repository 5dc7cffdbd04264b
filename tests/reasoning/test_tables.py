"""Who wrote which row of the tables, and why not the supplier that was asked for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from isrf.core.config import ReasoningSettings
from isrf.data.training_data import TrainingData
from isrf.reasoning.answers.quality import sentence_key
from isrf.reasoning.attributes.statistics import AttributeStatistics
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.prompts import prompt_of
from isrf.reasoning.llm.row_results import Replies, Reply
from isrf.reasoning.sentences import Reasons
from isrf.reasoning.tables import SCHEMA, STATISTICS_VERSION, Answered, assemble, coverage, unanswered

PROMPT = prompt_of("item", ReasoningSettings())
WHO = Endpoint("openai", "http://127.0.0.1:1/v1", "m", "m@1")
IDS = ["a", "b", "c", "d", "e"]
SPENT = (10, 5, 2)


def statistics(n: int) -> Reasons:
    return Reasons(["s-likes"] * n, ["s-dislikes"] * n, ["s-feature"] * n)


def assembled(replies: dict[int, Reply], order: list[int], shared: frozenset[int] = frozenset()) -> pl.DataFrame:
    """The table of five items whose statistics come in two blocks."""
    with Replies(len(IDS)) as kept:
        for row, reply in replies.items():
            kept.put(row, reply)
        answered = Answered(PROMPT, WHO, np.array(order, dtype=np.int64), kept, shared)
        return assemble("item", IDS, [statistics(2), statistics(3)], answered)


def test_every_row_says_who_wrote_it_and_why() -> None:
    good = Reply("likes", "dislikes", "feature", *SPENT, ("likes: too long",), "")
    bad = Reply("", "", "", *SPENT, ("likes: too long", "likes: too long"), "likes: too long")
    lost = Reply("", "", "", 0, 0, 0, (), "endpoint: no answer")
    table = assembled({0: good, 1: bad, 2: lost}, [0, 1, 2, 3])
    assert table.schema == {"item": pl.String, **SCHEMA}
    assert table.rows() == [
        ("a", "likes", "dislikes", "feature", "openai", "m", PROMPT.version, *SPENT, "likes: too long", ""),
        ("b", "s-likes", "s-dislikes", "s-feature", "attributes", STATISTICS_VERSION, "", *SPENT,
         "likes: too long; likes: too long", "likes: too long"),
        ("c", "s-likes", "s-dislikes", "s-feature", "attributes", STATISTICS_VERSION, "", 0, 0, 0, "",
         "endpoint: no answer"),
        ("d", "s-likes", "s-dislikes", "s-feature", "attributes", STATISTICS_VERSION, "", 0, 0, 0, "", "budget"),
        ("e", "s-likes", "s-dislikes", "s-feature", "attributes", STATISTICS_VERSION, "", 0, 0, 0, "", "no text"),
    ]  # fmt: skip
    assert unanswered(table) == 1


def test_a_sentence_of_too_many_items_is_left_out_whatever_its_letters() -> None:
    replies = {row: Reply("l", "d", text, *SPENT, (), "") for row, text in enumerate(["So GOOD!", "So good", "fine"])}
    table = assembled(replies, [0, 1, 2], frozenset([sentence_key("so good")]))
    assert table["feature"].to_list() == ["s-feature", "s-feature", "fine", "s-feature", "s-feature"]
    assert table["fallback"][0] == "feature: the same sentence for many items" and table["tokens_in"][0] == 10


def test_without_an_llm_no_row_has_a_reason_to_fall_back() -> None:
    table = assemble("item", IDS, [statistics(5)], None)
    assert set(table["supplier"]) == {"attributes"} and set(table["fallback"]) == {""}


def test_no_rows_are_a_table_too() -> None:
    assert assemble("item", [], [], None).schema == {"item": pl.String, **SCHEMA}


def test_what_became_of_the_rows_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assembled({0: Reply("", "", "", 0, 0, 0, (), "endpoint: no answer")}, [0, 1])
    said = capsys.readouterr().err
    assert "m reasoned about 0 of 5 items" in said and "3 no text" in said and "1 budget" in said
    assert "1 items were not answered by the endpoint; the same command asks about them again" in said


def test_coverage_is_of_interactions_not_of_items(two_tastes: TrainingData) -> None:
    reasons = AttributeStatistics.fit(two_tastes, ReasoningSettings()).items()
    table = assemble("item", two_tastes.catalogue.ids, [reasons], None)
    suppliers = ["openai"] * 2 + ["attributes"] * 6  # every item is bought nine times
    shares = coverage(two_tastes, table.with_columns(pl.Series("supplier", suppliers)))
    assert shares == {"attributes": 0.75, "openai": 0.25} and list(shares) == ["attributes", "openai"]
