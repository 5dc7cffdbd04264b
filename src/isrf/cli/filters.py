"""Filters and rules as people type them: conditions, boosts, caps and lists of ids. Decides nothing.

A condition is ``COLUMN OPERATOR VALUE`` without blanks around the operator being needed:

    category=Hair,Skin   the value is one of these (one line of a CSV file: quotes hold a comma)
    brand!=X             there is a value, and it is none of these
    price<=20            numbers and dates; also < > >=
    title~shampoo        the text holds this, whatever the case; !~ it does not
    brand=  brand!=      there is no value; there is one

or the JSON of what ``where`` of the library takes: ``{"tags": {"all": ["vegan", "new"]}}``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Container
from pathlib import Path
from typing import Any

from isrf.core.documents import MOST_JSON_BYTES, Unreadable, parse_json, read_text
from isrf.core.errors import IsrfError
from isrf.core.files import is_there
from isrf.core.shell import command_line

CONDITION = re.compile(
    r"^\s*(?P<column>[^=<>!~]+?)\s*(?P<operator><=|>=|!=|!~|==|=|<|>|~)\s*(?P<value>.*?)\s*$", re.DOTALL
)
FILES = (".txt", ".csv", ".tsv", ".ids", ".list")
"""Endings of names that are meant as files."""
HEADERS = ("user_id", "item_id", "user", "item", "id")
"""First lines of such files that are no ids, unless they are known as such."""


def condition_of(text: str, option: str = "--where") -> dict[str, Any]:
    """What ``where`` of the library takes.

    >>> condition_of("category=Hair,Skin"), condition_of("price <= 20"), condition_of("brand!=")
    ({'category': ['Hair', 'Skin']}, {'price': {'<=': '20'}}, {'brand': {'missing': False}})

    Raises:
        IsrfError: it is no condition, or no JSON.
    """
    if text.lstrip().startswith("{"):
        return json_mapping(text, option)
    found = CONDITION.match(text)
    if found is None:
        examples = " or ".join(command_line(option, one) for one in ("brand=X", "price<=20", "title~shampoo"))
        raise IsrfError(f"{option} {text}: is not a condition; write one like {examples}, or as JSON")
    column, operator, value = found["column"], found["operator"], found["value"]
    if operator in ("=", "==", "!="):
        if not value:
            return {column: {"missing": operator != "!="}}
        values = listed(value, option)
        wanted: Any = values[0] if len(values) == 1 else values
        return {column: {"!=": wanted}} if operator == "!=" else {column: wanted}
    if operator in ("~", "!~"):
        contains = {"contains": value}
        return {column: contains if operator == "~" else {"not": contains}}
    return {column: {operator: value}}


def json_mapping(text: str, option: str) -> dict[str, Any]:
    """A JSON object. Raises IsrfError."""
    try:
        found = parse_json(text)
    except Unreadable as error:
        raise IsrfError(f"{option}: not readable as JSON ({error})") from None
    assert isinstance(found, dict)
    return found


def listed(text: str, option: str) -> list[str]:
    """Values with commas between, as one line of a CSV file has them. Raises IsrfError."""
    try:
        fields = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error as error:
        raise IsrfError(f"{option} {text}: is not one line of values with commas between: {error}") from None
    return [field.strip() for field in fields if field.strip()]


def boost_of(text: str) -> dict[str, Any]:
    """What a list of ``boost`` of the library holds.

    >>> boost_of("brand=X:0.5")
    {'where': {'brand': 'X'}, 'by': '0.5'}
    """
    condition, colon, by = text.rpartition(":")
    if text.lstrip().startswith("{") and text.rstrip().endswith("}"):
        return json_mapping(text, "--boost")
    if not colon or not condition:
        example = command_line("--boost", "brand=X:0.5")
        raise IsrfError(f"--boost {text}: a condition and a number are needed, like {example}")
    return {"where": condition_of(condition, "--boost"), "by": by.strip()}


def caps_of(given: list[str]) -> dict[str, str]:
    """What ``max_per`` of the library takes. Raises IsrfError."""
    found: dict[str, str] = {}
    for text in given:
        column, equals, most = text.rpartition("=")
        if not equals or not column.strip():
            raise IsrfError(
                f"--max-per {text}: a column and a number are needed, like {command_line('--max-per', 'brand=2')}"
            )
        found[column.strip()] = most.strip()
    return found


def ids_given(text: str | None, known: Container[str], option: str) -> list[str] | None:
    """Ids of a file, or with commas between; None where the option is not given.

    Raises:
        IsrfError: no id, or the name of a file that is not there.
    """
    if text is None:
        return None
    path = Path(text)
    if text not in known and is_there(path):
        return [name for _, name in ids_of_file(path, known, option)]
    if text not in known and "," not in text and (path.suffix.lower() in FILES or "/" in text):
        raise IsrfError(f"{option} {text}: no such file; give a file of ids, or ids with commas between")
    found = [text] if text in known else listed(text, option)
    if not found:
        raise IsrfError(f"{option}: names no item; give a file of ids, or ids with commas between")
    return found


def ids_of_file(path: Path, known: Container[str], option: str) -> list[tuple[int, str]]:
    """Line and id of every id in a file: one a line, or with commas between. Raises IsrfError."""
    lines = read_text(path, MOST_JSON_BYTES, f"check {option}").splitlines()
    found: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        whole = line.strip()
        ids = [whole] if whole in known else listed(line, f"{option}: {path}, line {number}:")
        if not found and len(ids) == 1 and ids[0] not in known and ids[0].lower() in HEADERS:
            continue
        found += [(number, name) for name in ids]
    if not found:
        raise IsrfError(f"{option} {path}: holds no id; write one a line, or several with commas between")
    return found
