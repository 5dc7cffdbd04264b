"""Text of other people as a terminal may show it: control sequences become visible escapes. Knows no markup of its own.

A title or an id can hold anything: sequences that clear the screen, change the window's title, hide a link behind words,
or turn the direction of writing. In tables and messages each such character is shown as its escape; JSON and Parquet keep
the value.
"""

from __future__ import annotations

import json
import re
from typing import Any

DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Marks, embeddings, overrides and isolates of bidirectional text."""
BREAKS = "\u2028\u2029"
"""Line and paragraph separators."""
HIDDEN = re.compile(
    f"[\\x00-\\x1f\\x7f-\\x9f{DIRECTION}{BREAKS}\\ud800-\\udfff\\ufeff\\ufff9-\\ufffb\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""The text with every character that controls a terminal, or the direction of writing, as an escape.

    Tabs and line breaks count among them: a value stands in one line.

    >>> visible("a\x1b[2Jb\u202ec"), visible("caf\u00e9 \u5546\u54c1")
    ('a\\x1b[2Jb\\u202ec', 'café 商品')
    """
    return HIDDEN.sub(lambda found: escape_of(found[0]), text)


def visible_lines(text: str) -> str:
    """``visible`` for a text of several lines, whose breaks stay."""
    return "\n".join(visible(line) for line in text.split("\n")) if HIDDEN.search(text) else text


def json_text(value: Any, indent: int | None = 2, ascii_only: bool = False) -> str:
    r"""JSON that says every value exactly, and holds no character that controls a terminal: JSON has escapes of its own.

    >>> json_text({"title": "a\x9bb\u202ec caf\u00e9"}, indent=None)
    '{"title": "a\\u009bb\\u202ec café"}'
    """
    lines = json.dumps(value, indent=indent, ensure_ascii=ascii_only).split("\n")
    return "\n".join(HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], line) for line in lines)


def escape_of(character: str) -> str:
    r"""How Python writes the character: \x1b, \u202e."""
    code = ord(character)
    short = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
    if character in short:
        return short[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
