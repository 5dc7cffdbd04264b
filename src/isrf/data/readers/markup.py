r"""From text with HTML to the text that it shows: tags, comments, entities and links go, what is no markup stays.

A cell may be HTML or plain text, and nothing says which. So only what HTML defines counts as markup, and "a < b", "AT&T",
"vector<int>" and "x<3" stay as they are. Escaped once more ("&amp;lt;b&amp;gt;") it is markup all the same: the steps
are repeated until nothing changes. Parsing is selectolax's (Lexbor), which knows what scripts and styles are. Knows
nothing about catalogues.
"""

from __future__ import annotations

import html
import re
from html.entities import html5

from selectolax.lexbor import LexborHTMLParser

from isrf.data.readers.html_names import BESIDE, BLOCKS, DROPPED, INLINE, SWITCHES, WORDS

SUSPECT = r"[<&]|(?i:https?://|ftp://|www\.)"
"""A pattern (also of Rust's dialect) of what all markup has; a text without it is never touched."""
ROUNDS = 32
"""Most repetitions: far more than anybody's software escapes a text."""

_SUSPECT = re.compile(SUSPECT)
_KNOWN = INLINE | BESIDE | DROPPED | BLOCKS
_NAME = r"[A-Za-z][A-Za-z0-9_:-]*+"
_VALUE = r"""(?:"[^"]*+"|'[^']*+'|[^\s"'<>=`]++)"""
_TAG = re.compile(
    rf"""<(?P<end>/?)(?P<name>{_NAME})"""
    rf"""(?P<attributes>(?:[\s/]++[\w:@.-]++(?:\s*+=\s*+{_VALUE})?+|\s*+"(?=\s|>))*+)\s*+/?\s*+>"""
)
_CUT_OFF = re.compile(rf"<(?P<end>/?)(?P<name>{_NAME})(?P<rest>\s[^<>]*+)?+\Z|<!(?:--?|DOCTYPE[^<>]*+)?\Z", re.I)
_DECLARATION = re.compile(r"<!DOCTYPE\b[^<>]*+>|<\?(?:xml|php)\b[^<>]*+>", re.I)
_ATTRIBUTE = re.compile(rf"""([\w:@.-]++)(\s*+=\s*+{_VALUE})?+""")

_AMPERSANDS = re.compile(r"&(?:(?:amp|AMP|#0*+38|#[xX]0*+26);)++")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LOSABLE = re.compile(
    r"nbsp|[A-Za-z](?:acute|grave|circ|uml|tilde|cedil|ring|slash)|(?:ae|AE|sz)lig|amp|AMP|lt|gt|LT|GT|quot|copy|reg|deg"
    r"|frac12|frac14|frac34|plusmn|middot|laquo|raquo|pound|times"
)
_UNENDED = re.compile(
    r"&(?:#[0-9]{2,7}|#[xX][0-9A-Fa-f]{2,6}"
    rf"|(?:{'|'.join(sorted(name for name in html5 if _LOSABLE.fullmatch(name)))})(?![A-Za-z0-9;=]))"
)
"""Entities that lost their semicolon: of those that HTML reads without one (its names that end in none) those that are no
words, where the name ends; so "Fetch&Bring" and "Q&Acircle" stay."""
_INVISIBLE = {0x00: None, 0xAD: None, 0x200B: None, 0xFEFF: None}
_LATIN = r"A-Za-z0-9\u00c0-\u024f"
_OF_LINK = rf"[{_LATIN}!#$%&*+./:=?@_~-]"
_MORE = r"(?=[a-z_][\w.-]{0,31}=|[\w.,%~-]{0,64}\.(?:html?|php|aspx?|jsp|jpe?g|png|gif|webp|pdf)\b)"
"""What goes on as a link does behind a comma: ";id=1", ",12.html"."""
_LINK = re.compile(
    rf"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.(?=[{_LATIN}-]++\.))"
    rf"(?:{_OF_LINK}|\((?:{_OF_LINK}|[;,])*+\)|\[(?:{_OF_LINK}|[;,])*+\]|(?-i:[;,]{_MORE}))++",
    re.I,
)
"""It ends at other scripts (Chinese puts no blank behind it), at a bracket that closes what began before it, and at a comma
with a text behind it: rather a rest of a link stays than that a text goes with it."""
_NAMED_LINK = re.compile(r"!?\[([^\[\]]*+)\]\(\s*+(?:https?://|www\.)[^\s()]*+\)", re.I)
_FORUM_LINK = re.compile(r"\[(?:url|img)=[^\[\]]*+\]|\[/?(?:url|img)\]", re.I)
_AFTER_LINK = ".,;:!?"
_EMPTY = re.compile(r"\(\s*+\)|\[\s*+\]|<\s*+>")
_JOINT, _BREAK = "\ue000", "\ue001"
"""Stand for BESIDE elements and blocks while a text is parsed (letters of the private use area)."""
_MEETING = re.compile(rf"(?<=\w){_JOINT}++(?=\w)")
_BREAKS = re.compile(rf"{_BREAK}++")


