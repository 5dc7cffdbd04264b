"""What is typed for a setting is what the setting gets, whatever the text; and what a message suggests comes back as it was."""

from __future__ import annotations

import doctest
import shlex
import subprocess
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isrf.core import arrays, setting_text, shell, terminal_text
from isrf.core.config import Settings, load_settings
from isrf.core.errors import IsrfError
from isrf.core.setting_text import kinds_of, read_typed, typed
from isrf.core.shell import command_line, list_of_ids, setting

ODD = (
    *("No", "yes", "1", "0x1F", "010", "1_000", "1e3", ".5", "12:30", "2014-01-31", "null", "Null", "~", "true", "on"),
    *("a b", " a", "a ", "a  b", "it's", 'say "hi"', "'a'", '"a"', '"a" "b"', "x=y", "[x]", "{x}", "-x", "--set", "#x"),
    *(
        "#",
        ":",
        ",",
        "|",
        ";",
        "\t",
        " ",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`id`",
        "$HOME",
        "a\\b",
        "商品",
        "ÿ",
        "🎸",
        "\u3000",
    ),
    *("a\nb", "a\x1b[2J", "\u202e", "a\x9b", "\udcff", "\ufffe", "é", "null ", "\\t", "tab"),
)
text = st.text(max_size=20) | st.sampled_from(ODD)


def texts() -> list[tuple[str, Any]]:
    """Settings that take any text, which nothing but their type restricts."""
    names = ("user_column", "title_column", "split_column", "separator")
    return [(f"data.{name}", type(Settings().data).model_fields[name].annotation) for name in names]


@pytest.mark.parametrize("module", [arrays, setting_text, shell, terminal_text])
def test_the_examples_of_the_modules_are_true(module: Any) -> None:
    failed, tried = doctest.testmod(module)
    assert tried and not failed


@given(text)
def test_a_text_is_typed_and_read_again(value: str) -> None:
    assert read_typed(typed(value), str) == value
    assert read_typed(typed(value), str | None) == value


@given(text)
@example("No")
@example("null")
@example("~")
def test_a_suggested_setting_is_what_it_says(value: str) -> None:
    """Pasted into a shell, a column of any name is found by it."""
    if not value.strip():  # a column has a name
        return
    shell.speak_to_shell()
    try:
        words = shlex.split(setting("data.title_column", value))
    finally:
        shell.speak_to_shell(False)
    assert words[0] == "--set" and len(words) == 2
    assert load_settings(overrides=[words[1]]).data.title_column == value


