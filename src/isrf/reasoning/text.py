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
