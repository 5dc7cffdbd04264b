"""Prices: the package's table, a user's file over it, and what a budget in money is counted with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.reasoning.llm.prices import Price, load_prices, price_of, price_to_spend, read_prices

LINE = "{input_usd_per_mtok: 1, output_usd_per_mtok: 2}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prices.yaml"


def test_the_package_knows_list_prices() -> None:
    prices = load_prices(None)
    assert price_of("deepseek-chat", prices) == Price(0.28, 0.42)
    assert price_of("gpt-4o-mini", prices) == Price(0.15, 0.60)
    assert all(price.output_usd_per_mtok > price.input_usd_per_mtok > 0 for price in prices.values())


def test_a_users_file_stands_over_the_table_model_by_model(file: Path) -> None:
    file.write_text(f"# ours\ndeepseek-chat: {LINE}\n'llama3:8b': {{input_usd_per_mtok: 0, output_usd_per_mtok: 0.}}\n")
    prices = load_prices(file)
    assert prices["deepseek-chat"] == Price(1, 2)
    assert prices["llama3:8b"] == Price(0, 0)
    assert prices["gpt-4o-mini"] == load_prices(None)["gpt-4o-mini"]


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n"])
def test_an_empty_file_changes_nothing(file: Path, text: str) -> None:
    file.write_text(text)
    assert load_prices(file) == load_prices(None)


@pytest.mark.parametrize("name", ["4", "1.0", "on", "org/model-v1", "llama3:8b"])
def test_a_models_name_is_what_is_written(name: str) -> None:
    assert read_prices(f"{name}: {LINE}", "p.yaml") == {name: Price(1, 2)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m: {input_usd_per_mtok: -1, output_usd_per_mtok: 2}", "line 1: m.input_usd_per_mtok: '-1' is not a price"),
        (f"a: {LINE}\nm: {LINE.replace('2', 'dear')}", "line 2: m.output_usd_per_mtok: 'dear' is not a number"),
        ("m: {input_usd_per_mtok: .nan, output_usd_per_mtok: 2}", "line 1: m.input_usd_per_mtok: '.nan' is not a"),
        ("m: {input_usd_per_mtok: inf, output_usd_per_mtok: 2}", "line 1: m.input_usd_per_mtok: 'inf' is not a"),
        ("m: {input_usd_per_mtok: [1], output_usd_per_mtok: 2}", "m.input_usd_per_mtok: 'a list or mapping' is not a"),
        ("m: {input_usd_per_mtok: 1}", "line 1: model 'm' has no output_usd_per_mtok"),
        ("m: {input: 1, output_usd_per_mtok: 2}", "line 1: model 'm' has an unknown field 'input'"),
        (f"m: {LINE}\n\nm: {LINE}", "line 3: the file holds 'm' twice"),
        ("m: 0.28", "line 1: model 'm' holds no names"),
        ("- m", "line 1: the file holds no names"),
        ("[a, b]: 1", "line 1: the file holds something that is not a name"),
        ("m: {", "not readable as YAML"),
        ("[" * 2000, "not readable as YAML"),
        ("m: \x00", "not readable as YAML"),
    ],
)
def test_the_first_fault_is_one_line_with_file_and_place(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(IsrfError) as caught:
        load_prices(file)
    assert str(caught.value).startswith(str(file)) and said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe\x00", "is not UTF-8 .*; save it"), (None, "no such file; set reasoning.prices")],
)
def test_a_file_that_cannot_be_read(file: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(IsrfError, match=said):
        load_prices(file)


AMOUNT = st.floats(0, 1e6, allow_subnormal=False)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9./-]{0,20}", fullmatch=True), st.tuples(AMOUNT, AMOUNT)))
def test_what_is_written_is_what_is_read(table: dict[str, tuple[float, float]]) -> None:
    lines = [f'"{m}": {{input_usd_per_mtok: {i!r}, output_usd_per_mtok: {o!r}}}' for m, (i, o) in table.items()]
    assert read_prices("\n".join(lines), "p.yaml") == {model: Price(*pair) for model, pair in table.items()}


@given(st.text(max_size=80) | st.text("{}[]:,&*!|>'\"-?#% \nam1.", max_size=60))
def test_any_text_is_a_table_or_one_clear_line(text: str) -> None:
    with suppress(IsrfError):
        for price in read_prices(text, "p.yaml").values():
            assert price.cost(1, 1) >= 0


def test_money_is_tokens_times_price() -> None:
    assert Price(0.28, 0.42).cost(2_000_000, 1_000_000) == pytest.approx(0.98)


def test_a_model_without_a_price_is_told_how_to_get_one(file: Path) -> None:
    with pytest.raises(IsrfError, match="no price is known for model 'mine:7b'") as caught:
        price_of("mine:7b", load_prices(None))
    line = str(caught.value).split("write the line")[1].split("with your")[0].strip()
    file.write_text(line)
    assert price_of("mine:7b", load_prices(file)) == Price(0.28, 0.42), "the line that it shows can be used as it is"


def test_a_budget_in_money_needs_something_that_costs_money(file: Path) -> None:
    paid = ReasoningSettings(supplier="openai", model="gpt-5-nano", budget="1usd")
    assert price_to_spend(paid) == Price(0.05, 0.40)
    with pytest.raises(IsrfError, match="costs no money; limit it in items, min or tok"):
        price_to_spend(ReasoningSettings(supplier="local", budget="1usd"))
    file.write_text("mine: {input_usd_per_mtok: 0, output_usd_per_mtok: 0}")
    with pytest.raises(IsrfError, match="'mine' costs nothing; limit it in items, min or tok"):
        price_to_spend(paid.model_copy(update={"model": "mine", "prices": file}))
    with pytest.raises(IsrfError, match="no price is known for model 'other'"):
        price_to_spend(paid.model_copy(update={"model": "other"}))