@pytest.mark.parametrize(
    "value", ["No", "1", "true", "1e3", "~", "#x", "[x]", "{x", "a: b", "Null", "012", "2014-01-31"]
)
def test_a_text_is_taken_as_typed(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By ``--set`` and by the environment alike."""
    assert load_settings(overrides=[f"data.user_column={value}"]).data.user_column == value
    monkeypatch.setenv("ISRF_DATA__USER_COLUMN", value)
    assert load_settings().data.user_column == value


def test_nothing_is_typed_where_a_setting_may_have_none() -> None:
    chosen = ["data.user_column=x"]
    for nothing in ("null", "", "  null "):
        assert load_settings(overrides=[*chosen, f"data.user_column={nothing}"]).data.user_column is None
    for named in ("'null'", '"null"'):
        assert load_settings(overrides=[f"data.user_column={named}"]).data.user_column == "null"
    assert load_settings(overrides=["reasoning.domain=null"]).reasoning.domain == "null", "this one has no none"


@pytest.mark.parametrize(
    ("typed_as", "meant"),
    [
        (" ", " "),
        ("space", " "),
        ("~", "~"),
        ("#", "#"),
        (":", ":"),
        ("\t", "\t"),
        ("tab", "\t"),
        ("\\t", "\t"),
        ("'\t'", "\t"),
    ],
)
def test_separators_are_taken_as_typed_or_by_name(typed_as: str, meant: str) -> None:
    assert load_settings(overrides=[f"data.separator={typed_as}"]).data.separator == meant


def test_other_kinds_are_numbers_and_yaml() -> None:
    assert load_settings(overrides=["graphs.top_k=010", "training.epochs=1e2"]).graphs.top_k == 10, "no octal number"
    assert load_settings(overrides=["model.graph_evidence=no"]).model.graph_evidence is False
    assert load_settings(overrides=["reasoning.requests_per_minute=null"]).reasoning.requests_per_minute is None
    body = load_settings(overrides=["reasoning.extra_body={a: [1, null]}"]).reasoning.extra_body
    assert body == {"a": [1, None]}
    assert load_settings(overrides=["data.split=temporal", "data.split_at=2014-01-31"]).data.split_at == "2014-01-31"
    with pytest.raises(IsrfError, match="not a readable value"):
        load_settings(overrides=["model.graph_evidence={"])


def test_a_file_whose_text_was_read_as_something_else_says_how_it_is_written(tmp_path: Any) -> None:
    (tmp_path / "c.yaml").write_text("data: {title_column: No}\n")
    with pytest.raises(IsrfError, match='put such a text in quotes, like title_column: "No"'):
        load_settings(config=tmp_path / "c.yaml")


@given(st.lists(st.text(max_size=15).filter(lambda word: "\0" not in word), min_size=1, max_size=4))
def test_words_of_a_command_come_back_from_a_shell(words: list[str]) -> None:
    """Words with control characters are for shells that know $'...'; the others are for all."""
    line = command_line(*words)
    if terminal_text.HIDDEN.search("".join(words)):
        assert terminal_text.visible(line) == line
    else:
        assert shlex.split(line) == words


@given(st.lists(st.text(min_size=1, max_size=10), min_size=1, max_size=4))
def test_a_list_of_ids_is_a_line_of_csv(ids: list[str]) -> None:
    import csv
    import io

    assert next(csv.reader(io.StringIO(list_of_ids(ids), newline=""))) == ids


def numbers() -> list[tuple[str, str, Any]]:
    found = []
    for room, values in Settings():
        for name, field in type(values).model_fields.items():
            origin = get_origin(field.annotation)
            parts = get_args(field.annotation) if origin in (Union, UnionType) else (field.annotation,)
            if set(parts) - {NoneType} <= {int, float}:
                found.append((room, name, field))
    return found


@pytest.mark.parametrize(("room", "name", "field"), numbers(), ids=lambda part: part if isinstance(part, str) else "")
def test_every_number_has_bounds(room: str, name: str, field: Any) -> None:
    """A finite one on either side, and one line for whatever lies beyond, for every such setting."""
    bounds = {
        kind: getattr(rule, kind) for rule in field.metadata for kind in ("ge", "gt", "le", "lt") if hasattr(rule, kind)
    }
    assert len(bounds) == 2, f"{room}.{name} has {bounds}: give it ge or gt, and le or lt"
    assert all(abs(bound) < 2**63 for bound in bounds.values())
    for value in (".inf", "-.inf", "inf", ".nan", "nan", "1e300", "-1e300", "9" * 20, "9" * 5000, "-" + "9" * 20):
        with pytest.raises(IsrfError, match=rf"setting {room}\.{name}") as caught:
            load_settings(overrides=[f"{room}.{name}={value}"])
        assert len(str(caught.value)) < 300


def test_what_is_sent_as_json_can_be() -> None:
    for body in ("{a: .inf}", "{a: 2020-01-01}", "{a: !!binary aGk=}"):
        with pytest.raises(IsrfError, match=r"reasoning\.extra_body"):
            load_settings(overrides=[f"reasoning.extra_body={body}"])


def test_kinds_of_every_setting_are_known() -> None:
    for room, values in Settings():
        for name, field in type(values).model_fields.items():
            kinds, _ = kinds_of(field.annotation)
            assert kinds and all(isinstance(kind, type) or kind is Any for kind in kinds), f"{room}.{name}"


@pytest.mark.parametrize("code", range(0x80, 0xA0))
def test_control_characters_beyond_ascii_come_back_from_a_shell(code: int) -> None:
    word = f"a{chr(code)}b"
    told = subprocess.run(
        ["bash", "-c", f"printf %s {shell.quoted(word)}"], capture_output=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert told.stdout == word.encode()
