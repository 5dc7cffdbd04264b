"""Lists and records that CSV cells hold as text: JSON, Python, numpy and PostgreSQL write them so.

Whether a column holds such literals is told by the share of its cells that can be read as one. Knows nothing about what a
column is for.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

import polars as pl

from isrf.data.dataset import LIST_SEPARATOR
from isrf.data.readers.html_names import BESIDE, BLOCKS, DROPPED, INLINE
from isrf.data.readers.nested import is_nested, listed, texts_of

QUOTED_SHARE, PLAIN_SHARE, TITLE_SHARE, WHOLE_SHARE = 0.1, 0.5, 0.5, 0.8
"""Share of the cells that hold something from which on a column holds literals: with quotes, by which nothing else looks
like one; without ("{a,b}", "[a, b]"); in titles, which are put in brackets now and then; of forms that a
single text may have as well."""
DEEPEST = 16
"""Brackets within brackets of a literal that is cut off, and calls around one."""
LONGEST = 100_000
"""Characters of a cell that are parsed as Python; longer ones as JSON alone."""
OPENING = (
    r"^\s*(?:\"\s*)?"
    r"(?:[\[({]|(?:np\.|numpy\.)?array\(|(?:frozen)?set\(|(?:List|ArraySeq|WrappedArray|Vector|Seq|Set)\("
    r"|c\(\s*[\"']|character\(0\)|Row\(|(?:collections\.)?OrderedDict\()"
)
"""A pattern (also of Rust's dialect) of how every literal begins."""

HTML = INLINE | BESIDE | BLOCKS | DROPPED
ANGLED = r"^(?:<[^<>\s/!?][^<>\s]*>)+$"
"""Tags as Stack Overflow writes them: <garden><html>."""
BRACKETED = r"^\[[^\[\]'\"]*\]$"

_OPENS = re.compile(OPENING)
_CLOSING = re.compile(r"[\])}]\s*\"?\s*$")
_STRING = r"""(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")"""
_NUMPY = re.compile(rf"\[(?:\s*+{_STRING}){{2,}}+\s*+\]")
_STRINGS = re.compile(rf"(?<!\w){_STRING}")
_WRAPPED = re.compile(r"\s*(?:(?:np|numpy)\.)?(?:array|frozenset|set)\((.*?)(?:,\s*dtype=[^()]*)?\)\s*", re.S)
_SCALAR = re.compile(rf"{_STRING}|\b(?:np|numpy)\.(?:str_|bytes_|int64|float64)\(({_STRING}|[-+\w.]*)\)")
_NOT_A_NUMBER = re.compile(rf"{_STRING}|(?<=[\[,:(\s])(nan|NaN|inf|-inf|null|NULL|NA)(?=[\],}}\s)])")
_OF_R = re.compile(r"\s*(?:c\((?P<inside>.*)\)|character\(0\))\s*", re.S)
_UNBRACKETED = re.compile(rf"\s*{_STRING}(?:\s*,\s*{_STRING})*\s*")
_TOKEN = re.compile(rf"{_STRING}|[\[\](){{}},'\"]")
_CLOSERS = {"[": "]", "(": ")", "{": "}"}
_PLAIN = re.compile(r"(?:List|ArraySeq|WrappedArray|Vector|Seq|Set)?\s*([\[({])(.*)[\])}]", re.S)
_BEGINS_QUOTED = re.compile(r"\s*[\[({]\s*['\"]")
_FIELD = re.compile(r"([\w.-]+)=(.*)", re.S)
_MARKS = " ,[](){}'\"\t\r\n"
_ELEMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*+)"|([^,"]*+))\s*(?:,|$)')


