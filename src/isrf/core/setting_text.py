"""How the value of a setting is typed where settings are text: ``--set room.name=VALUE`` and variables of the environment.

Of a field that holds text the value is what was typed: ``No``, ``1`` and ``~`` are names of columns like any other. What
cannot be typed as it is (the word null, surrounding blanks, control characters) stands in quotes. Numbers are numbers, and
every other kind is YAML. Knows no field by name.
"""

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from isrf.core.terminal_text import HIDDEN

NOTHING = "null"
"""Typed for "none" where a field may have none; so is nothing at all. As a text it is put in quotes."""
DOUBLE, SINGLE = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL), re.compile(r"'(?:[^']|'')*'", re.DOTALL)


def read_typed(typed: str, annotation: Any) -> Any:
    """The value of a field of that type, as far as types tell: validating it is the field's business.

    Raises:
        ValueError: not readable as YAML, where the field is neither text nor a number (``yaml.YAMLError`` is turned into one).
    """
    kinds, optional = kinds_of(annotation)
    if all(kind is str for kind in kinds):
        return text_of(typed, optional)
    bare = typed.strip()
    if all(kind in (int, float) for kind in kinds):
        if (number := number_of(bare)) is not None:
            return number
        return None if optional and bare in ("", NOTHING) else bare  # true and 0x10 are numbers to YAML alone
    return of_yaml(typed)


def kinds_of(annotation: Any) -> tuple[list[type], bool]:
    """Classes that a field's values have, ``str`` also for paths and named choices; and whether it may have no value.

    >>> kinds_of(Path | None), kinds_of(Literal["a", "b"]), kinds_of(float)
    (([<class 'str'>], True), ([<class 'str'>], False), ([<class 'float'>], False))
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return kinds_of(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        parts = [kinds_of(part) for part in get_args(annotation) if part is not type(None)]
        kinds = [kind for found, _ in parts for kind in found]
        return kinds, type(None) in get_args(annotation) or any(optional for _, optional in parts)
    if origin is Literal:
        return list({type(choice) for choice in get_args(annotation) if choice is not None}), None in get_args(
            annotation
        )
    return [str if annotation is Path else origin or annotation], False


def text_of(typed: str, optional: bool) -> str | None:
    r"""The text that was typed, without blanks around it (unless it is nothing else) and without quotes that enclose it.

    >>> text_of("No", True), text_of("null", True), text_of("'null'", True), text_of(" ", True), text_of('"a\\tb"', True)
    ('No', None, 'null', ' ', 'a\tb')
    """
    bare = typed.strip()
    if not bare:
        return typed or (None if optional else "")
    if bare == NOTHING and optional:
        return None
    if SINGLE.fullmatch(bare):
        return bare[1:-1].replace("''", "'")
    if DOUBLE.fullmatch(bare):
        try:
            return str(json.loads(bare, strict=False))
        except ValueError:  # \x41 and \e are escapes of YAML's alone
            try:
                return str(of_yaml(bare))
            except ValueError:
                return bare
    return bare


def of_yaml(text: str) -> Any:
    """What YAML makes of a text. Raises ValueError."""
    from isrf.core.documents import parse_yaml  # messages that suggest a setting need none of it

    return parse_yaml(text)


def number_of(bare: str) -> int | float | None:
    """The number, in decimal digits or with an exponent; None where it is none. Python refuses thousands of digits: inf."""
    for read in (int, float):
        try:
            return read(bare)
        except (ValueError, OverflowError):
            continue
    return None


def typed(value: object) -> str:
    r"""What is typed for a value, so that ``read_typed`` gives it back; text in quotes where it needs them.

    >>> typed("Der Text"), typed("null"), typed(" a"), typed("a\x1b"), typed(None), typed(True)
    ('Der Text', '"null"', '" a"', '"a\\u001b"', 'null', 'true')
    """
    if not isinstance(value, str):
        return json.dumps(value) if value is None or isinstance(value, bool | list | dict | tuple) else str(value)
    enclosed = SINGLE.fullmatch(value) or DOUBLE.fullmatch(value)
    if value == value.strip() and value not in ("", NOTHING) and not enclosed and not HIDDEN.search(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], quoted)
