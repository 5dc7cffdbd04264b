"""YAML and JSON that nobody should have to read: repeated, nested, endless, half, of other bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from isrf.core.config import load_settings
from isrf.core.documents import Unreadable, parse_json, parse_yaml, read_json, read_yaml
from isrf.core.errors import IsrfError
from isrf.core.sealed_documents import read_document
from isrf.core.setting_text import read_typed
from isrf.reasoning.llm.prices import load_prices

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
HOSTILE = {
    "billion laughs": LAUGHS,
    "deep flow": "[" * 5000,
    "deep and closed": "[" * 200 + "]" * 200,
    "deep mappings": "".join(f"{' ' * n}a:\n" for n in range(500)),
    "holds itself": "&a [*a]",
    "holds itself far below": "a: &a {b: {c: [1, *a]}}",
    "key that holds itself": "? &a [*a]\n: 1",
    "many values": "[" + "1," * 50_000 + "]",
    "huge": "# " + "x" * 3_000_000,
    "no such date": "2014-13-45",
    "digits": "1" * 5000,
    "no integer": "!!int abc",
    "no date": "!!timestamp abc",
    "object": "!!python/object/apply:os.system [true]",
    "list as a key": "{[1]: 2}",
    "unknown alias": "*a",
    "control": "a: \x01",
    "half": "a: [1, ",
    "tab": "a:\n\t- b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_yaml_is_refused_in_one_line_wherever_it_is_read(tmp_path: Path, text: str) -> None:
    """What would take for ever meets the suite's limit of a test."""
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    for read in (
        read_yaml,
        load_prices,
        lambda path: load_settings(config=path),
        lambda path: load_settings(base=path),
    ):
        with pytest.raises(IsrfError) as caught:
            read(file)
        assert str(file) in str(caught.value) or "rooms with names" in str(caught.value)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_hostile_values_of_a_setting() -> None:
    for text in (LAUGHS, "[" * 5000, "&a [*a]", "!!int abc"):
        with pytest.raises(ValueError):
            read_typed(text, dict[str, Any])
        with pytest.raises(IsrfError):
            load_settings(overrides=[f"reasoning.extra_body={text}"])


def test_anchors_as_people_use_them_are_read() -> None:
    text = "base: &base {tau: 0.6}\ngraphs: {<<: *base, top_k: 5}\n"
    assert parse_yaml(text)["graphs"] == {"tau": 0.6, "top_k": 5}
    assert parse_yaml("") is None and parse_yaml("# nothing") is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@given(VALUES)
def test_yaml_of_ours_comes_back(value: Any) -> None:
    assert parse_yaml(yaml.safe_dump(value)) == value


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_read_or_unreadable(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        try:
            parse(text)
        except Unreadable as error:
            assert "\n" not in str(error)


BROKEN_JSON = {
    "deep": b"[" * 100_000,
    "digits": b"1" * 5000,
    "half": b'{"a": ',
    "empty": b"",
    "no utf-8": b'"\xff"',
    "lone bytes": b"\x00\x01",
}


@pytest.mark.parametrize("content", BROKEN_JSON.values(), ids=BROKEN_JSON)
def test_broken_json(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(IsrfError, match=r"a\.json: .*; run again to make it anew") as caught:
        read_json(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(IsrfError, match="mend it"):
        read_document(file, "mend it")


def test_endless_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path / "sparse"):
        for read in (read_yaml, read_json, load_prices, lambda path: load_settings(config=path)):
            with pytest.raises(IsrfError, match=r"where a file is needed|larger than"):
                read(path)