def list_literals(
    values: pl.Series, *, is_title: bool = False, is_whole: bool = False, bare: bool = True
) -> pl.Series | None:
    """A text column that holds literals as List(String), its other cells as lists of themselves; None for any other.

    Args:
        values: str, "" where empty.
        is_title: of a title more has to look so.
        is_whole: texts that are no lists usually (brands, descriptions): literals have to have quotes.
        bare: others need none.
    """
    present = int((values != "").sum())
    simple = _simple(values, present, is_whole=is_title or is_whole, is_name=is_whole and not is_title)
    if simple is not None:
        return simple
    begins = values.str.contains(OPENING)
    least = TITLE_SHARE if is_title else QUOTED_SHARE
    if not present or int(begins.sum()) < least * present:
        return None
    cells = [text if opens else None for text, opens in zip(values.to_list(), begins.to_list(), strict=True)]
    found: list[Any] = [None if text is None else _value(text) for text in cells]
    read = sum(value is not None for value in found)
    if read < least * present:
        if is_title or is_whole or not bare:
            return None
        found = [
            plain_list(text) if text is not None and value is None else value for text, value in _pairs(cells, found)
        ]
        if sum(value is not None for value in found) < PLAIN_SHARE * present:
            return None
    for at, (text, value) in enumerate(_pairs(cells, found)):
        if text is not None and value is None:
            if _BEGINS_QUOTED.match(text):
                found[at] = mended(text, is_whole)
            elif not is_whole:  # a text that just begins with a bracket stays as it is
                found[at] = plain_list(text)
    others = values.str.split(LIST_SEPARATOR).to_list() if not (is_title or is_whole) else values.to_list()
    return listed(values.name, [other if value is None else value for other, value in _pairs(others, found)])


def _simple(values: pl.Series, present: int, *, is_whole: bool, is_name: bool) -> pl.Series | None:
    """Columns in most cells of which all is of one form: <a><b>, or 'a', 'b'; of brands and the like [a], which is one."""
    if is_name:
        inside = values.str.strip_chars()
        if present and int(inside.str.contains(BRACKETED).sum()) >= WHOLE_SHARE * present:
            return listed(values.name, [[t[1:-1] if t.startswith("[") else t] for t in inside.to_list()])
    if is_whole or not present:
        return None
    if int(values.str.contains(ANGLED).sum()) >= WHOLE_SHARE * present:
        tags = [[t] if t[:1] != "<" else t.strip("<>").split("><") for t in values.to_list()]
        if {tag for cell in tags for tag in cell if tag} - HTML:  # else they are nothing but markup
            return listed(values.name, tags)
    if int(values.str.contains(r"^\s*['\"]").sum()) < WHOLE_SHARE * present:
        return None
    cells = values.to_list()
    found = [_UNBRACKETED.fullmatch(text) is not None and not _OPENS.match(text) for text in cells]
    if sum(found) < WHOLE_SHARE * present:
        return None
    others = values.str.split(LIST_SEPARATOR).to_list()
    read = [
        _unquoted_all(text) if is_list else other for text, other, is_list in zip(cells, others, found, strict=True)
    ]
    return listed(values.name, read)


def _unquoted_all(text: str) -> list[str]:
    return [_unquoted(part) for part in _STRINGS.findall(text)]


def _value(text: str) -> Any:
    value = quoted(text)
    return restored(text) if value is None else value


def _pairs(cells: list[Any], values: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(cells, values, strict=True))


