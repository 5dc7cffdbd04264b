"""The report on reasons: who wrote what, what was rejected, how long and how alike the texts are, and the examples."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from tests.commands import done, isrf

from isrf.cli.printing.reasoning import print_reasoning
from isrf.core import assets
from isrf.core.config import ReasoningSettings, SemanticsSettings
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue, TrainingData
from isrf.reasoning.answers.quality import mended
from isrf.reasoning.llm.prices import Price
from isrf.reasoning.reason import reason_items, reason_users
from isrf.reasoning.tables import SCHEMA, STATISTICS, STATISTICS_VERSION
from isrf.report import examples
from isrf.report.account_sections import reasons
from isrf.report.examples import Encode, shortened
from isrf.report.reasoning import ReasoningReport, reasoning_report
from isrf.report.reasoning_tables import renderables
from isrf.report.section import Table
from isrf.report.sentences import words_in
from isrf.semantics.encode import Encoder

TITLES = ["green tea sampler", "iron teapot", "bamboo whisk", "trail shoes", "running socks", "sport watch"]
FEATURES = [
    "Loose green tea for people who brew leaves every morning.",
    "Heavy teapot that keeps black tea hot for guests.",
    "Whisk that makes matcha tea foam.",
    "Shoes with grip for runners on muddy trails.",
    "Socks that keep a runner's feet dry.",
    "Watch that times laps for runners.",
]
LLM = {"supplier": "openai", "model": "some-model", "prompt_version": "0123456789ab", "tokens_in": 90, "tokens_out": 10}


def row(**values: Any) -> dict[str, Any]:
    """One row of a table of reasons: of attribute statistics, nobody asked, unless the values say otherwise."""
    usual = {name: 0 if kind == pl.Int64 else "" for name, kind in SCHEMA.items()}
    usual |= {"likes": "Tea drinkers.", "dislikes": "Coffee drinkers.", "feature": "A thing for tea."}
    return usual | {"supplier": STATISTICS, "model": STATISTICS_VERSION} | values


def written(**values: Any) -> dict[str, Any]:
    """A row that an LLM wrote."""
    return row(**LLM | values)


def lost(fallback: str, **values: Any) -> dict[str, Any]:
    """A row that an LLM was asked about in vain."""
    return row(fallback=fallback, **{"tokens_in": 90, "tokens_out": 10} | values)


def table(id_column: str, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """The rows as items i0, i1, ... or users u0, u1, ..."""
    ids = [f"{id_column[0]}{n}" for n in range(len(rows))]
    return pl.DataFrame(rows, schema=SCHEMA).insert_column(0, pl.Series(id_column, ids, dtype=pl.String))


def data(titles: Sequence[str], histories: Sequence[Sequence[int]], **attributes: list[str]) -> TrainingData:
    items = {Columns.ITEM: [f"i{n}" for n in range(len(titles))], Columns.TITLE: list(titles), **attributes}
    catalogue = Catalogue(pl.DataFrame(items, schema=dict.fromkeys(items, pl.String)))
    return TrainingData([f"u{n}" for n in range(len(histories))], catalogue, Histories.of(histories))


def judged(
    rows: Sequence[dict[str, Any]],
    encode: Encode,
    histories: Sequence[Sequence[int]] = ((0,),),
    titles: Sequence[str] | None = None,
    **options: Any,
) -> ReasoningReport:
    """The report on some rows of items, and on users that attribute statistics wrote."""
    training = data(titles or [f"thing {n}" for n in range(len(rows))], histories)
    users = table(Columns.USER, [row() for _ in histories])
    return reasoning_report(training, table(Columns.ITEM, rows), users, encode, **options)


def printed(report: ReasoningReport, width: int = 100) -> str:
    out = Console(file=io.StringIO(), width=width)
    for part in renderables(report):
        out.print(part)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.fixture(scope="module")
def encode() -> Encode:
    """The real encoder; it keeps no vectors."""
    assets.fetch("minilm")
    return Encoder(SemanticsSettings())


def letters(texts: Sequence[str], what: str) -> np.ndarray:
    """An encoder for where the texts do not matter: (N, 26) counts of letters, of unit norm."""
    counts = np.array([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def test_rows_by_who_wrote_them_and_what_they_carry() -> None:
    rows = [written(tokens_thinking=4), written(), lost("feature: too long", faults="feature: too long"), row()]
    report = judged(
        rows, letters, histories=[[0, 1, 0], [0, 2, 0]]
    )  # of 6 interactions 4 are of item 0, one each of 1, 2
    model, statistics = report.items.writers
    assert (model.supplier, model.model, model.prompt_version) == ("openai", "some-model", "0123456789ab")
    assert (model.rows, model.share, model.interactions) == (2, 0.5, pytest.approx(5 / 6))
    assert (model.tokens_in, model.tokens_out, model.tokens_thinking) == (180, 20, 4)
    assert (statistics.rows, statistics.interactions) == (2, pytest.approx(1 / 6))
    assert (statistics.tokens_in, statistics.tokens_out) == (90, 10), "spent in vain on the row that fell back"
    (table,) = (
        p for p in reasons(report, {"some-model": Price(100.0, 1000.0)}, "ws").parts[:1] if isinstance(p, Table)
    )
    assert [cells[-1] for cells in table.rows] == ["0.0380", "0.0190"], "and costs what the model costs"


def test_users_carry_their_own_interactions() -> None:
    training = data(["a", "b"], [[0, 1, 0], [1]])
    users = table(Columns.USER, [written(), row(fallback="budget")])
    report = reasoning_report(training, table(Columns.ITEM, [row(), row()]), users, letters)
    assert [writer.interactions for writer in report.users.writers] == [0.75, 0.25]


def test_what_became_of_the_rows_that_were_asked_about() -> None:
    copies = "feature: copies the prompt"
    rows = [
        written(),
        written(faults="likes: too long"),
        written(faults=f"likes: too long; {copies}"),
        lost(copies, faults=f"{copies}; {copies}"),
        lost("endpoint: HTTP 500", tokens_in=0, tokens_out=0),
        lost("endpoint: no answer within 120 s", faults="likes: too long"),
        lost("endpoint: HTTP 500"),
        row(fallback="budget"),
        row(fallback="budget"),
        row(fallback="no text"),
    ]
    found = judged(rows, letters).items.acceptance
    assert (found.asked, found.first, found.second, found.fallen_back, found.unanswered) == (7, 1, 2, 1, 3)
    assert found.not_asked == {"budget": 2, "no text": 1}
    assert [(r.reason, r.answers, r.rows) for r in found.rejections] == [(copies, 3, 1), ("likes: too long", 3, 0)]
    assert found.endpoint == {"HTTP 500": 2, "no answer within 120 s": 1}
    assert (found.tokens_in, found.tokens_out, found.tokens_a_row) == (540, 60, pytest.approx(600 / 7))
    assert found.tokens_in_vain == 300, "of the three rows that cost tokens and were written by statistics"


def test_an_llm_that_counts_no_tokens_was_asked_all_the_same() -> None:
    found = judged([written(tokens_in=0, tokens_out=0), row()], letters).items.acceptance
    assert (found.asked, found.first, found.tokens_a_row) == (1, 1, 0)


def test_a_sentence_of_many_items_costs_rows_without_a_rejection() -> None:
    shared = "feature: the same sentence for many items"
    (rejection,) = judged([lost(shared), written()], letters).items.acceptance.rejections
    assert (rejection.reason, rejection.answers, rejection.rows) == (shared, 0, 1)


def test_failures_that_are_worded_anew_each_time_are_summed() -> None:
    rows = [lost("endpoint: HTTP 500")] * 3 + [lost(f"endpoint: trouble {n}") for n in range(9)]
    found = judged(rows, letters).items.acceptance
    assert list(found.endpoint) == ["HTTP 500", *(f"trouble {n}" for n in range(4)), "other reasons"]
    assert found.endpoint["other reasons"] == 5 and sum(found.endpoint.values()) == found.unanswered == 12


OUTCOMES = (
    written(),
    written(faults="feature: too long"),
    lost("likes: refuses", faults="likes: refuses; likes: refuses"),
    lost("endpoint: HTTP 500"),
    row(fallback="budget"),
    row(fallback="no text"),
)


@given(st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=12))
@tries(max_examples=60)
def test_every_row_is_counted_once(rows: list[dict[str, Any]]) -> None:
    report = judged(rows, letters).items
    found = report.acceptance
    assert found.first + found.second + found.fallen_back + found.unanswered == found.asked
    assert found.asked + sum(found.not_asked.values()) == len(rows)
    assert sum(writer.rows for writer in report.writers) == sum(s.rows for s in report.sentences) == len(rows)
    assert sum(rejection.rows for rejection in found.rejections) == found.fallen_back


def test_lengths_are_counted_apart_for_llm_and_statistics() -> None:
    rows = [written(feature=f"word{' word' * (n - 1)}") for n in (1, 5, 6, 25)]
    report = judged([*rows, written(feature=""), row(feature="a b c")], letters)
    by_llm, by_statistics = report.items.sentences
    lengths = by_llm.lengths["feature"]
    assert (by_llm.statistics, by_llm.rows, by_statistics.rows) == (False, 5, 1)
    assert lengths.counts == (2, 1, 0, 0, 1) and (lengths.empty, lengths.limit, lengths.median) == (1, 25, 5.5)
    assert by_statistics.lengths["feature"].counts == (1, 0, 0, 0, 0)


def test_limits_come_from_the_settings() -> None:
    settings = ReasoningSettings(feature_words=12, preference_words=30)
    report = judged([row(feature=" ".join("a" * 14))], letters, settings=settings)
    (items,), (users,) = report.items.sentences, report.users.sentences
    assert {field: lengths.limit for field, lengths in items.lengths.items()} == {
        "likes": 30,
        "dislikes": 30,
        "feature": 12,
    }
    assert users.lengths["feature"].limit == 30, "a core preference has the room of a preference"
    assert " 11 to 15 │" in (shown := printed(report)) and "feature, at most 12" in shown


@given(st.text(st.sampled_from("ab é-.'茶道。、")), st.integers(1, 12))
def test_no_text_is_longer_than_the_gate_left_it(text: str, limit: int) -> None:
    assert words_in(pl.Series([mended(" ".join(text.split()), limit)]))[0] <= limit


def test_punctuation_by_itself_is_no_word() -> None:
    texts = {"don't stop - ever ...": 3, "茶道。好き、": 2, "Ελλάδα 42": 2, "": 0, "- !": 0}
    assert words_in(pl.Series(list(texts))).to_list() == list(texts.values())


def test_near_duplicates_and_the_most_repeated_sentence() -> None:
    told = ["A gift for runners.", "a gift, for RUNNERS", "A gift for tea lovers.", "", ""]
    report = judged([*(written(feature=text) for text in told), *[row(feature="Stock phrase.")] * 9], letters)
    by_llm, by_statistics = report.items.sentences
    assert by_llm.near_duplicates == pytest.approx(2 / 3), "of those that say anything"
    assert (by_llm.repeated, by_llm.repeated_rows) == ("A gift for runners.", 2)
    assert (by_statistics.near_duplicates, by_statistics.repeated_rows) == (1.0, 9)
    nothing = judged([written(feature=text) for text in told[2:]], letters).items.sentences[0]
    assert (nothing.repeated, nothing.repeated_rows, nothing.near_duplicates) == ("", 0, 0.0)


def test_examples_stand_beside_what_means_the_same(encode: Encode) -> None:
    rows = [written(feature=feature) for feature in FEATURES]
    report = judged(rows, encode, titles=TITLES).items
    assert sorted(example.title for example in report.examples) == sorted(TITLES) and len(report.examples) == 6
    for example in report.examples:
        here = TITLES.index(example.title)
        cosines = [other.cosine for other in example.nearest]
        assert cosines == sorted(cosines, reverse=True) and cosines[0] <= 1.001
        assert example.id == f"i{here}" and example.id not in [other.id for other in example.nearest]
        world = {f"i{n}" for n in (range(3) if here < 3 else range(3, 6))} - {example.id}
        assert {other.id for other in example.nearest[:2]} == world
        assert [TITLES[int(other.id[1:])] for other in example.nearest] == [other.name for other in example.nearest]


def test_examples_are_drawn_by_the_seed_from_what_an_llm_wrote() -> None:
    rows = [written() if n % 3 else row() for n in range(60)]
    drawn = [[example.id for example in judged(rows, letters, seed=seed).items.examples] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2] and len(set(drawn[0])) == 10
    assert all(int(item[1:]) % 3 for item in drawn[0] + drawn[2])
    assert len(judged(rows, letters, examples=3).items.examples) == 3


def test_a_row_that_says_nothing_has_no_neighbours_and_is_none() -> None:
    report = judged([written(feature=""), written(feature="tea"), written(feature="tea time")], letters).items
    near = {example.id: [other.id for other in example.nearest] for example in report.examples}
    assert near == {"i0": [], "i1": ["i2"], "i2": ["i1"]} and report.searchable == 2
    judged([row(feature="")], letters)  # nothing at all to encode


def test_of_a_large_catalogue_a_sample_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "SEARCHED", 8)
    encoded: list[str] = []

    def counting(texts: Sequence[str], what: str) -> np.ndarray:
        encoded.extend(texts)
        return letters(texts, what)

    rows = [written(feature=f"thing {chr(97 + n)}") for n in range(20)]
    report = judged(rows, counting, examples=2)
    assert (report.items.searched, report.items.searchable) == (8, 20)
    assert len([text for text in encoded if text.startswith("thing")]) == 8
    assert all(len(example.nearest) == 3 for example in report.items.examples)
    assert "among a random 8" in printed(report)


def test_users_are_shown_with_their_newest_items() -> None:
    training = data([f"thing {n}" for n in range(9)], [list(range(9)), [0], []])
    rows = [written(feature=f"Preference {n}.") for n in "abc"]
    report = reasoning_report(training, table(Columns.ITEM, [row()] * 9), table(Columns.USER, rows), letters).users
    about = {example.id: example.about for example in report.examples}
    newest = "thing 8; thing 7; thing 6; thing 5; thing 4; and 4 more"
    assert about == {"u0": newest, "u1": "thing 0", "u2": ""}
    assert {other.name for other in report.examples[0].nearest} <= {f"u{n}: Preference {'abc'[n]}." for n in range(3)}


def test_it_works_where_attribute_statistics_wrote_everything(tmp_path: Path, encode: Encode) -> None:
    training = data(TITLES, [[0, 1, 2], [1, 2, 0], [3, 4, 5], [4, 5]], brand=["leaf"] * 3 + ["ridge"] * 3)
    items = reason_items(training, ReasoningSettings(), tmp_path / "store")
    users = reason_users(training, items, ReasoningSettings(), tmp_path / "store")
    report = reasoning_report(training, items, users, encode)
    assert [(w.supplier, w.rows, w.interactions) for w in report.items.writers] == [(STATISTICS, 6, 1.0)]
    assert report.items.acceptance.asked == report.users.acceptance.asked == 0
    shown = printed(report)
    assert shown.count("no LLM was asked") == 2 and "6 random items by attribute statistics" in shown


def test_the_document_is_json_and_holds_everything() -> None:
    report = judged([written(), lost("feature: too long", faults="feature: too long")], letters)
    document = report.document()
    assert json.loads(json.dumps(document)) == document
    assert document["items"]["acceptance"]["rejections"] == [{"reason": "feature: too long", "answers": 1, "rows": 1}]
    assert document["items"]["examples"][0]["likes"] == "Tea drinkers."


def test_tables_of_other_data_or_of_an_older_version_are_refused() -> None:
    training, items, users = data(["a"], [[0]]), table(Columns.ITEM, [row()]), table(Columns.USER, [row()])
    with pytest.raises(IsrfError, match="the reasons of items belong to other data; run `isrf reason` again"):
        reasoning_report(training, table(Columns.ITEM, [row()] * 2), users, letters)
    with pytest.raises(IsrfError, match="the reasons of users lack column 'fallback'"):
        reasoning_report(training, items, users.drop("fallback"), letters)


HOSTILE = ["[red]cheap[/red] [/]", "\x1b[2Jerase\x07 \u202eright to left", "x" * 300, "<think>🦉</think>", "茶" * 300]


@pytest.mark.parametrize("width", [100, 80])
def test_what_is_shown_fits_and_is_not_cut(width: int, encode: Encode) -> None:
    long = " ".join(f"reason{n}" for n in range(50))
    training = data(HOSTILE, [[0, 1, 2, 3, 4]], description=["many words " * 9000, *HOSTILE[1:]])
    rows = [written(likes=long, feature=f"{title[:40]}[bold]") for title in HOSTILE]
    rows[0] |= {"faults": "likes: too long", "model": "a-model-with-a-name-that-is-very-long-indeed" * 3}
    users = table(Columns.USER, [lost("endpoint: [/red] HTTP 500")])
    shown = printed(reasoning_report(training, table(Columns.ITEM, rows), users, encode), width)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    assert all(shown.count(f"reason{n}") >= len(HOSTILE) for n in range(50)), "sentences are shown whole"
    assert "[red]cheap[/red] [/]" in shown and "[/red] HTTP 500" in shown and "\x1b" not in shown
    assert "words…" in shown and "x…" in shown, "what is cut ends in an ellipsis"


@given(st.text(), st.integers(2, 40))
def test_a_shortened_text_is_one_line_that_says_that_it_was_cut(text: str, most: int) -> None:
    line = shortened(text, most)
    assert len(line) <= most and len(line.splitlines()) <= 1
    assert line == shortened(text, 10_000) or line.endswith("…")


def test_where_the_limit_lies_is_marked() -> None:
    """Likes and dislikes of both kinds and a core preference may have 50 words, an item's feature 25."""
    shown = printed(judged([written(feature=" ".join("a" * 25))], letters))
    marked = Counter(line.split("│")[1].strip() for line in shown.splitlines() if "│" in line for c in line if c == "<")
    assert marked == {"21 to 25": 1, "46 to 50": 5}


def test_it_is_printed_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_reasoning(judged([written()], letters))
    out = capsys.readouterr().out
    assert "1 items" in out and "accepted at the first answer" in out and max(map(cell_len, out.splitlines())) <= 100


def test_the_command_shows_a_finished_workspace(untrained: Path) -> None:
    shown = done(isrf("reason", untrained, "--report"))
    assert "random items by attribute statistics" in shown.out and "who wrote them" in shown.out
