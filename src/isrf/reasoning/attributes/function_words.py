"""What the words of a catalogue's texts are, and which of them say nothing in the languages that it is written in.

Languages are found once a catalogue, in a sample of its texts: function words of another language than English are
counted, and where there are enough of them the detector (``languages``) tells which language it is. An English catalogue
is read by the English list alone (``text``), whatever names and loan words are in it. Function words come from
stopwords-iso; Chinese is cut into words by jieba, Japanese by its scripts. Knows nothing about items.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from isrf.reasoning.languages import detected
from isrf.reasoning.text import STOPWORDS, WORD, words

SAMPLE, SAMPLED_CHARACTERS = 2000, 600
"""Texts that tell a catalogue's languages, and how much of each is looked at."""
SUSPICIOUS, WRITTEN = 0.02, 0.05
"""Share of the words that are function words of one other language (1% of an English catalogue's) from which on the detector
is asked; share of the texts that makes a language one of the catalogue's."""
TOGETHER, LONG, LIKELY = 10, 8, 0.5
"""How many texts with fewer than so many words are judged as one, and the detector's least confidence."""
EVIDENT = 3
"""Function words of another language by which a text is surely no English one."""
KIN = {"nb": "no", "nn": "no", "wuu": "zh", "yue": "zh", "sr": "hr", "bs": "hr", "sh": "hr", "gsw": "de", "nds": "de"}
"""Language that the detector tells apart -> the one by whose list it is read."""
PASSED_OVER = frozenset(("en", "la", "br", "eo", "ga", "ha", "ku", "so", "st", "sw", "tl", "yo", "zu"))
"""Languages that short English texts are taken for."""

