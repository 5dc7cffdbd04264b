"""YAML and JSON of anybody's making: bounded in size, depth and repetition, with one line for whatever is wrong.

Knows nothing about what the documents mean.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from isrf.core.errors import IsrfError
from isrf.core.files import CHECK, fault_of, opened, shown, size

MOST_YAML_BYTES = 1 << 20
"""Settings, prices: files that people write."""
MOST_JSON_BYTES = 1 << 28
"""What a stage wrote."""
MOST_DEPTH = 32
"""Values within values of a YAML document; JSON is stopped by Python at about a thousand."""
MOST_VALUES = 20_000
"""Values of a YAML document, those that stand there by an alias counted each time."""


class Unreadable(ValueError):
    """A text that is no such document: ``problem`` in words, without what stands there (a key may), ``line`` from 1."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem if line is None else f"line {line}: {problem}")
        self.problem, self.line = problem, line


def read_text(path: Path, most: int, remedy: str = CHECK) -> str:
    """A whole text file in UTF-8, with or without a byte order mark.

    Raises:
        IsrfError: there is no such regular file, it holds more than ``most`` bytes, or is not UTF-8.
    """
    try:
        return read_content(path, most, remedy).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IsrfError(f"{shown(path)}: is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from None


def read_content(path: Path, most: int, remedy: str = CHECK) -> bytes:
    """All bytes of a file. Raises IsrfError as ``read_text``."""
    with opened(path, remedy) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise IsrfError(f"{shown(path)}: {fault_of(error)}; {remedy}") from None
    if len(content) > most:
        raise IsrfError(f"{shown(path)}: larger than {size(most)}, which no such file needs to be; {remedy}")
    return content


def read_yaml(path: Path, remedy: str = CHECK) -> Any:
    """A YAML file's content, {} where it holds nothing. Raises IsrfError."""
    try:
        content = parse_yaml(read_text(path, MOST_YAML_BYTES, remedy))
    except Unreadable as error:
        place = shown(path) if error.line is None else f"{shown(path)}, line {error.line}"
        raise IsrfError(f"{place}: not readable as YAML ({error.problem})") from None
    return {} if content is None else content


def parse_yaml(text: str) -> Any:
    """The value of a YAML text: numbers, true, null, dates, text, lists, mappings. Raises Unreadable."""
    node = compose_yaml(text)
    if node is None:
        return None
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise _unreadable(error) from None
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        # a date that does not exist, a number of 5,000 digits
        raise Unreadable(_one_line(error)) from None
    finally:
        loader.dispose()


def compose_yaml(text: str) -> yaml.Node | None:
    """The tree of a YAML text, for whoever wants lines and names as they are written; None where there is nothing.

    Raises:
        Unreadable: no YAML; or deeper, larger or more repetitive than a person writes, or a value that holds itself.
    """
    try:
        _bounded(text)
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _unreadable(error) from None
    except yaml.reader.ReaderError as error:
        raise Unreadable(f"character {error.position + 1} is none that YAML allows") from None
    except (yaml.YAMLError, RecursionError, UnicodeError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(_one_line(error)) from None
    if node is not None and _values(node, {}, set()) > MOST_VALUES:
        raise Unreadable(f"its aliases repeat more than {MOST_VALUES:,} values; write fewer")
    return node


def _bounded(text: str) -> None:
    """Raise Unreadable for a text of more depth or values than any loader should be handed."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = None if event.start_mark is None else event.start_mark.line + 1
        if depth > MOST_DEPTH:
            raise Unreadable(f"values nest deeper than {MOST_DEPTH}", line)
        if count > MOST_VALUES:
            raise Unreadable(f"more than {MOST_VALUES:,} values", line)


def _values(node: yaml.Node, known: dict[int, int], open_nodes: set[int]) -> int:
    """Values in a tree, each counted as often as aliases repeat it; at most about MOST_VALUES. Raises Unreadable."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in open_nodes:
        raise Unreadable("a value holds itself by an alias", node.start_mark.line + 1)
    if id(node) not in known:
        open_nodes.add(id(node))
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        total = 1
        for part in parts:
            total += _values(part, known, open_nodes)
        known[id(node)] = min(total, MOST_VALUES + 1)
        open_nodes.remove(id(node))
    return known[id(node)]


def read_json(path: Path, remedy: str = "run again to make it anew", most: int = MOST_JSON_BYTES) -> Any:
    """A JSON file's content. Raises IsrfError, which names the file and ``remedy``."""
    try:
        return parse_json(read_content(path, most, remedy))
    except Unreadable as error:
        raise IsrfError(f"{shown(path)}: not readable as JSON ({error}); {remedy}") from None


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises Unreadable, also for text that nests too deep and numbers of too many digits."""
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable("values nest too deep") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"{error.msg} at column {error.colno}", error.lineno) from None
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {error.start + 1} is not UTF-8") from None
    except ValueError as error:
        raise Unreadable(_one_line(error)) from None


def _unreadable(error: yaml.MarkedYAMLError) -> Unreadable:
    mark = error.problem_mark or error.context_mark
    return Unreadable(str(error.problem or error.context), None if mark is None else mark.line + 1)


def _one_line(error: BaseException) -> str:
    """A library's words; of a number with too many digits without its advice on Python's own limit."""
    said = " ".join(str(error).split()) or type(error).__name__
    return "a number of thousands of digits" if re.search(r"limit \(\d+ digits\)", said) else said[:200]
