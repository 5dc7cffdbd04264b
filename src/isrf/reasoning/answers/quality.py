"""The quality gate of answers: what is wrong with the form of one, and how alike the sentences of many rows are.

Pure functions, so that a changed gate can judge stored answers again. Knows nothing about endpoints, retries or stores,
nor whether a sentence is true of its item: a person has to judge that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.reasoning.languages import LENGTH, detected, foreign, language_of, length_of, words_of
from isrf.reasoning.llm.prompts import Field, Prompt
from isrf.reasoning.text import STOPWORDS, plain_brackets

TOO_LONG = 1.5
"""An answer of more than so many times its limit did not listen; a shorter one is cut to the limit."""
CIRCLING_WORDS, DISTINCT_WORDS, DISTINCT_TRIPLES = 12, 0.5, 0.7
"""Above so many words, an answer with a smaller share of distinct words, or of distinct runs of three, circles."""
COPIED, INSTRUCTION_WORDS = 0.85, 5
"""Share of words in runs of three or more from the catalogue text that makes an answer a copy; so many consecutive words
of the instructions are a leak."""
MANY_ITEMS = 10
"""So many rows with one sentence, and it says nothing about any of them."""

_MARKS = re.compile(r"""[<(\[{}`%:"“”]""")  # one of these is in every form below that has no name to look for
_FORMS = {
    # cleaning made round brackets of angle ones
    "shows its thinking": re.compile(r"[<(]\s*/?\s*(?:think|thinking|reasoning)\s*[>)]", re.IGNORECASE),
    "leaks the template": re.compile(
        r"""[<(]\s*/?\s*data\s*[>)]|[<(]\||\[/?inst\]|```|\{\{|\}\}|\{%|%\}|\{\s*["']|["']\s*\}|["']\s*:\s*["'\[{]"""
        r"""|["“](?:likes|dislikes|feature)["”]|language model\b"""
        r"""|^\W*(?:likes|dislikes|feature|title|brand|categories|assistant|system|user)\W{0,3}:""",
        re.IGNORECASE,
    ),
    "holds a link": re.compile(r"https?:|www\.", re.IGNORECASE),
}
_TAG = re.compile(r"[<(]\s*/?\s*(?:data|think|thinking|reasoning)\s*[>)]", re.IGNORECASE)
_REFUSAL = re.compile(
    r"""\W*(?:(?:unfortunately|sorry|leider|désolé|malheureusement)\W+)?(?:i['’]m\ sorry|i\ am\ sorry
    |i(?:['’]m|\ am)\ (?:unable|not\ able)|i\ (?:cannot|can['’]?t|can\ not|could\ not|do\ not\ have|don['’]t\ have|won['’]t)
    |as\ an?\ (?:ai|assistant)\b|ich\ kann\b|kann\ ich\b|(?:es\ )?tut\ mir\ leid|als\ ki\b|je\ ne\ (?:peux|suis)
    |en\ tant\ qu|lo\ siento|no\ puedo|como\ (?:una\ )?ia\b|(?:很)?抱歉|对不起|我(?:无法|不能)|作为(?:一个)?(?:人工智能|AI))""",
    re.IGNORECASE | re.VERBOSE,
)
_ITSELF = re.compile(
    r"\b(?:previous|earlier|last|original|rejected|above) (?:answer|response|reply)\b|\bnot sure how to help\b"
    r"|\bi(?:['’]m| am) sorry\b(?=[,.;!]|$)|\bi(?:['’]ll| will) (?:make it|try to|answer)\b",
    re.IGNORECASE,
)
"""Talk about the answer instead of the item, as a small model does that is told what was wrong."""
_LIMIT = re.compile(
    r"\b(?:in|within|under|over|most|than|to) \d+ words?\b|\bword limit\b|\bwords or (?:less|fewer)\b", re.IGNORECASE
)
_GIVEN_UP = re.compile(r"[,;:&/(–—-]$")
_GIVEN_UP_IN_ENGLISH = re.compile(r"\b(?:and|or|the|an)$", re.IGNORECASE)
"""The end of a sentence that was given up; one that was cut to its limit ends in a full stop."""
# fmt: off
_NOTHING = {"not applicable", "n a", "no answer", "no information", "not available", "not specified", "no one"}
_NEGATIONS = frozenset((
    "not", "no", "never", "don't", "don’t", "doesn't", "doesn’t", "without", "hate", "dislike", "avoid", "nicht", "kein",
    "keine", "keinen", "nie", "ohne", "ne", "n'aiment", "pas", "sans", "jamais", "sin", "nunca", "non", "senza", "不", "没",
))
_PLAIN = STOPWORDS - _NEGATIONS | {
    "a", "an", "of", "or", "to", "is", "in", "on", "people", "person", "anyone", "someone"
}
# fmt: on
"""Words that two fields may share or not without saying another thing."""


@dataclass(frozen=True)
class Gate:
    """What answers about the rows of one kind are held against.

    Attributes:
        language: ISO 639 code of the language they must be in, None = any.
        words: most words of each field.
        wording: the instructions, which they must not repeat.
        script: writing system they must be in ("Latin", "East Asian"), None = any.
        examples: words of each answer of the worked examples, which answers no other question.
    """

    language: str | None
    words: dict[Field, int]
    wording: tuple[str, ...]
    script: str | None = None
    examples: frozenset[tuple[str, ...]] = frozenset()


def gate_of(prompt: Prompt, catalogue_texts: Sequence[str], settings: ReasoningSettings) -> Gate:
    """The gate of a prompt's answers; says so where the catalogue's language is unclear and none is required.

    Args:
        catalogue_texts: texts of the catalogue; an even sample of ``SAMPLE`` is read where ``language`` is "auto".

    Raises:
        IsrfError: ``reasoning.language`` is none that can be recognised.
    """
    language: str | None = None if settings.language in ("auto", "any") else settings.language
    script: str | None = None
    if settings.language == "auto":
        language, script = language_of(catalogue_texts)
        if language is None and prompt.kind == "item":  # once a run
            written = f" written in {script} letters" if script else ""
            note(f"catalogue in no one clear language: answers may be in any{written}; reasoning.language requires one")
    elif language is not None and language not in (known := sorted(code for code, _ in detected("a", k=1000))):
        raise IsrfError(f"reasoning.language={language}: unknown; use auto, any or one of {', '.join(known)}")
    shown = [json.loads(message["content"]) for message in prompt.opening if message["role"] == "assistant"]
    examples = frozenset(tuple(words_of(text)) for answer in shown for text in answer.values())
    return Gate(language, prompt.words, prompt.wording, script, examples)


def fault_of(texts: dict[Field, str], data: str, before: dict[Field, str], gate: Gate) -> str | None:
    """What is wrong with an answer, as a short reason that quotes nothing of it; None = nothing.

    Args:
        texts: its fields, one clean line each.
        data: catalogue text that this row's prompt quoted.
        before: fields of this row that were answered before.
    """
    quoted, fresh = _quoted(data), list[str]()
    said = {name: words_of(text) for name, text in before.items()}
    for name, text in texts.items():
        if len(text) > 40 * gate.words[name] or length_of(text) > TOO_LONG * gate.words[name]:
            return "too long"
        kept = mended(text, gate.words[name])  # what is judged is what will be kept
        words = words_of(kept)
        fault = _fault_of_one(kept, words, quoted, gate)
        if fault is not None:
            return fault
        if any(_says_the_same(words, earlier) for earlier in said.values()):
            return "repeats an earlier field"
        said[name] = words
        fresh += [word for word in words if word not in quoted.words and word[0].isalpha()]
    return foreign(fresh, gate.language, gate.script)


def mended(text: str, words: int) -> str:
    """At most ``words`` words of a text: whole sentences where they fill half of that, else whole words.

    Two letters of a script without spaces count as a word.
    """
    if len(text.split()) <= words and text.isascii():
        return text
    found = list(LENGTH.finditer(text))
    if len(found) <= words:
        return text
    ends = [n for n in range(words // 2, words) if re.search(r"\w{3}[.!?。！？]$", found[n].group())]
    if ends:
        return text[: found[ends[-1]].end()]
    return text[: found[words - 1].end()].rstrip(",;:.- ") + "."


def sentence_key(text: str) -> int:
    """Signed 64-bit key of a sentence without its case, punctuation, white space and digits."""
    letters = " ".join(re.sub(r"\d", "", " ".join(words_of(text))).split())
    digest = hashlib.blake2b(letters.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def shared_sentences(keys: np.ndarray) -> frozenset[int]:
    """Those that ``MANY_ITEMS`` rows or more were given, of ``keys``: (n,) int64 or uint64, a row's ``sentence_key``."""
    found, counts = np.unique(keys, return_counts=True)
    return frozenset(int(key) for key in found[counts >= MANY_ITEMS])


def near_duplicates(features: Sequence[str]) -> float:
    """Share of sentences, 0 to 1, that another row has as well in nearly the same words.

    That is: the same set of content words, in any order and number, in lower case, where function words, words under
    three letters, digits and punctuation do not count. Sentences without content words are all the same. Linear time.
    """
    content = pl.col("feature").str.to_lowercase().str.extract_all(r"\p{Han}|[\p{L}\p{M}]{3,}")
    content = content.list.set_difference(pl.lit(pl.Series([sorted(STOPWORDS)]))).list.sort().list.join(" ")
    # one hash a row is kept, never a million lists
    parts = (pl.Series("feature", features[n : n + 20_000], pl.String) for n in range(0, len(features), 20_000))
    hashes = [part.to_frame().select(content.hash()).to_series() for part in parts]
    return float(pl.concat(hashes).is_duplicated().sum()) / len(features) if hashes else 0.0


def _fault_of_one(text: str, words: list[str], quoted: _Quoted, gate: Gate) -> str | None:
    """What is wrong with one field, taken by itself."""
    if len([word for word in words if word[0].isalpha()]) < 2 or (len(words) < 3 and " ".join(words) in _NOTHING):
        return "says nothing"
    # a cable may be called "USB (data)", and whoever speaks of it leaks nothing
    told = _TAG.sub(lambda tag: " " if tag.group().casefold() in quoted.text else tag.group(), plain_brackets(text))
    if _MARKS.search(told) or "www." in told or "language model" in told:
        for reason, form in _FORMS.items():
            if form.search(told):
                return reason
    if not _phrases(gate.wording).isdisjoint(_runs(words, INSTRUCTION_WORDS)):
        return "leaks the template"
    if _GIVEN_UP.search(text) or (gate.language == "en" and _GIVEN_UP_IN_ENGLISH.search(text)):
        return "breaks off"
    for reason, found in (
        ("leaks the template", _LIMIT.search(text)),
        ("refuses", _REFUSAL.match(text)),
        ("speaks of itself", _ITSELF.search(text)),
    ):
        if found and f" {' '.join(words_of(found.group()))} " not in quoted.run:  # a song may be called "I'm Sorry"
            return reason
    n, distinct = len(words), len(set(words))
    circling = distinct < DISTINCT_WORDS * n or len(set(_runs(words, 3))) < DISTINCT_TRIPLES * (n - 2)
    endless = max(map(len, words)) > 24 and any(len(word) > 24 and len(set(word)) <= len(word) / 4 for word in words)
    if endless or (circling if n > CIRCLING_WORDS else n > 5 and distinct <= n / 3):
        return "goes in circles"
    if _copies(words, quoted):
        return "copies the prompt"
    return "copies an example" if tuple(words) in gate.examples else None


def _copies(words: list[str], quoted: _Quoted) -> bool:
    """Nothing said beyond the catalogue text: a short answer holds most of one of its lines (a selection from many lines
    sums up a history) and no telling word of its own, a long one is made of its runs and has less than two."""
    mine = set(words) - quoted.words - STOPWORDS
    own = [word for word in mine if len(word) > 2 or not word.isascii()]
    if len(words) < 8 or len(own) > 1:
        return not own and any(2 * len(line.intersection(words)) > len(line) for line in quoted.lines)
    copied = [False] * len(words)
    for n, run in enumerate(_runs(words, 3)):
        if f" {' '.join(run)} " in quoted.run:
            copied[n : n + 3] = (True, True, True)
    return sum(copied) >= COPIED * len(words)


def _says_the_same(words: list[str], others: list[str]) -> bool:
    """The same telling words in any order; a sentence that merely shares most of them may weigh one against another."""
    mine, theirs = ({word for word in said if not word.isdigit()} - _PLAIN for said in (words, others))
    return words == others or (mine == theirs and len(mine) > 1)


def _runs(words: list[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)


@lru_cache(8)
def _phrases(wording: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """All runs of ``INSTRUCTION_WORDS`` words in the instructions."""
    texts = (words_of(re.sub(r"</?data>", " ", text)) for text in wording)
    return frozenset(run for words in texts for run in _runs(words, INSTRUCTION_WORDS))


class _Quoted(NamedTuple):
    """Catalogue text in small letters, as one run of words between spaces, all its words, and those of each line."""

    text: str
    run: str
    words: frozenset[str]
    lines: tuple[frozenset[str], ...]


@lru_cache(64)  # a row's fields are judged one after another
def _quoted(data: str) -> _Quoted:
    lines = [words for line in data.splitlines() if (words := words_of(line))]
    words = [word for line in lines for word in line]
    return _Quoted(data.casefold(), f" {' '.join(words)} ", frozenset(words), tuple(map(frozenset, lines)))
