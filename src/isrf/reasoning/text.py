"""Catalogue text made safe and short: what prompts quote and what attribute statistics count. Knows no catalogue."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# fmt: off
STOPWORDS = frozenset((
    "about", "above", "after", "again", "all", "also", "and", "any", "are", "because", "been", "before", "being",
    "below", "best", "between", "beyond", "both", "but", "can", "each", "else", "etc", "ever", "every", "few",
    "for", "free", "from", "get", "great", "has", "have", "her", "here", "him", "his", "how", "inch", "into", "its",
    "just", "like", "made", "many", "more", "most", "much", "new", "non", "not", "now", "off", "one", "only",
    "other", "our", "out", "over", "own", "pack", "packs", "per", "plus", "same", "set", "she", "should", "size",
    "some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
    "three", "through", "too", "two", "under", "until", "unknown", "use", "used", "using", "various", "very", "via",
    "was", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "without", "you",
    "your", "amp", "quot", "ounce", "ounces", "count", "piece", "pieces", "pcs",
))
# fmt: on
"""English function words, and measures and packing words that tell nothing about taste."""

_ASCII_CONTROLS = dict.fromkeys((*range(32), 127), " ")

_LOOK_ALIKES = {
    "<": "\u2039\u2329\u3008\u27e8\u276c\u276e\u2770\u29fc\u2991\ufe3f\ufe64\uff1c\u02c2\u1438\u16b2\u226e\U0001d236",
    ">": "\u203a\u232a\u3009\u27e9\u276d\u276f\u2771\u29fd\u2992\ufe40\ufe65\uff1e\u02c3\u1433\u226f\U0001d237",
    "[": "\ufe47\uff3b",
    "]": "\ufe48\uff3d",
}
"""Characters that a model may read as a bracket: those that Unicode's compatibility forms turn into one, and those that
look like one."""
_PLAIN = {ord(other): bracket for bracket, others in _LOOK_ALIKES.items() for other in others}

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_STEP = re.compile(r"\s>{1,2}\s")
"""Between the levels of a category path, where a bracket would look like half of a pair."""
YEAR = re.compile(r"(?:19|20)\d\d")


def clean(text: str, max_bytes: int) -> str:
    """One printable line of at most ``max_bytes`` UTF-8 bytes.

    Control and format characters go, white space collapses, and angle brackets become round ones, so that no
    catalogue string can close the delimiters that prompts put around it; one that stands alone, as in a category path,
    becomes a slash. Bytes, because a byte-level tokenizer
    never makes more tokens than bytes.
    """
    # a catalogue cell may hold megabytes: never walk over more of it than can be kept
    head = text[: max_bytes * 4]
    if ">" in head:
        head = _STEP.sub(" / ", head)
    head = head.replace("<", "(").replace(">", ")")
    if not head.isprintable():  # most are, and walking over letters one by one takes long
        head = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in head)
    line = " ".join(head.split())
    return line.encode("utf-8")[:max_bytes].decode("utf-8", errors="ignore").rstrip()


def plain_brackets(text: str) -> str:
    """The text with ASCII brackets in the place of all that look like angle ones or are wide forms of square ones.

    >>> plain_brackets("\uff1cdata\uff1e \u27e8/data\u27e9 \uff3bINST\uff3d")
    '<data> </data> [INST]'
    """
    return text if text.isascii() else text.translate(_PLAIN)


def words(text: str) -> list[str]:
    """Lower-case words that may say something about taste, in reading order, without repeats."""
    found = (match.group().lower() for match in WORD.finditer(text))
    return list(dict.fromkeys(w for w in found if len(w) >= 3 and w not in STOPWORDS and not w.isdigit()))


def join(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def limit_words(text: str, n: int) -> str:
    """The first ``n`` words of a text, closed by a full stop where something was cut."""
    found = text.split()
    if len(found) <= n:
        return " ".join(found)
    return " ".join(found[:n]).rstrip(",;:.- ") + "."