CONTENT = {
    "de": "gott jahr jahre jahren mahn mann mensch menschen mittel ordnung schluss tag tage tagen teil uhr zeit",
    "es": "día días horas mundo país trabajo",
    "fr": "naturel naturelle naturelles parole pure",
    "it": "città citta giorno giorni gruppo mondo paese piedi titolo uomo vita",
    "nl": "missen vrij",
    "pt": "grupo noite obra sistema viagem",
    "ru": "белый вечер вода война глаз голова голос город дверь деньги день дом дорога друг душа жена женщина жизнь земля "
    "книга комната лицо люди мать машина место мир москва народ нога ночь окно отец плечо пол ребенок россия рука русский "
    "свет сила слово советский стол страна улица утро час человек",
    "tr": "kaynak",
}
"""Words of those lists that name things: what is sold, and what books and films are about. They are no function words."""
ELISION = {
    "fr": r"(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu|quelqu|presqu)",
    "it": r"(?:[cdlmstv]|un|all|dall|dell|nell|sull|coll|quest|quell|bell|sant|anch|tutt|com|dov|cos|senz)",
    "ca": r"(?:[dlmnst])",
}
"""What stands before an apostrophe and is no part of the word behind it: "l'eau", "dell'arte"."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3005-\u3007"
_KANA = "\u3041-\u3096\u30a1-\u30ff"
_CJK = re.compile(f"[{_HAN}{_KANA}]")
_KANA_LETTER = re.compile(f"[{_KANA}]")
_JAPANESE = re.compile(f"[\u30a1-\u30ff]{{2,}}|[{_HAN}]{{2,}}|[^{_HAN}{_KANA}]+")
_PIECES = re.compile(f"[{_HAN}{_KANA}]+|[^{_HAN}{_KANA}]+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


@dataclass(frozen=True)
class Wording:
    """How texts of one catalogue become words.

    Attributes:
        languages: ISO 639 codes of the languages other than English that it is written in; none of an English one.
        stop: their function words, lower case.
        elision: what goes from the beginning of a word; None where none of the languages elides.
    """

    languages: tuple[str, ...] = ()
    stop: frozenset[str] = frozenset()
    elision: re.Pattern[str] | None = None

    def words(self, text: str) -> list[str]:
        """Lower-case words that may say something about taste, in reading order, without repeats."""
        if not self.languages:
            return words(text)
        found = [self._bare(word) for word in self._cut(unicodedata.normalize("NFC", text).lower())]
        stop = STOPWORDS if self._is_english(found, text) else self.stop | STOPWORDS
        return list(dict.fromkeys(w for w in found if not _says_nothing(w, stop)))

    def _cut(self, text: str) -> list[str]:
        spaced = [match.group() for match in WORD.finditer(text)]
        if not {"zh", "ja"} & {*self.languages}:
            return spaced
        japanese = "ja" in self.languages and ("zh" not in self.languages or bool(_KANA_LETTER.search(text)))
        return [part for word in spaced for part in (_letters(word, japanese) if _CJK.search(word) else [word])]

    def _bare(self, word: str) -> str:
        while self.elision is not None and (found := self.elision.match(word)) is not None:
            word = word[found.end() :]
        return word

    def _is_english(self, found: list[str], text: str) -> bool:
        """Whether one text of a catalogue in another language is English, where "die" and "hat" are words of their own."""
        if not text.isascii():
            return False
        other = sum(word in self.stop and word not in _english() for word in found)
        if not other or other >= max(EVIDENT, 1 + sum(word in _english() and word not in self.stop for word in found)):
            return False
        code, sure = detected(" ".join(found[:100]))[0]
        return code == "en" and sure >= LIKELY


def wording_of(texts: Sequence[str]) -> Wording:
    """The wording of a catalogue, by an even sample of its texts (titles and prose)."""
    step = max(1, -(-len(texts) // SAMPLE))
    sample = [text[:SAMPLED_CHARACTERS] for text in texts[::step] if text]
    if not _is_suspicious(sample):
        return Wording()
    found: Counter[str] = Counter()
    for text, count in _judged(sample):
        code, sure = detected(re.sub(r"[\W\d_]+", " ", text.lower()))[0]
        found[KIN.get(code, code) if sure >= LIKELY else ""] += count
    languages = sorted(code for code, n in found.items() if n >= WRITTEN * found.total() and function_words(code))
    if not languages:
        return Wording()
    prefixes = [ELISION[code] for code in languages if code in ELISION]
    elision = re.compile(f"(?:{'|'.join(prefixes)})['’](?=\\w)") if prefixes else None
    return Wording(tuple(languages), frozenset().union(*map(function_words, languages)), elision)


@cache
def function_words(code: str) -> frozenset[str]:
    """Function words of a language, also as they are typed without its accents; none where there is no list of it."""
    from stopwordsiso import has_lang, stopwords

    if code in PASSED_OVER or not has_lang(code):
        return frozenset()
    listed = {unicodedata.normalize("NFC", word.lower()) for word in stopwords(code)} - {*CONTENT.get(code, "").split()}
    typed = {word.translate(_UMLAUTS) for word in listed} if code == "de" else {_without_accents(w) for w in listed}
    return frozenset(listed | typed)


@cache
def _english() -> frozenset[str]:
    from stopwordsiso import stopwords

    return STOPWORDS | frozenset(stopwords("en"))


@cache
def _others() -> dict[str, frozenset[str]]:
    """Language -> its function words of two letters or more that are no English ones."""
    from stopwordsiso import langs, stopwords

    codes = sorted(langs() - PASSED_OVER)
    return {code: frozenset(word for word in stopwords(code) if len(word) > 1) - _english() for code in codes}


def _is_suspicious(sample: Iterable[str]) -> bool:
    """Whether so many words are function words of one other language, or in letters without spaces, that it may be one."""
    counts: Counter[str] = Counter()
    for text in sample:
        counts.update(match.group().lower() for match in WORD.finditer(unicodedata.normalize("NFC", text)))
    least = SUSPICIOUS * counts.total()
    unspaced = sum(count for word, count in counts.items() if not word.isascii() and _CJK.search(word))
    if not counts or unspaced >= least:
        return unspaced > 0
    return any(sum(counts[word] for word in listed if word in counts) >= least for listed in _others().values())


def _judged(sample: Iterable[str]) -> Iterable[tuple[str, int]]:
    """Texts to detect the language of, and for how many each stands: short ones together."""
    short: list[str] = []
    for text in sample:
        if len(text.split()) >= LONG or _CJK.search(text):
            yield text, 1
        else:
            short.append(text)
    for start in range(0, len(short), TOGETHER):
        yield " ".join(short[start : start + TOGETHER]), len(short[start : start + TOGETHER])


def _letters(word: str, japanese: bool) -> list[str]:
    """Words of a run of letters without spaces."""
    if japanese:  # what is written in hiragana alone are endings and particles mostly
        return _JAPANESE.findall(word)
    from rjieba import cut

    return [part for piece in _PIECES.findall(word) for part in (cut(piece) if _CJK.match(piece) else [piece])]


def _says_nothing(word: str, stop: frozenset[str]) -> bool:
    """Whether a word is short, a number, a function word, or of Chinese letters each of which is one ("这是")."""
    if word in stop or word.isdigit():
        return True
    if len(word) < 3:
        return len(word) < 2 or not _CJK.match(word) or all(letter in stop for letter in word)
    return False


def _without_accents(word: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", word.replace("ı", "i")) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", bare) if word.isascii() or bare.isascii() else word