def shown(text: str) -> str:
    """What a text shows: without markup, entities and links, on one line; the same text where it has none of them.

    >>> shown("<b>Bold</b> kettle<br>AT&amp;amp;T &lt;i&gt;new&lt;/i&gt;"), shown("a < b and c > d; R&D, vector<int>, x<3")
    ('Bold kettle AT&T new', 'a < b and c > d; R&D, vector<int>, x<3')
    """
    if _SUSPECT.search(text) is None:
        return text
    result = text
    for _ in range(ROUNDS):
        before, result = result, _without_links(_decoded(_without_tags(result)))
        if result == before:
            break
    else:  # no software did that: whatever may be left of it goes
        result = result.replace("<", " ").replace("&", " ")
    return text if result == text else " ".join(result.translate(_INVISIBLE).split())


def shown_name(name: str) -> str:
    """The same of a title or a brand, which is never nothing but markup: "www.love.com" and "<i>" are what it is called.

    >>> shown_name("<b>Pan</b>"), shown_name("http://maniac.com"), shown_name("&lt;p&gt;")
    ('Pan', 'http://maniac.com', '<p>')
    """
    return shown(name) or " ".join(_decoded(name).translate(_INVISIBLE).split())


def _without_tags(text: str) -> str:
    """The text between tags, as a browser shows it; what is no tag of HTML stands as it did."""
    if "<" not in text:
        return text
    text = _without_spans(text, "<!--", "-->", keep=False)
    text = _DECLARATION.sub(" ", _without_spans(text, "<![CDATA[", "]]>", keep=True))
    names = [(match.group("name").lower(), bool(match.group("end"))) for match in _TAG.finditer(text)]
    paired = {name for name, end in names if end} & {name for name, end in names if not end}
    pieces, done, found = list[str](), 0, False
    for match in _TAG.finditer(text):
        if not _is_tag(match, text, paired):
            continue
        found = True
        pieces += [html.escape(text[done : match.start()], quote=False), _rewritten(match)]
        done = match.end()
    rest = text[done:]
    end = len(rest)
    while (start := rest.rfind("<", 0, end)) >= 0 and (cut := _CUT_OFF.match(rest, start, end)) and _begins_tag(cut):
        found, end = True, start
    if not found:
        return text
    pieces.append(html.escape(rest[:end], quote=False))
    parser = LexborHTMLParser("".join(pieces).encode("utf-8", "replace"), is_fragment=True)
    if parser.root is None:
        return ""
    parser.root.strip_tags(sorted(DROPPED), recursive=True)
    read = parser.root.text(deep=True, separator="")
    return _BREAKS.sub(" ", _MEETING.sub(" ", read).replace(_JOINT, ""))


def _without_spans(text: str, start: str, end: str, *, keep: bool) -> str:
    """The text without the marks, and what stands between them unless it is kept; in one walk, however many there are."""
    first, *parts = text.split(start)
    if not parts:
        return text
    result = [first]
    for part in parts:
        inside, found, after = part.partition(end)
        result.append(f"{inside} {after}" if keep or not found else f" {after}")
    return "".join(result)


def _is_tag(match: re.Match[str], text: str, paired: set[str]) -> bool:
    """Whether what looks like a tag is one: by its name, its attributes, and what stands around it.

    Args:
        paired: names of which the text has a tag that opens and one that closes.
    """
    name, attributes = match.group("name").lower(), match.group("attributes")
    bare = [word for word, value in _ATTRIBUTE.findall(attributes) if not value]
    if match.group("end"):
        return name in _KNOWN or name in paired
    if "=" in attributes or name in paired:
        return True
    if name not in _KNOWN:
        return match.group().endswith("/>")
    if any(word.lower() not in SWITCHES for word in bare):
        return False
    inner = match.start() > 0 and (text[match.start() - 1].isalnum() or text[match.start() - 1] == "_")
    return name not in WORDS and not (inner and name in INLINE | BESIDE)


def _begins_tag(match: re.Match[str]) -> bool:
    """Whether a text ends within a tag, as one that was cut to a length does."""
    name, rest = (match.group("name") or "").lower(), match.group("rest") or ""
    return not name or (name in _KNOWN and (bool(match.group("end")) or "=" in rest or (len(name) > 1 and not rest)))


def _rewritten(match: re.Match[str]) -> str:
    """The tag for the parser: those with content that is dropped as they are, others by what they do to the words."""
    name = match.group("name").lower()
    if name in DROPPED:
        return f"{_BREAK}{match.group()}{_BREAK}"
    return "" if name in INLINE else _JOINT if name in BESIDE else _BREAK


def _decoded(text: str) -> str:
    if "&" not in text:
        return text
    text = _AMPERSANDS.sub("&", text)
    return _UNENDED.sub(lambda m: html.unescape(f"{m.group()};"), _ENTITY.sub(lambda m: _character(m.group()), text))


def _character(entity: str) -> str:
    """What an entity stands for; itself where HTML defines none of that name."""
    return html.unescape(entity) if entity[1] == "#" or entity[1:] in html5 else entity


def _without_links(text: str) -> str:
    if "://" not in text and "www." not in text.lower():
        return text
    without = _LINK.sub(_tail, _NAMED_LINK.sub(r"\1", text))
    return text if without == text else _EMPTY.sub(" ", _FORUM_LINK.sub(" ", without))


def _tail(link: re.Match[str]) -> str:
    """What of a link is punctuation of its sentence."""
    whole = link.group()
    return " " + whole[len(whole.rstrip(_AFTER_LINK)) :]
