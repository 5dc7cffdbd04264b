"""Scores of generated sentences against what people wrote: BLEU by sacrebleu, ROUGE by rouge-score, and how much they vary.

All are percentages, the higher the better. Knows nothing about models or files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import zip_longest
from typing import Any

import numpy as np

from isrf.core.errors import IsrfError

EXPLANATIONS = "explanations"
"""Key of the document of an evaluation, where the data has review explanations and the model explains."""

SCORES = ("BLEU-1", "BLEU-4", "ROUGE-1", "ROUGE-2", "ROUGE-L")
COLUMNS = ("method", "split", "pairs", "users", *SCORES, "feature named", "unique", "distinct-2")
NEEDED = ("sacrebleu", "rouge_score")
ABOUT = (
    "explanations of held-out pairs, in percent; the generated ones are written without knowing what the review is about; "
    "unique and distinct-2: different sentences, and different pairs of words, among all that were given"
)


@dataclass(frozen=True)
class Told:
    """What people wrote about N pairs of a user and an item, each pair once.

    Attributes:
        users, items: (N,) int64 rows.
        references: for each pair all that its user wrote about its item.
        features: for each pair the words that these sentences are about, as far as the source names any.
    """

    users: np.ndarray
    items: np.ndarray
    references: list[list[str]]
    features: list[list[str]]


def require_scorers() -> None:
    """Raises IsrfError where a library that scores is not installed."""
    if any(find_spec(name) is None for name in NEEDED):
        raise IsrfError(
            "explanations are scored with sacrebleu and rouge-score, which are not installed: "
            "pip install 'isrf[explanations]'; the trained model is saved"
        )


def bleu(sentences: Sequence[str], references: Sequence[Sequence[str]], order: int) -> float:
    """Corpus BLEU of n-grams up to ``order``, in percent.

    BLEU = min(1, exp(1 - r / c)) * exp(sum over n of log p_n / order), p_n the part of the n-grams of all sentences that
    stand in a reference of theirs (each as often as there), c and r the words of the sentences and of the references
    nearest in length. Words as sacrebleu's "13a" cuts them, in lower case; a p_n of zero is smoothed (sacrebleu's "exp").

    Args:
        sentences: N.
        references: for each at least one.
        order: 1 or 4.

    >>> round(bleu(["the cat sat on the mat"], [["the cat sat on a mat"]], 1), 2)  # 5 of 6 words
    83.33
    >>> round(bleu(["a cat"], [["the cat sat on a mat", "a dog"]], 1), 2)
    100.0
    """
    from sacrebleu.metrics import BLEU

    streams = [list(stream) for stream in zip_longest(*references)]  # None where one has fewer references
    return float(BLEU(lowercase=True, max_ngram_order=order).corpus_score(list(sentences), streams).score)


class Words:
    """Words for rouge-score: as its own for ASCII, but with letters of every script."""

    def tokenize(self, text: str) -> list[str]:
        return re.findall(r"[^\W_]+", text.lower())


def rouge(sentences: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """ROUGE-1, -2 and -L, in percent: the mean over sentences of the F1 against the reference that fits best.

    F1 = 2PR / (P + R), P and R the part of the sentence's and of the reference's words (pairs of words, longest common
    subsequence) that both share. No stemming.

    >>> {name: round(score, 2) for name, score in rouge(["the cat sat on the mat"], [["the cat sat on a mat"]]).items()}
    {'ROUGE-1': 83.33, 'ROUGE-2': 60.0, 'ROUGE-L': 83.33}
    """
    from rouge_score.rouge_scorer import RougeScorer

    kinds = {"ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeL"}
    scorer = RougeScorer(list(kinds.values()), tokenizer=Words())
    found = [scorer.score_multi(own, sentence) for sentence, own in zip(sentences, references, strict=True)]
    return {name: 100 * float(np.mean([f[kind].fmeasure for f in found])) for name, kind in kinds.items()}


def unique(sentences: Sequence[str]) -> float:
    """Different sentences among all, in percent: near zero where a model says the same to everybody.

    >>> unique(["good", "good", "bad", "fine"])
    75.0
    """
    return 100 * len(set(sentences)) / len(sentences)


def distinct(sentences: Sequence[str], n: int = 2) -> float:
    """Different n-grams of words among all n-grams, in percent.

    >>> distinct(["good soap", "good soap", "good tea"])  # good soap, good tea; of three
    66.66666666666667
    """
    words = [Words().tokenize(sentence) for sentence in sentences]
    grams = [tuple(own[at : at + n]) for own in words for at in range(len(own) - n + 1)]
    return 100 * len(set(grams)) / len(grams) if grams else 0.0


def feature_named(sentences: Sequence[str], features: Sequence[Sequence[str]]) -> float | None:
    """Sentences that name a word the review is about, among those whose review names one, in percent; None without any.

    >>> feature_named(["a good Soap", "fine", "fine"], [["soap"], ["tea"], []])
    50.0
    """
    hits = []
    for sentence, wanted in zip(sentences, features, strict=True):
        said = f" {' '.join(Words().tokenize(sentence))} "
        found = [f" {' '.join(Words().tokenize(word))} " in said for word in wanted if Words().tokenize(word)]
        hits += [any(found)] if found else []
    return 100 * float(np.mean(hits)) if hits else None


def row_of(method: str, part: str, sentences: Sequence[str], told: Told) -> dict[str, Any]:
    """One entry of the document's "results": COLUMNS by name."""
    return {
        "method": method,
        "split": part,
        "pairs": len(told.users),
        "users": len(np.unique(told.users)),
        "BLEU-1": bleu(sentences, told.references, 1),
        "BLEU-4": bleu(sentences, told.references, 4),
        **rouge(sentences, told.references),
        "feature named": feature_named(sentences, told.features),
        "unique": unique(sentences),
        "distinct-2": distinct(sentences),
    }


def cells(row: dict[str, Any]) -> list[str]:
    """A row as it is printed."""
    shown = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in (row[name] for name in COLUMNS)]
    return ["-" if value == "None" else value for value in shown]


def markdown_lines(document: dict[str, Any]) -> list[str]:
    """The table of explanations as Markdown, with a line that says what it holds; nothing where there is none."""
    rows = document.get(EXPLANATIONS, {}).get("results", [])
    if not rows:
        return []
    head = ["| " + " | ".join(COLUMNS) + " |", "|---|---" + "|--:" * (len(COLUMNS) - 2) + "|"]
    return ["", *head, *("| " + " | ".join(cells(row)) + " |" for row in rows), "", f"({ABOUT})"]