def quoted(text: str) -> Any:
    """A list, tuple, set or record that a text is the literal of, with its strings in quotes; None where it is none."""
    text = text.strip()
    if not _CLOSING.search(text):
        return None
    for _ in range(3):  # JSON may have been written as a string of JSON
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            break
        if not isinstance(value, str):
            return value if is_nested(value) else None
        text = value.strip()
    if len(text) > LONGEST:
        return None
    for _ in range(DEEPEST):
        if (wrapped := _WRAPPED.fullmatch(text)) is None:
            break
        text = wrapped.group(1).strip() or "[]"
    if (of_r := _OF_R.fullmatch(text)) is not None:
        text = f"[{of_r.group('inside') or ''}]"
    text = _SCALAR.sub(lambda found: found[1] or found[0], text)
    if _NUMPY.fullmatch(text) is not None:  # which Python would read as one string
        return [_unquoted(part) for part in _STRINGS.findall(text)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence"
            tree = ast.parse(
                _NOT_A_NUMBER.sub(lambda found: "None" if found[1] else found[0], text).strip(), mode="eval"
            )
            value = ast.literal_eval(_Calls().visit(tree) if "(" in text else tree)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _records(text)
    return value if is_nested(value) else None


class _Calls(ast.NodeTransformer):
    """Row(name='a') and OrderedDict([('name', 'a')]) as {'name': 'a'}."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if node.keywords and not node.args:
            keys: list[ast.expr | None] = [ast.Constant(word.arg) for word in node.keywords]
            return ast.Dict(keys, [word.value for word in node.keywords])
        inside = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if isinstance(inside, ast.List):
            pairs = [pair.elts for pair in inside.elts if isinstance(pair, ast.Tuple) and len(pair.elts) == 2]
            if len(pairs) == len(inside.elts):
                return ast.Dict([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        return node


def restored(text: str) -> Any:
    """What is whole of records that are cut off, [{'name': 'a'}, {'na; all of a list of strings; None of another text."""
    stack, end, closers = list[str](), 0, ""
    for token in _TOKEN.finditer(text):
        sign = token.group()
        if sign in ("'", '"'):  # a string without an end
            break
        if sign in _CLOSERS:
            stack.append(_CLOSERS[sign])
            if len(stack) > DEEPEST:
                return None
        elif stack and sign == stack[-1]:
            stack.pop()
            if not stack:
                return None
            end = token.end()
        elif sign == "," and stack:
            end = token.start()
        else:
            continue
        if end in (token.start(), token.end()):
            closers = "".join(reversed(stack))
    value = quoted(text[:end] + closers) if end and stack else None
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return mended(text, is_whole=False) if _BEGINS_QUOTED.match(text) else None
    return value if value is not None and _has_record(value) else None


def _has_record(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value))


def _records(text: str) -> list[str] | None:
    """An array of PostgreSQL with quotes: {"Home & Garden",tools}."""
    return plain_list(text) if text.startswith("{") and '"' in text and ":" not in text else None


def plain_list(text: str) -> list[str] | None:
    """A list whose strings have no quotes, or not all: {a,b}, [a, b], List(a, b); None where a text is none."""
    found = _PLAIN.fullmatch(text.strip())
    if found is None:
        return None
    if _closes_early(text.strip()):  # (red) kettle, (blue)
        return None
    inside = found.group(2)
    parts = []
    for match in _ELEMENT.finditer(inside):
        element = re.sub(r"\\(.)", r"\1", match.group(1)) if match.group(1) is not None else match.group(2).strip()
        element = _unwrapped(element) if match.group(1) is None else element
        parts.append("" if match.group(1) is None and element in ("NULL", "null", "None", "nan") else element)
    kept = [part for part in parts if part]
    fields = [_FIELD.fullmatch(part) for part in kept]
    if kept and all(fields):  # a map as Java and Spark print it: {id=1, name=Garden}
        return texts_of({field.group(1): field.group(2) for field in fields if field is not None})
    return kept


def _closes_early(text: str) -> bool:
    """Whether the first bracket of a text is closed before its end."""
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in _CLOSERS) - (sign in _CLOSERS.values())
        if not depth and sign in _CLOSERS.values():
            return at < len(text) - 1
    return False


def _unwrapped(element: str) -> str:
    """An element without brackets that enclose all of it; those that belong to the text stay: Lego (Set)."""
    while element and _CLOSERS.get(element[0]) == element[-1] and not _closes_early(element):
        element = element[1:-1].strip()
    return element if element.strip("[](){}") else ""


def mended(text: str, is_whole: bool) -> list[str] | None:
    """What stands in quotes in a literal that is cut off or otherwise broken.

    Without quotes None where the text is a ``is_whole`` one, which may just begin with a bracket, else all of it bare.
    """
    found = list(_STRINGS.finditer(text))
    rest = text[found[-1].end() if found else 0 :].strip(_MARKS)
    if not found and is_whole:
        return None
    return [*(_unquoted(match.group()) for match in found), *([rest] if rest else [])]


def _unquoted(part: str) -> str:
    try:
        return str(ast.literal_eval(part))
    except (ValueError, SyntaxError):
        return re.sub(r"\\(.)", r"\1", part[1:-1])
